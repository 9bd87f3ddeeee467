//! The command-line tools that outsiders use.

use anyhow::{Result, ensure};
use std::io::Write as _;
use std::process::{Command, Stdio};
use tests::stack::{portico, repository};

fn run(command: &mut Command, input: &str) -> Result<(bool, String, String)> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    ))
}

#[test]
fn key_inspect_judges_a_key_offline() -> Result<()> {
    let key = shared::credential::PlainKey::generate(
        "pk",
        shared::credential::Environment::Test,
        |bytes| bytes.fill(9),
    )?;
    let (holds, printed, _) = run(portico()?.args(["key", "inspect", key.expose()]), "")?;
    ensure!(
        holds && printed.contains("test") && printed.contains("pk"),
        "{printed}"
    );
    let broken = key.expose().replace("pk_test", "pk_live");
    let (holds, ..) = run(portico()?.args(["key", "inspect", &broken]), "")?;
    ensure!(!holds, "the checksum covers the environment");
    Ok(())
}

#[test]
fn rate_prices_lines_and_a_bad_line_stops_nothing() -> Result<()> {
    let input = concat!(
        r#"{"id":"a","price":{"model":"per_unit","currency":"USD","unit_amount":"10"},"quantity":"22"}"#,
        "\nnot json\n",
        r#"{"id":"b","price":{"model":"flat","currency":"JPY","flat_amount":"100"},"quantity":"1"}"#,
        "\n"
    );
    let (_, printed, _) = run(portico()?.arg("rate"), input)?;
    let lines: Vec<serde_json::Value> = printed
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(lines.len() == 3, "{printed}");
    ensure!(
        lines[0]["amount"] == "220.00" && lines[0]["id"] == "a",
        "{printed}"
    );
    ensure!(lines[1]["error"].is_string(), "{printed}");
    ensure!(
        lines[2]["amount"] == "100" && lines[2]["currency"] == "JPY",
        "{printed}"
    );
    Ok(())
}

#[test]
fn published_pricing_examples_are_exact_where_they_are_at_hand() -> Result<()> {
    let path = repository().join("../shared/vectors/pricing.jsonl");
    let Ok(vectors) = std::fs::read_to_string(path) else {
        return Ok(());
    };
    let (_, printed, _) = run(portico()?.arg("rate"), &vectors)?;
    ensure!(printed.lines().count() == vectors.lines().count());
    for (given, made) in vectors.lines().zip(printed.lines()) {
        let given: serde_json::Value = serde_json::from_str(given)?;
        let made: serde_json::Value = serde_json::from_str(made)?;
        ensure!(given["amount"] == made["amount"], "{given} → {made}");
    }
    Ok(())
}

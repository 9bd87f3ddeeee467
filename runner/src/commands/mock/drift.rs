//! `portico mock drift`: what production answered, against the document and the mock.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use sandbox_mock::Mock;
use sandbox_mock::drift::{Drift, Report, read_exchange};

/// The longest line of a trace that is read.
const MAX_LINE_BYTES: usize = 32 * 1024 * 1024;

#[derive(clap::Args)]
pub struct Arguments {
    /// The OpenAPI document, JSON or YAML.
    spec: PathBuf,
    /// Exchanges with production, one a line, as JSON.
    #[arg(long)]
    trace: PathBuf,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Fail when the fidelity is below this many percent.
    #[arg(long, default_value_t = 0.0)]
    minimum: f64,
    /// Write the trace, redacted, to this file.
    #[arg(long)]
    redacted: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mock = read_mock(&arguments.spec)?;
    let trace = File::open(&arguments.trace)
        .with_context(|| format!("{} cannot be read", arguments.trace.display()))?;
    let mut redacted = match &arguments.redacted {
        None => None,
        Some(path) => {
            Some(BufWriter::new(File::create(path).with_context(|| {
                format!("{} cannot be written", path.display())
            })?))
        }
    };
    let redacted_lines = redacted.as_mut().map(|file| file as &mut dyn Write);
    let report = compare(&mock, BufReader::new(trace), redacted_lines)
        .with_context(|| arguments.trace.display().to_string())?;
    if let Some(mut file) = redacted {
        file.flush()?;
    }
    if arguments.json {
        println!("{}", report.to_json());
    } else {
        print!("{}", in_words(&report));
    }
    if report.score() < arguments.minimum {
        eprintln!(
            "the fidelity {:.2} % is below {:.2} %",
            report.score(),
            arguments.minimum
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn read_mock(spec: &Path) -> Result<Mock> {
    let bytes =
        std::fs::read(spec).with_context(|| format!("{} cannot be read", spec.display()))?;
    let folder = spec.parent().unwrap_or(Path::new(""));
    let mut read_file = |name: &str| std::fs::read(folder.join(name)).ok();
    let (mock, _) =
        Mock::from_files(&bytes, &mut read_file).with_context(|| spec.display().to_string())?;
    Ok(mock)
}

fn compare(
    mock: &Mock,
    trace: impl BufRead,
    mut redacted: Option<&mut dyn Write>,
) -> Result<Report> {
    let mut drift = Drift::new(mock);
    for (place, line) in trace.split(b'\n').enumerate() {
        let line = line?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if line.len() > MAX_LINE_BYTES {
            bail!("line {}: is longer than {MAX_LINE_BYTES} bytes", place + 1);
        }
        let exchange = read_exchange(&line).with_context(|| format!("line {}", place + 1))?;
        if let Some(file) = &mut redacted {
            writeln!(file, "{}", exchange.redacted_line())?;
        }
        drift.add(&exchange);
    }
    Ok(drift.finish())
}

fn in_words(report: &Report) -> String {
    let mut text = String::new();
    for (id, operation) in &report.operations {
        text.push_str(&format!(
            "{:>7.2} %  {id} ({}), {} exchanges\n",
            operation.score(),
            operation.route,
            operation.exchanges
        ));
        for (difference, times) in &operation.differences {
            text.push_str(&format!(
                "           {times:>5} × {}: {} ({})\n",
                difference.place,
                difference.message,
                difference.kind.word()
            ));
        }
    }
    text.push_str(&format!(
        "fidelity {:.2} % over {} exchanges; {} operations are declared\n",
        report.score(),
        report.exchanges(),
        report.declared
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &[u8] = b"openapi: 3.0.3
info: {title: t, version: '1'}
paths:
  /people/{id}:
    get:
      operationId: getPerson
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {'200': {description: ok, content: {application/json: {schema: {type: object, required: [id], properties: {id: {type: string}, email: {type: string}}}}}}}
";

    #[test]
    fn a_trace_is_compared_line_by_line_and_its_redacted_copy_holds_no_person() {
        let (mock, _) = Mock::from_source(DOCUMENT).unwrap();
        let trace = br#"{"request":{"method":"GET","url":"https://api.example/people/1?token=abc","headers":{"authorization":"Bearer s"}},"response":{"status":200,"headers":{"content-type":"application/json"},"body":{"id":"1","email":"ines@shop.example"}}}

{"request":{"method":"GET","url":"/people/2"},"response":{"status":200,"headers":{},"body":{"id":2}}}
"#;
        let mut copy = Vec::new();
        let report = compare(&mock, &trace[..], Some(&mut copy)).unwrap();
        assert_eq!(report.exchanges(), 2);
        assert_eq!(report.score(), 50.0);
        let copy = String::from_utf8(copy).unwrap();
        for secret in ["ines", "abc", "Bearer s"] {
            assert!(!copy.contains(secret), "{copy}");
        }
        // The copy says the same about the API.
        assert_eq!(compare(&mock, copy.as_bytes(), None).unwrap(), report);
        let said = in_words(&report);
        assert!(
            said.contains("response 200 /id: must be a string"),
            "{said}"
        );
    }

    #[test]
    fn a_line_that_is_no_exchange_is_named_by_its_number() {
        let (mock, _) = Mock::from_source(DOCUMENT).unwrap();
        let error = compare(&mock, &b"\n{}\n"[..], None).unwrap_err();
        assert_eq!(format!("{error:#}"), "line 2: request: must be an object");
    }
}

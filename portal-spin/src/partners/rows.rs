//! Rows of addresses as people paste or export them.

/// One row that was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvitedRow {
    /// Its line, from 1.
    pub line: usize,
    /// As given.
    pub email: String,
    /// As given; empty where it was not.
    pub organisation_name: String,
    /// As given; empty where it was not.
    pub partner_type: String,
    /// As given; empty where it was not.
    pub tier: String,
    /// As given; empty where it was not.
    pub tags: String,
    /// As given; empty where it was not.
    pub plan_id: String,
}

const COLUMNS: &[&str] = &[
    "email",
    "organisation",
    "partner_type",
    "tier",
    "tags",
    "plan_id",
];

/// Reads addresses, or CSV whose first line names its columns. Fails only if the columns make no sense;
/// what is in a row is judged row by row.
pub fn read_rows(text: &str) -> Result<Vec<InvitedRow>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    let Some((_, first)) = lines.clone().next() else {
        return Ok(Vec::new());
    };
    let separator = if first.contains(';') && !first.contains(',') {
        ';'
    } else {
        ','
    };
    let names: Vec<String> = cells(first, separator)
        .iter()
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    if !names.iter().any(|name| name == "email") {
        return Ok(lines
            .flat_map(|(line, text)| addresses(line, text))
            .collect());
    }
    if let Some(unknown) = names.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
        return Err(format!(
            "The first line has an unknown column `{unknown}`. Known: {}.",
            COLUMNS.join(", ")
        ));
    }
    lines.next();
    Ok(lines
        .map(|(line, text)| row(line, &names, &cells(text, separator)))
        .collect())
}

fn addresses(line: usize, text: &str) -> impl Iterator<Item = InvitedRow> {
    text.split(|c: char| c.is_whitespace() || c == ',' || c == ';')
        .filter(|part| !part.is_empty())
        .map(move |email| InvitedRow {
            line,
            email: email.trim_matches(['<', '>', '"']).to_owned(),
            ..InvitedRow::default()
        })
}

fn row(line: usize, names: &[String], cells: &[String]) -> InvitedRow {
    let cell = |wanted: &str| {
        let found = names.iter().zip(cells).find(|(name, _)| *name == wanted);
        found.map_or_else(String::new, |(_, cell)| cell.trim().to_owned())
    };
    InvitedRow {
        line,
        email: cell("email"),
        organisation_name: cell("organisation"),
        partner_type: cell("partner_type"),
        tier: cell("tier"),
        tags: cell("tags"),
        plan_id: cell("plan_id"),
    }
}

/// The cells of a CSV line (RFC 4180, without line ends inside quotes).
fn cells(line: &str, separator: char) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let Some(last) = all.last_mut() else { break };
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                last.push('"');
            }
            '"' => is_quoted = !is_quoted,
            c if c == separator && !is_quoted => all.push(String::new()),
            c => last.push(c),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pasted_addresses_are_read_whatever_separates_them() {
        let rows =
            read_rows("ada@example.com, bob@example.com\n\n <carl@example.com>;dora").unwrap();
        let read: Vec<(usize, &str)> = rows
            .iter()
            .map(|row| (row.line, row.email.as_str()))
            .collect();
        assert_eq!(
            read,
            [
                (1, "ada@example.com"),
                (1, "bob@example.com"),
                (3, "carl@example.com"),
                (3, "dora")
            ]
        );
    }

    #[test]
    fn a_csv_file_is_read_by_its_first_line() {
        let text = "\u{feff}Organisation,email,tags\r\n\"Acme, \"\"Inc\"\"\",ada@example.com,pilot-1 beta\r\n,bob@example.com\r\n";
        let rows = read_rows(text).unwrap();
        assert_eq!(rows[0].organisation_name, "Acme, \"Inc\"");
        assert_eq!((rows[0].tags.as_str(), rows[0].line), ("pilot-1 beta", 2));
        assert_eq!(
            (rows[1].email.as_str(), rows[1].tags.as_str()),
            ("bob@example.com", "")
        );
        assert!(
            read_rows("email,colour\na@b.example,red")
                .unwrap_err()
                .contains("colour")
        );
    }

    proptest! {
        #[test]
        fn every_address_of_any_paste_is_a_row(
            names in proptest::collection::vec("[a-z]{1,9}@[a-z]{1,9}\\.example", 1..40),
            separators in proptest::collection::vec(0..5_usize, 40),
        ) {
            let text: String = names.iter().zip(&separators)
                .map(|(name, number)| format!("{name}{}", ["\n", ", ", ";", " ", "\r\n\r\n"][*number]))
                .collect();
            let read: Vec<String> = read_rows(&text).unwrap().into_iter().map(|row| row.email).collect();
            prop_assert_eq!(read, names);
        }
    }
}

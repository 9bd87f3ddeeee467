//! The texts of the program: string literals of the portal's code that people read.
//!
//! The rule, in order:
//! 1. Not looked at: tests, attributes and documentation, log lines and failed assertions ([`SILENT_MACROS`]),
//!    arguments of functions whose text goes to the log or the database ([`SILENT_FUNCTIONS`]), folders
//!    of [`SILENT_PLACES`], SQL, and a statement or block under a comment `// not shown`.
//! 2. A text: a literal that begins like a sentence or a label (a capital, then something in lower
//!    case) or holds a space between words, and is neither an address, a header nor a format of data.
//! 3. Words in lower case: only where the code says that they are shown: enums of `text_enum!`, the
//!    functions of [`SAYING`], and literals below a comment `// shown`.
//!
//! A literal of a formatting macro is a pattern: its holes become `{0}`, `{1}` ….

use super::texts::Texts;
use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Macros whose texts nobody but the staff's log sees.
const SILENT_MACROS: &[&str] = &[
    "eprintln",
    "println",
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "panic",
    "unreachable",
    "include_str",
    "include_bytes",
    "concat",
    "env",
    "matches",
    "params",
];

/// Functions whose text is for the log or the database.
const SILENT_FUNCTIONS: &[&str] = &[
    "internal",
    "Shape",
    "Schema",
    "Unavailable",
    "expect",
    "header",
    "set_header",
    "query",
    "path_text",
    "query_optional",
    "execute",
    "query_one",
    "from_static",
    "text",
    "raw",
    "split_once",
    "starts_with",
    "strip_prefix",
    "contains",
    "push_sql",
    "record",
    "get",
    "path_id",
    "is_ticked",
];

/// Folders and files without texts for people: seeds are data, the API document is English, as JSON is.
const SILENT_PLACES: &[&str] = &[
    "/seed/",
    "/testing/",
    "/host/",
    "/database/",
    "/bench",
    "/web/openapi.rs",
    "/web/schemas.rs",
    "/routes.rs",
    "/routes/",
    "/configuration.rs",
    "/reference/examples.rs",
    "/edges/",
    "/web/languages.rs",
    // What RFC 6749 has in `error_description`: ASCII, for the developer's log.
    "/oauth/grants.rs",
    "/oauth/tokens.rs",
    "/oauth/assertion.rs",
    "/oauth/authentication.rs",
    "/oauth/discovery.rs",
    // Names of headers and algorithms; words that no app may still have in its listing.
    "/emails/delivery.rs",
    "/sign_on/id_token.rs",
];

/// Fields of structures that hold examples and names.
const SILENT_FIELDS: &[&str] = &["variables", "needed", "code", "name", "extra"];

/// Functions that answer words to show; literals in their bodies are texts even in lower case.
const SAYING: &[&str] = &[
    "label",
    "hint",
    "words",
    "meaning",
    "describe",
    "state_words",
    "tone_words",
];

/// Macros whose first literal is a pattern.
const FORMATTING: &[&str] = &["format", "write", "writeln", "format_args"];

/// Collects the texts of a source file.
pub fn collect(file: &str, source: &str, texts: &mut Texts) -> Result<()> {
    let path = format!("/{file}");
    let is_silent = SILENT_PLACES.iter().any(|place| path.contains(place))
        || file.ends_with("tests.rs")
        || file.contains("_tests/")
        || file.contains("/test_");
    if is_silent {
        return Ok(());
    }
    let stream: TokenStream = source.parse().map_err(|error| anyhow!("{file}: {error}"))?;
    let mut scan = Scan {
        file,
        lines: source.lines().collect(),
        texts,
    };
    scan.stream(stream, State::default());
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct State {
    is_shown: bool,
    is_pattern: bool,
}

struct Scan<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    texts: &'a mut Texts,
}

impl Scan<'_> {
    fn stream(&mut self, stream: TokenStream, state: State) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        let mut function = String::new();
        let mut field = String::new();
        let mut is_test = false;
        while let Some(tree) = trees.get(at) {
            match tree {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    // An attribute: its group is no text, `#[cfg(test)]` silences what follows.
                    let next = if matches!(trees.get(at + 1), Some(TokenTree::Punct(_))) {
                        at + 2
                    } else {
                        at + 1
                    };
                    if let Some(TokenTree::Group(group)) = trees.get(next)
                        && group.delimiter() == Delimiter::Bracket
                    {
                        let text: String = group.stream().to_string().split_whitespace().collect();
                        is_test |= text == "cfg(test)" || text == "test";
                        at = next + 1;
                        continue;
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ',' => field.clear(),
                TokenTree::Punct(punct) if punct.as_char() == ';' => {
                    is_test = false;
                    function.clear();
                }
                TokenTree::Ident(name) if name == "fn" => {
                    function = trees
                        .get(at + 1)
                        .map(ToString::to_string)
                        .unwrap_or_default();
                }
                TokenTree::Ident(name) if is_field(&trees, at) => field = name.to_string(),
                TokenTree::Literal(literal)
                    if !is_test && !SILENT_FIELDS.contains(&field.as_str()) =>
                {
                    let line = literal.span().start().line;
                    let in_calls = self.is_marked(line, "// shown");
                    self.literal(
                        &literal.to_string(),
                        line,
                        State {
                            is_shown: state.is_shown || in_calls,
                            ..state
                        },
                    );
                }
                TokenTree::Group(group) => {
                    let before = at.checked_sub(1).and_then(|at| trees.get(at));
                    let is_macro =
                        matches!(before, Some(TokenTree::Punct(p)) if p.as_char() == '!');
                    let name_at = if is_macro {
                        at.checked_sub(2)
                    } else {
                        at.checked_sub(1)
                    };
                    let name = match name_at.and_then(|at| trees.get(at)) {
                        Some(TokenTree::Ident(name)) => name.to_string(),
                        _ => String::new(),
                    };
                    let is_brace = group.delimiter() == Delimiter::Brace;
                    let is_call = group.delimiter() == Delimiter::Parenthesis && !name.is_empty();
                    let is_silent = is_test
                        || SILENT_FIELDS.contains(&field.as_str())
                        || is_macro && SILENT_MACROS.contains(&name.as_str())
                        || is_call && !is_macro && SILENT_FUNCTIONS.contains(&name.as_str())
                        || is_macro && name == "macro_rules"
                        || self.is_marked(group.span_open().start().line, "// not shown");
                    if !is_silent {
                        let is_body = is_brace && !function.is_empty();
                        self.stream(
                            group.stream(),
                            State {
                                is_shown: state.is_shown
                                    || is_body && SAYING.contains(&function.as_str())
                                    || is_macro && name == "text_enum",
                                is_pattern: is_macro && FORMATTING.contains(&name.as_str()),
                            },
                        );
                    }
                    if is_brace {
                        is_test = false;
                        function.clear();
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// Whether a comment at the end of this line, or on the line above, says so.
    fn is_marked(&self, line: usize, mark: &str) -> bool {
        let has = |at: usize| {
            self.lines
                .get(at)
                .is_some_and(|text| text.trim_end().ends_with(mark))
        };
        line > 0
            && (has(line - 1) || line > 1 && has(line - 2) && self.lines[line - 2].trim() == mark)
    }

    fn literal(&mut self, source: &str, line: usize, state: State) {
        let Some(text) = string_of(source) else {
            return;
        };
        if !(is_text(&text) || state.is_shown && is_words(&text)) {
            return;
        }
        let (id, comments) = if state.is_pattern {
            pattern(&text)
        } else {
            (text, Vec::new())
        };
        if id
            .split(['{', '}'])
            .step_by(2)
            .any(|part| part.chars().any(char::is_alphabetic))
        {
            self.texts.add(&id, self.file, line, comments);
        }
    }
}

/// Whether a field of a structure is set here: `name: …`, and no path.
fn is_field(trees: &[TokenTree], at: usize) -> bool {
    let is_colon =
        |at: usize| matches!(trees.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    is_colon(at + 1) && !is_colon(at + 2) && !at.checked_sub(1).is_some_and(is_colon)
}

fn is_words(text: &str) -> bool {
    text.chars().any(char::is_alphabetic) && !text.contains("://") && !text.contains('.')
}

/// Whether people are meant: rule 2.
fn is_text(text: &str) -> bool {
    const SQL: &[&str] = &[
        "SELECT ",
        "INSERT ",
        "UPDATE ",
        "DELETE ",
        "CREATE ",
        "ALTER ",
        "WITH ",
        " FROM ",
        "AND ",
        "ORDER BY",
        "WHERE ",
        " AS BIGINT",
        "GROUP BY",
        "LIMIT $",
        "VALUES (",
        " = $",
        " IS NULL",
        "COALESCE(",
        "ON CONFLICT",
        "JOIN ",
        " IS NOT NULL",
        "CASE WHEN",
        "COUNT(",
        " = '",
        "@media",
    ];
    let trimmed = text.trim();
    let mut chars = trimmed.chars();
    let first = chars.next().unwrap_or(' ');
    let has_lower = trimmed.chars().any(char::is_lowercase);
    let is_label = first.is_uppercase()
        && has_lower
        && !trimmed.contains(['_', '/', '=', '<', ';', '@'])
        && !trimmed
            .split('-')
            .skip(1)
            .any(|part| part.starts_with(char::is_uppercase));
    let words = trimmed
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphabetic))
        .count();
    let is_sentence = words > 1 && has_lower;
    let is_other = SQL.iter().any(|mark| text.contains(mark))
        || trimmed.starts_with('<')
        || trimmed.starts_with('/')
        || trimmed.starts_with("https://")
        || trimmed.starts_with("; ")
        || trimmed.starts_with("('")
        || trimmed.starts_with("User-agent:")
        || trimmed.starts_with("Bearer ")
        || trimmed.contains("=\"")
        || trimmed.contains("-src '")
        || trimmed.contains("; charset=")
        || is_column_list(trimmed);
    !is_other && (is_label || is_sentence)
}

/// Names of columns or members, separated by commas.
fn is_column_list(text: &str) -> bool {
    let is_name = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.{}$".contains(c))
    };
    text.contains(',') && text.contains('_') && text.split(',').all(|word| is_name(word.trim()))
}

/// A format string with its holes numbered, and what stood in them.
fn pattern(text: &str) -> (String, Vec<String>) {
    let (mut id, mut comments) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        id.push_str(&rest[..at]);
        let behind = &rest[at..];
        if behind.starts_with("{{") || behind.starts_with("}}") {
            id.push_str(&behind[..1]);
            rest = &behind[2..];
        } else if let Some((name, after)) = behind[1..].split_once('}') {
            id.push_str(&format!("{{{}}}", comments.len()));
            let name = name.split(':').next().unwrap_or_default();
            comments.push(format!(
                "{{{}}}: {}",
                comments.len(),
                if name.is_empty() { "…" } else { name }
            ));
            rest = after;
        } else {
            break;
        }
    }
    id.push_str(rest);
    (id, comments)
}

/// The text of a string literal; none for other literals.
fn string_of(source: &str) -> Option<String> {
    if let Some(raw) = source.strip_prefix('r') {
        let raw = raw.trim_matches('#');
        return Some(raw.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    }
    let inner = source.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next()? {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            '0' => text.push('\0'),
            '\n' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            'u' => {
                let code: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                text.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
            }
            other => text.push(other),
        }
    }
    Some(text)
}

//! Pieces that several rules are made of.

use super::facts::Facts;
use super::rules::answered_well;
use crate::listings::{Content, FieldKind, FormField, address};

pub fn length(text: &str, least: usize, most: usize) -> Option<String> {
    let length = text.trim().chars().count();
    (!(least..=most).contains(&length))
        .then(|| format!("It has {length} characters; {least} to {most} are asked for."))
}

pub fn plain_name(name: &str) -> Option<String> {
    let letters: Vec<char> = name.chars().filter(|c| c.is_alphabetic()).collect();
    let is_shouting = letters.len() > 4 && letters.iter().all(|c| c.is_uppercase());
    let is_plain = name
        .chars()
        .all(|c| c.is_alphanumeric() || c == ' ' || "-.&+'’:()".contains(c));
    let is_address =
        name.contains("://") || name.contains("www.") || name.to_lowercase().ends_with(".com");
    (is_shouting || !is_plain || is_address)
        .then(|| "Use plain words: letters, digits and simple punctuation.".to_owned())
}

pub fn says_the_same(summary: &str, name: &str) -> bool {
    let words = |text: &str| {
        let mut words: Vec<String> = text
            .to_lowercase()
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| word.len() > 2)
            .map(str::to_owned)
            .collect();
        words.sort_unstable();
        words.dedup();
        words
    };
    let known = words(name);
    !summary.trim().is_empty() && words(summary).iter().all(|word| known.contains(word))
}

pub fn has_html(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let is_link = after.starts_with("http") || after.starts_with("mailto:");
        let is_tag = after
            .strip_prefix('/')
            .unwrap_or(after)
            .starts_with(|c: char| c.is_ascii_alphabetic() || c == '!');
        if is_tag && !is_link && after.contains('>') {
            return true;
        }
        rest = after;
    }
    false
}

const PLACEHOLDERS: &[&str] = &[
    "lorem ipsum",
    "dolor sit amet",
    "todo",
    "tbd",
    "placeholder",
    "coming soon",
    "your text here",
    "insert text",
    "xxx",
];

pub fn placeholder(content: &Content) -> Option<String> {
    let texts = [
        ("name", &content.name),
        ("summary", &content.summary),
        ("description", &content.description),
        ("data_use", &content.data_use),
        ("pricing", &content.pricing),
    ];
    for (field, text) in texts {
        let lower = text.to_lowercase();
        let found = PLACEHOLDERS.iter().find(|mark| {
            lower.match_indices(*mark).any(|(at, _)| {
                let before = lower.get(..at).and_then(|text| text.chars().next_back());
                let after = lower
                    .get(at + mark.len()..)
                    .and_then(|text| text.chars().next());
                !before.is_some_and(char::is_alphanumeric)
                    && !after.is_some_and(char::is_alphanumeric)
            })
        });
        if let Some(found) = found {
            return Some(format!("`{field}` still says “{found}”."));
        }
    }
    None
}

pub fn languages(tags: &[String]) -> Option<String> {
    let is_tag = |tag: &String| {
        let mut parts = tag.split('-');
        parts.next().is_some_and(|first| {
            (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_lowercase())
        }) && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
    };
    match tags.iter().find(|tag| !is_tag(tag)) {
        Some(tag) => Some(format!("`{tag}` is no language tag.")),
        None => tags
            .is_empty()
            .then(|| "Name at least one language.".to_owned()),
    }
}

pub fn choices(form: &[FormField]) -> Option<String> {
    form.iter()
        .filter(|field| field.kind == FieldKind::Choice)
        .find(|field| {
            let mut choices: Vec<&str> = field.choices.iter().map(|choice| choice.trim()).collect();
            choices.sort_unstable();
            choices.dedup();
            choices.len() < 2 || choices.len() != field.choices.len() || choices.contains(&"")
        })
        .map(|field| format!("`{}` needs at least two different choices.", field.name))
}

pub fn sounds_secret(field: &FormField) -> bool {
    let text = format!("{} {}", field.name, field.label).to_lowercase();
    [
        "password",
        "secret",
        "api key",
        "api_key",
        "apikey",
        "access token",
        "private key",
    ]
    .iter()
    .any(|word| text.contains(word))
}

pub fn is_reachable(facts: &Facts, there: &address::Address) -> bool {
    address::is_public(there) || facts.allows_loopback && address::is_loopback(there)
}

/// An address of the listing that people open.
pub fn page(facts: &Facts, url: &str) -> Option<String> {
    if url.is_empty() {
        return Some("Give the address.".to_owned());
    }
    let Some(there) = address::parse(url) else {
        return Some("It is no full address.".to_owned());
    };
    let is_local = facts.allows_loopback && address::is_loopback(&there);
    if !address::is_https(url) && !is_local {
        return Some("Use https, without a user name.".to_owned());
    }
    if !is_reachable(facts, &there) {
        return Some("It leads to a private host.".to_owned());
    }
    if facts.is_unasked {
        return None;
    }
    answered_well(facts.probes.get(url)).err()
}

/// As [`page`]; but this one may redirect, which is how an installation begins.
pub fn begins_install(facts: &Facts) -> Option<String> {
    let url = &facts.content.install_url;
    match facts.probes.get(url) {
        Some(super::facts::Probe::Answered(300..=399)) => {
            let mut direct = facts.clone();
            direct
                .probes
                .insert(url.clone(), super::facts::Probe::Answered(200));
            page(&direct, url)
        }
        _ => page(facts, url),
    }
}

pub fn has_webhook(facts: &Facts) -> bool {
    !facts.content.webhook_url.is_empty() && webhook_address(facts).is_none()
}

pub fn webhook_address(facts: &Facts) -> Option<String> {
    let url = &facts.content.webhook_url;
    if url.is_empty() {
        return None;
    }
    let is_good = address::parse(url).is_some_and(|there| {
        let is_local = facts.allows_loopback && address::is_loopback(&there);
        (address::is_https(url) || is_local) && is_reachable(facts, &there)
    });
    (!is_good).then(|| "Give a public https address.".to_owned())
}

pub fn doubled(list: &[String]) -> Option<String> {
    let mut sorted: Vec<&String> = list.iter().collect();
    sorted.sort_unstable();
    sorted
        .windows(2)
        .find(|pair| pair.first() == pair.last())
        .and_then(|pair| {
            pair.first()
                .map(|text| format!("`{text}` stands there twice."))
        })
}

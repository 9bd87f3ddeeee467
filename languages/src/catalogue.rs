//! One language's texts, as tables that the build script writes: nothing is read or built at start.

/// A language.
#[derive(Debug, PartialEq, Eq)]
pub struct Catalogue {
    /// Its tag (BCP 47), in lower case: `de`.
    pub tag: &'static str,
    /// Its own name: `Deutsch`.
    pub name: &'static str,
    /// Whether it has every text.
    pub is_complete: bool,
    /// English texts with their translations, sorted by the English.
    pub texts: &'static [(&'static str, &'static str)],
    /// Texts with values in them: what stands before the first value, and the place in `texts`. Sorted.
    pub patterns: &'static [(&'static str, usize)],
}

/// English: what the templates and the program say.
pub static ENGLISH: Catalogue = Catalogue {
    tag: "en",
    name: "English",
    is_complete: true,
    texts: &[],
    patterns: &[],
};

impl Catalogue {
    /// Whether it is the language that everything is written in.
    pub fn is_english(&self) -> bool {
        self.tag == ENGLISH.tag
    }

    /// The translation of a text.
    pub fn text(&self, english: &str) -> Option<&'static str> {
        let at = self
            .texts
            .binary_search_by(|(known, _)| (*known).cmp(english))
            .ok()?;
        self.texts.get(at).map(|(_, translation)| *translation)
    }

    /// The translation of words that the program put together: a text, or one with values in it. The
    /// values stay as they are. A sentence may stand without its full stop, and two texts may be joined.
    pub fn words(&self, english: &str) -> Option<String> {
        let known = self.text(english).map(str::to_owned);
        known
            .or_else(|| self.without_stop(english))
            .or_else(|| self.state(english))
            .or_else(|| self.joined(english))
            .or_else(|| self.listed(english, "; ", true))
            .or_else(|| self.with_values(english))
            .or_else(|| self.listed(english, ", ", false))
            .or_else(|| self.before_value(english))
    }

    fn without_stop(&self, english: &str) -> Option<String> {
        let sentence = self.text(&format!("{english}."))?;
        Some(sentence.trim_end_matches('.').to_owned())
    }

    /// `given up` of the state `given_up`.
    fn state(&self, english: &str) -> Option<String> {
        self.text(&english.replace(' ', "_")).map(str::to_owned)
    }

    /// `A, value`.
    fn before_value(&self, english: &str) -> Option<String> {
        let (before, value) = english.split_once(", ")?;
        Some(format!("{}, {value}", self.text(before)?))
    }

    /// `A → B` and `A: b` of two texts that are both known.
    fn joined(&self, english: &str) -> Option<String> {
        [" → ", ": "].iter().find_map(|between| {
            let (before, behind) = english.split_once(between)?;
            let (before, behind) = (self.text(before)?, self.text(behind)?);
            Some(format!("{before}{between}{behind}"))
        })
    }

    /// Several texts, each with its own values: all of them known, or, where the rest are values, one.
    fn listed(&self, english: &str, between: &str, is_strict: bool) -> Option<String> {
        let parts: Vec<&str> = english.split(between).collect();
        let said: Vec<Option<String>> = parts.iter().map(|part| self.piece(part)).collect();
        let is_whole = |(part, said): (&&str, &Option<String>)| {
            said.is_some() || !is_strict && !part.contains(' ')
        };
        let is_known = parts.len() > 1
            && said.iter().any(Option::is_some)
            && parts.iter().zip(&said).all(is_whole);
        let shown = |(part, said): (&&str, Option<String>)| said.unwrap_or_else(|| (*part).into());
        is_known.then(|| {
            let shown: Vec<String> = parts.iter().zip(said).map(shown).collect();
            shown.join(between)
        })
    }

    fn piece(&self, english: &str) -> Option<String> {
        let known = self.text(english).map(str::to_owned);
        known.or_else(|| self.with_values(english))
    }

    /// A value in lower case may be words itself: `By {0}` with `day`.
    fn value(&self, value: &str) -> String {
        let is_lower = value.starts_with(|c: char| c.is_ascii_lowercase());
        let said = if is_lower { self.text(value) } else { None };
        said.unwrap_or(value).to_owned()
    }

    fn with_values(&self, english: &str) -> Option<String> {
        let first = english.chars().next()?;
        let start = self
            .patterns
            .partition_point(|(chunk, _)| chunk.chars().next() < Some(first));
        let same = self.patterns.get(start..).unwrap_or_default().iter();
        let begins_alike = same.take_while(|(chunk, _)| chunk.starts_with(first));
        let any = self
            .patterns
            .iter()
            .take_while(|(chunk, _)| chunk.is_empty());
        begins_alike
            .chain(any)
            .filter(|(chunk, _)| english.starts_with(chunk))
            .filter_map(|(_, at)| self.texts.get(*at))
            .filter_map(|(pattern, translation)| {
                let values = values_of(pattern, english)?;
                let weight: usize = values.iter().map(|value| value.len()).sum();
                // `{0} of {1}` is no sentence that someone wrote with an `of` in it.
                let is_slight = letters_of(english) < LEAST_LETTERS + letters_of_all(&values);
                let is_free = |value: &&str| words_of(value) > 3 || value.contains(", ");
                let is_prose = is_slight && values.iter().any(is_free);
                (!is_prose).then_some((weight, values, translation))
            })
            .min_by_key(|(weight, ..)| *weight)
            .map(|(_, values, translation)| {
                let values: Vec<String> = values.iter().map(|value| self.value(value)).collect();
                put(translation, &values)
            })
    }

    /// As [`Catalogue::words`], or the English.
    pub fn say(&self, english: &str) -> String {
        if self.is_english() {
            return english.to_owned();
        }
        self.words(english).unwrap_or_else(|| english.to_owned())
    }
}

/// With fewer letters of its own a pattern fits too much.
const LEAST_LETTERS: usize = 4;

fn letters_of(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphabetic()).count()
}

fn letters_of_all(values: &[&str]) -> usize {
    values.iter().map(|value| letters_of(value)).sum()
}

fn words_of(text: &str) -> usize {
    let words = text.split_whitespace();
    words
        .filter(|word| word.starts_with(char::is_alphabetic))
        .count()
}

/// The number in braces that this text begins with, and what follows.
fn hole(text: &str) -> Option<(usize, &str)> {
    let (number, behind) = text.strip_prefix('{')?.split_once('}')?;
    Some((number.parse().ok()?, behind))
}

/// What stands before the next `{0}`, its number and what follows; everything if there is none.
fn chunk(pattern: &str) -> (&str, Option<(usize, &str)>) {
    let mut from = 0;
    while let Some(step) = pattern.get(from..).and_then(|rest| rest.find('{')) {
        let (before, behind) = pattern.split_at(from + step);
        if let Some(found) = hole(behind) {
            return (before, Some(found));
        }
        from += step + 1;
    }
    (pattern, None)
}

/// What stands before the first value, if there is a value.
pub fn first_chunk(pattern: &str) -> Option<&str> {
    match chunk(pattern) {
        (before, Some(_)) => Some(before),
        _ => None,
    }
}

/// The values that make this pattern the text, in the order of their numbers.
fn values_of<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let (first, mut next) = chunk(pattern);
    let mut rest = text.strip_prefix(first)?;
    let mut values: Vec<(usize, &str)> = Vec::new();
    while let Some((number, behind)) = next {
        let (literal, after) = chunk(behind);
        let end = match (literal.is_empty(), after.is_some()) {
            // The last literal must end the text.
            (_, false) => rest.len() - rest.strip_suffix(literal).map(|_| literal.len())?,
            (true, true) => 0,
            (false, true) => rest.find(literal)?,
        };
        let (value, behind_value) = rest.split_at_checked(end)?;
        values.push((number, value));
        rest = behind_value.strip_prefix(literal)?;
        next = after;
    }
    values.sort_by_key(|(number, _)| *number);
    rest.is_empty()
        .then(|| values.into_iter().map(|(_, value)| value).collect())
}

fn put(translation: &str, values: &[String]) -> String {
    let mut text = String::with_capacity(translation.len() + 16);
    let mut rest = translation;
    loop {
        let (before, found) = chunk(rest);
        text.push_str(before);
        let Some((number, behind)) = found else {
            return text;
        };
        text.push_str(values.get(number).map_or("", String::as_str));
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static GERMAN: Catalogue = Catalogue {
        tag: "de",
        name: "Deutsch",
        is_complete: true,
        texts: &[
            ("Active", "Aktiv"),
            ("It is done.", "Es ist getan."),
            ("Try again in {0} seconds.", "In {0} Sekunden noch einmal."),
            ("day", "Tag"),
            ("given_up", "aufgegeben"),
            ("one of {0}", "eines von {0}"),
            ("text", "Text"),
            ("{0} days, {1} hours", "{1} Stunden und {0} Tage"),
            ("{0} days, {1} hours left", "noch {0} Tage"),
            ("{0} of {1}", "{0} von {1}"),
        ],
        patterns: &[
            ("", 7),
            ("", 8),
            ("", 9),
            ("Try again in ", 2),
            ("one of ", 5),
        ],
    };

    #[test]
    fn words_with_values_in_them_are_found_by_their_pattern() {
        let said = |english| GERMAN.words(english);
        assert_eq!(said("Active").as_deref(), Some("Aktiv"));
        assert_eq!(
            said("Try again in 30 seconds.").as_deref(),
            Some("In 30 Sekunden noch einmal.")
        );
        assert_eq!(
            said("2 days, 3 hours").as_deref(),
            Some("3 Stunden und 2 Tage")
        );
        assert_eq!(said("2 days, 3 hours left").as_deref(), Some("noch 2 Tage"));
        assert_eq!(said("Try again in 30 minutes."), None);
        assert_eq!(said(""), None);
        assert_eq!(GERMAN.say("Unknown"), "Unknown");
        assert_eq!(ENGLISH.say("Active"), "Active");
        assert_eq!(said("Active → Active").as_deref(), Some("Aktiv → Aktiv"));
        assert_eq!(said("Active → Unknown"), None);
        assert_eq!(said("Active, UTC").as_deref(), Some("Aktiv, UTC"));
        assert_eq!(said("3 of 4").as_deref(), Some("3 von 4"));
        assert_eq!(said("1 of day").as_deref(), Some("1 von Tag"));
        assert_eq!(said("To copy orders of your shop as they come in."), None);
        let listed = said("text, one of paid, shipped, at_most_3");
        assert_eq!(
            listed.as_deref(),
            Some("Text, eines von paid, shipped, at_most_3")
        );
        let before = said("text, one thing, or two");
        assert_eq!(before.as_deref(), Some("Text, one thing, or two"));
        assert_eq!(
            said("Active; It is done.").as_deref(),
            Some("Aktiv; Es ist getan.")
        );
        assert_eq!(said("given up").as_deref(), Some("aufgegeben"));
        assert_eq!(said("It is done").as_deref(), Some("Es ist getan"));
    }
}

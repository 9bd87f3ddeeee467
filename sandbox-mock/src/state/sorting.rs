//! The order in which a list is asked for: `sort=name`, `sort=-created_at`, `order_by=name desc`.

use crate::json::Value;
use crate::text::plain_name;
use std::cmp::Ordering;

/// Query parameters that name the member to sort by.
pub(super) const SORTS: [&str; 6] = [
    "sort",
    "sortby",
    "orderby",
    "ordering",
    "sortfield",
    "sortkey",
];

/// By which member, and which way where the text says that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sorting {
    member: String,
    descending: Option<bool>,
}

impl Sorting {
    pub(super) fn read(text: &str) -> Option<Sorting> {
        // Of several members the first one counts.
        let text = text.split(',').next().unwrap_or("").trim();
        let (text, mut descending) = match text.strip_prefix('-') {
            Some(text) => (text, Some(true)),
            None => (text.strip_prefix('+').unwrap_or(text), None),
        };
        let end = text.rfind([' ', ':', '.', '_', '-']);
        let (before, word) = end
            .and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?)))
            .unwrap_or((text, ""));
        let name = match word.to_ascii_lowercase().as_str() {
            "asc" | "ascending" => {
                descending = Some(false);
                before
            }
            "desc" | "descending" => {
                descending = Some(true);
                before
            }
            _ => text,
        };
        let member = plain_name(name);
        (!member.is_empty()).then_some(Sorting { member, descending })
    }

    /// Sorts; `descending` is what another parameter says. What has no such member comes last.
    pub(super) fn sort(&self, descending: bool, items: &mut [(String, Value)]) {
        let descending = self.descending.unwrap_or(descending);
        items.sort_by(|(_, a), (_, b)| match (self.of(a), self.of(b)) {
            (Some(a), Some(b)) if descending => compare(b, a),
            (Some(a), Some(b)) => compare(a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
    }

    fn of<'v>(&self, entity: &'v Value) -> Option<&'v Value> {
        let mut members = entity.as_object()?.iter();
        let found = members.find(|(name, _)| plain_name(name) == self.member);
        found
            .map(|(_, value)| value)
            .filter(|value| **value != Value::Null)
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64(), a.as_str(), b.as_str()) {
        (Some(a), Some(b), ..) => a.total_cmp(&b),
        (.., Some(a), Some(b)) => a.to_lowercase().cmp(&b.to_lowercase()),
        _ => a.to_string().cmp(&b.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_spellings_of_an_order_are_read() {
        let of = |text| Sorting::read(text).map(|sorting| (sorting.member, sorting.descending));
        for (text, member, descending) in [
            ("name", "name", None),
            ("-created_at", "createdat", Some(true)),
            ("+name", "name", None),
            ("created_at", "createdat", None),
            ("name:desc", "name", Some(true)),
            ("name desc,id", "name", Some(true)),
            ("created_at_asc", "createdat", Some(false)),
        ] {
            assert_eq!(of(text), Some((member.to_owned(), descending)), "{text}");
        }
        assert_eq!(of(""), None);
        assert_eq!(of("-"), None);
    }
}

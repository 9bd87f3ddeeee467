//! URL-encoded forms, with the bracket spelling of nested members (`a[b][0]=c`).

/// What a form, a query or XML holds before its types are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    Text(String),
    Many(Vec<Raw>),
    Fields(Vec<(String, Raw)>),
}

const MOST_PAIRS: usize = 10_000;
const MAX_DEPTH: usize = 20;

impl Raw {
    pub(crate) fn field(&self, name: &str) -> Option<&Raw> {
        match self {
            Raw::Fields(fields) => fields
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, raw)| raw),
            _ => None,
        }
    }

    fn insert(&mut self, path: &[&str], value: Raw) {
        let Some((name, rest)) = path.split_first() else {
            *self = match std::mem::replace(self, Raw::Fields(Vec::new())) {
                Raw::Fields(fields) if fields.is_empty() => value,
                Raw::Many(mut values) => {
                    values.push(value);
                    Raw::Many(values)
                }
                other => Raw::Many(vec![other, value]),
            };
            return;
        };
        // `a[]=1&a[]=2`: every empty name is a new entry.
        if name.is_empty() {
            let mut entry = Raw::Fields(Vec::new());
            entry.insert(rest, value);
            match self {
                Raw::Many(entries) => entries.push(entry),
                _ => *self = Raw::Many(vec![entry]),
            }
            return;
        }
        if !matches!(self, Raw::Fields(_)) {
            *self = Raw::Fields(Vec::new());
        }
        if let Raw::Fields(fields) = self {
            if let Some((_, known)) = fields.iter_mut().find(|(known, _)| known == name) {
                known.insert(rest, value);
                return;
            }
            let mut entry = Raw::Fields(Vec::new());
            entry.insert(rest, value);
            fields.push(((*name).to_owned(), entry));
        }
    }
}

/// The pairs of a form or query, decoded.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    super::split_pairs(text).take(MOST_PAIRS).collect()
}

/// Pairs as a tree.
pub(crate) fn tree(pairs: &[(String, String)]) -> Raw {
    tree_of(
        pairs
            .iter()
            .map(|(name, value)| (name.as_str(), Raw::Text(value.clone()))),
    )
}

pub(crate) fn tree_of<'p>(pairs: impl Iterator<Item = (&'p str, Raw)>) -> Raw {
    let mut root = Raw::Fields(Vec::new());
    for (name, value) in pairs.take(MOST_PAIRS) {
        root.insert(&path(name), value);
    }
    root
}

fn path(name: &str) -> Vec<&str> {
    let Some((first, rest)) = name
        .split_once('[')
        .filter(|(first, _)| !first.is_empty() && name.ends_with(']'))
    else {
        return vec![name];
    };
    let rest = rest.strip_suffix(']').unwrap_or(rest);
    let mut parts = vec![first];
    parts.extend(rest.split("][").take(MAX_DEPTH));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_nest() {
        let raw = tree(&pairs(
            "a[b][c]=1&a[b][d]=x+y&l[]=1&l[]=2&m=1&m=2&n[0]=z&e=",
        ));
        assert_eq!(
            raw.field("a").unwrap().field("b").unwrap().field("d"),
            Some(&Raw::Text("x y".to_owned()))
        );
        assert_eq!(
            raw.field("l"),
            Some(&Raw::Many(vec![
                Raw::Text("1".to_owned()),
                Raw::Text("2".to_owned())
            ]))
        );
        assert_eq!(raw.field("m"), raw.field("l"));
        assert_eq!(
            raw.field("n").unwrap().field("0"),
            Some(&Raw::Text("z".to_owned()))
        );
        assert_eq!(raw.field("e"), Some(&Raw::Text(String::new())));
    }

    #[test]
    fn hostile_forms_are_read_without_harm() {
        for text in [
            "a[=1",
            "[]=1",
            "a]b[c=1",
            "&&&=&==",
            "a[][][]=1&a=2&a[b]=3",
            &"a[b]".repeat(1000),
            "%ff=%fe",
        ] {
            let _ = tree(&pairs(text));
        }
    }
}

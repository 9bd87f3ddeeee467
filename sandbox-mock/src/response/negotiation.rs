//! Content negotiation (RFC 9110, section 12.5.1).

use crate::operation::MediaType;
use crate::validation::request::{essence, is_json};

/// The media type to answer in, or `None` when the client accepts none of them.
pub(crate) fn choose<'m>(content: &'m [MediaType], accept: Option<&str>) -> Option<&'m MediaType> {
    let usual = content
        .iter()
        .find(|media| is_json(&media.name))
        .or_else(|| content.first());
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
        return usual;
    };
    let mut best: Option<(&MediaType, f32, u8)> = None;
    for media in content {
        let (specificity, quality) = quality(accept, &media.name);
        let better = match best {
            None => quality > 0.0,
            Some((known, known_quality, known_specificity)) => {
                // What is named itself before what a range covers, and then JSON before the rest.
                let rank = (specificity == EXACT, is_json(&media.name));
                let known_rank = (known_specificity == EXACT, is_json(&known.name));
                quality > known_quality || (quality == known_quality && rank > known_rank)
            }
        };
        if better {
            best = Some((media, quality, specificity));
        }
    }
    best.map(|(media, ..)| media)
}

/// The specificity of a range that names the media type itself.
const EXACT: u8 = 4;

/// How much a client wants a media type: the most specific range that covers it, and its weight.
fn quality(accept: &str, name: &str) -> (u8, f32) {
    let name = essence(name);
    let class = name.split('/').next().unwrap_or("");
    let mut best = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let wanted = parts.next().unwrap_or("").to_ascii_lowercase();
        let weight: f32 = parts
            .filter_map(|parameter| parameter.strip_prefix("q="))
            .find_map(|weight| weight.parse().ok())
            .unwrap_or(1.0);
        let specificity = if wanted == name {
            EXACT
        } else if is_json(&wanted) && is_json(name) {
            3
        } else if wanted
            .strip_suffix("/*")
            .is_some_and(|wanted| wanted == class && !class.is_empty())
            || (name.ends_with("/*") && wanted.starts_with(class))
        {
            2
        } else if wanted == "*/*" || wanted == "*" || name == "*/*" {
            1
        } else {
            continue;
        };
        if specificity > best.0 {
            best = (specificity, weight);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Option<String> {
        let content: Vec<MediaType> = ["application/xml", "application/json", "text/csv"]
            .iter()
            .map(|name| MediaType {
                name: (*name).to_owned(),
                ..MediaType::default()
            })
            .collect();
        choose(&content, Some(accept)).map(|media| media.name.clone())
    }

    #[test]
    fn the_most_wanted_type_is_answered() {
        assert_eq!(chosen("*/*").as_deref(), Some("application/json"));
        assert_eq!(
            chosen("application/xml").as_deref(),
            Some("application/xml")
        );
        assert_eq!(
            chosen("application/json;q=0.1, text/*;q=0.5").as_deref(),
            Some("text/csv")
        );
        assert_eq!(
            chosen("application/vnd.api+json").as_deref(),
            Some("application/json")
        );
        assert_eq!(chosen("image/png"), None);
        assert_eq!(chosen("application/json;q=0"), None);
    }
}

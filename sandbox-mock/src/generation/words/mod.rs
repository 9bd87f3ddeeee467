//! What fields of certain names and formats usually hold.
//!
//! Owns the vocabulary. It only proposes; whether a proposal follows the schema is checked by the caller.

mod dates;
mod numbers;

pub(crate) use dates::date_time;
pub(super) use numbers::number;

use crate::random::Random;
use crate::schema::Format;
use crate::text::{Words, words as words_of};
use dates::{date, date_rank, mail_date, time};

const FIRST: [&str; 16] = [
    "Amara", "Ben", "Chiara", "Diego", "Elif", "Femi", "Grace", "Hiro", "Ines", "Jonas", "Kavya",
    "Liam", "Maya", "Noor", "Oskar", "Priya",
];
const LAST: [&str; 16] = [
    "Adeyemi",
    "Berg",
    "Costa",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Hughes",
    "Ivanova",
    "Jansen",
    "Kaya",
    "Lindqvist",
    "Moreau",
    "Novak",
    "Okafor",
    "Patel",
];
const COMPANIES: [&str; 10] = [
    "Northwind Labs",
    "Brightwater",
    "Cedar & Finch",
    "Halcyon Goods",
    "Juniper Works",
    "Lumen Supply",
    "Oakline",
    "Pinecrest Foods",
    "Solstice Media",
    "Tidewater Tools",
];
const CITIES: [&str; 10] = [
    "Lisbon", "Utrecht", "Leeds", "Bergen", "Graz", "Lyon", "Tampere", "Bologna", "Gdansk", "Porto",
];
const STREETS: [&str; 8] = [
    "Harbour Street",
    "Mill Lane",
    "Station Road",
    "Orchard Way",
    "Kings Avenue",
    "Bridge Street",
    "Elm Close",
    "Market Square",
];
const PRODUCTS: [&str; 10] = [
    "Desk lamp",
    "Travel mug",
    "Linen notebook",
    "Wool blanket",
    "Oak tray",
    "Canvas bag",
    "Ceramic bowl",
    "Garden shears",
    "Wall clock",
    "Tea kettle",
];
const SENTENCES: [&str; 6] = [
    "Reviewed and approved by the team.",
    "Created for the spring campaign.",
    "Please handle with care.",
    "Delivered to the front desk.",
    "Updated after the last conversation.",
    "Agreed with the customer by telephone.",
];
const NOUNS: [&str; 12] = [
    "amber", "birch", "cobalt", "delta", "ember", "fjord", "garnet", "harbour", "indigo",
    "juniper", "kestrel", "lagoon",
];

fn pick(random: &mut Random, list: &[&str]) -> String {
    random
        .pick(list)
        .map_or_else(String::new, |word| (*word).to_owned())
}

const WRAPPERS: [&str; 8] = [
    "data",
    "attributes",
    "result",
    "results",
    "response",
    "item",
    "items",
    "payload",
];

/// What an object is: its own name, unless that only says that something is wrapped.
pub(super) fn carrier<'p>(name: &'p str, parent: &'p str) -> &'p str {
    if WRAPPERS.contains(&name) && !parent.is_empty() {
        parent
    } else {
        name
    }
}

/// `true` for what is usually on.
pub(super) fn truth(name: &str) -> bool {
    const OFF: [&str; 18] = [
        "deleted",
        "archived",
        "disabled",
        "blocked",
        "locked",
        "cancelled",
        "canceled",
        "closed",
        "expired",
        "failed",
        "suspended",
        "more",
        "truncated",
        "livemode",
        "private",
        "fork",
        "trashed",
        "hidden",
    ];
    !words_of(name).has_one_of(&OFF)
}

/// A usual text for a field. `second` is the time of the thing it belongs to.
pub(super) fn string(
    name: &str,
    parent: &str,
    format: Format,
    second: i64,
    random: &mut Random,
) -> String {
    let words = words_of(name);
    let moment = || second + date_rank(&words);
    let host = || "example.com".to_owned();
    match format {
        Format::DateTime => return date_time(moment()),
        Format::Date => return date(moment()),
        Format::Time => return time(moment()) + "Z",
        Format::MailDate => return mail_date(moment()),
        Format::UnixTime => return moment().to_string(),
        Format::Duration => return format!("PT{}M", 5 + random.below(50)),
        Format::Email => return email(random),
        Format::Hostname => return format!("{}.{}", pick(random, &NOUNS), host()),
        Format::Ipv4 => return format!("192.0.2.{}", 1 + random.below(250)),
        Format::Ipv6 => return format!("2001:db8::{:x}", 1 + random.below(60_000)),
        Format::Uri | Format::UriReference => return uri(&words, random),
        Format::UriTemplate => {
            return format!("https://{}/{}/{{id}}", host(), pick(random, &NOUNS));
        }
        Format::Uuid => return uuid(random),
        Format::JsonPointer => return format!("/{}", pick(random, &NOUNS)),
        Format::Regex => return "^[a-z]+$".to_owned(),
        Format::Byte => return "UG9ydGljbyBzYW5kYm94".to_owned(),
        Format::Decimal => return format!("{}.{:02}", 1 + random.below(500), random.below(100)),
        Format::Phone => return phone(random),
        Format::Country => return pick(random, &["NL", "PT", "NO", "FR", "AT"]),
        Format::Currency => return pick(random, &["EUR", "USD", "GBP"]),
        Format::HttpMethod => return pick(random, &["GET", "POST"]),
        Format::Password => {
            return format!(
                "{}-{}-{}",
                pick(random, &NOUNS),
                pick(random, &NOUNS),
                random.below(100)
            );
        }
        Format::Language => return pick(random, &["en-GB", "fr-FR", "nl-NL"]),
        Format::Colour => return format!("#{:06x}", random.below(0x0100_0000)),
        Format::TimeZone => {
            return pick(random, &["Europe/Lisbon", "Europe/Oslo", "Europe/Vienna"]);
        }
        Format::Binary => return "Portico sandbox file\n".to_owned(),
        Format::None | Format::Int32 | Format::Int64 => {}
    }
    by_name(&words, parent, second, random)
}

const PEOPLE: [&str; 12] = [
    "customer",
    "user",
    "person",
    "contact",
    "owner",
    "author",
    "member",
    "employee",
    "recipient",
    "holder",
    "assignee",
    "sender",
];

fn by_name(words: &Words, parent: &str, second: i64, random: &mut Random) -> String {
    let last = words.last();
    let of = |list: &[&str]| words.has_one_of(list) || words_of(parent).has_one_of(list);
    match words.joined() {
        "firstname" | "givenname" => return pick(random, &FIRST),
        "lastname" | "familyname" | "surname" => return pick(random, &LAST),
        "fullname" | "displayname" | "realname" => {
            return format!("{} {}", pick(random, &FIRST), pick(random, &LAST));
        }
        "username" | "login" | "handle" | "screenname" => {
            return format!("{}{}", pick(random, &NOUNS), random.below(100));
        }
        "line1" | "address1" | "street" | "streetaddress" | "addressline1" => {
            return format!("{} {}", 1 + random.below(180), pick(random, &STREETS));
        }
        "line2" | "address2" => return format!("Flat {}", 1 + random.below(30)),
        "postalcode" | "postcode" | "zip" | "zipcode" => {
            return format!("{}", 10_000 + random.below(89_999));
        }
        "countrycode" | "country" => return "NL".to_owned(),
        "sku" => {
            return format!(
                "{}-{:04}",
                pick(random, &NOUNS).to_uppercase(),
                random.below(10_000)
            );
        }
        "useragent" => return "Mozilla/5.0 (compatible; ExampleClient/1.0)".to_owned(),
        "mimetype" | "contenttype" | "mediatype" => return "application/json".to_owned(),
        "filename" => return format!("{}.pdf", pick(random, &NOUNS)),
        "ip" | "ipaddress" => return format!("192.0.2.{}", 1 + random.below(250)),
        "version" | "apiversion" => {
            return format!("{}.{}.0", 1 + random.below(4), random.below(10));
        }
        "trackingnumber" => return random.text(b"ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", 14),
        _ => {}
    }
    match last {
        "name" | "label" if of(&["city"]) => pick(random, &CITIES),
        "name" if of(&PEOPLE) => format!("{} {}", pick(random, &FIRST), pick(random, &LAST)),
        "name" | "company" | "organisation" | "organization"
            if of(&[
                "company",
                "organisation",
                "organization",
                "merchant",
                "business",
                "vendor",
                "supplier",
                "team",
            ]) =>
        {
            pick(random, &COMPANIES)
        }
        "name" | "title" if of(&["product", "item", "sku", "article", "pet"]) => {
            pick(random, &PRODUCTS)
        }
        "name" | "title" | "label" | "nickname" => format!(
            "{} {}",
            capital(&pick(random, &NOUNS)),
            Some(words_of(parent).last())
                .filter(|word| !word.is_empty())
                .unwrap_or("record")
        ),
        "email" | "mail" => email(random),
        "phone" | "mobile" | "telephone" | "fax" => phone(random),
        "city" | "town" => pick(random, &CITIES),
        "state" | "region" | "province" if of(&["address", "location", "billing", "shipping"]) => {
            "Noord-Holland".to_owned()
        }
        "country" => "NL".to_owned(),
        "currency" => "EUR".to_owned(),
        "language" | "locale" | "lang" => "en-GB".to_owned(),
        "timezone" => "Europe/Lisbon".to_owned(),
        "url" | "uri" | "href" | "link" | "website" | "homepage" | "webhook" => uri(words, random),
        "company" | "organisation" | "organization" => pick(random, &COMPANIES),
        "description" | "note" | "notes" | "comment" | "comments" | "memo" | "bio" | "text"
        | "body" | "content" | "reason" | "message" | "subject" | "summary" | "details"
        | "detail" => pick(random, &SENTENCES),
        "at" | "date" | "timestamp" | "time" | "on" => date_time(second + date_rank(words)),
        "id" | "sid" | "key" | "token" | "ref" | "reference" | "code" | "secret" | "cursor"
        | "hash" | "sha" | "etag" | "guid" | "uuid" => {
            let parents = words_of(parent);
            let prefix: String = words
                .iter()
                .rev()
                .nth(1)
                .or(parents.iter().next_back())
                .unwrap_or("obj")
                .chars()
                .take(4)
                .collect();
            format!(
                "{prefix}_{}",
                random.text(
                    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                    14
                )
            )
        }
        "colour" | "color" => format!("#{:06x}", random.below(0x0100_0000)),
        "amount" | "price" | "total" | "balance" | "cost" => {
            format!("{}.{:02}", 5 + random.below(400), random.below(100))
        }
        _ if words.has("url") || words.has("uri") => uri(words, random),
        _ if words.has("email") => email(random),
        _ => pick(random, &NOUNS),
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

fn email(random: &mut Random) -> String {
    format!(
        "{}.{}@example.com",
        pick(random, &FIRST).to_lowercase(),
        pick(random, &LAST).to_lowercase()
    )
}

fn phone(random: &mut Random) -> String {
    // Numbers kept for fiction by Ofcom.
    format!("+447700900{:03}", random.below(1_000))
}

fn uri(words: &Words, random: &mut Random) -> String {
    let path: Vec<&str> = words
        .iter()
        .filter(|word| !matches!(*word, "url" | "uri" | "href" | "link"))
        .collect();
    let images = ["image", "avatar", "logo", "photo", "icon", "thumbnail"];
    let ending = if words.has_one_of(&images) {
        ".png"
    } else {
        ""
    };
    let start = if path.is_empty() {
        String::new()
    } else {
        format!("{}/", path.join("-"))
    };
    format!(
        "https://example.com/{start}{}{}{ending}",
        pick(random, &NOUNS),
        random.below(1_000)
    )
}

fn uuid(random: &mut Random) -> String {
    let (high, low) = (random.next(), random.next());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 48) & 0x3fff,
        low & 0xffff_ffff_ffff
    )
}

/// A text of exactly the length that is asked for, for formats whose usual text is too long or too short.
pub(super) fn fitted(
    format: Format,
    min: usize,
    max: Option<usize>,
    random: &mut Random,
) -> Option<String> {
    let max = max.unwrap_or(min.max(40));
    let (start, end) = match format {
        Format::Email => ("", "@example.com"),
        Format::Uri | Format::UriReference => ("https://example.com/", ""),
        Format::Byte => {
            let length = min.div_ceil(4) * 4;
            return (length <= max).then(|| {
                random.text(
                    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                    length,
                )
            });
        }
        _ => return None,
    };
    let (start, end) = if max < start.len() + end.len() + 1 {
        if format == Format::Email {
            ("", "@a.co")
        } else {
            ("a:", "")
        }
    } else {
        (start, end)
    };
    let fixed = start.len() + end.len();
    let length = min.saturating_sub(fixed).max(1);
    (fixed + length <= max).then(|| {
        format!(
            "{start}{}{end}",
            random.text(b"abcdefghijklmnopqrstuvwxyz", length)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_dates_have_later_names() {
        let mut random = Random::new(1);
        let mut of = |name: &str| string(name, "", Format::DateTime, 1_750_000_000, &mut random);
        let (created, updated, expires) = (of("created_at"), of("updatedAt"), of("expires_at"));
        assert!(created < updated && updated < expires);
    }

    #[test]
    fn a_field_looks_like_its_name() {
        let mut random = Random::new(1);
        let mut of = |name: &str, parent: &str| {
            string(name, parent, Format::None, 1_750_000_000, &mut random)
        };
        assert!(of("email", "customer").contains('@'));
        assert!(of("name", "customer").contains(' '));
        assert!(of("image_url", "product").ends_with(".png"));
        assert!(of("phone", "contact").starts_with('+'));
    }
}

//! What the operator sets, what is allowed, and what pages show of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::colour::{Colour, DARK_SHEET, LIGHT_PAPER, READABLE};
use crate::configuration::Configuration;
use crate::web::{FieldError, languages, response};

/// A logo is at most so long.
const LONGEST_LOGO_BYTES: usize = 32 * 1024;
const MOST_LINKS: usize = 6;
/// The accent of the stylesheet on a light page.
const ACCENT: &str = "#1d5b52";

/// A link at the foot of every page: imprint, privacy, terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FooterLink {
    /// What it says.
    pub label: String,
    /// `https://…`, `mailto:…` or a path of the portal.
    pub href: String,
}

/// The brand as the operator sets it. Empty members leave what the configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BrandSettings {
    /// The programme's name on pages and in mails.
    pub name: String,
    /// The logo, an SVG document without scripts and foreign addresses.
    pub logo_svg: String,
    /// The colour of links and buttons, `#rrggbb`.
    pub accent: String,
    /// The same on a dark page; empty: made from `accent`.
    pub accent_dark: String,
    /// The sender of mails, `partners@example.com` or `Partners <partners@example.com>`.
    pub mail_from: String,
    /// Lines at the foot of every page: who runs the programme, where.
    pub legal: String,
    /// Links beside them.
    pub links: Vec<FooterLink>,
    /// The language of those whose browser asks for none of the portal's: `de`. Empty: English.
    pub language: String,
}

impl BrandSettings {
    /// What is wrong, by field; nothing if all may stand.
    pub fn problems(&self) -> Vec<FieldError> {
        let mut problems = Vec::new();
        let mut wrong = |field: &str, code: &str, detail: String| {
            problems.push(FieldError {
                field: field.to_owned(),
                code: code.to_owned(),
                detail,
            });
        };
        if self.name.chars().count() > 60 {
            wrong("name", "too_long", "At most 60 characters.".to_owned());
        }
        if let Some(detail) = logo_problem(&self.logo_svg) {
            wrong("logo_svg", "malformed", detail);
        }
        for (field, text, behind, page) in [
            ("accent", &self.accent, LIGHT_PAPER, "light"),
            ("accent_dark", &self.accent_dark, DARK_SHEET, "dark"),
        ] {
            if text.is_empty() {
                continue;
            }
            let Some(colour) = Colour::parse(text) else {
                wrong(field, "malformed", "Give six digits: #1d5b52.".to_owned());
                continue;
            };
            let contrast = colour.contrast(behind);
            if contrast < READABLE {
                wrong(
                    field,
                    "low_contrast",
                    format!(
                        "Links in this colour cannot be read on the {page} page: contrast {contrast:.1}, needed {READABLE}. Choose a {} one.",
                        if page == "light" { "darker" } else { "lighter" }
                    ),
                );
            }
        }
        if !self.mail_from.is_empty() && !is_sender(&self.mail_from) {
            wrong(
                "mail_from",
                "malformed",
                "Give an address, or a name and an address: Partners <partners@example.com>."
                    .to_owned(),
            );
        }
        if self.legal.chars().count() > 600 {
            wrong("legal", "too_long", "At most 600 characters.".to_owned());
        }
        if !self.language.is_empty() && !languages::all().any(|one| one.tag == self.language) {
            let tags: Vec<&str> = languages::all().map(|one| one.tag).collect();
            let detail = format!("Give one of {}, or nothing.", tags.join(", "));
            wrong("language", "unknown_value", detail);
        }
        if self.links.len() > MOST_LINKS {
            wrong("links", "too_many", format!("At most {MOST_LINKS} links."));
        }
        if let Some((number, link)) = (1..).zip(&self.links).find(|(_, link)| !is_link(link)) {
            wrong(
                "links",
                "malformed",
                format!(
                    "Line {number} ({}): give a label, a bar and an address that starts with https://, mailto: or /.",
                    link.label
                ),
            );
        }
        problems
    }
}

/// Why a logo may not stand. It is only ever shown as an image, where browsers run nothing; this keeps
/// out what would not work there or would call elsewhere.
fn logo_problem(svg: &str) -> Option<String> {
    let svg = svg.trim();
    if svg.is_empty() {
        return None;
    }
    if svg.len() > LONGEST_LOGO_BYTES {
        return Some(format!(
            "At most {LONGEST_LOGO_BYTES} bytes; this has {}.",
            svg.len()
        ));
    }
    let lower = svg.to_ascii_lowercase();
    if !(lower.starts_with("<svg") || lower.starts_with("<?xml")) || !lower.ends_with("</svg>") {
        return Some("Give an SVG document: it starts with <svg and ends with </svg>.".to_owned());
    }
    [
        "<script",
        "<foreignobject",
        "javascript:",
        "<!entity",
        "url(http",
        "href=\"http",
        "href='http",
    ]
    .iter()
    .find(|part| lower.contains(**part))
    .map(|part| format!("The logo has `{part}`, which may not be in it."))
}

fn is_sender(text: &str) -> bool {
    let address = match text.split_once('<') {
        Some((_, rest)) => match rest.strip_suffix('>') {
            Some(address) => address,
            None => return false,
        },
        None => text,
    };
    let plain = !text.chars().any(char::is_control) && !address.contains(char::is_whitespace);
    plain
        && matches!(address.split_once('@'), Some((local, host)) if !local.is_empty() && host.len() > 2)
}

fn is_link(link: &FooterLink) -> bool {
    !link.label.is_empty()
        && !link.href.contains(char::is_whitespace)
        && (link.href.starts_with("https://")
            || link.href.starts_with("mailto:")
            || response::is_own_path(&link.href))
}

/// The brand as pages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// The programme's name.
    pub name: String,
    /// The logo's name under `/assets/`; empty if there is none.
    pub logo: String,
    /// The stylesheet's name under `/assets/`; empty if there is none.
    pub stylesheet: String,
    /// The lines at the foot.
    pub legal: String,
    /// The links at the foot.
    pub links: Vec<FooterLink>,
    /// The sender of mails.
    pub mail_from: String,
    /// The programme's language; empty for English.
    pub language: String,
    accent: String,
    logo_svg: String,
    css: String,
}

impl Brand {
    /// The settings, with the configuration where they are silent.
    pub fn new(configuration: &Configuration, settings: &BrandSettings) -> Self {
        let or = |text: &str, variable: &str| {
            if text.is_empty() {
                configuration.get(variable).to_owned()
            } else {
                text.to_owned()
            }
        };
        let css = stylesheet(settings);
        Self {
            name: or(&settings.name, "programme_name"),
            logo: asset_name("logo", &settings.logo_svg, "svg"),
            stylesheet: asset_name("brand", &css, "css"),
            legal: settings.legal.clone(),
            links: settings.links.clone(),
            language: settings.language.clone(),
            mail_from: or(&settings.mail_from, "email_from"),
            accent: Colour::parse(&settings.accent).map_or_else(|| ACCENT.to_owned(), Colour::css),
            logo_svg: settings.logo_svg.clone(),
            css,
        }
    }

    /// The colour of links on a light page.
    pub fn accent(&self) -> &str {
        &self.accent
    }

    /// A file under `/assets/` that belongs to the brand: its media type and content.
    pub fn asset(&self, name: &str) -> Option<(&'static str, String)> {
        if name.is_empty() {
            None
        } else if name == self.stylesheet {
            Some(("text/css; charset=utf-8", self.css.clone()))
        } else if name == self.logo {
            Some(("image/svg+xml", self.logo_svg.clone()))
        } else {
            None
        }
    }
}

fn asset_name(stem: &str, content: &str, extension: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    let digest = crate::encoding::hex(&Sha256::digest(content.as_bytes()));
    format!(
        "{stem}.{}.{extension}",
        digest.get(..16).unwrap_or_default()
    )
}

fn stylesheet(settings: &BrandSettings) -> String {
    let Some(light) = Colour::parse(&settings.accent) else {
        return String::new();
    };
    let dark = Colour::parse(&settings.accent_dark).unwrap_or_else(|| light.for_dark());
    let tokens = |colour: Colour, behind: Colour| {
        format!(
            ":root{{--accent:{};--accent-ink:{};--accent-soft:{}}}",
            colour.css(),
            colour.ink().css(),
            behind.mixed_with(colour, 14).css()
        )
    };
    format!(
        "{}\n@media (prefers-color-scheme:dark){{{}}}\n",
        tokens(light, LIGHT_PAPER),
        tokens(dark, DARK_SHEET)
    )
}

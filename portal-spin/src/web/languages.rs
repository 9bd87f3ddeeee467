//! The languages of pages, errors and mails: the tables, the marks around what templates show, and the
//! one pass over a finished page.
//!
//! Pages are rendered in English. [`finish`] puts the visitor's language in its place, or only takes the
//! marks out. Which words are looked up: everything a template says itself, and what it hands to
//! [`t`]. What partners wrote is never looked up.

use std::fmt;

use askama::filters::{Escaper, Safe};
pub use languages::catalogue::Catalogue;
use languages::catalogue::ENGLISH;
use languages::message::Message;
use languages::segment::{Dictionary, Segmenter};
use languages::{choice, marks};

use super::response::set_header;
use super::{Response, cookies};
use crate::configuration::Configuration;

include!(concat!(env!("OUT_DIR"), "/languages.rs"));

/// A language of the portal.
pub type Language = &'static Catalogue;

/// The cookie of visitors who chose.
pub const COOKIE: &str = "portico_language";

/// Every language, English first.
pub fn all() -> impl Iterator<Item = Language> {
    std::iter::once(&ENGLISH).chain(TRANSLATIONS)
}

/// English.
pub fn english() -> Language {
    &ENGLISH
}

/// The language of this tag, or the one it is a variant of.
pub fn find(tag: &str) -> Option<Language> {
    let tags: Vec<&str> = all().map(|language| language.tag).collect();
    let found = choice::find(tag, &tags)?;
    all().find(|language| language.tag == found)
}

/// What a visitor chose, or what their browser asks for.
pub fn asked(headers: &http::HeaderMap, configuration: &Configuration) -> Option<Language> {
    let header = |name: http::HeaderName| headers.get(name)?.to_str().ok();
    let name = cookies::cookie_name(configuration, COOKIE);
    let chosen = header(http::header::COOKIE)
        .and_then(|cookies| cookies::find_cookie(cookies, &name))
        .and_then(find);
    chosen.or_else(|| {
        let tags: Vec<&str> = all().map(|language| language.tag).collect();
        find(choice::accepted(
            header(http::header::ACCEPT_LANGUAGE)?,
            &tags,
        )?)
    })
}

/// Escapes what templates show, and marks it, so that a page can be taken apart again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Marked;

impl Escaper for Marked {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        marks::write_value(&mut dest, string)
    }
}

/// Words of the program, as a template shows them.
#[derive(Debug, Clone, Copy)]
pub struct Words<T>(T);

impl<T: fmt::Display> fmt::Display for Words<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        marks::write_words(f, &self.0.to_string())
    }
}

impl<T: fmt::Display> askama::FastWritable for Words<T> {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        let mut dest = dest;
        Ok(marks::write_words(&mut dest, &self.0.to_string())?)
    }
}

/// For templates: these are words of the program, to be shown in the visitor's language. Never for what
/// a person wrote.
pub fn t<T: fmt::Display>(words: T) -> Safe<Words<T>> {
    Safe(Words(words))
}

struct Tables(Language);

impl Dictionary for Tables {
    fn text(&mut self, message: &Message) -> Option<&str> {
        let found = self.0.text(&message.id);
        #[cfg(test)]
        if found.is_none() {
            missed::note(&message.id);
        }
        found
    }

    fn words(&mut self, english: &str) -> Option<String> {
        let found = self.0.words(english);
        #[cfg(test)]
        if found.is_none() {
            missed::note(english);
        }
        found
    }
}

/// A rendered page in this language, without marks.
pub fn translate(page: &str, language: Language) -> String {
    if language.is_english() {
        return marks::strip(page);
    }
    let mut tables = Tables(language);
    let mut machine = Segmenter::writing(page.len() + page.len() / 8);
    machine.feed(page, &mut tables);
    let html = machine.finish(&mut tables);
    html.replacen(
        "<html lang=\"en\"",
        &format!("<html lang=\"{}\"", language.tag),
        1,
    )
}

/// Says of an answer that its body is a page of ours, with marks in it.
#[derive(Debug, Clone, Copy)]
pub struct Rendered;

/// Puts a page into the visitor's language, and says which it is.
pub fn finish(response: &mut Response, language: Language) {
    let kind = response.headers().get(http::header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_page = response.extensions().get::<Rendered>().is_some();
    if !is_page && !kind.starts_with("application/problem+json") {
        return;
    }
    if is_page && let Ok(page) = std::str::from_utf8(response.body()) {
        *response.body_mut() = translate(page, language).into();
    }
    set_header(response, http::header::CONTENT_LANGUAGE, language.tag);
    let vary = http::HeaderValue::from_static("accept-language, cookie");
    response.headers_mut().append(http::header::VARY, vary);
}

/// Texts that a test's pages asked for and no catalogue had.
#[cfg(test)]
pub mod missed {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static MISSED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn note(english: &str) {
        if english.chars().any(char::is_alphabetic) {
            MISSED.with_borrow_mut(|missed| missed.insert(english.to_owned()));
        }
    }

    /// What was missed on this thread since the last call.
    pub fn take() -> BTreeSet<String> {
        MISSED.with_borrow_mut(std::mem::take)
    }
}

#[cfg(test)]
#[path = "language_tests.rs"]
mod tests;

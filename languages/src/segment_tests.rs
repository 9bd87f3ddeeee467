//! How pages are cut, and put together again.

use super::*;
use crate::marks::{write_value, write_words};

/// Translates by writing in capitals, and keeps what it was asked.
#[derive(Default)]
struct Asked {
    texts: Vec<String>,
    words: Vec<String>,
    last: String,
}

impl Dictionary for Asked {
    fn text(&mut self, message: &Message) -> Option<&str> {
        self.texts.push(message.id.clone());
        self.last = message.id.to_uppercase();
        Some(&self.last)
    }
    fn words(&mut self, english: &str) -> Option<String> {
        self.words.push(english.to_owned());
        Some(english.to_uppercase())
    }
}

fn translate(page: &str) -> (String, Asked) {
    let mut asked = Asked::default();
    let mut machine = Segmenter::writing(page.len());
    machine.feed(page, &mut asked);
    let written = machine.finish(&mut asked);
    (written, asked)
}

fn value(text: &str) -> String {
    let mut marked = String::new();
    write_value(&mut marked, text).unwrap();
    marked
}

fn words(text: &str) -> String {
    let mut marked = String::new();
    write_words(&mut marked, text).unwrap();
    marked
}

#[test]
fn a_sentence_keeps_its_links_and_values() {
    let page = format!(
        "<p class=\"lead\">\n Hello {}, read <a href=\"/t\">the terms</a> &amp; <code>X-Key</code>.\n</p>",
        value("Ada & <co>")
    );
    let (written, asked) = translate(&page);
    assert_eq!(asked.texts, ["Hello {0}, read <1>the terms</1> & {1}."]);
    assert_eq!(
        written,
        "<p class=\"lead\"> HELLO Ada &#38; &#60;co&#62;, READ <a href=\"/t\">THE TERMS</a> &#38; <code>X-Key</code>. </p>"
    );
}

#[test]
fn elements_beside_each_other_are_messages_of_their_own() {
    let (written, asked) = translate(
        "<nav><a href=\"/a\">One</a> · <a href=\"/b\"><b>Two</b></a> <br></nav><button>Go</button>",
    );
    assert_eq!(asked.texts, ["One", "Two", "Go"]);
    assert_eq!(
        written,
        "<nav><a href=\"/a\">ONE</a> · <a href=\"/b\"><b>TWO</b></a> <br></nav><button>GO</button>"
    );
}

#[test]
fn only_words_of_the_program_are_looked_up_not_what_people_wrote() {
    let page = format!(
        "<td>{}</td><td>{} {}</td>",
        value("Active"),
        words("Active"),
        value("x")
    );
    let (written, asked) = translate(&page);
    assert!(asked.texts.is_empty());
    assert_eq!(asked.words, ["Active"]);
    assert_eq!(written, "<td>Active</td><td>ACTIVE x</td>");
}

#[test]
fn attributes_that_people_read_are_translated() {
    let page = format!(
        "<input type=\"submit\" value=\"Go on\" name=\"{}\"><a title=\"Open {}\" href=\"/x\">Y</a><i data-x=\"{}\"></i>",
        value("n"),
        value("A\"b"),
        words("done"),
    );
    let (written, asked) = translate(&page);
    assert_eq!(asked.texts, ["Go on", "Open {0}", "Y"]);
    assert_eq!(
        written,
        "<input type=\"submit\" value=\"GO ON\" name=\"n\"><a title=\"OPEN A&#34;b\" href=\"/x\">Y</a><i data-x=\"DONE\"></i>"
    );
}

#[test]
fn what_is_not_language_stays() {
    let page = "<!doctype html><script src=\"a\"></script><pre>Some code <b>x</b></pre><textarea>My text</textarea>\
        <div translate=\"no\"><div>Guide</div> text</div><p>Say <span translate=\"no\">a, b</span> now<!-- no --></p>";
    let (written, asked) = translate(page);
    assert_eq!(asked.texts, ["Say {0} now"]);
    assert!(written.contains("<pre>Some code <b>x</b></pre><textarea>My text</textarea>"));
    assert!(written.contains("<div>Guide</div> text</div>"));
    assert!(
        written.ends_with("SAY <span translate=\"no\">a, b</span> NOW</p>"),
        "{written}"
    );
}

#[test]
fn a_value_in_parts_is_one_value() {
    let page = format!("<p>At {}{}{}</p>", value("12"), value(":"), value(""));
    let (written, asked) = translate(&page);
    assert_eq!(asked.texts, ["At {0}"]);
    assert_eq!(written, "<p>AT 12:</p>");
}

#[test]
fn a_page_cut_anywhere_never_panics_and_leaves_no_mark() {
    let page = format!(
        "<p title=\"a {}\">b {} <a>c</p></a></a> <code>d</p>{}<!-- x --> e",
        value("<"),
        words("ä"),
        value("é")
    );
    for end in (0..page.len()).filter(|end| page.is_char_boundary(*end)) {
        let (written, _) = translate(&page[..end]);
        assert!(!written.chars().any(crate::marks::is_mark), "{written}");
        let (written, _) = translate(&page[end..]);
        assert!(!written.chars().any(crate::marks::is_mark), "{written}");
    }
}

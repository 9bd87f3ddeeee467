//! Takes a page apart into messages while it is written, and writes it anew.
//!
//! A machine that is fed text: at run time the whole rendered page, when texts are collected the
//! source of a template bit by bit, with every branch. Block tags, controls and the page's ends bound a
//! message; what stands inside a sentence belongs to it. An inline element that stands alone, or beside
//! others with nothing but separators between, is a message of its own.

use crate::html::{Kind, Tag, decode};
use crate::marks::{END, VALUE, WORDS, strip, write_escaped};
use crate::message::{Message, Piece, says_something};

/// Where messages are looked up.
pub trait Dictionary {
    /// The translation of a text that a template says.
    fn text(&mut self, message: &Message) -> Option<&str>;
    /// The translation of words of the program.
    fn words(&mut self, english: &str) -> Option<String>;
}

/// What the machine is in the middle of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Mode {
    Text,
    /// A tag; with the quote that is open.
    Tag(bool),
    Comment,
    /// A marked value in text; whether it is words.
    Marked(bool),
}

/// An element whose content is passed by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Opaque {
    name: String,
    depth: usize,
    is_inline: bool,
    content: String,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Segmenter {
    mode: Mode,
    token: String,
    run: Vec<Piece>,
    opaque: Option<Opaque>,
    writes: bool,
    out: String,
}

impl Segmenter {
    /// A machine that writes the page anew.
    pub fn writing(capacity: usize) -> Self {
        Self {
            mode: Mode::Text,
            token: String::new(),
            run: Vec::new(),
            opaque: None,
            writes: true,
            out: String::with_capacity(capacity),
        }
    }

    /// A machine that only asks for messages. Two that would go on alike are equal.
    pub fn asking() -> Self {
        Self {
            writes: false,
            ..Self::writing(0)
        }
    }

    /// Whether nothing is begun.
    pub fn is_between(&self) -> bool {
        self.run.is_empty() && self.opaque.is_none() && self.mode == Mode::Text
    }

    /// Takes more of the page.
    pub fn feed(&mut self, text: &str, dictionary: &mut impl Dictionary) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = match self.mode {
                Mode::Text => self.feed_text(rest, c),
                Mode::Tag(quoted) => self.feed_tag(rest, quoted, dictionary),
                Mode::Comment => self.feed_comment(rest),
                Mode::Marked(is_words) => self.feed_marked(rest, is_words, dictionary),
            };
        }
    }

    /// Ends the page and answers it.
    pub fn finish(mut self, dictionary: &mut impl Dictionary) -> String {
        self.flush(dictionary);
        let token = std::mem::take(&mut self.token);
        self.put(&strip(&token));
        self.out
    }

    fn put(&mut self, html: &str) {
        if self.writes {
            self.out.push_str(html);
        }
    }

    fn feed_text<'a>(&mut self, rest: &'a str, first: char) -> &'a str {
        match first {
            '<' => {
                self.mode = if rest.starts_with("<!--") {
                    Mode::Comment
                } else {
                    Mode::Tag(false)
                };
                self.token.push('<');
                rest.get(1..).unwrap_or_default()
            }
            VALUE | WORDS => {
                self.mode = Mode::Marked(first == WORDS);
                rest.get(first.len_utf8()..).unwrap_or_default()
            }
            END => rest.get(first.len_utf8()..).unwrap_or_default(),
            _ => {
                let end = rest.find(['<', VALUE, WORDS, END]).unwrap_or(rest.len());
                let (text, behind) = rest.split_at(end);
                self.add_text(text);
                behind
            }
        }
    }

    fn add_text(&mut self, text: &str) {
        if let Some(opaque) = &mut self.opaque {
            opaque.content.push_str(text);
        } else if let Some(Piece::Text(last)) = self.run.last_mut() {
            last.push_str(text);
        } else {
            self.run.push(Piece::Text(text.to_owned()));
        }
    }

    fn feed_comment<'a>(&mut self, rest: &'a str) -> &'a str {
        let end = rest.find("-->").map_or(rest.len(), |at| at + 3);
        let (text, behind) = rest.split_at(end);
        if text.ends_with("-->") {
            self.mode = Mode::Text;
            self.token.clear();
        }
        behind
    }

    fn feed_marked<'a>(
        &mut self,
        rest: &'a str,
        is_words: bool,
        dictionary: &mut impl Dictionary,
    ) -> &'a str {
        let Some(end) = rest.find(END) else {
            self.token.push_str(rest);
            return "";
        };
        let (text, behind) = rest.split_at(end);
        self.token.push_str(text);
        let value = std::mem::take(&mut self.token);
        self.mode = Mode::Text;
        if let Some(opaque) = &mut self.opaque {
            let shown = if is_words {
                translated(&value, dictionary)
            } else {
                value
            };
            opaque.content.push_str(&shown);
        } else {
            self.run.push(if is_words {
                Piece::Words(value)
            } else {
                Piece::Value(value)
            });
        }
        behind.get(END.len_utf8()..).unwrap_or_default()
    }

    fn feed_tag<'a>(
        &mut self,
        rest: &'a str,
        quoted: bool,
        dictionary: &mut impl Dictionary,
    ) -> &'a str {
        let stops: &[char] = if quoted { &['"'] } else { &['"', '>'] };
        let Some(at) = rest.find(stops) else {
            self.token.push_str(rest);
            return "";
        };
        let (text, behind) = rest.split_at(at + 1);
        self.token.push_str(text);
        if text.ends_with('>') && !quoted {
            self.mode = Mode::Text;
            let source = std::mem::take(&mut self.token);
            self.take_tag(&source, dictionary);
        } else {
            self.mode = Mode::Tag(!quoted);
        }
        behind
    }

    fn take_tag(&mut self, source: &str, dictionary: &mut impl Dictionary) {
        let tag = Tag::read(source);
        let written = read_attributes(&tag, source, dictionary);
        let written = if self.writes { written } else { String::new() };
        if let Some(opaque) = &mut self.opaque {
            opaque.content.push_str(&written);
            if tag.name == opaque.name {
                match tag.kind {
                    Kind::Open => opaque.depth += 1,
                    Kind::Close => opaque.depth -= 1,
                    Kind::Void => {}
                }
                if opaque.depth == 0 {
                    self.leave_opaque();
                }
            }
            return;
        }
        let is_inline = tag.is_inline();
        if !is_inline {
            self.flush(dictionary);
        }
        if tag.is_opaque() {
            self.opaque = Some(Opaque {
                name: tag.name.to_owned(),
                depth: 1,
                is_inline,
                content: written,
            });
        } else if is_inline {
            let name = tag.name.to_owned();
            self.run.push(match tag.kind {
                Kind::Open => Piece::Open(name, written),
                Kind::Close => Piece::Close(name, written),
                Kind::Void => Piece::Void(written),
            });
        } else {
            self.put(&written);
        }
    }

    fn leave_opaque(&mut self) {
        let Some(opaque) = self.opaque.take() else {
            return;
        };
        if opaque.is_inline {
            self.run.push(Piece::Value(opaque.content));
        } else {
            self.put(&opaque.content);
        }
    }

    fn flush(&mut self, dictionary: &mut impl Dictionary) {
        if let Some(mut opaque) = self.opaque.take() {
            opaque.is_inline = true;
            self.opaque = Some(opaque);
            self.leave_opaque();
        }
        let run = std::mem::take(&mut self.run);
        if !run.is_empty() {
            let mut out = std::mem::take(&mut self.out);
            emit(&run, dictionary, &mut out);
            if self.writes {
                self.out = out;
            }
        }
    }
}

/// The English words in the language, as HTML.
fn translated(escaped: &str, dictionary: &mut impl Dictionary) -> String {
    match dictionary.words(&decode(escaped)) {
        Some(words) => {
            let mut html = String::with_capacity(words.len());
            let _ = write_escaped(&mut html, &words);
            html
        }
        None => escaped.to_owned(),
    }
}

fn plain(piece: &Piece, dictionary: &mut impl Dictionary, out: &mut String) {
    match piece {
        Piece::Words(text) => out.push_str(&translated(text, dictionary)),
        Piece::Text(html)
        | Piece::Value(html)
        | Piece::Void(html)
        | Piece::Open(_, html)
        | Piece::Close(_, html) => out.push_str(html),
    }
}

fn is_sentence(pieces: &[Piece]) -> bool {
    let mut depth = 0_usize;
    pieces.iter().any(|piece| {
        match piece {
            Piece::Open(..) => depth += 1,
            Piece::Close(..) => depth = depth.saturating_sub(1),
            _ => {}
        }
        matches!(piece, Piece::Text(text) if depth == 0 && says_something(&decode(text)))
    })
}

fn is_edge(piece: &Piece) -> bool {
    match piece {
        Piece::Text(text) => text.trim_ascii().is_empty(),
        Piece::Void(_) => true,
        _ => false,
    }
}

/// Writes a run of inline content.
fn emit(pieces: &[Piece], dictionary: &mut impl Dictionary, out: &mut String) {
    if is_sentence(pieces) {
        return emit_sentence(pieces, dictionary, out);
    }
    let mut rest = pieces;
    while let Some((first, behind)) = rest.split_first() {
        plain(first, dictionary, out);
        rest = behind;
        if matches!(first, Piece::Open(..))
            && let Some(end) = closing(behind)
        {
            let (inner, after) = behind.split_at(end.min(behind.len()));
            emit(inner, dictionary, out);
            rest = after;
        }
    }
}

/// Where, among the pieces behind an opening tag, its closing tag stands.
fn closing(behind: &[Piece]) -> Option<usize> {
    let mut depth = 1_usize;
    for (at, piece) in behind.iter().enumerate() {
        match piece {
            Piece::Open(..) => depth += 1,
            Piece::Close(..) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn emit_sentence(pieces: &[Piece], dictionary: &mut impl Dictionary, out: &mut String) {
    let start = pieces.iter().position(|piece| !is_edge(piece)).unwrap_or(0);
    let end = pieces
        .iter()
        .rposition(|piece| !is_edge(piece))
        .map_or(pieces.len(), |at| at + 1);
    let (before, rest) = pieces.split_at(start);
    let (middle, after) = rest.split_at(end.saturating_sub(start).min(rest.len()));
    for piece in before {
        plain(piece, dictionary, out);
    }
    let mut message = Message::of(middle, |words| translated(words, dictionary));
    let (leading, id, trailing) = {
        let id = message.id.as_str();
        let trimmed = id.trim_matches(' ');
        (
            id.starts_with(' '),
            trimmed.to_owned(),
            id.ends_with(' ') && !trimmed.is_empty(),
        )
    };
    message.id = id;
    let found = dictionary.text(&message).map(str::to_owned);
    match found {
        Some(translation) => {
            if leading {
                out.push(' ');
            }
            message.fill(&translation, out);
            if trailing {
                out.push(' ');
            }
        }
        None => {
            for piece in middle {
                plain(piece, dictionary, out);
            }
        }
    }
    for piece in after {
        plain(piece, dictionary, out);
    }
}

/// The pieces of an attribute's value.
fn pieces_of(value: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = value;
    while let Some((at, mark)) = crate::marks::find(rest) {
        let (text, behind) = rest.split_at(at);
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        rest = behind.get(mark.len_utf8()..).unwrap_or_default();
        if mark != END {
            let (inner, after) = rest.split_once(END).unwrap_or((rest, ""));
            pieces.push(if mark == WORDS {
                Piece::Words(inner.to_owned())
            } else {
                Piece::Value(inner.to_owned())
            });
            rest = after;
        }
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    pieces
}

/// The tag, with the attributes that people read in their language.
fn read_attributes(tag: &Tag<'_>, source: &str, dictionary: &mut impl Dictionary) -> String {
    if tag.kind == Kind::Close {
        return source.to_owned();
    }
    let mut written = String::with_capacity(source.len());
    let mut from = 0;
    for attribute in tag.attributes() {
        let value = attribute.value(source);
        let has_words = value.contains(WORDS);
        let is_text = tag.is_read(attribute.name) && says_something(value);
        if !has_words && !is_text {
            continue;
        }
        let before = source.get(from..attribute.range.start).unwrap_or_default();
        written.push_str(&strip(before));
        let pieces = pieces_of(value);
        if tag.is_read(attribute.name) {
            emit(&pieces, dictionary, &mut written);
        } else {
            for piece in &pieces {
                plain(piece, dictionary, &mut written);
            }
        }
        from = attribute.range.end;
    }
    written.push_str(&strip(source.get(from..).unwrap_or_default()));
    written
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;

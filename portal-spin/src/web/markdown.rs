//! Markdown that people wrote, as harmless HTML: raw HTML becomes text, links lead only to pages of the portal, web and mail
//! addresses, images are left out, because they would load from elsewhere.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

use super::response;

/// The events of a text, without what could harm.
pub fn harmless_events(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH;
    let mut is_dropped_link = false;
    Parser::new_ext(markdown, options).filter_map(move |event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Link { ref dest_url, .. }) if !is_harmless(dest_url) => {
            is_dropped_link = true;
            None
        }
        Event::End(TagEnd::Link) if is_dropped_link => {
            is_dropped_link = false;
            None
        }
        // An image would load from elsewhere, and could change after it was accepted.
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        event => Some(event),
    })
}

/// A text as HTML, for a page that has its own `h1`: a first-level heading becomes a second-level one.
pub fn render(markdown: &str) -> String {
    use pulldown_cmark::HeadingLevel::{H1, H2};
    let events = harmless_events(markdown).map(|event| match event {
        Event::Start(Tag::Heading {
            level: H1,
            id,
            classes,
            attrs,
        }) => Event::Start(Tag::Heading {
            level: H2,
            id,
            classes,
            attrs,
        }),
        Event::End(TagEnd::Heading(H1)) => Event::End(TagEnd::Heading(H2)),
        event => event,
    });
    let mut document = String::new();
    html::push_html(&mut document, events);
    document
}

/// A text of one line as HTML without a paragraph around it; further paragraphs follow after a space.
pub fn render_line(markdown: &str) -> String {
    let mut line = String::new();
    let events = harmless_events(markdown).filter_map(|event| match event {
        Event::Start(Tag::Paragraph) => None,
        Event::End(TagEnd::Paragraph) => Some(Event::Text(" ".into())),
        event => Some(event),
    });
    html::push_html(&mut line, events);
    line.trim_end().to_owned()
}

fn is_harmless(url: &str) -> bool {
    response::is_own_path(url)
        || ["https://", "http://", "mailto:", "#"]
            .iter()
            .any(|start| url.starts_with(start))
}

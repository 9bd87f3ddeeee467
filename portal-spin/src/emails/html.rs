//! The HTML part of an e-mail: made from the text, so the two never differ, in the programme's brand.

use super::is_link;
use crate::brand::Brand;
use crate::encoding::escape_html;

/// Paragraphs and links below the programme's name, above its legal lines; everything is escaped. Styles
/// stand at the elements: many mail readers drop a style sheet.
pub(super) fn html_of(brand: &Brand, text: &str, language: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let lines = paragraph.lines().map(|line| {
            let escaped = escape_html(line);
            if is_link(line) {
                format!(
                    "<a href=\"{escaped}\" style=\"color:{}\">{escaped}</a>",
                    brand.accent()
                )
            } else {
                escaped
            }
        });
        format!("<p>{}</p>", lines.collect::<Vec<_>>().join("<br>\n"))
    });
    let paragraphs = paragraphs.collect::<Vec<_>>().join("\n");
    let name = escape_html(&brand.name);
    let legal = if brand.legal.is_empty() {
        name.clone()
    } else {
        escape_html(&brand.legal)
    };
    format!(
        "<!doctype html>\n<html lang=\"{language}\"><head><meta charset=\"utf-8\"><title>{name}</title></head>\n\
         <body style=\"margin:0;padding:24px;font:16px/1.5 sans-serif;color:#1b1f24;background:#fff\">\n\
         <div style=\"max-width:560px;margin:0 auto\">\n\
         <p style=\"font-weight:bold;border-bottom:2px solid {};padding-bottom:8px\">{name}</p>\n\
         {paragraphs}\n\
         <p style=\"font-size:13px;color:#5b6470;border-top:1px solid #d7dce1;padding-top:8px\">{legal}</p>\n\
         </div></body></html>\n",
        brand.accent(),
    )
}

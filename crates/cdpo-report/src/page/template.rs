//! The page's template: the report's data goes in; the HTML file comes out.

use super::data::ReportData;
use crate::error::Result;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPTS: [&str; 8] = [
    include_str!("js/dom.js"),
    include_str!("js/overview.js"),
    include_str!("js/chart.js"),
    include_str!("js/curves.js"),
    include_str!("js/distributions.js"),
    include_str!("js/trajectories.js"),
    include_str!("js/rollouts.js"),
    include_str!("js/main.js"),
];

/// The report as one HTML file. It loads nothing; its own policy forbids it to.
///
/// # Errors
/// [`crate::Error::Json`] if a number is not finite.
pub fn html(data: &ReportData) -> Result<String> {
    let json = serde_json::to_string(data)?;
    let mut out = String::with_capacity(json.len() + 100_000);
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        out.push_str(before);
        match name {
            "title" => out.push_str(&escaped(&data.title)),
            "style" => out.push_str(STYLE),
            "scripts" => SCRIPTS.iter().for_each(|script| out.push_str(script)),
            // Inside a JSON string `<` may be written as an escape, so that no text can end the element.
            "data" => out.push_str(&json.replace('<', "\\u003c")),
            other => out.push_str(other),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Text for an HTML element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

//! Answers compared as text.

use super::region::Region;
use super::spelled;
use super::sum::Sum;
use super::value::{Quantity, Value};

/// What words say: a number, all real numbers, or themselves.
pub(crate) fn value(words: &str) -> Value {
    let text = normal(words);
    if let Some((number, measure)) = spelled::number(&text) {
        return Value::Scalar(Quantity {
            measure,
            ..Quantity::bare(Sum::rational(number))
        });
    }
    let noun = text.strip_prefix("the set of ").unwrap_or(&text);
    match noun {
        "all real numbers" | "all reals" | "all real" | "all real values" | "real numbers" => {
            Value::Region(Region::all())
        }
        _ => Value::Text(text),
    }
}

/// Words in lower case with single blanks and without the brackets, quotes and full stops around them.
fn normal(words: &str) -> String {
    let outer = |c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '.' | ',' | ';' | ':' | '!' | '?' | '"' | '\'' | '(' | ')' | '*'
            )
    };
    let words = words.trim_matches(outer);
    let mut text = String::with_capacity(words.len());
    for word in words
        .split(|c: char| c.is_whitespace() || c == '~')
        .filter(|word| !word.is_empty())
    {
        if !text.is_empty() {
            text.push(' ');
        }
        text.extend(word.chars().flat_map(char::to_lowercase));
    }
    text
}

/// Mathematics outside the grammar as written, without blanks, braces and text commands.
pub(crate) fn as_written(surface: &str) -> String {
    let mut text = surface.to_owned();
    for (command, plain) in [
        ("\\dfrac", "\\frac"),
        ("\\tfrac", "\\frac"),
        ("\\mathrm", ""),
        ("\\textbf", ""),
        ("\\textit", ""),
        ("\\textrm", ""),
        ("\\textnormal", ""),
        ("\\mbox", ""),
        ("\\text", ""),
    ] {
        if text.contains(command) {
            text = text.replace(command, plain);
        }
    }
    without_blanks(&text, |c| !matches!(c, '{' | '}'))
}

/// The characters to keep, without the blanks but those between digits: "1 2" is not 12.
pub(crate) fn without_blanks(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut written = String::with_capacity(text.len());
    let mut apart = false;
    for c in text.chars() {
        if c.is_whitespace() {
            apart = true;
        } else if keep(c) {
            if apart && c.is_ascii_digit() && written.ends_with(|d: char| d.is_ascii_digit()) {
                written.push(' ');
            }
            written.push(c);
            apart = false;
        }
    }
    written
}

/// Whether an answer is words alone: letters with blanks and light punctuation, at least one run of three letters.
pub(crate) fn is_words(surface: &str) -> bool {
    let mut run = 0;
    let mut longest = 0;
    for c in surface.chars() {
        if c.is_alphabetic() {
            run += 1;
            longest = longest.max(run);
        } else if c.is_whitespace()
            || matches!(c, '\'' | '-' | '.' | '(' | ')' | '!' | '?' | '&' | ',')
        {
            run = 0;
        } else {
            return false;
        }
    }
    longest >= 3
}

//! Numbers and sentences in running text.

use std::ops::Range;

use super::{Extracted, Rule, context};
use crate::syntax::unit;

/// lm-evaluation-harness's flexible filter: the last match of `(-?[$0-9.,]{2,})|(-?[0-9]+)`.
pub(super) fn flexible_number(response: &str) -> Option<Extracted<'_>> {
    let bytes = response.as_bytes();
    let in_class = |b: u8| b.is_ascii_digit() || matches!(b, b'$' | b'.' | b',');
    let mut end = bytes.len();
    loop {
        let stop = (0..end).rev().find(|&i| in_class(bytes[i]))?;
        let mut start = stop;
        while start > 0 && in_class(bytes[start - 1]) {
            start -= 1;
        }
        if stop > start || bytes[stop].is_ascii_digit() {
            let signed = start > 0 && bytes[start - 1] == b'-';
            let text = &response[start - usize::from(signed)..=stop];
            let trimmed = text.trim_end_matches(['.', ',']);
            let from = start - usize::from(signed);
            return Extracted::slice(response, from..from + trimmed.len(), Rule::LastNumber);
        }
        end = start;
    }
}

/// The last number of `response[body]` that does not touch a letter on its left, is not denied and numbers no step.
pub(super) fn last_number(response: &str, body: Range<usize>) -> Option<Extracted<'_>> {
    let stands = |span: &Range<usize>| {
        let text = &response[body.clone()];
        let place = span.start - body.start..span.end - body.start;
        !context::denies(&text[..place.start]) && !context::numbers_a_step(text, place)
    };
    let all: Vec<Range<usize>> = numbers(response, body.clone()).collect();
    all.into_iter()
        .rev()
        .find(stands)
        .and_then(|span| Extracted::slice(response, span, Rule::LastNumber))
}

/// The first such number.
pub(super) fn first_number(response: &str, body: Range<usize>) -> Option<Extracted<'_>> {
    numbers(response, body)
        .next()
        .and_then(|span| Extracted::slice(response, span, Rule::LastNumber))
}

/// Numbers with their sign, separators, decimals, a simple denominator and a percent sign.
fn numbers(response: &str, body: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
    let bytes = response.as_bytes();
    let mut i = body.start;
    std::iter::from_fn(move || {
        while i < body.end {
            if bytes[i] == b'\\'
                && let Some(end) = bare_command(response, i, body.end)
            {
                let start = if i > body.start && bytes[i - 1] == b'-' {
                    i - 1
                } else {
                    i
                };
                i = end;
                return Some(start..end);
            }
            let digit = |at: usize| at < body.end && bytes[at].is_ascii_digit();
            let opens = digit(i) || (bytes[i] == b'.' && digit(i + 1));
            if !opens {
                i += 1;
                continue;
            }
            let mut start = i;
            let mut end = i;
            while digit(end)
                || (end < body.end && matches!(bytes[end], b'.' | b',') && digit(end + 1))
            {
                end += 1;
            }
            if end < body.end && bytes[end] == b'/' && digit(end + 1) {
                end += 1;
                while digit(end) {
                    end += 1;
                }
            }
            i = end;
            let before = response[body.start..start].chars().next_back();
            if before.is_some_and(|c| c.is_ascii_alphabetic() || c == '_') {
                continue;
            }
            if start > body.start && bytes[start - 1] == b'$' {
                start -= 1;
            }
            let glued = |at: usize| {
                at > body.start && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b')')
            };
            if start > body.start && bytes[start - 1] == b'-' && !glued(start - 1) {
                start -= 1;
            }
            if end < body.end && bytes[end] == b'%' {
                end += 1;
            }
            end += unit::magnitude_len(&response[end..body.end]);
            return Some(start..end);
        }
        None
    })
}

/// Where the text after the last " is ", " are " or " = " outside formulas begins.
pub(super) fn last_verb(text: &str) -> Option<usize> {
    [" is ", " are ", " equals ", " = "]
        .iter()
        .filter_map(|verb| {
            text.rmatch_indices(verb)
                .map(|(at, _)| at + verb.len())
                .find(|&at| text[..at].matches('$').count().is_multiple_of(2))
        })
        .max()
}

/// The end of the `\frac{…}{…}` or `\sqrt{…}` that begins at `at`.
fn bare_command(text: &str, at: usize, limit: usize) -> Option<usize> {
    let limit = super::clip(text, at..limit, super::MAX_SENTENCE);
    let rest = &text[at..limit];
    let name = ["\\frac", "\\dfrac", "\\tfrac", "\\sqrt"]
        .into_iter()
        .find(|name| rest.starts_with(name))?;
    let mut end = at + name.len();
    for _ in 0..if name == "\\sqrt" { 1 } else { 2 } {
        let mut depth = 0usize;
        let len = text[end..limit].bytes().position(|b| {
            match b {
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })?;
        if !text[end..].starts_with('{') {
            return None;
        }
        end += len + 1;
    }
    Some(end)
}

/// The length of the first sentence of `text`, with its formulas left whole.
pub(super) fn sentence_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if matches!(bytes[i], b'$' | b'\\')
            && let Some((span, after)) = super::formula::next(text, i, text.len())
            && (i + 1..=i + 2).contains(&span.start)
        {
            i = after;
            continue;
        }
        match bytes[i] {
            b'\n' => return i,
            b'.' if is_of_currency(&text[..i], &text[i + 1..]) => i += 1,
            b'.' | b';' | b'!' if bytes.get(i + 1).is_none_or(u8::is_ascii_whitespace) => return i,
            _ => i += 1,
        }
    }
    bytes.len()
}

/// Whether a full stop between two texts is that of a currency before its number: "Rs. 5".
fn is_of_currency(before: &str, after: &str) -> bool {
    let number = after
        .trim_start_matches(' ')
        .starts_with(|c: char| c.is_ascii_digit());
    number
        && ["Rs", "Fr"].iter().any(|sign| {
            let head = before.strip_suffix(sign);
            head.is_some_and(|head| !head.ends_with(char::is_alphanumeric))
        })
}

/// Whether a text reads as words rather than as an answer: two or more words outside commands.
pub(super) fn is_prose(text: &str) -> bool {
    words(text) >= 2
}

/// Words of two letters that no formula has.
const SHORT: [&str; 12] = [
    "is", "it", "so", "we", "he", "of", "to", "be", "as", "my", "an", "if",
];

/// The number of words: runs of three letters or more that are no commands and no names of environments, and some of two.
pub(super) fn words(text: &str) -> usize {
    let mut words = 0;
    let mut rest = text;
    while let Some(at) = rest.find(char::is_alphabetic) {
        let before = &rest[..at];
        let command = before.ends_with('\\');
        let len = rest[at..]
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(rest.len() - at);
        let word = &rest[at..at + len];
        rest = &rest[at + len..];
        if command && matches!(word, "begin" | "end") {
            // The name of the environment.
            rest = rest.trim_start_matches(|c: char| c == '{' || c.is_alphabetic());
        } else if !command && (len >= 3 || SHORT.contains(&word.to_ascii_lowercase().as_str())) {
            words += 1;
        }
    }
    words
}

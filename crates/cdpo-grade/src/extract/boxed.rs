//! `\boxed{…}`, `\fbox{…}` and `\boxed 2`.

use std::borrow::Cow;
use std::ops::Range;

use super::{Extracted, MAX_MARKS, Rule};

/// The last box of `response[body]`, or the last run of neighbouring boxes.
pub(super) fn last(response: &str, body: Range<usize>) -> Option<Extracted<'_>> {
    let mut end_of_search = body.end;
    for _ in 0..MAX_MARKS {
        let at = last_command(response, body.start..end_of_search)?;
        if let Some((content, after)) = content(response, at, body.end) {
            let last = Extracted::slice(response, content, Rule::Boxed)?;
            return Some(joined(response, body, at, after, last));
        }
        end_of_search = at;
    }
    None
}

/// A last box that nothing closes: all that follows it.
pub(super) fn unclosed(text: &str) -> Option<Extracted<'_>> {
    let at = last_command(text, 0..text.len())?;
    let start = at + text[at..].find('{')? + 1;
    Extracted::slice(text, start..text.len(), Rule::Boxed)
}

/// Puts the boxes that stand right before the last one in front of it, as a list.
fn joined<'a>(
    response: &'a str,
    body: Range<usize>,
    mut at: usize,
    after: usize,
    last: Extracted<'a>,
) -> Extracted<'a> {
    let mut parts = vec![response[last.span.clone()].to_owned()];
    while let Some(previous) = last_command(response, body.start..at) {
        let Some((span, end)) = content(response, previous, body.end) else {
            break;
        };
        if end > at || parts.len() >= 32 || !joins(&response[end..at]) {
            break;
        }
        parts.push(response[span].to_owned());
        at = previous;
    }
    if parts.len() == 1 {
        return last;
    }
    parts.reverse();
    Extracted {
        text: Cow::Owned(parts.join(", ")),
        rule: Rule::Boxed,
        span: at..after,
    }
}

/// Whether the text between two boxes makes them one list.
fn joins(gap: &str) -> bool {
    let mut words = 0;
    let mut conjunctions = 0;
    for word in gap
        .split(|c: char| !c.is_alphabetic())
        .filter(|w| !w.is_empty())
    {
        match word {
            "and" | "or" => conjunctions += 1,
            "quad" | "qquad" | "text" | "mbox" | "textrm" => {}
            _ => words += 1,
        }
    }
    gap.len() <= 80 && !gap.contains("\n\n") && (words == 0 || (conjunctions == 1 && words <= 4))
}

fn last_command(response: &str, range: Range<usize>) -> Option<usize> {
    let text = &response[range.clone()];
    let boxed = text.rfind("\\boxed");
    let fbox = text.rfind("\\fbox");
    boxed.max(fbox).map(|at| range.start + at)
}

/// The content of the box whose command stands at `at`, and where the box ends.
fn content(response: &str, at: usize, limit: usize) -> Option<(Range<usize>, usize)> {
    let bytes = response.as_bytes();
    let mut start = at + 1;
    while start < limit && bytes[start].is_ascii_alphabetic() {
        start += 1;
    }
    while start < limit && bytes[start] == b' ' {
        start += 1;
    }
    if start >= limit {
        return None;
    }
    if bytes[start] != b'{' {
        let end = response[start..limit]
            .find(['$', '.', ',', '\n', '\\', '}'])
            .map_or(limit, |n| start + n);
        return (start < end).then_some((start..end, end));
    }
    let mut depth = 0usize;
    let mut i = start;
    while i < limit {
        match bytes[i] {
            b'\\' => i += 1,
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some((start + 1..i, i + 1));
                }
            }
            _ => {}
        }
        i += 1;
    }
    None
}

//! Formulas between delimiters: `$…$`, `$$…$$`, `\(…\)`, `\[…\]`.

use std::ops::Range;

use super::{Extracted, Rule, context, prose};

/// The next formula at or after `from`: its content and where its closing delimiter ends.
pub(super) fn next(response: &str, from: usize, limit: usize) -> Option<(Range<usize>, usize)> {
    let bytes = response.as_bytes();
    let mut i = from;
    while i < limit {
        let (open, close): (usize, &str) = match bytes[i] {
            b'$' if bytes.get(i + 1) == Some(&b'$') => (2, "$$"),
            b'$' => (1, "$"),
            b'\\' if bytes.get(i + 1) == Some(&b'(') => (2, "\\)"),
            b'\\' if bytes.get(i + 1) == Some(&b'[') => (2, "\\]"),
            b'\\' => {
                i += 2;
                continue;
            }
            _ => {
                i += 1;
                continue;
            }
        };
        let start = i + open;
        let reach = if start <= limit {
            super::clip(response, start..limit, super::MAX_SENTENCE)
        } else {
            limit
        };
        if start <= limit
            && let Some(len) = closing(&response[start..reach], close)
            && !(close == "$" && is_price(&response[start..], &response[start + len + 1..]))
        {
            return Some((start..start + len, start + len + close.len()));
        }
        i = start;
    }
    None
}

/// Whether what follows two dollar signs are prices: "$20 x 3 = $60".
fn is_price(first: &str, second: &str) -> bool {
    let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    digit(first) && digit(second)
}

/// Where the delimiter stands in `text`; `$` and `\(` must close on their own line, `$` not behind a backslash.
fn closing(text: &str, close: &str) -> Option<usize> {
    if close == "\\)" {
        return text.find(close).filter(|&at| !text[..at].contains('\n'));
    }
    if close != "$" {
        return text.find(close);
    }
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 1,
            b'\n' => return None,
            b'$' => return (i > 0).then_some(i),
            _ => {}
        }
        i += 1;
    }
    None
}

/// The last formula of `response[body]` that is not denied, with those before it that only "and" or "or" parts from it: a list,
/// which is denied as a whole.
pub(super) fn last(response: &str, body: Range<usize>) -> Option<Extracted<'_>> {
    let mut spans = Vec::new();
    let mut from = body.start;
    while let Some((span, after)) = next(response, from, body.end) {
        let joins = !spans.is_empty()
            && matches!(bare(&response[from..span.start]), "and" | "or" | "and/or");
        spans.push((span, joins));
        from = after;
    }
    let formula = |at: usize| &response[spans[at].0.clone()];
    let mut last = spans.len();
    while last > 0 {
        last -= 1;
        if prose::is_prose(formula(last)) {
            continue;
        }
        let mut head = last;
        while spans[head].1 && !prose::is_prose(formula(head - 1)) {
            head -= 1;
        }
        let before = &response[body.start..spans[head].0.start];
        if context::denies(before) {
            last = head;
            continue;
        }
        // Values of several names are no list of answers, nor are the numbers that something is computed of.
        let of_one = (head..=last).all(|at| named(formula(at)) == named(formula(last)));
        let first = if of_one && !context::computes(before) {
            head
        } else {
            last
        };
        let span = spans[first].0.start..spans[last].0.end;
        return Extracted::slice(response, span, Rule::LastFormula);
    }
    None
}

/// Whether a formula that is no prose holds the byte `at`.
pub(super) fn holds(response: &str, body: Range<usize>, at: usize) -> bool {
    let mut from = body.start;
    while let Some((span, after)) = next(response, from, body.end) {
        if span.contains(&at) {
            return !prose::is_prose(&response[span]);
        }
        if span.start > at {
            break;
        }
        from = after;
    }
    false
}

/// What stands left of the equals sign.
fn named(formula: &str) -> Option<&str> {
    formula.split_once('=').map(|(name, _)| name.trim())
}

/// Where the content of a display `\[` or `\(` begins that nothing closes.
pub(super) fn unclosed(response: &str, body: Range<usize>) -> Option<usize> {
    let text = &response[body.clone()];
    [("\\[", "\\]"), ("\\(", "\\)")]
        .into_iter()
        .filter_map(|(open, close)| {
            // Behind a backslash it is the length of a row break: `\\\\[2pt]`.
            let (at, _) = text
                .rmatch_indices(open)
                .find(|&(at, _)| !text[..at].ends_with('\\'))?;
            let at = at + open.len();
            (!text[at..].contains(close)).then_some(body.start + at)
        })
        .max()
}

/// The words between two formulas, without delimiters and commas.
fn bare(gap: &str) -> &str {
    gap.trim_matches(['$', ' ', ',', '\\', '('])
}

/// The first formula of `response[range]`, with the formulas that follow it after "and", "or" or a comma; and where the
/// last delimiter ends.
pub(super) fn first_run(response: &str, range: Range<usize>) -> Option<(Extracted<'_>, usize)> {
    let (span, mut after) = next(response, range.start, range.end)?;
    let mut end = span.end;
    while let Some((next_span, next_after)) = next(response, after, range.end) {
        if !matches!(
            bare(&response[after..next_span.start]),
            "" | "and" | "or" | "and/or"
        ) {
            break;
        }
        end = next_span.end;
        after = next_after;
    }
    Extracted::slice(response, span.start..end, Rule::LastFormula).map(|found| (found, after))
}

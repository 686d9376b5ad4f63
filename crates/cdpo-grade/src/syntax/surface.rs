//! Cleaning of an answer before it is parsed: delimiters, layout commands and Unicode signs go; length, control
//! characters and braces are checked.

use std::borrow::Cow;

use super::{command, unicode};
use crate::refusal::{MAX_DEPTH, MAX_LEN, Refusal};

/// The text that the grammar reads.
pub(crate) fn clean(text: &str) -> Result<Cow<'_, str>, Refusal> {
    if text.len() > MAX_LEN {
        return Err(Refusal::TooLong);
    }
    let text = text.trim();
    let simple = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b" +-/^()[]{},=<>".contains(&b));
    let cleaned = if simple {
        Cow::Borrowed(text)
    } else if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Err(Refusal::Control);
    } else {
        Cow::Owned(rewrite(text))
    };
    check_braces(&cleaned)?;
    let cleaned = match cleaned {
        Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
        Cow::Owned(text) => Cow::Owned(trimmed(&text).to_owned()),
    };
    if cleaned.is_empty() {
        Err(Refusal::Empty)
    } else {
        Ok(cleaned)
    }
}

/// The text without the punctuation of the sentence around it.
fn trimmed(text: &str) -> &str {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '*' | '='));
    let end = text
        .trim_end_matches(|c: char| {
            c.is_whitespace() || matches!(c, '.' | ',' | ';' | ':' | '*' | '\\')
        })
        .len();
    // Dots that say that a decimal or a list goes on.
    match text[end..].rfind("...") {
        Some(dots) if text[end..].contains(',') || text[..end].contains('.') => {
            &text[..end + dots + 3]
        }
        _ => &text[..end],
    }
}

fn check_braces(text: &str) -> Result<(), Refusal> {
    let mut depth = 0usize;
    let mut escaped = false;
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Refusal::TooDeep);
                }
            }
            b'}' => depth = depth.checked_sub(1).ok_or(Refusal::Unbalanced)?,
            _ => {}
        }
    }
    if depth == 0 {
        Ok(())
    } else {
        Err(Refusal::Unbalanced)
    }
}

fn rewrite(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let dollars = text
        .match_indices('$')
        .filter(|(at, _)| !text[..*at].ends_with('\\'))
        .count();
    let in_environment = text.contains("\\begin");
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at + c.len_utf8()..];
        at += c.len_utf8();
        match c {
            '\\' => at += backslash(rest, in_environment, &mut out),
            '$' if dollars % 2 == 1 && beside_digit(&text[..at - 1], rest) => out.push_str("\\$"),
            '$' | '~' => out.push(' '),
            '*' if rest.starts_with('*') => {
                // Emphasis at either end, a power in between.
                if !out.trim().is_empty() && !rest[1..].trim_matches(['*', ' ', '.']).is_empty() {
                    out.push('^');
                }
                at += 1;
            }
            '"' | '“' | '”' | '\u{200b}' | '\u{feff}' => {}
            c if c.is_ascii() => out.push(c),
            _ => at += unicode::plain(&text[at - c.len_utf8()..], &mut out) - c.len_utf8(),
        }
    }
    out
}

fn beside_digit(before: &str, after: &str) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || c == '.');
    digit(after.trim_start().chars().next()) || digit(before.trim_end().chars().next_back())
}

/// Writes what a backslash begins, and says how many bytes after it were used.
fn backslash(rest: &str, in_environment: bool, out: &mut String) -> usize {
    let Some(next) = rest.chars().next() else {
        return 0;
    };
    if next.is_ascii_alphabetic() {
        let len = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let name = &rest[..len];
        let known = command::known_len(name);
        let name = &name[..known];
        if command::takes_setting(name) {
            let star = usize::from(rest[known..].starts_with('*'));
            out.push(' ');
            return known + star + hidden_len(&rest[known + star..]);
        }
        if !command::is_layout(name) {
            out.push('\\');
            out.push_str(name);
            // Keeps the command apart from letters that were glued to it.
            if known < len {
                out.push(' ');
            }
            return known;
        }
        out.push(' ');
        let empty_delimiter =
            matches!(name, "left" | "right") && rest[known..].trim_start().starts_with('.');
        let blanks = rest[known..].len() - rest[known..].trim_start().len();
        return known + if empty_delimiter { blanks + 1 } else { 0 };
    }
    match next {
        ',' | ';' | ':' | '>' | ' ' | '\n' | '(' | ')' | '[' | ']' | '/' => {
            out.push(' ');
            1
        }
        '\\' => {
            let after = &rest[1..];
            let len = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            if !in_environment && len > 0 && command::is_known(&after[..len]) {
                // A command whose backslash was doubled on its way here.
                return 0;
            }
            if !in_environment
                && matches!(
                    after.chars().next(),
                    Some('(' | ')' | '[' | ']' | '$' | '%')
                )
            {
                return 0;
            }
            out.push_str("\\\\");
            1 + row_spacing(after)
        }
        '%' | '#' | '&' | '_' => {
            out.push(next);
            1
        }
        '$' | '{' | '}' | '|' | '!' => {
            out.push('\\');
            out.push(next);
            1
        }
        _ => {
            out.push('\\');
            0
        }
    }
}

/// The length of an argument that is not shown: `{…}` or one character.
fn hidden_len(rest: &str) -> usize {
    let blanks = rest.len() - rest.trim_start().len();
    let rest = &rest[blanks..];
    if !rest.starts_with('{') {
        return blanks + rest.chars().next().map_or(0, char::len_utf8);
    }
    let mut depth = 0usize;
    let end = rest.bytes().position(|b| {
        match b {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    blanks + end.map_or(0, |end| end + 1)
}

/// The length of the `[4pt]` that may follow `\\`.
fn row_spacing(after: &str) -> usize {
    let Some(inner) = after.strip_prefix('[') else {
        return 0;
    };
    match inner.find(']') {
        Some(end)
            if inner[..end].ends_with("pt")
                || inner[..end].ends_with("em")
                || inner[..end].ends_with("ex") =>
        {
            end + 2
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(text: &str) -> String {
        clean(text).expect("within bounds").into_owned()
    }

    #[test]
    fn delimiters_and_layout_go() {
        assert_eq!(
            cleaned("\\(\\left( 3, \\frac{\\pi}{2} \\right)\\)."),
            "( 3, \\frac{\\pi}{2}  )"
        );
        assert_eq!(cleaned("$5"), "\\$5");
        assert_eq!(cleaned("$5$"), "5");
        assert_eq!(cleaned("**3**"), "3");
        assert_eq!(cleaned("x**2"), "x^2");
        assert_eq!(cleaned("\\\\frac{1}{2}"), "\\frac{1}{2}");
        assert_eq!(cleaned("185\\"), "185");
    }

    #[test]
    fn bounds_are_kept() {
        assert_eq!(clean(&"1".repeat(MAX_LEN + 1)), Err(Refusal::TooLong));
        assert_eq!(clean("1\0"), Err(Refusal::Control));
        assert_eq!(clean("\\frac{1}{2"), Err(Refusal::Unbalanced));
        assert_eq!(clean("}{"), Err(Refusal::Unbalanced));
        assert_eq!(
            clean(&("{".repeat(100) + "1" + &"}".repeat(100))),
            Err(Refusal::TooDeep)
        );
        assert_eq!(clean(" $ $ "), Err(Refusal::Empty));
    }
}

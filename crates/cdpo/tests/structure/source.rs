//! Rust read as text: literals and comments blanked, items by their braces, paths of `use`. Macros are read as everything else.

/// The text with comments and the contents of literals blank; lines stay.
pub(super) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(len) = raw_string(rest) {
            len
        } else if rest.starts_with('"') {
            quoted(rest)
        } else if rest.starts_with('\'') {
            character(rest).unwrap_or(0)
        } else {
            0
        };
        for byte in &mut out[at..at + len] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at += len.max(1);
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest.strip_prefix('r')?;
    let count = hashes.len() - hashes.trim_start_matches('#').len();
    hashes[count..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(count));
    let open = 1 + count + 1;
    Some(open + rest[open..].find(&end)? + end.len())
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character's literal, which a lifetime is not.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        chars.next()?;
        return chars.find(|(_, c)| *c == '\'').map(|(i, _)| i + 1);
    }
    let (i, close) = chars.next()?;
    (close == '\'').then_some(i + 1)
}

/// Blanks what stands under `#[cfg(test)]`.
pub(super) fn without_tests(text: &str) -> String {
    let mut out = text.to_owned();
    let mark = "#[cfg(test)]";
    while let Some(at) = out.find(mark) {
        let len = item(&out[at..]);
        let blank: String = out[at..at + len]
            .chars()
            .map(|c| if c == '\n' { c } else { ' ' })
            .collect();
        out.replace_range(at..at + len, &blank);
    }
    out
}

/// The length of an item: to its semicolon or closing brace.
pub(super) fn item(text: &str) -> usize {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        match c {
            ';' if depth == 0 => return i + 1,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return i + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(super) fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// Where a word stands by itself, followed by a blank or `::`.
pub(super) fn starts(text: &str, keyword: &str) -> Vec<usize> {
    let found = text.match_indices(keyword).map(|(at, _)| at);
    found
        .filter(|&at| {
            let before = text[..at].chars().next_back();
            let after = &text[at + keyword.len()..];
            // `pub(super)` and `super::super` are no starts of a path.
            !before.is_some_and(|c| is_word(c) || c == ':')
                && (after.starts_with("::") || after.starts_with(char::is_whitespace))
        })
        .collect()
}

/// The paths of a use tree at the text's start, and the text after it.
pub(super) fn tree(text: &str) -> (Vec<Vec<String>>, &str) {
    let mut rest = text.trim_start();
    let mut path = Vec::new();
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            let mut paths = Vec::new();
            rest = group.trim_start();
            while !rest.is_empty() && !rest.starts_with('}') {
                let (inner, after) = tree(rest);
                paths.extend(
                    inner
                        .into_iter()
                        .map(|tail| [path.as_slice(), &tail].concat()),
                );
                let stop = after.find([',', '}']).unwrap_or(after.len());
                rest = after[stop..].trim_start_matches(',').trim_start();
            }
            return (paths, rest.strip_prefix('}').unwrap_or(rest));
        }
        let name = word(rest);
        rest = &rest[name.len()..];
        if !name.is_empty() {
            path.push(name.to_owned());
        }
        match rest.strip_prefix("::") {
            Some(after) => rest = after,
            None => return (vec![path], rest),
        }
    }
}

//! transformers' tag `{% generation %} .. {% endgeneration %}`, which marks what is trained and prints what is in it.

/// The template with the tags replaced by ones that do what these do to the text: open a scope, and close it.
pub(super) fn as_scopes(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let end = match from.as_bytes().get(1) {
            Some(b'#') => from.find("#}").map(|end| end + 2),
            Some(b'%') => closing(from, "%}"),
            Some(b'{') => closing(from, "}}"),
            _ => Some(1),
        };
        let (tag, after) = from.split_at(end.unwrap_or(from.len()));
        match name(tag) {
            Some(("generation", start, end)) => out.extend([start, " with ", end]),
            Some(("endgeneration", start, end)) => out.extend([start, " endwith ", end]),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Where a tag ends whose closing is `close`: not within a string.
fn closing(tag: &str, close: &str) -> Option<usize> {
    let bytes = tag.as_bytes();
    let mut at = 2;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            _ if bytes[at..].starts_with(close.as_bytes()) => return Some(at + close.len()),
            _ => at += 1,
        }
    }
    None
}

/// What a tag says, with its two ends.
fn name(tag: &str) -> Option<(&str, &str, &str)> {
    let inner = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let start = usize::from(inner.starts_with(['-', '+']));
    let end = inner.len() - usize::from(inner.len() > start && inner.ends_with(['-', '+']));
    let opening = &tag[..2 + start];
    Some((inner[start..end].trim(), opening, &tag[2 + end..]))
}

#[cfg(test)]
mod tests {
    use super::as_scopes;

    #[test]
    fn only_the_tags_are_replaced_and_keep_their_dashes() {
        for (source, expected) in [
            (
                "a{%- generation -%}b{% endgeneration +%}c",
                "a{%- with -%}b{% endwith +%}c",
            ),
            (
                "{%generation%}x{%endgeneration%}",
                "{% with %}x{% endwith %}",
            ),
            ("{# {% generation %} #}{x}", "{# {% generation %} #}{x}"),
            (
                "{{ '{% generation %}' }}{% if '%}' %}é{% endif %}",
                "{{ '{% generation %}' }}{% if '%}' %}é{% endif %}",
            ),
            ("{{ 'open", "{{ 'open"),
        ] {
            assert_eq!(as_scopes(source), expected);
        }
    }
}

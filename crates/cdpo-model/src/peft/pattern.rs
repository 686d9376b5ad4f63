//! Regular expressions over module names, as PEFT's configurations hold them for Python's `re`.
//!
//! Goes in: a pattern's text, then a name. Comes out: whether the whole name matches. What the library reads in another sense than Python
//! is refused, and so is a pattern that takes too long.

use fancy_regex::{Regex, RegexBuilder};

/// No real pattern comes near.
const MAX_LENGTH: usize = 4096;
/// Steps of a match that has to try again.
const MAX_STEPS: usize = 100_000;
/// Bytes of a compiled pattern.
const MAX_SIZE: usize = 1 << 20;

/// A pattern, ready to match.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What cannot be read, for the message.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        Self::whole(text, text)
    }

    /// The pattern behind any prefix that ends in a dot, or none: PEFT's `(.*\.)?(PATTERN)`.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub(super) fn of_last_parts(text: &str) -> Result<Self, String> {
        Self::whole(text, &format!(r"(?:.*\.)?(?:{text})"))
    }

    /// The pattern `of`, which `text` is in, for a whole name.
    fn whole(text: &str, of: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("is longer than {MAX_LENGTH} bytes"));
        }
        other_sense(text)?;
        let compile = |text: &str| {
            RegexBuilder::new(text)
                .backtrack_limit(MAX_STEPS)
                .delegate_size_limit(MAX_SIZE)
                .build()
                .map_err(|e| format!("cannot be read: {e}"))
        };
        // By itself first: what stands around it must not make it whole.
        compile(text)?;
        compile(&format!(r"\A(?:{of})\z")).map(Self)
    }

    /// Whether the whole of `name` matches.
    ///
    /// # Errors
    /// If that takes too long, for the message.
    pub(super) fn matches(&self, name: &str) -> Result<bool, String> {
        self.0
            .is_match(name)
            .map_err(|e| format!("cannot be matched with `{name}`: {e}"))
    }
}

/// Refuses what Python reads as something else: sets within `[..]`, and repetitions that are plain text there.
fn other_sense(text: &str) -> Result<(), String> {
    let mut in_set = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let rest = &text[at..];
        match c {
            '\\' => {
                chars.next();
            }
            '[' if in_set => return Err("has a `[` within `[..]`".into()),
            '[' => {
                in_set = true;
                // A bracket that comes first is one of the set.
                chars.next_if(|&(_, c)| c == '^');
                chars.next_if(|&(_, c)| c == ']');
            }
            ']' => in_set = false,
            _ if in_set => {
                if let Some(found) = ["&&", "--", "~~"].iter().find(|s| rest.starts_with(**s)) {
                    return Err(format!("has `{found}` within `[..]`"));
                }
            }
            '{' => {
                let counts = rest[1..].split_once('}').map_or("", |(counts, _)| counts);
                let digits =
                    |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let (min, max) = counts.split_once(',').unwrap_or((counts, counts));
                if !digits(min) || !(max.is_empty() || digits(max)) {
                    return Err(format!("has the repetition {{{counts}}}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Verdicts of Python 3.11's `re.fullmatch`.
    #[test]
    fn names_match_as_pythons_fullmatch_has_them() {
        let name = "model.layers.12.self_attn.q_proj";
        for (pattern, expected) in [
            (r".*\.(q|v)_proj", true),
            (r".*\.(k|v)_proj", false),
            (r"q_proj", false),
            (r".*q_proj$", true),
            (r"^model\.layers\.\d+\.self_attn\.[qkv]_proj$", true),
            (r"model.layers.(1[0-3]|2).self_attn.q_proj", true),
            (r"model.layers.(1|2).self_attn.q_proj", false),
            (r"model\.layers\.(?:[02468]|1[02])\..*", true),
            (r"^(?!.*lm_head).*_proj", true),
            (r"^(?!.*self_attn).*_proj", false),
            (r"(?=.*\.12\.).*?", true),
            (r"(?P<start>model)(\.\w+)*", true),
            (r"(\.\w+)*", false),
            (r".*[^k]_proj", true),
            (r"[a-z_.0-9]{32}", true),
            (r"[a-z_.0-9]{33,}", false),
            (r"[a-z_.0-9]{0,32}?", true),
            (r"[a-z0-9\.-_]*q_proj", true),
            (r"[]a-z_.0-9]+", true),
            (r"", false),
            (r"(.*)*(.*)*x", false),
            (r"(?i)MODEL.*", true),
            (r".*\bq_proj", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).unwrap().matches(name),
                Ok(expected),
                "{pattern}"
            );
        }
    }

    #[test]
    fn a_pattern_of_last_parts_stands_behind_a_dot_or_nothing() {
        let pattern = Pattern::of_last_parts("q_proj|0.self_attn.k_proj").unwrap();
        for (name, expected) in [
            ("model.layers.0.self_attn.q_proj", true),
            ("q_proj", true),
            ("x_q_proj", false),
            ("model.layers.0.self_attn.k_proj", true),
            ("model.layers.10.self_attn.k_proj", false),
        ] {
            assert_eq!(pattern.matches(name), Ok(expected), "{name}");
        }
    }

    #[test]
    fn what_python_reads_in_another_sense_or_not_at_all_is_refused() {
        for (pattern, reason) in [
            ("(q_proj", "cannot be read"),
            ("q_proj)|(x", "cannot be read"),
            ("*q", "cannot be read"),
            ("[a", "cannot be read"),
            ("a\\", "cannot be read"),
            ("[a[b]]", "within"),
            ("[a-z&&b]", "`&&`"),
            ("[--a]", "`--`"),
            ("a{2", "repetition"),
            ("a{,2}", "{,2}"),
            ("a{+3}", "{+3}"),
            ("a{3,2}", "cannot be read"),
            ("a{99999999}", "cannot be read"),
        ] {
            let error = Pattern::new(pattern).unwrap_err();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }

    /// Short patterns that a matcher could spend hours on.
    #[test]
    fn a_pattern_that_takes_too_long_is_refused() {
        let name = "model.layers.0.self_attn.q_proj";
        let ahead = format!("{}{}", ".*(?=".repeat(12), ")".repeat(12)) + "x";
        let tried = Pattern::new(&ahead).and_then(|pattern| pattern.matches(name));
        assert!(tried.is_err() || tried == Ok(false), "{tried:?}");
        let nested = "((((x{256}){256}){256}){256})";
        let tried = Pattern::new(nested).and_then(|pattern| pattern.matches(name));
        assert!(tried.is_err() || tried == Ok(false), "{tried:?}");
        let again = Pattern::new(r"(.*)(.*)(.*)\1\2\3x").unwrap();
        assert!(again.matches(&"a".repeat(200)).is_err());
    }
}

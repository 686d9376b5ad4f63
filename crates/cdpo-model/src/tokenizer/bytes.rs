//! From a vocabulary's spelling of a token to the bytes it stands for.

use serde_json::Value;

use super::steps::{kind, steps};

/// How a vocabulary spells bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// GPT-2's: each byte is one printable character.
    ByteLevel,
    /// SentencePiece's: text with `▁` for a space, and `<0x0A>` for a byte without text.
    ByteFallback,
    /// The token's text is its bytes.
    Plain,
}

impl Spelling {
    /// Reads it off the tokenizer's decoder.
    pub(super) fn of(tokenizer: &tokenizers::Tokenizer) -> Self {
        let decoder = steps(tokenizer.get_decoder());
        let has = |name: &str| decoder.iter().any(|step| kind(step) == name);
        let spaces = |step: &Value| {
            kind(step) == "Replace" && step["pattern"]["String"] == "▁" && step["content"] == " "
        };
        if has("ByteLevel") {
            Self::ByteLevel
        } else if has("ByteFallback") || has("Metaspace") || decoder.iter().any(spaces) {
            Self::ByteFallback
        } else {
            Self::Plain
        }
    }

    /// The bytes of a token.
    pub(super) fn bytes_of(self, token: &str) -> Vec<u8> {
        match self {
            // A token with a character outside the alphabet (a special one, say) stands for its own text.
            Self::ByteLevel => token
                .chars()
                .map(byte_of)
                .collect::<Option<_>>()
                .unwrap_or_else(|| token.as_bytes().to_vec()),
            Self::ByteFallback => match fallback_byte(token) {
                Some(byte) => vec![byte],
                None => token.replace('▁', " ").into_bytes(),
            },
            Self::Plain => token.as_bytes().to_vec(),
        }
    }
}

/// The byte behind a character of GPT-2's alphabet: printable Latin-1 stands for itself, the 68 other bytes are
/// U+0100 and on, in order.
fn byte_of(c: char) -> Option<u8> {
    let code = u32::from(c);
    let byte = match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => code,
        0x100..=0x120 => code - 0x100,        // 00-20
        0x121..=0x142 => code - 0x121 + 0x7f, // 7f-a0
        0x143 => 0xad,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

/// The byte of `<0xAB>`.
fn fallback_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 {
        u8::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Spelling, byte_of};

    #[test]
    fn the_byte_level_alphabet_covers_every_byte_once() {
        let mut found: Vec<u8> = ('\0'..='\u{200}').filter_map(byte_of).collect();
        assert_eq!(found.len(), 256);
        found.sort_unstable();
        assert_eq!(found, (0..=255).collect::<Vec<u8>>());
        // GPT-2's spelling of space, newline, DEL, NBSP and soft hyphen.
        for (c, byte) in [
            ('Ġ', b' '),
            ('Ċ', b'\n'),
            ('ġ', 0x7f),
            ('ł', 0xa0),
            ('Ń', 0xad),
        ] {
            assert_eq!(byte_of(c), Some(byte), "{c}");
        }
    }

    #[test]
    fn byte_tokens_and_word_marks_become_raw_bytes() {
        assert_eq!(Spelling::ByteFallback.bytes_of("<0x0A>"), b"\n");
        assert_eq!(Spelling::ByteFallback.bytes_of("▁the"), b" the");
        assert_eq!(Spelling::ByteFallback.bytes_of("<0x0>"), b"<0x0>");
        assert_eq!(Spelling::ByteLevel.bytes_of("Ġé"), [b' ', 0xe9]);
        assert_eq!(
            Spelling::ByteLevel.bytes_of("<｜end▁of▁sentence｜>"),
            "<｜end▁of▁sentence｜>".as_bytes()
        );
    }
}

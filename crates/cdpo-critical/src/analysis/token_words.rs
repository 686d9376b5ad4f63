//! Tokens and the words they are pieces of: the bytes of each token in, the word of each token out.
//!
//! A token is counted with the word that holds its first byte that is no blank, so that every piece of `multiplied` counts as that
//! content word, and every digit of `2500`, the decimal point and the currency sign count as that number. A token of blanks counts
//! with the word after it, as a leading space does; a line break is a word of its own. The text is put together from the tokens'
//! bytes, never by decoding and encoding, so that a character split between tokens moves no border.

use super::words::{Word, WordType, words};

/// A response's text with its words, and the word of each token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenWords {
    /// The tokens' bytes as text. A byte that is not UTF-8 is a `?`, so that offsets stay those of the bytes.
    pub text: String,
    /// The words, in order.
    pub words: Vec<Word>,
    /// For each token the index of its word; none for blanks at the end and for a token without bytes.
    pub of_token: Vec<Option<usize>>,
}

impl TokenWords {
    /// The type of the word of token `index` (from 0). Blanks at the end, which have no word, are punctuation.
    ///
    /// # Panics
    /// If there is no such token.
    pub fn kind(&self, index: usize) -> WordType {
        self.of_token[index].map_or(WordType::Punctuation, |word| self.words[word].kind)
    }

    /// The word of token `index` (from 0) as text; empty if it has none.
    ///
    /// # Panics
    /// If there is no such token.
    pub fn word(&self, index: usize) -> &str {
        self.of_token[index].map_or("", |word| {
            &self.text[self.words[word].start..self.words[word].end]
        })
    }
}

/// The words of a response whose tokens stand for these bytes.
pub fn token_words<B: AsRef<[u8]>>(pieces: &[B]) -> TokenWords {
    let bytes: Vec<u8> = pieces.iter().flat_map(AsRef::as_ref).copied().collect();
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n('?', chunk.invalid().len()));
    }
    let words = words(&text);
    let mut start = 0;
    let of_token = pieces
        .iter()
        .map(|piece| {
            let end = start + piece.as_ref().len();
            let found = (start < end).then(|| word_of(&words, start)).flatten();
            start = end;
            found
        })
        .collect();
    TokenWords {
        text,
        words,
        of_token,
    }
}

/// The first word that ends after `start`: it holds the first byte from there that is no blank (or the line break).
fn word_of(words: &[Word], start: usize) -> Option<usize> {
    let index = words.partition_point(|word| word.end <= start);
    (index < words.len()).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(pieces: &[&str]) -> Vec<(String, &'static str)> {
        let found = token_words(pieces);
        (0..pieces.len())
            .map(|i| (found.word(i).to_owned(), found.kind(i).name()))
            .collect()
    }

    #[test]
    fn pieces_count_with_their_word_and_blanks_with_the_word_after_them() {
        let pieces = [
            " multip", "lied", " ", "1", "2", ".", "5", " =", " $", "3", "0", ".\n", "\n", "So",
            " ",
        ];
        let expected = [
            ("multiplied", "content"),
            ("multiplied", "content"),
            ("12.5", "number"),
            ("12.5", "number"),
            ("12.5", "number"),
            ("12.5", "number"),
            ("12.5", "number"),
            ("=", "operator"),
            ("$30", "number"),
            ("$30", "number"),
            ("$30", "number"),
            (".", "punctuation"),
            ("\n\n", "punctuation"),
            ("So", "function"),
            ("", "punctuation"),
        ];
        assert_eq!(
            kinds(&pieces),
            expected.map(|(word, kind)| (word.to_owned(), kind))
        );
    }

    #[test]
    fn a_character_split_between_tokens_moves_no_border() {
        // "é" is C3 A9; the last token breaks off inside a character.
        let pieces: [&[u8]; 5] = [b" caf\xc3", b"\xa9", b" 5", b" \xe2\x82", b""];
        let found = token_words(&pieces);
        assert_eq!(found.word(0), "café");
        assert_eq!(found.word(1), "café");
        assert_eq!((found.word(2), found.kind(2)), ("5", WordType::Number));
        assert_eq!(
            (found.word(3), found.kind(3)),
            ("??", WordType::Punctuation)
        );
        assert_eq!(found.of_token[4], None);
    }
}

//! Counts over responses: what kinds of words critical tokens are, beside all tokens of the same responses.

use super::token_words::token_words;
use super::words::WordType;

/// Word types of critical tokens, and of all tokens of the same responses, which say what a token drawn at random would be. Counts
/// stand in the order of [`WordType::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WordTypeCensus {
    /// Critical tokens.
    pub critical: [u64; 5],
    /// Tokens of the responses that have one.
    pub all: [u64; 5],
}

impl WordTypeCensus {
    /// Adds a response with critical token `position` (from 1), its tokens standing for `pieces`. A position beyond the tokens
    /// adds nothing.
    pub fn add<B: AsRef<[u8]>>(&mut self, pieces: &[B], position: usize) {
        if position == 0 || position > pieces.len() {
            return;
        }
        let found = token_words(pieces);
        let place = |kind: WordType| WordType::ALL.iter().position(|&k| k == kind).unwrap_or(0);
        for index in 0..pieces.len() {
            self.all[place(found.kind(index))] += 1;
        }
        self.critical[place(found.kind(position - 1))] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_adds_its_critical_token_and_all_of_its_tokens() {
        let mut census = WordTypeCensus::default();
        census.add(&[" The", " sum", " is", " 1", "2", ".", "\n"], 5);
        census.add(&[" x", " ="], 2);
        census.add(&[" out"], 2);
        assert_eq!(census.critical, [0, 0, 1, 1, 0]);
        assert_eq!(census.all, [2, 2, 2, 1, 2]);
    }
}

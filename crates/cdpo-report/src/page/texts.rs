//! Token texts: the bytes that token ids stand for go in; texts whose concatenation is the decoded response come out, each
//! different text kept once.

use std::collections::HashMap;

/// Gives the bytes that a token id stands for; none for an id without a token.
pub type TokenBytes<'a> = dyn FnMut(u32) -> Vec<u8> + 'a;

/// Different texts, numbered as they come.
#[derive(Debug, Default)]
pub(super) struct Texts {
    all: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Texts {
    /// The text's number.
    pub(super) fn number(&mut self, text: String) -> u32 {
        if let Some(&number) = self.numbers.get(&text) {
            return number;
        }
        let number = self.all.len() as u32;
        self.all.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    /// A token by itself: bytes that are no character become the replacement character.
    pub(super) fn alone(&mut self, id: u32, bytes: &mut TokenBytes<'_>) -> u32 {
        let text = String::from_utf8_lossy(&bytes(id)).into_owned();
        self.number(text)
    }

    /// A response's tokens. A character whose bytes lie in several tokens goes to the one that completes it, and those before
    /// are empty.
    pub(super) fn sequence(&mut self, ids: &[u32], bytes: &mut TokenBytes<'_>) -> Vec<u32> {
        let mut held: Vec<u8> = Vec::new();
        let mut numbers = Vec::with_capacity(ids.len());
        for (t, &id) in ids.iter().enumerate() {
            held.extend(bytes(id));
            let whole = if t + 1 == ids.len() {
                held.len()
            } else {
                complete(&held)
            };
            let text = String::from_utf8_lossy(&held[..whole]).into_owned();
            held.drain(..whole);
            numbers.push(self.number(text));
        }
        numbers
    }

    pub(super) fn into_all(self) -> Vec<String> {
        self.all
    }
}

/// How many of the first bytes are no beginning of a character that may still be completed.
fn complete(bytes: &[u8]) -> usize {
    let mut start = 0;
    loop {
        match std::str::from_utf8(&bytes[start..]) {
            Ok(_) => return bytes.len(),
            Err(e) => match e.error_len() {
                Some(bad) => start += e.valid_up_to() + bad,
                None => return start + e.valid_up_to(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_sequence_concatenate_to_the_decoded_response() {
        // "€" is E2 82 AC; token 1 ends inside it, token 4 is no UTF-8 at all, and the last token begins a character.
        let table: [&[u8]; 6] = [b"a ", b"b\xE2", b"\x82", b"\xAC c", b"\xFF", b"\xF0\x9F"];
        let mut bytes = |id: u32| table[id as usize].to_vec();
        let mut texts = Texts::default();
        let numbers = texts.sequence(&[0, 1, 2, 3, 4, 0, 5], &mut bytes);
        let all = texts.into_all();
        let found: Vec<&str> = numbers.iter().map(|&n| all[n as usize].as_str()).collect();
        assert_eq!(found, ["a ", "b", "", "€ c", "\u{FFFD}", "a ", "\u{FFFD}"]);
        assert_eq!(all.len(), 5, "the same text is kept once");
    }
}

//! What encoding texts apart has led to, counted and reported once for a stage.

use cdpo_model::{Result, Tokenizer};

use crate::messages;

/// So many bytes on either side of a border are looked at: more than any token has.
const NEAR: usize = 256;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Account {
    texts: usize,
    /// Texts that their ids do not spell, and the first of them.
    changed: usize,
    first_changed: String,
    borders: usize,
    /// Borders at which the joint text has other tokens.
    moved: usize,
    responses: usize,
    /// Responses that bring their own end, and the first of these ends.
    own_ends: usize,
    first_end: Option<u32>,
    /// Responses whose last token is a special one that ends none, and the first such.
    other_ends: usize,
    first_other: Option<u32>,
}

impl Account {
    /// Whether nothing was counted.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.texts == 0
    }

    /// A text and its ids.
    pub(super) fn text(&mut self, tokenizer: &Tokenizer, ids: &[u32], text: &str) -> Result<()> {
        self.texts += 1;
        let mut bytes = Vec::with_capacity(text.len() + 1);
        for &id in ids {
            bytes.extend(tokenizer.token_bytes(id)?);
        }
        let unmarked = bytes.strip_prefix(b" ").unwrap_or(&bytes);
        let spelt =
            bytes == text.as_bytes() || tokenizer.marks_first_word() && unmarked == text.as_bytes();
        if !spelt {
            self.changed += 1;
            if self.first_changed.is_empty() {
                text.clone_into(&mut self.first_changed);
            }
        }
        Ok(())
    }

    /// Two texts that are encoded apart, and the second one's ids.
    pub(super) fn border(
        &mut self,
        tokenizer: &Tokenizer,
        before: &str,
        text: &str,
        ids: &[u32],
    ) -> Result<()> {
        let mut from = before.len().saturating_sub(NEAR);
        while !before.is_char_boundary(from) {
            from += 1;
        }
        let near = &before[from..];
        if near.is_empty() || text.is_empty() {
            return Ok(());
        }
        self.borders += 1;
        let mut end = NEAR.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let head = &text[..end];
        let mut apart = tokenizer.encode(near)?;
        let mut joint = tokenizer.encode(&format!("{near}{head}"))?;
        if head.len() < text.len() {
            // Where the text is cut, its last tokens may be others: only the first half of it is compared.
            let kept = apart.len() + first(tokenizer, ids, NEAR / 2)?;
            apart.extend(ids);
            apart.truncate(kept);
            joint.truncate(kept);
        } else {
            apart.extend(ids);
        }
        self.moved += usize::from(apart != joint);
        Ok(())
    }

    /// A response's ids without its end, and the end that its text brought.
    pub(super) fn end(&mut self, tokenizer: &Tokenizer, ids: &[u32], own: Option<u32>) {
        self.responses += 1;
        if let Some(own) = own {
            self.own_ends += 1;
            self.first_end.get_or_insert(own);
            return;
        }
        let blank = |id: &u32| {
            let bytes = tokenizer.token_bytes(*id).unwrap_or_default();
            bytes.iter().all(u8::is_ascii_whitespace)
        };
        let last = ids.iter().rev().find(|id| !blank(id)).copied();
        if let Some(last) = last.filter(|&id| tokenizer.is_special(id)) {
            self.other_ends += 1;
            self.first_other.get_or_insert(last);
        }
    }

    /// Reports what is out of the ordinary; `what` was encoded, and `eos` is the end that is trained.
    pub(super) fn report(&self, what: &str, tokenizer: &Tokenizer, eos: u32) {
        let written = |id: u32| tokenizer.decode(&[id]).unwrap_or_default();
        if self.changed > 0 {
            let first: String = self.first_changed.chars().take(60).collect();
            messages::warn(format_args!(
                "{what}: {} of {} texts are not what their ids spell, as the tokenizer normalises them or lacks characters; the first \
                 begins {first:?}",
                self.changed, self.texts
            ));
        }
        if self.moved > 0 {
            messages::say(format_args!(
                "{what}: at {} of {} borders the joint text would be cut into other tokens; texts are encoded apart, so that a border \
                 lies between tokens",
                self.moved, self.borders
            ));
        }
        if let Some(end) = self.first_end {
            messages::say(format_args!(
                "{what}: {} of {} responses bring their own end ({:?}); none is added",
                self.own_ends,
                self.responses,
                written(end)
            ));
        }
        if let Some(other) = self.first_other {
            messages::warn(format_args!(
                "{what}: {} of {} responses end with a special token ({:?}) that does not end this model's responses; {:?} is added \
                 behind it",
                self.other_ends,
                self.responses,
                written(other),
                written(eos)
            ));
        }
    }
}

/// How many of a text's first ids lie whole within so many bytes.
fn first(tokenizer: &Tokenizer, ids: &[u32], bytes: usize) -> Result<usize> {
    let mut end = 0;
    for (i, &id) in ids.iter().enumerate() {
        end += tokenizer.token_bytes(id)?.len();
        if end > bytes {
            return Ok(i);
        }
    }
    Ok(ids.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_border_is_looked_at_from_near_and_as_exactly() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cdpo-model/tests/fixtures");
        let file = folder.join("tokenizers/first/tokenizer.json");
        let tokenizer = Tokenizer::from_file(&file).unwrap();
        let moved = |before: &str, text: &str| {
            let last = *tokenizer.encode(before).unwrap().last().unwrap();
            let ids = tokenizer.encode_after(last, text).unwrap();
            let mut account = Account::default();
            account.border(&tokenizer, before, text, &ids).unwrap();
            (account.moved, account.borders)
        };
        let long = " Ben has 3 + 7 = 10 coins.".repeat(40);
        for (before, text, expected) in [
            ("How many coins?", " Ben has 10.", 0),
            ("How many co", "ins? Ben has 10.", 1),
        ] {
            for long in ["", &long] {
                for (before, text) in [
                    (before.to_owned(), format!("{text}{long}")),
                    (format!("{long}{before}"), text.to_owned()),
                    (format!("{long}{before}"), format!("{text}{long}")),
                ] {
                    assert_eq!(moved(&before, &text), (expected, 1), "{before}|{text}");
                }
            }
        }
    }
}

//! What a step's sums are divided by: its examples go in, counts come out.

use crate::example::Item;

/// What the whole optimizer step's losses are divided by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Normalisers {
    /// Examples in the step.
    pub(crate) examples: usize,
    /// Tokens of the first (only or chosen) responses in the step.
    pub(crate) tokens: usize,
}

impl Normalisers {
    pub(crate) fn of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        items.into_iter().fold(
            Self {
                examples: 0,
                tokens: 0,
            },
            |n, item| Self {
                examples: n.examples + 1,
                tokens: n.tokens + item.responses.first().map_or(0, |r| r.ids.len()),
            },
        )
    }
}

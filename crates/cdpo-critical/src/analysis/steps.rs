//! Steps of a given solution as tokens, and where a token lies against the first wrong step.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Where a token lies against the first wrong step (Table 1, and the lower part of Table 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In a step before it.
    Before,
    /// In it.
    In,
    /// In a step after it.
    After,
}

impl Place {
    /// All places, in order.
    pub const ALL: [Self; 3] = [Self::Before, Self::In, Self::After];

    /// The place's name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::In => "in",
            Self::After => "after",
        }
    }
}

/// The tokens (from 0) of each step, for a response whose steps are these bytes and whose tokens stand for `pieces`. A token belongs
/// to the step of its first byte that is no white space: a token with the space before a step belongs to it, and a token that ends one
/// step with its line break belongs to that step. A token of white space alone belongs to the step of its first byte.
///
/// Returns none unless the steps cover the pieces: then the tokens are of another text.
pub fn step_tokens<B: AsRef<[u8]>>(
    steps: &[Range<usize>],
    pieces: &[B],
) -> Option<Vec<Range<usize>>> {
    let bytes: usize = pieces.iter().map(|piece| piece.as_ref().len()).sum();
    if steps.last()?.end != bytes {
        return None;
    }
    let mut spans: Vec<Range<usize>> = Vec::with_capacity(steps.len());
    let (mut token, mut start) = (0, 0);
    for step in steps {
        let first = token;
        while let Some(piece) = pieces.get(token).map(AsRef::as_ref) {
            let blanks = piece.iter().take_while(|b| b.is_ascii_whitespace()).count();
            let lead = if blanks == piece.len() { 0 } else { blanks };
            if start + lead >= step.end {
                break;
            }
            start += piece.len();
            token += 1;
        }
        spans.push(first..token);
    }
    Some(spans)
}

/// Where token `index` (from 0) lies against the `first_error_step` (from 1) of a solution with these steps. None if either is
/// beyond them.
pub fn place(steps: &[Range<usize>], first_error_step: usize, index: usize) -> Option<Place> {
    let step = 1 + steps.iter().position(|tokens| tokens.contains(&index))?;
    if first_error_step == 0 || first_error_step > steps.len() {
        return None;
    }
    Some(match step.cmp(&first_error_step) {
        std::cmp::Ordering::Less => Place::Before,
        std::cmp::Ordering::Equal => Place::In,
        std::cmp::Ordering::Greater => Place::After,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A space, and the steps joined by line breaks.
    fn spans(steps: &[&str]) -> Vec<Range<usize>> {
        let mut end = 1;
        let mut spans = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            let start = if i == 0 { 0 } else { end };
            end += step.len() + usize::from(i + 1 < steps.len());
            spans.push(start..end);
        }
        spans
    }

    #[test]
    fn a_token_belongs_to_the_step_of_its_first_byte_that_is_no_blank() {
        let text = spans(&["2+2 = 5.", "So 5.", "#### 5"]);
        let pieces = [
            " ", "2", "+2", " =", " 5", ".\n", "So", " 5", ".", "\n####", " 5",
        ];
        let steps = step_tokens(&text, &pieces).unwrap();
        assert_eq!(steps, [0..6, 6..9, 9..11]);
        let places: Vec<&str> = [0, 5, 6, 8, 9, 10]
            .map(|t| place(&steps, 2, t).unwrap().name())
            .into();
        assert_eq!(places, ["before", "before", "in", "in", "after", "after"]);
        assert_eq!(place(&steps, 2, 11), None);
        assert_eq!(place(&steps, 4, 1), None);
        let apart = [" 2+2 = 5", ".", "\n", "So", " 5.", "\n", "####", " 5"];
        assert_eq!(step_tokens(&text, &apart).unwrap(), [0..3, 3..6, 6..8]);
    }

    #[test]
    fn a_token_over_a_whole_short_step_leaves_it_empty() {
        let text = spans(&["a", "b", "c"]);
        assert_eq!(
            step_tokens(&text, &[" a\nb", "\nc"]).unwrap(),
            [0..1, 1..1, 1..2]
        );
        assert_eq!(step_tokens(&text, &[" a\nb"]), None, "another text");
    }
}

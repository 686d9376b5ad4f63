//! The token forest: one packed, padding-free sequence of tokens, cut into segments with optional parents.
//!
//! A token attends to its own segment up to itself and to all tokens of its ancestor segments; its position
//! counts from its root. Plain batches are many roots, a preference pair is a prompt with two children, and
//! shared prefixes are computed once whatever hangs below them.

/// A segment's index within its forest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentId(pub(crate) usize);

/// A run of consecutive tokens of the packed sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// First packed row.
    pub(crate) first_row: usize,
    /// Number of tokens.
    pub(crate) len: usize,
    /// Position of the first token, counted from the root.
    pub(crate) first_position: usize,
    /// The segment that this one continues.
    pub(crate) parent: Option<SegmentId>,
    /// Content id of the example, for randomness keyed by content (dropout).
    pub(crate) source: u64,
}

impl Segment {
    /// The segment's packed rows.
    pub(crate) fn rows(&self) -> std::ops::Range<usize> {
        self.first_row..self.first_row + self.len
    }

    /// Position after the last token.
    pub(crate) fn end_position(&self) -> usize {
        self.first_position + self.len
    }
}

/// "Hidden row `row` predicts token `id`."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// Packed row whose final hidden state predicts the token.
    pub row: u32,
    /// The token predicted.
    pub id: u32,
}

/// A packed sequence of tokens with its tree structure.
///
/// A preference pair is a prompt with two children, whose tokens are computed once:
///
/// ```
/// use cdpo_model::{Target, TokenForest};
///
/// let mut forest = TokenForest::new();
/// let prompt = forest.push(&[1, 2, 3], None, 7);
/// let chosen = forest.push(&[4, 5], Some(prompt), 7);
/// let rejected = forest.push(&[6], Some(prompt), 7);
/// assert_eq!(forest.ids(), [1, 2, 3, 4, 5, 6]);
/// assert_eq!(forest.positions(), [0, 1, 2, 3, 4, 3]);
/// // The prompt's last row predicts the first token of both responses.
/// assert_eq!(forest.targets(chosen)[0], Target { row: 2, id: 4 });
/// assert_eq!(forest.targets(rejected), [Target { row: 2, id: 6 }]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct TokenForest {
    ids: Vec<u32>,
    positions: Vec<u32>,
    segments: Vec<Segment>,
}

impl TokenForest {
    /// An empty forest.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a segment (`ids` may be empty) and returns its id. `source` is the content id of the example.
    ///
    /// # Panics
    /// If `parent` is not a segment of this forest.
    pub fn push(&mut self, ids: &[u32], parent: Option<SegmentId>, source: u64) -> SegmentId {
        let first_position = parent.map_or(0, |p| self.segments[p.0].end_position());
        self.segments.push(Segment {
            first_row: self.ids.len(),
            len: ids.len(),
            first_position,
            parent,
            source,
        });
        self.ids.extend_from_slice(ids);
        self.positions
            .extend((first_position..first_position + ids.len()).map(|p| p as u32));
        SegmentId(self.segments.len() - 1)
    }

    /// Number of packed rows (tokens).
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Token ids by row.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Positions by row, counted from each root.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// All segments in order of their rows.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// One segment.
    ///
    /// # Panics
    /// If `segment` is not of this forest.
    pub(crate) fn segment(&self, segment: SegmentId) -> &Segment {
        &self.segments[segment.0]
    }

    /// The last token's row on the path that ends with `segment` (its own or, if it is empty, an ancestor's).
    pub(crate) fn last_row(&self, segment: SegmentId) -> Option<usize> {
        let mut at = Some(segment);
        while let Some(id) = at {
            let s = &self.segments[id.0];
            if s.len > 0 {
                return Some(s.first_row + s.len - 1);
            }
            at = s.parent;
        }
        None
    }

    /// Every token of `segment` with the row that predicts it: the token before it on its path. A root's first
    /// token has no predictor and gives no target.
    pub fn targets(&self, segment: SegmentId) -> Vec<Target> {
        let s = &self.segments[segment.0];
        let before = s.parent.and_then(|p| self.last_row(p));
        let mut targets = Vec::with_capacity(s.len);
        for row in s.rows() {
            let from = if row == s.first_row {
                before
            } else {
                Some(row - 1)
            };
            if let Some(from) = from {
                targets.push(Target {
                    row: from as u32,
                    id: self.ids[row],
                });
            }
        }
        targets
    }

    /// The path's segments from root to `segment`.
    pub(crate) fn path(&self, segment: SegmentId) -> Vec<SegmentId> {
        let mut path = vec![segment];
        while let Some(parent) = self.segments[path[path.len() - 1].0].parent {
            path.push(parent);
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_shares_its_prompt_and_both_responses_continue_its_positions() {
        let mut forest = TokenForest::new();
        let prompt = forest.push(&[1, 2, 3], None, 9);
        let chosen = forest.push(&[4, 5], Some(prompt), 9);
        let rejected = forest.push(&[6], Some(prompt), 9);
        assert_eq!(forest.ids(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(forest.positions(), [0, 1, 2, 3, 4, 3]);
        assert_eq!(
            forest.targets(chosen),
            [Target { row: 2, id: 4 }, Target { row: 3, id: 5 }]
        );
        assert_eq!(forest.targets(rejected), [Target { row: 2, id: 6 }]);
        assert_eq!(
            forest.targets(prompt).len(),
            2,
            "a root's first token has no predictor"
        );
    }

    #[test]
    fn an_empty_segment_passes_its_parents_last_row_on() {
        let mut forest = TokenForest::new();
        let root = forest.push(&[1], None, 0);
        let empty = forest.push(&[], Some(root), 0);
        let child = forest.push(&[2], Some(empty), 0);
        assert_eq!(forest.targets(child), [Target { row: 0, id: 2 }]);
        assert_eq!(forest.path(child), [root, empty, child]);
    }
}

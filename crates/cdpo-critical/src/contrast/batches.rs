//! Cuts pairs into runs under a token budget: pairs in; index ranges that cover them in order out.

use std::ops::Range;

use cdpo_data::Pair;

/// Consecutive runs of pairs whose prompts and responses hold at most `max_tokens` together; a longer pair is a run of
/// its own. A function of the pairs alone.
pub(super) fn batches(pairs: &[Pair], max_tokens: usize) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut held = 0;
    for (i, pair) in pairs.iter().enumerate() {
        let tokens = pair.prompt_ids.len() + pair.chosen_ids.len() + pair.rejected_ids.len();
        if i > start && held + tokens > max_tokens {
            runs.push(start..i);
            start = i;
            held = 0;
        }
        held += tokens;
    }
    if start < pairs.len() {
        runs.push(start..pairs.len());
    }
    runs
}

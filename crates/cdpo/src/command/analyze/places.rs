//! Rollout records and labels in; where critical tokens stand relative to the first error, out.

use std::collections::BTreeMap;
use std::ops::Range;

use cdpo_critical::analysis::{Place, place, step_tokens};
use cdpo_data::rollout_record::RolloutRecord;
use cdpo_model::Tokenizer;
use cdpo_report::ShareTable;
use cdpo_report::critical_tokens::{error_kind_table, place_table};

use super::labels::Labels;

/// The two tables that need labels: where critical tokens stand by the first wrong step, and by the kind of error.
///
/// Both are `None` where no response has a label.
pub(super) fn place_tables(
    tokenizer: &Tokenizer,
    records: &[RolloutRecord],
    labels: &Labels,
) -> anyhow::Result<(Option<ShareTable>, Option<ShareTable>)> {
    let counted = Counted::of(tokenizer, records, labels)?;
    if counted.steps.total() == 0 {
        return Ok((None, None));
    }
    Ok((Some(counted.places()?), Some(counted.error_kinds()?)))
}

/// Critical tokens by place, counted three ways.
#[derive(Default)]
struct Counted {
    /// The error is a step.
    steps: PlaceCounts,
    /// The error is a token, where one can be named.
    tokens: PlaceCounts,
    /// The error is a step, by its kind.
    kinds: BTreeMap<String, PlaceCounts>,
}

impl Counted {
    fn of(
        tokenizer: &Tokenizer,
        records: &[RolloutRecord],
        labels: &Labels,
    ) -> anyhow::Result<Self> {
        let mut counted = Self::default();
        for record in records {
            let Some(position) = record.position else {
                continue;
            };
            let pieces = pieces(tokenizer, &record.ids)?;
            let Some(label) = labels.of(record, &pieces.concat()) else {
                continue;
            };
            let Some(steps) = step_tokens(&label.steps, &pieces) else {
                continue;
            };
            counted.steps.add(&steps, label.first_error, position);
            if let Some(parts) = label.token
                && let Some(parts) = step_tokens(&parts, &pieces)
            {
                counted.tokens.add(&parts, 2, position);
            }
            if let Some(kind) = label.kind {
                let counts = counted.kinds.entry(kind).or_default();
                counts.add(&steps, label.first_error, position);
            }
        }
        Ok(counted)
    }

    fn places(&self) -> anyhow::Result<ShareTable> {
        let Self { steps, tokens, .. } = self;
        let mut table = place_table()?;
        table.counted(
            "critical tokens, here (error: a step)",
            &steps.critical,
            steps.total(),
        )?;
        table.published(
            "a random token of these responses (error: a step)",
            &steps.random().map(|share| Some(100.0 * share)),
        )?;
        if tokens.total() > 0 {
            table.counted(
                "critical tokens, here (error: a token)",
                &tokens.critical,
                tokens.total(),
            )?;
        }
        Ok(table)
    }

    fn error_kinds(&self) -> anyhow::Result<ShareTable> {
        let Self {
            steps,
            tokens,
            kinds,
        } = self;
        let mut table = error_kind_table()?;
        let outside = |counts: &PlaceCounts| [counts.total() - counts.critical[1]];
        table.counted("here, all (error: a step)", &outside(steps), steps.total())?;
        table.published(
            "a random token of these responses (error: a step)",
            &[Some(100.0 * (1.0 - steps.random()[1]))],
        )?;
        if tokens.total() > 0 {
            table.counted(
                "here, all (error: a token)",
                &outside(tokens),
                tokens.total(),
            )?;
        }
        for (kind, counts) in kinds {
            table.counted(&format!("here, {kind}"), &outside(counts), counts.total())?;
        }
        Ok(table)
    }
}

/// The bytes of each of a response's tokens.
pub(super) fn pieces(tokenizer: &Tokenizer, ids: &[u32]) -> anyhow::Result<Vec<Vec<u8>>> {
    let bytes = ids.iter().map(|&id| tokenizer.token_bytes(id));
    Ok(bytes.collect::<cdpo_model::Result<_>>()?)
}

/// Critical tokens by place, and the sum over responses of the share of their tokens there.
#[derive(Default)]
struct PlaceCounts {
    critical: [u64; 3],
    shares: [f64; 3],
}

impl PlaceCounts {
    fn add(&mut self, steps: &[Range<usize>], first_error: usize, position: usize) {
        let index = |found: Place| Place::ALL.iter().position(|&p| p == found);
        let Some(own) = place(steps, first_error, position - 1).and_then(index) else {
            return;
        };
        self.critical[own] += 1;
        let tokens: usize = steps.iter().map(ExactSizeIterator::len).sum();
        for (i, step) in steps.iter().enumerate() {
            let place = (i + 1).cmp(&first_error) as i8 + 1;
            self.shares[place as usize] += step.len() as f64 / tokens as f64;
        }
    }

    fn total(&self) -> u64 {
        self.critical.iter().sum()
    }

    fn random(&self) -> [f64; 3] {
        self.shares.map(|share| share / self.total().max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::PlaceCounts;

    /// Two tokens before, one in and one after: a random token is before with chance one half.
    #[test]
    fn a_random_tokens_place_is_the_mean_share_of_the_tokens_there() {
        let mut counts = PlaceCounts::default();
        counts.add(&[0..1, 1..2, 2..3, 3..4], 3, 3);
        counts.add(&[0..1, 1..2], 1, 2);
        assert_eq!(counts.critical, [0, 1, 1]);
        assert_eq!(counts.random(), [0.25, 0.375, 0.375]);
    }
}

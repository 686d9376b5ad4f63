//! Responses: prompts filled in once, then a token of each sequence at a step.

use cdpo_model::ModelCost;
use cdpo_model::cost::{AdapterCost, Held, Work};
use cdpo_model::kv::PAGE;

use super::memory;
use super::{Kind, Known, Lengths, Memory, Part, Workload};
use crate::stage::{Questions, Responses};

/// Rows that read a shared page of keys and values together.
const SHARED_ROWS: f64 = 32.0;
/// Prompt tokens that are computed at once.
const PREFILL: f64 = 1024.0;

/// Responses to be drawn.
pub(super) struct Drawn {
    pub(super) questions: f64,
    /// To each question.
    pub(super) each: f64,
    pub(super) max_batch: usize,
}

/// Sequences under way at a time.
struct Batch {
    /// Sequences.
    rows: f64,
    /// Tokens whose keys and values are held.
    cached: f64,
}

impl Known<'_> {
    pub(super) fn responses(&self, wanted: &Responses, adapters: &[AdapterCost]) -> Workload {
        let questions = match wanted.of {
            Questions::Train => self.amounts.train_questions,
            Questions::Test => self.amounts.test_questions,
        };
        let drawn = Drawn {
            questions,
            each: f64::from(wanted.n),
            max_batch: wanted.max_batch,
        };
        self.drawn(&drawn, adapters)
    }

    pub(super) fn drawn(&self, drawn: &Drawn, adapters: &[AdapterCost]) -> Workload {
        let cost = self.cost();
        let Lengths {
            prefix,
            question,
            response,
            ..
        } = self.lengths;
        let read = prefix + drawn.questions * question;
        let sequences = drawn.questions * drawn.each;
        let generated = sequences * response;
        let batch = self.batch(drawn, sequences);
        let prompt = Work {
            tokens: read,
            targets: drawn.questions,
            context: prefix + question / 2.0,
        };
        let token = Work {
            tokens: 1.0,
            targets: 1.0,
            context: prefix + question + response / 2.0,
        };
        // The last sequences end alone.
        let steps = (generated / batch.rows).max(2.0 * response).ceil();
        let kv = cost.kv_bytes_per_token(self.recipe.sample.kv) as f64;
        let own = response / 2.0 + question / drawn.each.clamp(1.0, SHARED_ROWS);
        let cached_read = prefix * (batch.rows / SHARED_ROWS).ceil() + batch.rows * own;
        let adapters_bytes: u64 = adapters.iter().map(|a| 4 * a.parameters()).sum();
        Workload {
            read: Some(read),
            generated: Some(generated),
            parts: vec![
                Part {
                    kind: Kind::Forward,
                    flops: cost.forward_flops(&prompt, adapters),
                    passes: (prefix / PREFILL).ceil()
                        + (drawn.questions * question / PREFILL).ceil(),
                    bytes: 0.0,
                },
                Part {
                    kind: Kind::Decoding,
                    flops: generated * cost.forward_flops(&token, adapters),
                    passes: steps,
                    bytes: steps * kv * cached_read,
                },
            ],
            memory: Some(Memory {
                weights: cost.weight_bytes(self.held(Held::Packed)) + adapters_bytes,
                loading: self.loading(),
                cache: (kv * batch.cached) as u64,
                activations: self.decoding_bytes(&cost, read, batch.rows),
                optimizer: 0,
                records: memory::records(sequences, generated),
            }),
        }
    }

    /// A prompt's part or a step of all sequences, whichever takes more, and the step's logits with what is drawn from.
    fn decoding_bytes(&self, cost: &ModelCost<'_>, read: f64, rows: f64) -> u64 {
        let prompts = self.forward_bytes(PREFILL.min(read), 1.0);
        let logits = cost.logits_bytes(rows as usize);
        prompts.max((rows * cost.forward_bytes_per_token() as f64) as u64) + 2 * logits
    }

    /// As many sequences as are wanted, unless their keys and values pass `sample.cache_mib`.
    fn batch(&self, drawn: &Drawn, sequences: f64) -> Batch {
        let page = PAGE as f64;
        let Lengths {
            prefix,
            question,
            response,
            ..
        } = self.lengths;
        let most = (drawn.max_batch as f64).min(sequences).max(1.0);
        // Forks copy a page that is begun: half a page more for each sequence and question on average.
        let own = response + page / 2.0;
        let at_once = |rows: f64| (rows / drawn.each.max(1.0)).ceil().min(drawn.questions);
        let cached = |rows: f64| prefix + at_once(rows) * (question + page / 2.0) + rows * own;
        let room = (self.recipe.sample.cache_mib << 20) as f64
            / self.cost().kv_bytes_per_token(self.recipe.sample.kv) as f64;
        let rows = if cached(most) <= room {
            most
        } else {
            (most * (room - prefix).max(0.0) / (cached(most) - prefix))
                .floor()
                .max(1.0)
        };
        Batch {
            rows,
            cached: cached(rows),
        }
    }
}

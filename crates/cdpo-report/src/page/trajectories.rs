//! Wrong responses as the page shows them: scored pairs, their questions and verdicts in; tokens with their numbers out.

use std::collections::HashMap;

use cdpo_data::rollout_record::{CriticalKind, RolloutRecord};
use cdpo_data::{Graded, Pair, Problem};
use cdpo_grade::Outcome;
use serde::{Deserialize, Serialize};

use super::distributions::{content_tokens, top_critical};
use super::texts::{Texts, TokenBytes};

/// Most responses of a page; a run may have more, and the page says so.
pub(super) const LIMIT: usize = 1000;

/// What the grader said of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictView {
    /// Correct, wrong or unparsed.
    pub outcome: Outcome,
    /// The answer found.
    pub answer: Option<String>,
    /// How the outcome was reached.
    pub why: String,
}

impl From<&Graded> for VerdictView {
    fn from(graded: &Graded) -> Self {
        Self {
            outcome: graded.verdict.outcome,
            answer: graded.verdict.answer.clone(),
            why: graded.verdict.why.clone(),
        }
    }
}

/// What rollouts said of a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutView {
    /// What the critical token meets.
    pub kind: CriticalKind,
    /// Index of the critical token, from 0.
    pub critical: Option<usize>,
    /// Rollouts of each position.
    pub n: u32,
    /// Right and wrong rollouts known after each content token.
    pub counts: Vec<(u32, u32)>,
}

impl From<&RolloutRecord> for RolloutView {
    fn from(record: &RolloutRecord) -> Self {
        Self {
            kind: record.kind,
            critical: record.position.and_then(|t| t.checked_sub(1)),
            n: record.n,
            counts: record
                .positions
                .iter()
                .map(|at| (at.successes, at.failures))
                .collect(),
        }
    }
}

/// A scored wrong response with the right one beside it. Lists have one entry a token, the terminator's included.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrajectoryView {
    /// Names the response: `QUESTION#SAMPLE`.
    pub id: String,
    /// The question.
    pub question: String,
    /// The gold answer.
    pub gold: Option<String>,
    /// The gold solution.
    pub gold_solution: Option<String>,
    /// The chosen response.
    pub chosen: String,
    /// What the grader said of it.
    pub chosen_verdict: Option<VerdictView>,
    /// What the grader said of the wrong response.
    pub verdict: Option<VerdictView>,
    /// Whether the last token is the terminator.
    pub terminated: bool,
    /// Token texts, as indices into the report's.
    pub tokens: Vec<u32>,
    /// s_t, to four decimals.
    pub scores: Vec<f32>,
    /// log P_p in nats, to two decimals; empty if not recorded, as are the next three.
    pub positive: Vec<f32>,
    /// log P_n in nats.
    pub negative: Vec<f32>,
    /// Rank under P_p.
    pub ranks: Vec<u32>,
    /// P_p's best other tokens: text and probability in thousandths, best first.
    pub alternatives: Vec<Vec<(u32, u32)>>,
    /// Index of the content token with the lowest score.
    pub critical: usize,
    /// Its 1 - s_t.
    pub highest: f32,
    /// What rollouts said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollouts: Option<RolloutView>,
}

impl TrajectoryView {
    /// Content tokens.
    pub fn content(&self) -> usize {
        self.tokens.len() - usize::from(self.terminated)
    }
}

/// What stands beside the pairs, looked up by question and sample.
#[derive(Debug, Default)]
pub(super) struct Beside<'a> {
    pub(super) problems: HashMap<&'a str, &'a Problem>,
    pub(super) graded: HashMap<(&'a str, u32), &'a Graded>,
    pub(super) rollouts: HashMap<(&'a str, u32, &'a [u32]), &'a RolloutRecord>,
}

impl Beside<'_> {
    /// A pair's view; none if it is not scored, or has no content.
    pub(super) fn view(
        &self,
        pair: &Pair,
        texts: &mut Texts,
        bytes: &mut TokenBytes<'_>,
    ) -> Option<TrajectoryView> {
        let critical = top_critical(pair)?;
        let scores = pair.rejected_scores.as_deref()?;
        let problem = self.problems.get(pair.problem_id.as_str());
        let verdict = |sample| {
            let graded = self.graded.get(&(pair.problem_id.as_str(), sample));
            graded.map(|graded| VerdictView::from(*graded))
        };
        let logps = |values: Option<&[f32]>| {
            let values = values.unwrap_or_default().iter();
            values.map(|x| rounded(*x, 100.0)).collect()
        };
        let mut alternative = |&(id, p): &(u32, f32)| {
            let thousandths = (f64::from(p) * 1000.0).round() as u32;
            (texts.alone(id, bytes), thousandths)
        };
        let alternatives = pair.rejected_alternatives.as_deref().unwrap_or_default();
        let alternatives = alternatives
            .iter()
            .map(|best| best.iter().map(&mut alternative).collect())
            .collect();
        let content = content_tokens(pair);
        let mut tokens = texts.sequence(&pair.rejected_ids[..content], bytes);
        tokens.extend(
            pair.rejected_ids[content..]
                .iter()
                .map(|&id| texts.alone(id, bytes)),
        );
        // Records stay when other samples are drawn: they count only for the very same tokens.
        let name = (
            pair.problem_id.as_str(),
            pair.rejected_sample,
            &pair.rejected_ids[..content],
        );
        let rollouts = self.rollouts.get(&name);
        Some(TrajectoryView {
            id: format!("{}#{}", pair.problem_id, pair.rejected_sample),
            question: problem.map_or_else(|| pair.prompt.clone(), |p| p.question.clone()),
            gold: problem.map(|p| p.answer.clone()),
            gold_solution: problem.and_then(|p| p.solution.clone()),
            chosen: pair.chosen.clone(),
            chosen_verdict: verdict(pair.chosen_sample),
            verdict: verdict(pair.rejected_sample),
            terminated: pair.rejected_terminated,
            tokens,
            scores: scores.iter().map(|s| rounded(*s, 10_000.0)).collect(),
            positive: logps(pair.positive_logps.as_deref()),
            negative: logps(pair.negative_logps.as_deref()),
            ranks: pair.rejected_ranks.clone().unwrap_or_default(),
            alternatives,
            critical,
            highest: rounded(1.0 - scores[critical], 10_000.0),
            rollouts: rollouts.map(|record| RolloutView::from(*record)),
        })
    }
}

/// To the nearest 1 / `parts`; a negative zero is zero.
fn rounded(x: f32, parts: f64) -> f32 {
    ((f64::from(x) * parts).round() / parts + 0.0) as f32
}

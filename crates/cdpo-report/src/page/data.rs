//! What the page shows.

use serde::{Deserialize, Serialize};

use super::curves::Curve;
use super::distributions::Distributions;
use super::trajectories::TrajectoryView;
use crate::cost_table::CostTable;
use crate::critical_tokens::{CriticalTokens, Judgement};
use crate::method_table::MethodTable;
use crate::sample_curve::SampleCurve;
use crate::seeds::SeedTable;
use crate::share_table::ShareTable;

/// A line of what was run on what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is, in a word or two.
    pub name: String,
    /// What it was.
    pub value: String,
}

impl Fact {
    /// A name and its value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// A method's Pass@k and maj@k on the held-out questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodCurve {
    /// The method.
    pub method: String,
    /// Its curve.
    #[serde(flatten)]
    pub curve: SampleCurve,
}

/// All of a report. What a run does not have is empty or absent, and the page leaves it out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ReportData {
    /// The run's name.
    pub title: String,
    /// What was run on what.
    pub facts: Vec<Fact>,
    /// Accuracy of the methods.
    pub table: Option<MethodTable>,
    /// The same over several seeds.
    pub seeds: Option<SeedTable>,
    /// Seconds and tokens of the stages.
    pub costs: CostTable,
    /// Metrics of the trainings.
    pub curves: Vec<Curve>,
    /// Token texts; tokens are indices into them.
    pub texts: Vec<String>,
    /// Scored wrong responses, at most a thousand.
    pub trajectories: Vec<TrajectoryView>,
    /// How many scored responses the run has.
    pub scored: u64,
    /// Distributions over all scored responses.
    pub distributions: Option<Distributions>,
    /// Word types of the top critical tokens of the responses shown, beside all of their tokens.
    pub word_types: Option<ShareTable>,
    /// Pass@k and maj@k by method.
    pub sampled: Vec<MethodCurve>,
    /// Critical tokens by the definition.
    pub critical_tokens: Option<CriticalTokens>,
    /// Signals judged by the definition.
    pub judgement: Option<Judgement>,
    /// The paper's Pass@k without the critical token, in percent: k, GSM8K, MATH500.
    pub paper_pass_at_k: Vec<(u64, f64, f64)>,
}

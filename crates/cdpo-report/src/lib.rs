//! Figures of an evaluation: graded answers go in; accuracy with intervals, paired tests, Pass@k, maj@k and tables come out.
//!
//! Everything here is a pure function. Random draws are a parameter, and nothing is printed: a table is rendered to a `String`.

pub mod bootstrap;
mod conventions;
mod cost_table;
pub mod critical_tokens;
mod error;
mod evaluation;
pub mod experiment;
mod figures;
mod grid;
pub mod interval;
mod judge_table;
mod method_table;
pub mod page;
pub mod paired;
pub mod pass_at_k;
pub mod plan_table;
pub mod ranking;
pub mod replacement_curve;
mod sample_curve;
pub mod seeds;
mod share_table;
mod sign_flip;
pub mod terminal;

pub use conventions::ConventionTable;
pub use cost_table::{CostTable, StageCost};
pub use critical_tokens::{CriticalTokens, Findings, Judgement};
pub use error::{Error, Result};
pub use evaluation::{Accuracy, Evaluation};
pub use experiment::ExperimentTable;
pub use interval::Interval;
pub use judge_table::JudgeTable;
pub use method_table::MethodTable;
pub use replacement_curve::ReplacementCurve;
pub use sample_curve::{SampleCurve, sample_curve};
pub use seeds::{Cell, SeedTable};
pub use share_table::ShareTable;

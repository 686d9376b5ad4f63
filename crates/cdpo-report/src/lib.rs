//! Figures of an evaluation: graded answers go in; accuracy with intervals, paired tests, Pass@k, maj@k and tables come out.
//!
//! Everything here is a pure function. Random draws are a parameter, and nothing is printed: a table is rendered to a `String`.
//!
//! ```
//! use cdpo_grade::Outcome::{Correct, Unparsed, Wrong};
//! use cdpo_report::Evaluation;
//!
//! let base = Evaluation::new("base", [("q1", Correct), ("q2", Wrong), ("q3", Unparsed)])?;
//! let tuned = Evaluation::new("cdpo", [("q1", Correct), ("q2", Correct), ("q3", Correct)])?;
//! let accuracy = base.accuracy();
//! assert_eq!((accuracy.correct, accuracy.questions), (1, 3));
//! assert!(accuracy.interval.contains(1.0 / 3.0));
//!
//! // McNemar's exact test looks at the questions on which the two differ: both for the second.
//! let paired = tuned.against(&base)?;
//! assert_eq!((paired.only_first, paired.only_second), (2, 0));
//! assert!((paired.p_value - 0.5).abs() < 1e-12);
//! # Ok::<(), cdpo_report::Error>(())
//! ```

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

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

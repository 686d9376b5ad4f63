//! Figures of an evaluation: graded answers go in; accuracy with intervals, paired tests, Pass@k, maj@k and tables come out.
//!
//! Everything here is a pure function. Random draws are a parameter, and nothing is printed: a table is rendered to a `String`.

pub mod bootstrap;
pub mod cost_table;
pub mod error;
pub mod evaluation;
pub mod experiment;
pub mod grid;
pub mod interval;
pub mod method_table;
pub mod paired;
pub mod pass_at_k;
pub mod sample_curve;
pub mod seeds;
pub mod sign_flip;

pub use cost_table::{CostTable, StageCost};
pub use error::{Error, Result};
pub use evaluation::{Accuracy, Evaluation};
pub use experiment::ExperimentTable;
pub use interval::Interval;
pub use method_table::MethodTable;
pub use sample_curve::{SampleCurve, sample_curve};
pub use seeds::{Cell, SeedTable};

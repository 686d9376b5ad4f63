//! Grades the answers of mathematical questions: finds the answer in a response, compares it exactly with
//! the gold answer, and gives equal answers one canonical key. Text goes in, a [`Verdict`] comes out.

mod extract;
mod grader;
mod number;
mod options;
mod verdict;

pub use extract::{Extracted, Rule};
pub use grader::Grader;
pub use options::{Extraction, GradeOptions};
pub use verdict::{Outcome, Verdict};

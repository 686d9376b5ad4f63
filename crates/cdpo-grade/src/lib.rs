//! Grades the answers of mathematical questions: finds the answer in a response, compares it exactly with
//! the gold answer, and gives equal answers one canonical key. Text goes in, a [`Verdict`] comes out.

mod budget;
mod equal;
mod eval;
mod explain;
mod extract;
mod form;
mod grader;
mod group;
mod options;
mod rational;
mod read;
mod refusal;
mod syntax;
mod verdict;

pub use explain::{Explanation, NormalForm};
pub use extract::{Extracted, Rule};
pub use grader::Grader;
pub use options::{Extraction, GradeOptions};
pub use refusal::{MAX_DEPTH, MAX_LEN, Refusal};
pub use verdict::{Outcome, Verdict};

//! Grades the answers of mathematical questions: finds the answer in a response, compares it with the gold answer, and
//! gives equal answers one canonical key. Text goes in, a [`Verdict`] comes out.
//!
//! ```
//! use cdpo_grade::{Extraction, GradeOptions, Grader, Outcome};
//!
//! let grader = Grader::default();
//! let verdict = grader.grade(r"Hence the roots are $\boxed{1 \pm \sqrt{2}}$.", r"1-\sqrt2, 1+\sqrt2");
//! assert_eq!(verdict.outcome, Outcome::Correct);
//! assert_eq!(verdict.answer.as_deref(), Some(r"1 \pm \sqrt{2}"));
//! assert_eq!(verdict.rule, "boxed");
//!
//! // Both conventions of lm-evaluation-harness for GSM8K.
//! let by = |extraction| Grader::new(GradeOptions { extraction, ..GradeOptions::default() });
//! let response = "So he has 7 left. The answer is 7. He gave 3 away.";
//! assert_eq!(by(Extraction::Gsm8kStrict).grade(response, "#### 7").outcome, Outcome::Correct);
//! assert_eq!(by(Extraction::Gsm8kFlexible).grade(response, "#### 7").outcome, Outcome::Wrong);
//! ```
//!
//! How it works, from the text inwards:
//! - `extract` finds the answer and says by which [`Rule`] and where;
//! - `syntax` parses it, LaTeX or plain, into an expression; what does not follow the grammar is kept as text;
//! - `form` brings the expression into a normal form with exact rational coefficients, whose text is the key;
//! - `equal` compares two normal forms; where the difference of two scalars is not decided exactly, `eval` evaluates it
//!   in a prime field and in high precision with error bounds, at random points that depend on the symbols alone;
//! - `budget` counts the work, so that every comparison ends within milliseconds; what oversteps a bound is a
//!   [`Refusal`], and a response whose answer is refused is unparsed.
//!
//! Equality is symmetric, and reflexive on all that is read. It is not transitive, so [`Grader::group_answers`] lets
//! the first answer of a group represent it.

mod amount;
mod budget;
mod equal;
mod eval;
mod explain;
mod extract;
mod form;
mod function;
mod grader;
mod group;
mod measure;
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

/// The version of the verdicts: bumped with every change that can alter an outcome, an extracted answer, its place or a key of some
/// response under some options. Speed, wording and documentation do not bump it. Whoever keeps verdicts puts it beside the
/// inputs that they are kept under, so that verdicts of another version are made anew.
pub const VERSION: u32 = 11;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

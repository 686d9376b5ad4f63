//! Settings of the grader.

use serde::{Deserialize, Serialize};

/// Which conventions are used to find the answer in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extraction {
    /// Every convention, the most explicit first: `####`, `\boxed{}`, "the answer is", last formula or number.
    #[default]
    Auto,
    /// The strict filter of lm-evaluation-harness for GSM8K: the number after the first `####` or "The answer is".
    Gsm8kStrict,
    /// The flexible filter of lm-evaluation-harness for GSM8K: the last number of the response.
    Gsm8kFlexible,
    /// MATH: `\boxed{}`, "Final Answer: The final answer is $…$", or the last formula; never a number in prose.
    Math,
    /// The whole response is the answer.
    Plain,
}

/// Settings of a [`crate::Grader`]; the default is exact comparison with every extraction rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GradeOptions {
    /// Which conventions are used to find the answer.
    pub extraction: Extraction,
    /// Also accept an answer that is 100 times, or a hundredth of, the gold answer when either is a percentage.
    pub percent_rule: bool,
}

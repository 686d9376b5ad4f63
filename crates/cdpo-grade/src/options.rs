//! Settings of the grader.

use serde::{Deserialize, Serialize};

/// Which conventions are used to find the answer in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extraction {
    /// Every convention, the most explicit first: `####`, `\boxed{}`, "the answer is", last formula or number.
    #[default]
    Auto,
    /// The number after the first `####` or "The answer is", whichever comes first, read whole: with a currency, thousands
    /// marks, a fraction's bar and a word such as "million".
    Gsm8kStrict,
    /// The strict filters of lm-evaluation-harness for GSM8K, character by character, to compare figures with: they read no number
    /// after a `$`, and lose the last digit of one that nothing follows on its line.
    Gsm8kStrictFilter,
    /// The flexible filter of lm-evaluation-harness for GSM8K: the last number of the response.
    Gsm8kFlexible,
    /// MATH: `\boxed{}`, "Final Answer: The final answer is $…$", or the last formula; never a number in prose.
    Math,
    /// The whole response is the answer.
    Plain,
    /// A letter A to J that names an option.
    Choice,
}

impl Extraction {
    /// Whether the first match counts, so that a response may be settled before it ends ([`crate::Grader::settled_at`]).
    pub fn settles(self) -> bool {
        matches!(self, Self::Gsm8kStrict | Self::Gsm8kStrictFilter)
    }
}

/// Settings of a [`crate::Grader`]; the default is exact comparison with every extraction rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)]
pub struct GradeOptions {
    /// Which conventions are used to find the answer.
    pub extraction: Extraction,
    /// Also accept an answer that is 100 times, or a hundredth of, the gold answer when either is a percentage.
    pub percent_rule: bool,
    /// Compare lists such as `1, 2` in order. Tuples always are.
    pub ordered_lists: bool,
    /// Read a comma as a decimal mark where it can be one: `2,5` is 5/2.
    pub decimal_comma: bool,
    /// A decimal equals an exact value that rounds to it if it has at least this many decimal places and as many
    /// significant digits. Whole numbers are never equal to what rounds to them.
    pub decimal_digits: u32,
    /// Fractions have to be in lowest terms on both sides, or unreduced in the same way.
    pub require_simplified: bool,
}

impl Default for GradeOptions {
    fn default() -> Self {
        GradeOptions {
            extraction: Extraction::Auto,
            percent_rule: false,
            ordered_lists: false,
            decimal_comma: false,
            decimal_digits: 4,
            require_simplified: false,
        }
    }
}

//! The grader's settings on the command line: flags in, options out.

use cdpo_grade::{Extraction, GradeOptions};
use clap::Args;

/// How answers are found and compared; a recipe has the same keys in `[grade]`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // flags
pub(crate) struct GradeOptionArgs {
    /// How the answer of a response is found: auto, gsm8k_strict, gsm8k_strict_filter, gsm8k_flexible (the last two as
    /// lm-evaluation-harness filters), math, plain or choice.
    #[arg(long, value_name = "RULE", value_parser = extraction)]
    extraction: Option<Extraction>,
    /// A percentage also equals its hundredth: 50% is 0.5.
    #[arg(long)]
    percent_rule: bool,
    /// Lists such as `1, 2` are compared in order.
    #[arg(long)]
    ordered_lists: bool,
    /// A comma is a decimal mark where it can be one: 2,5 is 5/2.
    #[arg(long)]
    decimal_comma: bool,
    /// Places and significant digits from which on a decimal equals what rounds to it [default: 4].
    #[arg(long, value_name = "N")]
    decimal_digits: Option<u32>,
    /// 6/4 is not 3/2.
    #[arg(long)]
    require_simplified: bool,
}

fn extraction(name: &str) -> Result<Extraction, String> {
    let value = serde_json::Value::from(name);
    serde_json::from_value(value).map_err(|error| error.to_string())
}

impl GradeOptionArgs {
    /// The options that the flags ask for.
    pub(crate) fn options(&self) -> GradeOptions {
        let default = GradeOptions::default();
        GradeOptions {
            extraction: self.extraction.unwrap_or(default.extraction),
            percent_rule: self.percent_rule,
            ordered_lists: self.ordered_lists,
            decimal_comma: self.decimal_comma,
            decimal_digits: self.decimal_digits.unwrap_or(default.decimal_digits),
            require_simplified: self.require_simplified,
        }
    }
}

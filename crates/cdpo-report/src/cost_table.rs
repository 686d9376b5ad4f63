//! What a run cost: seconds and tokens of each stage in; a table with totals and rates out.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::grid::{Align, Grid};

/// One stage's cost.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StageCost {
    /// The stage's name.
    pub stage: String,
    /// Wall-clock seconds, summed over interruptions.
    pub seconds: f64,
    /// Tokens read: prompts filled in, examples trained on (counted once an epoch), responses scored; none if the stage reads none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_read: Option<u64>,
    /// Tokens generated; none if the stage generates none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_generated: Option<u64>,
}

/// Time and tokens of every stage of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CostTable {
    /// Stages in the order they ran.
    pub stages: Vec<StageCost>,
}

impl CostTable {
    /// The sum over all stages, named `total`.
    pub fn total(&self) -> StageCost {
        let sum = |read: fn(&StageCost) -> Option<u64>| {
            self.stages
                .iter()
                .filter_map(read)
                .reduce(u64::saturating_add)
        };
        StageCost {
            stage: "total".into(),
            seconds: self.stages.iter().map(|stage| stage.seconds).sum(),
            tokens_read: sum(|stage| stage.tokens_read),
            tokens_generated: sum(|stage| stage.tokens_generated),
        }
    }

    /// A Markdown table that ends with the total.
    pub fn markdown(&self) -> String {
        self.display_grid().markdown()
    }

    /// An aligned table for a terminal that ends with the total.
    pub fn plain(&self) -> String {
        self.display_grid().plain()
    }

    /// Comma-separated values, without the total.
    pub fn csv(&self) -> String {
        let titles = ["stage", "seconds", "tokens_read", "tokens_generated"];
        let mut grid = Grid::new(titles.map(|title| (title, Align::Right)));
        let count = |tokens: Option<u64>| tokens.map_or_else(String::new, |n| n.to_string());
        for stage in &self.stages {
            grid.push(vec![
                stage.stage.clone(),
                stage.seconds.to_string(),
                count(stage.tokens_read),
                count(stage.tokens_generated),
            ]);
        }
        grid.csv()
    }

    /// Indented JSON.
    ///
    /// # Errors
    /// [`crate::Error::Json`] if a number is not finite.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    fn display_grid(&self) -> Grid {
        let mut grid = Grid::new([
            ("stage", Align::Left),
            ("time", Align::Right),
            ("tokens read", Align::Right),
            ("tokens generated", Align::Right),
            ("tokens/s", Align::Right),
        ]);
        let count = |tokens: Option<u64>| tokens.map_or_else(|| "–".into(), thousands);
        for stage in self.stages.iter().chain([&self.total()]) {
            let all = stage.tokens_read.unwrap_or(0) + stage.tokens_generated.unwrap_or(0);
            let rate = if all > 0 && stage.seconds > 0.0 {
                thousands((all as f64 / stage.seconds).round() as u64)
            } else {
                "–".into()
            };
            grid.push(vec![
                stage.stage.clone(),
                duration(stage.seconds),
                count(stage.tokens_read),
                count(stage.tokens_generated),
                rate,
            ]);
        }
        grid
    }
}

/// Seconds as `4.2 s`, `3 m 07 s` or `1 h 04 m 09 s`.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours} h {minutes:02} m {rest:02} s")
    } else {
        format!("{minutes} m {rest:02} s")
    }
}

/// A count with a comma every three digits.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> CostTable {
        let stage = |stage: &str, seconds, tokens_read, tokens_generated| StageCost {
            stage: stage.into(),
            seconds,
            tokens_read,
            tokens_generated,
        };
        CostTable {
            stages: vec![
                stage("sample", 3849.2, Some(61_000), Some(98_304)),
                stage("grade", 0.4, None, None),
                stage("cdpo", 187.0, Some(1_234_567), None),
            ],
        }
    }

    #[test]
    fn the_cost_table_ends_with_totals_and_leaves_blank_what_no_stage_counted() {
        let expected = "\
| stage  |          time | tokens read | tokens generated | tokens/s |
| ------ | ------------: | ----------: | ---------------: | -------: |
| sample | 1 h 04 m 09 s |      61,000 |           98,304 |       41 |
| grade  |         0.4 s |           – |                – |        – |
| cdpo   |      3 m 07 s |   1,234,567 |                – |    6,602 |
| total  | 1 h 07 m 17 s |   1,295,567 |           98,304 |      345 |
";
        assert_eq!(table().markdown(), expected);
    }

    #[test]
    fn cost_csv_holds_raw_numbers_and_json_reads_back() {
        assert_eq!(
            table().csv(),
            "stage,seconds,tokens_read,tokens_generated\nsample,3849.2,61000,98304\ngrade,0.4,,\ncdpo,187,1234567,\n"
        );
        let read: CostTable = serde_json::from_str(&table().json().unwrap()).unwrap();
        assert_eq!(read, table());
    }

    #[test]
    fn a_duration_rounds_up_into_the_next_unit() {
        assert_eq!(duration(59.94), "59.9 s");
        assert_eq!(duration(59.96), "1 m 00 s");
        assert_eq!(duration(3599.6), "1 h 00 m 00 s");
    }
}

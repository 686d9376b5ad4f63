//! What a run cost: seconds and tokens of each stage in; a table with totals and rates out.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::figures::{duration, si, thousands};
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
    /// Bytes of memory that the stage was expected to hold at its peak; none if it uses no model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_expected: Option<u64>,
    /// The most bytes that were resident, pages of mapped files included; none where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_seen: Option<u64>,
}

/// Time and tokens of every stage of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CostTable {
    /// Stages in the order they ran.
    pub stages: Vec<StageCost>,
}

impl CostTable {
    /// The sum over all stages, named `total`; of memory the most.
    pub fn total(&self) -> StageCost {
        let sum = |read: fn(&StageCost) -> Option<u64>| {
            self.stages
                .iter()
                .filter_map(read)
                .reduce(u64::saturating_add)
        };
        let most =
            |memory: fn(&StageCost) -> Option<u64>| self.stages.iter().filter_map(memory).max();
        StageCost {
            stage: "total".into(),
            seconds: self.stages.iter().map(|stage| stage.seconds).sum(),
            tokens_read: sum(|stage| stage.tokens_read),
            tokens_generated: sum(|stage| stage.tokens_generated),
            memory_expected: most(|stage| stage.memory_expected),
            memory_seen: most(|stage| stage.memory_seen),
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
        let titles = [
            "stage",
            "seconds",
            "tokens_read",
            "tokens_generated",
            "memory_expected",
            "memory_seen",
        ];
        let mut grid = Grid::new(titles.map(|title| (title, Align::Right)));
        let count = |tokens: Option<u64>| tokens.map_or_else(String::new, |n| n.to_string());
        for stage in &self.stages {
            grid.push(vec![
                stage.stage.clone(),
                stage.seconds.to_string(),
                count(stage.tokens_read),
                count(stage.tokens_generated),
                count(stage.memory_expected),
                count(stage.memory_seen),
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
            ("memory expected", Align::Right),
            ("memory seen", Align::Right),
        ]);
        let memory = |bytes: Option<u64>| bytes.map_or_else(|| "–".into(), |n| si(n as f64, "B"));
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
                memory(stage.memory_expected),
                memory(stage.memory_seen),
            ]);
        }
        grid
    }
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
            ..StageCost::default()
        };
        let mut table = CostTable {
            stages: vec![
                stage("sample", 3849.2, Some(61_000), Some(98_304)),
                stage("grade", 0.4, None, None),
                stage("cdpo", 187.0, Some(1_234_567), None),
            ],
        };
        table.stages[0].memory_expected = Some(1_500_000_000);
        table.stages[0].memory_seen = Some(1_470_000_000);
        table.stages[1].memory_seen = Some(2_000_000);
        table
    }

    #[test]
    fn the_cost_table_ends_with_totals_and_leaves_blank_what_no_stage_counted() {
        let expected = "\
| stage  |          time | tokens read | tokens generated | tokens/s | memory expected | memory seen |
| ------ | ------------: | ----------: | ---------------: | -------: | --------------: | ----------: |
| sample | 1 h 04 m 09 s |      61,000 |           98,304 |       41 |         1.50 GB |     1.47 GB |
| grade  |         0.4 s |           – |                – |        – |               – |     2.00 MB |
| cdpo   |      3 m 07 s |   1,234,567 |                – |    6,602 |               – |           – |
| total  | 1 h 07 m 17 s |   1,295,567 |           98,304 |      345 |         1.50 GB |     1.47 GB |
";
        assert_eq!(table().markdown(), expected);
    }

    #[test]
    fn cost_csv_holds_raw_numbers_and_json_reads_back() {
        assert_eq!(
            table().csv(),
            "stage,seconds,tokens_read,tokens_generated,memory_expected,memory_seen\n\
             sample,3849.2,61000,98304,1500000000,1470000000\ngrade,0.4,,,,2000000\ncdpo,187,1234567,,,\n"
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

//! What a run's critical tokens are, all in one: findings, word types, places against labelled errors, replacement. Built by the
//! caller from its counts; Markdown and JSON out.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::grid::{Align, Grid};
use crate::interval::wilson_95;
use crate::judge_table::JudgeTable;
use crate::method_table::percent;
use crate::replacement_curve::ReplacementCurve;
use crate::share_table::ShareTable;

/// How the searches ended, in responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Findings {
    /// The critical token meets both conditions.
    pub both: u64,
    /// It meets the first alone.
    pub only_first: u64,
    /// No position has score 0.
    pub none: u64,
    /// The budget ended before.
    pub unsettled: u64,
}

/// Everything that is told of a run's critical tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CriticalTokens {
    /// What was done with what, as names and values, in order.
    pub setting: Vec<(String, String)>,
    /// How the searches ended.
    pub findings: Findings,
    /// Table 2: word types.
    pub word_types: ShareTable,
    /// Where they lie along the response: shares of its tenths, from the start.
    pub tenths: ShareTable,
    /// Table 2, lower part: before, in or after the first wrong step; where steps are labelled.
    pub places: Option<ShareTable>,
    /// Table 1: not in the first wrong step, by kind of error.
    pub error_kinds: Option<ShareTable>,
    /// Figure 2: Pass@k with and without the critical token.
    pub replacement: Option<ReplacementCurve>,
}

/// Signals judged by the definition, with what was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What was done with what, as names and values, in order.
    pub setting: Vec<(String, String)>,
    /// The signals.
    pub table: JudgeTable,
}

/// Table 2 with the paper's rows: critical tokens of Llama-3-8B by word type.
///
/// # Errors
/// Never: the rows fit.
pub fn word_type_table() -> Result<ShareTable> {
    let names = ["function", "content", "number", "operator", "punctuation"];
    let mut table = ShareTable::new("word type of", names);
    let row = |values: [f64; 5]| values.map(Some);
    table.published(
        "critical tokens, paper, GSM8K",
        &row([18.0, 22.0, 32.0, 13.0, 15.0]),
    )?;
    table.published(
        "critical tokens, paper, MATH",
        &row([23.0, 16.0, 25.0, 31.0, 5.0]),
    )?;
    Ok(table)
}

/// The lower part of Table 2 with the paper's rows: where critical tokens lie against the human-marked error.
///
/// # Errors
/// Never: the rows fit.
pub fn place_table() -> Result<ShareTable> {
    let mut table = ShareTable::new("place of", ["before the error", "in it", "after it"]);
    // 65 and 87 % are not the error token (Table 1); what is left is.
    table.published(
        "critical tokens, paper, GSM8K (error: a token)",
        &[33.0, 35.0, 32.0].map(Some),
    )?;
    table.published(
        "critical tokens, paper, MATH (error: a token)",
        &[56.0, 13.0, 31.0].map(Some),
    )?;
    Ok(table)
}

/// Table 1 with the paper's rows: critical tokens that are not the human-marked error, by kind of error.
///
/// # Errors
/// Never: the rows fit.
pub fn error_kind_table() -> Result<ShareTable> {
    let mut table = ShareTable::new("kind of error", ["not in the error"]);
    for (name, percent) in [
        ("paper, GSM8K, all (error: a token)", 65.0),
        ("paper, GSM8K, calculation", 56.7),
        ("paper, GSM8K, one step missing", 72.7),
        ("paper, GSM8K, semantic misunderstanding", 82.3),
        ("paper, GSM8K, degeneration", 100.0),
        ("paper, MATH, all (error: a token)", 87.0),
    ] {
        table.published(name, &[Some(percent)])?;
    }
    Ok(table)
}

impl CriticalTokens {
    /// All tables as Markdown, each under its heading.
    ///
    /// # Errors
    /// [`crate::Error::SuccessesExceedTrials`] never happens for counts that add up.
    pub fn markdown(&self) -> Result<String> {
        let mut out = format!("# Critical tokens\n\n{}", list(&self.setting));
        let mut section = |title: &str, table: String| {
            // Writing into a string does not fail.
            let _ = write!(out, "\n## {title}\n\n{table}");
        };
        section("Findings", self.findings.markdown()?);
        section("Word types (Table 2)", self.word_types.markdown());
        section("Along the response", self.tenths.markdown());
        if let Some(table) = &self.places {
            section("Against the first wrong step (Table 2)", table.markdown());
        }
        if let Some(table) = &self.error_kinds {
            section(
                "Critical is not the same as wrong (Table 1)",
                table.markdown(),
            );
        }
        if let Some(curve) = &self.replacement {
            let title = format!(
                "Replacing the critical token (Figure 2), {} trajectories",
                curve.trajectories
            );
            section(&title, curve.markdown());
        }
        Ok(out)
    }
}

impl Findings {
    /// A Markdown table with 95 % Wilson intervals.
    ///
    /// # Errors
    /// Never: the counts add up to the whole.
    pub fn markdown(&self) -> Result<String> {
        let rows = [
            ("meets both conditions", self.both),
            ("meets the first alone", self.only_first),
            ("no position has score 0", self.none),
            ("not settled within the budget", self.unsettled),
        ];
        let total: u64 = rows.iter().map(|(_, count)| count).sum();
        let mut grid = Grid::new([
            ("critical token", Align::Left),
            ("responses", Align::Right),
            ("%", Align::Right),
            ("95 % interval", Align::Right),
        ]);
        for (name, count) in rows {
            let interval = wilson_95(count, total)?;
            let share = if total == 0 {
                0.0
            } else {
                count as f64 / total as f64
            };
            grid.push(vec![
                name.into(),
                count.to_string(),
                percent(share),
                format!("{} – {}", percent(interval.low), percent(interval.high)),
            ]);
        }
        Ok(grid.markdown())
    }
}

impl Judgement {
    /// Setting and table as Markdown.
    pub fn markdown(&self) -> String {
        format!(
            "# Contrastive estimation judged by the definition\n\n{}\n{}",
            list(&self.setting),
            self.table.markdown()
        )
    }
}

fn list(setting: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, value) in setting {
        // Writing into a string does not fail.
        let _ = writeln!(out, "- {name}: {value}");
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_stand_in_the_markdown_and_come_back_from_json() {
        let mut word_types = word_type_table().unwrap();
        word_types
            .counted("critical tokens, here", &[1, 1, 5, 2, 1], 10)
            .unwrap();
        let mut tenths = ShareTable::new("tenth of the response", ["1", "2"]);
        tenths.counted("critical tokens", &[4, 6], 10).unwrap();
        let told = CriticalTokens {
            setting: vec![("model".into(), "m".into())],
            findings: Findings {
                both: 9,
                only_first: 1,
                none: 0,
                unsettled: 0,
            },
            word_types,
            tenths,
            places: Some(place_table().unwrap()),
            error_kinds: Some(error_kind_table().unwrap()),
            replacement: None,
        };
        let text = told.markdown().unwrap();
        for part in [
            "- model: m",
            "| meets both conditions         |         9 | 90.0 |   59.6 – 98.2 |",
            "50.0 (23.7 – 76.3)",
            "56.7",
            "35.0",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("Figure 2"));
        let json = serde_json::to_string(&told).unwrap();
        assert_eq!(serde_json::from_str::<CriticalTokens>(&json).unwrap(), told);
    }

    #[test]
    fn the_papers_shares_add_up() {
        for table in [word_type_table().unwrap(), place_table().unwrap()] {
            for row in &table.rows {
                let sum: f64 = row.shares.iter().flatten().map(|s| s.fraction).sum();
                assert!((sum - 1.0).abs() < 0.005, "{}: {sum}", row.name);
            }
        }
    }
}

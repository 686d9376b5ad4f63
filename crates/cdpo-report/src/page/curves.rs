//! Learning curves: a training's `metrics.jsonl` in; columns of numbers out, thinned to what a plot can show.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Most points of a curve; longer ones are averaged over as many steps as needed.
pub const POINTS: usize = 600;

/// The metrics that the page draws, under their names in the file.
const DRAWN: [&str; 10] = [
    "logps/chosen",
    "logps/rejected",
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "loss",
    "grad_norm",
    "learning_rate",
    "epoch",
];

/// One training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The method, or `positive` and `negative` for the contrastive models.
    pub name: String,
    /// How many optimizer steps each point is the mean of.
    pub stride: usize,
    /// The last step of each point.
    pub steps: Vec<u64>,
    /// Values by metric, one a point.
    pub series: BTreeMap<String, Vec<f64>>,
}

impl Curve {
    /// Reads a metrics file: a JSON object a line, with `step`. A metric that some line lacks is left out.
    ///
    /// # Errors
    /// [`Error::File`] with path and line if the file cannot be read, or a line has no step.
    pub fn read(name: &str, path: &Path) -> Result<Self> {
        let fault = |reason: String| Error::File {
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|e| fault(e.to_string()))?;
        let mut steps: Vec<u64> = Vec::new();
        let mut rows: Vec<Map<String, Value>> = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let row: Map<String, Value> =
                serde_json::from_str(line).map_err(|e| fault(format!("line {}: {e}", i + 1)))?;
            let step = row.get("step").and_then(Value::as_u64);
            steps.push(step.ok_or_else(|| fault(format!("line {} has no step", i + 1)))?);
            rows.push(row);
        }
        let stride = rows.len().div_ceil(POINTS).max(1);
        let mut series = BTreeMap::new();
        for metric in DRAWN {
            let values: Option<Vec<f64>> = rows
                .iter()
                .map(|row| row.get(metric).and_then(Value::as_f64))
                .collect();
            if let Some(values) = values.filter(|values| !values.is_empty()) {
                let mean = |chunk: &[f64]| chunk.iter().sum::<f64>() / chunk.len() as f64;
                let rounded = |x: f64| format!("{x:.5e}").parse().unwrap_or(x);
                let points = values.chunks(stride).map(|chunk| rounded(mean(chunk)));
                series.insert(metric.to_owned(), points.collect());
            }
        }
        Ok(Self {
            name: name.to_owned(),
            stride,
            steps: steps
                .chunks(stride)
                .filter_map(|chunk| chunk.last().copied())
                .collect(),
            series,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn a_long_curve_is_averaged_and_a_metric_that_some_lines_lack_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut text = String::new();
        for step in 1..=1201 {
            let odd = if step > 1 { ",\"grad_norm\":1.0" } else { "" };
            let _ = writeln!(text, "{{\"step\":{step},\"loss\":{step}.0{odd}}}");
        }
        std::fs::write(&path, text).unwrap();
        let curve = Curve::read("dpo", &path).unwrap();
        assert_eq!((curve.stride, curve.steps.len()), (3, 401));
        assert_eq!(curve.steps[..2], [3, 6]);
        assert_eq!(curve.steps[400], 1201);
        assert_eq!(curve.series["loss"][..2], [2.0, 5.0]);
        assert_eq!(curve.series["loss"][400], 1201.0);
        assert_eq!(curve.series.len(), 1);
    }

    #[test]
    fn a_line_without_a_step_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        std::fs::write(&path, "{\"step\":1}\n{\"loss\":1}\n").unwrap();
        let error = Curve::read("dpo", &path).unwrap_err().to_string();
        assert!(
            error.ends_with("metrics.jsonl: line 2 has no step"),
            "{error}"
        );
    }
}

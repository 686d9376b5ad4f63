//! What a run writes per step: `metrics.jsonl`, `timings.jsonl` and a TensorBoard event file.
//!
//! `metrics.jsonl` is equal between an uninterrupted and a resumed run; wall-clock numbers stand in the other two only.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metrics::StepMetrics;
use crate::tensorboard::EventFile;

/// Metrics, one line a step.
pub const METRICS: &str = "metrics.jsonl";
/// Wall-clock numbers, one line a step.
pub(crate) const TIMINGS: &str = "timings.jsonl";
/// Folder of the event file.
pub(crate) const TENSORBOARD: &str = "tensorboard";

/// Wall-clock numbers of one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepTiming {
    /// The step, counted from 1.
    pub step: u64,
    /// Seconds that the step took.
    pub seconds: f64,
    /// Tokens per second, prompts included.
    pub tokens_per_second: f64,
}

#[derive(Deserialize)]
struct Numbered {
    step: u64,
}

/// The three files, open at their ends.
#[derive(Debug)]
pub(crate) struct Journal {
    metrics: (PathBuf, File),
    timings: (PathBuf, File),
    events: EventFile,
}

impl Journal {
    /// Opens the files in `dir`, cut behind `last_step`. The second value is the metrics that stay.
    pub(crate) fn resume(dir: &Path, last_step: u64) -> Result<(Self, Vec<StepMetrics>)> {
        let (metrics, text) = open(&dir.join(METRICS), last_step)?;
        let (timings, _) = open(&dir.join(TIMINGS), last_step)?;
        let kept = text
            .lines()
            .map(|line| {
                serde_json::from_str(line)
                    .map_err(|e| Error::file(dir.join(METRICS), format!("is damaged: {e}")))
            })
            .collect::<Result<_>>()?;
        let events = EventFile::resume(&dir.join(TENSORBOARD), last_step)?;
        Ok((
            Self {
                metrics: (dir.join(METRICS), metrics),
                timings: (dir.join(TIMINGS), timings),
                events,
            },
            kept,
        ))
    }

    pub(crate) fn append(
        &mut self,
        metrics: &StepMetrics,
        took: Duration,
        tokens: u64,
    ) -> Result<()> {
        append(&mut self.metrics, metrics)?;
        let seconds = took.as_secs_f64();
        append(
            &mut self.timings,
            &StepTiming {
                step: metrics.step,
                seconds,
                tokens_per_second: tokens as f64 / seconds,
            },
        )?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.events
            .append(now.as_secs_f64(), metrics.step, &metrics.scalars())
    }
}

fn append((path, file): &mut (PathBuf, File), line: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string(line).map_err(|e| Error::file(&*path, e.to_string()))?;
    text.push('\n');
    file.write_all(text.as_bytes())
        .map_err(|e| Error::io(&*path, "append a line", e))
}

/// Opens a file of lines that are numbered by `step`, keeping the leading whole lines up to `last_step`.
fn open(path: &Path, last_step: u64) -> Result<(File, String)> {
    let io = |what| move |e| Error::io(path, what, e);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(io("open"))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(io("read"))?;
    let mut keep = 0;
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        let whole = line.ends_with(b"\n");
        match serde_json::from_slice::<Numbered>(line) {
            Ok(n) if whole && n.step <= last_step => keep += line.len(),
            _ => break,
        }
    }
    file.set_len(keep as u64).map_err(io("cut"))?;
    file.seek(SeekFrom::End(0)).map_err(io("write"))?;
    bytes.truncate(keep);
    Ok((file, String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_with_the_files_name() {
        // Every write to /dev/full fails as on a full disk; only Linux has it.
        let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
            return;
        };
        let timing = StepTiming {
            step: 1,
            seconds: 1.0,
            tokens_per_second: 1.0,
        };
        let error = append(&mut (PathBuf::from("run/metrics.jsonl"), full), &timing)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("run/metrics.jsonl: append a line: No space left"),
            "{error}"
        );
    }
}

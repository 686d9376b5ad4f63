//! How far a stage has come, on stderr: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::messages;

/// Time between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(20);

/// How far something has come.
pub(crate) struct ProgressLine {
    label: String,
    total: u64,
    first: u64,
    bar: Option<ProgressBar>,
    started: Instant,
    last: Instant,
}

impl ProgressLine {
    /// `done` of `total` were done before.
    pub(crate) fn new(label: &str, done: u64, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total).with_position(done);
            let style = ProgressStyle::with_template("{prefix:>10} {wide_bar} {pos}/{len} {msg}");
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.set_prefix(label.to_owned());
            bar
        });
        Self {
            label: label.to_owned(),
            total,
            first: done,
            bar,
            started: Instant::now(),
            last: Instant::now(),
        }
    }

    /// Now `done`; `note` says more.
    pub(crate) fn at(&mut self, done: u64, note: impl Fn() -> String) {
        let message = || {
            let note = note();
            match self.eta(done) {
                Some(eta) if done < self.total => format!("{note}, {} left", messages::clock(eta)),
                _ => note,
            }
        };
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(message());
        } else if self.last.elapsed() >= EVERY {
            messages::say(format_args!(
                "{:>10} {done}/{} {}",
                self.label,
                self.total,
                message()
            ));
            self.last = Instant::now();
        }
    }

    fn eta(&self, done: u64) -> Option<f64> {
        // Too few say nothing: the first of many that run at once comes late, and then they come together.
        let enough = (self.total / 20).max(1);
        let new = done.checked_sub(self.first).filter(|new| *new >= enough)?;
        let each = self.started.elapsed().as_secs_f64() / new as f64;
        Some(each * self.total.saturating_sub(done) as f64)
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

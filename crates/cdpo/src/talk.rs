//! Talk goes to stderr: messages, and how far a stage has come (a bar on a terminal, a line now and then elsewhere).
#![allow(clippy::print_stderr)]

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(20);

/// Prints a line of results to stdout; as `println!`, but a reader that has gone away (`| head`) ends the program quietly.
macro_rules! out {
    ($($arg:tt)*) => { $crate::talk::print(format_args!($($arg)*)) };
}
pub(crate) use out;

/// What [`out!`] calls.
pub(crate) fn print(line: std::fmt::Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    if let Err(e) = writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        if e.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        warn(format_args!("the results cannot be printed: {e}"));
    }
}

/// Says one line.
pub(crate) fn say(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// Says a warning.
pub(crate) fn warn(text: impl std::fmt::Display) {
    eprintln!("warning: {text}");
}

/// How far something has come.
pub(crate) struct Progress {
    label: String,
    total: u64,
    first: u64,
    bar: Option<ProgressBar>,
    started: Instant,
    last: Instant,
}

impl Progress {
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
                Some(eta) if done < self.total => format!("{note}, {} left", clock(eta)),
                _ => note,
            }
        };
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(message());
        } else if self.last.elapsed() >= EVERY {
            say(format_args!(
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

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Seconds as `1 h 02 min`, `3 min 05 s` or `7.2 s`.
pub(crate) fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

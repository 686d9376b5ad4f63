//! What the program says: results to stdout, messages to stderr.
#![allow(clippy::print_stderr)]

use std::io::Write as _;

/// Prints a line of results to stdout; as `println!`, but a reader that has gone away (`| head`) ends the program quietly.
macro_rules! out {
    ($($arg:tt)*) => { $crate::messages::print(format_args!($($arg)*)) };
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

/// Seconds as `1 h 02 min`, `3 min 05 s` or `7.2 s`.
pub(crate) fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

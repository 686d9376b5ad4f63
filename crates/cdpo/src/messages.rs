//! What the program says: results to stdout, messages to stderr.

use std::io::Write as _;

/// Prints a line of results to stdout; as `println!`, but a reader that has gone away (`| head`) ends the program quietly.
macro_rules! out {
    ($($arg:tt)*) => { $crate::messages::print(format_args!($($arg)*)) };
}
pub(crate) use out;

/// What [`out!`] calls. Results that cannot be written, to a full disk say, end the program as failed: nothing reads them later.
pub(crate) fn print(line: std::fmt::Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    if let Err(e) = writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        unwritten(&e);
    }
}

/// Ends the program since stdout takes no more.
pub(crate) fn unwritten(e: &std::io::Error) -> ! {
    if e.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    say(format_args!(
        "error: the results cannot be written to stdout: {e}"
    ));
    std::process::exit(1);
}

/// Says one line. Where stderr takes none, nobody can be told.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Says a warning.
pub(crate) fn warn(text: impl std::fmt::Display) {
    say(format_args!("warning: {text}"));
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

/// A stage's memory as it stands after its time: `; memory 1.07 GB expected, 1.12 GB seen`; nothing where nothing is known.
pub(crate) fn memory(expected: Option<u64>, seen: Option<u64>) -> String {
    let size = |bytes: u64| match bytes {
        0..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    };
    match (expected, seen) {
        (Some(expected), Some(seen)) => {
            format!("; memory {} expected, {} seen", size(expected), size(seen))
        }
        (None, Some(seen)) => format!("; memory {} seen", size(seen)),
        (Some(expected), None) => format!("; memory {} expected", size(expected)),
        (None, None) => String::new(),
    }
}

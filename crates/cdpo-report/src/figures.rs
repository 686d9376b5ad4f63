//! How figures are written: durations, counts, amounts with a prefix.

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
pub(crate) fn thousands(n: u64) -> String {
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

/// Three digits with a prefix: `8.03 G`, `134 M`, `15.0 GB`.
pub(crate) fn si(x: f64, unit: &str) -> String {
    const PREFIXES: [&str; 8] = ["", "k", "M", "G", "T", "P", "E", "Z"];
    let (mut x, mut at) = (x, 0);
    while x >= 999.5 && at + 1 < PREFIXES.len() {
        x /= 1000.0;
        at += 1;
    }
    let digits = match x {
        _ if at == 0 => 0,
        x if x < 9.995 => 2,
        x if x < 99.95 => 1,
        _ => 0,
    };
    format!("{x:.digits$} {}{unit}", PREFIXES[at])
}

/// A duration, in days where it is long.
pub(crate) fn long(seconds: f64) -> String {
    let hours = seconds / 3600.0;
    if hours < 100.0 {
        duration(seconds)
    } else {
        format!("{} d {:.0} h", (hours / 24.0).floor(), hours % 24.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_prefix() {
        let of = |x: f64| si(x, "B");
        assert_eq!(of(8.030e9), "8.03 GB");
        assert_eq!(of(134_515_008.0), "135 MB");
        assert_eq!(of(15.0e9), "15.0 GB");
        assert_eq!(of(999.7e6), "1.00 GB");
        assert_eq!(of(12.0), "12 B");
        assert_eq!(long(3_600.0 * 250.0), "10 d 10 h");
    }
}

//! Memory as the system sees it: what is installed, and the most that this process has had resident.
//!
//! The figures of a process include the pages of mapped files. Where the system has no `/proc`, nothing is known.

/// Bytes of memory that this machine, or the group that the process is confined to, has.
pub(crate) fn installed() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let machine = field(&text, "MemTotal:")?;
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse().ok());
    Some(group.map_or(machine, |group: u64| group.min(machine)))
}

/// The most bytes that were resident since the last [`forget_peak`], or since the process began where the system does not forget.
pub(crate) fn peak() -> Option<u64> {
    field(
        &std::fs::read_to_string("/proc/self/status").ok()?,
        "VmHWM:",
    )
}

/// Lets the peak begin anew from what is resident now, so that it is a stage's own; a system that refuses keeps the process's.
pub(crate) fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// A line `NAME  123 kB`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number * 1024)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_in_bytes() {
        let text = "VmPeak:\t 9 kB\nVmHWM:\t   1234 kB\nVmRSS:\t 12 pages\n";
        assert_eq!(field(text, "VmHWM:"), Some(1234 * 1024));
        assert_eq!(field(text, "VmRSS:"), None);
        assert_eq!(field(text, "VmSwap:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_taken_shows_in_the_peak() {
        let before = peak().unwrap();
        forget_peak();
        let taken = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(peak().unwrap() >= 64 << 20 && before > 0);
        drop(taken);
    }
}

//! The resident memory of this process, as Linux tells it; elsewhere nothing is known.

/// A field of `/proc/self/status` in MB.
fn status(field: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: f64 = line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}

/// The most memory this process had since its start or the last [`forget_peak`], in MB of 2^20 bytes.
pub fn peak() -> Option<f64> {
    status("VmHWM")
}

/// Pages of files among what is resident now, in MB: the program itself and what is mapped.
pub fn of_files() -> Option<f64> {
    status("RssFile")
}

/// Begins a new peak. Where the kernel refuses, the old one stays.
pub fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other tests of this program take and give back memory meanwhile, so the test runs in a process of its own.
    const ALONE: &str = "TREFOIL_TEST_ALONE";

    #[test]
    fn a_peak_is_seen() {
        if std::env::var_os(ALONE).is_none() {
            let test = "resident::tests::a_peak_is_seen";
            let this = std::env::current_exe().unwrap();
            let done =
                std::process::Command::new(this).args([test, "--exact"]).env(ALONE, "1").output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
            return;
        }
        forget_peak();
        let before = peak().unwrap();
        let bytes = vec![1u8; 64 << 20];
        assert_eq!(bytes.iter().map(|b| usize::from(*b)).sum::<usize>(), 64 << 20);
        let high = peak().unwrap();
        assert!(high >= before + 60.0, "{before} {high}");
        drop(bytes);
        assert!(of_files().unwrap() > 0.0);
    }
}

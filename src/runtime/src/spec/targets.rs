//! Where in a container something may be mounted.

use cri::CriError;
use std::path::{Component, Path, PathBuf};

/// What runc lets be mounted inside /proc: files that only tell something (CVE-2019-16884).
const PROC_FILES: [&str; 11] = [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "net/dev",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
];

/// Absolute, without `..`, and not inside /proc: what a process is told of itself there, and what it says there of its confinement,
/// is the kernel's.
///
/// # Errors
/// [`CriError::Invalid`] for anything else, and for the root itself.
pub fn target_of(path: &Path) -> Result<PathBuf, CriError> {
    let bad = |why| CriError::Invalid(format!("invalid mount path {}: {why}", path.display()));
    if !path.is_absolute() {
        return Err(bad("it must be absolute"));
    }
    if path.components().any(|c| c == Component::ParentDir) {
        return Err(bad("it must not hold '..'"));
    }
    let plain: PathBuf = path.components().collect();
    if plain == Path::new("/") {
        return Err(bad("it must not be the root"));
    }
    let in_proc = plain.strip_prefix("/proc").ok();
    if in_proc.is_some_and(|rest| !PROC_FILES.iter().any(|file| rest == Path::new(file))) {
        return Err(bad("it must not be inside /proc"));
    }
    Ok(plain)
}

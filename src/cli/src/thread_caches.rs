//! The daemon runs without the caches that glibc's allocator has for each thread.
//!
//! They keep up to seven freed pieces of each of 64 small sizes for each thread, and malloc_trim(3) does not reach them: after a burst they
//! are scattered over the heap, and each holds a page. After 20,000 config maps came and went some 1,400 pieces held 5 MB.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Read by the C library before `main`, so the program is run anew with it (ld.so(8)).
const VARIABLE: &str = "GLIBC_TUNABLES";
const NO_CACHES: &str = "glibc.malloc.tcache_count=0";

/// Runs this program anew in its own place, once, with the same words; returns where it has been, where the user has tunables of his own, and where
/// it can not be: a daemon that keeps a little more is better than none.
pub fn leave() {
    let Some(program) = std::env::current_exe().ok().filter(|_| std::env::var_os(VARIABLE).is_none()) else {
        return;
    };
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_else(|| OsString::from("monopod"));
    let _ = Command::new(program).arg0(name).args(words).env(VARIABLE, NO_CACHES).exec();
}

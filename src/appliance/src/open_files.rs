//! How many files and sockets the daemon may have open at once: as many as the kernel lets it, for each watch, log and terminal
//! of a client is one. Containers get limits of their own.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What containerd's unit file asks for; root may give it to itself.
const WANTED: u64 = 1 << 20;

/// What a login has as its soft limit, 1,024, is for programs that know nothing of descriptors above it: select(2).
pub(crate) fn raise_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    for wanted in [WANTED.max(hard), hard] {
        if wanted <= soft || setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted.max(hard)).is_ok() {
            return;
        }
    }
    tracing::warn!(soft, "the limit of open files can not be raised");
}

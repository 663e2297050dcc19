//! What the machine must offer, checked before anything is touched.

/// One thing that is not there. The command line has a sentence of cure for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Root,
}

/// Everything that is missing, in the order in which it should be mended.
pub fn preflight() -> Vec<Missing> {
    let checks = [(Missing::Root, nix::unistd::geteuid().is_root())];
    checks.into_iter().filter(|(_, there)| !there).map(|(missing, _)| missing).collect()
}

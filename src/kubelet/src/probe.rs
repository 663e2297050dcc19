//! Which probes there are, and what is concluded from one.

use cri::ContainerId;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A probe's threshold was reached, the one way or the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub id: ContainerId,
    pub kind: ProbeKind,
    pub good: bool,
}

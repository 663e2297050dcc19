//! `minikube kubectl -- …`: the kubectl of the PATH, with this cluster's context.

use super::reason::Exit;
use super::{Outcome, Session, reason};
use std::ffi::OsString;

#[derive(clap::Args)]
pub(super) struct Kubectl {
    /// Use SSH for running kubernetes client on the node
    #[arg(long, hide = true)]
    ssh: bool,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl Kubectl {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let why: Exit =
            reason::NOT_FOUND.because(crate::commands::become_kubectl(session.profile(), &self.words));
        Err(why.advise(crate::failures::NO_KUBECTL.cure))
    }
}

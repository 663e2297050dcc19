//! The flags that every command takes.

use clap::Args;

/// Flags that every command takes. Those of the log are minikube's own; here the daemon keeps its log by itself.
#[derive(Args, Debug)]
pub(super) struct Global {
    /// The name of the cluster: everything on disk and in the kernel is named by it.
    #[arg(short, long, global = true, default_value = super::DEFAULT_PROFILE)]
    pub(super) profile: String,
    /// Taken, and without effect: a command says what it has to say on standard error, and the daemon keeps its log by itself.
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    alsologtostderr: Option<String>,
    /// As --alsologtostderr.
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    logtostderr: Option<String>,
    /// As --alsologtostderr.
    #[arg(long = "log_file", global = true, hide = true)]
    log_file: Option<String>,
    /// As --alsologtostderr.
    #[arg(long = "log_dir", global = true, hide = true)]
    log_dir: Option<String>,
    /// As --alsologtostderr.
    #[arg(long = "log_file_max_size", global = true, hide = true)]
    log_file_max_size: Option<String>,
    /// As --alsologtostderr.
    #[arg(long = "log_backtrace_at", global = true, hide = true)]
    log_backtrace_at: Option<String>,
    /// As --alsologtostderr.
    #[arg(long = "add_dir_header", global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    add_dir_header: Option<String>,
    /// As --alsologtostderr.
    #[arg(long = "one_output", global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    one_output: Option<String>,
    /// As --alsologtostderr.
    #[arg(long = "skip_headers", global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    skip_headers: Option<String>,
    /// As --alsologtostderr.
    #[arg(long = "skip_log_headers", global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    skip_log_headers: Option<String>,
    /// As --alsologtostderr.
    #[arg(long, global = true, hide = true)]
    stderrthreshold: Option<String>,
    /// As --alsologtostderr.
    #[arg(short, long = "v", global = true, hide = true)]
    verbosity: Option<String>,
    /// As --alsologtostderr.
    #[arg(long, global = true, hide = true)]
    vmodule: Option<String>,
    /// Who runs the command, for the record of `minikube logs --audit`.
    #[arg(long, global = true, hide = true)]
    user: Option<String>,
    /// Leave no record of the command for `minikube logs --audit`.
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    skip_audit: Option<String>,
    /// Taken, and without effect: the daemon is root's.
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rootless: Option<String>,
    /// Taken, and without effect: nothing is asked.
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    interactive: Option<String>,
    /// Taken, and without effect: the control plane is one process.
    #[arg(short, long, global = true, hide = true)]
    bootstrapper: Option<String>,
}

impl Global {
    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref().filter(|user| !user.is_empty())
    }

    pub(super) fn skips_audit(&self) -> bool {
        self.skip_audit.as_deref().is_some_and(|value| value != "false")
    }
}

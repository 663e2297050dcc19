//! `minikube logs`: one bundle of what the daemon said and what it is.

use super::{Outcome, Session, reason};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct Logs {
    /// Show only the most recent journal entries, and continuously print new entries as they are appended to the journal.
    #[arg(short, long)]
    follow: bool,
    /// Show only log entries which point to known problems
    #[arg(long)]
    problems: bool,
    /// Number of lines back to go within the log
    #[arg(short = 'n', long, default_value_t = 60)]
    length: usize,
    /// The node to get logs from
    #[arg(long)]
    node: Option<String>,
    /// If present, writes to the provided file instead of stdout.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Show only the audit logs
    #[arg(long)]
    audit: bool,
    /// Show only the last start logs.
    #[arg(long)]
    last_start_only: bool,
}

/// What a line of the daemon begins to tell of a fault with.
const PROBLEMS: [&str; 2] = [" ERROR ", " WARN "];
/// The daemon says this line at each start.
const START: &str = "ready api=";

impl Logs {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let setting = session.existing()?;
        if self.audit {
            println!("commands are not recorded");
            return Ok(ExitCode::SUCCESS);
        }
        if self.follow {
            return super::monopod(setting, &["logs", "--follow", "--tail", &self.length.to_string()]);
        }
        let path = setting.places.log();
        let text = std::fs::read_to_string(&path)
            .map_err(|e| reason::GUEST_NOT_RUNNING.because(format!("{}: {e}", path.display())))?;
        let bundle = if self.problems {
            text.lines()
                .filter(|line| PROBLEMS.iter().any(|word| line.contains(word)))
                .map(|l| format!("{l}\n"))
                .collect()
        } else {
            self.bundle(session, &text)
        };
        match &self.file {
            Some(file) => std::fs::write(file, bundle)
                .map_err(|e| reason::HOST_CONFIG.because(format!("{}: {e}", file.display())))?,
            None => print!("{bundle}"),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn bundle(&self, session: &Session, log: &str) -> String {
        let lines: Vec<&str> = log.lines().collect();
        let from = match self.last_start_only {
            true => lines.iter().rposition(|line| line.contains(START)).unwrap_or(0),
            false => lines.len().saturating_sub(self.length),
        };
        let mut bundle = String::from("\n==> versions <==\n");
        let _ = writeln!(
            bundle,
            "minikube {} (monopod {}), Kubernetes {}",
            super::MINIKUBE_VERSION,
            env!("CARGO_PKG_VERSION"),
            appliance::KUBERNETES
        );
        let _ = writeln!(bundle, "\n==> daemon [{}] <==", session.profile());
        for line in &lines[from..] {
            let _ = writeln!(bundle, "{line}");
        }
        let kernel = std::fs::read_to_string("/proc/version").unwrap_or_default();
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let _ = writeln!(bundle, "\n==> kernel <==\n{}", kernel.trim_end());
        let shown: Vec<&str> = memory.lines().take(3).collect();
        let _ = writeln!(bundle, "\n==> memory <==\n{}", shown.join("\n"));
        bundle
    }
}

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
/// The daemon begins each start with this line, and ends it with that.
const START: &str = " starting version=";
const STARTED: [&str; 2] = [": ready api=", ": ready without"];

impl Logs {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        session.own_node(self.node.as_deref())?;
        if self.audit {
            return self.put(&super::audit::table(self.length));
        }
        let setting = session.existing()?;
        if self.follow {
            return super::monopod(setting, &["logs", "--follow", "--tail", &self.length.to_string()]);
        }
        let path = setting.paths.log();
        let text =
            setting.paths.log_files().iter().map(std::fs::read_to_string).collect::<Result<String, _>>();
        let text = text.map_err(|e| reason::GUEST_NOT_RUNNING.because(format!("{}: {e}", path.display())))?;
        if self.problems {
            return self.put(&problems(&text, self.length));
        }
        if self.last_start_only {
            return self.put(&format!("\n==> Last Start <==\n{}", last_start(&text)));
        }
        self.put(&self.bundle(session, &text))
    }

    fn put(&self, bundle: &str) -> Outcome {
        match &self.file {
            Some(file) => crate::user_files::act_on(file, || std::fs::write(file, bundle))
                .map_err(|e| reason::HOST_CONFIG.because(format!("{}: {e}", file.display())))?,
            None => print!("{bundle}"),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn bundle(&self, session: &Session, log: &str) -> String {
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(self.length);
        let mut bundle = super::audit::table(self.length);
        bundle.push_str("\n==> Last Start <==\n");
        bundle.push_str(&last_start(log));
        bundle.push_str("\n==> versions <==\n");
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

fn whole(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The newest lines that tell of a fault.
fn problems(log: &str, length: usize) -> String {
    let found: Vec<&str> =
        log.lines().filter(|line| PROBLEMS.iter().any(|word| line.contains(word))).collect();
    whole(&found[found.len().saturating_sub(length)..])
}

/// From the last start's first line to the one that says that it is ready, or to the end where it never was.
fn last_start(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let Some(from) = lines.iter().rposition(|line| line.contains(START)) else { return String::new() };
    let to = lines[from..]
        .iter()
        .position(|line| STARTED.iter().any(|said| line.contains(said)))
        .map_or(lines.len(), |at| from + at + 1);
    whole(&lines[from..to])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "1 INFO a: starting version=1 pid=1\n2 INFO a: ready api=x\n3 WARN b: odd\n\
        4 INFO a: starting version=1 pid=2\n5 ERROR b: bad\n6 INFO a: ready api=x\n7 WARN c: later\n";

    #[test]
    fn the_last_start_and_the_problems() {
        let start = "4 INFO a: starting version=1 pid=2\n5 ERROR b: bad\n6 INFO a: ready api=x\n";
        assert_eq!(last_start(LOG), start);
        let failed = LOG.split_inclusive('\n').take(5).collect::<String>();
        assert_eq!(last_start(&failed), "4 INFO a: starting version=1 pid=2\n5 ERROR b: bad\n");
        assert_eq!(last_start("nothing\n"), "");
        assert_eq!(problems(LOG, 2), "5 ERROR b: bad\n7 WARN c: later\n");
        assert_eq!(problems(LOG, 9).lines().count(), 3);
    }
}

//! How the start is shown to who waits for it.

use super::Up;
use crate::commands::Setting;
use crate::output::{self, Format};
use anyhow::Result;
use appliance::Step;
use indicatif::{ProgressBar, ProgressStyle};
use std::process::ExitCode;
use std::time::Duration;

pub(super) fn words(step: &Step) -> String {
    match step {
        Step::Begun { what } => format!("{what} …"),
        Step::Noted { what } => what.clone(),
        Step::Ready { api } => format!("ready at {api}"),
        Step::Failed { error } => format!("failed: {error}"),
    }
}

pub(super) struct Progress {
    bar: ProgressBar,
    format: Format,
}

impl Progress {
    pub(super) fn new(format: Format) -> Self {
        let bar = if format == Format::Json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.enable_steady_tick(Duration::from_millis(80));
        Progress { bar, format }
    }

    pub(super) fn show(&self, step: &Step) {
        match step {
            // a bar that is not on a terminal prints nothing
            Step::Noted { what } => self.bar.suspend(|| eprintln!("! {what}")),
            step => self.bar.set_message(words(step)),
        }
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    pub(super) fn say_done(&self, setting: &Setting, took: Duration, up: &Up) -> Result<ExitCode> {
        self.clear();
        let profile = &setting.paths.profile;
        if self.format == Format::Json {
            output::json(
                &serde_json::json!({"profile": profile.as_str(), "status": "Running", "seconds": took.as_secs_f64()}),
            )?;
            return Ok(ExitCode::SUCCESS);
        }
        if up.without_kubernetes {
            println!("{profile} is ready after {:.2} s, without Kubernetes", took.as_secs_f64());
            println!("  next: eval $({} docker-env)", setting.typed());
            return Ok(ExitCode::SUCCESS);
        }
        if !up.has_context {
            println!("{profile} is ready after {:.2} s", took.as_secs_f64());
            println!("  next: {} update-context   # points kubectl at it", setting.typed());
            return Ok(ExitCode::SUCCESS);
        }
        println!(
            "{profile} is ready after {:.2} s; kubectl uses the context \"{profile}\"",
            took.as_secs_f64()
        );
        println!("  next: {} demo   # a tour, with its kubectl commands", setting.typed());
        println!("        kubectl get nodes");
        println!("        kubectl create deployment kubia --image={} --replicas=3", appliance::SAMPLE_IMAGE);
        Ok(ExitCode::SUCCESS)
    }
}

use super::CommandLine;
use crate::{at_boot, minikube};
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the shells of a distribution look.
const COMPLETIONS: [(Shell, &str, &str, &str); 3] = [
    (Shell::Bash, "usr/share/bash-completion/completions", "", ""),
    (Shell::Zsh, "usr/share/zsh/vendor-completions", "_", ""),
    (Shell::Fish, "usr/share/fish/vendor_completions.d", "", ".fish"),
];

#[derive(clap::Args)]
pub struct Generate {
    /// The root of a package.
    directory: PathBuf,
    /// Where the package has the program.
    #[arg(long, default_value = "/usr/bin/monopod")]
    program: PathBuf,
}

impl Generate {
    /// Manual pages, completions and the unit of the default profile, in their places.
    pub fn run(&self) -> Result<ExitCode> {
        let root = &self.directory;
        let manuals = root.join("usr/share/man/man1");
        fs::create_dir_all(&manuals)?;
        clap_mangen::generate_to(CommandLine::command(), &manuals)?;
        for (shell, place, before, after) in COMPLETIONS {
            let own = (CommandLine::command(), "monopod");
            for (mut command, name) in [own, (minikube::command(), "minikube")] {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut command, name, &mut script);
                put(&root.join(place).join(format!("{before}{name}{after}")), &script)?;
            }
        }
        let unit = at_boot::unit(&self.program, &appliance::ProfileName::default());
        put(&root.join("usr/lib/systemd/system/monopod.service"), unit.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn put(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    Ok(fs::write(path, content)?)
}

//! What a package has beside the program: manual pages, completions and the unit. They are made of the command line, stand in
//! `assets`, and are compared here, so that the program itself carries nothing that makes them.

use super::CommandLine;
use crate::{at_boot, minikube};
use clap::CommandFactory;
use clap_complete::Shell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Where the package has the program.
const PROGRAM: &str = "/usr/bin/monopod";
/// Those whose scripts distributions have a directory for.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];
const DIRECTORIES: [&str; 3] = ["man", "completions", "systemd"];

fn make(below: &Path) {
    let [man, completions, systemd] = DIRECTORIES.map(|name| below.join(name));
    for directory in [&man, &completions, &systemd] {
        fs::create_dir_all(directory).unwrap();
    }
    clap_mangen::generate_to(CommandLine::command(), &man).unwrap();
    for shell in SHELLS {
        for (mut command, name) in [(CommandLine::command(), "monopod"), (minikube::command(), "minikube")] {
            clap_complete::generate_to(shell, &mut command, name, &completions).unwrap();
        }
    }
    let unit = at_boot::unit(Path::new(PROGRAM), &appliance::ProfileName::default());
    fs::write(systemd.join("monopod.service"), unit).unwrap();
}

fn files(below: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for directory in DIRECTORIES {
        for entry in fs::read_dir(below.join(directory)).into_iter().flatten().flatten() {
            let name = format!("{directory}/{}", entry.file_name().to_string_lossy());
            files.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
    files
}

#[test]
fn assets_are_what_the_command_line_says() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for directory in DIRECTORIES {
            // the page of a command that is gone goes too
            let _ = fs::remove_dir_all(assets.join(directory));
        }
        return make(&assets);
    }
    let fresh = tempfile::tempdir().unwrap();
    make(fresh.path());
    let (made, kept) = (files(fresh.path()), files(&assets));
    let names: BTreeSet<&String> = made.keys().chain(kept.keys()).collect();
    let behind: Vec<_> = names.into_iter().filter(|name| made.get(*name) != kept.get(*name)).collect();
    assert!(
        behind.is_empty(),
        "assets is behind in {behind:?}: UPDATE_GOLDEN=1 with this test writes it anew"
    );
}

//! Clients of the cluster that are not kubectl: kr8s for Python, and Kubernetes' own for JavaScript.

mod common;

use common::{Answer, Appliance, appliance};
use std::path::PathBuf;
use std::process::Command;

/// A Python that has kr8s, and a folder whose `node_modules` has @kubernetes/client-node; `scripts/test` sets both.
const CLIENTS: &str = "MONOPOD_CLIENTS";
const NODE_CLIENT: &str = "MONOPOD_NODE_CLIENT";
/// What the scripts of several libraries share.
const CHECKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common");
const EVERYDAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/everyday.py");
const EVERYDAY_OF_NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/everyday.mjs");

fn place(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        eprintln!("SKIPPED: {variable} says where a client library is; `scripts/test` sets it");
    }
    found
}

fn of_python(at: &Appliance, python: &str) -> Command {
    let mut command = at.command(python);
    // the library warns of each cluster that is newer than it is
    command.args(["-W", "ignore", EVERYDAY]).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", CHECKS);
    command
}

fn of_node(at: &Appliance, folder: &str) -> Command {
    // the package wants a newer Node than a machine may have, and so one may lie beside it
    let own = PathBuf::from(folder).join("node_modules/.bin/node");
    let mut command = at.command(if own.exists() { own.to_str().unwrap() } else { "node" });
    command.arg(EVERYDAY_OF_NODE);
    command
}

#[test]
fn everyday_calls() {
    let (python, node) = (place(CLIENTS), place(NODE_CLIENT));
    if python.is_none() && node.is_none() {
        return;
    }
    let Some(at) = appliance("clients") else { return };
    at.load_busybox();
    let commands = [python.map(|python| of_python(&at, &python)), node.map(|folder| of_node(&at, &folder))];
    let answers = commands.into_iter().flatten().map(|mut command| Answer(command.output().unwrap()));
    // both are asked, whatever the first one says
    let failed: Vec<_> = answers
        .filter(|answer| !answer.0.status.success())
        .map(|answer| format!("{}\n{}{}", answer.0.status, answer.out(), answer.err()))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

//! Clients of the cluster that are not kubectl: kr8s for Python, Kubernetes' own for JavaScript, and schemathesis, which sends what
//! the OpenAPI documents describe.

mod common;

use common::{Answer, Appliance, appliance};
use std::path::PathBuf;
use std::process::Command;

/// A Python that has kr8s, and a directory whose `node_modules` has @kubernetes/client-node; `scripts/test` sets both.
const CLIENTS: &str = "MONOPOD_CLIENTS";
const NODE_CLIENT: &str = "MONOPOD_NODE_CLIENT";
/// A Python that has schemathesis; `scripts/test` sets it.
const SCHEMATHESIS: &str = "MONOPOD_SCHEMATHESIS";
/// For one who looks for more: `CASES SECONDS SEED`, and a part of the path of the documents wanted, as the script takes them.
const PROPERTIES: &str = "MONOPOD_PROPERTIES";
/// Where nobody says otherwise: the same cases each time, so that a run of all tests fails by what was changed and not by its date.
const USUAL: &str = "6 75 1";
/// Fewer in that time would say nothing; a slow machine asks a tenth of what a quick one does.
const FEWEST_OPERATIONS: usize = 10;
/// Of anonymous memory, when all is done: three times what the daemon of an unoptimised build has.
const MOST_MEMORY: u64 = 300 << 20;
/// What the scripts of several libraries share.
const CHECKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common");
const EVERYDAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/everyday.py");
const REQUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/properties.py");
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

fn of_node(at: &Appliance, directory: &str) -> Command {
    // the package wants a newer Node than a machine may have, and so one may lie beside it
    let own = PathBuf::from(directory).join("node_modules/.bin/node");
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
    let commands =
        [python.map(|python| of_python(&at, &python)), node.map(|directory| of_node(&at, &directory))];
    let answers = commands.into_iter().flatten().map(|mut command| Answer(command.output().unwrap()));
    // both are asked, whatever the first one says
    let failed: Vec<_> = answers
        .filter(|answer| !answer.0.status.success())
        .map(|answer| format!("{}\n{}{}", answer.0.status, answer.out(), answer.err()))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn answers_are_as_the_documents_say() {
    let Some(python) = place(SCHEMATHESIS) else { return };
    let Some(at) = appliance("properties") else { return };
    let pid = at.pid();
    let given = std::env::var(PROPERTIES).ok();
    let arguments = given.clone().unwrap_or_else(|| USUAL.to_owned());
    eprintln!("{PROPERTIES}='{arguments}' makes the same cases");
    let mut command = at.command(&python);
    command
        .arg(REQUESTS)
        .args(arguments.split(' '))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(at.home());
    let answer = Answer(command.output().unwrap());
    assert!(answer.0.status.success(), "{}\n{}{}", answer.0.status, answer.out(), answer.err());
    eprintln!("{}", answer.out());
    let out = answer.out();
    let asked =
        out.lines().find(|line| line.contains(" operations, seed ")).and_then(|line| line.split(' ').next());
    let asked: usize = asked.unwrap().parse().unwrap();
    assert!(given.is_some() || asked >= FEWEST_OPERATIONS, "{asked} operations were asked");
    assert_eq!(at.pid(), pid, "the daemon is the same");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let resident: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(resident * 1024 < MOST_MEMORY, "{resident} kB");
}

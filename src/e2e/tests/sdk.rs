//! Clients that are not the docker command: Docker's SDK for Python, testcontainers and aiodocker, and the SDK's own tests.

mod common;

use common::redis::load_redis;
use common::registry::{Registry, registry};
use common::{Answer, Appliance, appliance};
use std::process::Command;

/// A Python that has them, and a directory with the SDK's own tests and a Python for these; `scripts/test` sets both.
const SDK: &str = "MONOPOD_SDK";
const SUITE: &str = "MONOPOD_SDK_SUITE";
/// What the scripts of several libraries share.
const CHECKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common");
const EVERYDAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/everyday.py");
/// A test of the suite on each line, or a file of them, and why it is left out.
const LEFT_OUT: &str = include_str!("sdk/left_out.txt");

fn place(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        eprintln!("SKIPPED: {variable} says where Docker's SDK is; `scripts/test` sets it");
    }
    found
}

fn run(at: &Appliance, command: &mut Command) {
    let answer = Answer(at.of_docker(command).output().unwrap());
    assert!(answer.0.status.success(), "{}\n{}{}", answer.0.status, answer.out(), answer.err());
}

#[test]
fn everyday_calls() {
    let Some(python) = place(SDK) else { return };
    let Some(at) = appliance("sdk") else { return };
    load_redis(&at);
    let mut command = at.command(&python);
    // its reaper is an image of its own, which takes away what a test has left
    command
        .args(["-W", "ignore", EVERYDAY])
        .env("TESTCONTAINERS_RYUK_DISABLED", "true")
        .env("PYTHONPATH", CHECKS);
    run(&at, &mut command);
}

/// A registry with the images that the tests pull, in the place of Docker Hub.
fn docker_hub(at: &Appliance) -> Registry {
    let registry = registry(at, "127.0.0.1:5000", "");
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start", "--registry-mirror", "http://127.0.0.1:5000"]).ok("start");
    at.load_busybox();
    for (name, more) in [
        ("busybox:latest", "RUN busybox --install -s /bin"),
        ("alpine:3.10", "RUN busybox --install -s /bin && touch /alpine"),
        ("alpine:latest", "RUN busybox --install -s /bin && touch /alpine"),
        ("hello-world:latest", "CMD echo Hello from Docker!"),
    ] {
        let image = format!("127.0.0.1:5000/library/{name}");
        let directory = at.build_context(&format!("FROM busybox:1\n{more}\n"));
        at.docker(&["build", "-t", &image, &directory]).ok("build");
        at.docker(&["push", &image]).ok("push");
        at.docker(&["rmi", &image]).ok("rmi");
    }
    registry
}

#[test]
fn the_tests_of_the_sdk_itself() {
    let Some(directory) = place(SUITE) else { return };
    let Some(at) = appliance("suite") else { return };
    let _registry = docker_hub(&at);
    let mut command = at.command(&format!("{directory}/venv/bin/python"));
    let left_out = LEFT_OUT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let left_out =
        left_out.map(|line| format!("--deselect=tests/integration/{}", line.split_once(": ").unwrap().0));
    command.current_dir(format!("{directory}/docker")).args([
        "-m",
        "pytest",
        "tests/integration",
        "-q",
        "--tb=short",
    ]);
    // its own options name plug-ins that are not needed
    run(&at, command.args(["-o", "addopts=", "-p", "no:cacheprovider"]).args(left_out));
}

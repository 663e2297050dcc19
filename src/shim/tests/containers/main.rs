//! Real containers through a real shim, each test in namespaces of its own. This program is also the shim that it
//! tests (`shim` as first argument). Its harness is its own, because a shim must begin with a single thread.

mod connection;
mod lifecycle;
mod pod;
mod sandbox;
mod streams;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::process::{Command, ExitCode};

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let tests: Vec<Test> = [lifecycle::TESTS, sandbox::TESTS, streams::TESTS].concat();
    let flag = |name: &str| args.iter().any(|arg| arg == name);
    match args.first().map(String::as_str) {
        Some("shim") => return shim::main(),
        Some("inside") => return run_inside(&tests, &args[1]),
        _ => {}
    }
    if flag("--list") {
        let listed = tests.iter().filter(|_| !flag("--ignored"));
        listed.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if let Some(why) = cannot_run() {
        println!("SKIPPED: tests with real containers: {why}");
        return ExitCode::SUCCESS;
    }
    let filter = args.iter().find(|arg| !arg.starts_with('-'));
    let wanted = tests.iter().filter(|(name, _)| match filter {
        Some(filter) if flag("--exact") => name == filter,
        Some(filter) => name.contains(filter.as_str()),
        None => true,
    });
    let failed = wanted.filter(|(name, _)| !passes(name)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cannot_run() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("they need root");
    }
    (!std::path::Path::new(pod::BUSYBOX).exists()).then_some("they need the package busybox-static")
}

fn passes(name: &str) -> bool {
    let status = Command::new("/proc/self/exe").args(["inside", name]).status();
    let passed = status.is_ok_and(|status| status.success());
    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    passed
}

/// One test in a process with namespaces of its own: whatever it leaves ends with them.
fn run_inside(tests: &[Test], name: &str) -> ExitCode {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).expect("unshare");
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>)
        .expect("private");
    let (_, test) = tests.iter().find(|(known, _)| *known == name).expect("a known test");
    test();
    ExitCode::SUCCESS
}

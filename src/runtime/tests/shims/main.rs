//! The runtime with real shims, containers, cgroups and networks. Needs root; each test has a network and a mount
//! namespace of its own and takes away what it made.
//!
//! Called as `<program> shim` this program is a shim, so it has no test harness but the few lines below.

mod confinement;
mod containers;
mod failures;
mod hostile;
mod image;
mod processes;
mod volumes;
mod world;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("a_container_runs_logs_and_exits", containers::runs_logs_and_exits),
    ("a_container_is_what_was_asked_for", containers::is_what_was_asked_for),
    ("containers_of_a_sandbox_share", containers::share),
    ("bad_wishes_are_refused_and_leave_nothing", containers::bad_wishes),
    ("the_default_filter_filters", confinement::filtered),
    ("stop_asks_first", containers::stop_asks_first),
    ("a_program_that_does_not_come_can_be_ended", containers::a_program_that_does_not_come),
    ("one_that_is_frozen_is_killed", containers::one_that_is_frozen_is_killed),
    ("memory_that_runs_out_is_told", containers::out_of_memory),
    ("mounts_travel_as_far_as_they_may", volumes::mounts_travel),
    ("a_part_of_a_volume_is_never_the_machine", volumes::parts_of_volumes),
    ("an_image_is_a_volume_that_nobody_writes_to", volumes::images_as_volumes),
    ("a_container_is_confined", confinement::confined),
    ("a_bind_on_dev_leaves_the_machine_s_as_it_is", volumes::dev_bound),
    ("links_in_images_lead_nowhere", hostile::links_in_images),
    ("links_in_volumes_lead_nowhere", hostile::links_in_volumes),
    ("links_in_volumes_behind_links_lead_nowhere", hostile::links_in_volumes_behind_links),
    ("no_volume_of_an_image_lies_over_proc", hostile::no_volume_of_an_image_lies_over_proc),
    ("no_volume_in_dev_lies_over_proc", hostile::no_volume_in_dev_lies_over_proc),
    ("no_file_of_the_sandbox_s_lies_in_proc", hostile::no_file_of_the_sandbox_s_lies_in_proc),
    ("no_name_leads_into_the_machine_s_proc", hostile::no_name_leads_into_the_machine_s_proc),
    ("the_runtime_is_not_overwritten", hostile::the_runtime_is_not_overwritten),
    ("the_first_process_of_a_pod_has_nothing", hostile::the_first_process_of_a_pod_has_nothing),
    ("masks_and_console_hold_in_a_race", hostile::masks_and_console_hold_in_a_race),
    ("a_container_has_keys_of_its_own", confinement::keyrings),
    ("a_sandbox_may_use_the_host_s_namespaces", confinement::with_the_host_s_namespaces),
    ("attached_before_the_start", processes::attached_before_the_start),
    ("exec_and_attach", processes::exec_and_attach),
    ("terminals", processes::terminals),
    ("a_port_is_forwarded", processes::forwarded),
    ("usage_is_counted", processes::usage),
    ("shims_are_counted_together", processes::shims_are_counted_together),
    ("containers_outlive_the_daemon", failures::outlive_the_daemon),
    ("a_shim_that_is_killed_takes_its_containers_along", failures::killed_shim),
    ("a_daemon_may_be_killed_at_any_moment", failures::killed_daemon),
    ("what_died_unseen_is_told", failures::died_unseen),
    ("a_sandbox_that_fails_leaves_nothing", failures::failed_sandbox),
    ("purge_leaves_nothing", failures::purged),
];

/// These run once more where there is cgroup v2 alone. What the machine's v2 hierarchy has of controllers differs, so
/// none of them is about limits.
const ALSO_ON_V2: &[&str] = &[
    "a_container_runs_logs_and_exits",
    "a_container_is_confined",
    "containers_of_a_sandbox_share",
    "exec_and_attach",
    "one_that_is_frozen_is_killed",
    "a_shim_that_is_killed_takes_its_containers_along",
    "a_daemon_may_be_killed_at_any_moment",
    "purge_leaves_nothing",
];
const ON_V2: &str = "_on_cgroup_v2";
/// In a mount namespace of our own.
const ONLY_V2: &str = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec \"$0\" \"$@\"";

fn names() -> Vec<String> {
    let plain = TESTS.iter().map(|(name, _)| (*name).to_owned());
    plain.chain(ALSO_ON_V2.iter().map(|name| format!("{name}{ON_V2}"))).collect()
}

/// Says that this process is in its namespaces already.
const INSIDE: &str = "--inside";
/// Is a daemon that is going to be killed.
pub const DAEMON: &str = "--daemon";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|a| a == flag);
    match args.first().map(String::as_str) {
        Some("shim") => shim::main(),
        Some(INSIDE) => run_inside(&args[1]),
        Some(DAEMON) => {
            failures::be_daemon(&args[1], &args[2]);
            ExitCode::SUCCESS
        }
        _ if has("--list") => list(has("--ignored")),
        _ if !nix::unistd::geteuid().is_root() => {
            println!("SKIPPED: {} tests of the runtime with real containers need root", names().len());
            ExitCode::SUCCESS
        }
        _ => run_all(&args),
    }
}

fn list(ignored: bool) -> ExitCode {
    for name in names().iter().filter(|_| !ignored) {
        println!("{name}: test");
    }
    ExitCode::SUCCESS
}

fn run_inside(name: &str) -> ExitCode {
    match TESTS.iter().find(|(n, _)| *n == name) {
        Some((_, test)) => {
            test();
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

fn run_all(args: &[String]) -> ExitCode {
    let filter = args.iter().find(|a| !a.starts_with('-'));
    let exact = args.iter().any(|a| a == "--exact");
    let is_chosen =
        |name: &&String| filter.is_none_or(|f| if exact { *name == f } else { name.contains(f.as_str()) });
    let failed = names().iter().filter(is_chosen).filter(|name| !passes(name)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// In a fresh process, as namespaces are entered by one that has a single thread.
fn passes(name: &str) -> bool {
    let mut child = Command::new("unshare");
    child.args(["--net", "--mount", "--"]).process_group(0);
    let test = match name.strip_suffix(ON_V2) {
        Some(test) => {
            child.args(["sh", "-c", ONLY_V2]);
            test
        }
        None => name,
    };
    child.arg(std::env::current_exe().unwrap()).args([INSIDE, test]);
    let passed = child.status().is_ok_and(|status| status.success());
    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    passed
}

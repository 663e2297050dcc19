//! A container's first process: command line, environment, directory, limits.

use super::{ImageDefaults, Parts, bug};
use crate::capabilities::CapabilitySet;
use crate::host::Host;
use cri::{ContainerConfig, CriError};
use oci_spec::runtime::{
    PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, ProcessBuilder, UserBuilder,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where Docker has it, by its name there.
pub(super) const INIT: &str = "/sbin/docker-init";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn build(parts: &Parts<'_>, capabilities: CapabilitySet) -> Result<Process, CriError> {
    let (container, account) = (parts.container, parts.account);
    let user = UserBuilder::default()
        .uid(account.uid)
        .gid(account.gid)
        .additional_gids(account.groups.clone())
        .build()
        .map_err(bug)?;
    let env = with_home(environment(container, parts.image, &parts.sandbox.hostname), &account.home);
    let args = command_line(container, parts.image)?;
    check_length(&args, &env, container.rlimits.iter().any(|limit| limit.name == "stack"))?;
    let mut process = ProcessBuilder::default()
        .terminal(container.tty)
        .user(user)
        .args(args)
        .env(env)
        .cwd(working_dir(container, parts.image))
        .capabilities(capabilities.to_oci().map_err(bug)?)
        .rlimits(rlimits(container, parts.host)?)
        .build()
        .map_err(bug)?;
    // `Some(false)` makes libcontainer load the filter after it has given up the right to
    process.set_no_new_privileges(container.no_new_privileges.then_some(true));
    process.set_apparmor_profile(None);
    let score =
        container.resources.oom_score_adj.map(|s| s.clamp(parts.host.least_oom_score.max(-1000), 1000));
    process.set_oom_score_adj(score);
    Ok(process)
}

/// In bytes, its NUL counted. The kernel begins no program with a longer string (MAX_ARG_STRLEN).
const LONGEST_STRING: usize = 128 << 10;
/// In bytes, pointers to the strings counted: a quarter of a stack of the usual size, and of whatever size (execve(2)).
const MOST_TOGETHER: usize = 2 << 20;
const MOST_WITH_ANY_STACK: usize = 6 << 20;

/// A container that can not begin is kept, with what it was to begin with, until its pod goes: an image may say megabytes of that.
///
/// # Errors
/// No program could begin with it.
fn check_length(args: &[String], env: &[String], has_own_stack: bool) -> Result<(), CriError> {
    let all = || args.iter().chain(env);
    let together: usize = all().map(|text| text.len() + 1 + size_of::<usize>()).sum();
    let most = if has_own_stack { MOST_WITH_ANY_STACK } else { MOST_TOGETHER };
    if together <= most && all().all(|text| text.len() < LONGEST_STRING) {
        return Ok(());
    }
    let program: String = args.first().into_iter().flat_map(|name| name.chars().take(64)).collect();
    Err(CriError::Invalid(format!("exec: {program:?}: argument list too long")))
}

/// What the kernel runs.
fn command_line(container: &ContainerConfig, image: &ImageDefaults) -> Result<Vec<String>, CriError> {
    let command = arguments(container, image)?;
    if !container.init {
        return Ok(command);
    }
    Ok([INIT.to_owned(), "--".to_owned()].into_iter().chain(command).collect())
}

/// As far as we may give them: without CAP_SYS_RESOURCE nobody gets more than we have.
///
/// # Errors
/// A limit that Linux does not have.
fn rlimits(container: &ContainerConfig, host: &Host) -> Result<Vec<PosixRlimit>, CriError> {
    let open_files = host.open_files;
    let files = cri::Rlimit { name: "nofile".into(), soft: open_files, hard: open_files };
    let said = container.rlimits.iter().any(|limit| limit.name == files.name);
    let all = container.rlimits.iter().chain((!said).then_some(&files));
    all.map(|limit| {
        let name = format!("RLIMIT_{}", limit.name.to_ascii_uppercase());
        let kind: PosixRlimitType = serde_json::from_value(name.into())
            .map_err(|_| CriError::Invalid(format!("invalid ulimit type: {}", limit.name)))?;
        let most = host.hard_limits.get(&limit.name).copied().unwrap_or(u64::MAX);
        let (soft, hard) = (limit.soft.min(most), limit.hard.min(most));
        PosixRlimitBuilder::default().typ(kind).soft(soft).hard(hard).build().map_err(bug)
    })
    .collect()
}

/// # Errors
/// Neither the container nor the image says what to run.
pub fn arguments(container: &ContainerConfig, image: &ImageDefaults) -> Result<Vec<String>, CriError> {
    let (first, rest) = match (container.command.is_empty(), container.args.is_empty()) {
        (false, _) => (&container.command, &container.args),
        (true, false) => (&image.entrypoint, &container.args),
        (true, true) => (&image.entrypoint, &image.cmd),
    };
    let all: Vec<String> = first.iter().chain(rest).cloned().collect();
    if all.is_empty() {
        return Err(CriError::Invalid("no command specified".to_owned()));
    }
    if all.iter().any(|a| a.contains('\0')) {
        return Err(CriError::Invalid("an argument holds a zero byte".to_owned()));
    }
    Ok(all)
}

/// `NAME=value`, each name once: PATH, the image's, the host name, the container's own. HOME is not among them unless
/// somebody said it: it goes by the user.
pub fn environment(container: &ContainerConfig, image: &ImageDefaults, hostname: &str) -> Vec<String> {
    let mut env: Vec<(String, String)> = vec![("PATH".into(), PATH.into())];
    if container.tty {
        env.push(("TERM".into(), "xterm".into()));
    }
    env.extend(image.env.iter().filter_map(|e| e.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())));
    if !hostname.is_empty() {
        env.push(("HOSTNAME".into(), hostname.to_owned()));
    }
    env.extend(container.env.iter().cloned());
    last_of_each(env)
}

/// Without a HOME, or with an empty one, libcontainer asks the C library for the user's. That one loads the modules that the
/// image's nsswitch.conf names, into a process that is the shim's still: so there always is one, which is never empty.
pub fn with_home(mut env: Vec<String>, home: &str) -> Vec<String> {
    let home = if home.is_empty() { "/" } else { home };
    match env.iter_mut().find(|e| e.starts_with("HOME=")) {
        Some(said) if said == "HOME=" => *said = format!("HOME={home}"),
        Some(_) => {}
        None => env.push(format!("HOME={home}")),
    }
    env
}

/// The last value of each name, at the place of its first. A name that is none, or a zero byte, can not be passed on. An image may
/// name as many as it likes, and this is done again for each exec and each health check: no name is looked for among all others.
pub fn last_of_each(env: Vec<(String, String)>) -> Vec<String> {
    let mut last: HashMap<&str, &str> = HashMap::with_capacity(env.len());
    for (name, value) in &env {
        if !(name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')) {
            last.insert(name, value);
        }
    }
    // what was taken out has been told
    env.iter().filter_map(|(name, _)| Some(format!("{name}={}", last.remove(name.as_str())?))).collect()
}

pub fn working_dir(container: &ContainerConfig, image: &ImageDefaults) -> PathBuf {
    let said = container.working_dir.as_deref().or(image.working_dir.as_deref()).unwrap_or("/");
    Path::new("/").join(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts_at_the_place_of_the_first() {
        for (name, env, want) in [
            ("each once", &[("A", "1"), ("B", "2")][..], &["A=1", "B=2"][..]),
            ("none", &[], &[]),
            ("one twice", &[("A", "1"), ("B", "2"), ("A", "3")], &["A=3", "B=2"]),
            ("empty in the end", &[("A", "1"), ("A", "")], &["A="]),
            ("no names", &[("", "1"), ("A=", "1"), ("A\0", "1"), ("B", "2")], &["B=2"]),
            ("a zero byte is not its last value", &[("A", "1"), ("A", "2\0")], &["A=1"]),
            (
                "one that can not be passed on, and again",
                &[("A", "\0"), ("B", "2"), ("A", "1")],
                &["A=1", "B=2"],
            ),
        ] {
            let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(last_of_each(env), want, "{name}");
        }
    }

    #[test]
    fn what_no_program_can_begin_with_is_refused() {
        let of = |count: usize, length: usize| vec!["x".repeat(length); count];
        let longest = LONGEST_STRING - 1;
        for (name, args, env, has_own_stack, want) in [
            ("a usual one", of(3, 10), of(20, 50), false, true),
            ("the longest argument", of(1, longest), Vec::new(), false, true),
            ("a longer one", of(1, longest + 1), Vec::new(), false, false),
            ("a longer variable", of(1, 10), of(1, longest + 1), false, false),
            ("as much as there may be", of(1, 10), of(15, longest), false, true),
            ("more", of(1, 10), of(16, longest), false, false),
            ("many that are short", of(1, 10), of(300_000, 1), false, false),
            ("more, for a stack of its own", of(1, 10), of(16, longest), true, true),
            ("more than for any", of(1, 10), of(48, longest), true, false),
        ] {
            let got = check_length(&args, &env, has_own_stack);
            assert_eq!(got.is_ok(), want, "{name}");
            let why = got.err().map(|why| why.to_string()).unwrap_or_default();
            assert!(why.len() < 120 && why.is_empty() == want, "{name}: {why}");
        }
    }

    /// Looked for one by one they took fifteen seconds for a start, and four for each health check.
    #[test]
    fn an_image_with_very_many_variables_costs_what_they_are_long() {
        let env = (0..300_000).map(|number| (format!("NAME_{number}"), String::new())).collect();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || tell.send(last_of_each(env).len()));
        let patience = std::time::Duration::from_secs(60); // one by one: many minutes
        assert_eq!(told.recv_timeout(patience), Ok(300_000));
    }

    /// With an empty one the image's own modules of the C library were loaded before its program began.
    #[test]
    fn there_always_is_a_home() {
        for (name, env, home, want) in [
            ("said", &["A=1", "HOME=/h"][..], "/root", &["A=1", "HOME=/h"][..]),
            ("not said", &["A=1"], "/root", &["A=1", "HOME=/root"]),
            ("said to be empty", &["HOME=", "A=1"], "/root", &["HOME=/root", "A=1"]),
            ("another name", &["MYHOME="], "/root", &["MYHOME=", "HOME=/root"]),
            ("nobody has one", &["HOME="], "", &["HOME=/"]),
        ] {
            let env = env.iter().map(|e| (*e).to_owned()).collect();
            assert_eq!(with_home(env, home), want, "{name}");
        }
    }
}

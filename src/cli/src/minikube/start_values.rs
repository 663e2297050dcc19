//! What the values of `minikube start`'s flags must look like, also of those that mean nothing here: a script that mistypes one
//! hears of it, in minikube's words and with its code.

use super::reason::{self, Exit};
use super::start_flags::StartFlags;

/// Those of Linux, with their other names.
const DRIVERS: &[&str] = &[
    "docker",
    "generic",
    "kvm",
    "kvm2",
    "native",
    "none",
    "podman",
    "qemu",
    "qemu2",
    "ssh",
    "virtualbox",
    "vmware",
];
const RUNTIMES: &[&str] = &["docker", "cri-o", "containerd"];
const NUMBERS: &[(&str, &str)] = &[
    ("nodes", "-n, --nodes"),
    ("apiserver-port", "--apiserver-port"),
    ("extra-disks", "--extra-disks"),
    ("kvm-numa-count", "--kvm-numa-count"),
    ("ssh-port", "--ssh-port"),
];
const DURATIONS: &[&str] = &["auto-pause-interval", "cert-expiration", "wait-timeout"];
/// As much as the machine has, and no bound at all.
const WORDS: [&str; 3] = ["", "max", "no-limit"];
/// MiB below which minikube makes no machine; here they bind nobody, and scripts that look for the refusal find it.
const LEAST_MEMORY: u64 = 1800;
const LEAST_DISK: u64 = 2000;
const LEAST_CPUS: i64 = 2;

/// Where minikube puts the home directory when it is told to mount and not what.
const USUAL_TARGET: &str = "/minikube-host";

/// A directory that is to be seen at another path than its own: a start mounts nothing, and a pod whose hostPath names that path would find
/// an empty directory.
pub(super) fn unmounted(flags: &StartFlags) -> Option<String> {
    let pair = flags.text("mount-string").filter(|pair| !pair.is_empty());
    let is_asked = match flags.text("mount") {
        Some(_) => flags.is_set("mount"),
        None => pair.is_some(),
    };
    if !is_asked {
        return None;
    }
    let home = || format!("{}:{USUAL_TARGET}", std::env::var("HOME").unwrap_or_default());
    let pair = pair.map_or_else(home, str::to_owned);
    let (source, target) = pair.rsplit_once(':')?;
    let real = |path: &str| std::fs::canonicalize(path).ok();
    let is_there = source == target || real(target).is_some_and(|found| Some(found) == real(source));
    (!is_there).then(|| {
        format!("{source} is not mounted at {target}: name {source} itself as hostPath, or keep `minikube mount {pair}` running")
    })
}

/// What the flags' types alone refuse, before anything is said.
///
/// # Errors
/// `MK_USAGE`.
pub(super) fn check_types(flags: &StartFlags) -> Result<(), Exit> {
    let invalid = |value: &str, flag: &str, why: String| {
        reason::USAGE.because(format!("invalid argument \"{value}\" for \"{flag}\" flag: {why}"))
    };
    for (flag, value) in flags.switches() {
        if switch(value).is_none() {
            let why = format!("strconv.ParseBool: parsing \"{value}\": invalid syntax");
            return Err(invalid(value, &format!("--{flag}"), why));
        }
    }
    for (flag, shown) in NUMBERS {
        for value in flags.all(flag) {
            if value.parse::<i64>().is_err() {
                let why = format!("strconv.ParseInt: parsing \"{value}\": invalid syntax");
                return Err(invalid(value, shown, why));
            }
        }
    }
    for flag in DURATIONS {
        for value in flags.all(flag) {
            if let Err(why) = durations::parse(value) {
                return Err(invalid(value, &format!("--{flag}"), why.to_string()));
            }
        }
    }
    Ok(())
}

/// Go's `strconv.ParseBool`.
pub(super) fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Whether a size or a count bounds anything.
pub(super) fn is_bound(asked: &str) -> bool {
    !WORDS.contains(&asked)
}

pub(super) fn is_driver(name: &str) -> bool {
    DRIVERS.contains(&name)
}

/// In whatever case; CRI-O has two names.
pub(super) fn is_runtime(name: &str) -> bool {
    let name = name.to_lowercase();
    name == "crio" || RUNTIMES.contains(&name.as_str())
}

/// What minikube refuses of a machine's drivers and sizes. What it lets pass with `--force` is only `said`.
///
/// # Errors
/// Why it is refused.
pub(super) fn check_machine(flags: &StartFlags, mut said: impl FnMut(&Exit)) -> Result<(), Exit> {
    let driver = flags.text("driver").filter(|driver| !driver.is_empty()).or(flags.text("vm-driver"));
    if let Some(driver) = driver.filter(|driver| !driver.is_empty() && !is_driver(driver)) {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        return Err(reason::DRIVER_UNSUPPORTED
            .because(format!("The driver '{driver}' is not supported on linux/{arch}"))
            .advise("leave --driver out: pods run on this machine itself"));
    }
    let runtime = flags.text("container-runtime").unwrap_or_default().to_lowercase();
    if !runtime.is_empty() && !is_runtime(&runtime) {
        let valid = RUNTIMES.join(" ");
        return Err(reason::USAGE
            .because(format!("Invalid Container Runtime: \"{runtime}\". Valid runtimes are: [{valid}]")));
    }
    let forced = flags.is_set("force");
    for refused in [disk(flags), cpus(flags), memory(flags)].into_iter().flatten() {
        if !forced {
            return Err(refused);
        }
        said(&refused);
    }
    Ok(())
}

fn disk(flags: &StartFlags) -> Option<Exit> {
    let asked = flags.text("disk-size")?;
    match mebibytes(asked) {
        Err(why) => Some(
            reason::USAGE
                .because(format!("Validation unable to parse disk size '{asked}': FromHumanSize: {why}")),
        ),
        Ok(size) if size < LEAST_DISK => Some(
            reason::DISK_TOO_SMALL
                .because(format!("Requested disk size {size} is less than minimum of {LEAST_DISK}")),
        ),
        Ok(_) => None,
    }
}

/// What is no number is none, as viper has it.
fn cpus(flags: &StartFlags) -> Option<Exit> {
    let asked = flags.text("cpus").filter(|asked| is_bound(asked))?;
    let count = asked.parse::<i64>().unwrap_or(0);
    (count < LEAST_CPUS && !flags.is_set("no-kubernetes")).then(|| {
        reason::TOO_FEW_CPUS
            .because(format!("Requested cpu count {count} is less than the minimum allowed of {LEAST_CPUS}"))
    })
}

fn memory(flags: &StartFlags) -> Option<Exit> {
    let asked = flags.text("memory").filter(|asked| is_bound(asked))?;
    match mebibytes(asked) {
        Err(why) => {
            Some(reason::USAGE.because(format!("Unable to parse memory '{asked}': FromHumanSize: {why}")))
        }
        Ok(size) if size < LEAST_MEMORY && !flags.is_set("no-kubernetes") => {
            Some(reason::TOO_LITTLE_MEMORY.because(format!(
                "Requested memory allocation {size}MiB is less than the usable minimum of {LEAST_MEMORY}MB"
            )))
        }
        Ok(_) => None,
    }
}

/// As `RAMInBytes` of Docker's `go-units` reads it, a bare number as MiB.
pub(super) fn mebibytes(text: &str) -> Result<u64, String> {
    let Some(last) = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ') else {
        return Err(format!("invalid size: '{text}'"));
    };
    // all of these are one byte
    let (number, suffix) = text.split_at(last + 1);
    let size: f64 = number.trim_end_matches(' ').parse().map_err(|_| format!("invalid size: '{text}'"))?;
    if !size.is_finite() || size < 0.0 {
        return Err(format!("invalid size: '{text}'"));
    }
    let suffix = suffix.to_lowercase();
    let unit = match suffix.strip_suffix("ib").or(suffix.strip_suffix('b')).unwrap_or(&suffix) {
        "" if suffix.is_empty() => 1.0,
        "" if suffix == "b" => 1.0 / 1024.0 / 1024.0,
        "k" => 1.0 / 1024.0,
        "m" => 1.0,
        "g" => 1024.0,
        "t" => 1024.0 * 1024.0,
        "p" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    Ok((size * unit) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, Command, FromArgMatches};

    fn flags(words: &[&str]) -> StartFlags {
        let command = StartFlags::augment_args(Command::new("start").no_binary_name(true));
        StartFlags::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
    }

    /// Id and words of the refusal.
    fn refusal(words: &[&str]) -> Option<(&'static str, u8, String)> {
        let flags = flags(words);
        let checked = check_types(&flags).and_then(|()| check_machine(&flags, |_| {}));
        checked.err().map(|exit| (exit.reason.id, exit.reason.code, exit.what))
    }

    #[test]
    fn what_is_mistyped_is_told_as_minikube_tells_it() {
        let cases: &[(&[&str], &str, u8, &str)] = &[
            (
                &["--driver=nosuch"],
                "DRV_UNSUPPORTED_OS",
                56,
                "The driver 'nosuch' is not supported on linux/",
            ),
            (
                &["--vm-driver", "hyperv"],
                "DRV_UNSUPPORTED_OS",
                56,
                "The driver 'hyperv' is not supported on linux/",
            ),
            (
                &["--memory=abc"],
                "MK_USAGE",
                14,
                "Unable to parse memory 'abc': FromHumanSize: invalid size: 'abc'",
            ),
            (
                &["--memory=4q"],
                "MK_USAGE",
                14,
                "Unable to parse memory '4q': FromHumanSize: invalid suffix: 'q'",
            ),
            (
                &["--memory", "250MB"],
                "RSRC_INSUFFICIENT_REQ_MEMORY",
                23,
                "Requested memory allocation 250MiB is less than the usable minimum of 1800MB",
            ),
            (
                &["--cpus=x"],
                "RSRC_INSUFFICIENT_CORES",
                29,
                "Requested cpu count 0 is less than the minimum allowed of 2",
            ),
            (
                &["--cpus", "1"],
                "RSRC_INSUFFICIENT_CORES",
                29,
                "Requested cpu count 1 is less than the minimum allowed of 2",
            ),
            (
                &["--disk-size=x"],
                "MK_USAGE",
                14,
                "Validation unable to parse disk size 'x': FromHumanSize: invalid size",
            ),
            (
                &["--disk-size=1g"],
                "RSRC_INSUFFICIENT_STORAGE",
                26,
                "Requested disk size 1024 is less than minimum of 2000",
            ),
            (
                &["-c", "rkt"],
                "MK_USAGE",
                14,
                "Invalid Container Runtime: \"rkt\". Valid runtimes are: [docker cri-o containerd]",
            ),
            (
                &["-n", "many"],
                "MK_USAGE",
                14,
                "invalid argument \"many\" for \"-n, --nodes\" flag: strconv.ParseInt: parsing \"many\": invalid syntax",
            ),
            (
                &["--wait-timeout=soon"],
                "MK_USAGE",
                14,
                "invalid argument \"soon\" for \"--wait-timeout\" flag: time: invalid duration \"soon\"",
            ),
            (
                &["--vm=maybe"],
                "MK_USAGE",
                14,
                "invalid argument \"maybe\" for \"--vm\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
        ];
        for (words, id, code, said) in cases {
            let (told, with, why) = refusal(words).unwrap_or_else(|| panic!("{words:?} is accepted"));
            assert_eq!((told, with), (*id, *code), "{words:?}: {why}");
            assert!(why.starts_with(said), "{words:?}: {why}");
        }
    }

    #[test]
    fn what_is_right_passes() {
        let cases: &[&[&str]] = &[
            &[],
            &["--driver=", "--memory=", "--cpus="],
            &["--driver=docker", "--memory=4g", "--cpus=2", "--disk-size=20000mb"],
            &["--driver=none", "--memory=max", "--cpus=max"],
            &["--memory=no-limit", "--cpus=no-limit", "--container-runtime=CRI-O"],
            &["--memory=1800", "--container-runtime=crio", "--vm=false", "--nodes=1", "--wait-timeout=6m0s"],
            &["--memory=1.9 GiB", "--no-kubernetes"],
            &["--memory=512", "--cpus=1", "--no-kubernetes"],
        ];
        for words in cases {
            assert_eq!(refusal(words), None, "{words:?}");
        }
    }

    #[test]
    fn a_directory_at_another_path_is_told() {
        let said = |source: &str, target: &str| {
            Some(format!(
                "{source} is not mounted at {target}: name {source} itself as hostPath, or keep `minikube mount {source}:{target}` running"
            ))
        };
        let home = std::env::var("HOME").unwrap_or_default();
        let cases: &[(&[&str], Option<String>)] = &[
            (&[], None),
            (&["--mount=false"], None),
            (&["--mount=false", "--mount-string=/usr:/none/src"], None),
            (&["--mount"], said(&home, "/minikube-host")),
            (&["--mount", "--mount-string=/usr:/none/src"], said("/usr", "/none/src")),
            (&["--mount-string=/usr:/none/src"], said("/usr", "/none/src")),
            // the same directory, by its own name and by another
            (&["--mount", "--mount-string=/none/at/all:/none/at/all"], None),
            (&["--mount", "--mount-string=/usr/bin/..:/usr"], None),
        ];
        for (words, want) in cases {
            assert_eq!(unmounted(&flags(words)), *want, "{words:?}");
        }
    }

    #[test]
    fn force_says_and_goes_on() {
        let mut said = Vec::new();
        let forced = flags(&["--force", "--memory=100", "--cpus=1"]);
        assert!(check_machine(&forced, |exit| said.push(exit.reason.id)).is_ok());
        assert_eq!(said, ["RSRC_INSUFFICIENT_CORES", "RSRC_INSUFFICIENT_REQ_MEMORY"]);
        assert!(
            check_machine(&flags(&["--force", "--driver=nosuch"]), |_| {}).is_err(),
            "no force helps that"
        );
    }

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        let cases = [
            ("2048", Ok(2048)),
            ("2g", Ok(2048)),
            ("2GiB", Ok(2048)),
            ("1.5 gb", Ok(1536)),
            ("2097152b", Ok(2)),
            ("2048k", Ok(2)),
        ];
        for (text, want) in cases {
            assert_eq!(mebibytes(text), want, "{text}");
        }
        for text in ["", "g", "1x", "1.2.3", "-1", "é"] {
            assert!(mebibytes(text).is_err(), "{text}");
        }
    }
}

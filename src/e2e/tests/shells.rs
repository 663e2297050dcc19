//! What is printed for shells, evaluated by the shells themselves.

mod common;

use common::{Appliance, appliance};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SHELLS: [&str; 5] = ["bash", "dash", "zsh", "fish", "tcsh"];

fn is_there(shell: &str) -> bool {
    let found =
        std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|dir| dir.join(shell).is_file());
    if !found {
        eprintln!("SKIPPED: there is no {shell}; `scripts/test` installs it");
    }
    found
}

fn link(cluster: &Appliance) -> PathBuf {
    let link = cluster.home().join("minikube");
    if !link.exists() {
        std::os::unix::fs::symlink(std::env::var_os("MONOPOD_BIN").unwrap(), &link).unwrap();
    }
    link
}

/// Reads no file of the user's.
fn run(cluster: &Appliance, shell: &str, script: &str) -> String {
    let bare: &[&str] = match shell {
        "bash" => &["--norc"],
        "zsh" | "tcsh" => &["-f"],
        "fish" => &["--no-config"],
        _ => &[],
    };
    cluster.program(Path::new(shell), &[bare, &["-c", script]].concat()).ok(&format!("{shell}: {script}"))
}

#[test]
fn docker_env_points_each_shell_at_the_engine_and_back() {
    let Some(cluster) = appliance("shells") else { return };
    let minikube = format!("{} -p e2e-shells", link(&cluster).display());
    let monopod = format!("{} -p e2e-shells", std::env::var("MONOPOD_BIN").unwrap());
    for shell in SHELLS.into_iter().filter(|shell| is_there(shell)) {
        let asks = format!("{minikube} docker-env --shell {shell}");
        let evaluated = |command: &str| match shell {
            "fish" => format!("{command} | source"),
            "tcsh" => format!("eval `{command}`"),
            _ => format!("eval $({command})"),
        };
        let show = "echo host=$DOCKER_HOST active=$MINIKUBE_ACTIVE_DOCKERD";
        let docker = "docker version -f '{{.Server.Os}}'";
        let said = run(&cluster, shell, &format!("{}; {show}; {docker}", evaluated(&asks)));
        assert_eq!(
            said, "host=unix:///run/monopod/e2e-shells/docker.sock active=e2e-shells\nlinux\n",
            "{shell}"
        );

        // of a minikube of before: they would make the client ask a socket for TLS
        let before = match shell {
            "fish" => "set -gx DOCKER_TLS_VERIFY 1",
            "tcsh" => "setenv DOCKER_TLS_VERIFY 1",
            _ => "export DOCKER_TLS_VERIFY=1",
        };
        assert_eq!(
            run(&cluster, shell, &format!("{before}; {}; {docker}", evaluated(&asks))),
            "linux\n",
            "{shell}"
        );

        let unset = evaluated(&format!("{asks} -u"));
        let said = run(
            &cluster,
            shell,
            &format!(
                "{}; {unset}; env | grep -c -e '^DOCKER_HOST' -e '^MINIKUBE_ACTIVE' || true",
                evaluated(&asks)
            ),
        );
        assert_eq!(said.trim(), "0", "{shell}");
        // what is not said is found out
        let detected = cluster.shell(&format!("SHELL=/usr/bin/{shell} {minikube} docker-env")).ok("detect");
        let asked = cluster.shell(&asks).ok("ask");
        assert_eq!(detected, asked, "{shell}");
        if shell == "bash" {
            let own = evaluated(&format!("{monopod} docker-env"));
            assert_eq!(run(&cluster, shell, &format!("{own}; {docker}")), "linux\n");
        }
    }
    assert_eq!(
        cluster
            .program(&link(&cluster), &["-p", "e2e-shells", "docker-env", "--shell", "nonsense"])
            .0
            .status
            .code(),
        Some(14)
    );
}

/// No package that is to be had holds a PowerShell: its grammar reads the text instead.
fn by_grammar(text: &str) -> Option<String> {
    let Some(python) = std::env::var_os("MONOPOD_POWERSHELL_GRAMMAR") else {
        eprintln!(
            "SKIPPED: MONOPOD_POWERSHELL_GRAMMAR says which Python has the grammar; `scripts/test` installs it"
        );
        return None;
    };
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shells/powershell.py");
    let mut reading =
        Command::new(python).arg(reader).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    reading.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let read = reading.wait_with_output().unwrap();
    assert!(read.status.success());
    Some(String::from_utf8(read.stdout).unwrap())
}

#[test]
fn powershell_is_written_by_its_grammar() {
    let Some(cluster) = appliance("powershell") else { return };
    let Some(broken) = by_grammar("$Env:A = \"b\n") else { return };
    assert!(broken.contains("fault "), "the reader reads");
    let asks = |more: &[&str]| {
        let words = [&["-p", "e2e-powershell", "docker-env", "--shell", "powershell"], more].concat();
        by_grammar(&cluster.program(&link(&cluster), &words).ok("docker-env")).unwrap()
    };
    assert_eq!(
        asks(&[]),
        "sets $Env:DOCKER_HOST = \"unix:///run/monopod/e2e-powershell/docker.sock\"\n\
         sets $Env:MINIKUBE_ACTIVE_DOCKERD = \"e2e-powershell\"\n"
    );
    assert_eq!(asks(&["-u"]), "command Remove-Item\n".repeat(4));
}

#[test]
fn completions_complete() {
    let Some(cluster) = appliance("completions") else { return };
    let program = PathBuf::from(std::env::var_os("MONOPOD_BIN").unwrap());
    for (name, program) in [("minikube", link(&cluster)), ("monopod", program)] {
        let script = |shell: &str| {
            let text = cluster.program(&program, &["completion", shell]).ok(shell);
            let path = cluster.home().join(format!("{name}.{shell}"));
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (bash, zsh, fish) = (script("bash"), script("zsh"), script("fish"));
        if is_there("bash") {
            let line = format!(
                "source {bash}; COMP_WORDS=({name} sta); COMP_CWORD=1; _{name} {name} sta {name}; echo ${{COMPREPLY[@]}}; complete -p {name}"
            );
            let said = run(&cluster, "bash", &line);
            assert!(said.starts_with("start status\n") && said.contains(&format!("_{name} ")), "{said}");
        }
        if is_there("zsh") {
            let line = format!(
                "autoload -Uz compinit; compinit -u -D; source {zsh}; print $_comps[{name}]; whence -w _{name}"
            );
            assert_eq!(run(&cluster, "zsh", &line), format!("_{name}\n_{name}: function\n"));
        }
        if is_there("fish") {
            let said = run(&cluster, "fish", &format!("source {fish}; complete -C '{name} sta'"));
            let words: Vec<&str> = said.lines().filter_map(|line| line.split('\t').next()).collect();
            assert_eq!(words, ["start", "status"], "{said}");
        }
        let powershell = cluster.program(&program, &["completion", "powershell"]).ok("powershell");
        assert!(powershell.contains("'status'"));
        if let Some(read) = by_grammar(&powershell) {
            assert_eq!(read, "command Register-ArgumentCompleter\ncommand Sort-Object\n", "{name}");
        }
    }
    let answer = cluster.program(&link(&cluster), &["completion", "nonsense"]);
    assert_eq!(answer.0.status.code(), Some(14), "{}", answer.err());
}

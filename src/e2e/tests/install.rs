//! What brings the program to a machine and keeps it there: packages, the unit at boot, the exchange under running pods, and
//! the scripts where tools are missing.

mod common;

use common::{Answer, Appliance, appliance};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A copy of the program that may be replaced, from which the profile runs.
fn installed(cluster: &Appliance) -> PathBuf {
    let program = cluster.home().join("monopod");
    std::fs::copy(std::env::var_os("MONOPOD_BIN").unwrap(), &program).unwrap();
    program
}

/// A program that says a version and does nothing else, but that it does its worst to who starts it as a daemon.
fn impostor(cluster: &Appliance, version: &str) -> PathBuf {
    let (source, program) = (cluster.home().join("new.c"), cluster.home().join(format!("new-{version}")));
    let text = format!(
        "#include <signal.h>\n#include <stdio.h>\n#include <string.h>\n#include <unistd.h>\nint main(int n, char **w) {{ if (n > 1 && !strcmp(w[1], \"version\")) {{ \
         puts(\"{{\\\"version\\\": \\\"{version}\\\", \\\"kubernetes\\\": \\\"v1\\\"}}\"); return 0; }} \
         kill(getppid(), SIGINT); kill(getppid(), SIGHUP); kill(getppid(), SIGTERM); return 3; }}"
    );
    std::fs::write(&source, text).unwrap();
    let made = Command::new("gcc").arg("-o").args([&program, &source]).status().unwrap();
    assert!(made.success());
    program
}

#[test]
fn an_upgrade_under_running_pods_and_one_that_fails() {
    let Some(cluster) = appliance("upgrade") else { return };
    let program = installed(&cluster);
    let call = |words: &[&str]| cluster.program(&program, &[&["-p", "e2e-upgrade"], words].concat());
    cluster.kubectl(&["run", "web", "--image=monopod/kubia"]).ok("run");
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/web", "--timeout=60s"]).ok("ready");
    cluster.until_processes(1);
    let before = cluster.processes("web");
    cluster.monopod(&["stop"]).ok("stop");
    call(&["start"]).ok("start from the copy");
    // `status` ends with another code than 0 while it is paused
    let pid = || -> String {
        let status: serde_json::Value = serde_json::from_str(&call(&["status", "-o", "json"]).out()).unwrap();
        status["detail"]["pid"].to_string()
    };
    let runs_from = || std::fs::read_link(format!("/proc/{}/exe", pid())).unwrap();
    assert_eq!(runs_from(), program);
    let inode = || std::os::unix::fs::MetadataExt::ino(&program.metadata().unwrap());

    // what is refused changes nothing
    let (script, other) = (cluster.home().join("script"), cluster.home().join("other"));
    std::fs::write(&script, "#!/bin/sh\necho hello\n").unwrap();
    let mut foreign = std::fs::read("/bin/true").unwrap();
    foreign[18] ^= 0x55;
    std::fs::write(&other, foreign).unwrap();
    for path in [&script, &other] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let older = impostor(&cluster, "0.0.1");
    let (daemon, was) = (pid(), inode());
    let refusals: [(&Path, &str); 7] = [
        (Path::new("/none"), "No such file"),
        (Path::new("/tmp"), "it is no file"),
        (&script, "it is no program"),
        (&other, "another architecture"),
        (Path::new("/bin/true"), "it is no monopod"),
        (&older, "older than this one"),
        (&program, "it is the program that is installed"),
    ];
    for (path, want) in refusals {
        let answer = call(&["upgrade", path.to_str().unwrap()]);
        assert_eq!(answer.0.status.code(), Some(26), "{}: {}", path.display(), answer.err());
        assert!(answer.err().contains(want), "{}: {}", path.display(), answer.err());
    }
    assert_eq!((pid(), inode()), (daemon.clone(), was));

    // a program whose daemon does not come up: the old one is put back, and runs
    let newer = impostor(&cluster, "99.0.0");
    let failed = call(&["upgrade", newer.to_str().unwrap()]);
    assert_eq!(failed.0.status.code(), Some(26), "{}", failed.err());
    assert!(failed.err().contains("the old program is back, and runs"), "{}", failed.err());
    assert!(inode() == was && pid() != daemon && runs_from() == program);
    assert_eq!(cluster.processes("web"), before, "the pod did not notice");

    // and one that does
    call(&["pause"]).ok("pause");
    let file = std::env::var("MONOPOD_BIN").unwrap();
    let done = call(&["upgrade", &file]).ok("upgrade");
    assert!(done.contains("the same version") && done.contains("e2e-upgrade goes on with it"), "{done}");
    assert!(inode() != was && runs_from() == program);
    assert_eq!(call(&["status"]).0.status.code(), Some(5), "what is paused stays so");
    call(&["unpause"]).ok("unpause");
    assert_eq!(cluster.processes("web"), before);
    cluster.until(&["get", "pod", "web", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"], "0");
    let left: Vec<_> =
        std::fs::read_dir(cluster.home()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".monopod.")), "{left:?}");
}

#[test]
fn the_mask_of_the_shell_that_starts_it_is_neither_the_containers_nor_the_sockets() {
    let Some(cluster) = appliance("umask") else { return };
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let place = cluster.home().join("sockets");
    for (round, mask) in ["077", "000"].into_iter().enumerate() {
        let name = format!("web-{round}");
        cluster.monopod(&["stop"]).ok("stop");
        let socket = place.join(mask).join("docker.sock");
        let start = format!(
            "umask {mask}; exec \"$MONOPOD_BIN\" -p e2e-umask start --docker-socket {}",
            socket.display()
        );
        cluster.shell(&start).ok("start");
        let overrides = r#"--overrides={"spec":{"securityContext":{"runAsUser":1000}}}"#;
        cluster.kubectl(&["run", &name, "--image=monopod/kubia", overrides]).ok("run");
        cluster
            .kubectl(&["wait", "--for=condition=Ready", &format!("pod/{name}"), "--timeout=60s"])
            .ok("ready");
        cluster.until_processes(round + 1);
        let pid = cluster.processes(&name)[0];
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains("Umask:\t0022\n"), "{mask}: {status}");
        let inside = PathBuf::from(format!("/proc/{pid}/root"));
        for (path, want) in [("", 0o755), ("etc", 0o755), ("etc/resolv.conf", 0o644), ("etc/hosts", 0o644)] {
            assert_eq!(mode(&inside.join(path)), want, "{mask}: {path}");
        }
        assert_eq!(
            mode(socket.parent().unwrap()) & 0o022,
            0,
            "{mask}: others could put their own socket there"
        );
    }
}

#[test]
fn at_boot_says_what_is_missing_where_there_is_no_systemd() {
    let Some(cluster) = appliance("boot") else { return };
    if Path::new("/run/systemd/system").is_dir() {
        eprintln!("SKIPPED: this machine has systemd, whose units a test leaves alone");
        return;
    }
    let refused = cluster.monopod(&["start", "--at-boot"]);
    assert_eq!(refused.0.status.code(), Some(14), "{}", refused.err());
    assert!(refused.err().contains("systemd is not this machine's init"), "{}", refused.err());
    assert!(cluster.monopod(&["start", "--at-boot=false"]).ok("off").contains("is running already"));
    assert_eq!(cluster.monopod(&["status"]).0.status.code(), Some(0));
}

#[test]
fn packages_hold_what_they_say() {
    let Some(program) = std::env::var_os("MONOPOD_BIN") else {
        eprintln!("SKIPPED: MONOPOD_BIN says where the program is");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new(root().join("scripts/package"))
        .args(["--binary".as_ref(), program.as_os_str()])
        .env("PACKAGE_COMPRESSION", "none")
        .env("PACKAGE_DIR", dir.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let files: Vec<PathBuf> =
        std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    let with = |end: &str| files.iter().find(|path| path.to_string_lossy().ends_with(end)).unwrap();

    // dpkg itself installs it below a root of its own; its scripts touch nothing but systemd, where that runs
    let below = dir.path().join("root");
    std::fs::create_dir_all(below.join("var/lib/dpkg/updates")).unwrap();
    std::fs::create_dir_all(below.join("var/lib/dpkg/info")).unwrap();
    std::fs::write(below.join("var/lib/dpkg/status"), "").unwrap();
    let installed = Command::new("dpkg")
        .args(["--force-depends", "--force-script-chrootless", "--log=/dev/null"])
        .arg(format!("--root={}", below.display()))
        .arg("-i")
        .arg(with(".deb"))
        .output()
        .unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let said = Command::new(below.join("usr/bin/monopod")).arg("version").output().unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).starts_with("monopod v"));
    for path in [
        "usr/share/man/man1/monopod.1.gz",
        "usr/share/man/man1/monopod-start.1.gz",
        "usr/share/bash-completion/completions/monopod",
        "usr/share/zsh/vendor-completions/_monopod",
        "usr/share/fish/vendor_completions.d/monopod.fish",
        "usr/share/doc/monopod/copyright",
    ] {
        assert!(below.join(path).metadata().is_ok_and(|meta| meta.len() > 0), "{path}");
    }
    let unit = std::fs::read_to_string(below.join("usr/lib/systemd/system/monopod.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/monopod -p monopod start --foreground --report\n"), "{unit}");
    let sums = Command::new("dpkg")
        .arg(format!("--root={}", below.display()))
        .args(["-V", "monopod"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&sums.stdout), "", "every file has the sum that the package says");

    // a removal leaves clusters and units, a purge takes what bears our mark, and nobody else's
    for (path, text) in [
        ("var/lib/monopod/dev/.monopod-profile", ""),
        ("var/lib/monopod/dev/store/cluster.db", "x"),
        ("var/lib/monopod/unmarked/file", "x"),
        ("etc/systemd/system/monopod-dev.service", "[Service]\nExecStart=/usr/bin/monopod -p dev start\n"),
        ("etc/systemd/system/monopod-other.service", "[Service]\nExecStart=/opt/monopod -p other start\n"),
    ] {
        std::fs::create_dir_all(below.join(path).parent().unwrap()).unwrap();
        std::fs::write(below.join(path), text).unwrap();
    }
    let there = |path: &str| below.join(path).exists();
    let without = |how: &str| {
        let done = Command::new("dpkg")
            .args(["--force-script-chrootless", "--log=/dev/null"])
            .arg(format!("--root={}", below.display()))
            .args([how, "monopod"])
            .output()
            .unwrap();
        assert!(done.status.success(), "{how}: {}", String::from_utf8_lossy(&done.stderr));
    };
    without("-r");
    assert!(!there("usr/bin/monopod") && there("var/lib/monopod/dev/store/cluster.db"));
    assert!(there("etc/systemd/system/monopod-dev.service"));
    without("-P");
    assert!(!there("var/lib/monopod/dev") && there("var/lib/monopod/unmarked/file"));
    assert!(
        !there("etc/systemd/system/monopod-dev.service") && there("etc/systemd/system/monopod-other.service")
    );

    // the tarball, wherever it is unpacked
    let (unpacked, prefix) = (dir.path().join("tar"), dir.path().join("prefix"));
    std::fs::create_dir(&unpacked).unwrap();
    assert!(
        Command::new("tar")
            .args(["-C", unpacked.to_str().unwrap(), "-xzf"])
            .arg(with(".tar.gz"))
            .status()
            .unwrap()
            .success()
    );
    let top = std::fs::read_dir(&unpacked).unwrap().next().unwrap().unwrap().path();
    assert!(Command::new(top.join("install")).arg(&prefix).status().unwrap().success());
    assert!(Command::new(prefix.join("bin/monopod")).arg("version").status().unwrap().success());
}

/// Runs a line of the scripts' library where the PATH has only these commands, which say what they were asked.
fn with_commands(home: &Path, commands: &[(&str, &str)], line: &str) -> Answer {
    let bin = home.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    for (name, body) in commands {
        let path = bin.join(name);
        std::fs::write(&path, format!("#!/bin/bash\necho \"$(basename $0) $*\"\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    for name in ["basename", "mkdir", "chmod", "cat", "printf", "sh", "bash", "id", "grep"] {
        let target =
            ["/usr/bin", "/bin"].iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
        let _ = target.map(|target| std::os::unix::fs::symlink(target, bin.join(name)));
    }
    let script = format!(". {}/scripts/lib/need.sh; {line}", root().display());
    let output = Command::new("/bin/bash")
        .args(["-c", &script])
        .env_clear()
        .env("PATH", &bin)
        .env("HOME", home)
        .output()
        .unwrap();
    Answer(output)
}

#[test]
fn a_rust_toolchain_is_brought_and_said_first() {
    let makes_cargo = "mkdir -p $HOME/.cargo/bin; printf '#!/bin/bash\\necho own cargo\\n' > $HOME/.cargo/bin/cargo; \
        chmod 755 $HOME/.cargo/bin/cargo";
    let packaged = [("apt-cache", ""), ("dpkg-query", "exit 1"), ("apt-get", ""), ("rustup", makes_cargo)];
    let home = tempfile::tempdir().unwrap();
    let said = with_commands(home.path(), &packaged, "need_cargo; cargo").ok("from the distribution");
    let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("{what}: {said}"));
    assert!(
        at("there is no Rust toolchain: installing the package rustup") < at("apt-get install"),
        "{said}"
    );
    assert!(at("apt-get install -y -qq rustup") < at("rustup default stable") && at("own cargo") > 0);

    // where the distribution has none, as its makers install it
    let script = format!("printf '%s\\n' {}", shell_quoted(makes_cargo));
    let foreign = [("apt-cache", "exit 100"), ("curl", script.as_str())];
    let home = tempfile::tempdir().unwrap();
    let said = with_commands(home.path(), &foreign, "need_cargo; cargo").ok("from its makers");
    assert!(
        said.contains("installing rustup for this user, from https://sh.rustup.rs")
            && said.contains("own cargo"),
        "{said}"
    );

    let home = tempfile::tempdir().unwrap();
    let nothing = [("apt-cache", "exit 100"), ("curl", "exit 6"), ("dpkg-query", "exit 1")];
    let answer = with_commands(home.path(), &nothing, "need_cargo; cargo");
    assert!(
        !answer.0.status.success() && answer.out().contains("there is still no cargo"),
        "{}",
        answer.out()
    );
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

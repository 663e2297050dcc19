//! What the flags of `docker run` do, with the stock docker command.

mod common;

use common::{Answer, Appliance, appliance};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Stdio;

fn code(answer: &Answer) -> Option<i32> {
    answer.0.status.code()
}

/// `docker run --rm FLAGS busybox:1 sh -c LINE`
fn run(at: &Appliance, flags: &[&str], line: &str) -> Answer {
    at.docker(&[&["run", "--rm"], flags, &["busybox:1", "sh", "-c", line]].concat())
}

fn inspect(at: &Appliance, name: &str, format: &str) -> String {
    at.docker(&["inspect", "-f", format, name]).ok("inspect").trim().to_owned()
}

#[test]
fn an_init_comes_first_passes_signals_on_and_ends_as_the_program_did() {
    let Some(at) = appliance("init") else { return };
    at.load_busybox();
    let shown = run(&at, &["--init"], "ps -o pid,args | grep docker-init | head -n 1").ok("ps");
    assert!(shown.trim().starts_with("1 /sbin/docker-init -- sh -c"), "{shown}");
    assert_eq!(code(&run(&at, &["--init"], "exit 9")), Some(9));
    assert_eq!(code(&run(&at, &["--init"], "kill -9 $$")), Some(137));
    assert_eq!(code(&at.docker(&["run", "--rm", "--init", "busybox:1", "nosuch"])), Some(127));
    // as a container's first process it would never hear of a signal that it does not handle
    at.docker(&["run", "-d", "--init", "--name", "deaf", "busybox:1", "sleep", "3600"]).ok("run");
    // neither does an init that has not begun yet
    let begun = "ps -o args | grep -x 'sleep 3600'";
    let began = std::time::Instant::now();
    while !at.docker(&["exec", "deaf", "sh", "-c", begun]).0.status.success() {
        assert!(began.elapsed().as_secs() < 60, "the init starts nothing");
    }
    at.docker(&["stop", "-t", "3600", "deaf"]).ok("stop");
    assert_eq!(inspect(&at, "deaf", "{{.State.ExitCode}}"), "143");
    // nobody else would reap what lost its parent
    let line = "(sleep 0 & exec sleep 0) ; while ps -o stat,args | grep -q '^Z'; do :; done; echo none";
    assert_eq!(run(&at, &["--init"], line).ok("reaps"), "none\n");
}

#[test]
fn a_command_that_can_not_be_run_leaves_its_container_created() {
    let Some(at) = appliance("nocommand") else { return };
    at.load_busybox();
    for (name, command, want, why) in [
        ("missing", "nosuch", 127, "exec: \"nosuch\": executable file not found in $PATH"),
        ("no-file", "/no/such", 127, "exec: \"/no/such\": stat /no/such: no such file or directory"),
        ("no-program", "/etc/passwd", 126, "exec: \"/etc/passwd\": permission denied"),
    ] {
        let answer = at.docker(&["run", "--name", name, "busybox:1", command]);
        assert_eq!(code(&answer), Some(want), "{name}: {}", answer.err());
        assert!(
            answer.err().contains("OCI runtime create failed") && answer.err().contains(why),
            "{}",
            answer.err()
        );
        assert_eq!(inspect(&at, name, "{{.State.Status}} {{.State.ExitCode}}"), format!("created {want}"));
        assert!(inspect(&at, name, "{{.State.Error}}").ends_with(why));
    }
    at.docker(&["run", "-d", "--name", "box", "busybox:1", "sleep", "3600"]).ok("run");
    for (command, want) in [("nosuch", 127), ("/etc/passwd", 126)] {
        let answer = at.docker(&["exec", "box", command]);
        assert_eq!(code(&answer), Some(want));
        assert!(
            answer.out().starts_with("OCI runtime exec failed: exec failed: unable to start"),
            "{}",
            answer.out()
        );
    }
}

#[test]
fn logs_are_kept_within_bounds_and_followed_through_rotations() {
    let Some(at) = appliance("rotation") else { return };
    at.load_busybox();
    // it goes on when somebody follows: of who comes later the first lines are gone
    let line = "echo begun; until [ -e /go ]; do sleep 0.05; done; i=0; \
                while [ $i -lt 150 ]; do echo a-line-of-some-length-$i; i=$((i+1)); sleep 0.03; done";
    let limits = ["--log-opt", "max-size=2k", "--log-opt", "max-file=4"];
    let run = [&["run", "-d", "--name", "talks"][..], &limits, &["busybox:1", "sh", "-c", line]].concat();
    at.docker(&run).ok("run");
    let mut follower = at.command(&std::env::var("MONOPOD_DOCKER").unwrap_or_else(|_| "docker".to_owned()));
    let follower = at.of_docker(&mut follower).args(["logs", "-f", "talks"]).stdout(Stdio::piped());
    let mut follower = follower.spawn().unwrap();
    let mut followed = BufReader::new(follower.stdout.take().unwrap());
    let mut first = String::new();
    followed.read_line(&mut first).unwrap();
    assert_eq!(first, "begun\n");
    at.docker(&["exec", "talks", "touch", "/go"]).ok("go");
    let mut rest = String::new();
    followed.read_to_string(&mut rest).unwrap();
    assert!(follower.wait().unwrap().success());
    let want: String = (0..150).map(|i| format!("a-line-of-some-length-{i}\n")).collect();
    assert_eq!(rest, want);
    let kept = at.docker(&["logs", "talks"]).ok("logs");
    assert!(want.ends_with(&kept) && kept.len() < want.len(), "{} of {}", kept.len(), want.len());
    assert_eq!(at.docker(&["logs", "--tail", "40", "talks"]).ok("tail").lines().count(), 40);
    let log = PathBuf::from(inspect(&at, "talks", "{{.LogPath}}"));
    let name = log.file_name().unwrap().to_string_lossy().into_owned();
    let files = std::fs::read_dir(log.parent().unwrap()).unwrap().flatten();
    let sizes: Vec<u64> = files
        .filter(|file| file.file_name().to_string_lossy().starts_with(&name))
        .map(|file| file.metadata().unwrap().len())
        .collect();
    assert!(sizes.len() == 4 && sizes.iter().all(|size| *size <= 2000), "{sizes:?}");

    at.docker(&["run", "--name", "local", "--log-driver", "local", "busybox:1", "echo", "kept"]).ok("local");
    assert_eq!(at.docker(&["logs", "local"]).ok("logs of local"), "kept\n");
    let none = at.docker(&["run", "--name", "none", "--log-driver", "none", "busybox:1", "echo", "seen"]);
    assert_eq!(none.ok("none"), "seen\n");
    let why = at.docker(&["logs", "none"]).refused("logs of none");
    assert!(why.contains("configured logging driver does not support reading"), "{why}");
    let why = at.docker(&["run", "--rm", "--log-driver", "syslog", "busybox:1", "true"]).refused("syslog");
    assert!(why.contains("error looking up logging plugin syslog"), "{why}");
    let labelled =
        ["run", "--name", "told", "--log-opt", "labels=app", "--label", "app=shop", "busybox:1", "echo", "x"];
    at.docker(&labelled).ok("run with labels");
    assert_eq!(at.docker(&["logs", "--details", "told"]).ok("details"), "app=shop x\n");
}

#[test]
fn namespaces_are_those_that_were_asked_for() {
    let Some(at) = appliance("namespaces") else { return };
    at.load_busybox();
    let donor = [
        "run",
        "-d",
        "--name",
        "donor",
        "--ipc",
        "shareable",
        "--shm-size",
        "1m",
        "busybox:1",
        "sleep",
        "3600",
    ];
    at.docker(&donor).ok("donor");
    at.docker(&["exec", "donor", "sh", "-c", "echo shared > /dev/shm/file"]).ok("exec");
    assert_eq!(run(&at, &["--ipc", "container:donor"], "cat /dev/shm/file").ok("ipc"), "shared\n");
    let seen = run(&at, &["--pid", "container:donor"], "ps -o args").ok("pid");
    assert!(seen.contains("sleep 3600"), "{seen}");
    let own = run(&at, &[], "ls -d /proc/[0-9]* | wc -l").ok("own pids");
    let all = run(&at, &["--pid", "host"], "ls -d /proc/[0-9]* | wc -l").ok("pids of the machine");
    assert!(all.trim().parse::<u32>().unwrap() > own.trim().parse().unwrap());
    let machine = at.shell("hostname").ok("hostname");
    assert_eq!(run(&at, &["--uts", "host"], "hostname").ok("uts"), machine);
    let named =
        run(&at, &["--hostname", "h", "--domainname", "example.com"], "cat /proc/sys/kernel/domainname");
    assert_eq!(named.ok("domain"), "example.com\n");
    assert_eq!(
        run(&at, &["--ipc", "none"], "ls -d /dev/shm 2>/dev/null || echo none").ok("no ipc"),
        "none\n"
    );
    let size = run(&at, &["--shm-size", "3m"], "df -k /dev/shm | tail -n 1").ok("shm");
    assert!(size.split_whitespace().any(|word| word == "3072"), "{size}");
    let own = run(&at, &["--cgroupns", "private"], "cut -d: -f3 /proc/self/cgroup | sort -u").ok("cgroupns");
    assert_eq!(own, "/\n");
    at.docker(&["run", "-d", "--name", "private", "busybox:1", "sleep", "3600"]).ok("run");
    let why = run(&at, &["--ipc", "container:private"], "true").refused("a private ipc");
    assert!(why.contains("non-shareable IPC"), "{why}");
    at.docker(&["stop", "-t", "0", "private"]).ok("stop");
    let why = run(&at, &["--pid", "container:private"], "true").refused("a container that ended");
    assert!(why.contains("cannot join PID namespace of a non running container"), "{why}");
    // who lends goes on when who borrowed has ended
    assert_eq!(inspect(&at, "donor", "{{.State.Running}}"), "true");
}

#[test]
fn limits_are_the_kernels_and_bad_ones_are_refused_in_dockers_words() {
    let Some(at) = appliance("limits") else { return };
    at.load_busybox();
    let memory =
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";
    assert_eq!(run(&at, &["--memory", "64m"], memory).ok("memory"), "67108864\n");
    let flags = [
        "--memory",
        "64m",
        "--memory-reservation",
        "32m",
        "--memory-swap",
        "128m",
        "--cpuset-cpus",
        "0",
        "--cpus",
        "0.5",
        "--pids-limit",
        "50",
        "--cpu-shares",
        "512",
    ];
    run(&at, &flags, "true").ok("all together");
    let cases: [(&[&str], &str); 10] = [
        (&["--memory", "1m"], "Minimum memory limit allowed is 6MB"),
        (&["--memory-swap", "64m"], "You should always set the Memory limit"),
        (&["--memory", "64m", "--memory-swap", "32m"], "Minimum memoryswap limit should be larger"),
        (&["--cpus", "1000"], "range of CPUs is from 0.01"),
        (&["--cpuset-cpus", "7777"], "Requested CPUs are not available"),
        (&["--oom-score-adj", "5000"], "Invalid value 5000"),
        (&["--cap-add", "fly"], "invalid CapAdd: unknown capability: \"CAP_FLY\""),
        (&["--runtime", "kata"], "unknown or invalid runtime name: kata"),
        (&["--gpus", "all"], "could not select device driver \"\" with capabilities: [[gpu]]"),
        (&["--security-opt", "what=1"], "invalid --security-opt 2: \"what=1\""),
    ];
    for (flags, want) in cases {
        let why = run(&at, flags, "true").refused(want);
        assert!(why.contains(want), "{flags:?}: {why}");
    }
    assert_eq!(run(&at, &["--ulimit", "nofile=100:200"], "ulimit -n; ulimit -Hn").ok("ulimit"), "100\n200\n");
    assert_eq!(run(&at, &["--oom-score-adj", "500"], "cat /proc/self/oom_score_adj").ok("oom"), "500\n");
    at.docker(&["run", "-d", "--name", "box", "--memory", "64m", "busybox:1", "sleep", "3600"]).ok("run");
    at.docker(&["update", "--memory", "96m", "--memory-swap", "192m", "--restart", "on-failure:3", "box"])
        .ok("update");
    assert_eq!(at.docker(&["exec", "box", "sh", "-c", memory]).ok("after the update"), "100663296\n");
    assert_eq!(inspect(&at, "box", "{{.HostConfig.RestartPolicy.MaximumRetryCount}}"), "3");
    at.docker(&["update", "--memory", "32m", "--memory-swap", "64m", "box"]).ok("update down");
    assert_eq!(at.docker(&["exec", "box", "sh", "-c", memory]).ok("after that"), "33554432\n");
}

#[test]
fn users_devices_and_profiles() {
    let Some(at) = appliance("profiles") else { return };
    at.load_busybox();
    let groups =
        run(&at, &["--user", "nobody:nogroup", "--group-add", "root", "--group-add", "77"], "id -G").ok("id");
    assert_eq!(groups.split_whitespace().collect::<BTreeSet<_>>(), BTreeSet::from(["0", "65534", "77"]));
    let why = run(&at, &["--group-add", "ghosts"], "id").refused("no such group");
    assert!(why.contains("unable to find group ghosts: no matching entries in group file"), "{why}");
    let profile = at.home().join("profile.json");
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#;
    std::fs::write(&profile, text).unwrap();
    let option = format!("seccomp={}", profile.display());
    let line = "mkdir /x 2>/dev/null || echo refused";
    assert_eq!(run(&at, &["--security-opt", &option], line).ok("a profile of one's own"), "refused\n");
    let seccomp = |flags: &[&str]| run(&at, flags, "grep Seccomp: /proc/self/status").ok("seccomp");
    assert_eq!(
        (seccomp(&[]), seccomp(&["--security-opt", "seccomp=unconfined"])),
        ("Seccomp:\t2\n".into(), "Seccomp:\t0\n".into())
    );
    let no_new = run(&at, &["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status");
    assert_eq!(no_new.ok("no new privileges"), "NoNewPrivs:\t1\n");
    let device =
        run(&at, &["--device", "/dev/full:/dev/x:r"], "head -c 1 /dev/x | wc -c; echo 2>&1 > /dev/x | wc -l");
    assert_eq!(device.ok("device").lines().next(), Some("1"));
    let why = run(&at, &["--device", "/dev/nosuch"], "true").refused("no such device");
    assert!(
        why.contains("error gathering device information while adding custom device \"/dev/nosuch\""),
        "{why}"
    );
    let set = run(&at, &["--sysctl", "net.core.somaxconn=77"], "cat /proc/sys/net/core/somaxconn");
    assert_eq!(set.ok("sysctl"), "77\n");
    run(&at, &["--sysctl", "kernel.panic=1"], "true").refused("a sysctl of the machine's");
}

#[test]
fn mounts_are_what_their_words_say() {
    let Some(at) = appliance("mounts") else { return };
    at.load_busybox();
    let directory = at.build_context(
        "FROM busybox:1\nRUN mkdir -p /data/sub && echo seed > /data/sub/file\nVOLUME /data\n",
    );
    at.docker(&["build", "-q", "-t", "seeded", &directory]).ok("build");
    let seeded = |flags: &[&str], line: &str| {
        at.docker(&[&["run", "--rm"], flags, &["seeded", "sh", "-c", line]].concat()).ok(line)
    };
    assert_eq!(seeded(&["-v", "v1:/data"], "cat /data/sub/file"), "seed\n");
    assert_eq!(seeded(&["-v", "v2:/data:nocopy"], "ls /data | wc -l"), "0\n");
    let part = ["--mount", "type=volume,src=v1,dst=/x,volume-subpath=sub"];
    assert_eq!(run(&at, &part, "cat /x/file").ok("subpath"), "seed\n");
    let out = ["--mount", "type=volume,src=v1,dst=/x,volume-subpath=../.."];
    assert!(
        run(&at, &out, "ls /x")
            .refused("a way out")
            .contains("subpath must be a relative path within the volume")
    );
    // with --rm what nobody named is gone again
    assert_eq!(at.docker(&["volume", "ls", "-q"]).ok("volumes"), "v1\nv2\n");
    // whoever copies out of what does not run sees the part alone, too
    at.docker(&[&["create", "--name", "part"][..], &part, &["busybox:1"]].concat()).ok("create");
    let copied = at.home().join("copied");
    at.docker(&["cp", "part:/x/.", copied.to_str().unwrap()]).ok("cp of a part");
    let names = std::fs::read_dir(&copied).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["file"]);
    at.docker(&["cp", "part:/x/sub", "-"]).refused("what is beside the part");
    let empty = ["--mount", "type=volume,src=v2,dst=/data,volume-subpath=new"];
    run(&at, &["-v", "v2:/v"], "mkdir /v/new; ln -s new /v/link").ok("a part");
    assert_eq!(seeded(&empty, "cat /data/sub/file"), "seed\n", "an empty part is filled from the image");
    let link = ["--mount", "type=volume,src=v2,dst=/x,volume-subpath=link"];
    assert_eq!(run(&at, &link, "cat /x/sub/file").ok("a part by a link"), "seed\n");
    run(&at, &["-v", "v2:/v"], "ln -s / /v/out").ok("a link out");
    let out = ["--mount", "type=volume,src=v2,dst=/x,volume-subpath=out"];
    let why = run(&at, &out, "ls /x").refused("a link out");
    assert!(why.contains("path concatenation escapes the base directory"), "{why}");
    let tmpfs = run(&at, &["--tmpfs", "/t:size=1m,mode=700,exec"], "grep ' /t ' /proc/mounts").ok("tmpfs");
    assert!(
        tmpfs.contains("size=1024k") && tmpfs.contains("mode=700") && !tmpfs.contains("noexec"),
        "{tmpfs}"
    );
    let host = at.home().join("host");
    let bind = |mode: &str| format!("{}:/h{mode}", host.display());
    assert_eq!(
        run(&at, &["-v", &bind("")], "touch /h/made; ls /h").ok("a directory that was missing"),
        "made\n"
    );
    assert_eq!(
        run(&at, &["-v", &bind(":ro")], "touch /h/x 2>/dev/null || echo refused").ok("ro"),
        "refused\n"
    );
    for (spec, want) in [
        (bind(":ro,rw"), "invalid mode: ro,rw"),
        (bind(":nocopy"), "field VolumeOptions must not be specified"),
        ("v1:/".to_owned(), "destination can't be '/'"),
        ("v1:rel".to_owned(), "mount path must be absolute"),
    ] {
        let why = run(&at, &["-v", &spec], "true").refused(&spec);
        assert!(why.contains(want), "{spec}: {why}");
    }
    let missing = run(&at, &["--mount", "type=bind,src=/nowhere,dst=/x"], "true").refused("a missing source");
    assert!(missing.contains("bind source path does not exist: /nowhere"), "{missing}");
    at.docker(&["create", "--name", "from", "-v", "v1:/data:ro", "busybox:1"]).ok("create");
    let line = "cat /data/sub/file; touch /data/x 2>/dev/null || echo refused";
    assert_eq!(run(&at, &["--volumes-from", "from"], line).ok("volumes-from"), "seed\nrefused\n");
    let stopped = at.home().join("file");
    std::fs::write(&stopped, "copied\n").unwrap();
    let copy = |to: &str| at.docker(&["cp", stopped.to_str().unwrap(), to]);
    assert!(copy("from:/data/file").refused("cp").contains("mounted volume is marked read-only"));
    // who is still sending when it is refused hears why
    let large = at.home().join("large");
    std::fs::File::create(&large).unwrap().set_len(20 << 20).unwrap();
    let why = at.docker(&["cp", large.to_str().unwrap(), "from:/data/large"]).refused("cp of a large file");
    assert!(why.contains("mounted volume is marked read-only"), "{why}");
    copy("from:/root-file").ok("cp to what does not run");
    assert_eq!(at.docker(&["cp", "from:/root-file", "-"]).ok("cp -").matches("copied").count(), 1);
}

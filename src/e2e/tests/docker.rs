//! Part A of what a user does, with the stock docker command.

mod common;

use common::appliance;
use common::registry::{fill, registry};
use std::io::Write;
use std::process::Stdio;

#[test]
fn an_image_is_pulled_tagged_and_pushed_with_a_password() {
    let Some(at) = appliance("push") else { return };
    let home = at.home().display().to_string();
    at.shell(&format!("cd {home} && htpasswd -Bbn user sesame > htpasswd")).ok("passwords");
    let more = format!("auth: {{htpasswd: {{realm: r, path: {home}/htpasswd}}}}\n");
    let _registry = registry(&at, "127.0.0.1:5000", &more);
    fill(&at, "127.0.0.1:5000", "--dest-tls-verify=false --dest-creds user:sesame");
    let image = "127.0.0.1:5000/team/busybox:1";
    at.docker(&["pull", image]).refused("without a password");
    at.docker(&["login", "127.0.0.1:5000", "-u", "user", "-p", "wrong"]).refused("a wrong password");
    let logged_in = at.docker(&["login", "127.0.0.1:5000", "-u", "user", "-p", "sesame"]).ok("login");
    assert!(logged_in.contains("Login Succeeded"), "{logged_in}");
    let pulled = at.docker(&["pull", image]).ok("pull");
    assert!(pulled.contains("Downloaded newer image"), "{pulled}");
    let again = at.docker(&["pull", image]).ok("pull again");
    assert!(again.contains("Image is up to date"), "{again}");
    at.docker(&["tag", image, "127.0.0.1:5000/other/name:2"]).ok("tag");
    at.docker(&["push", "127.0.0.1:5000/other/name:2"]).ok("push");
    let seen = at
        .shell("skopeo inspect --tls-verify=false --creds user:sesame docker://127.0.0.1:5000/other/name:2");
    assert!(seen.ok("skopeo").contains("other/name"));
}

#[test]
fn a_container_lives_from_run_to_rm() {
    let Some(at) = appliance("run") else { return };
    at.load_busybox();
    at.docker(&["run", "--name", "kubia-container", "-p", "18080:8080", "-d", "monopod/kubia"]).ok("run -d");
    let id = at.docker(&["inspect", "-f", "{{.Id}}", "kubia-container"]).ok("inspect");
    let answer =
        at.shell("curl -sS --retry 5 --retry-connrefused --max-time 10 http://127.0.0.1:18080").ok("curl");
    assert_eq!(answer, format!("You've hit {}\n", &id[..12]));
    let listed = at.docker(&["ps", "--format", "{{.Names}} {{.Ports}}"]).ok("ps");
    assert_eq!(listed, "kubia-container 0.0.0.0:18080->8080/tcp\n");
    // what it says is on its way into the log when its answer is there
    let began = std::time::Instant::now();
    while !at.docker(&["logs", "kubia-container"]).ok("logs").contains("Received request from") {
        assert!(began.elapsed().as_secs() < 60, "nothing said");
    }
    at.docker(&["stop", "kubia-container"]).ok("stop");
    let all = at.docker(&["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).ok("ps -a");
    assert!(all.starts_with("kubia-container Exited (0)"), "{all}");
    at.docker(&["rm", "kubia-container"]).ok("rm");
    assert_eq!(at.docker(&["ps", "-aq"]).ok("ps -aq"), "");
    assert_eq!(at.docker(&["run", "--rm", "busybox:1", "sh", "-c", "exit 4"]).0.status.code(), Some(4));
    at.docker(&["run", "--rm", "no/such:image"]).refused("an image that nobody has");
}

#[test]
fn flags_of_run_mean_what_they_say() {
    let Some(at) = appliance("flags") else { return };
    at.load_busybox();
    let shared = at.home().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let volume = format!("{}:/shared", shared.display());
    let run = |flags: &[&str], line: &str| {
        at.docker(&[&["run", "--rm"], flags, &["busybox:1", "sh", "-c", line]].concat()).ok(line)
    };
    let in_dev = format!("{}:/dev/mine", shared.display());
    let cases: [(&[&str], &str, &str); 11] = [
        (&["-e", "COLOUR=blue"], "echo $COLOUR", "blue\n"),
        (&["-w", "/tmp"], "pwd", "/tmp\n"),
        (&["-u", "65534"], "id -u", "65534\n"),
        (&["--hostname", "chosen"], "hostname", "chosen\n"),
        (&["--network", "host", "--hostname", "chosen"], "hostname", "chosen\n"),
        (&["--add-host", "db:192.0.2.9"], "grep db /etc/hosts | head -n 1", "192.0.2.9\tdb\n"),
        (&["--read-only"], "touch /x 2>/dev/null || echo refused", "refused\n"),
        (&["--tmpfs", "/scratch"], "touch /scratch/x && echo written", "written\n"),
        (&["-v", &volume], "echo kept > /shared/file; cat /shared/file", "kept\n"),
        // what is bound lies over the nodes of devices, and none is made in it
        (&["-v", "/dev/urandom:/dev/random"], "stat -c %t:%T /dev/random", "1:9\n"),
        (&["--device", "/dev/zero:/dev/mine/zero", "-v", &in_dev], "ls /dev/mine", "file\n"),
    ];
    for (flags, line, want) in cases {
        assert_eq!(run(flags, line), want, "{flags:?}");
    }
    assert_eq!(std::fs::read_to_string(shared.join("file")).unwrap(), "kept\n");
    at.docker(&["volume", "create", "data"]).ok("volume create");
    run(&["-v", "data:/data"], "echo here > /data/file");
    assert_eq!(run(&["-v", "data:/data"], "cat /data/file"), "here\n");
    at.docker(&["volume", "rm", "data"]).ok("volume rm");
}

/// What the last line writes the next container reads, as long as somebody uses the volume: a tmpfs forgets.
#[test]
fn what_a_volume_mounts_is_there_while_it_is_used() {
    let Some(at) = appliance("dvolmount") else { return };
    at.load_busybox();
    let tmpfs = ["-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,mode=1777"];
    at.docker(&[&["volume", "create"][..], &tmpfs, &["memory"]].concat()).ok("volume create");
    let bind = ["-o", "type=none", "-o", "o=bind", "-o", "device=/no/such/directory"];
    at.docker(&[&["volume", "create"][..], &bind, &["broken"]].concat()).ok("volume create");
    let read = || at.docker(&["run", "--rm", "-v", "memory:/m", "busybox:1", "cat", "/m/file"]);
    let line = "echo kept > /m/file; exec sleep 3600";
    at.docker(&["run", "-d", "--name", "user", "-v", "memory:/m", "busybox:1", "sh", "-c", line]).ok("run");
    let mut found = read();
    for _ in 0..600 {
        if found.0.status.success() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        found = read();
    }
    assert_eq!(found.ok("the file"), "kept\n");
    // its user outlives the daemon, and so does what is mounted
    at.kill_daemon();
    at.monopod(&["start"]).ok("start");
    assert_eq!(read().ok("the file after a restart"), "kept\n");
    at.docker(&["rm", "-f", "user"]).ok("rm");
    assert!(!read().0.status.success(), "a tmpfs without users is gone");
    let refused = at.docker(&["run", "--rm", "-v", "broken:/b", "busybox:1", "true"]);
    let said = refused.err();
    for want in [
        "error while mounting volume '",
        "failed to mount local volume: mount /no/such/directory:",
        "no such file",
    ] {
        assert!(said.contains(want), "{said}");
    }
    // a disk in a directory of the machine, whose mounts are shared as systemd sets them up
    let shelf = at.home().join("shelf").display().to_string();
    let shared = format!("mount -t tmpfs -o size=64k shelf {shelf} && mount --make-shared {shelf}");
    let disk = format!("mkdir {shelf}/disk && mount -t tmpfs -o size=64k disk {shelf}/disk");
    at.shell(&format!("mkdir {shelf} && {shared} && {disk} && touch {shelf}/disk/file")).ok("a disk");
    let device = format!("device={shelf}");
    let all = ["volume", "create", "-o", "type=none", "-o", "o=rbind", "-o", &device, "shelf"];
    at.docker(&all).ok("volume create");
    at.docker(&["run", "--rm", "-v", "shelf:/s", "busybox:1", "ls", "/s/disk/file"]).ok("the disk's file");
    at.shell(&format!("ls {shelf}/disk/file")).ok("the disk is where it was");
    at.docker(&["volume", "rm", "memory", "broken"]).ok("volume rm");
    at.docker(&["run", "-d", "-v", "shelf:/s", "busybox:1", "sleep", "3600"]).ok("run");
    at.monopod(&["delete"]).ok("delete");
    at.shell(&format!("ls {shelf}/disk/file")).ok("the disk is there when all else is gone");
    at.shell(&format!("umount {shelf}/disk {shelf}")).ok("take the disk away");
}

#[test]
fn an_image_is_mounted_read_only() {
    let Some(at) = appliance("dimgmount") else { return };
    at.load_busybox();
    at.docker(&["tag", "busybox:1", "tools:1"]).ok("tag");
    let run = |mount: &str, line: &str| {
        at.docker(&["run", "--rm", "--mount", mount, "busybox:1", "sh", "-c", line])
    };
    let whole = "type=image,source=tools:1,target=/tools";
    run(whole, "/tools/bin/busybox true && ! touch /tools/file").ok("the whole image");
    let said = run("type=image,source=nothing:1,target=/tools", "true").err();
    assert!(said.contains("No such image: nothing:1"), "{said}");
    // clients since 28 know how to ask for a part
    let part = run("type=image,source=tools:1,target=/tools,image-subpath=bin", "/tools/busybox true");
    if !part.err().contains("unexpected key 'image-subpath'") {
        part.ok("a part of it");
    }
}

#[test]
fn exec_has_a_terminal_and_exit_codes() {
    let Some(at) = appliance("dexec") else { return };
    at.load_busybox();
    at.docker(&["run", "-d", "--name", "box", "busybox:1", "sleep", "3600"]).ok("run");
    assert_eq!(at.docker(&["exec", "box", "sh", "-c", "exit 7"]).0.status.code(), Some(7));
    let mut shell = at.command("script");
    let shell = at.of_docker(&mut shell).args(["-qec", "docker exec -it box sh", "/dev/null"]);
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(b"test -t 0 && echo on a terminal\nexit 5\n").unwrap();
    let done = shell.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.contains("\non a terminal"), "{said}");
    assert_eq!(done.status.code(), Some(5), "{said}");
    let (to, back) = (at.home().join("to"), at.home().join("back"));
    std::fs::write(&to, "copied\n").unwrap();
    at.docker(&["cp", to.to_str().unwrap(), "box:/there"]).ok("cp there");
    at.docker(&["cp", "box:/there", back.to_str().unwrap()]).ok("cp back");
    assert_eq!(std::fs::read_to_string(&back).unwrap(), "copied\n");
    at.docker(&["rm", "-f", "box"]).ok("rm -f");
}

#[test]
fn what_is_built_runs_at_once_in_a_container_and_in_a_pod() {
    let Some(at) = appliance("build") else { return };
    at.load_busybox();
    let directory = at.build_context(
        "FROM busybox:1\nARG GREETING=hello\nENV GREETING=$GREETING\nCOPY app.txt /app.txt\nRUN echo \"$GREETING from a step\" > /step.txt\nWORKDIR /work\nENTRYPOINT [\"cat\", \"/app.txt\", \"/step.txt\"]\n",
    );
    let built = at.docker(&["build", "-t", "kubia", &directory]).ok("build");
    assert!(built.contains("Successfully tagged kubia:latest"), "{built}");
    let again = at.docker(&["build", "-t", "kubia", &directory]).ok("build again");
    assert!(again.contains("Using cache"), "{again}");
    let want = "made from a file\nhello from a step\n";
    assert_eq!(at.docker(&["run", "--rm", "kubia"]).ok("run"), want);
    at.kubectl(&["run", "kubia", "--image=kubia", "--image-pull-policy=IfNotPresent", "--restart=Never"])
        .ok("pod");
    at.until(&["get", "pod", "kubia", "-o", "jsonpath={.status.phase}"], "Succeeded");
    assert_eq!(at.kubectl(&["logs", "kubia"]).ok("logs"), want);
    let other = at
        .docker(&["build", "--build-arg", "GREETING=bye", "-t", "other", &directory])
        .ok("build with an argument");
    assert!(other.contains("Successfully tagged other:latest"), "{other}");
    assert_eq!(at.docker(&["run", "--rm", "other"]).ok("run"), "made from a file\nbye from a step\n");
    let broken = at.build_context("FROM busybox:1\nRUN exit 9\n");
    let why = at.docker(&["build", "-t", "broken", &broken]).refused("a step that fails");
    assert!(why.contains("returned a non-zero code: 9"), "{why}");
    at.docker(&["inspect", "broken"]).refused("nothing was tagged");
}

#[test]
fn containers_of_pods_are_not_in_the_way() {
    let Some(at) = appliance("beside") else { return };
    at.kubectl(&["run", "kubia", "--image=monopod/kubia"]).ok("run");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/kubia", "--timeout=60s"]).ok("wait");
    assert_eq!(at.docker(&["ps", "-aq"]).ok("ps"), "");
    at.docker(&["run", "-d", "--restart", "always", "--name", "mine", "monopod/kubia"]).ok("run");
    let before = at.docker(&["inspect", "-f", "{{.State.Pid}}", "mine"]).ok("pid");
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start"]).ok("start");
    assert_eq!(at.docker(&["inspect", "-f", "{{.State.Pid}}", "mine"]).ok("pid again"), before);
    at.docker(&["rm", "-f", "mine"]).ok("rm");
}

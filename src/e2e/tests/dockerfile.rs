//! Dockerfiles, the whole language, with the stock docker command.

mod common;

use common::{Answer, Appliance, appliance, ends};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A directory with these files.
fn context(at: &Appliance, files: &[(&str, &str)]) -> PathBuf {
    let directory = at.home().join("files");
    let _ = std::fs::remove_dir_all(&directory);
    for (name, content) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    directory
}

fn build(at: &Appliance, directory: &Path, more: &[&str]) -> Answer {
    at.docker(&[&["build", "-t", "made"], more, &[directory.to_str().unwrap()]].concat())
}

fn run(at: &Appliance, line: &str) -> String {
    at.docker(&["run", "--rm", "-u", "0", "--entrypoint", "sh", "made", "-c", line]).ok(line)
}

#[test]
fn a_dockerfile_with_everything_in_it() {
    let Some(at) = appliance("dockerfile") else { return };
    at.load_busybox();
    let dockerfile = r#"# syntax=docker/dockerfile:1
ARG V=1
FROM busybox:$V AS one
ARG WHO=me TARGETARCH
RUN <<EOT
set -e
echo "hi $WHO on $TARGETARCH" > /one.txt
chmod 640 /one.txt
EOT
RUN <<SCRIPT
#!/bin/sh
echo from a script > /script.txt
SCRIPT
FROM busybox:1 AS two
RUN true
RUN cat <<A <<B > /both.txt
only the last
A
one counts
B
FROM busybox:1
USER nobody
WORKDIR /work/app
COPY --from=one /one.txt /script.txt ./
COPY --from=two /both.txt /
COPY --chown=65534:0 --chmod=u=rwX,go=rX dir /d/
COPY --parents dir/b.txt a.txt /p/
COPY --exclude=*.txt . /ex/
COPY <<A <<"B" /h/
v=${WHO:-none}
A
v=$WHO
B
EXPOSE 8000-8001 53/udp
HEALTHCHECK --interval=1m30s --retries=3 CMD true
STOPSIGNAL SIGINT
LABEL a="b c" d=e
ENTRYPOINT ["cat"]
CMD ["/h/A"]
"#;
    let files = [
        ("Dockerfile", dockerfile),
        ("a.txt", "a\n"),
        ("dir/b.txt", "b\n"),
        ("dir/sub/c.log", "c\n"),
        ("secret/key", "k\n"),
        (".dockerignore", "**/*.log\nsecret\n"),
    ];
    let directory = context(&at, &files);
    let built = build(&at, &directory, &["--build-arg", "WHO=you", "--build-arg", "NOPE=1"]);
    let built = built.ok("build");
    assert!(built.contains("One or more build-args [NOPE] were not consumed"), "{built}");
    assert_eq!(at.docker(&["run", "--rm", "made"]).ok("run"), "v=none\n");
    let shown = run(
        &at,
        "cat one.txt script.txt /both.txt /h/B; stat -c '%a %u:%g %n' one.txt . /work /d /d/b.txt; cd /p && ls -d dir/b.txt a.txt; \
         cd /ex && ls -A . dir",
    );
    assert_eq!(
        shown,
        "hi you on amd64\nfrom a script\none counts\nv=$WHO\n640 0:0 one.txt\n755 65534:65534 .\n755 65534:65534 /work\n\
         755 65534:0 /d\n644 65534:0 /d/b.txt\na.txt\ndir/b.txt\n.:\n.dockerignore\nDockerfile\ndir\n\ndir:\nb.txt\nsub\n"
    );
    let history = at.docker(&["history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Size}}", "made"]);
    let history = history.ok("history");
    for line in [
        "/bin/sh -c #(nop)  CMD [\"/h/A\"]|0B",
        "/bin/sh -c #(nop)  HEALTHCHECK &{[\"CMD-SHELL\" \"true\"] \"1m30s\" \"0s\" \"0s\" \"0s\" '\\x03'}|0B",
        "/bin/sh -c #(nop)  EXPOSE 53/udp 8000-8001|0B",
        "/bin/sh -c #(nop) WORKDIR /work/app|0B",
    ] {
        assert!(history.lines().any(|known| known == line), "{line}: {history}");
    }
    let again = build(&at, &directory, &["--build-arg", "WHO=you"]).ok("build again");
    assert!(!again.contains("Running in"), "{again}");
    let quiet = build(&at, &directory, &["-q", "--build-arg", "WHO=you"]).ok("quiet");
    let id = at.docker(&["inspect", "-f", "{{.Id}}", "made"]).ok("inspect");
    assert_eq!(quiet, id);
}

#[test]
fn mounts_and_limits_of_a_run() {
    let Some(at) = appliance("runmounts") else { return };
    at.load_busybox();
    let dockerfile = r#"FROM busybox:1 AS one
RUN echo kept > /f
FROM busybox:1
RUN --mount=type=cache,target=/c,uid=7,mode=0750 echo x >> /c/f; wc -l < /c/f; stat -c '%a %u' /c
RUN --mount=from=one,target=/one,rw cat /one/f && rm /one/f && echo mine > /one/g
RUN --mount=from=one,source=/f,target=/g cat /g; echo no > /g || echo not writable
RUN --mount=target=/ctx cat /ctx/a.txt; touch /ctx/b || echo not writable
RUN --mount=type=tmpfs,target=/t,size=1m df /t | tail -n 1 && touch /t/x
RUN --network=none ip -o link | wc -l
RUN cat /etc/hosts; ulimit -n; df /dev/shm | tail -n 1
"#;
    let directory = context(&at, &[("Dockerfile", dockerfile), ("a.txt", "a\n")]);
    let more =
        ["--no-cache", "--add-host", "elsewhere:10.9.8.7", "--ulimit", "nofile=77:77", "--shm-size", "8m"];
    let told = build(&at, &directory, &more).ok("build");
    for part in [
        "1\n750 7\n",
        "kept\n",
        "not writable\n",
        "a\n",
        "tmpfs                     1024         0      1024   0% /t\n",
        "10.9.8.7\telsewhere\n77\n",
        "8192   0% /dev/shm\n",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(
        told.matches("not writable").count(),
        2 + 2,
        "each is said by the step and by its title: {told}"
    );
    let again = build(&at, &directory, &more).ok("build again");
    assert!(again.contains("2\n750 7\n"), "the cache lives on: {again}");
    assert!(again.contains("kept\n"), "what was written to a mount is gone: {again}");
    let left = run(&at, "ls -d /c /one /g /ctx /t /etc/hosts 2>/dev/null; true");
    assert_eq!(left, "/etc/hosts\n", "mounts leave no trace: {left}");
}

#[test]
fn a_link_in_a_cache_leads_to_nothing_of_the_machine() {
    let Some(at) = appliance("cachelinks") else { return };
    at.load_busybox();
    let outside = at.home().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "of the machine").unwrap();
    let link = format!(
        "FROM busybox:1\nRUN --mount=type=cache,id=x,target=/c busybox ln -s {} /c/evil && mkdir /c/good\n",
        outside.display()
    );
    build(&at, &context(&at, &[("Dockerfile", &link)]), &[]).ok("leave a link");
    for (source, command) in [("evil", "cat /m/secret"), ("evil/new", "touch /m/made")] {
        let file =
            format!("FROM busybox:1\nRUN --mount=type=cache,id=x,source={source},target=/m {command}\n");
        let refused = build(&at, &context(&at, &[("Dockerfile", &file)]), &[]).refused(source);
        assert!(refused.contains("leads out of the cache"), "{refused}");
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    let file = "FROM busybox:1\n\
                RUN --mount=type=cache,id=x,source=good,target=/m echo kept > /m/f\n\
                RUN --mount=type=cache,id=x,target=/c cat /c/good/f > /f\n";
    build(&at, &context(&at, &[("Dockerfile", file)]), &["--no-cache"]).ok("a part of the cache");
    assert_eq!(run(&at, "cat /f"), "kept\n");
}

#[test]
fn contexts_from_elsewhere() {
    let Some(at) = appliance("contexts") else { return };
    at.load_busybox();
    let home = at.home().display().to_string();
    let directory = context(&at, &[("a.txt", "a\n")]);
    let outside = at.home().join("Outside");
    std::fs::write(&outside, "FROM busybox:1\nCOPY a.txt /a\n").unwrap();
    build(&at, &directory, &["-f", outside.to_str().unwrap()]).ok("a Dockerfile from outside");
    assert_eq!(run(&at, "cat /a"), "a\n");
    let fed = |line: &str| {
        let mut command = at.command("sh");
        command.args(["-c", line]);
        Answer(at.of_docker(&mut command).output().unwrap()).ok(line)
    };
    fed("printf 'FROM busybox:1\\nRUN echo in > /in\\n' | docker build -t made -");
    assert_eq!(run(&at, "cat /in"), "in\n");
    fed(&format!(
        "cp {home}/Outside {home}/files/Dockerfile && tar cz -C {home}/files . | docker build -t made -"
    ));
    assert_eq!(run(&at, "cat /a"), "a\n");

    fed(&format!(
        "set -e; cd {home}; export GIT_CONFIG_GLOBAL=/dev/null; git init -q repo; cd repo; git config user.email a@b; \
         git config user.name n; mkdir sub; echo deep > sub/f; printf 'FROM busybox:1\\nCOPY f /f\\n' > sub/Dockerfile; \
         printf 'FROM busybox:1\\nADD http://127.0.0.1:18099/repo.git#main:sub /g/\\n' > Dockerfile; git add .; \
         git commit -qm x; git branch -M main; cd ..; git clone -q --bare repo repo.git; cd repo.git; git update-server-info"
    ));
    let mut server = at.command("python3");
    let server = server.args(["-m", "http.server", "18099", "--bind", "127.0.0.1", "-d", &home]);
    let _server = Ended(server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    at.shell("curl -sS --retry 50 --retry-connrefused --retry-delay 1 http://127.0.0.1:18099/").ok("server");
    let socket = at.places()[1].join("docker.sock");
    let remote = |url: &str| {
        let line = format!(
            "curl -sS --unix-socket {} -X POST 'http://d/build?t=made&remote={}'",
            socket.display(),
            url.replace('#', "%23")
        );
        at.shell(&line).ok(url)
    };
    assert!(remote("http://127.0.0.1:18099/repo.git#main:sub").contains("Successfully tagged made:latest"));
    assert_eq!(run(&at, "cat /f"), "deep\n");
    remote("http://127.0.0.1:18099/repo.git");
    assert_eq!(run(&at, "cat /g/f; ls -A /g"), "deep\nDockerfile\nf\n");
    let said = remote("http://127.0.0.1:18099/Outside");
    assert!(said.contains("stat a.txt: file does not exist"), "a Dockerfile alone has no files: {said}");
    let said = remote("http://127.0.0.1:18099/none.git");
    assert!(said.contains("unable to prepare context: git fetch"), "{said}");
}

/// A process that goes with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_build_that_is_killed_leaves_nothing_and_the_next_goes_on() {
    let Some(at) = appliance("killedbuild") else { return };
    at.load_busybox();
    let slow = "FROM busybox:1\nRUN echo done > /done\nRUN --mount=from=busybox:1,target=/m,rw sleep 98761\n";
    let directory = context(&at, &[("Dockerfile", slow)]);
    let is_mounted = || at.mounts_of_daemon().iter().any(|table| table.contains("/builds/"));
    let start = || {
        let mut command = at.command("docker");
        command.args(["build", "-t", "made", directory.to_str().unwrap()]);
        let build = at.of_docker(&mut command).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let build = build.unwrap();
        until("the step runs", || sleeper().is_some());
        assert!(is_mounted(), "what the step has mounted is not seen");
        (Ended(build), sleeper().unwrap())
    };
    let nothing_is_left = || {
        let [state, _] = at.places();
        let left =
            |directory: &str| std::fs::read_dir(state.join(directory)).map_or(0, |entries| entries.count());
        until("nothing is left", || left("docker/builds") == 0 && left("images/tmp") == 0);
        assert!(!is_mounted(), "{:?}", at.mounts_of_daemon());
        at.docker(&["inspect", "made"]).refused("nothing was tagged");
    };
    let (build, step) = start();
    drop(build);
    assert!(ends(&step), "the step ends with its client");
    nothing_is_left();

    let (build, step) = start();
    at.kill_daemon();
    drop(build);
    at.monopod(&["start"]).ok("start again");
    assert!(ends(&step), "the step ends with the next start");
    nothing_is_left();

    std::fs::write(directory.join("Dockerfile"), slow.replace("sleep 98761", "true")).unwrap();
    let built = self::build(&at, &directory, &[]).ok("the next build");
    assert_eq!(built.matches("Using cache").count(), 1, "{built}");
    assert_eq!(run(&at, "cat /done"), "done\n");
}

/// The step's process.
fn sleeper() -> Option<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut found = processes.filter(|entry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.ends_with(b"sleep\x0098761\0"))
    });
    found.next().map(|entry| entry.file_name().to_string_lossy().into_owned())
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_program_itself_builds_the_same() {
    let Some(at) = appliance("ownbuild") else { return };
    at.load_busybox();
    let outside = at.home().join("Outside");
    let text = "FROM base\nARG TARGETPLATFORM\nCOPY a.txt /a\nCOPY --from=more /f /f\n\
                RUN --mount=type=ssh test -S $SSH_AUTH_SOCK && cat /etc/hosts && echo for $TARGETPLATFORM\n";
    std::fs::write(&outside, text).unwrap();
    let more = at.home().join("more");
    std::fs::create_dir(&more).unwrap();
    std::fs::write(more.join("f"), "named\n").unwrap();
    let socket = at.home().join("agent.sock");
    let _agent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let directory = context(&at, &[("a.txt", "a\n"), (".dockerignore", "modules\n"), ("modules/large", "x")]);
    let (directory, outside) = (directory.display().to_string(), outside.display().to_string());
    let (more, ssh) = (format!("more={}", more.display()), format!("default={}", socket.display()));
    let flags = [
        &["image", "build", &directory, "-t", "made", "-f", &outside, "--add-host", "far:10.9.8.7"][..],
        &["--build-context", "base=docker-image://busybox:1", "--build-context", &more],
        &["--ssh", &ssh, "--platform", "linux/amd64"],
    ];
    let told = at.monopod(&flags.concat()).ok("build");
    assert!(told.contains("10.9.8.7\tfar\nfor linux/amd64\n"), "{told}");
    assert_eq!(run(&at, "cat /a /f; ls -d /run/buildkit /modules 2>/dev/null; true"), "a\nnamed\n");
    let quiet = at.monopod(&[&flags.concat()[..], &["-q"]].concat()).ok("quiet");
    assert_eq!(quiet, at.docker(&["inspect", "-f", "{{.Id}}", "made"]).ok("inspect"));
}

/// As Docker 28.5 says it.
#[test]
fn mistakes_are_told_in_dockers_words() {
    let Some(at) = appliance("mistakes") else { return };
    at.load_busybox();
    for (dockerfile, want) in [
        (
            "FORM busybox:1\n",
            "dockerfile parse error on line 1: unknown instruction: FORM (did you mean FROM?)",
        ),
        (
            "FROM busybox:1\n\nCOPY --frm=x a /\n",
            "dockerfile parse error on line 3: unknown flag: --frm (did you mean from?)",
        ),
        (
            "FROM busybox:1\nCOPY none /\n",
            "COPY failed: file not found in build context or excluded by .dockerignore: stat none: file does not exist",
        ),
        ("FROM busybox:1\nCOPY n* /\n", "COPY failed: no source files were specified"),
        ("FROM busybox:1\nCOPY ../x /\n", "COPY failed: forbidden path outside the build context: ../x ()"),
        ("FROM busybox:1\nRUN exit 7\n", "The command '/bin/sh -c exit 7' returned a non-zero code: 7"),
        ("FROM busybox:1\nEXPOSE 99999\n", "Invalid containerPort: 99999"),
        ("FROM busybox:1\nSTOPSIGNAL NOPE\n", "invalid signal: NOPE"),
        ("FROM busybox:1\nENV x=${y:?gone}\n", "failed to process \"${y:?gone}\": y: gone"),
        (
            "FROM busybox:1\nCOPY a a /x\n",
            "When using COPY with more than one source file, the destination must be a directory and end with a /",
        ),
        ("FROM busybox:1\nWORKDIR /bin/busybox\n", "Cannot mkdir: /bin/busybox is not a directory"),
        ("FROM scratch\n", "No image was generated. Is your Dockerfile empty?"),
        ("FROM $NO\n", "base name ($NO) should not be blank"),
    ] {
        let directory = context(&at, &[("Dockerfile", dockerfile), ("a", "a")]);
        let answer = build(&at, &directory, &[]);
        let why = answer.refused(dockerfile);
        assert!(why.trim_end().ends_with(want), "{dockerfile}: {why}");
        at.docker(&["inspect", "made"]).refused("nothing was tagged");
    }
    let directory = context(&at, &[("Dockerfile", "FROM busybox:1\nRUN exit 7\n")]);
    assert_eq!(build(&at, &directory, &[]).0.status.code(), Some(7), "the client ends with the step's code");
    let squash = at.shell(&format!(
        "curl -sS --unix-socket {}/docker.sock -X POST 'http://d/build?squash=1'",
        at.places()[1].display()
    ));
    assert!(squash.ok("squash").contains("squash is only supported with experimental mode"));
}

/// What Docker tells of a build: `container die`, `image tag made:latest`.
fn events(at: &Appliance) -> Vec<String> {
    let now = format!("{}", std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 1);
    let format = "{{.Type}} {{.Action}} {{if eq .Type \"image\"}}{{.Actor.Attributes.name}}{{end}}";
    let told = at.docker(&["events", "--since", "1", "--until", &now, "--format", format]).ok("events");
    told.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn containers_of_steps_stay_as_in_docker() {
    let Some(at) = appliance("steps") else { return };
    at.load_busybox();
    let directory = context(&at, &[("Dockerfile", "FROM busybox:1\nRUN echo said; echo one > /one\n")]);
    let all = || at.docker(&["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Status}}"]).ok("ps");
    let removed = "Removed intermediate container";
    assert!(build(&at, &directory, &[]).ok("build").contains(removed));
    assert_eq!(all(), "");
    let told = events(&at);
    let from = told.iter().position(|event| event == "container create").expect("the step's container");
    assert_eq!(
        told[from..from + 5],
        ["container create", "container attach", "container start", "container die", "container destroy"]
    );
    let image = at.docker(&["inspect", "-f", "{{.Id}}", "made"]).ok("inspect");
    assert_eq!(told[from + 5..], [&format!("image create {}", image.trim()), "image tag made:latest"]);

    let shown = build(&at, &directory, &["--no-cache", "--rm=false"]).ok("build");
    let id = shown.split("Running in ").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(!shown.contains(removed) && all().starts_with(id), "{shown}{}", all());
    assert!(all().contains("Exited (0)"), "{}", all());
    assert_eq!(at.docker(&["diff", id]).ok("diff"), "A /one\n");
    assert_eq!(at.docker(&["start", "-a", id]).ok("it can be started"), "said\n");
    assert_eq!(run(&at, "cat /one"), "one\n", "the image has its own files");
    at.docker(&["rm", id]).ok("rm");

    let broken = context(&at, &[("Dockerfile", "FROM busybox:1\nRUN echo why; touch /left; exit 3\n")]);
    let failed = build(&at, &broken, &[]).refused("a step that fails");
    assert!(failed.contains("returned a non-zero code: 3"), "{failed}");
    let line = all();
    let id = line.split(' ').next().unwrap();
    assert!(line.contains("Exited (3)"), "{line}");
    assert_eq!(at.docker(&["logs", id]).ok("logs"), "why\n");
    at.docker(&["commit", id, "looked-into"]).ok("commit");
    let left = at.docker(&["run", "--rm", "--entrypoint", "ls", "looked-into", "/left"]).ok("what it left");
    assert_eq!(left, "/left\n");
    at.docker(&["rm", id]).ok("rm");
    build(&at, &broken, &["--force-rm"]).refused("a step that fails");
    assert_eq!(all(), "");
}

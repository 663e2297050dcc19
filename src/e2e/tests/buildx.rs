//! The buildx plugin, which is what `docker build` is on every current machine, and those who use it: bake and compose.

mod common;

use common::registry::{fill, registry};
use common::{Answer, Appliance, appliance, ends};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BUILDX: &str = "MONOPOD_BUILDX";
const PATIENCE: Duration = Duration::from_secs(120);

/// An appliance with a busybox, and a client that has the plugin.
fn with_buildx(profile: &str) -> Option<Appliance> {
    let Ok(plugin) = std::env::var(BUILDX) else {
        eprintln!("SKIPPED: {BUILDX} says where the buildx plugin is; `scripts/test` sets it");
        return None;
    };
    let at = appliance(profile)?;
    let plugins = at.home().join(".docker/cli-plugins");
    std::fs::create_dir_all(&plugins).unwrap();
    std::os::unix::fs::symlink(plugin, plugins.join("docker-buildx")).unwrap();
    at.load_busybox();
    Some(at)
}

fn client(at: &Appliance, arguments: &[&str]) -> Command {
    let program = std::env::var("MONOPOD_DOCKER").unwrap_or_else(|_| "docker".to_owned());
    let mut command = at.command(&program);
    at.of_docker(&mut command).env("DOCKER_BUILDKIT", "1").args(arguments).current_dir(at.home());
    command
}

fn docker(at: &Appliance, arguments: &[&str]) -> Answer {
    Answer(client(at, arguments).output().unwrap())
}

/// `docker build --progress=plain …`: what it showed.
fn build(at: &Appliance, arguments: &[&str]) -> Answer {
    docker(at, &[&["build", "--progress=plain"], arguments].concat())
}

fn fed(at: &Appliance, arguments: &[&str], input: &[u8]) -> Answer {
    let mut command = client(at, arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // it may end before it has read everything, and says so by its exit code
    _ = child.stdin.take().unwrap().write_all(input);
    Answer(child.wait_with_output().unwrap())
}

fn write(at: &Appliance, path: &str, text: &str) {
    let path = at.home().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn read(at: &Appliance, path: &str) -> String {
    std::fs::read_to_string(at.home().join(path)).unwrap()
}

/// All of these are in what was shown.
fn shows(shown: &str, wanted: &[&str]) {
    let missing: Vec<_> = wanted.iter().filter(|wanted| !shown.contains(**wanted)).collect();
    assert!(missing.is_empty(), "{missing:#?} not in\n{shown}");
}

#[test]
fn a_build_is_shown_step_by_step_and_cached() {
    let Some(at) = with_buildx("bx-steps") else { return };
    write(
        &at,
        "app/Dockerfile",
        "# syntax=docker/dockerfile:1\nFROM busybox:1 AS base\nRUN echo said >&2\nFROM base\nWORKDIR /w\nENV A=1\n\
         COPY . .\nRUN ls -A /w /w/dir\n",
    );
    write(&at, "app/.dockerignore", "*.log\ndir/secret\n");
    for file in ["app/seen", "app/noise.log", "app/dir/secret", "app/dir/deep name"] {
        write(&at, file, "x");
    }
    let first = build(&at, &["-t", "app", "app"]);
    first.ok("build");
    shows(
        &first.err(),
        &[
            "[internal] load build definition from Dockerfile",
            "[internal] load metadata for docker.io/library/busybox:1",
            "[internal] load .dockerignore",
            "[internal] load build context",
            "[base 1/2] FROM docker.io/library/busybox:1",
            "[base 2/2] RUN echo said >&2",
            " said\n",
            "[stage-1 1/3] WORKDIR /w",
            "[stage-1 3/3] RUN ls -A /w /w/dir",
            " deep name\n",
            "exporting to image",
            "naming to docker.io/library/app:latest done",
        ],
    );
    assert!(!first.err().contains("noise.log") && !first.err().contains("secret"), "{}", first.err());
    let again = build(&at, &["-t", "app", "app"]);
    again.ok("build again");
    assert_eq!(again.err().matches(" CACHED\n").count(), 4, "{}", again.err());
    assert_eq!(docker(&at, &["run", "--rm", "app", "cat", "/w/seen"]).ok("run"), "x");
    let quiet = docker(&at, &["build", "-q", "app"]).ok("-q");
    let listed = docker(&at, &["images", "--no-trunc", "-q", "app"]).ok("images");
    assert_eq!(quiet, listed);
    write(&at, "app/large", &"x".repeat(3 << 20));
    write(&at, "app/Little", "FROM busybox:1\nCOPY dir/deep* seen /\nRUN ls /\n");
    let little = build(&at, &["-f", "app/Little", "app"]);
    little.ok("only what is copied");
    shows(&little.err(), &[" deep name\n", " seen\n"]);
    assert!(!little.err().contains("MB"), "{}", little.err());
}

#[test]
fn what_fails_is_said_in_buildkits_words() {
    let Some(at) = with_buildx("bx-fails") else { return };
    for (name, dockerfile, wanted) in [
        (
            "command",
            "FROM busybox:1\nRUN echo near; exit 3\n",
            &[
                " near\n",
                "ERROR: process \"/bin/sh -c echo near; exit 3\" did not complete successfully: exit code: 3",
                "   2 | >>> RUN echo near; exit 3",
                "failed to solve: process \"/bin/sh -c echo near; exit 3\" did not complete successfully: exit code: 3",
            ][..],
        ),
        ("instruction", "FROM busybox:1\nRUNN x\n", &["   2 | >>> RUNN x", "unknown instruction: RUNN"]),
        (
            "file",
            "FROM busybox:1\nCOPY nothing /\n",
            &["\"/nothing\": not found", "   2 | >>> COPY nothing /"],
        ),
        (
            "image",
            "FROM 127.0.0.1:1/x\n",
            &["127.0.0.1:1/x:latest: failed to resolve source metadata for 127.0.0.1:1/x:latest"],
        ),
        ("frontend", "# syntax=someone/else:1\nFROM busybox:1\n", &["someone/else:1 is not offered"]),
        ("linted", "# check=error=true\nFROM busybox:1 as odd\n", &["for rules: FromAsCasing"]),
    ] {
        write(&at, &format!("{name}/Dockerfile"), dockerfile);
        let answer = build(&at, &["-t", "bad", name]);
        assert_eq!(answer.0.status.code(), Some(1), "{name}: {}", answer.err());
        shows(&answer.err(), wanted);
    }
    write(&at, "empty/file", "");
    shows(&build(&at, &["empty"]).refused("no Dockerfile"), &["open Dockerfile: no such file or directory"]);
    let platforms = build(&at, &["--platform", "linux/amd64,linux/arm64", "command"]).refused("platforms");
    shows(&platforms, &["several platforms at once"]);
    let cache = build(&at, &["--cache-to", "type=local,dest=c", "command"]).refused("--cache-to");
    shows(&cache, &["exporting the build cache (type=local) is not offered"]);
    assert_eq!(docker(&at, &["images", "-q", "bad"]).ok("images"), "");
}

#[test]
fn a_build_gets_what_it_is_given() {
    let Some(at) = with_buildx("bx-given") else { return };
    write(
        &at,
        "g/Dockerfile",
        "FROM busybox:1 AS one\nARG X=unset\nRUN echo x=$X; cat /etc/hosts; cat /run/secrets/file; ip link | wc -l\n\
         RUN --mount=type=secret,id=file cat /run/secrets/file\n\
         RUN --mount=type=secret,id=var,env=VAR echo var=$VAR\n\
         FROM named AS two\nCOPY --from=directory deep/f /f\nRUN cat /f\nFROM one\nRUN never\n",
    );
    write(&at, "directory/deep/f", "from a directory\n");
    write(&at, "secret", "from a file\n");
    let given = &[
        "--secret=id=file,src=secret",
        "--secret=id=var,env=GIVEN",
        "--add-host=db:10.1.2.3",
        "--build-arg=X=7",
        "--build-context=directory=directory",
        "--build-context=named=docker-image://busybox:1",
    ];
    let one = [given, &["--network=none", "--label=l=v", "--target=one", "--iidfile=iid"][..]].concat();
    let mut command =
        client(&at, &[&["build", "--progress=plain", "--metadata-file=md"], &one[..], &["g"]].concat());
    let shown = Answer(command.env("GIVEN", "from a variable").output().unwrap());
    shown.ok("one");
    shows(&shown.err(), &["x=7\n", "10.1.2.3\tdb\n", " from a file\n", "var=from a variable\n"]);
    let id = read(&at, "iid");
    let label = docker(&at, &["inspect", "-f", "{{.Config.Labels.l}} {{.Id}}", &id]).ok("inspect");
    assert_eq!(label, format!("v {id}\n"));
    assert!(read(&at, "md").contains(&format!("\"containerimage.config.digest\": \"{id}\"")));

    let two = [given, &["--target=two", "g"][..]].concat();
    let shown = build(&at, &two);
    shown.ok("two");
    shows(&shown.err(), &["[two 1/3] FROM docker.io/library/busybox:1", " from a directory\n"]);
    let anew = build(&at, &[&["--no-cache-filter=two"], &two[..]].concat());
    anew.ok("anew");
    assert!(!anew.err().contains("CACHED"), "{}", anew.err());
    let unused = build(&at, &[&["--build-arg=NOBODY=1"], &two[..]].concat());
    unused.ok("unused");
    shows(&unused.err(), &["[NOBODY X] were not consumed"]);
}

#[test]
fn a_dockerfile_and_a_context_may_come_by_standard_input() {
    let Some(at) = with_buildx("bx-stdin") else { return };
    write(&at, "c/file", "in the directory\n");
    let dockerfile = b"FROM busybox:1\nCOPY file /\nRUN cat /file\n";
    let shown = fed(&at, &["build", "--progress=plain", "-f", "-", "c"], dockerfile);
    shown.ok("-f -");
    shows(&shown.err(), &[" in the directory\n"]);
    let alone = fed(&at, &["build", "--progress=plain", "-"], b"FROM busybox:1\nRUN echo alone\n");
    alone.ok("-");
    shows(&alone.err(), &[" alone\n"]);
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in [("Other", &dockerfile[..]), ("file", b"in the archive\n")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let shown = fed(&at, &["build", "--progress=plain", "-f", "Other", "-"], &tar);
    shown.ok("a tar");
    shows(&shown.err(), &[" in the archive\n"]);
}

#[test]
fn results_go_where_they_are_wanted() {
    let Some(at) = with_buildx("bx-out") else { return };
    let dockerfile = "FROM busybox:1 AS b\nRUN mkdir -p /out/dir && echo made > /out/dir/file && ln -s dir/file /out/link\n\
                      FROM scratch\nCOPY --from=b /out /\n";
    write(&at, "r/Dockerfile", dockerfile);
    build(&at, &["-o", "directory", "r"]).ok("a directory");
    assert_eq!(read(&at, "directory/link"), "made\n");
    build(&at, &["-o", "type=tar,dest=files.tar", "r"]).ok("a tar");
    let home = at.home().display();
    assert_eq!(at.shell(&format!("tar tf {home}/files.tar")).ok("tar"), "dir/\ndir/file\nlink\n");
    build(&at, &["-t", "kept:1", "-o", "type=docker,dest=docker.tar", "r"]).ok("an archive");
    assert_eq!(docker(&at, &["images", "-q", "kept"]).ok("images"), "");
    docker(&at, &["load", "-i", "docker.tar"]).ok("load");
    assert_ne!(docker(&at, &["images", "-q", "kept:1"]).ok("images"), "");
    build(&at, &["-t", "kept:1", "-o", "type=oci,dest=oci.tar", "r"]).ok("an OCI archive");
    at.shell(&format!("skopeo inspect oci-archive:{home}/oci.tar")).ok("skopeo");

    at.shell(&format!("cd {home} && htpasswd -Bbn user sesame > htpasswd")).ok("passwords");
    let more = format!("auth: {{htpasswd: {{realm: r, path: {home}/htpasswd}}}}\n");
    let _registry = registry(&at, "127.0.0.1:5000", &more);
    fill(&at, "127.0.0.1:5000", "--dest-tls-verify=false --dest-creds user:sesame");
    write(&at, "p/Dockerfile", "FROM 127.0.0.1:5000/team/busybox:1\nRUN echo pulled\n");
    let pushed = ["--push", "-t", "127.0.0.1:5000/made:1", "p"];
    build(&at, &pushed).refused("without a password");
    docker(&at, &["login", "127.0.0.1:5000", "-u", "user", "-p", "sesame"]).ok("login");
    let shown = build(&at, &pushed);
    shown.ok("push");
    shows(
        &shown.err(),
        &["[auth] sharing credentials for 127.0.0.1:5000", "pushing manifest for 127.0.0.1:5000/made:1"],
    );
    at.shell("skopeo inspect --tls-verify=false --creds user:sesame docker://127.0.0.1:5000/made:1")
        .ok("skopeo");
}

#[test]
fn a_client_that_goes_away_ends_its_build_and_the_command_in_it() {
    let Some(at) = with_buildx("bx-gone") else { return };
    write(&at, "s/Dockerfile", "FROM busybox:1\nRUN echo begun && exec sleep 86399\n");
    let mut child = client(&at, &["build", "--progress=plain", "-t", "never", "s"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let sleeper = loop {
        let found = at.shell("pgrep -xf 'sleep 86399'").out();
        if let Some(pid) = found.lines().next() {
            break pid.to_owned();
        }
        assert!(began.elapsed() < PATIENCE, "the command does not run");
        std::thread::sleep(Duration::from_millis(20));
    };
    at.shell(&format!("kill -INT {}", child.id())).ok("ctrl-c");
    assert!(!child.wait().unwrap().success());
    assert!(ends(&sleeper), "the command goes on");
    let began = Instant::now();
    let status = || docker(&at, &["buildx", "history", "inspect", "--format={{.Status}}"]).ok("history");
    while status() != "canceled\n" {
        assert!(began.elapsed() < PATIENCE, "{}", status());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(docker(&at, &["images", "-q", "never"]).ok("images"), "");
}

#[test]
fn the_builder_is_looked_at_and_cleaned() {
    let Some(at) = with_buildx("bx-care") else { return };
    write(&at, "b/Dockerfile", "FROM busybox:1\nRUN echo a > /a\nRUN echo b > /b\n");
    build(&at, &["-t", "b", "b"]).ok("build");
    shows(&docker(&at, &["buildx", "ls"]).ok("ls"), &["default*", "docker", "running", "linux/amd64"]);
    shows(&docker(&at, &["buildx", "inspect"]).ok("inspect"), &["Driver: ", "BuildKit version: v0"]);
    shows(&docker(&at, &["buildx", "du", "--verbose"]).ok("du"), &["echo a > /a"]);
    let began = Instant::now();
    while !docker(&at, &["buildx", "history", "ls"]).ok("history").contains("Completed") {
        assert!(began.elapsed() < PATIENCE, "the build is not in the history");
        std::thread::sleep(Duration::from_millis(20));
    }
    let logs = docker(&at, &["buildx", "history", "logs", "--progress=plain"]);
    logs.ok("logs");
    shows(&logs.err(), &["RUN echo b > /b"]);
    docker(&at, &["buildx", "history", "rm", "--all"]).ok("rm");
    assert!(!docker(&at, &["buildx", "history", "ls"]).ok("history").contains("Completed"));
    shows(&docker(&at, &["rmi", "b"]).ok("rmi"), &["Untagged: b:latest"]);
    build(&at, &["-o", "type=cacheonly", "b"]).ok("only the cache");
    docker(&at, &["builder", "prune", "-f", "--filter", "until=24h"]).ok("prune what is old");
    docker(&at, &["builder", "prune", "-f", "--max-used-space", "100gb"]).ok("prune down to a size");
    shows(&build(&at, &["b"]).err(), &[" CACHED\n"]);
    docker(&at, &["image", "prune", "-f"]).ok("prune images");
    shows(&docker(&at, &["builder", "prune", "-f"]).ok("prune"), &["Total:"]);
    let anew = build(&at, &["b"]);
    anew.ok("build");
    assert!(!anew.err().contains("CACHED"), "{}", anew.err());
    write(&at, "c/Dockerfile", "FROM busybox:1\nRUN --mount=type=cache,target=/c echo kept > /c/kept\n");
    build(&at, &["c"]).ok("build with a cache");
    shows(&docker(&at, &["buildx", "du", "--verbose"]).ok("du"), &["exec.cachemount"]);
    let caches = ["builder", "prune", "-f", "--filter", "type=exec.cachemount"];
    shows(&docker(&at, &caches).ok("prune caches"), &["Total:"]);
    let left = docker(&at, &["buildx", "du", "--verbose"]).ok("du");
    assert!(!left.contains("exec.cachemount"), "{left}");
}

#[test]
fn a_dockerfile_is_asked_about_and_not_built() {
    let Some(at) = with_buildx("bx-asked") else { return };
    write(&at, "good/Dockerfile", "FROM busybox:1\nCOPY a /a\nCMD [\"cat\", \"/a\"]\n");
    let good = build(&at, &["--check", "-t", "asked", "good"]);
    shows(&format!("{}{}", good.ok("check"), good.err()), &["Check complete, no warnings found."]);
    // of a base image that is here it is known which variables it brings
    write(
        &at,
        "bad/Dockerfile",
        "# PORT is where it answers\nARG PORT=80\nFROM busybox:1 AS web\nARG PORT\nRUN --mount=type=secret,id=key x\n\
         COPY $PROT a.log /a/\nCMD run it\n",
    );
    write(&at, "bad/.dockerignore", "*.log\n");
    let bad = build(&at, &["--check", "-t", "asked", "bad"]);
    let shown = format!("{}{}", bad.out(), bad.err());
    assert_eq!(bad.0.status.code(), Some(1), "{shown}");
    shows(
        &shown,
        &[
            "JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
            "Usage of undefined variable '$PROT' (did you mean $PORT?)",
            "Attempting to Copy file \"a.log\" that is excluded by .dockerignore",
            "   7 | >>> CMD run it",
        ],
    );
    let outline = build(&at, &["--call=outline", "bad"]);
    shows(&outline.ok("outline"), &["PORT", "80", "is where it answers", "key"]);
    shows(&build(&at, &["--call=targets", "bad"]).ok("targets"), &["web (default)"]);
    assert_eq!(docker(&at, &["images", "-q", "asked"]).ok("images"), "");
}

#[test]
fn bake_builds_several_and_one_upon_the_other() {
    let Some(at) = with_buildx("bx-bake") else { return };
    write(&at, "base/Dockerfile", "FROM busybox:1\nRUN echo from the base > /f\n");
    write(&at, "app/Dockerfile", "FROM base\nRUN cat /f\n");
    write(
        &at,
        "docker-bake.hcl",
        "group \"default\" { targets = [\"app\", \"other\"] }\n\
         target \"base\" { context = \"base\" }\n\
         target \"app\" {\n  context = \"app\"\n  contexts = { base = \"target:base\" }\n  tags = [\"baked:1\"]\n}\n\
         target \"other\" {\n  context = \"base\"\n  tags = [\"other:1\"]\n}\n",
    );
    let shown = docker(&at, &["buildx", "bake", "--progress=plain"]);
    shown.ok("bake");
    shows(&shown.err(), &[" from the base\n"]);
    assert_eq!(docker(&at, &["run", "--rm", "baked:1", "cat", "/f"]).ok("run"), "from the base\n");
    assert_ne!(docker(&at, &["images", "-q", "other:1"]).ok("images"), "");
}

#[test]
fn compose_builds_what_it_starts() {
    let Ok(compose) = std::env::var("MONOPOD_COMPOSE") else {
        eprintln!("SKIPPED: MONOPOD_COMPOSE says where compose is; `scripts/test` sets it");
        return;
    };
    let Some(at) = with_buildx("bx-compose") else { return };
    let plugin = at.home().join(".docker/cli-plugins/docker-compose");
    std::os::unix::fs::symlink(compose, plugin).unwrap();
    write(
        &at,
        "web/Dockerfile",
        "FROM busybox:1\nARG WHO\nRUN echo hello $WHO > /said\nCMD cat /said; sleep 3600\n",
    );
    write(
        &at,
        "compose.yaml",
        "services:\n  web:\n    build: {context: web, args: {WHO: world}}\n    stop_grace_period: 0s\n",
    );
    docker(&at, &["compose", "build", "--progress=plain"]).ok("build");
    docker(&at, &["compose", "up", "-d", "--build"]).ok("up");
    let began = Instant::now();
    while !docker(&at, &["compose", "logs", "web"]).ok("logs").contains("hello world") {
        assert!(began.elapsed() < PATIENCE, "nothing said");
        std::thread::sleep(Duration::from_millis(50));
    }
    docker(&at, &["compose", "down"]).ok("down");
}

//! `monopod image`: builds, pushes and saves without any docker command.

mod common;

use common::appliance;
use common::registry::registry;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn an_image_is_built_tagged_saved_and_pruned() {
    let Some(at) = appliance("ibuild") else { return };
    at.load_busybox();
    let directory = at.build_context(
        "FROM busybox:1\nARG WHO\nCOPY app.txt /app.txt\n\
         RUN --mount=type=secret,id=token echo \"$WHO has $(cat /run/secrets/token)\" > /step.txt\n\
         CMD [\"cat\", \"/app.txt\", \"/step.txt\"]\n",
    );
    std::fs::write(at.home().join("token"), "a token").unwrap();
    let secret = format!("id=token,src={}", at.home().join("token").display());
    let flags = ["-t", "kubia", "--build-arg", "WHO=somebody", "--secret", &secret];
    let built = at.monopod(&[&["image", "build", &directory][..], &flags].concat()).ok("build");
    assert!(built.contains("Step 5/5") && built.contains("Successfully tagged kubia:latest"), "{built}");
    at.kubectl(&["run", "kubia", "--image=kubia", "--image-pull-policy=IfNotPresent", "--restart=Never"])
        .ok("pod");
    at.until(&["get", "pod", "kubia", "-o", "jsonpath={.status.phase}"], "Succeeded");
    let said = at.kubectl(&["logs", "kubia"]).ok("logs");
    assert_eq!(said, "made from a file\nsomebody has a token\n");

    // the same files in an archive, by name and on the standard input
    at.shell(&format!("tar -C {directory} -czf {directory}.tgz .")).ok("tar");
    let program = std::env::var("MONOPOD_BIN").unwrap();
    let build = |rest: &str| {
        at.shell(&format!(
            "{program} -p e2e-ibuild image build -t kubia --build-arg WHO=somebody --secret {secret} {rest}"
        ))
    };
    for rest in [
        format!("{directory}.tgz"),
        format!("- <{directory}.tgz"),
        format!("-f Dockerfile - <{directory}.tgz"),
    ] {
        let built = build(&rest).ok(&rest);
        assert!(built.contains("Step 5/5") && built.contains("Successfully tagged kubia:latest"), "{built}");
    }
    build(&format!("{directory}/app.txt")).refused("a file that is no archive");

    at.monopod(&["image", "tag", "kubia", "other:2"]).ok("tag");
    let file = at.home().join("saved.tar").display().to_string();
    at.monopod(&["image", "save", "kubia", "other:2", "-o", &file]).ok("save");
    let seen = at.shell(&format!("skopeo inspect --raw docker-archive:{file}:other:2")).ok("skopeo");
    assert!(seen.contains("rootfs") || seen.contains("layers"), "{seen}");
    at.monopod(&["image", "save", "nobody", "-o", &file]).refused("an image that is not there");
    at.shell(&format!("skopeo inspect docker-archive:{file}:other:2")).ok("the file is as it was");

    let broken = at.build_context("FROM busybox:1\nRUN echo on the way; exit 9\n");
    let failed = at.monopod(&["image", "build", &broken, "-t", "broken"]);
    assert!(failed.out().contains("on the way"), "{}", failed.out());
    let why = failed.refused("a step that fails");
    assert!(why.contains("returned a non-zero code: 9"), "{why}");
    let listed = at.monopod(&["image", "ls"]).ok("ls");
    assert!(listed.contains("other:2") && !listed.contains("broken"), "{listed}");

    let pruned = at.monopod(&["image", "prune"]).ok("prune");
    assert!(pruned.contains("Deleted: sha256:") && pruned.contains("Total reclaimed space"), "{pruned}");
    assert!(at.monopod(&["image", "ls"]).ok("ls").contains("other:2"));
}

#[test]
fn a_build_ends_with_who_asked_for_it() {
    let Some(at) = appliance("iquit") else { return };
    at.load_busybox();
    let directory = at.build_context("FROM busybox:1\nRUN sleep 3600\n");
    let [state, run] = at.places();
    let sandboxes = || std::fs::read_dir(run.join("sandboxes")).map_or(0, Iterator::count);
    let profile = state.file_name().unwrap().to_str().unwrap().to_owned();
    let mut command = at.command(&std::env::var("MONOPOD_BIN").unwrap());
    let command = command.args(["-p", &profile, "image", "build", &directory]).stdout(Stdio::piped());
    let mut build = command.spawn().unwrap();
    let lines = BufReader::new(build.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("Running in")), "no step began");
    let began = Instant::now();
    while sandboxes() == 0 {
        assert!(began.elapsed() < PATIENCE, "no sandbox came");
        std::thread::sleep(Duration::from_millis(20));
    }
    build.kill().unwrap();
    build.wait().unwrap();
    while sandboxes() > 0 {
        assert!(began.elapsed() < PATIENCE, "the step goes on without its caller");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_image_is_pushed_with_a_password() {
    let Some(at) = appliance("ipush") else { return };
    at.load_busybox();
    let home = at.home().display().to_string();
    at.shell(&format!("cd {home} && htpasswd -Bbn user sesame > htpasswd")).ok("passwords");
    let more = format!("auth: {{htpasswd: {{realm: r, path: {home}/htpasswd}}}}\n");
    let _registry = registry(&at, "127.0.0.1:5000", &more);
    let name = "127.0.0.1:5000/team/busybox:1";
    at.monopod(&["image", "tag", "busybox:1", name]).ok("tag");
    at.monopod(&["image", "push", name]).refused("without a password");
    let push = at.monopod(&["image", "push", "127.0.0.1:5000/nobody/made:it"]).refused("what is not there");
    assert!(push.contains("No such image"), "{push}");
    let auth = "{\"auths\": {\"127.0.0.1:5000\": {\"auth\": \"dXNlcjpzZXNhbWU=\"}}}";
    std::fs::create_dir_all(at.home().join(".docker")).unwrap();
    std::fs::write(at.home().join(".docker/config.json"), auth).unwrap();
    let pushed = at.monopod(&["image", "push", name]).ok("push");
    assert!(pushed.contains("The push refers to repository") && pushed.contains(": Pushed"), "{pushed}");
    assert!(pushed.contains("1: digest: sha256:") && pushed.contains(" size: "), "{pushed}");
    let removed = at.monopod(&["image", "rm", name]).ok("rm");
    assert!(removed.contains(&format!("Untagged: {name}")), "{removed}");
    at.monopod(&["image", "rm", name]).refused("what has gone");
    let pulled =
        at.monopod(&["image", "pull", "--all-tags", "127.0.0.1:5000/team/busybox"]).ok("pull all tags");
    assert!(
        pulled.contains("1: Pulling from team/busybox") && pulled.contains("Digest: sha256:"),
        "{pulled}"
    );
    let other =
        at.monopod(&["image", "pull", "--platform", "linux/s390x", name]).ok("pull for another platform");
    assert!(other.contains("does not match the specified platform (linux/s390x)"), "{other}");
    at.monopod(&["image", "pull", "--platform", "no platform", name]).refused("no platform");
    at.shell(&format!("skopeo inspect --tls-verify=false --creds user:sesame docker://{name}")).ok("skopeo");
}

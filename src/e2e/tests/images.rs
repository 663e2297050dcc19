//! What is in the store, how it is listed and how it goes: the stock docker command's `images`, `inspect`, `history`,
//! `rmi`, `image prune`, `import`, `load` and `save`.

mod common;

use common::{Appliance, appliance, images};
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(120);

fn lines(at: &Appliance, arguments: &[&str]) -> Vec<String> {
    at.docker(arguments).ok(&arguments.join(" ")).lines().map(str::to_owned).collect()
}

#[test]
fn images_are_found_by_filters_and_pruned_by_them() {
    let Some(at) = appliance("filters") else { return };
    at.load_busybox();
    for (name, label) in [("old", "kind=old"), ("team/app", "kind=new")] {
        let directory = at.build_context(&format!("FROM busybox:1\nLABEL {label}\nENV NAME={name}\n"));
        at.docker(&["build", "-q", "-t", name, &directory]).ok("build");
    }
    let named = |filter: &str| {
        let mut names = lines(&at, &["images", "--filter", filter, "--format", "{{.Repository}}:{{.Tag}}"]);
        names.sort();
        names.join(" ")
    };
    for (filter, want) in [
        ("reference=*", "busybox:1 old:latest"),
        ("reference=*/*", "team/app:latest"),
        ("reference=bu?y[a-c]ox:[0-9]", "busybox:1"),
        ("label=kind", "old:latest team/app:latest"),
        ("label=kind=new", "team/app:latest"),
        ("dangling=true", ""),
        ("before=team/app", "busybox:1 old:latest"),
        ("since=old", "team/app:latest"),
        ("until=24h", "busybox:1"),
    ] {
        assert_eq!(named(filter), want, "{filter}");
    }
    for (filter, want) in [
        ("what=x", "invalid filter 'what'"),
        ("reference=[", "syntax error in pattern"),
        ("before=nobody", "No such image: nobody"),
    ] {
        let why = at.docker(&["images", "--filter", filter]).refused(filter);
        assert!(why.contains(want), "{filter}: {why}");
    }
    // all of them stand on the same layer
    let shared = lines(
        &at,
        &["system", "df", "-v", "--format", "{{range .Images}}{{.SharedSize}} {{.UniqueSize}}\n{{end}}"],
    );
    assert!(shared.iter().any(|line| line.ends_with(" 0B") && !line.starts_with("0B")), "{shared:?}");

    at.docker(&["tag", "busybox:1", "old"]).ok("the name moves on");
    assert_eq!(lines(&at, &["images", "-q", "--filter", "dangling=true"]).len(), 1);
    assert!(
        !at.docker(&["image", "prune", "-f", "--filter", "label=kind=new"]).ok("prune").contains("deleted:")
    );
    assert!(!at.docker(&["image", "prune", "-f", "--filter", "until=24h"]).ok("prune").contains("deleted:"));
    let pruned = at.docker(&["image", "prune", "-f", "--filter", "label=kind=old"]).ok("prune");
    assert!(pruned.contains("deleted: sha256:") && pruned.contains("Total reclaimed space"), "{pruned}");
    let history = lines(&at, &["history", "--no-trunc", "--format", "{{.CreatedBy}}", "team/app"]);
    assert!(history.iter().any(|line| line.contains("LABEL kind=new")), "{history:?}");
    let saved = at.home().join("saved.tar").display().to_string();
    for command in [&["image", "inspect"][..], &["history"], &["save", "-o", &saved]] {
        at.docker(&[command, &["--platform", "linux/amd64", "team/app"]].concat()).ok("its own platform");
        let why =
            at.docker(&[command, &["--platform", "linux/s390x", "team/app"]].concat()).refused("another one");
        assert!(why.contains("does not provide the specified platform (linux/s390x)"), "{command:?}: {why}");
    }
    let fields = "{{len .RootFS.Layers}} {{.Os}}/{{.Architecture}} {{index .Config.Labels \"kind\"}} {{index .RepoTags 0}}";
    assert_eq!(
        at.docker(&["inspect", "-f", fields, "team/app"]).ok("inspect"),
        "1 linux/amd64 new team/app:latest\n"
    );
}

#[test]
fn an_image_in_use_goes_as_docker_lets_it_go() {
    let Some(at) = appliance("rmi") else { return };
    at.load_busybox();
    at.docker(&["tag", "busybox:1", "other/name:2"]).ok("tag");
    let id = at.docker(&["images", "-q", "busybox"]).ok("its id");
    let id = id.trim();
    at.docker(&["run", "-d", "--name", "box", "busybox:1", "sleep", "3600"]).ok("run");
    let refused = |arguments: &[&str], want: &str| {
        let why = at.docker(arguments).refused(want);
        assert!(why.contains(want), "{arguments:?}: {why}");
    };
    refused(&["rmi", "nobody"], "No such image: nobody");
    refused(
        &["rmi", "-f", id],
        &format!(
            "conflict: unable to delete {id} (cannot be forced) - image is being used by running container"
        ),
    );
    assert_eq!(lines(&at, &["rmi", "other/name:2"]), ["Untagged: other/name:2"]);
    refused(
        &["rmi", "busybox:1"],
        "conflict: unable to remove repository reference \"busybox:1\" (must force) - container ",
    );
    at.docker(&["stop", "-t", "0", "box"]).ok("stop");
    refused(
        &["rmi", id],
        &format!(
            "conflict: unable to delete {id} (must be forced) - image is being used by stopped container"
        ),
    );
    assert_eq!(lines(&at, &["rmi", "-f", "busybox:1"]), ["Untagged: busybox:1"]);
    at.docker(&["start", "box"]).ok("it still has its files");
    at.docker(&["rm", "-f", "box"]).ok("rm");
    let pruned = at.docker(&["image", "prune", "-f"]).ok("prune");
    assert!(pruned.contains("deleted: sha256:"), "{pruned}");
    assert!(lines(&at, &["images", "-q"]).is_empty());
}

#[test]
fn root_file_systems_come_from_anywhere_and_packed_with_anything() {
    let Some(at) = appliance("import") else { return };
    let home = at.home().display().to_string();
    at.shell(&format!(
        "cd {home} && mkdir -p root/bin && cp /bin/busybox root/bin && ln -s busybox root/bin/cat && echo imported > root/f \
         && tar c -C root . > root.tar && xz -k root.tar && bzip2 -k root.tar && gzip -k root.tar"
    ))
    .ok("a root file system");
    for (name, file) in
        [("plain", "root.tar"), ("x", "root.tar.xz"), ("b", "root.tar.bz2"), ("g", "root.tar.gz")]
    {
        let change = "ENTRYPOINT [\"/bin/cat\", \"/f\"]";
        at.docker(&["import", "-c", change, "-m", "a story", &format!("{home}/{file}"), name]).ok(file);
        assert_eq!(at.docker(&["run", "--rm", name]).ok(name), "imported\n", "{file}");
    }
    let server = at.command("busybox").args(["httpd", "-f", "-p", "127.0.0.1:8000", "-h", &home]).spawn();
    let mut server = server.unwrap();
    at.shell("curl -sS --retry 9 --retry-connrefused http://127.0.0.1:8000/root/f").ok("the server");
    let said = at.docker(&["import", "http://127.0.0.1:8000/root.tar.xz", "far:1"]);
    let missing = at.docker(&["import", "http://127.0.0.1:8000/nothing", "far:2"]);
    server.kill().unwrap();
    server.wait().unwrap();
    let said = said.ok("from a URL");
    assert!(
        said.contains("Downloading from http://127.0.0.1:8000/root.tar.xz") && said.contains("sha256:"),
        "{said}"
    );
    assert!(missing.refused("what is not there").contains("404 Not Found"));
    assert_eq!(at.docker(&["history", "--format", "{{.Comment}}", "x"]).ok("history"), "a story\n");
}

#[test]
fn a_load_that_is_given_up_leaves_nothing() {
    let Some(at) = appliance("giveup") else { return };
    let layers = [images::noise("a", 10_000), images::noise("b", 4_000_000)];
    let archive = std::fs::read(images::of_layers(at.home(), "app.tar", "app:1", &layers)).unwrap();
    let temporary = at.places()[0].join("images/tmp");
    let left = || std::fs::read_dir(&temporary).unwrap().count();
    let mut command = at.command("docker");
    let mut load =
        at.of_docker(&mut command).arg("load").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = load.stdin.take().unwrap();
    stdin.write_all(&archive[..archive.len() / 2]).unwrap();
    let began = Instant::now();
    while left() == 0 {
        assert!(began.elapsed() < PATIENCE, "nothing begins");
        std::thread::sleep(Duration::from_millis(20));
    }
    load.kill().unwrap();
    load.wait().unwrap();
    drop(stdin);
    while left() > 0 {
        assert!(began.elapsed() < PATIENCE, "the load goes on without its client");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(lines(&at, &["images", "-q"]).is_empty());
    std::fs::write(at.home().join("torn.tar"), &archive[..archive.len() / 2]).unwrap();
    let torn = at.home().join("torn.tar").display().to_string();
    let why = at.docker(&["load", "-i", &torn]).refused("half of an archive");
    assert!(why.contains("archive"), "{why}");
    assert_eq!(left(), 0);
}

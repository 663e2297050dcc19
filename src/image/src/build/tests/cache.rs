//! The cache hits when it should, and misses when it should.

use super::*;
use crate::{ImageStore, Registries};
use tar::EntryType;

fn entry(context: Tar, path: &str, content: &str, mode: u32, owner: u64, mtime: u64) -> Tar {
    context.with(EntryType::Regular, path, "", content.as_bytes(), |header| {
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_mtime(mtime);
    })
}

/// What each build ran, as one line each.
fn commands(lab: &Lab) -> Vec<String> {
    let ran = lab.runner.0.lock().unwrap();
    ran.iter().map(|spec| spec.argv.last().cloned().unwrap_or_default()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_count_by_what_is_in_them_and_by_their_mode() {
    let lab = Lab::new().await;
    let file = "FROM base\nCOPY a /a\nRUN touch x\n";
    for (case, context, runs) in [
        ("first", entry(Tar::new(), "a", "1", 0o644, 0, 1), 1),
        ("another time", entry(Tar::new(), "a", "1", 0o644, 0, 2), 0),
        ("another owner, which nobody keeps", entry(Tar::new(), "a", "1", 0o644, 5, 2), 0),
        ("something else in the context", entry(Tar::new(), "a", "1", 0o644, 0, 1).file("b", "b"), 0),
        ("another mode", entry(Tar::new(), "a", "1", 0o755, 0, 1), 1),
        ("another content", entry(Tar::new(), "a", "2", 0o644, 0, 1), 1),
        ("the first again", entry(Tar::new(), "a", "1", 0o644, 0, 3), 0),
    ] {
        lab.build(file, context).await.unwrap();
        assert_eq!(lab.ran(), runs, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_argument_counts_after_its_declaration_only() {
    let lab = Lab::new().await;
    let file = "FROM base\nRUN touch before\nARG V\nRUN touch after\n";
    let build = async |value: &str| {
        let args = [("V".to_owned(), Some(value.to_owned()))].into();
        let options = BuildOptions { args, ..options() };
        lab.build_with(Tar::new().file("Dockerfile", file), options).await.unwrap();
        commands(&lab)
    };
    assert_eq!(build("1").await, ["touch before", "touch after"]);
    assert_eq!(build("2").await, ["touch after"]);
    assert_eq!(build("1").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stage_gives_counts_and_not_that_it_was_made_again() {
    let lab = Lab::new().await;
    let file = |inner: &str| {
        format!("FROM base AS one\nCOPY a /a\n{inner}\nFROM base\nCOPY --from=one /a /b\nRUN touch x\n")
    };
    let context = |content: &str| Tar::new().file("a", content);
    lab.build(&file("LABEL l=1"), context("1")).await.unwrap();
    assert_eq!(lab.ran(), 1);
    lab.build(&file("LABEL l=2"), context("1")).await.unwrap();
    assert_eq!(lab.ran(), 0, "the file is the same");
    lab.build(&file("LABEL l=2"), context("2")).await.unwrap();
    assert_eq!(lab.ran(), 1, "the file is another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_what_another_image_has_is_kept_and_counts() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: owners need root");
        return;
    }
    let lab = Lab::new().await;
    let file = "FROM other AS one\nFROM base\nCOPY --from=one /f /f\nRUN touch x\n";
    for (owner, runs) in [(7, 1), (7, 0), (8, 1)] {
        let layer = entry(Tar::new(), "f", "x", 0o640, owner, 1).bytes();
        lab.t.store.load(Cursor::new(docker_archive(&["other"], &[layer]))).await.unwrap();
        lab.build(file, Tar::new()).await.unwrap();
        assert_eq!(lab.ran(), runs, "{owner}");
        let meta = std::fs::metadata(lab.find("f").unwrap()).unwrap();
        assert_eq!((u64::from(meta.uid()), meta.mode() & 0o7777), (owner, 0o640));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_base_and_what_is_mounted_count() {
    let lab = Lab::new().await;
    let file = "FROM base\nRUN --mount=target=/m,source=sub touch x\n";
    for (case, content, elsewhere, runs) in
        [("first", "1", "a", 1), ("again", "1", "a", 0), ("elsewhere", "1", "b", 0), ("there", "2", "b", 1)]
    {
        let context = Tar::new().file("sub/f", content).file("other", elsewhere);
        lab.build(file, context).await.unwrap();
        assert_eq!(lab.ran(), runs, "{case}");
    }
    let layer = Tar::new().file("another", "base").bytes();
    lab.t.store.load(Cursor::new(docker_archive(&["base"], &[layer]))).await.unwrap();
    lab.build(file, Tar::new().file("sub/f", "2")).await.unwrap();
    assert_eq!(lab.ran(), 1, "another base");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_look_alike_are_not_the_same() {
    let lab = Lab::new().await;
    lab.build("FROM base\nENV A=\"1 B=2\"\n", Tar::new()).await.unwrap();
    lab.build("FROM base\nENV A=1 B=2\n", Tar::new()).await.unwrap();
    assert_eq!(lab.config().env, ["PATH=/bin", "A=1", "B=2"]);
    let with = |text: &str| format!("FROM base\nRUN <<EOF\n#!/bin/sh\n{text}\nEOF\n");
    lab.build(&with("one"), Tar::new()).await.unwrap();
    lab.build(&with("two"), Tar::new()).await.unwrap();
    assert_eq!(lab.ran(), 1, "another script");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_is_there_after_a_restart_and_the_latest_counts() {
    let lab = Lab::new().await;
    let file = "FROM base\nRUN touch x\n";
    let first = lab.build(file, Tar::new()).await.unwrap().id;
    let context = Tar::new().file("Dockerfile", file);
    let again = BuildOptions { no_cache: true, ..options() };
    let second = lab.build_with(context, again).await.unwrap().id;
    assert_ne!(first, second);
    let Lab { t, runner, screen } = lab;
    let TestStore { store, dir } = t;
    drop(store);
    let store = ImageStore::open(dir.path(), Registries::default()).unwrap();
    let lab = Lab { t: TestStore { store, dir }, runner, screen };
    let third = lab.build(file, Tar::new()).await.unwrap().id;
    assert_eq!((third, lab.ran()), (second, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_change_the_configuration_only_are_one_image() {
    let lab = Lab::new().await;
    let labels = |of: &str| (0..1500).map(|n| format!("LABEL {of}{n}=x\n")).collect::<String>();
    let file = format!("FROM base\n{}RUN touch x\nWORKDIR /run\n{}ENV a=b\n", labels("one"), labels("two"));
    let built = lab.build(&file, Tar::new()).await.unwrap();
    // the base, what RUN stands on, what it made, and what follows
    assert_eq!(lab.t.store.count(), 4);
    let config = lab.config();
    assert_eq!((config.labels.len(), config.working_dir.as_str()), (3000, "/run"));
    assert_eq!(
        lab.t.store.history("made").unwrap().iter().filter(|line| line.item.empty_layer).count(),
        3002
    );
    let again = lab.build(&file, Tar::new()).await.unwrap();
    assert_eq!((again.id, lab.ran(), lab.t.store.count()), (built.id, 0, 4));
    assert_eq!(lab.screen().matches(" ---> Using cache\n").count(), 3003);
    lab.build(&file.replace("LABEL one7=x", "LABEL one7=y"), Tar::new()).await.unwrap();
    assert_eq!(lab.ran(), 1, "what stands on another label is done again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_a_failure_can_be_looked_into() {
    let lab = Lab::new().await;
    for (file, last) in [
        ("FROM base\nLABEL a=1\nENV b=2\nRUN fail 3\n", "Step 4/4 : RUN fail 3\n"),
        ("FROM base\nLABEL a=1\nENV b=2\nSTOPSIGNAL NOPE\n", "Step 4/4 : STOPSIGNAL NOPE\n"),
    ] {
        lab.build(file, Tar::new()).await.unwrap_err();
        let screen = lab.screen();
        let (before, _) = screen.split_once(last).unwrap_or_else(|| panic!("{screen}"));
        let ids: Vec<&str> = before.lines().filter_map(|line| line.strip_prefix(" ---> ")).collect();
        let ids: Vec<&str> = ids.into_iter().filter(|line| *line != "Using cache").collect();
        assert_eq!((ids.len(), ids[1]), (3, ids[2]), "{screen}");
        let config = lab.t.store.details(ids[2]).unwrap().document.config;
        assert_eq!((config.labels["a"].as_str(), config.env.last().unwrap().as_str()), ("1", "b=2"));
    }
    assert_eq!(lab.t.store.count(), 2, "both stand on the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_no_image_may_have_is_refused_on_the_way() {
    let lab = Lab::new().await;
    let file = format!("FROM base\nENV a={}\n{}RUN x\n", "a".repeat(60_000), "LABEL x=$a$a\n".repeat(200));
    let why = lab.build(&file, Tar::new()).await.unwrap_err().to_string();
    assert_eq!(why, "the image configuration holds more than 8388608 bytes");
    assert_eq!((lab.ran(), lab.t.store.count()), (0, 1));
    assert!(!lab.screen().contains("Step 203/203"), "it was refused at its end");
}

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

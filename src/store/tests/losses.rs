//! What was acknowledged and is not there any more is found out, said in plain words, and never passed over: a damaged log, a
//! file that is missing or older than it was, a row that is not as it was written.

mod common;

use api::ResourceVersion;
use common::{delete, key, maps, open, put, value};
use std::path::Path;
use store::{OpenError, Options, Recovery, Store};

const FILES: [&str; 3] = ["cluster.db", "cluster.db-wal", "cluster.seal"];

/// What a kill at this moment would leave, in a directory of its own.
fn copy_of(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in FILES.iter().filter(|file| dir.join(file).exists()) {
        std::fs::copy(dir.join(file), copy.path().join(file)).unwrap();
    }
    copy
}

fn refusal(dir: &Path) -> String {
    match Store::open(dir, Options::default()) {
        Err(error @ OpenError::Lost { .. }) => error.to_string(),
        other => panic!("{:?}", other.map(|(store, recovery)| (store.revision(), recovery))),
    }
}

fn accept(dir: &Path) -> (Store, Recovery) {
    Store::open(dir, Options { accept_loss: true, ..Options::default() }).unwrap()
}

/// Thirty acknowledged writes that are in the log, and a store that is still open.
async fn with_log(dir: &Path) -> Store {
    let store = open(dir);
    for number in 0..30 {
        store.commit(vec![put(&key(&format!("a{number}")), &"x".repeat(700))]).await.unwrap();
    }
    store
}

/// A backup that is put back under a running daemon, or a directory that is moved: what is written then would be nowhere.
#[tokio::test]
async fn a_file_that_is_not_in_its_place_any_more_is_not_written_to() {
    for put_another in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (file, aside) = (dir.path().join("cluster.db"), dir.path().join("aside"));
        let store = open(dir.path());
        store.commit(vec![put(&key("a"), "1")]).await.unwrap();
        std::fs::rename(&file, &aside).unwrap();
        if put_another {
            std::fs::copy(&aside, &file).unwrap();
        }
        for _ in 0..2 {
            let why = store.commit(vec![put(&key("a"), "2")]).await.unwrap_err().to_string();
            assert!(why.contains("cluster.db: the file was removed, or another put in its place"), "{why}");
        }
        assert_eq!(value(&store.snapshot().get(&maps(), &key("a")).unwrap()), "1", "it can be read");
        std::fs::rename(&aside, &file).unwrap();
        store.commit(vec![put(&key("a"), "3")]).await.unwrap();
        store.close().await;
        let store = open(dir.path());
        assert_eq!(value(&store.snapshot().get(&maps(), &key("a")).unwrap()), "3");
        store.close().await;
    }
}

#[tokio::test]
async fn a_damaged_log_is_found_out_and_left_alone() {
    let whole = tempfile::tempdir().unwrap();
    let store = with_log(whole.path()).await;
    let cases: [(&str, fn(&mut Vec<u8>)); 6] = [
        ("a byte in the middle", |log| {
            let middle = log.len() / 2;
            log[middle] ^= 1;
        }),
        ("the last page", |log| {
            let last = log.len() - 100;
            log[last] ^= 1;
        }),
        ("the header", |log| log[10] ^= 1),
        ("cut short", |log| log.truncate(log.len() / 3)),
        ("emptied", Vec::clear),
        ("zeros at the end", |log| {
            let half = log.len() / 2;
            log[half..].fill(0);
        }),
    ];
    for (name, damage) in cases {
        let dir = copy_of(whole.path());
        let path = dir.path().join("cluster.db-wal");
        let mut log = std::fs::read(&path).unwrap();
        damage(&mut log);
        std::fs::write(&path, &log).unwrap();
        let files = || FILES.map(|file| std::fs::read(dir.path().join(file)).unwrap());
        let before = files();
        for _ in 0..2 {
            let why = refusal(dir.path());
            assert!(why.contains("to 30 is not in it: its log cluster.db-wal is damaged"), "{name}: {why}");
            assert!(why.contains("--accept-loss") && why.contains("backup"), "{name}: {why}");
            assert!(files() == before, "{name}: a refusal changed something");
        }
        let (after, recovery) = accept(dir.path());
        assert!(recovery.notes[0].contains("went on without what was lost"), "{name}: {recovery:?}");
        assert!(after.revision().0 >= 30, "{name}: a revision would be used twice: {}", after.revision());
        let there = after.snapshot().count(&maps(), None);
        assert!(there < 30, "{name}: {there}");
        let kept = dir.path().join("cluster.db-wal.lost");
        assert!(
            log.is_empty() || std::fs::read(kept).unwrap() == log,
            "{name}: the log may still be rescued"
        );
        after.commit(vec![put(&key("new"), "v")]).await.unwrap();
        let newest = after.revision();
        after.close().await;
        let (again, recovery) = Store::open(dir.path(), Options::default()).unwrap();
        assert!(recovery.notes.is_empty() && again.revision() == newest, "{name}: {recovery:?}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_loss_that_was_accepted_gives_no_revision_out_again_though_nothing_was_written_since() {
    let whole = tempfile::tempdir().unwrap();
    let store = with_log(whole.path()).await;
    store.close().await;
    let backup = copy_of(whole.path());
    let store = open(whole.path());
    store.commit(vec![put(&key("later"), "v")]).await.unwrap();
    store.close().await;
    std::fs::copy(backup.path().join("cluster.db"), whole.path().join("cluster.db")).unwrap();
    let why = refusal(whole.path());
    assert!(why.contains("the revisions 31 to 31"), "{why}");
    for _ in 0..2 {
        let (store, _) =
            Store::open(whole.path(), Options { accept_loss: true, ..Options::default() }).unwrap();
        assert!(store.revision().0 >= 31, "{}", store.revision());
        store.close().await;
    }
}

#[tokio::test]
async fn a_file_that_is_missing_is_no_first_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit(vec![put(&key("a"), "1"), put(&key("b"), "1")]).await.unwrap();
    store.commit(vec![delete(&key("b"))]).await.unwrap();
    store.close().await;
    for file in ["cluster.db", "cluster.db-wal"] {
        let _ = std::fs::remove_file(dir.path().join(file));
    }
    let why = refusal(dir.path());
    assert!(why.contains("the file is missing, though it held 1 objects at revision 3"), "{why}");
    assert!(!dir.path().join("cluster.db").exists());
    let (store, recovery) = accept(dir.path());
    assert!(recovery.notes[0].contains("went on with an empty cluster"), "{recovery:?}");
    assert_eq!((store.snapshot().count(&maps(), None), store.revision().0 >= 3), (0, true));
    store.close().await;

    let nothing = tempfile::tempdir().unwrap();
    let must_exist = Options { must_exist: true, ..Options::default() };
    let why = Store::open(nothing.path(), must_exist.clone()).map(|_| ()).unwrap_err().to_string();
    assert!(why.contains("the file is missing, though the cluster had one"), "{why}");
    Store::open(nothing.path(), Options { accept_loss: true, ..must_exist }).unwrap();
}

#[tokio::test]
async fn an_object_that_is_not_as_it_was_written_is_named() {
    let whole = tempfile::tempdir().unwrap();
    let store = open(whole.path());
    for name in ["a", "b", "c"] {
        store.commit(vec![put(&key(name), "good")]).await.unwrap();
    }
    store.close().await;
    let cases = [
        (
            "another value",
            "UPDATE objects SET json = replace(json, 'good', 'evil') WHERE name = 'b'",
            "not as they were written: configmaps default/b",
            3,
        ),
        (
            "no JSON",
            "UPDATE objects SET json = '{' WHERE name = 'b'",
            "can not be read: configmaps default/b",
            2,
        ),
        ("a row is gone", "DELETE FROM objects WHERE name = 'b'", "2 objects are in it, 3 were written", 2),
    ];
    for (name, damage, want, left) in cases {
        let dir = copy_of(whole.path());
        let tool = rusqlite::Connection::open(dir.path().join("cluster.db")).unwrap();
        tool.execute_batch(damage).unwrap();
        drop(tool);
        let why = refusal(dir.path());
        assert!(why.contains(want), "{name}: {why}");
        let (store, recovery) = accept(dir.path());
        assert!(recovery.notes[0].contains(want), "{name}: {recovery:?}");
        assert_eq!(store.snapshot().count(&maps(), None), left, "{name}");
        assert_eq!(value(&store.snapshot().get(&maps(), &key("a")).unwrap()), "good");
        store.close().await;
        let (_, recovery) = Store::open(dir.path(), Options::default()).unwrap();
        assert!(!recovery.notes.iter().any(|note| note.contains("lost")), "{name}: {recovery:?}");
    }
}

/// The record is not waited for: after a loss of power it may be an older one, and that is no loss.
#[tokio::test]
async fn a_record_that_is_behind_is_no_loss_and_one_that_is_damaged_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_log(dir.path()).await;
    let earlier = std::fs::read(dir.path().join("cluster.seal")).unwrap();
    store.commit(vec![put(&key("a1"), "other"), delete(&key("a2"))]).await.unwrap();
    let copy = copy_of(dir.path());
    for (seal, told) in [(Some(&earlier[..]), false), (Some(&b"garbage"[..]), true), (None, false)] {
        let dir = copy_of(copy.path());
        let path = dir.path().join("cluster.seal");
        match seal {
            Some(seal) => std::fs::write(&path, seal).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let (store, recovery) = Store::open(dir.path(), Options::default()).unwrap();
        assert_eq!(store.snapshot().count(&maps(), None), 29);
        assert_eq!(recovery.notes.iter().any(|note| note.contains("can not be told")), told, "{recovery:?}");
        store.close().await;
        assert!(std::fs::read(&path).unwrap().starts_with(b"monopod"), "it is written again");
    }
    store.close().await;
}

/// As version 0.1 wrote it: without sums, without a record beside it.
#[tokio::test]
async fn a_file_of_an_older_version_gets_its_sums() {
    let dir = tempfile::tempdir().unwrap();
    let tool = rusqlite::Connection::open(dir.path().join("cluster.db")).unwrap();
    tool.execute_batch(
        r#"CREATE TABLE objects (resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL,
               json TEXT NOT NULL, PRIMARY KEY (resource, namespace, name));
           CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;
           INSERT INTO meta VALUES ('revision', 5), ('reserved', 10005), ('clean', 1);
           INSERT INTO objects VALUES ('configmaps', 'default', 'a', 5,
               '{"kind":"ConfigMap","metadata":{"name":"a","namespace":"default","resourceVersion":"5"},"data":{"value":"old"}}');
           PRAGMA user_version = 1;"#,
    )
    .unwrap();
    drop(tool);
    for round in 0..2 {
        let (store, recovery) = Store::open(dir.path(), Options::default()).unwrap();
        assert_eq!(recovery.notes, Vec::<String>::new());
        assert_eq!(
            (store.revision(), store.snapshot().count(&maps(), None)),
            (ResourceVersion(5 + round), 1)
        );
        store.commit(vec![put(&key("a"), "new")]).await.unwrap();
        store.close().await;
    }
    let tool = rusqlite::Connection::open(dir.path().join("cluster.db")).unwrap();
    tool.execute_batch("DELETE FROM objects").unwrap();
    drop(tool);
    assert!(refusal(dir.path()).contains("0 objects are in it, 1 were written"));
}

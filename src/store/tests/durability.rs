//! What must survive: `kill -9`, a full disk, reopening; and what must be refused: two owners, damage.

mod common;

use api::ResourceVersion;
use common::{
    CHILD, Kept, child, delete, key, lazily, maps, on_each_backend, on_each_backend_encrypted, open, put,
    value,
};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use store::{CommitError, OpenError, Options, Precondition, Store};

on_each_backend! {
    kill_9_in_the_middle_of_commits_loses_nothing_acknowledged
    a_lazy_write_is_seen_at_once_and_durable_within_a_second
    closing_writes_what_is_lazy_and_keeps_the_revision
}

on_each_backend_encrypted! {
    kill_9_in_the_middle_of_commits_loses_nothing_acknowledged
    closing_writes_what_is_lazy_and_keeps_the_revision
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// The child's lines that begin with `word`, without it. The pipe ends with the child.
fn lines<'a>(child: &mut Child, word: &'a str) -> impl Iterator<Item = String> + use<'a> {
    let out = BufReader::new(child.stdout.take().unwrap());
    out.lines().map_while(Result::ok).filter_map(move |line| line.strip_prefix(word).map(str::to_owned))
}

fn kill(mut child: Child) {
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
}

async fn kill_9_in_the_middle_of_commits_loses_nothing_acknowledged(kept: &Kept) {
    let test = "kill_9_in_the_middle_of_commits_loses_nothing_acknowledged";
    if kept.is_child() {
        return commit_until_killed(kept).await;
    }
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    let mut newest_seen = 0;
    for round in 0..6 {
        let mut running = kept.child(test).spawn().unwrap();
        let mut acks = lines(&mut running, "ack ");
        let mut note = |ack: String| {
            let (name, revision) = ack.split_once(' ').unwrap();
            let revision: u64 = revision.parse().unwrap();
            let older = acknowledged.insert(name.to_owned(), revision);
            assert!(
                older.is_none_or(|older| older < revision),
                "round {round}: {name} went back to {revision}"
            );
            newest_seen = newest_seen.max(revision);
        };
        acks.by_ref().take(150 + 97 * round).for_each(&mut note);
        kill(running);
        acks.for_each(&mut note); // acknowledged before the kill, read after it
        let (store, recovery) = kept.try_open().unwrap();
        assert_eq!(recovery.notes.len(), 1, "{recovery:?}");
        assert!(store.revision().0 >= newest_seen, "round {round}: a revision would be used twice");
        let snapshot = store.snapshot();
        for (name, revision) in &acknowledged {
            let found = snapshot.get(&maps(), &key(name)).map(|object| object.revision().0);
            // a later write of the same name may be on disk although nobody heard of it
            assert!(
                found.is_some_and(|found| found >= *revision),
                "round {round}: {name} {revision}, found {found:?}"
            );
        }
        store.close().await;
    }
    assert!(acknowledged.len() >= 16);
}

/// Sixteen writers, each to its own names; a line for every acknowledgement, in one write call.
async fn commit_until_killed(kept: &Kept) {
    use std::io::Write;
    let store = kept.open();
    let writers = (0..16).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for count in 0.. {
                let name = format!("w{writer}-{}", count % 40);
                let done = store.commit(vec![put(&key(&name), &"x".repeat(500))]).await.unwrap();
                let line = format!("ack {name} {}\n", done.revision);
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

async fn a_lazy_write_is_seen_at_once_and_durable_within_a_second(kept: &Kept) {
    let test = "a_lazy_write_is_seen_at_once_and_durable_within_a_second";
    if kept.is_child() {
        return write_lazily(kept).await;
    }
    // a loaded machine's disk may take its time: then it is there a little later
    let mut was_there = false;
    for wait in [0, 1500, 5000, 20_000].map(Duration::from_millis) {
        if was_there && !wait.is_zero() {
            break;
        }
        let mut running = kept.child(test).spawn().unwrap();
        let seen: u64 = lines(&mut running, "seen ").next().unwrap().parse().unwrap();
        std::thread::sleep(wait);
        kill(running);
        let store = kept.open();
        assert!(store.snapshot().get(&maps(), &key("sync")).is_some(), "after {wait:?}");
        was_there |= !wait.is_zero() && store.snapshot().get(&maps(), &key("lazy")).is_some();
        assert!(
            store.revision().0 >= seen,
            "a revision that was seen is not given out again, after {wait:?}"
        );
        store.close().await;
    }
    assert!(was_there, "it never is durable");
}

async fn write_lazily(kept: &Kept) {
    let store = kept.open();
    if store.snapshot().get(&maps(), &key("lazy")).is_some() {
        store.commit(vec![delete(&key("lazy"))]).await.unwrap();
    }
    store.commit(vec![put(&key("sync"), "v")]).await.unwrap();
    let started = Instant::now();
    let mut done = store.commit(vec![lazily(put(&key("lazy"), "v"))]).await.unwrap();
    assert!(store.snapshot().get(&maps(), &key("lazy")).is_some());
    for _ in 0..20 {
        done = store.commit(vec![lazily(put(&key("lazy"), "v"))]).await.unwrap();
    }
    // each would wait a second for its turn, and together they take a moment
    assert!(started.elapsed() < Duration::from_secs(20), "they waited for the disk");
    println!("seen {}", done.revision);
    std::future::pending::<()>().await;
}

async fn closing_writes_what_is_lazy_and_keeps_the_revision(kept: &Kept) {
    let store = kept.open();
    store.commit(vec![put(&key("a"), "1"), put(&key("b"), "1")]).await.unwrap();
    store.commit(vec![lazily(put(&key("a"), "2"))]).await.unwrap();
    store.commit(vec![delete(&key("b"))]).await.unwrap();
    let other = store.clone();
    store.close().await;
    assert!(matches!(other.commit(vec![put(&key("c"), "1")]).await, Err(CommitError::Closed)));

    let (store, recovery) = kept.try_open().unwrap();
    assert!(recovery.notes.is_empty(), "{recovery:?}");
    assert_eq!(store.revision(), ResourceVersion(4), "though the last write was a deletion");
    assert_eq!(value(&store.snapshot().get(&maps(), &key("a")).unwrap()), "2");
    assert!(store.snapshot().get(&maps(), &key("b")).is_none());
    let too_old = store.watch(&maps(), ResourceVersion(3)).map(|_| ()).unwrap_err();
    assert_eq!(too_old.oldest, ResourceVersion(4), "the events of the last run are gone");
    let mut watch = store.watch(&maps(), ResourceVersion(4)).unwrap();
    store.commit(vec![put(&key("c"), "1")]).await.unwrap();
    assert_eq!(watch.next().await.unwrap().object.revision(), ResourceVersion(5));
}

#[tokio::test]
async fn lazy_writes_alone_never_pass_the_reserved_revisions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let burst = (0..25_000).map(|_| lazily(put(&key("a"), "v"))).collect::<Vec<_>>();
    for writes in burst.chunks(1000) {
        store.commit(writes.to_vec()).await.unwrap();
    }
    // a copy of the files is what a power cut leaves behind
    let copy = tempfile::tempdir().unwrap();
    for name in ["cluster.db", "cluster.db-wal"] {
        std::fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let (after, recovery) = Store::open(copy.path(), Options::default()).unwrap();
    assert!(after.revision() >= store.revision(), "{} was seen, {recovery:?}", store.revision());
}

#[tokio::test]
async fn the_file_is_private_and_can_be_read_with_a_tool() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("state").join("store");
    let store = open(&inner);
    store.commit(vec![put(&key("a"), "hello")]).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for file in std::fs::read_dir(&inner).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    store.close().await;
    let tool = rusqlite::Connection::open(inner.join("cluster.db")).unwrap();
    let query = "SELECT resource, namespace, name, revision, json ->> '$.data.value' FROM objects";
    let row = tool
        .query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)));
    let want = ("configmaps".to_owned(), "default".to_owned(), "a".to_owned(), 1_i64, "hello".to_owned());
    assert_eq!(row.unwrap(), want);
}

fn refusal(dir: &Path) -> String {
    Store::open(dir, Options::default()).map(|_| ()).unwrap_err().to_string()
}

#[tokio::test]
async fn a_second_owner_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let started = Instant::now();
    let message = refusal(dir.path());
    let path = dir.path().join("cluster.db");
    let want = format!("{} is in use by process {}: stop that first", path.display(), std::process::id());
    assert_eq!(message, want);
    // who waits for the file's lock waits for five seconds where nobody says otherwise
    assert!(started.elapsed() < Duration::from_secs(4));
    store.close().await;

    let tool = rusqlite::Connection::open(&path).unwrap();
    tool.execute_batch("BEGIN; SELECT count(*) FROM objects").unwrap();
    let refused = Store::open(dir.path(), Options::default()).map(|_| ());
    assert!(matches!(refused, Err(OpenError::InUse { .. })), "{refused:?}");
    drop(tool);
    open(dir.path());
}

/// The file is left as it was found: somebody may still rescue it.
#[tokio::test]
async fn damage_is_refused_in_words_and_left_alone() {
    let cases: [(&str, fn(&mut Vec<u8>)); 6] = [
        ("empty", Vec::clear),
        ("no database", |file| file[..64].fill(b'x')),
        ("cut in half", |file| file.truncate(file.len() / 2)),
        ("a page of zeros", |file| file[4096..8192].fill(0)),
        ("garbage in the middle", |file| {
            let middle = file.len() / 2 / 4096 * 4096;
            file[middle..middle + 4096].fill(0xa5);
        }),
        ("an object that is no JSON", |file| {
            // every place: a page that is not in use any more may hold an older copy
            let places: Vec<usize> =
                (0..file.len() - 8).filter(|at| &file[*at..at + 8] == b"\"kind\":\"").collect();
            places.into_iter().for_each(|at| file[at] = b'\'');
        }),
    ];
    let whole = tempfile::tempdir().unwrap();
    let store = open(whole.path());
    for count in 0..200 {
        store.commit(vec![put(&key(&format!("a{count}")), &"x".repeat(700))]).await.unwrap();
    }
    store.close().await;
    for (name, damage) in cases {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.db");
        let mut file = std::fs::read(whole.path().join("cluster.db")).unwrap();
        damage(&mut file);
        std::fs::write(&path, &file).unwrap();
        let opened = Store::open(dir.path(), Options::default());
        let message = opened.map(|_| ()).expect_err(name).to_string();
        assert!(message.starts_with(&format!("{} is damaged: ", path.display())), "{name}: {message}");
        assert!(message.contains("backup"), "{name} names the cure: {message}");
        assert!(std::fs::read(&path).unwrap() == file, "{name}: the file was changed");
    }
}

#[tokio::test]
async fn a_log_without_its_file_is_not_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("cluster.db-wal"), "something").unwrap();
    assert!(refusal(dir.path()).contains("the file is missing"));
    assert_eq!(std::fs::read(dir.path().join("cluster.db-wal")).unwrap(), b"something");
}

#[tokio::test]
async fn a_first_start_that_was_cut_short_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("cluster.db.new"), "half").unwrap();
    let (store, recovery) = Store::open(dir.path(), Options::default()).unwrap();
    assert_eq!(recovery.notes.len(), 1);
    assert_eq!(store.revision(), ResourceVersion(0));
    assert!(!dir.path().join("cluster.db.new").exists());
}

#[tokio::test]
async fn the_file_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().await;
    let tool = rusqlite::Connection::open(dir.path().join("cluster.db")).unwrap();
    tool.pragma_update(None, "user_version", 3).unwrap();
    drop(tool);
    assert!(
        refusal(dir.path()).contains("was written by a newer version (format 3, this one reads up to 2)")
    );
}

/// In a mount namespace of its own, on a file system of 2 MB; it goes away with the process. Needs root.
#[test]
fn a_full_disk_changes_nothing_and_the_store_goes_on_when_there_is_room() {
    let test = "a_full_disk_changes_nothing_and_the_store_goes_on_when_there_is_room";
    if let Ok(dir) = std::env::var(CHILD) {
        return runtime().block_on(fill_the_disk(Path::new(&dir)));
    }
    let dir = tempfile::tempdir().unwrap();
    let itself = child(test, dir.path());
    let script = format!("mount -t tmpfs -o size=2m tmpfs {} && exec \"$@\"", dir.path().display());
    let mut alone = Command::new("unshare");
    alone.args(["--mount", "sh", "-c", &script, "sh"]).arg(itself.get_program()).args(itself.get_args());
    let may_mount =
        Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !may_mount {
        eprintln!("SKIPPED: {test}: it needs root, to mount a small file system");
        return;
    }
    let output = alone.env(CHILD, dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("went on"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn fill_the_disk(dir: &Path) {
    let store = open(dir);
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let mut watch = store.watch(&maps(), ResourceVersion(0)).unwrap();
    let mut stored = Vec::new();
    let refused = loop {
        let name = format!("a{}", stored.len());
        match store.commit(vec![put(&key(&name), &"x".repeat(50_000))]).await {
            Ok(_) => stored.push(name),
            Err(error) => break error,
        }
        assert!(stored.len() < 100, "2 MB hold no 5 MB");
    };
    assert!(matches!(refused, CommitError::Full), "{refused}");
    let unseen = key(&format!("a{}", stored.len()));
    assert_eq!(store.revision().0, stored.len() as u64);
    assert!(store.snapshot().get(&maps(), &unseen).is_none());
    for _ in &stored {
        watch.try_next().unwrap().unwrap();
    }
    assert!(watch.try_next().unwrap().is_none(), "watchers see nothing of it");
    a_lazy_write_may_wait_for_room_but_no_more_than_one(&store).await;

    std::fs::remove_file(&ballast).unwrap();
    let write = common::put_if(Precondition::Absent, &unseen, "now");
    store.commit(vec![write]).await.unwrap();
    let newest = store.revision();
    store.close().await;
    let store = open(dir);
    assert_eq!(store.revision(), newest);
    for name in stored.iter().map(|name| key(name)).chain([unseen, key("lazy")]) {
        assert!(store.snapshot().get(&maps(), &name).is_some(), "{name}");
    }
    println!("went on");
}

async fn a_lazy_write_may_wait_for_room_but_no_more_than_one(store: &Store) {
    store.commit(vec![lazily(put(&key("lazy"), &"x".repeat(100_000)))]).await.unwrap();
    let refusal = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            // once the flush of the first has failed
            if let Err(refused) = store.commit(vec![lazily(put(&key("lazier"), "v"))]).await {
                return refused;
            }
        }
    };
    let refused =
        tokio::time::timeout(Duration::from_secs(30), refusal).await.expect("it takes in more and more");
    assert!(matches!(refused, CommitError::Full), "{refused}");
    assert!(store.snapshot().get(&maps(), &key("lazy")).is_some());
}

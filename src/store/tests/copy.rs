//! A state that moves from one back end to another, and what stands in its way.

mod common;

use ::etcd::{Client, KeyValue, Op, Transaction};
use common::etcd::place;
use common::{Kept, delete, key, lazily, maps, put, value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{
    Backend, Copied, CopyError, Credentials, Etcd, OpenError, Options, Resource, Store, Write, copy,
};

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(30)
}

fn etcd_of(kept: &Kept) -> Etcd {
    place(&[&kept.server.as_ref().unwrap().endpoint()])
}

fn client(kept: &Kept) -> Client {
    Client::new(etcd_of(kept).endpoints, Credentials::default())
}

async fn everything(kept: &Kept) -> Vec<KeyValue> {
    let (mut all, mut from) = (Vec::new(), b"/".to_vec());
    loop {
        let (keys, more) = client(kept).page(b"/", &from, soon()).await.unwrap();
        all.extend(keys);
        if !more {
            return all;
        }
        from = [&all.last().unwrap().key[..], &[0]].concat();
    }
}

fn at(dir: &Path, backend: &Backend) -> Store {
    Store::open(dir, Options { backend: backend.clone(), must_exist: true, ..Options::default() }).unwrap().0
}

fn all(store: &Store) -> BTreeMap<String, (u64, String)> {
    let snapshot = store.snapshot();
    let of = |resource: &Resource| {
        let objects = snapshot.list(resource, None, None);
        let each = |object: &api::Object| {
            (format!("{resource} {}", object.key()), (object.revision().0, value(object)))
        };
        objects.map(each).collect::<Vec<_>>()
    };
    snapshot.resources().flat_map(of).collect()
}

async fn all_at(dir: &Path, backend: &Backend) -> BTreeMap<String, (u64, String)> {
    let store = at(dir, backend);
    let all = all(&store);
    store.close().await;
    all
}

/// Of two kinds, with and without a namespace, changed and deleted.
async fn fill(store: &Store) {
    for number in 0..300 {
        store.commit(vec![put(&key(&format!("a{number}")), &"x".repeat(number * 10))]).await.unwrap();
    }
    let node = api::ObjectKey::new(None, "node");
    store.commit(vec![Write { resource: Resource::from("nodes"), ..put(&node, "n") }]).await.unwrap();
    store.commit(vec![put(&key("a1"), "changed"), delete(&key("a2"))]).await.unwrap();
    store.commit(vec![lazily(put(&key("lazy"), "v"))]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_it_is_the_same_and_the_sources_are_as_they_were() {
    let Some(kept) = Kept::in_etcd() else { return };
    let (dir, etcd) = (kept.dir(), Backend::Etcd(etcd_of(&kept)));
    let store = at_first(dir);
    fill(&store).await;
    let (state, revision) = (all(&store), store.revision());
    store.close().await;
    let file = std::fs::read(dir.join("cluster.db")).unwrap();

    let copied = copy(dir, &Backend::File, &etcd, false, &Arc::default()).unwrap();
    assert_eq!(copied, Copied { objects: state.len(), revision });
    assert!(std::fs::read(dir.join("cluster.db")).unwrap() == file, "the source was changed");
    let store = at(dir, &etcd);
    assert_eq!((all(&store), store.revision()), (state.clone(), revision));
    store.commit(vec![put(&key("in-etcd"), "v")]).await.unwrap();
    let (state, revision) = (all(&store), store.revision());
    store.close().await;

    let before = everything(&kept).await;
    let refused = copy(dir, &etcd, &Backend::File, false, &Arc::default()).unwrap_err();
    assert!(matches!(refused, CopyError::Occupied { .. }), "{refused}");
    assert!(std::fs::read(dir.join("cluster.db")).unwrap() == file, "a refusal changed something");
    copy(dir, &etcd, &Backend::File, true, &Arc::default()).unwrap();
    assert_eq!(everything(&kept).await, before, "the source was changed");
    let store = at(dir, &Backend::File);
    assert_eq!((all(&store), store.revision()), (state, revision));
    store.commit(vec![put(&key("in-file"), "v")]).await.unwrap();
    store.close().await;
}

fn at_first(dir: &Path) -> Store {
    Store::open(dir, Options::default()).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_copy_that_was_cut_short_has_left_goes_with_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    at_first(dir.path()).close().await;
    let left = dir.path().join("copy");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("cluster.db"), "what may be encrypted since").unwrap();
    at_first(dir.path()).close().await;
    assert!(!left.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_holds_a_state_is_replaced_only_when_it_is_asked_for() {
    let Some(kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    store.commit(vec![put(&key("theirs"), "v")]).await.unwrap();
    store.close().await;
    let before = everything(&kept).await;
    let mine = tempfile::tempdir().unwrap();
    let store = at_first(mine.path());
    store.commit(vec![put(&key("mine"), "v")]).await.unwrap();
    store.close().await;
    let etcd = Backend::Etcd(etcd_of(&kept));
    let refused = copy(mine.path(), &Backend::File, &etcd, false, &Arc::default()).unwrap_err().to_string();
    assert!(refused.contains("1 objects, revision 1") && refused.contains("--overwrite"), "{refused}");
    assert_eq!(everything(&kept).await, before, "a refusal changed something");
    copy(mine.path(), &Backend::File, &etcd, true, &Arc::default()).unwrap();
    let store = at(mine.path(), &etcd);
    assert!(store.snapshot().get(&maps(), &key("mine")).is_some());
    assert!(store.snapshot().get(&maps(), &key("theirs")).is_none());

    // while somebody writes there it is neither read nor replaced
    let other = tempfile::tempdir().unwrap();
    at_first(other.path()).close().await;
    for (from, to) in [(&Backend::File, &etcd), (&etcd, &Backend::File)] {
        let refused = copy(other.path(), from, to, true, &Arc::default()).unwrap_err();
        assert!(matches!(refused, CopyError::Open(OpenError::InUse { .. })), "{refused}");
    }
    store.close().await;
    // and that of another machine is read by who asks for it
    copy(other.path(), &etcd, &Backend::File, true, &Arc::default()).unwrap();
    assert!(at(other.path(), &Backend::File).snapshot().get(&maps(), &key("mine")).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn from_one_part_of_etcd_to_another_and_what_was_cut_short_is_no_state() {
    let Some(kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    fill(&store).await;
    let state = all(&store);
    store.close().await;
    let from = Backend::Etcd(etcd_of(&kept));
    let there = Etcd { prefix: "/monopod/there/".to_owned(), ..etcd_of(&kept) };
    let to = Backend::Etcd(there.clone());
    copy(kept.dir(), &from, &to, false, &Arc::default()).unwrap();
    assert_eq!(all_at(kept.dir(), &to).await, state);

    // as one that was killed has left it
    let written = everything(&kept).await;
    let record = written.iter().find(|key| key.key == b"/monopod/there/state").unwrap();
    let text = String::from_utf8(record.value.clone()).unwrap().replace("\ncopying 0\n", "\ncopying 1\n");
    let (text, _) = text.split_at(text.find("check ").unwrap());
    let text = format!("{text}check {}\n", crc32fast::hash(text.as_bytes()));
    let put = Op::put(record.key.clone(), text.into_bytes());
    client(&kept).transact(Transaction { then: vec![put], ..Transaction::default() }, soon()).await.unwrap();
    let options = Options { backend: to.clone(), accept_loss: true, ..Options::default() };
    let refused = Store::open(kept.dir(), options).map(|_| ()).unwrap_err();
    assert!(matches!(refused, OpenError::HalfCopied { .. }), "{refused}");
    let refused = copy(kept.dir(), &from, &to, false, &Arc::default()).unwrap_err().to_string();
    assert!(refused.contains("a copy that was cut short"), "{refused}");
    copy(kept.dir(), &from, &to, true, &Arc::default()).unwrap();
    assert_eq!(all_at(kept.dir(), &to).await, state);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_copied_is_said_before_anything_is_written() {
    let Some(kept) = Kept::in_etcd() else { return };
    let etcd = Backend::Etcd(etcd_of(&kept));
    let nothing = tempfile::tempdir().unwrap();
    for (from, to) in [(&Backend::File, &etcd), (&etcd, &Backend::File)] {
        let refused = copy(nothing.path(), from, to, false, &Arc::default()).unwrap_err();
        assert!(matches!(refused, CopyError::Nothing { .. }), "{refused}");
    }
    assert!(!nothing.path().join("cluster.db").exists());
    let dir = tempfile::tempdir().unwrap();
    let store = at_first(dir.path());
    store.commit(vec![put(&key("small"), "v"), put(&key("large"), &"x".repeat(1_600_000))]).await.unwrap();
    store.close().await;
    let refused = copy(dir.path(), &Backend::File, &etcd, false, &Arc::default()).unwrap_err().to_string();
    assert!(refused.contains("configmaps default/large"), "{refused}");
    assert_eq!(everything(&kept).await, Vec::new());
}

/// Numbers that somebody may have seen are not given out again by the copy either.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_daemon_that_was_killed_all_is_copied() {
    let Some(kept) = Kept::in_etcd() else { return };
    let etcd = Backend::Etcd(etcd_of(&kept));
    let dir = tempfile::tempdir().unwrap();
    let store = at_first(dir.path());
    store.commit(vec![put(&key("a"), "v")]).await.unwrap();
    let killed = tempfile::tempdir().unwrap();
    for file in ["cluster.db", "cluster.db-wal", "cluster.seal"] {
        std::fs::copy(dir.path().join(file), killed.path().join(file)).unwrap();
    }
    store.close().await;
    let copied = copy(killed.path(), &Backend::File, &etcd, false, &Arc::default()).unwrap();
    assert!(copied.revision.0 > 1000, "{copied:?}");
    let store = at(killed.path(), &etcd);
    assert_eq!((store.revision(), all(&store).len()), (copied.revision, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_directory_has_in_etcd_is_removed_with_it_and_nothing_else() {
    let Some(kept) = Kept::in_etcd() else { return };
    let etcd = etcd_of(&kept);
    let other = tempfile::tempdir().unwrap();
    assert!(!store::remove(other.path(), &etcd).unwrap(), "there is nothing yet");
    let store = kept.open();
    fill(&store).await;
    let refused = store::remove(other.path(), &etcd).unwrap_err();
    assert!(matches!(refused, OpenError::Another { .. } | OpenError::InUse { .. }), "{refused}");
    store.close().await;
    let refused = store::remove(other.path(), &etcd).unwrap_err();
    assert!(matches!(refused, OpenError::Another { .. }), "{refused}");
    let beside = Op::put(b"/monopod/tests".to_vec(), b"somebody's".to_vec());
    client(&kept)
        .transact(Transaction { then: vec![beside], ..Transaction::default() }, soon())
        .await
        .unwrap();
    assert!(store::remove(kept.dir(), &etcd).unwrap());
    let left: Vec<Vec<u8>> = everything(&kept).await.into_iter().map(|key| key.key).collect();
    assert_eq!(left, [b"/monopod/tests".to_vec()]);
}

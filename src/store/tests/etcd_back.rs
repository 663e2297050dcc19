//! An etcd that comes back: with less than it had, or after much was refused.

mod common;

use ::etcd::{Client, Op, Transaction};
use api::ResourceVersion;
use common::etcd::PREFIX;
use common::{Kept, key, maps, put, value};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use store::{CommitError, Credentials, Store, Write};

/// More than one append waits.
const PATIENCE: Duration = Duration::from_secs(60);

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + PATIENCE
}

fn tool(kept: &Kept) -> Client {
    Client::new(vec![kept.server.as_ref().unwrap().endpoint().parse().unwrap()], Credentials::default())
}

fn at(what: &str) -> Vec<u8> {
    format!("{PREFIX}{what}").into_bytes()
}

/// The objects that are there, and when etcd wrote each of them.
async fn written(kept: &Kept) -> BTreeMap<String, i64> {
    let below = at("objects/configmaps/default/");
    let (keys, more) = tool(kept).page(&below, &below, soon()).await.unwrap();
    assert!(!more);
    let name = |key: &[u8]| String::from_utf8(key[below.len()..].to_vec()).unwrap();
    keys.into_iter().map(|found| (name(&found.key), found.mod_revision)).collect()
}

async fn state(kept: &Kept) -> Vec<u8> {
    let (mut found, _) = tool(kept).page(&at("state"), &at("state"), soon()).await.unwrap();
    found.remove(0).value
}

/// Nothing that was acknowledged before and is missing now is passed over: not by the one who runs, and not by the next.
async fn it_ends_and_the_next_start_tells_what_is_lost(kept: &Kept, store: Store, how: &str) {
    let refused = store.commit(vec![put(&key("c"), "v")]).await.unwrap_err();
    assert!(matches!(refused, CommitError::TakenOver(_)), "{how}: {refused}");
    let why = tokio::time::timeout(PATIENCE, store.taken_over()).await.unwrap();
    assert!(
        why.contains(PREFIX) && why.contains("an older snapshot of etcd was put in its place"),
        "{how}: {why}"
    );
    let there: Vec<String> = written(kept).await.into_keys().collect();
    assert_eq!(there, ["a"], "{how}: nothing is written there any more");
    store.close().await;
    let why = kept.try_open().map(|_| ()).unwrap_err().to_string();
    assert!(why.contains("the revisions 2 to 2 is not in it: an older snapshot of etcd"), "{how}: {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_restored_under_it_ends_it_before_anything_is_written_there() {
    let Some(mut kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    store.commit(vec![put(&key("a"), "1")]).await.unwrap();
    kept.server.as_mut().unwrap().kill();
    let saved = kept.server.as_ref().unwrap().save();
    kept.server.as_mut().unwrap().again();
    store.commit(vec![put(&key("b"), "acknowledged")]).await.unwrap();
    kept.server.as_mut().unwrap().kill();
    kept.server.as_ref().unwrap().put_back(&saved);
    kept.server.as_mut().unwrap().again();
    it_ends_and_the_next_start_tells_what_is_lost(&kept, store, "a directory").await;
}

/// Restored so that etcd's own revisions go on.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_record_of_ours_is_known_by_its_ticket() {
    let Some(kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    store.commit(vec![put(&key("a"), "1")]).await.unwrap();
    let older = state(&kept).await;
    store.commit(vec![put(&key("b"), "acknowledged")]).await.unwrap();
    let set_back = Transaction {
        then: vec![Op::delete(at("objects/configmaps/default/b")), Op::put(at("state"), older)],
        ..Transaction::default()
    };
    assert!(tool(&kept).transact(set_back, soon()).await.unwrap().succeeded);
    it_ends_and_the_next_start_tells_what_is_lost(&kept, store, "a ticket").await;
}

/// Each is a request of its own, and all wait together.
async fn refused(store: &Store, count: usize, text: &str) {
    let ask = |number: usize| {
        let (store, write) = (store.clone(), put(&key(&format!("many-{number:03}")), text));
        tokio::spawn(async move { store.commit(vec![write]).await })
    };
    let asked: Vec<_> = (0..count).map(ask).collect();
    for answer in asked {
        answer.await.unwrap().unwrap_err();
    }
}

/// Else what was refused in an hour would have to be written when etcd is back, in the time of one write.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_while_etcd_was_away_costs_nothing_when_it_is_back() {
    const COUNT: usize = 200;
    let Some(mut kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    let many: Vec<Write> =
        (0..COUNT).map(|number| put(&key(&format!("many-{number:03}")), &"old ".repeat(1000))).collect();
    store.commit(many).await.unwrap();
    let before = written(&kept).await;
    assert_eq!(before.len(), COUNT);
    kept.server.as_mut().unwrap().kill();
    refused(&store, COUNT, "refused").await;
    refused(&store, COUNT, "refused again").await;
    kept.server.as_mut().unwrap().again();
    store.commit(vec![put(&key("after"), "v")]).await.unwrap();
    let mut after = written(&kept).await;
    assert!(after.remove("after").is_some());
    assert_eq!(after, before, "nothing was written again");
    let newest = store.revision();
    store.close().await;
    let (store, recovery) = kept.try_open().unwrap();
    assert_eq!((store.revision(), recovery.notes), (newest, Vec::new()));
    assert_eq!(value(&store.snapshot().get(&maps(), &key("many-007")).unwrap()), "old ".repeat(1000));
}

/// Of many that were given up one may have taken place: that one is put right, and the others were never sent.
#[tokio::test(flavor = "multi_thread")]
async fn of_all_that_was_given_up_while_etcd_stood_still_nothing_is_left() {
    let Some(kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    store.commit(vec![put(&key("many-000"), "old")]).await.unwrap();
    kept.server.as_ref().unwrap().signal("-STOP");
    let began = Instant::now();
    for round in 0..3 {
        refused(&store, 20, &format!("given up {round}")).await;
    }
    assert!(began.elapsed() < PATIENCE, "those that follow are refused sooner");
    kept.server.as_ref().unwrap().signal("-CONT");
    store.commit(vec![put(&key("after"), "v")]).await.unwrap();
    let there: Vec<String> = written(&kept).await.into_keys().collect();
    assert_eq!(there, ["after", "many-000"]);
    store.close().await;
    let (store, recovery) = kept.try_open().unwrap();
    assert_eq!(recovery.notes, Vec::<String>::new());
    assert!(store.revision() > ResourceVersion(1));
    assert_eq!(value(&store.snapshot().get(&maps(), &key("many-000")).unwrap()), "old");
}

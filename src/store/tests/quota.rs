//! A store that may hold only so much.

mod common;

use common::{delete, key, maps, put};
use store::{Change, CommitError, Options, Priority, Store, Write};

const QUOTA: usize = 1 << 20;

fn value(length: usize) -> String {
    "x".repeat(length)
}

fn is_refused<T>(outcome: Result<T, CommitError>) -> bool {
    match outcome {
        Ok(_) => false,
        Err(CommitError::OverQuota) => true,
        Err(other) => panic!("{other}"),
    }
}

/// Until one of them is refused; how many there are.
async fn fill(store: &Store, priority: Priority, name: &str, length: usize) -> usize {
    for number in 0.. {
        let one = put(&key(&format!("{name}{number}")), &value(length));
        if is_refused(store.commit_with(priority, vec![one]).await) {
            return number;
        }
        assert!(number < 1000, "it takes any amount");
    }
    unreachable!("numbers do not end")
}

#[tokio::test]
async fn a_full_store_takes_nothing_more_and_gives_everything_back() {
    let store = Store::in_memory(Options { quota: Some(QUOTA), ..Options::default() });
    assert_eq!(store.usage().bytes, 0);
    let stored = fill(&store, Priority::Normal, "a", 50_000).await;
    assert!((15..=20).contains(&stored), "{stored} objects of 50,000 bytes, with what is beside them");
    let full = store.usage();
    assert!(full.is_full && full.bytes <= QUOTA && full.bytes > QUOTA - 60_000, "{full:?}");
    let revision = store.revision();

    let larger = vec![put(&key("a0"), &value(200_000))];
    assert!(is_refused(store.commit(larger).await), "an object that grows");
    let both = vec![put(&key("a0"), "small"), put(&key("b"), &value(200_000))];
    assert!(is_refused(store.commit(both).await), "what grows as a whole");
    assert_eq!(common::value(&store.snapshot().get(&maps(), &key("a0")).unwrap()).len(), 50_000);
    assert_eq!((store.usage(), store.revision()), (full, revision), "nothing is half made");

    assert!(!is_refused(store.commit(vec![put(&key("a0"), &value(50_000))]).await), "as large as it was");
    assert!(!is_refused(store.commit(vec![put(&key("a0"), &value(40_000))]).await), "an object that shrinks");
    assert!(store.usage().is_full, "there is not much more room");
    let exchanged = vec![delete(&key("a1")), put(&key("b"), &value(40_000))];
    assert!(!is_refused(store.commit(exchanged).await), "as a whole it shrinks");
    for number in 2..stored {
        store.commit(vec![delete(&key(&format!("a{number}")))]).await.unwrap();
    }
    assert!(!store.usage().is_full);
    for name in ["a0", "b"] {
        store.commit(vec![delete(&key(name))]).await.unwrap();
    }
    assert_eq!(store.usage().bytes, 0, "what is deleted is not counted");
}

#[tokio::test]
async fn what_is_worth_little_is_refused_first_and_what_is_needed_last() {
    let store = Store::in_memory(Options { quota: Some(QUOTA), ..Options::default() });
    fill(&store, Priority::Low, "low", 10_000).await;
    let usage = store.usage();
    assert!(usage.bytes <= QUOTA / 8 * 7 && !usage.is_full, "{usage:?}: others can still write");
    assert!(fill(&store, Priority::Normal, "normal", 10_000).await > 0);
    assert!(is_refused(store.commit_with(Priority::Low, vec![put(&key("low"), "v")]).await));
    assert!(fill(&store, Priority::Essential, "essential", 10_000).await > 0);
    assert!(store.usage().bytes <= QUOTA / 4 * 5, "it has an end too");
}

#[tokio::test]
async fn an_object_weighs_what_its_copies_take_and_not_what_is_written() {
    let list = |of: &str, count: usize| {
        let elements: Vec<String> = (0..count).map(|number| format!(r#"{{"name":"v{number}"}}"#)).collect();
        format!(
            r#"{{"metadata":{{"name":"p","namespace":"default","resourceVersion":"\u0001rv\u0001"}},"{of}":[{}]}}"#,
            elements.join(",")
        )
    };
    let weight = |json: String| async move {
        let store = Store::in_memory(Options::default());
        let object = api::Unstamped::new(json.into_bytes()).unwrap();
        let put = Write { change: Change::Put(object), ..put(&key("p"), "") };
        store.commit(vec![put]).await.unwrap();
        store.usage().bytes
    };
    let (volumes, others) = (weight(list("volumes", 1000)).await, weight(list("others", 1000)).await);
    assert!((3_000_000..4_000_000).contains(&volumes), "{volumes} for a thousand volumes of 3 kB");
    assert!((300_000..500_000).contains(&others), "{others} for a thousand of a few hundred bytes");
}

#[tokio::test]
async fn a_store_that_is_opened_knows_what_it_holds_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), Options::default()).unwrap();
    for name in ["a", "b", "c"] {
        store.commit(vec![put(&key(name), &value(100_000))]).await.unwrap();
    }
    let before = store.usage();
    assert_eq!((before.quota, before.is_full), (None, false));
    store.close().await;
    let (store, _) = Store::open(dir.path(), Options { quota: Some(100_000), ..Options::default() }).unwrap();
    assert_eq!(store.usage().bytes, before.bytes);
    assert_eq!(store.snapshot().count(&maps(), None), 3, "more than it may have, since before");
    assert!(is_refused(store.commit(vec![put(&key("d"), "v")]).await));
    for name in ["a", "b", "c"] {
        store.commit(vec![delete(&key(name))]).await.unwrap();
    }
    store.commit(vec![put(&key("d"), "v")]).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn an_object_that_is_larger_than_any_body_is_refused_alone() {
    let store = Store::in_memory(Options::default());
    store.commit(vec![put(&key("large"), &value(3_000_000))]).await.unwrap();
    let larger = store.commit(vec![put(&key("large"), &value(3 * 1024 * 1024))]);
    let (larger, small) = tokio::join!(larger, store.commit(vec![put(&key("small"), "v")]));
    assert!(matches!(larger, Err(CommitError::TooLarge { .. })), "{larger:?}");
    small.unwrap();
    assert_eq!(common::value(&store.snapshot().get(&maps(), &key("large")).unwrap()).len(), 3_000_000);
}

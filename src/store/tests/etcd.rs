//! What only an etcd can do: be away, be slow, be somebody else's, be set back.

mod common;

use ::etcd::{Client, Compare, Op, Transaction};
use api::ResourceVersion;
use common::etcd::{EtcdServer, PREFIX, place};
use common::{Kept, delete, key, lazily, maps, put, put_if, value};
use std::time::{Duration, Instant};
use store::{Backend, CommitError, Credentials, OpenError, Options, Precondition, Store, Write};

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

/// The keys below the prefix, as a person sees them.
async fn keys(kept: &Kept, below: &str) -> Vec<String> {
    let prefix = at(below);
    let (keys, more) = tool(kept).page(&prefix, &prefix, soon()).await.unwrap();
    assert!(!more);
    keys.into_iter().map(|key| String::from_utf8(key.key).unwrap()).collect()
}

async fn change(kept: &Kept, ops: Vec<Op>) {
    let transaction = Transaction { then: ops, ..Transaction::default() };
    assert!(tool(kept).transact(transaction, soon()).await.unwrap().succeeded);
}

async fn read(kept: &Kept, what: &str) -> String {
    let key = at(what);
    let (found, _) = tool(kept).page(&key, &key, soon()).await.unwrap();
    String::from_utf8(found[0].value.clone()).unwrap()
}

fn refusal(kept: &Kept) -> OpenError {
    kept.try_open().map(|_| ()).unwrap_err()
}

/// Another directory on the same etcd: another machine.
fn elsewhere(kept: &Kept) -> (tempfile::TempDir, Options) {
    (tempfile::tempdir().unwrap(), kept.options())
}

/// As many objects as no transaction of etcd takes, and as large.
fn many(count: usize, bytes: usize, text: &str) -> Vec<Write> {
    (0..count).map(|number| put(&key(&format!("many-{number:04}")), &text.repeat(bytes))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_can_be_read_with_a_tool_and_nothing_is_left_of_who_has_ended() {
    let Some(kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    store.commit(vec![put(&key("a"), "hello")]).await.unwrap();
    assert!(read(&kept, "holder").await.starts_with(&format!("process {} on ", std::process::id())));
    store.close().await;
    let value = read(&kept, "objects/configmaps/default/a").await;
    let (head, json) = value.split_once('\n').unwrap();
    assert!(head.starts_with("1 "), "{head}");
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(
        (&json["data"]["value"], &json["metadata"]["resourceVersion"]),
        (&"hello".into(), &"1".into())
    );
    let state = read(&kept, "state").await;
    assert!(state.contains("\nrevision 1\n") && state.contains("\nobjects 1\n"), "{state}");
    let prefix = |what: &str| format!("{PREFIX}{what}");
    assert_eq!(keys(&kept, "").await, [prefix("objects/configmaps/default/a"), prefix("state")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_larger_than_any_transaction_is_whole() {
    let Some(kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    for (count, bytes) in [(1000, 10), (5, 600_000), (300, 20_000), (1, 1_500_000)] {
        let committed = store.commit(many(count, bytes, "x")).await.unwrap();
        assert_eq!(committed.objects.len(), count);
    }
    // what one request writes twice is there once
    store.commit(vec![put(&key("twice"), "1"), put(&key("twice"), "2")]).await.unwrap();
    let all: Vec<Write> = (0..1000).map(|number| delete(&key(&format!("many-{number:04}")))).collect();
    store.commit(all).await.unwrap();
    let newest = store.revision();
    store.close().await;
    assert_eq!(keys(&kept, "journal/").await, Vec::<String>::new());
    let (store, recovery) = kept.try_open().unwrap();
    assert_eq!((store.revision(), recovery.notes), (newest, Vec::new()));
    assert_eq!(store.snapshot().count(&maps(), None), 1);
    assert_eq!(value(&store.snapshot().get(&maps(), &key("twice")).unwrap()), "2");
}

/// Killed again and again between the parts of large commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_commit_is_there_as_a_whole_or_not_at_all_after_a_kill() {
    let Some(kept) = Kept::in_etcd() else { return };
    const COUNT: usize = 700;
    if kept.is_child() {
        let store = kept.open();
        println!("open");
        for round in 0.. {
            store.commit(many(COUNT, 1, &format!("{round} "))).await.unwrap();
            println!("acknowledged {round}");
        }
    }
    // the names of tests are those of the other files; this one is in no module
    for wait in (0..12).map(|step| Duration::from_millis(60 * step + 7)) {
        let mut child = kept.child("");
        let mut running = std::process::Command::new(child.get_program())
            .args(["--exact", "a_large_commit_is_there_as_a_whole_or_not_at_all_after_a_kill", "--nocapture"])
            .envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let _ = &mut child;
        let out = std::io::BufReader::new(running.stdout.take().unwrap());
        let mut lines = std::io::BufRead::lines(out).map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with("open")), "it does not come up");
        std::thread::sleep(wait);
        running.kill().unwrap();
        running.wait().unwrap();
        let last = lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u64>().ok()).last();
        let store = kept.open();
        let snapshot = store.snapshot();
        let values: std::collections::BTreeSet<String> =
            snapshot.list(&maps(), None, None).map(value).collect();
        assert!(values.len() <= 1, "after {wait:?}: half of one commit, half of another: {values:?}");
        assert!([0, COUNT].contains(&snapshot.count(&maps(), None)), "after {wait:?}");
        if let Some(last) = last {
            let there: u64 = values.first().unwrap().trim().parse().unwrap();
            assert!(there == last || there == last + 1, "after {wait:?}: {last} was acknowledged, {there}");
        }
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_etcd_would_not_take_is_refused_alone() {
    let Some(kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    let large = store.commit(vec![put(&key("large"), &"x".repeat(1_600_000))]);
    let (large, small) = tokio::join!(large, store.commit(vec![put(&key("small"), "v")]));
    assert!(matches!(large, Err(CommitError::TooLarge { .. })), "{large:?}");
    small.unwrap();
    assert_eq!(store.revision(), ResourceVersion(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_is_away_refuses_writes_in_time_and_they_go_on_when_it_is_back() {
    let Some(mut kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    store.commit(vec![put(&key("before"), "v")]).await.unwrap();
    kept.server.as_mut().unwrap().kill();
    let began = Instant::now();
    let refused = store.commit(vec![put(&key("a"), "away")]).await.unwrap_err();
    let why = refused.to_string();
    assert!(began.elapsed() < PATIENCE, "it waits for ever");
    let endpoint = kept.server.as_ref().unwrap().endpoint();
    assert!(why.contains(&endpoint) && why.contains("no answer") && why.contains("refused"), "{why}");
    assert_eq!(store.revision(), ResourceVersion(1), "nothing of it is seen");
    // what may lag is seen, and waits
    store.commit(vec![lazily(put(&key("lazy"), "v"))]).await.unwrap();
    kept.server.as_mut().unwrap().again();
    store.commit(vec![put_if(Precondition::Absent, &key("a"), "back")]).await.unwrap();
    let newest = store.revision();
    store.close().await;
    let (store, recovery) = kept.try_open().unwrap();
    assert_eq!((store.revision(), recovery.notes), (newest, Vec::new()));
    let snapshot = store.snapshot();
    assert_eq!(value(&snapshot.get(&maps(), &key("a")).unwrap()), "back");
    assert_eq!(snapshot.count(&maps(), None), 3);
}

/// It had the request and said nothing: what was given up takes place later, when nobody waits for it any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_given_up_and_takes_place_all_the_same_is_put_right() {
    for size in ["small", "large"] {
        let Some(kept) = Kept::in_etcd() else { return };
        let store = kept.open();
        store.commit(vec![put(&key("kept"), "old"), put(&key("gone"), "old")]).await.unwrap();
        kept.server.as_ref().unwrap().signal("-STOP");
        let mut writes =
            vec![put(&key("kept"), "given up"), delete(&key("gone")), put(&key("new"), "given up")];
        if size == "large" {
            writes.extend(many(300, 10, "x"));
        }
        let refused = store.commit(writes).await.unwrap_err();
        assert!(refused.to_string().contains("does not answer"), "{size}: {refused}");
        kept.server.as_ref().unwrap().signal("-CONT");
        // the connection is still there on etcd's side, with the request in it
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(store.revision(), ResourceVersion(2));
        store.commit(vec![put(&key("after"), "v")]).await.unwrap();
        let newest = store.revision();
        store.close().await;
        let (store, recovery) = kept.try_open().unwrap();
        assert_eq!((store.revision(), recovery.notes), (newest, Vec::new()), "{size}");
        let snapshot = store.snapshot();
        assert_eq!(value(&snapshot.get(&maps(), &key("kept")).unwrap()), "old", "{size}");
        assert_eq!(value(&snapshot.get(&maps(), &key("gone")).unwrap()), "old", "{size}");
        assert_eq!(snapshot.count(&maps(), None), 3, "{size}");
        store.close().await;
        assert_eq!(keys(&kept, "journal/").await, Vec::<String>::new(), "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_owner_is_refused_and_told_who_holds_it() {
    let Some(kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    let same = refusal(&kept).to_string();
    assert!(same.contains(&format!("in use by process {}: stop that first", std::process::id())), "{same}");
    let (dir, options) = elsewhere(&kept);
    let began = Instant::now();
    let other = Store::open(dir.path(), Options { take_over: true, ..options }).map(|_| ()).unwrap_err();
    assert!(matches!(other, OpenError::InUse { .. }), "{other}");
    let said = other.to_string();
    assert!(said.contains(PREFIX) && said.contains(&format!("process {} on ", std::process::id())), "{said}");
    // a lease runs for fifteen seconds, and nobody has waited for it to be over
    assert!(began.elapsed() < Duration::from_secs(15), "at once");
    store.commit(vec![put(&key("a"), "v")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_another_machine_is_taken_over_only_when_it_is_asked_for() {
    let Some(kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    store.commit(vec![put(&key("a"), "v")]).await.unwrap();
    store.close().await;
    let (dir, options) = elsewhere(&kept);
    let refused = Store::open(dir.path(), options.clone()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, OpenError::Another { .. }), "{refused}");
    assert!(refused.to_string().contains("1 objects, revision 1"), "{refused}");
    let options = Options { take_over: true, ..options };
    let (store, recovery) = Store::open(dir.path(), options).unwrap();
    assert!(recovery.notes[0].contains("took over 1 objects at revision 1"), "{recovery:?}");
    store.commit(vec![put(&key("a"), "theirs")]).await.unwrap();
    store.close().await;
    assert!(matches!(refusal(&kept), OpenError::Another { .. }), "and so is it for the first");
}

/// Its lease has run out, and another has come: whatever it still sends changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn one_who_has_lost_the_holder_s_key_writes_nothing_any_more_and_hears_of_it() {
    let Some(kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    store.commit(vec![put(&key("a"), "first")]).await.unwrap();
    change(&kept, vec![Op::delete(at("holder"))]).await; // as etcd does when a lease is over
    let (dir, options) = elsewhere(&kept);
    let (second, _) = Store::open(dir.path(), Options { take_over: true, ..options }).unwrap();
    let refused = store.commit(vec![put(&key("a"), "first again")]).await.unwrap_err();
    assert!(matches!(refused, CommitError::TakenOver(_)), "{refused}");
    let why = tokio::time::timeout(PATIENCE, store.taken_over()).await.unwrap();
    assert!(why.contains(PREFIX), "{why}");
    second.commit(vec![put(&key("a"), "second")]).await.unwrap();
    second.close().await;
    assert!(store.commit(vec![put(&key("a"), "first again")]).await.is_err(), "also when the other has gone");
    assert!(read(&kept, "objects/configmaps/default/a").await.contains("second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ran_out_is_taken_anew_where_nobody_came() {
    let Some(kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    store.commit(vec![put(&key("a"), "1")]).await.unwrap();
    change(&kept, vec![Op::delete(at("holder"))]).await;
    store.commit(vec![put(&key("a"), "2")]).await.unwrap();
    let (dir, options) = elsewhere(&kept);
    let other = Store::open(dir.path(), Options { take_over: true, ..options }).map(|_| ());
    assert!(matches!(other, Err(OpenError::InUse { .. })), "{other:?}");
    store.commit(vec![put(&key("a"), "3")]).await.unwrap();
    store.close().await;
    assert_eq!(value(&kept.open().snapshot().get(&maps(), &key("a")).unwrap()), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_behind_its_back_is_found_out_and_left_alone() {
    let cases: [(&str, fn() -> Vec<Op>, &str, usize); 6] = [
        (
            "a key is gone",
            || vec![Op::delete(at("objects/configmaps/default/b"))],
            "2 objects are in it, 3 were written",
            2,
        ),
        (
            "a value is garbage",
            || vec![Op::put(at("objects/configmaps/default/b"), b"x".to_vec())],
            "can not be read: /monopod/test/objects/configmaps/default/b",
            2,
        ),
        (
            "a key is gone, and a value is garbage",
            || {
                let garbage = Op::put(at("objects/configmaps/default/b"), b"x".to_vec());
                vec![Op::delete(at("objects/configmaps/default/a")), garbage]
            },
            "1 objects that can be read are in it, 3 were written",
            1,
        ),
        (
            "a key is nobody's",
            || vec![Op::put(at("objects/stranger"), b"x".to_vec())],
            "can not be read: /monopod/test/objects/stranger",
            3,
        ),
        (
            "everything is gone",
            || vec![Op::delete_prefix(&at(""))],
            "there is no state in it, though it held 3 objects at revision 3",
            0,
        ),
        (
            "the record is damaged",
            || vec![Op::put(at("state"), b"x".to_vec())],
            "the record of what was written can not be read",
            3,
        ),
    ];
    for (name, damage, want, left) in cases {
        let Some(kept) = Kept::in_etcd() else { return };
        let store = kept.open();
        for name in ["a", "b", "c"] {
            store.commit(vec![put(&key(name), "good")]).await.unwrap();
        }
        store.close().await;
        change(&kept, damage()).await;
        let before = keys(&kept, "").await;
        for _ in 0..2 {
            let refused = refusal(&kept);
            assert!(matches!(refused, OpenError::Lost { .. }), "{name}: {refused}");
            let why = refused.to_string();
            assert!(why.contains(want) && why.contains("--accept-loss"), "{name}: {why}");
            assert_eq!(keys(&kept, "").await, before, "{name}: a refusal changed something");
        }
        let options = Options { accept_loss: true, ..kept.options() };
        let (store, recovery) = Store::open(kept.dir(), options).unwrap();
        assert!(recovery.notes[0].contains("went on without what was lost"), "{name}: {recovery:?}");
        assert_eq!(store.snapshot().count(&maps(), None), left, "{name}");
        assert!(store.revision().0 >= 3, "{name}: a revision would be used twice");
        store.commit(vec![put(&key("new"), "v")]).await.unwrap();
        let newest = store.revision();
        store.close().await;
        let (store, recovery) = kept.try_open().unwrap();
        assert_eq!((store.revision(), recovery.notes), (newest, Vec::new()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_not_as_it_was_written_and_a_snapshot_that_is_older_are_found_out() {
    let Some(kept) = Kept::in_etcd() else { return };
    let store = kept.open();
    store.commit(vec![put(&key("a"), "good")]).await.unwrap();
    store.close().await;
    let (object, state) = ("objects/configmaps/default/a", read(&kept, "state").await);
    let good = read(&kept, object).await;
    change(&kept, vec![Op::put(at(object), good.replace("good", "evil").into_bytes())]).await;
    let why = refusal(&kept).to_string();
    assert!(why.contains("not as they were written: configmaps default/a"), "{why}");
    change(&kept, vec![Op::put(at(object), good.clone().into_bytes())]).await;
    let store = kept.open();
    store.commit(vec![put(&key("a"), "newer")]).await.unwrap();
    store.close().await;
    change(&kept, vec![Op::put(at(object), good.into_bytes()), Op::put(at("state"), state.into_bytes())])
        .await;
    let why = refusal(&kept).to_string();
    assert!(why.contains("the revisions 2 to 2 is not in it: an older snapshot of etcd"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_do_not_answer_are_named_and_passed_over() {
    let Some(kept) = Kept::in_etcd() else { return };
    let good = kept.server.as_ref().unwrap().endpoint();
    let (dead, deaf) = ("http://127.0.0.1:1", "http://192.0.2.1:2379");
    let at = |endpoints: &[&str]| Options { backend: Backend::Etcd(place(endpoints)), ..Options::default() };
    let began = Instant::now();
    let refused = Store::open(kept.dir(), at(&[dead])).map(|_| ()).unwrap_err();
    assert!(matches!(refused, OpenError::Unreachable { .. }), "{refused}");
    assert!(refused.to_string().contains("127.0.0.1:1: Connection refused"), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(20), "within some seconds");
    // nobody is there, and says so or says nothing
    let (store, _) = Store::open(kept.dir(), at(&[dead, deaf, &good])).unwrap();
    store.commit(vec![put(&key("a"), "v")]).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_is_said_and_what_is_there_stays() {
    let Some(server) = EtcdServer::start_with(&["--quota-backend-bytes=3000000"]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let options = Options { backend: Backend::Etcd(place(&[&server.endpoint()])), ..Options::default() };
    let (store, _) = Store::open(dir.path(), options.clone()).unwrap();
    let mut stored = 0;
    let refused = loop {
        match store.commit(vec![put(&key(&format!("a{stored}")), &"x".repeat(200_000))]).await {
            Ok(_) => stored += 1,
            Err(error) => break error.to_string(),
        }
        assert!(stored < 100, "3 MB hold no 20 MB");
    };
    assert!(
        refused.contains("the quota of its database is used up") && refused.contains("defrag"),
        "{refused}"
    );
    assert_eq!(store.revision().0, stored);
    // what is read stays, and goes on as soon as there is room: etcd takes deletions
    assert_eq!(store.snapshot().count(&maps(), None) as u64, stored);
    store.close().await;
    let client = Client::new(vec![server.endpoint().parse().unwrap()], Credentials::default());
    let (there, _) = client.page(&at("objects/"), &at("objects/"), soon()).await.unwrap();
    // etcd may have applied the very write with which it noticed that its room is used up
    assert!((stored..=stored + 1).contains(&(there.len() as u64)), "{} of {stored}", there.len());
    // and who would begin now is told the same
    let refused = Store::open(dir.path(), options).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("the quota of its database is used up"), "{refused}");
}

/// The comparison that everything rests on.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_there_was_changed_at_0() {
    let Some(kept) = Kept::in_etcd() else { return };
    let put_once = || Transaction {
        when: vec![Compare::changed_at(b"once", 0)],
        then: vec![Op::put(b"once".to_vec(), b"v".to_vec())],
        otherwise: Vec::new(),
    };
    assert!(tool(&kept).transact(put_once(), soon()).await.unwrap().succeeded);
    assert!(!tool(&kept).transact(put_once(), soon()).await.unwrap().succeeded);
}

/// Each of three members is killed once, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn of_three_members_one_may_be_gone() {
    let Some(mut servers) = EtcdServer::cluster(3, &[]) else { return };
    let endpoints: Vec<String> = servers.iter().map(EtcdServer::endpoint).collect();
    let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    let dir = tempfile::tempdir().unwrap();
    let options = Options { backend: Backend::Etcd(place(&endpoints)), ..Options::default() };
    let (store, _) = Store::open(dir.path(), options.clone()).unwrap();
    for (number, server) in servers.iter_mut().enumerate() {
        server.kill();
        for round in 0..5 {
            store.commit(vec![put(&key(&format!("a{number}-{round}")), "v")]).await.unwrap();
        }
        server.again();
        store.commit(vec![put(&key(&format!("b{number}")), "v")]).await.unwrap();
    }
    let newest = store.revision();
    store.close().await;
    let (store, recovery) = Store::open(dir.path(), options).unwrap();
    assert_eq!((store.revision(), recovery.notes), (newest, Vec::new()));
    assert_eq!(store.snapshot().count(&maps(), None), 18);
}

/// Of a machine that lost its power and is up again before its lease has run out.
#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_boot_of_this_machine_is_waited_for() {
    let Some(kept) = Kept::in_etcd() else { return };
    kept.open().close().await;
    let owner = std::fs::read_to_string(kept.dir().join("etcd.owner")).unwrap();
    // so long that it has not run out when the other looks
    let lease = tool(&kept).grant(Duration::from_secs(10), soon()).await.unwrap();
    let holder = format!("process 1 on here\nsession s\nowner {owner}\nboot another\n");
    change(&kept, vec![Op::put_leased(at("holder"), holder.into_bytes(), lease)]).await;
    let (dir, options) = elsewhere(&kept);
    let other = Store::open(dir.path(), Options { take_over: true, ..options }).map(|_| ()).unwrap_err();
    assert!(other.to_string().contains("process 1 on here (if that is gone"), "{other}");
    let store = kept.open();
    store.commit(vec![put(&key("a"), "v")]).await.unwrap();
}

//! What is encrypted at rest: it is stored under the key that comes first, whatever it was stored under before, read by every key
//! that is there, and never lost where one is missing.

mod common;

use ::etcd::{Client, Op, Transaction};
use common::etcd::place;
use common::{Kept, delete, draft, encrypted_by, key, maps, on_each_backend, put, value};
use encryption::Encryption;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Backend, Change, OpenError, Options, Recovery, Resource, Store, Write, copy};

on_each_backend! {
    a_key_that_is_put_first_is_the_one_that_everything_is_stored_under
    without_the_key_nothing_is_read_and_nothing_is_changed
    what_was_changed_or_moved_is_refused_and_no_loss_that_can_be_accepted
}

const NEEDLE: &str = "the-plain-text-of-a-secret";

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(30)
}

fn try_open(kept: &Kept, encryption: &Arc<Encryption>) -> Result<(Store, Recovery), OpenError> {
    Store::open(kept.dir(), Options { encryption: encryption.clone(), ..kept.options() })
}

/// Of a resource that no rule is about.
fn event(name: &str) -> Write {
    let (resource, change) = (Resource::from("events"), Change::Put(draft(&key(name), "v")));
    Write { resource, change, ..put(&key(name), "") }
}

/// Value and revision of each ConfigMap.
fn all(store: &Store) -> BTreeMap<String, (String, u64)> {
    let snapshot = store.snapshot();
    let of = |object: &api::Object| (object.key().to_string(), (value(object), object.revision().0));
    snapshot.list(&maps(), None, None).map(of).collect()
}

/// What is stored of each ConfigMap, by its name.
async fn stored(kept: &Kept) -> BTreeMap<String, Vec<u8>> {
    let Backend::Etcd(etcd) = kept.options().backend else {
        let file = rusqlite::Connection::open(kept.dir().join("cluster.db")).unwrap();
        let mut rows = file.prepare("SELECT name, json FROM objects WHERE resource = 'configmaps'").unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get_ref(1)?.as_bytes()?.to_vec()));
        return rows.query_map([], row).unwrap().map(Result::unwrap).collect();
    };
    let below = format!("{}objects/configmaps/default/", etcd.prefix).into_bytes();
    let (mut all, mut from) = (BTreeMap::new(), below.clone());
    loop {
        let client = Client::new(etcd.endpoints.clone(), etcd.credentials.clone());
        let (keys, more) = client.page(&below, &from, soon()).await.unwrap();
        from = [&keys.last().unwrap().key[..], &[0]].concat();
        for found in keys {
            let name = String::from_utf8(found.key[below.len()..].to_vec()).unwrap();
            let line = found.value.iter().position(|byte| *byte == b'\n').unwrap();
            all.insert(name, found.value[line + 1..].to_vec());
        }
        if !more {
            return all;
        }
    }
}

/// As somebody would who may write there, but has no key. Its revision is 1.
async fn overwrite(kept: &Kept, name: &str, sum: u64, stored: &[u8]) {
    let Backend::Etcd(etcd) = kept.options().backend else {
        let file = rusqlite::Connection::open(kept.dir().join("cluster.db")).unwrap();
        file.execute("UPDATE objects SET json = ? WHERE name = ?", (stored, name)).unwrap();
        return;
    };
    let at = format!("{}objects/configmaps/default/{name}", etcd.prefix).into_bytes();
    let value = [format!("1 {sum}\n").as_bytes(), stored].concat();
    let client = Client::new(etcd.endpoints.clone(), etcd.credentials.clone());
    let put = Transaction { then: vec![Op::put(at, value)], ..Transaction::default() };
    client.transact(put, soon()).await.unwrap();
}

async fn a_key_that_is_put_first_is_the_one_that_everything_is_stored_under(kept: &Kept) {
    let (store, _) = try_open(kept, &Arc::default()).unwrap();
    // more than one transaction takes
    for names in (0..300).collect::<Vec<_>>().chunks(50) {
        let writes =
            names.iter().map(|number| put(&key(&format!("a{number}")), &format!("{NEEDLE} {number}")));
        store.commit(writes.collect()).await.unwrap();
    }
    store.commit(vec![event("e")]).await.unwrap();
    let (state, revision) = (all(&store), store.revision());
    store.close().await;
    for (providers, form, renewed) in [
        (&["aesgcm/old", "identity"][..], "k8s:enc:aesgcm:v1:old:", true),
        (&["aesgcm/old"], "k8s:enc:aesgcm:v1:old:", false),
        (&["aesgcm/new", "aesgcm/old"], "k8s:enc:aesgcm:v1:new:", true),
        (&["secretbox/box", "aesgcm/new"], "k8s:enc:secretbox:v1:box:", true),
        (&["aescbc/cbc", "secretbox/box"], "k8s:enc:aescbc:v1:cbc:", true),
        (&["identity", "aescbc/cbc"], "{", true),
        (&["identity"], "{", false),
    ] {
        let encryption = encrypted_by(providers);
        for renewed in [renewed, false] {
            let (store, recovery) = try_open(kept, &encryption).unwrap();
            let told = recovery.notes.iter().filter(|note| note.contains(": 300 objects are stored anew"));
            assert_eq!(
                (told.count(), recovery.notes.len()),
                (renewed.into(), renewed.into()),
                "{providers:?}"
            );
            assert_eq!((all(&store), store.revision()), (state.clone(), revision), "{providers:?}");
            assert_eq!(store.snapshot().count(&Resource::from("events"), None), 1);
            store.close().await;
        }
        let stored = stored(kept).await;
        assert_eq!(stored.len(), 300, "{providers:?}");
        assert!(stored.values().all(|stored| stored.starts_with(form.as_bytes())), "{providers:?}");
    }
    assert!(try_open(kept, &Arc::default()).unwrap().1.notes.is_empty(), "nothing of it is left");
}

async fn without_the_key_nothing_is_read_and_nothing_is_changed(kept: &Kept) {
    let old = encrypted_by(&["aesgcm/old"]);
    let (store, _) = try_open(kept, &old).unwrap();
    for number in 0..12 {
        store.commit(vec![put(&key(&format!("a{number:02}")), NEEDLE)]).await.unwrap();
    }
    let state = all(&store);
    store.close().await;
    let before = (stored(kept).await, files(kept.dir()));
    let another_secret = Arc::new({
        let text = "{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{resources: [configmaps], \
                    providers: [{aesgcm: {keys: [{name: old, secret: AAAAAAAAAAAAAAAAAAAAAA==}]}}]}]}";
        Encryption::parse(text).unwrap()
    });
    let unknown = "encrypted by aesgcm with the key \"old\", which";
    for (name, encryption, want) in [
        ("no configuration", Arc::default(), unknown),
        ("another key", encrypted_by(&["aesgcm/new", "identity"]), unknown),
        ("identity alone", encrypted_by(&["identity"]), unknown),
        ("another secret", another_secret, "the key \"old\" of aesgcm does not decrypt it"),
    ] {
        for accept_loss in [false, true] {
            let options = Options { encryption: encryption.clone(), accept_loss, ..kept.options() };
            let refused = Store::open(kept.dir(), options).map(|_| ()).unwrap_err();
            assert!(matches!(refused, OpenError::Undecryptable { .. }), "{name}: {refused}");
            let why = refused.to_string();
            for part in [
                "configmaps default/a00, ",
                " and 2 more can not be read",
                want,
                "--encryption-provider-config",
            ] {
                assert!(why.contains(part), "{name}: {part}: {why}");
            }
            assert!(!why.contains("--accept-loss"), "{name}: {why}");
        }
        assert!((stored(kept).await, files(kept.dir())) == before, "{name}: a refusal changed something");
    }
    let (store, recovery) = try_open(kept, &old).unwrap();
    assert_eq!((all(&store), recovery.notes), (state, Vec::new()));
}

async fn what_was_changed_or_moved_is_refused_and_no_loss_that_can_be_accepted(kept: &Kept) {
    let encryption = encrypted_by(&["aesgcm/key"]);
    let (store, _) = try_open(kept, &encryption).unwrap();
    store.commit(vec![put(&key("a"), "1"), put(&key("b"), "2")]).await.unwrap();
    store.close().await;
    let good = stored(kept).await;
    let (a, b) = (&good["a"], &good["b"]);
    let mut changed = a.clone();
    *changed.last_mut().unwrap() ^= 1;
    let plain = br#"{"metadata":{"name":"a","namespace":"default"}}"#.to_vec();
    let of_key = "the key \"key\" of aesgcm does not decrypt it";
    for (name, bad, want) in [
        ("a byte", &changed, of_key),
        ("cut short", &a[..30].to_vec(), of_key),
        ("of another object", b, of_key),
        ("plain", &plain, "not encrypted, and the encryption configuration has no `identity`"),
    ] {
        overwrite(kept, "a", 7, bad).await;
        let options = Options { encryption: encryption.clone(), accept_loss: true, ..kept.options() };
        let refused = Store::open(kept.dir(), options).map(|_| ()).unwrap_err();
        assert!(matches!(refused, OpenError::Undecryptable { .. }), "{name}: {refused}");
        let why = refused.to_string();
        assert!(why.contains("configmaps default/a can not be read") && why.contains(want), "{name}: {why}");
        assert_eq!(&stored(kept).await["a"], bad, "{name}: a refusal changed something");
    }
}

/// All of a directory, but for who had it last.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let all = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let named = all
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()));
    named.filter(|(name, _)| name != "cluster.lock").collect()
}

/// The files in which it is.
fn holding(dir: &Path, text: &str) -> Vec<String> {
    let holds = |bytes: &Vec<u8>| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    files(dir).into_iter().filter(|(_, bytes)| holds(bytes)).map(|(name, _)| name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_that_was_there_before_is_in_no_page_of_the_file_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let open = |encryption: &Arc<Encryption>| {
        Store::open(dir.path(), Options { encryption: encryption.clone(), ..Options::default() }).unwrap()
    };
    let (store, _) = open(&Arc::default());
    // on pages of their own and on pages that others are on, some of it deleted or shortened since
    for number in 0..200 {
        let value = format!("{NEEDLE} ").repeat(1 + number % 7 * 60);
        store.commit(vec![put(&key(&format!("a{number}")), &value)]).await.unwrap();
    }
    for number in 0..100 {
        store.commit(vec![delete(&key(&format!("a{number}")))]).await.unwrap();
    }
    store.commit(vec![put(&key("a150"), "short")]).await.unwrap();
    store.close().await;
    assert_eq!(holding(dir.path(), NEEDLE), ["cluster.db"]);

    let encryption = encrypted_by(&["aesgcm/old", "identity"]);
    let (store, recovery) = open(&encryption);
    assert!(recovery.notes[0].contains(": 100 objects are stored anew"), "{recovery:?}");
    let none: [&str; 0] = [];
    assert_eq!(holding(dir.path(), NEEDLE), none, "from the start on, also of one that is killed");
    store.commit(vec![put(&key("more"), NEEDLE)]).await.unwrap();
    assert_eq!(holding(dir.path(), NEEDLE), none, "nor is it in the log");
    store.close().await;
    assert_eq!(holding(dir.path(), NEEDLE), none);
    let name = "k8s:enc:aesgcm:v1:old:";
    assert_eq!(holding(dir.path(), name), ["cluster.db"]);
    // and what was encrypted with a key that is not used any more
    let (store, _) = open(&encrypted_by(&["aesgcm/new", "aesgcm/old"]));
    assert_eq!(value(&store.snapshot().get(&maps(), &key("more")).unwrap()), NEEDLE);
    assert_eq!(holding(dir.path(), name), none);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_before_everything_was_encrypted_is_gone_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = common::open(dir.path());
    store.commit(vec![put(&key("a"), NEEDLE)]).await.unwrap();
    store.commit(vec![delete(&key("a"))]).await.unwrap();
    store.close().await;
    assert_eq!(holding(dir.path(), NEEDLE), ["cluster.db"]);
    let options = Options { encryption: encrypted_by(&["aesgcm/key"]), ..Options::default() };
    let (store, recovery) = Store::open(dir.path(), options.clone()).unwrap();
    assert_eq!((holding(dir.path(), NEEDLE), recovery.notes), (Vec::new(), Vec::new()));
    store.close().await;
    // once: a start that changes nothing writes nothing
    let file = std::fs::read(dir.path().join("cluster.db")).unwrap();
    Store::open(dir.path(), options).unwrap().0.close().await;
    assert!(std::fs::read(dir.path().join("cluster.db")).unwrap() == file);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_encrypted_on_both_sides() {
    let Some(kept) = Kept::in_etcd() else { return };
    let (dir, encryption) = (kept.dir(), encrypted_by(&["aesgcm/new", "aesgcm/old", "identity"]));
    let Backend::Etcd(etcd) = kept.options().backend else { panic!("it is in etcd") };
    let (file, etcd) = (Backend::File, Backend::Etcd(place(&[&etcd.endpoints[0].to_string()])));
    let at = |backend: &Backend, encryption: &Arc<Encryption>| {
        let (backend, encryption) = (backend.clone(), encryption.clone());
        Store::open(dir, Options { backend, encryption, ..Options::default() })
    };
    let (store, _) = at(&file, &encrypted_by(&["aesgcm/old"])).unwrap();
    for number in 0..5 {
        store.commit(vec![put(&key(&format!("a{number}")), NEEDLE)]).await.unwrap();
    }
    let state = all(&store);
    store.close().await;
    let source = std::fs::read(dir.join("cluster.db")).unwrap();
    let without = copy(dir, &file, &etcd, false, &Arc::default()).unwrap_err().to_string();
    assert!(without.contains("with the key \"old\""), "{without}");
    copy(dir, &file, &etcd, false, &encryption).unwrap();
    assert!(std::fs::read(dir.join("cluster.db")).unwrap() == source, "the source was changed");
    let of_new = |stored: BTreeMap<String, Vec<u8>>| {
        stored.len() == 5 && stored.values().all(|stored| stored.starts_with(b"k8s:enc:aesgcm:v1:new:"))
    };
    assert!(of_new(stored(&kept).await));
    let (store, recovery) = at(&etcd, &encrypted_by(&["aesgcm/new"])).unwrap();
    assert_eq!((all(&store), recovery.notes), (state.clone(), Vec::new()));
    store.close().await;
    copy(dir, &etcd, &file, true, &encryption).unwrap();
    assert_eq!(holding(dir, NEEDLE), Vec::<String>::new());
    let (store, recovery) = at(&file, &encrypted_by(&["aesgcm/new"])).unwrap();
    assert_eq!((all(&store), recovery.notes), (state, Vec::new()));
    store.close().await;
}

mod credentials;

use super::*;
use crate::layer_jobs::LayerKey;
use crate::progress::{LayerStatus, Silent};
use crate::testing::registry::FakeRegistry;
use crate::testing::{Tar, store};
use serde_json::json;
use std::sync::Mutex;

fn layer(name: &str) -> Vec<u8> {
    // random-like, so that packing leaves something to cut
    let noise =
        std::iter::successors(Some(1u64), |n| Some(n.wrapping_mul(6364136223846793005).wrapping_add(1)));
    let noise: Vec<u8> = noise.map(|n| (n >> 56) as u8).take(120_000).collect();
    Tar::new().file(name, name).file("noise", noise).bytes()
}

#[derive(Default)]
struct Seen(Mutex<Vec<PullEvent>>);

impl Progress for Seen {
    fn event(&self, event: PullEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl Seen {
    fn statuses(&self, of: &Digest) -> Vec<String> {
        let name = |status: &LayerStatus| format!("{status:?}").split([' ', '{']).next().unwrap().to_owned();
        let mut names: Vec<String> = self
            .0
            .lock()
            .unwrap()
            .iter()
            .filter_map(|event| match event {
                PullEvent::Layer { digest, status } if digest == of => Some(name(status)),
                _ => None,
            })
            .collect();
        names.dedup();
        names
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_and_its_story_told() {
    let (registry, t) = (FakeRegistry::start().await, store());
    let (id, blobs) = registry.put_image("v1", &[layer("a"), layer("b")]);
    let name = format!("{}/app:v1", registry.host);
    let seen = Arc::new(Seen::default());
    let info = t.store.pull_with(&name, &[], seen.clone()).await.unwrap();
    assert_eq!(info.id, id.to_string());
    assert_eq!(info.repo_tags, std::slice::from_ref(&name));
    assert!(info.repo_digests[0].starts_with(&format!("{}/app@sha256:", registry.host)));
    let rootfs = t.store.rootfs(&name).unwrap();
    assert_eq!(std::fs::read_to_string(rootfs.layers[0].join("b")).unwrap(), "b");
    let story = seen.statuses(&blobs[0]);
    let expected = [
        "PullingFsLayer",
        "Downloading",
        "VerifyingChecksum",
        "DownloadComplete",
        "Extracting",
        "PullComplete",
    ];
    assert_eq!(story, expected);
    assert!(matches!(seen.0.lock().unwrap().last(), Some(PullEvent::Done { newer: true, .. })));

    let again = Arc::new(Seen::default());
    t.store.pull_with(&info.repo_digests[0], &[], again.clone()).await.unwrap();
    assert_eq!(again.statuses(&blobs[0]), ["AlreadyExists"]);
    assert_eq!(registry.asked("/blobs/"), 3, "nothing is fetched twice");
}

/// Scripts look for "Downloaded newer image", and restart what runs.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_newer_where_the_name_meant_another_or_none() {
    let (registry, t) = (FakeRegistry::start().await, store());
    registry.put_image("v1", &[layer("a")]);
    registry.put_image("v2", &[layer("b")]);
    let name = |tag: &str| format!("{}/app:{tag}", registry.host);
    let pull = async |tag: &str| {
        let seen = Arc::new(Seen::default());
        t.store.pull_with(&name(tag), &[], seen.clone()).await.unwrap();
        let told = seen.0.lock().unwrap();
        matches!(told.last(), Some(PullEvent::Done { newer: true, .. }))
    };
    assert_eq!((pull("v1").await, pull("v1").await), (true, false));
    assert!(pull("v2").await);
    t.store.tag(&name("v2"), &name("v1")).unwrap();
    assert_eq!((pull("v1").await, pull("v1").await), (true, false), "it had been moved to another");
    t.store.tag(&name("v1"), "kept").unwrap();
    t.store.untag(&[name("v1")]).unwrap();
    assert!(pull("v1").await, "the image is here, by another name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_download_goes_on_where_it_was_cut() {
    for ignore_ranges in [false, true] {
        let (registry, t) = (FakeRegistry::start().await, store());
        let (_, blobs) = registry.put_image("v1", &[layer("a")]);
        registry.change(|state| {
            state.cuts = vec![30_000];
            state.ignore_ranges = ignore_ranges;
        });
        let seen = Arc::new(Seen::default());
        let name = format!("{}/a:v1", registry.host);
        t.store.pull_with(&name, &[], seen.clone()).await.unwrap();
        assert_eq!(registry.asked("bytes=30000-"), 1, "ranges ignored: {ignore_ranges}");
        assert!(seen.statuses(&blobs[0]).contains(&"Retrying".to_owned()));
        assert_eq!(std::fs::read_to_string(t.store.rootfs(&name).unwrap().layers[0].join("a")).unwrap(), "a");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_match_its_digest_is_refused_and_leaves_nothing() {
    let packed = crate::testing::gzip(&layer("a"));
    // unpacks to the same, but for the time in gzip's header
    let mut other_time = packed.clone();
    other_time[4] ^= 1;
    let mut broken = packed.clone();
    broken[packed.len() / 2] ^= 1;
    for (name, forge, want) in [
        ("another blob", other_time, "verification failed"),
        ("a broken blob", broken, "layer"),
        ("a shorter blob", packed[..1000].to_vec(), "has 1000 bytes, its manifest says"),
    ] {
        let (registry, t) = (FakeRegistry::start().await, store());
        let (_, blobs) = registry.put_image("v1", &[layer("a")]);
        registry.forge_blob(&blobs[0], forge);
        let why = t
            .store
            .pull_with(&format!("{}/a:v1", registry.host), &[], Arc::new(Silent))
            .await
            .expect_err(name);
        assert!(why.to_string().contains(want), "{name}: {why}");
        assert_eq!(t.store.images(), [], "{name}");
        for directory in ["layers", "tmp"] {
            assert_eq!(
                std::fs::read_dir(t.dir.path().join(directory)).unwrap().count(),
                0,
                "{name}: {directory}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_manifest_or_configuration_is_refused() {
    let (registry, t) = (FakeRegistry::start().await, store());
    let (id, _) = registry.put_image("v1", &[layer("a")]);
    let forged = crate::testing::config(&[layer("b")]);
    registry.forge_blob(&id, forged);
    let why = t.store.pull_with(&format!("{}/a:v1", registry.host), &[], Arc::new(Silent)).await.unwrap_err();
    assert!(why.to_string().contains("blob verification failed"), "{why}");
    let promised = Digest::of(b"something else");
    registry.put_manifest(promised.as_str(), manifest::OCI_MANIFEST, &json!({"schemaVersion": 2}));
    let name = format!("{}/a@{promised}", registry.host);
    let why = t.store.pull_with(&name, &[], Arc::new(Silent)).await.unwrap_err();
    assert!(why.to_string().contains("manifest verification failed"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_leads_to_the_image_for_this_machine() {
    let (registry, t) = (FakeRegistry::start().await, store());
    let (id, _) = registry.put_image("inner", &[layer("a")]);
    let inner = registry.change(|state| state.manifest_digest("inner"));
    let entry = |digest: &Digest, arch: &str| {
        json!({"mediaType": manifest::OCI_MANIFEST, "digest": digest, "size": 1,
        "platform": {"os": "linux", "architecture": arch}})
    };
    let index = json!({"schemaVersion": 2, "mediaType": manifest::OCI_INDEX,
        "manifests": [entry(&Digest::of(b"s390x"), "s390x"), entry(&inner, manifest::architecture())]});
    let digest = registry.put_manifest("multi", manifest::OCI_INDEX, &index);
    let info = t.store.pull_with(&format!("{}/a:multi", registry.host), &[], Arc::new(Silent)).await.unwrap();
    assert_eq!(info.id, id.to_string());
    assert!(info.repo_digests[0].ends_with(digest.as_str()), "the name's digest is the index's");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_in_words() {
    let (registry, t) = (FakeRegistry::start().await, store());
    let book = json!({"schemaVersion": 2, "annotations": {"a": "b".repeat(5 << 20)}});
    registry.put_manifest("book", manifest::OCI_MANIFEST, &book);
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    for (name, reference, want) in [
        ("no such tag", format!("{}/a:none", registry.host), "manifest unknown"),
        ("nobody there", format!("{address}/a"), "connect: connection refused"),
        ("no reference", "A b".to_owned(), "invalid reference format"),
        ("a book of a manifest", format!("{}/a:book", registry.host), "answer is larger than 4194304 bytes"),
    ] {
        let why = t.store.pull_with(&reference, &[], Arc::new(Silent)).await.expect_err(name);
        assert!(why.to_string().contains(want), "{name}: {why}");
    }
}

/// Whoever may pull from any of them could end the pulls of others, with a manifest that names what his own has not.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_has_not_a_layer_says_nothing_of_another() {
    let (registry, t) = (FakeRegistry::start().await, store());
    let (_, blobs) = registry.put_image("v1", &[layer("a")]);
    let key =
        LayerKey { chain: Digest::of(&layer("a")), blob: blobs[0].clone(), from: registry.host.clone() };
    let others = t.store.inner.jobs.join(&key, Arc::new(Silent), |watchers| {
        let fails = async move {
            drop(watchers);
            Err::<u64, _>(ImageError::Unknown("blob unknown".to_owned()))
        };
        fails.boxed().shared()
    });
    t.store.pull_with(&format!("{}/a:v1", registry.host), &[], Arc::new(Silent)).await.unwrap();
    assert!(others.peek().is_some(), "it was joined first");
    assert_eq!(registry.asked(blobs[0].as_str()), 1);
}

/// Its client reads to the end of what it is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_has_failed_is_not_told_of_layers_that_others_still_bring() {
    let (registry, t) = (FakeRegistry::start().await, store());
    let (_, blobs) = registry.put_image("v1", &[layer("a"), layer("b")]);
    registry.lose_blob(&blobs[1]);
    let key =
        LayerKey { chain: Digest::of(&layer("a")), blob: blobs[0].clone(), from: registry.host.clone() };
    let others = t.store.inner.jobs.join(&key, Arc::new(Silent), |watchers| {
        let never = async move {
            std::future::pending::<()>().await;
            drop(watchers);
            Ok::<u64, ImageError>(0)
        };
        never.boxed().shared()
    });
    let seen = Arc::new(Seen::default());
    t.store.pull_with(&format!("{}/a:v1", registry.host), &[], seen.clone()).await.unwrap_err();
    assert_eq!(seen.statuses(&blobs[0]), ["PullingFsLayer"]);
    assert_eq!(Arc::strong_count(&seen), 1);
    drop(others);
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_at_the_same_time_share_the_work_and_survive_each_other() {
    let (registry, t) = (FakeRegistry::start().await, store());
    let (_, blobs) = registry.put_image("v1", &[layer("a"), layer("b")]);
    let name = format!("{}/a:v1", registry.host);
    let pulls = (0..5).map(|_| t.store.pull_with(&name, &[], Arc::new(Silent)));
    // one who gives up at once does not take the others' work along
    let given_up =
        tokio::time::timeout(std::time::Duration::ZERO, t.store.pull_with(&name, &[], Arc::new(Silent)));
    let (pulled, _) = tokio::join!(futures::future::join_all(pulls), given_up);
    pulled.into_iter().for_each(|result| drop(result.unwrap()));
    for blob in blobs {
        assert_eq!(registry.asked(blob.as_str()), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_dropped_leaves_nothing() {
    let (registry, t) = (FakeRegistry::start().await, store());
    registry.put_image("v1", &[layer("a")]);
    // the pull waits for its next try
    let seen = Arc::new(Seen::default());
    let (store, watcher) = (t.store.clone(), seen.clone());
    let name = format!("{}/a:v1", registry.host);
    registry.change(|state| state.cuts = vec![30_000; 9]);
    let pull = tokio::spawn(async move { store.pull_with(&name, &[], watcher).await });
    while !seen
        .0
        .lock()
        .unwrap()
        .iter()
        .any(|e| matches!(e, PullEvent::Layer { status: LayerStatus::Retrying { .. }, .. }))
    {
        tokio::task::yield_now().await;
    }
    pull.abort();
    assert!(pull.await.unwrap_err().is_cancelled());
    // the unpacker hears of it when it next wants a byte
    while std::fs::read_dir(t.dir.path().join("tmp")).unwrap().count() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(t.store.images(), []);
}

fn index_of(entries: &[(&Digest, &str)]) -> serde_json::Value {
    let entry = |(digest, platform): &(&Digest, &str)| {
        json!({"mediaType": manifest::OCI_MANIFEST, "digest": digest, "size": 1,
            "platform": Platform::parse(platform).unwrap()})
    };
    json!({"schemaVersion": 2, "mediaType": manifest::OCI_INDEX, "manifests": entries.iter().map(entry).collect::<Vec<_>>()})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_is_chosen_and_one_that_is_missing_is_said() {
    let (registry, t) = (FakeRegistry::start().await, store());
    let (arm, _) = registry.put_image("arm", &[layer("arm")]);
    let (here, _) = registry.put_image("here", &[layer("here")]);
    let digest = |tag: &str| registry.change(|state| state.manifest_digest(tag));
    let this = Platform::of_this_machine().to_string();
    let index = index_of(&[(&digest("arm"), "linux/riscv64"), (&digest("here"), &this)]);
    let inner = registry.put_manifest("inner", manifest::OCI_INDEX, &index);
    let outer = json!({"schemaVersion": 2, "manifests": [{"digest": inner, "size": 1}]});
    registry.put_manifest("nested", manifest::OCI_INDEX, &outer);
    let loops = json!({"schemaVersion": 2, "manifests": [{"digest": format!("sha256:{}", "a".repeat(64)), "size": 1}]});
    registry.put_manifest("looping", manifest::OCI_INDEX, &loops);
    let pull = async |tag: &str, platform: &str| {
        let platform = Platform::parse(platform).unwrap();
        let name = format!("{}/a:{tag}", registry.host);
        let seen = Arc::new(Seen::default());
        let pulled = t.store.pull_for(&name, Some(&platform), &[], seen.clone()).await;
        let warned = seen.0.lock().unwrap().iter().any(|event| matches!(event, PullEvent::Warning(_)));
        pulled.map(|info| (info.id, warned)).map_err(|e| e.to_string())
    };
    assert_eq!(pull("inner", &this).await, Ok((here.to_string(), false)));
    assert_eq!(pull("nested", &this).await, Ok((here.to_string(), false)));
    // its configuration says that it is for this machine
    assert_eq!(pull("inner", "linux/riscv64").await, Ok((arm.to_string(), true)));
    assert_eq!(pull("arm", "linux/arm64").await, Ok((arm.to_string(), true)));
    let why = pull("inner", "linux/arm64/v8").await.unwrap_err();
    assert!(why.ends_with("no matching manifest for linux/arm64/v8 in the manifest list entries"), "{why}");
    assert!(pull("looping", &this).await.is_err());
    let asked = registry.change(|state| state.log.len());
    let why = pull("here", "foo/bar").await.unwrap_err();
    assert!(why.ends_with("operating system is not supported"), "{why}");
    assert_eq!(registry.change(|state| state.log.len()), asked, "the registry is not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tags_are_pulled_page_by_page() {
    let (registry, t) = (FakeRegistry::start().await, store());
    for tag in ["v1", "v2", "v3"] {
        registry.put_image(tag, &[layer("shared"), layer(tag)]);
    }
    let seen = Arc::new(Seen::default());
    let pulled = t.store.pull_all(&format!("{}/a", registry.host), None, &[], seen.clone()).await.unwrap();
    let tags: Vec<&str> = pulled.iter().map(|info| info.repo_tags[0].rsplit(':').next().unwrap()).collect();
    assert_eq!(tags, ["v1", "v2", "v3"]);
    let done = |event: &&PullEvent| matches!(event, PullEvent::Done { .. });
    assert_eq!(seen.0.lock().unwrap().iter().filter(done).count(), 1);
    assert_eq!(registry.asked("/tags/list"), 3);
    let remote = t.store.remote(&format!("{}/a:v2", registry.host), &[]).await.unwrap();
    assert_eq!(remote.platforms, [Platform { variant: None, ..Platform::of_this_machine() }]);
    assert!(pulled[1].repo_digests[0].ends_with(remote.digest.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_registry_is_asked_again() {
    for (name, busy, asked, want) in [
        ("overloaded twice", vec![(503, None), (502, None)], 3, Ok(())),
        ("limited for no time", vec![(429, Some("0")); 3], 4, Ok(())),
        (
            "limited for an hour",
            vec![(429, Some("3600")); 2],
            1,
            Err("toomanyrequests (it says to try again in 3600 s)"),
        ),
        ("overloaded for good", vec![(503, Some("0")); 9], 4, Err("received unexpected HTTP status: 503")),
    ] {
        let (registry, t) = (FakeRegistry::start().await, store());
        registry.put_image("v1", &[layer("a")]);
        // whether it speaks TLS is found out before
        let name_of = format!("{}/a:v1", registry.host);
        t.store.remote(&name_of, &[]).await.unwrap();
        let before = registry.asked("manifests/v1");
        registry.change(|state| state.busy = busy);
        let pulled = t.store.pull_with(&name_of, &[], Arc::new(Silent)).await.map(drop);
        assert_eq!(registry.asked("manifests/v1") - before, asked, "{name}");
        match (pulled.map_err(|e| e.to_string()), want) {
            (Ok(()), Ok(())) => {}
            (Err(why), Err(want)) => assert!(why.contains(want), "{name}: {why}"),
            (got, _) => panic!("{name}: {got:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_asked_for_what_is_not_on_this_machine() {
    let (proxy, dir) = (FakeRegistry::start().await, tempfile::TempDir::new().unwrap());
    let (id, _) = proxy.put_image("v1", &[layer("a")]);
    let address = format!("http://user:secret@{}", proxy.host);
    let registries = crate::Registries {
        mirrors: [("plain.test".into(), vec!["http://mirror.test".into()])].into(),
        proxies: crate::Proxies { http: address.clone(), https: address, no: "direct.test".into() },
        ..Default::default()
    };
    let store = ImageStore::open(dir.path(), registries).unwrap();
    let info = store.pull_with("plain.test/app:v1", &[], Arc::new(Silent)).await.unwrap();
    assert_eq!(info.id, id.to_string(), "the whole request went to the proxy");
    let why = store.pull_with("tls.test/app:v1", &[], Arc::new(Silent)).await.unwrap_err().to_string();
    assert_eq!(proxy.asked("CONNECT tls.test:443"), 1, "{why}");
    assert!(!why.contains("secret"), "{why}");
    assert!(store.pull_with("direct.test/app:v1", &[], Arc::new(Silent)).await.is_err());
    assert_eq!(proxy.asked("direct.test"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_slow_holds_up_its_own_layers() {
    let (registry, t) = (FakeRegistry::start().await, store());
    registry.put_image("v1", &[layer("a")]);
    let name = format!("{}/app:v1", registry.host);
    let turns = &t.store.inner.turns;
    let all_of = |registry: &str| -> Vec<_> { std::iter::from_fn(|| turns.try_take(registry)).collect() };
    let pull = || t.store.pull_with(&name, &[], Arc::new(Silent));
    let own = all_of(&registry.host);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(200), pull()).await.is_err());
    drop(own);
    let _others = all_of("slow.test");
    pull().await.unwrap();
}

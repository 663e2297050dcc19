use crate::progress::{PushEvent, PushProgress, PushStatus, Silent};
use crate::testing::registry::{Auth, FakeRegistry};
use crate::testing::{Tar, docker_archive, store};
use cri::Credentials;
use std::io::Cursor;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Seen(Mutex<Vec<PushStatus>>);

impl PushProgress for Seen {
    fn event(&self, event: PushEvent) {
        if let PushEvent::Layer { status, .. } = event {
            self.0.lock().unwrap().push(status);
        }
    }
}

fn noise() -> Vec<u8> {
    let noise =
        std::iter::successors(Some(7u64), |n| Some(n.wrapping_mul(6364136223846793005).wrapping_add(1)));
    Tar::new().file("noise", noise.map(|n| (n >> 56) as u8).take(900_000).collect::<Vec<_>>()).bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_upload_goes_on_where_it_was_cut() {
    let (registry, t) = (FakeRegistry::start().await, store());
    let name = format!("{}/a:1", registry.host);
    t.store.load(Cursor::new(docker_archive(&[&name], &[noise()]))).await.unwrap();
    registry.change(|state| state.upload_cuts = vec![200_000]);
    let seen = Arc::new(Seen::default());
    t.store.push_with(&name, &[], seen.clone()).await.unwrap();
    let seen = seen.0.lock().unwrap();
    assert!(seen.iter().any(|status| matches!(status, PushStatus::Retrying { .. })));
    assert_eq!(seen.last(), Some(&PushStatus::Pushed));
    assert_eq!(
        registry.asked("PATCH"),
        1,
        "the one that was not cut; the fake checks that the digest is right"
    );
    assert_eq!(registry.asked("POST"), 2, "one upload for the layer, one for the configuration");
    let manifest = registry.change(|state| state.manifest_digest("pushed"));
    let names = t.store.image(&name).unwrap().unwrap().repo_digests;
    assert!(
        names[0].ends_with(manifest.as_str()),
        "the name is known by the digest that was pushed: {names:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_shown_when_they_are_asked_for() {
    let (registry, t) = (FakeRegistry::start().await, store());
    let name = format!("{}/a:1", registry.host);
    t.store.load(Cursor::new(docker_archive(&[&name], &[Tar::new().file("x", "x").bytes()]))).await.unwrap();
    let user = Credentials::Basic { username: "user".into(), password: "secret".into() };
    for auth in [Auth::Basic, Auth::Token] {
        registry.change(|state| state.auth = auth);
        assert!(t.store.push_with(&name, &[], Arc::new(Silent)).await.is_err());
        t.store.push_with(&name, std::slice::from_ref(&user), Arc::new(Silent)).await.unwrap();
    }
    let why =
        t.store.push_with(&format!("{}/none:1", registry.host), &[], Arc::new(Silent)).await.unwrap_err();
    assert!(why.to_string().contains("no such image"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_at_another_host_goes_there_without_credentials() {
    let (registry, other, t) = (FakeRegistry::start().await, FakeRegistry::start().await, store());
    let name = format!("{}/a:1", registry.host);
    t.store.load(Cursor::new(docker_archive(&[&name], &[noise()]))).await.unwrap();
    registry.change(|state| {
        state.auth = Auth::Basic;
        state.sends_to = Some(other.host.clone());
    });
    // asked how far it came, and for another one
    other.change(|state| state.upload_cuts = vec![200_000]);
    let user = Credentials::Basic { username: "user".into(), password: "secret".into() };
    t.store.push_with(&name, std::slice::from_ref(&user), Arc::new(Silent)).await.unwrap();
    assert!(other.asked("PATCH") > 0 && other.asked("GET") > 0);
    assert!(other.change(|state| state.log.iter().all(|(_, authorization)| authorization.is_none())));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tags_of_a_repository_are_pushed() {
    let (registry, t) = (FakeRegistry::start().await, store());
    let names: Vec<String> =
        ["a:1", "a:2", "b:1"].iter().map(|name| format!("{}/{name}", registry.host)).collect();
    for (name, text) in names.iter().zip(["1", "2", "3"]) {
        let layers = [Tar::new().file("x", text).bytes()];
        t.store.load(Cursor::new(docker_archive(&[name], &layers))).await.unwrap();
    }
    let pushed = t.store.push_all(&format!("{}/a", registry.host), &[], Arc::new(Silent)).await.unwrap();
    assert_eq!(pushed.len(), 2);
    assert_eq!(registry.asked("/manifests/"), 2);
    assert!(t.store.push_all(&format!("{}/none", registry.host), &[], Arc::new(Silent)).await.is_err());
}

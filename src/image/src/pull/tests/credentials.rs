//! Which registry sees which credentials, and for whom an image is that was pulled with some.

use super::*;
use crate::testing::registry::Auth;

fn user(password: &str) -> Credentials {
    Credentials::Basic { username: "user".into(), password: password.into() }
}

fn identity(token: &str) -> Credentials {
    Credentials::Basic { username: "<token>".into(), password: token.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_tried_in_turn() {
    for (name, auth, credentials, want) in [
        ("basic", Auth::Basic, vec![user("secret")], Ok(())),
        ("basic, the second", Auth::Basic, vec![user("wrong"), user("secret")], Ok(())),
        ("basic, none", Auth::Basic, vec![], Err("authentication required")),
        ("token", Auth::Token, vec![user("secret")], Ok(())),
        ("token, the second", Auth::Token, vec![user("wrong"), user("secret")], Ok(())),
        ("token, wrong", Auth::Token, vec![user("wrong")], Err("incorrect username or password")),
        ("token, none", Auth::Token, vec![], Err("pull access denied")),
        ("token for anybody", Auth::AnonymousToken, vec![], Ok(())),
        ("an identity token", Auth::Token, vec![identity("identity")], Ok(())),
        ("an old identity token", Auth::Token, vec![identity("old")], Err("invalid refresh token")),
        ("a token of one's own", Auth::Token, vec![Credentials::Bearer("good".into())], Ok(())),
    ] {
        let (registry, t) = (FakeRegistry::start().await, store());
        registry.put_image("v1", &[layer("a")]);
        registry.change(|state| state.auth = auth);
        let pulled =
            t.store.pull_with(&format!("{}/a:v1", registry.host), &credentials, Arc::new(Silent)).await;
        match (pulled, want) {
            (Ok(_), Ok(())) => {}
            (Err(e), Err(words)) => {
                assert!(matches!(e.root(), ImageError::Unauthorized(_)), "{name}: {e:?}");
                assert!(e.to_string().contains(words), "{name}: {e}");
            }
            (got, _) => panic!("{name}: {got:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_said_which_credentials_were_taken() {
    for (name, auth, credentials, want) in [
        ("nobody asks for them", Auth::None, vec![user("secret")], None),
        ("the second", Auth::Basic, vec![user("wrong"), user("secret")], Some(1)),
        ("for a token", Auth::Token, vec![user("secret")], Some(0)),
        ("a token for anybody", Auth::AnonymousToken, vec![], None),
    ] {
        let (registry, t) = (FakeRegistry::start().await, store());
        registry.put_image("v1", &[layer("a")]);
        registry.change(|state| state.auth = auth);
        let image = format!("{}/a:v1", registry.host);
        // the second time nothing of it is fetched, and it is asked for all the same
        for _ in 0..2 {
            let pulled = t.store.pull_tracked(&image, None, &credentials, Arc::new(Silent)).await.unwrap();
            assert_eq!(pulled.by, want, "{name}");
        }
        let refused = t.store.pull_tracked(&image, None, &[user("wrong")], Arc::new(Silent)).await;
        assert!(want.is_none() || refused.is_err(), "{name}: others may not, though it is there");
    }
}

/// The attack: a manifest that names what somebody else's credentials have brought, in a registry that has less of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_came_with_credentials_is_nobodys_who_only_knows_its_digest() {
    let (registry, other, t) = (FakeRegistry::start().await, FakeRegistry::start().await, store());
    let (id, blobs) = registry.put_image("v1", &[layer("a"), layer("b")]);
    registry.change(|state| state.auth = Auth::Basic);
    t.store.pull_with(&format!("{}/a:v1", registry.host), &[user("secret")], Arc::new(Silent)).await.unwrap();
    let claimed = format!("{}/a:v1", other.host);
    for (name, lost) in [("the configuration", &id), ("the lowest layer", &blobs[0]), ("the last", &blobs[1])]
    {
        other.put_image("v1", &[layer("a"), layer("b")]);
        other.lose_blob(lost);
        let why = t.store.pull_with(&claimed, &[], Arc::new(Silent)).await.expect_err(name);
        assert!(matches!(why.root(), ImageError::Unknown(_) | ImageError::Registry(_)), "{name}: {why:?}");
        assert_eq!(t.store.image(&claimed), Ok(None), "{name}");
    }
    assert_eq!(other.asked("HEAD"), 0, "it may say what it likes");
    other.put_image("v1", &[layer("a"), layer("b")]);
    let info = t.store.pull_with(&claimed, &[], Arc::new(Silent)).await.unwrap();
    assert_eq!(info.id, id.to_string(), "now it has shown all of it");
    // and to anybody
    let third = FakeRegistry::start().await;
    third.put_image("v1", &[layer("a"), layer("b")]);
    t.store.pull_with(&format!("{}/a:v1", third.host), &[], Arc::new(Silent)).await.unwrap();
    assert_eq!(third.asked("/blobs/"), 1, "the configuration");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_says_which_of_its_repositories_have_a_layer() {
    let (registry, t) = (FakeRegistry::start().await, store());
    let (_, blobs) = registry.put_image("v1", &[layer("a"), layer("b")]);
    registry.change(|state| state.auth = Auth::Basic);
    let pull = async |repository: &str| {
        let name = format!("{}/{repository}:v1", registry.host);
        t.store.pull_with(&name, &[user("secret")], Arc::new(Silent)).await
    };
    pull("a").await.unwrap();
    for _ in 0..2 {
        pull("b").await.unwrap();
        assert_eq!(registry.asked("HEAD /v2/b/blobs/"), 2, "each layer once");
        assert_eq!(registry.asked("GET /v2/b/blobs/"), 1, "the configuration");
    }
    registry.lose_blob(&blobs[1]);
    assert!(pull("c").await.is_err(), "that one has not all of it");
    pull("a").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_stay_with_their_registry() {
    let (registry, storage, t) = (FakeRegistry::start().await, FakeRegistry::start().await, store());
    registry.put_image("v1", &[layer("a")]);
    storage.put_image("v1", &[layer("a")]);
    registry.change(|state| {
        state.auth = Auth::Basic;
        state.redirect_to = Some(storage.host.clone());
    });
    t.store.pull_with(&format!("{}/a:v1", registry.host), &[user("secret")], Arc::new(Silent)).await.unwrap();
    assert_eq!(storage.asked("/v2/elsewhere/blobs/"), 2);
    assert!(storage.change(|state| state.log.iter().all(|(_, authorization)| authorization.is_none())));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_stay_with_their_registry_whoever_else_asks_for_them() {
    let (registry, other, t) = (FakeRegistry::start().await, FakeRegistry::start().await, store());
    for tag in ["v1", "v2"] {
        registry.put_image(tag, &[layer("a")]);
        other.put_image(tag, &[layer("a")]);
    }
    registry.change(|state| {
        state.auth = Auth::Basic;
        state.sends_to = Some(other.host.clone());
    });
    let name = format!("{}/a", registry.host);
    let tagged = format!("{name}:v1");
    for auth in [Auth::Basic, Auth::Token] {
        other.change(|state| state.auth = auth);
        assert!(t.store.pull_with(&tagged, &[user("secret")], Arc::new(Silent)).await.is_err());
    }
    assert_eq!((other.asked("/v2/elsewhere/manifests/v1"), other.asked("/token")), (2, 0));
    other.change(|state| state.auth = Auth::None);
    t.store.pull_all(&name, None, &[user("secret")], Arc::new(Silent)).await.unwrap();
    assert_eq!(other.asked("/v2/a/tags/list"), 1, "the second page");
    assert!(other.change(|state| state.log.iter().all(|(_, authorization)| authorization.is_none())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_is_asked_first_and_gets_no_credentials() {
    let (mirror, registry) = (FakeRegistry::start().await, FakeRegistry::start().await);
    mirror.put_image("v1", &[layer("a")]);
    registry.put_image("v2", &[layer("b")]);
    let dir = tempfile::TempDir::new().unwrap();
    let registries = crate::Registries {
        mirrors: [(registry.host.clone(), vec![format!("http://{}", mirror.host)])].into(),
        ..Default::default()
    };
    let store = ImageStore::open(dir.path(), registries).unwrap();
    for tag in ["v1", "v2"] {
        store
            .pull_with(&format!("{}/a:{tag}", registry.host), &[user("secret")], Arc::new(Silent))
            .await
            .unwrap();
    }
    assert_eq!((mirror.asked("manifests/v1"), registry.asked("manifests/v1")), (1, 0));
    assert_eq!((mirror.asked("manifests/v2"), registry.asked("manifests/v2")), (1, 1));
    assert!(mirror.change(|state| state.log.iter().all(|(_, authorization)| authorization.is_none())));
}

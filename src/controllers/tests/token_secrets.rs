//! Secrets that hold a token of a service account.

mod common;

use api::ObjectKey;
use cluster::{Client, DeleteOptions};
use common::{key, object, start, until};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use serde_json::json;

fn secret(name: &str, account: &str) -> Secret {
    object(json!({
        "metadata": {"name": name, "namespace": "default", "annotations": {"kubernetes.io/service-account.name": account}},
        "type": "kubernetes.io/service-account-token",
    }))
}

fn value(client: &Client, secret: &ObjectKey, key: &str) -> Option<String> {
    let secret = client.api::<Secret>().find(secret).unwrap()?;
    let value = secret.data?.remove(key)?;
    Some(String::from_utf8(value.0).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_secret_is_filled_and_good_until_it_goes() {
    let client = start().await;
    let (accounts, secrets) = (client.api::<ServiceAccount>(), client.api::<Secret>());
    let account = accounts
        .create(object(json!({"metadata": {"name": "robot", "namespace": "default"}})))
        .await
        .unwrap();
    secrets.create(secret("first", "robot")).await.unwrap();
    secrets.create(secret("second", "robot")).await.unwrap();
    for name in ["first", "second"] {
        until::<Secret>(&client, |client| value(client, &key(name), "token").is_some()).await;
    }
    assert_eq!(value(&client, &key("first"), "namespace").as_deref(), Some("default"));
    assert_eq!(value(&client, &key("first"), "ca.crt").as_deref(), Some(common::AUTHORITY));
    let filled = secrets.get(&key("first")).unwrap();
    let uid = filled.metadata.annotations.unwrap().remove("kubernetes.io/service-account.uid");
    assert_eq!(uid, account.metadata.uid);

    let cluster = client.cluster();
    let (first, second) =
        (value(&client, &key("first"), "token").unwrap(), value(&client, &key("second"), "token").unwrap());
    let actor = cluster.authenticate_token(&first).unwrap();
    assert_eq!(actor.name, "system:serviceaccount:default:robot");
    assert!(cluster.authenticate_token_for(&first, &["somebody-else".to_owned()]).is_err());
    // with the Secret goes the token, and so it does when the Secret gets another
    secrets.delete(&key("first"), DeleteOptions::default()).await.unwrap();
    assert!(cluster.authenticate_token(&first).is_err());
    let renewed = secrets
        .modify(&key("second"), |secret| {
            secret.data.as_mut().unwrap().remove("token");
            Ok(())
        })
        .await;
    renewed.unwrap();
    until::<Secret>(&client, |client| value(client, &key("second"), "token").is_some()).await;
    let again = value(&client, &key("second"), "token").unwrap();
    assert!(again != second, "each signature is another");
    assert!(cluster.authenticate_token(&second).is_err());
    cluster.authenticate_token(&again).unwrap();

    accounts.delete(&key("robot"), DeleteOptions::default()).await.unwrap();
    assert!(cluster.authenticate_token(&again).is_err());
    until::<Secret>(&client, |client| client.api::<Secret>().find(&key("second")).unwrap().is_none()).await;
    // another account of that name is another
    accounts.create(object(json!({"metadata": {"name": "robot", "namespace": "default"}}))).await.unwrap();
    assert!(cluster.authenticate_token(&again).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_secret_of_no_account_goes() {
    let client = start().await;
    let secrets = client.api::<Secret>();
    secrets.create(secret("orphan", "nobody")).await.unwrap();
    until::<Secret>(&client, |client| client.api::<Secret>().find(&key("orphan")).unwrap().is_none()).await;
    let mut other = secret("other-uid", "default");
    other
        .metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert("kubernetes.io/service-account.uid".into(), "of-one-before".into());
    secrets.create(other).await.unwrap();
    until::<Secret>(&client, |client| client.api::<Secret>().find(&key("other-uid")).unwrap().is_none())
        .await;
}

fn label(client: &Client, key: &ObjectKey, label: &str) -> Option<String> {
    client.api::<Secret>().get(key).unwrap().metadata.labels?.remove(label)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_use_of_a_token_is_written_down_and_a_marked_one_is_refused() {
    let client = start().await;
    let (cluster, secrets) = (client.cluster(), client.api::<Secret>());
    secrets.create(secret("old", "default")).await.unwrap();
    until::<Secret>(&client, |client| value(client, &key("old"), "token").is_some()).await;
    let token = value(&client, &key("old"), "token").unwrap();
    assert_eq!(label(&client, &key("old"), cluster::TOKEN_LAST_USED), None);
    let day = || jiff::Timestamp::now().to_string()[..10].to_owned();
    let before = day();
    cluster.authenticate_token(&token).unwrap();
    until::<Secret>(&client, |client| label(client, &key("old"), cluster::TOKEN_LAST_USED).is_some()).await;
    let used = label(&client, &key("old"), cluster::TOKEN_LAST_USED).unwrap();
    assert!([before, day()].contains(&used), "{used}");

    let mark = |since: Option<&str>| {
        let since = since.map(str::to_owned);
        move |secret: &mut Secret| {
            let labels = secret.metadata.labels.get_or_insert_default();
            labels.remove(cluster::TOKEN_INVALID_SINCE);
            labels.extend(since.clone().map(|since| (cluster::TOKEN_INVALID_SINCE.to_owned(), since)));
            Ok(())
        }
    };
    secrets.modify(&key("old"), mark(Some("2026-01-01"))).await.unwrap();
    assert!(cluster.authenticate_token(&token).is_err());
    let refused = cluster.authenticate_token_for(&token, &["https://issuer".to_owned()]).unwrap_err();
    let want = "the token in secret default/old for service account default/default has been marked invalid. Use tokens from the \
        TokenRequest API or manually created secret-based tokens, or remove the 'kubernetes.io/legacy-token-invalid-since' label";
    assert!(refused.to_string().contains(want), "{refused}");
    secrets.modify(&key("old"), mark(None)).await.unwrap();
    cluster.authenticate_token(&token).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn since_when_uses_are_written_down_is_told() {
    let client = start().await;
    let tracking =
        ObjectKey::namespaced("kube-system", "kube-apiserver-legacy-service-account-token-tracking");
    let since = |client: &Client| {
        client.api::<ConfigMap>().find(&tracking).unwrap().and_then(|map| map.data?.remove("since"))
    };
    let is_day = |since: Option<String>| since.is_some_and(|day| day.len() == 10 && day.starts_with("20"));
    until::<ConfigMap>(&client, |client| is_day(since(client))).await;
    let maps = client.api::<ConfigMap>();
    let wrong = |map: &mut ConfigMap| {
        map.data = Some([("since".to_owned(), "always".to_owned())].into());
        Ok(())
    };
    maps.modify(&tracking, wrong).await.unwrap();
    until::<ConfigMap>(&client, |client| is_day(since(client))).await;
    maps.delete(&tracking, DeleteOptions::default()).await.unwrap();
    until::<ConfigMap>(&client, |client| is_day(since(client))).await;
}

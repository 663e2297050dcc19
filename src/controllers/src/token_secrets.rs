//! Secrets that hold a token of a service account get it, and go with the account: upstream's tokens controller.

use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, READ, rule};
use cluster::{
    ACCOUNT_NAME, ACCOUNT_UID, Actor, Client, Cluster, Controller, DeleteOptions, TOKEN_KEY, TOKEN_SECRET,
    unless_gone, unless_replaced,
};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kinds::key_of;
use tokio_util::sync::CancellationToken;

const NAME: &str = "tokens-controller";
const AUTHORITY_KEY: &str = "ca.crt";
const NAMESPACE_KEY: &str = "namespace";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![
            rule(&["delete", "get", "list", "patch", "update", "watch"], &[""], &["secrets"]),
            rule(READ, &[""], &["serviceaccounts"]),
            rule(&["create"], &[""], &["serviceaccounts/token"]),
        ],
    )
}

pub(crate) async fn run(cluster: Cluster, root_ca_pem: String, stop: CancellationToken) {
    let client = cluster.acting_as(Actor::controller(NAME));
    let all = cluster.informer::<Secret>();
    Controller::new(NAME, &cluster)
        .watches::<Secret>(|queue, change| {
            if account_of(change.object()).is_some() {
                queue.add(key_of(&change.object().metadata));
            }
        })
        .watches::<ServiceAccount>(move |queue, change| {
            let account = &change.object().metadata;
            let of_account = |secret: &Secret| account_of(secret) == account.name.as_deref();
            let known = all.list(account.namespace.as_deref());
            known.iter().filter(|secret| of_account(secret)).for_each(|s| queue.add(key_of(&s.metadata)));
        })
        .run(stop, (client, root_ca_pem), |(client, root_ca_pem), secret| async move {
            reconcile(&client, &secret, &root_ca_pem).await
        })
        .await;
}

/// Whose token the Secret is for; `None` for a Secret of another type.
pub(crate) fn account_of(secret: &Secret) -> Option<&str> {
    let is_token = secret.type_.as_deref() == Some(TOKEN_SECRET);
    annotation(secret, ACCOUNT_NAME).filter(|_| is_token)
}

pub(crate) fn annotation<'s>(secret: &'s Secret, key: &str) -> Option<&'s str> {
    secret.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

async fn reconcile(client: &Client, key: &ObjectKey, root_ca_pem: &str) -> Result<(), Status> {
    let Some(secret) = client.cluster().informer::<Secret>().get(key) else { return Ok(()) };
    let Some(name) = account_of(&secret).filter(|_| secret.metadata.deletion_timestamp.is_none()) else {
        return Ok(());
    };
    // from the store: an informer may not have heard of it yet, and what is deleted does not come back
    let account = client
        .api::<ServiceAccount>()
        .find(&ObjectKey::namespaced(key.namespace.as_deref().unwrap_or_default(), name))?;
    let is_same = |account: &ServiceAccount| {
        let uid = annotation(&secret, ACCOUNT_UID).unwrap_or_default();
        uid.is_empty() || account.metadata.uid.as_deref() == Some(uid)
    };
    match account.filter(is_same) {
        Some(account) => fill(client, key, &secret, &account, root_ca_pem).await,
        None => delete(client, key, &secret).await,
    }
}

async fn fill(
    client: &Client,
    key: &ObjectKey,
    secret: &Secret,
    account: &ServiceAccount,
    root_ca_pem: &str,
) -> Result<(), Status> {
    if is_whole(secret, account, root_ca_pem) {
        return Ok(());
    }
    let token = client.secret_token(key, account)?;
    let filled = client
        .api::<Secret>()
        .modify(key, |secret| {
            let namespace = secret.metadata.namespace.clone().unwrap_or_default();
            let data = secret.data.get_or_insert_default();
            data.insert(AUTHORITY_KEY.to_owned(), ByteString(root_ca_pem.as_bytes().to_vec()));
            // what a user wrote there stays
            let empty = |value: &mut ByteString| value.0.is_empty();
            for (key, text) in [(NAMESPACE_KEY, &namespace), (TOKEN_KEY, &token)] {
                let value = data.entry(key.to_owned()).or_default();
                if empty(value) {
                    *value = ByteString(text.clone().into_bytes());
                }
            }
            let annotations = secret.metadata.annotations.get_or_insert_default();
            annotations.insert(ACCOUNT_UID.to_owned(), account.metadata.uid.clone().unwrap_or_default());
            Ok(())
        })
        .await;
    // gone, or of another account meanwhile: it is heard of again
    unless_gone(filled).map(drop)
}

fn is_whole(secret: &Secret, account: &ServiceAccount, root_ca_pem: &str) -> bool {
    let value =
        |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice());
    let has = |key: &str| value(key).is_some_and(|value| !value.is_empty());
    has(TOKEN_KEY)
        && has(NAMESPACE_KEY)
        && value(AUTHORITY_KEY) == Some(root_ca_pem.as_bytes())
        && annotation(secret, ACCOUNT_UID) == account.metadata.uid.as_deref()
}

async fn delete(client: &Client, key: &ObjectKey, secret: &Secret) -> Result<(), Status> {
    let options = DeleteOptions { uid: secret.metadata.uid.clone(), ..DeleteOptions::default() };
    unless_replaced(client.api::<Secret>().delete(key, options).await).map(drop)
}

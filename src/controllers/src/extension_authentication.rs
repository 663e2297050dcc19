//! What an extension API server must know to believe the cluster's: whose client certificates are users', and whose are the
//! front proxy's that tells in headers who the user is (upstream's cluster-authentication-trust controller).

use api::{ObjectKey, Status};
use cluster::roles::{ComponentRole, rule};
use cluster::{Actor, Client, Cluster, Controller};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

const NAME: &str = "extension-authentication-controller";
const NAMESPACE: &str = "kube-system";
const MAP: &str = "extension-apiserver-authentication";

pub(crate) fn role() -> ComponentRole {
    ComponentRole::controller(
        NAME,
        vec![rule(&["create", "get", "list", "patch", "update", "watch"], &[""], &["configmaps"])],
    )
}

pub(crate) async fn run(
    cluster: Cluster,
    client_ca_pem: String,
    front_proxy_ca_pem: String,
    stop: CancellationToken,
) {
    let client = cluster.acting_as(Actor::controller(NAME).of_program("kube-apiserver"));
    let wanted = data(client_ca_pem, front_proxy_ca_pem);
    Controller::new(NAME, &cluster)
        .one_at_a_time()
        .watches::<ConfigMap>(|queue, change| {
            let meta = &change.object().metadata;
            if meta.name.as_deref() == Some(MAP) && meta.namespace.as_deref() == Some(NAMESPACE) {
                queue.add(());
            }
        })
        .listens(|queue| {
            queue.add(());
            Box::pin(std::future::pending())
        })
        .run(
            stop,
            (client, wanted),
            |(client, wanted), (): ()| async move { publish(&client, &wanted).await },
        )
        .await;
}

/// What others put beside it stays.
async fn publish(client: &Client, wanted: &BTreeMap<String, String>) -> Result<(), Status> {
    let maps = client.api::<ConfigMap>();
    let key = ObjectKey::namespaced(NAMESPACE, MAP);
    let Some(there) = maps.find(&key)? else {
        let metadata = ObjectMeta {
            name: Some(MAP.to_owned()),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        };
        let made = ConfigMap { metadata, data: Some(wanted.clone()), ..ConfigMap::default() };
        return maps.create(made).await.map(drop);
    };
    let has = |(name, value): (&String, &String)| {
        there.data.as_ref().and_then(|data| data.get(name)) == Some(value)
    };
    if wanted.iter().all(has) {
        return Ok(());
    }
    let fill = |map: &mut ConfigMap| {
        map.data.get_or_insert_default().extend(wanted.clone());
        Ok(())
    };
    maps.modify(&key, fill).await.map(drop)
}

fn data(client_ca_pem: String, front_proxy_ca_pem: String) -> BTreeMap<String, String> {
    let text = |text: &str| text.to_owned();
    [
        (text("client-ca-file"), client_ca_pem),
        (text("requestheader-client-ca-file"), front_proxy_ca_pem),
        (text("requestheader-allowed-names"), text(r#"["front-proxy-client"]"#)),
        (text("requestheader-username-headers"), text(r#"["X-Remote-User"]"#)),
        (text("requestheader-uid-headers"), text(r#"["X-Remote-Uid"]"#)),
        (text("requestheader-group-headers"), text(r#"["X-Remote-Group"]"#)),
        (text("requestheader-extra-headers-prefix"), text(r#"["X-Remote-Extra-"]"#)),
    ]
    .into()
}

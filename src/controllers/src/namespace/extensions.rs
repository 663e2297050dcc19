//! What extension API servers have in a namespace that is to go: it is deleted through them, as upstream does with whatever discovery
//! finds.

use super::conditions::Left;
use crate::percent::encode;
use api::{GroupResource, Status};
use cluster::Client;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec};
use kinds::builtin::api_service::condition;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Of an `APIResourceList`, what matters here.
#[derive(Deserialize)]
struct Discovered {
    resources: Option<Vec<Resource>>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespaced: bool,
    verbs: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct List {
    items: Option<Vec<Item>>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Meta,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    name: String,
    finalizers: Option<Vec<String>>,
}

/// Those of which it is known that they do not answer: what they have is not known.
pub(super) fn note_silent(client: &Client, left: &mut Left) {
    for (group, version, _) in registered(client).iter().filter(|(.., is_available)| !is_available) {
        left.not_told(group, version, format!("stale GroupVersion discovery: {group}/{version}"));
    }
}

/// Deletes what they have in the namespace; what is still there afterwards.
pub(super) async fn empty(client: &Client, namespace: &str, left: &mut Left) {
    // several versions of a group show the same objects
    let mut seen = BTreeSet::new();
    for (group, version, _) in registered(client).iter().filter(|(.., is_available)| *is_available) {
        let server = Server { client, namespace, group, version };
        match server.deletable().await {
            Err(status) => left.not_told(group, version, status.message),
            Ok(resources) => {
                for resource in resources {
                    if seen.insert((group.clone(), resource.name.clone())) {
                        server.empty_of(&resource, left).await;
                    }
                }
            }
        }
    }
}

/// Group, version and whether it answers; the preferred version of a group comes first.
fn registered(client: &Client) -> Vec<(String, String, bool)> {
    let all: Vec<Arc<APIService>> = client.cluster().informer::<APIService>().list(None);
    let is_foreign =
        |service: &&Arc<APIService>| service.spec.as_ref().is_some_and(|spec| spec.service.is_some());
    let mut found: Vec<(APIServiceSpec, bool)> = all
        .iter()
        .filter(is_foreign)
        .map(|service| {
            let is_available = condition(service).is_some_and(|condition| condition.status == "True");
            (service.spec.clone().unwrap_or_default(), is_available)
        })
        .collect();
    found.sort_by_key(|(spec, _)| std::cmp::Reverse(spec.version_priority));
    found
        .into_iter()
        .map(|(spec, is_available)| {
            (spec.group.unwrap_or_default(), spec.version.unwrap_or_default(), is_available)
        })
        .collect()
}

struct Server<'a> {
    client: &'a Client,
    namespace: &'a str,
    group: &'a str,
    version: &'a str,
}

impl Server<'_> {
    async fn deletable(&self) -> Result<Vec<Resource>, Status> {
        let discovered: Discovered = self.get("").await?;
        let mut all = discovered.resources.unwrap_or_default();
        all.retain(|resource| {
            resource.namespaced
                && !resource.name.contains('/')
                && resource.can("delete")
                && resource.can("list")
        });
        Ok(all)
    }

    async fn empty_of(&self, resource: &Resource, left: &mut Left) {
        let path = format!("namespaces/{}/{}", encode(self.namespace), encode(&resource.name));
        let there = match self.list(&path).await {
            Err(status) => return left.refused(&status),
            Ok(there) if there.is_empty() => return,
            Ok(there) => there,
        };
        if let Err(status) = self.delete(resource, &path, &there).await {
            left.refused(&status);
        }
        match self.list(&path).await {
            Err(status) => left.refused(&status),
            Ok(there) => {
                let finalizers = there.iter().flat_map(|item| item.metadata.finalizers.iter().flatten());
                let which = GroupResource {
                    group: self.group.to_owned().into(),
                    resource: resource.name.clone().into(),
                };
                left.add(&which, there.len(), finalizers);
            }
        }
    }

    async fn delete(&self, resource: &Resource, path: &str, there: &[Item]) -> Result<(), Status> {
        const IN_BACKGROUND: &str = "propagationPolicy=Background";
        if resource.can("deletecollection") {
            return self.delete_at(&format!("{path}?{IN_BACKGROUND}")).await;
        }
        for item in there {
            let one = format!("{path}/{}?{IN_BACKGROUND}", encode(&item.metadata.name));
            match self.delete_at(&one).await {
                Err(status) if status.code != 404 => return Err(status),
                _ => {}
            }
        }
        Ok(())
    }

    async fn delete_at(&self, path: &str) -> Result<(), Status> {
        let (cluster, actor) = (self.client.cluster(), self.client.actor());
        cluster.delete_aggregated(actor, self.group, self.version, path).await
    }

    async fn list(&self, path: &str) -> Result<Vec<Item>, Status> {
        self.get(path).await.map(|list: List| list.items.unwrap_or_default())
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, Status> {
        let (cluster, actor) = (self.client.cluster(), self.client.actor());
        let body = cluster.get_aggregated(actor, self.group, self.version, path).await?;
        serde_json::from_slice(&body).map_err(Status::internal)
    }
}

impl Resource {
    fn can(&self, verb: &str) -> bool {
        self.verbs.iter().flatten().any(|known| known == verb)
    }
}

//! An operator as people write them: a kind by `derive`, a controller that owns what it makes, a finalizer, a status, events, and a
//! Lease that says which of its replicas works.

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::{finalizer, watcher};
use kube::{Api, Client, CustomResource, Resource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

pub const NAME: &str = "site-operator";
pub const FINALIZER: &str = "web.example.com/directory";
/// A ConfigMap that is nobody's: who is deleted is taken out of it by the finalizer.
pub const DIRECTORY: &str = "directory";

/// A page, and so many servers that show it.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, JsonSchema)]
#[kube(
    group = "web.example.com",
    version = "v1",
    kind = "Site",
    namespaced,
    status = "SiteStatus",
    shortname = "st",
    category = "sites",
    scale(spec_replicas_path = ".spec.replicas", status_replicas_path = ".status.ready"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.ready"),
    selectable = ".spec.text"
)]
#[serde(rename_all = "camelCase")]
pub struct SiteSpec {
    #[schemars(length(min = 1))]
    pub text: String,
    #[schemars(range(min = 1, max = 5))]
    #[serde(default = "one")]
    pub replicas: i32,
}

fn one() -> i32 {
    1
}

#[derive(Serialize, Deserialize, Clone, Debug, Default, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SiteStatus {
    pub ready: i32,
    pub observed_generation: Option<i64>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Finalizer(#[from] Box<finalizer::Error<Error>>),
}

struct Operator {
    client: Client,
    recorder: Recorder,
}

/// Until it is dropped.
pub async fn run(client: Client, namespace: &str) {
    let sites: Api<Site> = Api::namespaced(client.clone(), namespace);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let reporter = Reporter { controller: NAME.into(), instance: Some("one".into()) };
    let operator = Operator { client: client.clone(), recorder: Recorder::new(client, reporter) };
    Controller::new(sites, watcher::Config::default())
        .owns(maps, watcher::Config::default())
        .owns(deployments, watcher::Config::default().streaming_lists())
        .run(reconcile, |_, error, _| again_after(error), Arc::new(operator))
        // what goes wrong while the server is away is tried again
        .for_each(|outcome| async move {
            if let Err(error) = outcome {
                eprintln!("{NAME}: {error}");
            }
        })
        .await;
}

fn again_after(_: &Error) -> Action {
    Action::requeue(Duration::from_millis(500))
}

async fn reconcile(site: Arc<Site>, operator: Arc<Operator>) -> Result<Action, Error> {
    let sites: Api<Site> = Api::namespaced(operator.client.clone(), &site.namespace().unwrap_or_default());
    let done = finalizer(&sites, FINALIZER, site, |event| async {
        match event {
            finalizer::Event::Apply(site) => operator.apply(&sites, &site).await,
            finalizer::Event::Cleanup(site) => operator.clean_up(&site).await,
        }
    });
    done.await.map_err(|error| Error::Finalizer(Box::new(error)))
}

impl Operator {
    fn api<K>(&self, site: &Site) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &site.namespace().unwrap_or_default())
    }

    async fn apply(&self, sites: &Api<Site>, site: &Site) -> Result<Action, Error> {
        let (name, ours) = (site.name_any(), PatchParams::apply(NAME).force());
        let entry = json!({"data": {&name: &site.spec.text}});
        self.api::<ConfigMap>(site).patch(DIRECTORY, &PatchParams::default(), &Patch::Merge(entry)).await?;
        let page = page(site);
        self.api::<ConfigMap>(site).patch(&name, &ours, &Patch::Apply(&page)).await?;
        let deployments = self.api::<Deployment>(site);
        let made = deployments.patch(&name, &ours, &Patch::Apply(&servers(site))).await?;
        let ready = made.status.and_then(|status| status.ready_replicas).unwrap_or(0);
        let status = SiteStatus { ready, observed_generation: site.metadata.generation };
        if site.status.as_ref() == Some(&status) {
            return Ok(Action::await_change());
        }
        let patch = json!({"apiVersion": "web.example.com/v1", "kind": "Site", "status": status});
        sites.patch_status(&name, &ours, &Patch::Apply(patch)).await?;
        if ready == site.spec.replicas {
            self.tell(site, "Served", format!("{ready} servers show it")).await?;
        }
        Ok(Action::await_change())
    }

    async fn clean_up(&self, site: &Site) -> Result<Action, Error> {
        let entry = json!([{"op": "remove", "path": format!("/data/{}", site.name_any())}]);
        let patch = Patch::Json::<()>(serde_json::from_value(entry).expect("a patch"));
        self.api::<ConfigMap>(site).patch(DIRECTORY, &PatchParams::default(), &patch).await?;
        self.tell(site, "Unlisted", "taken out of the directory".to_owned()).await?;
        Ok(Action::await_change())
    }

    async fn tell(&self, site: &Site, reason: &str, note: String) -> Result<(), Error> {
        let event = Event {
            type_: EventType::Normal,
            reason: reason.to_owned(),
            note: Some(note),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        Ok(self.recorder.publish(&event, &site.object_ref(&())).await?)
    }
}

fn owned(site: &Site) -> ObjectMeta {
    ObjectMeta {
        name: Some(site.name_any()),
        owner_references: site.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

fn page(site: &Site) -> ConfigMap {
    let data = [("index.html".to_owned(), site.spec.text.clone())];
    ConfigMap { metadata: owned(site), data: Some(data.into()), ..ConfigMap::default() }
}

fn servers(site: &Site) -> Deployment {
    let name = site.name_any();
    let mut deployment: Deployment = serde_json::from_value(json!({
        "metadata": {},
        "spec": {
            "replicas": site.spec.replicas,
            "selector": {"matchLabels": {"site": name}},
            "template": {
                "metadata": {"labels": {"site": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": "main", "image": "busybox:1", "command": ["httpd", "-f", "-p", "8080", "-h", "/page"],
                        "volumeMounts": [{"name": "page", "mountPath": "/page"}],
                    }],
                    "volumes": [{"name": "page", "configMap": {"name": name}}],
                },
            },
        },
    }))
    .expect("a Deployment");
    deployment.metadata = owned(site);
    deployment
}

/// Whether this replica leads from now on, as client-go's `leaderelection` decides it: who writes over what he has read leads.
///
/// # Errors
/// What the server refuses, but that somebody else was faster.
pub async fn lead(leases: &Api<Lease>, identity: &str) -> kube::Result<bool> {
    const TERM: i32 = 15;
    let now = Timestamp::now();
    let own = |acquired: Option<MicroTime>, transitions: i32| LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(TERM),
        acquire_time: acquired.or(Some(MicroTime(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(transitions),
        ..LeaseSpec::default()
    };
    let written = match leases.get_opt(NAME).await? {
        None => {
            let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
            leases.create(&PostParams::default(), &Lease { metadata, spec: Some(own(None, 0)) }).await
        }
        Some(mut lease) => {
            let spec = lease.spec.take().unwrap_or_default();
            let holder = spec.holder_identity.unwrap_or_default();
            let until = spec.renew_time.map(|MicroTime(at)| at + SignedDuration::from_secs(TERM.into()));
            if !holder.is_empty() && holder != identity && until.is_some_and(|until| until > now) {
                return Ok(false);
            }
            let transitions = spec.lease_transitions.unwrap_or(0);
            lease.spec = Some(match holder == identity {
                true => own(spec.acquire_time, transitions),
                false => own(None, transitions + 1),
            });
            leases.replace(NAME, &PostParams::default(), &lease).await
        }
    };
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

//! The tour that `monopod demo` takes: each step through the same API as kubectl, told with the kubectl command that does the same.

use crate::control::{ControlReply, Refusal};
use api::{LabelSelector, ObjectKey, Reason, Status};
use cluster::{Actor, Client, Cluster, DeleteOptions};
use k8s_openapi::api::core::v1::{Namespace, Pod, ReplicationController, Service};
use kinds::TypedKind;
use kinds::pod as ask;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const NAMESPACE: &str = "demo";
const NAME: &str = "kubia";
const SERVICE: &str = "kubia-http";
/// For one step: pods start in a fraction of it.
const PATIENCE: Duration = Duration::from_secs(60);
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// Enough for each of three pods to be hit, but for a chance of one in some ten thousand million.
const REQUESTS: usize = 60;

/// Who listens to the tour; a listener that went away does not stop it.
pub(super) struct Demo {
    client: Client,
    say: mpsc::Sender<ControlReply>,
}

impl Demo {
    pub(super) fn new(cluster: &Cluster, say: mpsc::Sender<ControlReply>) -> Self {
        Demo { client: cluster.acting_as(Actor::root()), say }
    }

    /// The last line of the answer.
    pub(super) async fn tour(self) -> ControlReply {
        match self.steps().await {
            Ok(()) => ControlReply::Done,
            Err(message) => ControlReply::Failed { reason: Refusal::Other, message },
        }
    }

    async fn steps(&self) -> Result<(), String> {
        self.step(&format!("kubectl create namespace {NAMESPACE}")).await;
        self.make(object::<Namespace>(None, NAMESPACE, serde_json::json!({}))?).await?;
        self.run_one().await?;
        let address = self.expose().await?;
        self.scale().await?;
        self.see_all(&address).await?;
        self.replace_one(&address).await?;
        self.tell(format!(
            "it goes on running at http://{address}; `kubectl delete namespace {NAMESPACE}` removes it"
        ))
        .await;
        Ok(())
    }

    async fn run_one(&self) -> Result<(), String> {
        let image = sample::IMAGE;
        self.step(&format!("kubectl -n {NAMESPACE} create -f - # a ReplicationController of {image}")).await;
        let container =
            serde_json::json!({"name": NAME, "image": image, "ports": [{"containerPort": sample::PORT}]});
        let spec = serde_json::json!({
            "replicas": 1,
            "selector": {"run": NAME},
            "template": {"metadata": {"labels": {"run": NAME}}, "spec": {"containers": [container]}},
        });
        self.make(object::<ReplicationController>(Some(NAMESPACE), NAME, spec)?).await?;
        self.step(&format!("kubectl -n {NAMESPACE} get pods")).await;
        self.tell_pods(1).await
    }

    async fn expose(&self) -> Result<String, String> {
        self.step(&format!("kubectl -n {NAMESPACE} expose rc {NAME} --type=LoadBalancer --name={SERVICE}"))
            .await;
        let port = sample::PORT;
        let spec = serde_json::json!({
            "type": "LoadBalancer",
            "selector": {"run": NAME},
            "ports": [{"port": port, "targetPort": port}],
        });
        self.make(object::<Service>(Some(NAMESPACE), SERVICE, spec)?).await?;
        self.step(&format!("kubectl -n {NAMESPACE} get services")).await;
        let key = ObjectKey::namespaced(NAMESPACE, SERVICE);
        let address = self.wait_for::<Service, _>("an address for the service", |services| {
            let service = services.get(&key)?;
            let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?;
            ingress.ip.clone()
        });
        let address = format!("{}:{port}", address.await?);
        self.tell(format!("{SERVICE} has the address {address}")).await;
        self.step(&format!("curl http://{address}")).await;
        let answer = self.first_answer(&address).await?;
        self.tell(answer).await;
        Ok(address)
    }

    async fn scale(&self) -> Result<(), String> {
        self.step(&format!("kubectl -n {NAMESPACE} scale rc {NAME} --replicas=3")).await;
        let controllers = self.client.api::<ReplicationController>();
        let three = |controller: &mut ReplicationController| {
            controller.spec.get_or_insert_default().replicas = Some(3);
            Ok(())
        };
        let key = ObjectKey::namespaced(NAMESPACE, NAME);
        controllers.modify(&key, three).await.map_err(|e| e.to_string())?;
        self.tell_pods(3).await
    }

    /// Asks until each pod has answered.
    async fn see_all(&self, address: &str) -> Result<(), String> {
        self.step(&format!("for i in 1 2 3 …; do curl http://{address}; done")).await;
        let mut answers = BTreeMap::<String, usize>::new();
        for _ in 0..REQUESTS {
            *answers.entry(self.ask(address).await?).or_default() += 1;
            if answers.len() == 3 {
                break;
            }
        }
        for (answer, times) in &answers {
            self.tell(format!("{answer}   ({times} ×)")).await;
        }
        match answers.len() {
            3 => Ok(()),
            few => Err(format!("{REQUESTS} requests hit {few} of 3 pods")),
        }
    }

    async fn replace_one(&self, address: &str) -> Result<(), String> {
        let pods = self.client.cluster().informer::<Pod>().select(Some(NAMESPACE), &selector());
        let victim = pods.iter().find(|pod| ask::is_active(pod)).and_then(|pod| pod.metadata.name.clone());
        let victim = victim.ok_or("no pod is left to delete")?;
        self.step(&format!("kubectl -n {NAMESPACE} delete pod {victim}")).await;
        let key = ObjectKey::namespaced(NAMESPACE, &victim);
        let deleted = self.client.api::<Pod>().delete(&key, DeleteOptions::default()).await;
        deleted.map_err(|e| e.to_string())?;
        self.wait_for::<Pod, _>("the pod to go", |pods| (!pods.contains_key(&key)).then_some(())).await?;
        self.tell_pods(3).await?;
        let answer = self.ask(address).await?;
        self.tell(format!("another pod took its place, and the service answers: {answer}")).await;
        Ok(())
    }

    /// Waits until so many pods are ready, and tells their names and addresses.
    async fn tell_pods(&self, count: usize) -> Result<(), String> {
        let what = format!("{count} ready pods");
        let ready = self.wait_for::<Pod, _>(&what, |pods| {
            let ready: Vec<String> = pods
                .values()
                .filter(|pod| ask::is_active(pod) && ask::is_ready(pod))
                .map(|pod| {
                    let ip = pod.status.as_ref().and_then(|s| s.pod_ip.as_deref()).unwrap_or_default();
                    format!("{} is running at {ip}", pod.metadata.name.as_deref().unwrap_or_default())
                })
                .collect();
            (ready.len() >= count).then_some(ready)
        });
        for line in ready.await? {
            self.tell(line).await;
        }
        Ok(())
    }

    /// The objects of one kind in the tour's namespace, looked at again whenever one changes.
    async fn wait_for<K: TypedKind, T>(
        &self,
        what: &str,
        found: impl Fn(&BTreeMap<ObjectKey, Arc<K>>) -> Option<T>,
    ) -> Result<T, String> {
        let informer = self.client.cluster().informer::<K>();
        let mut changes = informer.subscribe();
        let waiting = async {
            loop {
                let objects = informer.list(Some(NAMESPACE));
                let objects =
                    objects.into_iter().map(|object| (kinds::key_of(object.metadata()), object)).collect();
                if let Some(found) = found(&objects) {
                    return Ok(found);
                }
                if changes.next().await.is_none() {
                    return Err("the cluster is stopping".to_owned());
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| {
            Err(format!(
                "waited {} s for {what}: see `kubectl -n {NAMESPACE} get events`",
                PATIENCE.as_secs()
            ))
        })
    }

    /// What is there from an earlier tour stays as it is.
    async fn make<K: TypedKind>(&self, object: K) -> Result<(), String> {
        match self.client.api::<K>().create(object).await {
            Err(status) if !status.is(Reason::AlreadyExists) => Err(status.to_string()),
            _ => Ok(()),
        }
    }

    async fn ask(&self, address: &str) -> Result<String, String> {
        let asked = async {
            let mut stream = TcpStream::connect(address).await?;
            let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.take(64 * 1024).read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let failed = |why: String| format!("GET http://{address}: {why}");
        let answer = tokio::time::timeout(REQUEST_PATIENCE, asked).await;
        let answer =
            answer.map_err(|_| failed("no answer".to_owned()))?.map_err(|e| failed(e.to_string()))?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.trim().to_owned());
        body.ok_or_else(|| failed("the answer is no HTTP".to_owned()))
    }

    /// The address is there before the first pod is known behind it: a refusal right at the beginning is no failure.
    async fn first_answer(&self, address: &str) -> Result<String, String> {
        let began = tokio::time::Instant::now();
        loop {
            match self.ask(address).await {
                Err(_) if began.elapsed() < REQUEST_PATIENCE => tokio::time::sleep(PAUSE).await,
                outcome => return outcome,
            }
        }
    }

    async fn step(&self, command: &str) {
        let _ = self.say.send(ControlReply::Step { command: command.to_owned() }).await;
    }

    async fn tell(&self, what: String) {
        let _ = self.say.send(ControlReply::Told { what }).await;
    }
}

fn selector() -> LabelSelector {
    LabelSelector::from_pairs([(&"run".to_owned(), &NAME.to_owned())])
}

fn object<K: TypedKind + serde::de::DeserializeOwned>(
    namespace: Option<&str>,
    name: &str,
    spec: serde_json::Value,
) -> Result<K, String> {
    let manifest = serde_json::json!({"metadata": {"name": name, "namespace": namespace}, "spec": spec});
    api::json::from_value(&manifest).map_err(|e| Status::internal(e).to_string())
}

//! Namespaces that are to go and can not yet, on a cluster in memory.

mod common;

use api::{ObjectKey, Status};
use async_trait::async_trait;
use bytes::Bytes;
use cluster::{Actor, AggregatedCaller, Client, Cluster, DeleteOptions};
use common::{object, start, until};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use serde_json::json;
use std::sync::{Arc, Mutex};

async fn namespace(client: &Client) -> ObjectKey {
    client.api::<Namespace>().create(object(json!({"metadata": {"name": "going"}}))).await.unwrap();
    ObjectKey::cluster("going")
}

/// Its message, where it holds.
fn holds(client: &Client, condition: &str) -> Option<String> {
    let namespace = client.api::<Namespace>().find(&ObjectKey::cluster("going")).unwrap()?;
    let conditions = namespace.status?.conditions?;
    let found = conditions.into_iter().find(|c| c.type_ == condition && c.status == "True")?;
    found.message
}

fn is_gone(client: &Client) -> bool {
    client.api::<Namespace>().find(&ObjectKey::cluster("going")).unwrap().is_none()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_deleted_is_told_and_keeps_no_other_kind() {
    let client = start().await;
    let policy = json!({"metadata": {"name": "keep"}, "spec": {
        "matchConstraints": {"resourceRules": [
            {"operations": ["DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]},
        ]},
        "validations": [{"expression": "oldObject.metadata.name != 'kept'", "message": "it is needed"}],
    }});
    client.api::<ValidatingAdmissionPolicy>().create(object(policy)).await.unwrap();
    let binding = json!({
        "metadata": {"name": "keep"}, "spec": {"policyName": "keep", "validationActions": ["Deny"]},
    });
    client.api::<ValidatingAdmissionPolicyBinding>().create(object(binding)).await.unwrap();
    let key = namespace(&client).await;
    let inside = |name: &str| json!({"metadata": {"name": name, "namespace": "going"}});
    client.api::<ConfigMap>().create(object(inside("kept"))).await.unwrap();
    client.api::<Secret>().create(object(inside("secret"))).await.unwrap();
    client.api::<Namespace>().delete(&key, DeleteOptions::default()).await.unwrap();
    let failure = "NamespaceDeletionContentFailure";
    until::<Namespace>(&client, |client| holds(client, failure).is_some()).await;
    let why = holds(&client, failure).unwrap();
    assert!(why.starts_with("Failed to delete all resource types, 1 remaining: "), "{why}");
    assert!(why.contains("configmaps \"kept\" is forbidden") && why.contains("it is needed"), "{why}");
    let secret = ObjectKey::namespaced("going", "secret");
    assert!(client.api::<Secret>().find(&secret).unwrap().is_none(), "configmaps come before secrets");
    let remaining = holds(&client, "NamespaceContentRemaining").unwrap();
    assert!(remaining.contains("configmaps. has "), "{remaining}");
    let binding = ObjectKey::cluster("keep");
    client
        .api::<ValidatingAdmissionPolicyBinding>()
        .delete(&binding, DeleteOptions::default())
        .await
        .unwrap();
    until::<Namespace>(&client, is_gone).await;
}

/// An extension API server with one flunder.
#[derive(Default)]
struct Extension {
    deleted: Mutex<Vec<String>>,
}

#[async_trait]
impl AggregatedCaller for Extension {
    async fn get(
        &self,
        _: &Cluster,
        _: &Actor,
        group: &str,
        version: &str,
        path: &str,
    ) -> Result<Bytes, Status> {
        assert_eq!((group, version), ("example.com", "v1"));
        let there = self.deleted.lock().unwrap().is_empty();
        let answer = match path {
            "" => json!({"kind": "APIResourceList", "resources": [
                {"name": "flunders", "namespaced": true, "kind": "Flunder", "verbs": ["list", "delete", "deletecollection"]},
                {"name": "flunders/status", "namespaced": true, "kind": "Flunder", "verbs": ["get"]},
                {"name": "fischers", "namespaced": false, "kind": "Fischer", "verbs": ["list", "delete"]},
                {"name": "reports", "namespaced": true, "kind": "Report", "verbs": ["list"]},
            ]}),
            "namespaces/going/flunders" if there => json!({"items": [{"metadata": {"name": "one"}}]}),
            "namespaces/going/flunders" => json!({"items": null}),
            other => panic!("{other} is not to be asked for"),
        };
        Ok(answer.to_string().into())
    }
    async fn delete(&self, _: &Cluster, _: &Actor, _: &str, _: &str, path: &str) -> Result<(), Status> {
        self.deleted.lock().unwrap().push(path.to_owned());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_extensions_have_goes_too_and_one_that_is_silent_is_waited_for() {
    let client = start().await;
    let extension = Arc::new(Extension::default());
    client.cluster().ask_aggregated_through(extension.clone());
    let services = client.api::<APIService>();
    let spec = json!({"metadata": {"name": "v1.example.com"}, "spec": {
        "group": "example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10,
        "insecureSkipTLSVerify": true, "service": {"namespace": "default", "name": "extension"},
    }});
    services.create(object(spec)).await.unwrap();
    let service = ObjectKey::cluster("v1.example.com");
    // else the namespace may be gone before the controller has heard of it
    until::<APIService>(&client, |c| c.cluster().informer::<APIService>().get(&service).is_some()).await;
    let key = namespace(&client).await;
    client.api::<Namespace>().delete(&key, DeleteOptions::default()).await.unwrap();
    let failure = "NamespaceDeletionDiscoveryFailure";
    until::<Namespace>(&client, |client| holds(client, failure).is_some()).await;
    assert_eq!(
        holds(&client, failure).unwrap(),
        "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: \
         example.com/v1: stale GroupVersion discovery: example.com/v1"
    );
    let answers = |service: &mut APIService| {
        service.status = Some(object(
            json!({"conditions": [{"type": "Available", "status": "True", "reason": "Passed"}]}),
        ));
        Ok(())
    };
    services.modify_status(&service, answers).await.unwrap();
    until::<Namespace>(&client, is_gone).await;
    assert_eq!(
        *extension.deleted.lock().unwrap(),
        ["namespaces/going/flunders?propagationPolicy=Background"]
    );
}

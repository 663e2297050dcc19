//! The controllers at work on a cluster in memory.

mod common;

use api::{LabelSelector, ObjectKey};
use cluster::{Client, DeleteOptions, Propagation, unless_gone};
use common::{key, object, start, until};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Endpoints, Namespace, Node, Pod, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use serde_json::{Value, json};

fn deployment(name: &str) -> Deployment {
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    object(json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }))
}

fn sets(client: &Client) -> Vec<ReplicaSet> {
    client.api::<ReplicaSet>().list(Some("default"), LabelSelector::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_takes_in_the_set_that_another_left_behind() {
    let client = start().await;
    let deployments = client.api::<Deployment>();
    deployments.create(deployment("web")).await.unwrap();
    until::<Pod>(&client, |c| c.cluster().informer::<Pod>().list(None).len() == 2).await;
    let orphan = DeleteOptions { propagation: Some(Propagation::Orphan), ..DeleteOptions::default() };
    deployments.delete(&key("web"), orphan).await.unwrap();
    until::<Deployment>(&client, |c| c.api::<Deployment>().find(&key("web")).unwrap().is_none()).await;
    let left = sets(&client);
    assert!(left.len() == 1 && left[0].metadata.owner_references.is_none(), "{left:?}");

    let again = deployments.create(deployment("web")).await.unwrap();
    let observed = |c: &Client| {
        let now = c.api::<Deployment>().get(&key("web")).unwrap();
        now.status.is_some_and(|status| status.observed_generation == Some(1))
    };
    until::<Deployment>(&client, observed).await;
    let taken = sets(&client);
    assert_eq!(taken.len(), 1, "a second set was made beside the one that fits");
    assert_eq!(taken[0].metadata.owner_references.as_ref().unwrap()[0].uid, again.metadata.uid.unwrap());

    // a set that the selector does not find any more is let go, and another takes its place
    let lost = taken[0].metadata.name.clone().unwrap();
    client
        .api::<ReplicaSet>()
        .modify(&key(&lost), |set| {
            set.metadata.labels.get_or_insert_default().insert("app".into(), "other".into());
            Ok(())
        })
        .await
        .unwrap();
    until::<ReplicaSet>(&client, |c| {
        let free = |set: &ReplicaSet| set.metadata.owner_references.is_none();
        let all = sets(c);
        all.iter().filter(|set| free(set)).count() == 1 && all.len() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_every_cluster_has_comes_back() {
    let client = start().await;
    let api = key("kubernetes");
    let before = client.api::<Service>().get(&api).unwrap();
    client.api::<Service>().delete(&api, DeleteOptions::default()).await.unwrap();
    until::<Service>(&client, |c| {
        c.api::<Service>().find(&api).unwrap().is_some_and(|now| now.metadata.uid != before.metadata.uid)
    })
    .await;
    assert_eq!(client.api::<Service>().get(&api).unwrap().spec, before.spec);
    let all = client.api::<Endpoints>();
    let emptied = all.modify(&api, |endpoints| {
        endpoints.subsets = None;
        Ok(())
    });
    // they may have gone with the Service a moment ago
    unless_gone(emptied.await).unwrap();
    until::<Endpoints>(&client, |c| {
        c.api::<Endpoints>().find(&api).unwrap().is_some_and(|now| now.subsets.is_some())
    })
    .await;
    let leases = ObjectKey::cluster("kube-node-lease");
    let old = client.api::<Namespace>().get(&leases).unwrap().metadata.uid;
    client.api::<Namespace>().delete(&leases, DeleteOptions::default()).await.unwrap();
    until::<Namespace>(&client, |c| {
        c.api::<Namespace>().find(&leases).unwrap().is_some_and(|now| now.metadata.uid != old)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taint_sends_away_those_who_do_not_tolerate_it() {
    let client = start().await;
    let taint = json!({"key": "k", "value": "v", "effect": "NoExecute"});
    client.api::<Node>().create(object(json!({"metadata": {"name": "n"}}))).await.unwrap();
    let tolerant = json!([{"key": "k", "operator": "Exists"}]);
    for (name, tolerations) in [("stays", tolerant), ("goes", json!([]))] {
        let spec =
            json!({"nodeName": "n", "tolerations": tolerations, "containers": [{"name": "c", "image": "i"}]});
        let pod = json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec});
        client.api::<Pod>().create(object(pod)).await.unwrap();
    }
    client
        .api::<Node>()
        .modify(&ObjectKey::cluster("n"), |node| {
            node.spec.get_or_insert_default().taints =
                Some(vec![serde_json::from_value(taint.clone()).unwrap()]);
            Ok(())
        })
        .await
        .unwrap();
    until::<Pod>(&client, |c| {
        c.api::<Pod>().get(&key("goes")).unwrap().metadata.deletion_timestamp.is_some()
    })
    .await;
    let gone = client.api::<Pod>().get(&key("goes")).unwrap();
    assert!(kinds::pod::condition(&gone, "DisruptionTarget").is_some());
    assert!(client.api::<Pod>().get(&key("stays")).unwrap().metadata.deletion_timestamp.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_to_go_from_a_node_that_is_off_goes_without_it() {
    let client = start().await;
    let (nodes, pods) = (client.api::<Node>(), client.api::<Pod>());
    for (node, ready) in [("off", "Unknown"), ("works", "True")] {
        let status = json!({"conditions": [{"type": "Ready", "status": ready}]});
        nodes.create(object(json!({"metadata": {"name": node}}))).await.unwrap();
        let say = |node: &mut Node| {
            node.status = Some(object(status.clone()));
            Ok(())
        };
        nodes.modify_status(&ObjectKey::cluster(node), say).await.unwrap();
        let spec = json!({"nodeName": node, "containers": [{"name": "c", "image": "i"}]});
        let pod = json!({"metadata": {"name": node, "namespace": "default"}, "spec": spec});
        pods.create(object(pod)).await.unwrap();
    }
    let taint =
        json!({"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"});
    for node in ["works", "off"] {
        let mark = |node: &mut Node| {
            let taints = node.spec.get_or_insert_default().taints.get_or_insert_default();
            taints.push(object(taint.clone()));
            Ok(())
        };
        nodes.modify(&ObjectKey::cluster(node), mark).await.unwrap();
    }
    until::<Pod>(&client, |c| c.api::<Pod>().find(&key("off")).unwrap().is_none()).await;
    // whoever answers ends its pods itself
    until::<Pod>(&client, |c| {
        c.api::<Pod>().get(&key("works")).unwrap().metadata.deletion_timestamp.is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_on_a_node_that_fell_silent_is_not_ready_and_goes_if_he_does_not_bear_it() {
    let client = start().await;
    let nodes = client.api::<Node>();
    let says = async |node: &str, ready: &str| {
        let status = json!({"conditions": [{"type": "Ready", "status": ready}]});
        let say = |node: &mut Node| {
            node.status = Some(object(status.clone()));
            Ok(())
        };
        nodes.modify_status(&ObjectKey::cluster(node), say).await.unwrap();
    };
    for name in ["well", "lost"] {
        nodes.create(object(json!({"metadata": {"name": name}}))).await.unwrap();
        says(name, "True").await;
    }
    let at_once = json!([{
        "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0,
    }]);
    for (name, tolerations) in [("bears", json!([])), ("goes", at_once)] {
        let containers = json!([{"name": "c", "image": "i"}]);
        let spec = json!({"nodeName": "lost", "tolerations": tolerations, "containers": containers});
        let pod = json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec});
        client.api::<Pod>().create(object(pod)).await.unwrap();
        let run = |pod: &mut Pod| {
            let status = pod.status.get_or_insert_default();
            status.phase = Some("Running".to_owned());
            status.conditions = Some(object(json!([{"type": "Ready", "status": "True"}])));
            Ok(())
        };
        client.api::<Pod>().modify_status(&key(name), run).await.unwrap();
    }
    says("lost", "Unknown").await;
    let pod = |c: &Client, name: &str| c.api::<Pod>().get(&key(name)).unwrap();
    until::<Pod>(&client, |c| !kinds::pod::is_ready(&pod(c, "bears"))).await;
    until::<Pod>(&client, |c| pod(c, "goes").metadata.deletion_timestamp.is_some()).await;
    assert!(pod(&client, "bears").metadata.deletion_timestamp.is_none(), "five minutes are not over");
    let taints = |c: &Client| {
        let node = c.api::<Node>().get(&ObjectKey::cluster("lost")).unwrap();
        let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
        taints.into_iter().map(|taint| (taint.key, taint.effect)).collect::<Vec<_>>()
    };
    let unreachable = |effect: &str| ("node.kubernetes.io/unreachable".to_owned(), effect.to_owned());
    assert_eq!(taints(&client), [unreachable("NoSchedule"), unreachable("NoExecute")]);
    // nowhere to go
    says("well", "Unknown").await;
    until::<Node>(&client, |c| taints(c) == [unreachable("NoSchedule")]).await;
    says("lost", "True").await;
    until::<Node>(&client, |c| taints(c).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_has_no_owner_at_all() {
    let client = start().await;
    let map = |name: &str, owners: Value| json!({"metadata": {"name": name, "namespace": "default", "ownerReferences": owners}});
    let owner: ConfigMap = client.api().create(object(map("owner", json!([])))).await.unwrap();
    assert_eq!(owner.metadata.owner_references, None);
    let reference =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid}]);
    client.api::<ConfigMap>().create(object(map("owned", reference))).await.unwrap();
    let orphan = DeleteOptions { propagation: Some(Propagation::Orphan), ..DeleteOptions::default() };
    client.api::<ConfigMap>().delete(&key("owner"), orphan).await.unwrap();
    until::<ConfigMap>(&client, |c| c.api::<ConfigMap>().find(&key("owner")).unwrap().is_none()).await;
    assert_eq!(client.api::<ConfigMap>().get(&key("owned")).unwrap().metadata.owner_references, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_written_by_hand_become_slices() {
    let client = start().await;
    let service =
        json!({"metadata": {"name": "db", "namespace": "default"}, "spec": {"ports": [{"port": 5432}]}});
    client.api::<Service>().create(object(service)).await.unwrap();
    let subsets = json!([{
        "addresses": [{"ip": "192.0.2.1"}], "notReadyAddresses": [{"ip": "192.0.2.2"}], "ports": [{"port": 5432}],
    }]);
    let written = json!({"metadata": {"name": "db", "namespace": "default"}, "subsets": subsets});
    client.api::<Endpoints>().create(object(written)).await.unwrap();
    let of_db = |c: &Client| {
        let all = c.api::<EndpointSlice>().list(Some("default"), LabelSelector::default()).unwrap();
        let named = |s: &EndpointSlice| s.metadata.generate_name.as_deref() == Some("db-");
        all.into_iter().filter(named).collect::<Vec<_>>()
    };
    until::<EndpointSlice>(&client, |c| of_db(c).len() == 1).await;
    let slice = of_db(&client).remove(0);
    let ready = |e: &Endpoint| (e.addresses[0].clone(), e.conditions.as_ref().and_then(|c| c.ready));
    let endpoints: Vec<_> = slice.endpoints.iter().flatten().map(ready).collect();
    assert_eq!(endpoints, [("192.0.2.1".to_owned(), Some(true)), ("192.0.2.2".to_owned(), Some(false))]);
    assert_eq!(slice.ports.unwrap()[0].port, Some(5432));
    // changed, and taken away
    let db = key("db");
    let lead_nowhere = |endpoints: &mut Endpoints| {
        endpoints.subsets = None;
        Ok(())
    };
    client.api::<Endpoints>().modify(&db, lead_nowhere).await.unwrap();
    until::<EndpointSlice>(&client, |c| of_db(c).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_elsewhere_has_no_endpoints_whatever_it_selects() {
    let client = start().await;
    let services = client.api::<Service>();
    // as `kubectl create service externalname` writes it
    let elsewhere =
        json!({"type": "ExternalName", "externalName": "db.example.com", "selector": {"app": "web"}});
    let here = json!({"ports": [{"port": 80}], "selector": {"app": "web"}});
    for (name, spec) in [("elsewhere", elsewhere), ("here", here)] {
        let service = json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec});
        services.create(object(service)).await.unwrap();
    }
    let all = |c: &Client| c.api::<Endpoints>().list(Some("default"), LabelSelector::default()).unwrap();
    until::<Endpoints>(&client, |c| all(c).iter().any(|e| e.metadata.name.as_deref() == Some("here"))).await;
    // those of the one that was made first would be there by now, and still more so after another round
    services
        .modify(&key("here"), |service| {
            service.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
            Ok(())
        })
        .await
        .unwrap();
    let is_labelled = |e: &Endpoints| e.metadata.labels.iter().flatten().any(|(label, _)| label == "a");
    until::<Endpoints>(&client, |c| all(c).iter().any(is_labelled)).await;
    let is_elsewhere = |name: Option<&str>| name.is_some_and(|name| name.starts_with("elsewhere"));
    let endpoints = all(&client);
    assert!(!endpoints.iter().any(|e| is_elsewhere(e.metadata.name.as_deref())), "{endpoints:?}");
    let slices = client.api::<EndpointSlice>().list(Some("default"), LabelSelector::default()).unwrap();
    assert!(!slices.iter().any(|s| is_elsewhere(s.metadata.generate_name.as_deref())), "{slices:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_have_no_owner_and_go_with_their_service() {
    let client = start().await;
    let services = client.api::<Service>();
    let spec = json!({"ports": [{"port": 80}]});
    let mut selecting = spec.clone();
    selecting["selector"] = json!({"app": "web"});
    // one is made, the other written by hand
    let made = json!({"metadata": {"name": "made", "namespace": "default"}, "spec": selecting});
    let service = services.create(object(made)).await.unwrap();
    let by_hand = json!({"metadata": {"name": "by-hand", "namespace": "default"}, "spec": spec});
    services.create(object(by_hand)).await.unwrap();
    let written = |name: &str| {
        let subsets = json!([{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]);
        object::<Endpoints>(json!({"metadata": {"name": name, "namespace": "default"}, "subsets": subsets}))
    };
    client.api::<Endpoints>().create(written("by-hand")).await.unwrap();
    client.api::<Endpoints>().create(written("before-its-service")).await.unwrap();
    let find = |c: &Client, name: &str| c.api::<Endpoints>().find(&key(name)).unwrap();
    until::<Endpoints>(&client, |c| find(c, "made").is_some()).await;
    let meta = find(&client, "made").unwrap().metadata;
    assert_eq!(meta.owner_references, None);
    let since = meta.annotations.unwrap().remove("endpoints.kubernetes.io/last-change-trigger-time");
    assert_eq!(since, service.metadata.creation_timestamp.map(|time| time.0.to_string()));
    for name in ["made", "by-hand"] {
        services.delete(&key(name), DeleteOptions::default()).await.unwrap();
        until::<Endpoints>(&client, |c| find(c, name).is_none()).await;
    }
    assert!(find(&client, "before-its-service").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_says_what_it_waits_for() {
    let client = start().await;
    let (namespace, held) = (ObjectKey::cluster("going"), ObjectKey::namespaced("going", "held"));
    client.api::<Namespace>().create(object(json!({"metadata": {"name": "going"}}))).await.unwrap();
    let meta = json!({"name": "held", "namespace": "going", "finalizers": ["example.com/keep"]});
    client.api::<ConfigMap>().create(object(json!({"metadata": meta}))).await.unwrap();
    client.api::<Namespace>().delete(&namespace, DeleteOptions::default()).await.unwrap();
    let words = |c: &Client| {
        let status = c.api::<Namespace>().get(&namespace).unwrap().status.unwrap_or_default();
        let holding = status.conditions.into_iter().flatten().filter(|c| c.status == "True");
        holding.map(|c| c.message.unwrap_or_default()).collect::<Vec<_>>()
    };
    until::<Namespace>(&client, |c| words(c).len() == 2).await;
    assert_eq!(
        words(&client),
        [
            "Some resources are remaining: configmaps. has 1 resource instances",
            "Some content in the namespace has finalizers remaining: example.com/keep in 1 resource instances",
        ]
    );
    let late = json!({"metadata": {"name": "late", "namespace": "going"}});
    let refused = client.api::<ConfigMap>().create(object(late)).await.unwrap_err();
    assert!(refused.message.starts_with("configmaps \"late\" is forbidden"), "{refused}");
    client
        .api::<ConfigMap>()
        .modify(&held, |map| {
            map.metadata.finalizers = None;
            Ok(())
        })
        .await
        .unwrap();
    until::<Namespace>(&client, |c| c.api::<Namespace>().find(&namespace).unwrap().is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_pod_of_a_namespace_is_there_nothing_else_goes() {
    let client = start().await;
    let namespace = ObjectKey::cluster("going");
    let inside = |name: &str| ObjectKey::namespaced("going", name);
    client.api::<Namespace>().create(object(json!({"metadata": {"name": "going"}}))).await.unwrap();
    let account = |c: &Client| c.api::<ServiceAccount>().find(&inside("default")).unwrap();
    until::<ServiceAccount>(&client, |c| account(c).is_some()).await;
    let map = json!({"metadata": {"name": "map", "namespace": "going"}});
    client.api::<ConfigMap>().create(object(map)).await.unwrap();
    let meta = json!({"name": "held", "namespace": "going", "finalizers": ["example.com/keep"]});
    let spec = json!({"containers": [{"name": "c", "image": "x"}]});
    client.api::<Pod>().create(object(json!({"metadata": meta, "spec": spec}))).await.unwrap();
    client.api::<Namespace>().delete(&namespace, DeleteOptions::default()).await.unwrap();
    let says = |c: &Client, message: &str| {
        let status = c.api::<Namespace>().get(&namespace).unwrap().status.unwrap_or_default();
        status.conditions.into_iter().flatten().any(|c| c.message.as_deref() == Some(message))
    };
    let remaining = "Some resources are remaining: pods. has 1 resource instances";
    until::<Namespace>(&client, |c| says(c, remaining)).await;
    let map = client.api::<ConfigMap>().get(&inside("map")).unwrap();
    assert_eq!((map.metadata.deletion_timestamp, account(&client).is_some()), (None, true));
    let let_go = |pod: &mut Pod| {
        pod.metadata.finalizers = None;
        Ok(())
    };
    client.api::<Pod>().modify(&inside("held"), let_go).await.unwrap();
    until::<Namespace>(&client, |c| c.api::<Namespace>().find(&namespace).unwrap().is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_foreground_deletion_the_last_owner_waits_for_the_last_pod() {
    let client = start().await;
    let (deployments, pods) = (client.api::<Deployment>(), client.api::<Pod>());
    deployments.create(deployment("web")).await.unwrap();
    until::<Pod>(&client, |c| c.cluster().informer::<Pod>().list(None).len() == 2).await;
    let held = kinds::key_of(&client.cluster().informer::<Pod>().list(None)[0].metadata);
    let hold = |pod: &mut Pod| {
        pod.metadata.finalizers = Some(vec!["example.com/keep".into()]);
        Ok(())
    };
    pods.modify(&held, hold).await.unwrap();
    let foreground = DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
    deployments.delete(&key("web"), foreground).await.unwrap();
    until::<Pod>(&client, |c| {
        let left = c.api::<Pod>().list(Some("default"), LabelSelector::default()).unwrap();
        left.len() == 1 && left[0].metadata.deletion_timestamp.is_some()
    })
    .await;
    assert!(sets(&client).len() == 1 && deployments.find(&key("web")).unwrap().is_some());
    let let_go = |pod: &mut Pod| {
        pod.metadata.finalizers = None;
        Ok(())
    };
    pods.modify(&held, let_go).await.unwrap();
    until::<Deployment>(&client, |c| c.api::<Deployment>().find(&key("web")).unwrap().is_none()).await;
    assert!(sets(&client).is_empty());
}

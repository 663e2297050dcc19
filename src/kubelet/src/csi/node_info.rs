//! What the cluster is told of the drivers of this node: its CSINode, and labels and an annotation of the node itself. Upstream's
//! `nodeinfomanager`.

use crate::shared::Shared;
use api::{ObjectKey, Reason, Status};
use cluster::{Api, unless_gone};
use csi::NodeInfo;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::{CSINode, CSINodeDriver, CSINodeSpec, VolumeNodeResources};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The node's CSINode, which goes with the node. One of an older node of that name becomes this one's.
///
/// # Errors
/// The cluster refused it.
pub(crate) async fn create(shared: &Shared) -> Result<(), Status> {
    let nodes: Api<Node> = shared.client.api();
    let node = nodes.get(&key(shared))?;
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.metadata.name.unwrap_or_default(),
        uid: node.metadata.uid.unwrap_or_default(),
        ..OwnerReference::default()
    };
    let metadata = ObjectMeta {
        name: Some(shared.config.node_name.clone()),
        owner_references: Some(vec![owner.clone()]),
        ..ObjectMeta::default()
    };
    let made = CSINode { metadata, spec: CSINodeSpec::default(), status: None };
    match csi_nodes(shared).create(made).await {
        Err(status) if status.is(Reason::AlreadyExists) => {}
        made => return made.map(|_| ()),
    }
    let Some(known) = csi_nodes(shared).find(&key(shared))? else { return Ok(()) };
    if is_owned(&known, &owner) {
        return Ok(());
    }
    let own = |node: &mut CSINode| {
        set_owner(node, &owner);
        Ok(())
    };
    csi_nodes(shared).modify(&key(shared), own).await.map(|_| ())
}

fn is_owned(node: &CSINode, owner: &OwnerReference) -> bool {
    let mut owners = node.metadata.owner_references.iter().flatten();
    owners.any(|known| known.kind == owner.kind && known.uid == owner.uid)
}

/// Instead of a node of that name that is gone: what is owned by it would be collected.
fn set_owner(node: &mut CSINode, owner: &OwnerReference) {
    let owners = node.metadata.owner_references.get_or_insert_default();
    owners.retain(|known| known.kind != owner.kind);
    owners.push(owner.clone());
}

/// # Errors
/// What the driver says does not go with what is there, or the cluster refused it.
pub(super) async fn install(shared: &Shared, name: &str, info: &NodeInfo) -> Result<(), String> {
    if info.node_id.is_empty() {
        return Err("error updating CSINode object with CSI driver node info: error updating CSINode: node ID is empty".to_owned());
    }
    let segments = info.accessible_topology.as_ref().map(|topology| &topology.segments);
    let none = HashMap::new();
    let segments = segments.unwrap_or(&none);
    let nodes: Api<Node> = shared.client.api();
    let change = |node: &mut Node| {
        add_to_node(node, name, &info.node_id, segments).map_err(|why| Status::new(Reason::Conflict, why))
    };
    let failed = |status: Status| {
        format!("error updating Node object with CSI driver node info: error updating node: {status}")
    };
    // a conflict between writers is tried again, and so would be one of labels: that one is looked for first
    let mut node = nodes.get(&key(shared)).map_err(failed)?;
    add_to_node(&mut node, name, &info.node_id, segments)
        .map_err(|why| format!("error updating Node object with CSI driver node info: {why}"))?;
    nodes.modify(&key(shared), change).await.map_err(failed)?;
    let failed = |status: Status| {
        format!("error updating CSINode object with CSI driver node info: error updating CSINode: {status}")
    };
    let wanted = driver(name, info);
    let known = match csi_nodes(shared).find(&key(shared)).map_err(failed)? {
        Some(known) => known,
        None => {
            create(shared).await.map_err(failed)?;
            CSINode::default()
        }
    };
    let old = known.spec.drivers.iter().find(|known| known.name == name);
    if old == Some(&wanted) {
        return Ok(());
    }
    if old.is_some_and(|old| old.node_id != wanted.node_id || old.topology_keys != wanted.topology_keys) {
        // what is known of a driver may not change: it goes, and comes as another
        remove(shared, |other| other == name).await.map_err(failed)?;
    }
    let add = |node: &mut CSINode| {
        node.spec.drivers.retain(|known| known.name != name);
        node.spec.drivers.push(wanted.clone());
        Ok(())
    };
    csi_nodes(shared).modify(&key(shared), add).await.map(|_| ()).map_err(failed)
}

/// A driver is gone from the node. Labels stay, as upstream leaves them: other drivers may have them too.
///
/// # Errors
/// The cluster refused it.
pub(super) async fn uninstall(shared: &Shared, name: &str) -> Result<(), Status> {
    remove(shared, |known| known == name).await?;
    let nodes: Api<Node> = shared.client.api();
    let remove_id = |node: &mut Node| {
        remove_node_id(node, name);
        Ok(())
    };
    nodes.modify(&key(shared), remove_id).await.map(|_| ())
}

/// All but those are gone.
///
/// # Errors
/// The cluster refused it.
pub(super) async fn retain(shared: &Shared, registered: &BTreeSet<String>) -> Result<(), Status> {
    let Some(known) = csi_nodes(shared).find(&key(shared))? else { return Ok(()) };
    for driver in known.spec.drivers.iter().filter(|known| !registered.contains(&known.name)) {
        uninstall(shared, &driver.name).await?;
    }
    Ok(())
}

async fn remove(shared: &Shared, is_gone: impl Fn(&str) -> bool + Send + Sync) -> Result<(), Status> {
    let remove = |node: &mut CSINode| {
        node.spec.drivers.retain(|known| !is_gone(&known.name));
        Ok(())
    };
    unless_gone(csi_nodes(shared).modify(&key(shared), remove).await).map(drop)
}

fn csi_nodes(shared: &Shared) -> Api<CSINode> {
    shared.client.api()
}

fn key(shared: &Shared) -> ObjectKey {
    ObjectKey::cluster(&shared.config.node_name)
}

fn driver(name: &str, info: &NodeInfo) -> CSINodeDriver {
    let most = i32::try_from(info.max_volumes_per_node).unwrap_or(i32::MAX);
    let mut keys: Vec<String> =
        info.accessible_topology.iter().flat_map(|topology| topology.segments.keys().cloned()).collect();
    keys.sort();
    CSINodeDriver {
        name: name.to_owned(),
        node_id: info.node_id.clone(),
        topology_keys: (!keys.is_empty()).then_some(keys),
        // zero is as many as it likes
        allocatable: (most > 0).then_some(VolumeNodeResources { count: Some(most) }),
    }
}

/// # Errors
/// A label is another driver's, and says something else.
fn add_to_node(
    node: &mut Node,
    name: &str,
    id: &str,
    segments: &HashMap<String, String>,
) -> Result<(), String> {
    let labels = node.metadata.labels.get_or_insert_default();
    for (key, value) in segments {
        if let Some(known) = labels.get(key).filter(|known| *known != value) {
            return Err(format!(
                "detected topology value collision: driver reported {key:?}:{value:?} but existing label is {key:?}:{known:?}"
            ));
        }
    }
    labels.extend(segments.iter().map(|(key, value)| (key.clone(), value.clone())));
    let mut ids = node_ids(node);
    ids.insert(name.to_owned(), id.to_owned());
    set_node_ids(node, &ids);
    Ok(())
}

fn remove_node_id(node: &mut Node, name: &str) {
    let mut ids = node_ids(node);
    if ids.remove(name).is_some() {
        set_node_ids(node, &ids);
    }
}

fn node_ids(node: &Node) -> BTreeMap<String, String> {
    let text = kinds::volume::annotation(&node.metadata, kinds::csi::NODE_ID);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn set_node_ids(node: &mut Node, ids: &BTreeMap<String, String>) {
    if ids.is_empty() {
        let annotations = node.metadata.annotations.as_mut();
        annotations.map(|annotations| annotations.remove(kinds::csi::NODE_ID));
    } else if let Ok(text) = serde_json::to_string(ids) {
        kinds::volume::annotate(&mut node.metadata, kinds::csi::NODE_ID, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use csi::Topology;

    #[test]
    fn a_node_knows_its_drivers_by_their_names_for_it() {
        let mut node = Node::default();
        let zone = HashMap::from([("topology.example/zone".to_owned(), "a".to_owned())]);
        add_to_node(&mut node, "one.example", "1", &zone).unwrap();
        add_to_node(&mut node, "two.example", "2", &zone).unwrap();
        let told =
            |node: &Node| kinds::volume::annotation(&node.metadata, kinds::csi::NODE_ID).map(str::to_owned);
        assert_eq!(told(&node).as_deref(), Some(r#"{"one.example":"1","two.example":"2"}"#));
        assert_eq!(node.metadata.labels.as_ref().unwrap()["topology.example/zone"], "a");
        let other = HashMap::from([("topology.example/zone".to_owned(), "b".to_owned())]);
        assert_eq!(
            add_to_node(&mut node, "three.example", "3", &other).unwrap_err(),
            "detected topology value collision: driver reported \"topology.example/zone\":\"b\" but existing label is \"topology.example/zone\":\"a\""
        );
        remove_node_id(&mut node, "one.example");
        remove_node_id(&mut node, "two.example");
        assert_eq!(told(&node), None);
    }

    #[test]
    fn what_an_older_node_left_belongs_to_the_node() {
        let owner = |kind: &str, uid: &str| OwnerReference {
            kind: kind.to_owned(),
            uid: uid.to_owned(),
            ..OwnerReference::default()
        };
        let now = owner("Node", "new");
        let cases = [
            ("nobody's", None, false),
            ("an older node's", Some(vec![owner("Node", "old"), owner("Other", "o")]), false),
            ("its own", Some(vec![owner("Other", "o"), now.clone()]), true),
        ];
        for (name, owner_references, want) in cases {
            let others = owner_references.iter().flatten().filter(|of| of.kind != "Node").count();
            let mut node = CSINode::default();
            node.metadata.owner_references = owner_references;
            assert_eq!(is_owned(&node, &now), want, "{name}");
            set_owner(&mut node, &now);
            assert!(is_owned(&node, &now), "{name}");
            assert_eq!(node.metadata.owner_references.unwrap().len(), others + 1, "{name}");
        }
    }

    #[test]
    fn what_a_csi_node_says_of_a_driver() {
        let segments = HashMap::from([("b".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())]);
        let cases = [
            ("as many as it likes", 0, None),
            ("some", 7, Some(7)),
            ("more than there are", i64::MAX, Some(i32::MAX)),
        ];
        for (name, most, want) in cases {
            let info = NodeInfo {
                node_id: "n".to_owned(),
                max_volumes_per_node: most,
                accessible_topology: Some(Topology { segments: segments.clone() }),
            };
            let driver = driver("d", &info);
            assert_eq!(driver.allocatable.and_then(|allocatable| allocatable.count), want, "{name}");
            assert_eq!(driver.topology_keys.unwrap(), ["a", "b"], "{name}");
        }
    }
}

//! Volumes whose record is lost: what they are is found from where they are and from what the cluster knows, as upstream's kubelet
//! reconstructs what it had mounted. The decisions are pure; [`of_pod`] and [`of_node`] ask with what this kubelet knows.

use super::layout::{Form, escaped};
use super::records::{self, Found, Record, Step, VolumeData};
use crate::pod;
use crate::shared::Shared;
use crate::sources::Sources;
use api::ObjectKey;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, Pod};
use std::ffi::OsStr;
use std::path::Path;

/// What a pod has there; `None` where nobody can tell whose volume that was.
pub fn of_pod(shared: &Shared, found: Found) -> Option<VolumeData> {
    match found.record {
        Record::Known(data) => Some(data),
        ref record => {
            let (dir, uid) = (&found.dir, name_of(found.pod_dir()?)?);
            let all = shared.known.list(None);
            let pod = all.iter().find(|pod| pod::uid(pod) == uid);
            let volume = shared.sources.volume(name_of(dir)?);
            let data = pods_volume(name_of(dir)?, volume.as_deref(), pod.map(|pod| &**pod))?;
            Some(record.clone().or(|step| VolumeData { step, ..data }))
        }
    }
}

/// What is staged there; `None` where nobody can have it.
pub async fn of_node(shared: &Shared, found: Found) -> Option<VolumeData> {
    let (dir, form) = (found.dir, found.form);
    match found.record {
        Record::Known(data) => Some(data),
        record => {
            let (driver, name) = (name_of(dir.parent()?)?, name_of(&dir)?);
            let mut all: Vec<VolumeData> =
                shared.sources.volumes.list(None).iter().filter_map(|of| of_volume(of)).collect();
            let pods = records::all_of_pods(&shared.csi.pods_dir()).await.unwrap_or_default();
            all.extend(pods.into_iter().filter_map(|found| of_pod(shared, found)));
            let node = shared.client.api::<Node>().find(&ObjectKey::cluster(&shared.config.node_name));
            all.extend(node.ok().flatten().iter().flat_map(in_use));
            let data = match form {
                Form::Filesystem => staged_as(driver, name, all)?,
                Form::Block => staged_device(name, all)?,
            };
            Some(record.or(|step| VolumeData { step, ..data }))
        }
    }
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name().and_then(OsStr::to_str)
}

/// A pod's directory of a volume is called as the PersistentVolume, or as the pod calls a volume that lives with it.
fn pods_volume(name: &str, volume: Option<&PersistentVolume>, pod: Option<&Pod>) -> Option<VolumeData> {
    let own = pod.and_then(|pod| {
        let volumes = pod::spec(pod).volumes.iter().flatten();
        let source = volumes.filter(|of| of.name == name).find_map(|of| of.csi.as_ref())?;
        Some(VolumeData {
            spec_name: name.to_owned(),
            driver_name: source.driver.clone(),
            volume_handle: kinds::csi::ephemeral_handle(pod::uid(pod), name),
            volume_lifecycle_mode: "Ephemeral".to_owned(),
            step: Step::Begun,
            boot_id: None,
        })
    });
    own.or_else(|| of_volume(volume?))
}

fn of_volume(volume: &PersistentVolume) -> Option<VolumeData> {
    let source = kinds::csi::source(volume)?;
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    Some(persistent(name, &source.driver, &source.volume_handle))
}

/// What the node said last that it has.
fn in_use(node: &Node) -> Vec<VolumeData> {
    let names = node.status.iter().flat_map(|status| status.volumes_in_use.iter().flatten());
    let parts = names.filter_map(|name| kinds::csi::parts_of(name));
    parts.map(|(driver, handle)| persistent("", driver, handle)).collect()
}

fn persistent(name: &str, driver: &str, handle: &str) -> VolumeData {
    VolumeData {
        spec_name: name.to_owned(),
        driver_name: driver.to_owned(),
        volume_handle: handle.to_owned(),
        volume_lifecycle_mode: "Persistent".to_owned(),
        step: Step::Begun,
        boot_id: None,
    }
}

/// The node's directory of a volume is called after its driver and a sum of its handle.
fn staged_as(driver: &str, sum: &str, all: Vec<VolumeData>) -> Option<VolumeData> {
    let is_its = |data: &VolumeData| {
        !data.is_ephemeral()
            && data.driver_name == driver
            && kinds::csi::handle_sum(&data.volume_handle) == sum
    };
    all.into_iter().find(is_its)
}

/// That of a device after the PersistentVolume.
fn staged_device(name: &str, all: Vec<VolumeData>) -> Option<VolumeData> {
    all.into_iter().find(|data| !data.is_ephemeral() && escaped(&data.spec_name) == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn volume() -> PersistentVolume {
        serde_json::from_value(
            json!({"metadata": {"name": "pv"}, "spec": {"csi": {"driver": "d.example", "volumeHandle": "h"}}}),
        )
        .unwrap()
    }

    fn pod() -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "uid": "u"}, "spec": {"containers": [],
            "volumes": [{"name": "own", "csi": {"driver": "o.example"}}, {"name": "pv", "emptyDir": {}}]}}))
        .unwrap()
    }

    #[test]
    fn what_a_pod_had_there() {
        let (volume, pod) = (volume(), pod());
        let own = VolumeData {
            volume_lifecycle_mode: "Ephemeral".to_owned(),
            ..persistent("own", "o.example", &kinds::csi::ephemeral_handle("u", "own"))
        };
        let cases = [
            ("a claim's", "pv", Some(&volume), Some(&pod), Some(persistent("pv", "d.example", "h"))),
            (
                "a claim's, without its pod",
                "pv",
                Some(&volume),
                None,
                Some(persistent("pv", "d.example", "h")),
            ),
            ("its own", "own", None, Some(&pod), Some(own)),
            ("its own, without it", "own", None, None, None),
            ("another kind", "pv", None, Some(&pod), None),
        ];
        for (name, dir, volume, pod, want) in cases {
            assert_eq!(pods_volume(dir, volume, pod), want, "{name}");
        }
    }

    #[test]
    fn what_is_staged_there() {
        let node = json!({"metadata": {"name": "n"}, "status": {"volumesInUse": [
            "kubernetes.io/csi/d.example^used", "kubernetes.io/other/x"]}});
        let node: Node = serde_json::from_value(node).unwrap();
        let own = VolumeData {
            volume_lifecycle_mode: "Ephemeral".to_owned(),
            ..persistent("own", "d.example", "own")
        };
        let all = || [of_volume(&volume()).unwrap(), own.clone()].into_iter().chain(in_use(&node)).collect();
        let cases = [
            ("a volume's", "d.example", "h", Some("pv")),
            ("another driver's", "e.example", "h", None),
            ("one that the node had", "d.example", "used", Some("")),
            ("a pod's own", "d.example", "own", None),
            ("nobody's", "d.example", "x", None),
        ];
        for (name, driver, handle, want) in cases {
            let found = staged_as(driver, &kinds::csi::handle_sum(handle), all());
            assert_eq!(found.as_ref().map(|data| data.spec_name.as_str()), want, "{name}");
            assert!(found.is_none_or(|data| data.volume_handle == handle), "{name}");
        }
        assert_eq!(staged_device("pv", all()).map(|data| data.volume_handle).as_deref(), Some("h"));
        for name in ["own", "x"] {
            assert_eq!(staged_device(name, all()), None, "{name}");
        }
    }
}

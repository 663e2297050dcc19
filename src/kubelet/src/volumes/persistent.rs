//! Volumes behind claims: a directory or a device of this machine that was there before the pod, and stays after it; or what is
//! mounted for the pod.

use super::devices::BlockVolume;
use super::{NfsVolume, Prepared, VolumeError, host_path};
use crate::csi::CsiVolume;
use crate::sources::Sources;
use cluster::STORAGE_PROVISIONER;
use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, PersistentVolume, PersistentVolumeClaim, Pod, Volume,
};
use kinds::volume::{self, ClaimOfVolume};
use std::path::{Path, PathBuf};

/// Where the storage is, and what is done to it before a pod has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Persistent {
    pub place: Place,
    pub read_only: bool,
    /// Whether the pod's fsGroup becomes its group. Of a directory that a user named it does not: it is his, as upstream
    /// leaves it.
    pub is_given: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    HostPath(HostPathVolumeSource),
    Local(PathBuf),
}

/// The volume that the claim is bound to. A pod that has its volumes already keeps them, whatever becomes of the claim.
///
/// # Errors
/// Upstream's words: the claim is not there, not bound, or on its way out.
pub fn prepare(
    pod: &Pod,
    of: &Volume,
    used: &ClaimOfVolume,
    is_set_up: bool,
    sources: &dyn Sources,
) -> Result<Prepared, VolumeError> {
    let namespace = crate::pod::namespace(pod);
    let unprocessed = |why: String| VolumeError::Claim {
        volume: of.name.clone(),
        why: format!("error processing PVC {namespace}/{}: {why}", used.name),
    };
    let Some(claim) = sources.claim(namespace, &used.name) else {
        return Err(unprocessed(format!(
            "failed to fetch PVC from API server: persistentvolumeclaims \"{}\" not found",
            used.name
        )));
    };
    if used.is_ephemeral {
        volume::is_for_pod(pod, &claim).map_err(unprocessed)?;
    }
    if claim.metadata.deletion_timestamp.is_some() && !is_set_up {
        return Err(unprocessed("PVC is being deleted".to_owned()));
    }
    let name = volume::volume_name(&claim);
    if !is_bound(&claim) {
        return Err(unprocessed("PVC is not bound".to_owned()));
    }
    let Some(found) = sources.volume(name) else {
        return Err(unprocessed(format!(
            "failed to fetch PV \"{name}\" from API server: persistentvolumes \"{name}\" not found"
        )));
    };
    if !is_of(&found, &claim) {
        return Err(unprocessed(format!(
            "PV \"{name}\" spec.claimRef.uid does not match pvc.UID {:?}",
            claim.metadata.uid.as_deref().unwrap_or_default()
        )));
    }
    is_used_as(pod, &of.name, volume::mode_of_volume(&found))
        .map_err(|why| VolumeError::Claim { volume: of.name.clone(), why })?;
    if let Some(volume) = CsiVolume::of_claim(of, &found, &claim, used.read_only) {
        return Ok(Prepared::Csi(Box::new(volume)));
    }
    let spec = found.spec.as_ref();
    let is_made = volume::annotation(&found.metadata, volume::PROVISIONED_BY) == Some(STORAGE_PROVISIONER);
    if volume::is_block(&found) {
        let read_only = used.read_only;
        let device = |path: &str, is_file| BlockVolume {
            name: name.to_owned(),
            path: PathBuf::from(path),
            is_file,
            read_only,
        };
        return match spec.map(|spec| (&spec.host_path, &spec.local)) {
            Some((Some(host), _)) => Ok(Prepared::Device(device(&host.path, is_made))),
            Some((_, Some(local))) => Ok(Prepared::Device(device(&local.path, false))),
            _ => {
                let why = "no volume plugin matched".to_owned();
                Err(VolumeError::MapPodDevice { volume: name.to_owned(), why })
            }
        };
    }
    let failed = |why: &str| VolumeError::SetUp { volume: name.to_owned(), why: why.to_owned() };
    if let Some(source) = spec.and_then(|spec| spec.nfs.as_ref()) {
        let options = spec.and_then(|spec| spec.mount_options.as_deref()).unwrap_or_default();
        return Ok(Prepared::Nfs(NfsVolume::new(name, source, options, used.read_only)));
    }
    let place = match spec.map(|spec| (&spec.host_path, &spec.local)) {
        Some((Some(path), _)) => Place::HostPath(path.clone()),
        Some((_, Some(local))) => Place::Local(PathBuf::from(&local.path)),
        _ => return Err(failed("no volume plugin matched")),
    };
    let is_given = is_made || matches!(place, Place::Local(_));
    Ok(Prepared::Persistent(Persistent { place, read_only: used.read_only, is_given }))
}

/// Whether the pod's containers have a volume as what it is.
fn is_used_as(pod: &Pod, name: &str, mode: &str) -> Result<(), String> {
    let containers = || crate::pod::all_containers(crate::pod::spec(pod));
    let is_mounted = || containers().any(|of| of.volume_mounts.iter().flatten().any(|of| of.name == name));
    let is_device = || containers().any(|of| of.volume_devices.iter().flatten().any(|of| of.name == name));
    let wrong = match mode {
        volume::BLOCK if is_mounted() => "volumeMounts",
        volume::BLOCK => return Ok(()),
        _ if is_device() => "volumeDevices",
        _ => return Ok(()),
    };
    Err(format!("volume {name} has volumeMode {mode}, but is specified in {wrong}"))
}

/// The scheduler goes by what the binder writes into the claim, and the phase follows by a write of its own: a pod that was placed
/// between the two finds a claim that is pending and has its volume. Upstream's kubelet looks a tenth of a second later.
fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    match volume::phase(claim) {
        "Bound" => !volume::volume_name(claim).is_empty(),
        "Pending" => volume::is_fully_bound(claim),
        _ => false,
    }
}

fn is_of(found: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let reference = found.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    reference.is_some_and(|reference| reference.uid == claim.metadata.uid)
}

/// # Errors
/// It is not there.
pub fn path(place: &Place) -> Result<PathBuf, String> {
    match place {
        Place::HostPath(source) => {
            host_path::check(source)?;
            Ok(PathBuf::from(&source.path))
        }
        Place::Local(path) if !Path::exists(path) => {
            Err(format!("path \"{}\" does not exist", path.display()))
        }
        Place::Local(path) if !path.is_dir() => {
            Err(format!("path \"{}\" is no directory: devices are not mounted", path.display()))
        }
        Place::Local(path) => Ok(path.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csi::Form;
    use crate::sources::tests::Fixed;
    use serde_json::{Value, json};

    fn merge(base: &mut Value, more: &Value) {
        match (base, more) {
            (Value::Object(base), Value::Object(more)) => {
                more.iter().for_each(|(k, value)| merge(base.entry(k.clone()).or_insert(Value::Null), value));
            }
            (base, more) => *base = more.clone(),
        }
    }

    #[test]
    fn a_claim_is_looked_through_to_its_volume() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "d", "uid": "pod"}, "spec": {
            "containers": [], "volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "data", "readOnly": true}}]}}))
        .unwrap();
        let claim = |more: Value| {
            let mut claim = json!({"metadata": {"name": "data", "namespace": "d", "uid": "u"},
                "spec": {"volumeName": "v"}, "status": {"phase": "Bound"}});
            merge(&mut claim, &more);
            claim
        };
        let volume = |more: Value| {
            let mut volume = json!({"metadata": {"name": "v"}, "spec": {"claimRef": {"uid": "u"}}});
            merge(&mut volume, &more);
            volume
        };
        let host = || volume(json!({"spec": {"hostPath": {"path": "/d"}}}));
        let made = json!({"metadata": {"annotations": {"pv.kubernetes.io/provisioned-by": STORAGE_PROVISIONER}}, "spec": {"hostPath": {"path": "/d"}}});
        let raw = {
            let mut raw = made.clone();
            merge(&mut raw, &json!({"spec": {"volumeMode": "Block"}}));
            raw
        };
        let completed = |phase: &str| json!({"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, "status": {"phase": phase}});
        let going = || claim(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
        let failed = "Unable to attach or mount volumes: unmounted volumes=[x], unattached volumes=[], failed to process volumes=[x]: error processing PVC d/data: ";
        let cases = [
            ("a directory", Some(claim(json!({}))), Some(host()), false, "/d kept"),
            ("one that was made", Some(claim(json!({}))), Some(volume(made)), false, "/d given"),
            (
                "a local disk",
                Some(claim(json!({}))),
                Some(volume(json!({"spec": {"local": {"path": "/l"}}}))),
                false,
                "/l given",
            ),
            (
                "no claim",
                None,
                None,
                false,
                "{}failed to fetch PVC from API server: persistentvolumeclaims \"data\" not found",
            ),
            (
                "not bound",
                Some(claim(json!({"status": {"phase": "Pending"}}))),
                None,
                false,
                "{}PVC is not bound",
            ),
            (
                "pending, and its volume stands in it",
                Some(claim(completed("Pending"))),
                Some(host()),
                false,
                "/d kept",
            ),
            (
                "pending, and its volume is another's",
                Some(claim(completed("Pending"))),
                Some(volume(json!({"spec": {"claimRef": {"uid": "o"}}}))),
                false,
                "{}PV \"v\" spec.claimRef.uid does not match pvc.UID \"u\"",
            ),
            ("lost", Some(claim(completed("Lost"))), Some(host()), false, "{}PVC is not bound"),
            ("on its way out", Some(going()), Some(host()), false, "{}PVC is being deleted"),
            ("on its way out, and it runs", Some(going()), Some(host()), true, "/d kept"),
            (
                "no volume",
                Some(claim(json!({}))),
                None,
                false,
                "{}failed to fetch PV \"v\" from API server: persistentvolumes \"v\" not found",
            ),
            (
                "another's",
                Some(claim(json!({}))),
                Some(volume(json!({"spec": {"claimRef": {"uid": "o"}}}))),
                false,
                "{}PV \"v\" spec.claimRef.uid does not match pvc.UID \"u\"",
            ),
            (
                "of a cloud",
                Some(claim(json!({}))),
                Some(volume(json!({"spec": {"azureFile": {"secretName": "s", "shareName": "s"}}}))),
                false,
                "MountVolume.SetUp failed for volume \"v\" : no volume plugin matched",
            ),
            (
                "a driver's",
                Some(claim(json!({}))),
                Some(volume(json!({"spec": {"csi": {"driver": "d", "volumeHandle": "h"}}}))),
                false,
                "h of d",
            ),
            (
                "an export",
                Some(claim(json!({}))),
                Some(volume(
                    json!({"spec": {"nfs": {"server": "s", "path": "/x"}, "mountOptions": ["hard"]}}),
                )),
                false,
                "-t nfs -o hard,ro -- s:/x /t",
            ),
            (
                "a device",
                Some(claim(json!({}))),
                Some(volume(json!({"spec": {"volumeMode": "Block", "local": {"path": "/dev/x"}}}))),
                false,
                "device /dev/x",
            ),
            (
                "a device, by its path",
                Some(claim(json!({}))),
                Some(volume(json!({"spec": {"volumeMode": "Block", "hostPath": {"path": "/dev/x"}}}))),
                false,
                "device /dev/x",
            ),
            ("a device that was made", Some(claim(json!({}))), Some(volume(raw)), false, "file /d"),
            (
                "a driver's device",
                Some(claim(json!({}))),
                Some(volume(
                    json!({"spec": {"volumeMode": "Block", "csi": {"driver": "d", "volumeHandle": "h"}}}),
                )),
                false,
                "h of d as Block",
            ),
            (
                "a device of what knows none",
                Some(claim(json!({}))),
                Some(volume(json!({"spec": {"volumeMode": "Block", "nfs": {"server": "s", "path": "/x"}}}))),
                false,
                "MapVolume.MapPodDevice failed for volume \"v\" : no volume plugin matched",
            ),
        ];
        for (name, claim, volume, is_set_up, want) in cases {
            let mut sources = Fixed::default();
            sources.claims.extend(claim.map(|claim| {
                ("data".to_owned(), std::sync::Arc::new(serde_json::from_value(claim).unwrap()))
            }));
            sources.volumes.extend(
                volume.map(|of| ("v".to_owned(), std::sync::Arc::new(serde_json::from_value(of).unwrap()))),
            );
            let of = &pod.spec.as_ref().unwrap().volumes.as_ref().unwrap()[0];
            let used = kinds::volume::claim_of(&pod, of).unwrap();
            let got = match prepare(&pod, of, &used, is_set_up, &sources) {
                Ok(Prepared::Persistent(found)) => {
                    assert!(found.read_only);
                    let path = match found.place {
                        Place::HostPath(source) => source.path,
                        Place::Local(path) => path.display().to_string(),
                    };
                    format!("{path} {}", if found.is_given { "given" } else { "kept" })
                }
                Ok(Prepared::Csi(found)) => {
                    assert!(found.read_only);
                    let form = match found.form {
                        Form::Filesystem => "",
                        Form::Block => " as Block",
                    };
                    format!("{} of {}{form}", found.handle, found.driver)
                }
                Ok(Prepared::Device(found)) => {
                    assert!(found.read_only && found.name == "v");
                    format!("{} {}", if found.is_file { "file" } else { "device" }, found.path.display())
                }
                Ok(Prepared::Nfs(found)) => found.arguments(Path::new("/t")).join(" "),
                Ok(_) => panic!("{name}"),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, want.replace("{}", failed), "{name}");
        }
    }
    #[test]
    fn a_volume_is_used_as_what_it_is() {
        let pod = |containers: Value, init: Value| -> Pod {
            serde_json::from_value(json!({"spec": {"containers": containers, "initContainers": init}}))
                .unwrap()
        };
        let mounts = json!([{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]);
        let devices = json!([{"name": "c", "volumeDevices": [{"name": "v", "devicePath": "/dev/v"}]}]);
        let neither = || json!([{"name": "c"}]);
        let block = Some("volume v has volumeMode Block, but is specified in volumeMounts");
        let files = Some("volume v has volumeMode Filesystem, but is specified in volumeDevices");
        let cases = [
            ("a device", pod(devices.clone(), json!([])), "Block", None),
            ("a file system", pod(mounts.clone(), json!([])), "Filesystem", None),
            ("nobody's", pod(neither(), json!([])), "Block", None),
            ("a device that is mounted", pod(mounts.clone(), json!([])), "Block", block),
            ("a file system as a device", pod(devices.clone(), json!([])), "Filesystem", files),
            ("of an init container", pod(neither(), mounts), "Block", block),
            ("as a device of an init container", pod(neither(), devices), "Filesystem", files),
        ];
        for (name, pod, mode, want) in cases {
            assert_eq!(is_used_as(&pod, "v", mode).err().as_deref(), want, "{name}");
            assert_eq!(is_used_as(&pod, "other", mode), Ok(()), "{name}");
        }
    }
}

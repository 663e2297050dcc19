//! Where the parts of a driver's volume lie: upstream's paths, which are others for a volume that pods have as a device. Pure.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Below the kubelet's directory.
const NODE: &str = "plugins/kubernetes.io/csi";
/// Below a pod's, and below that of the node.
const DEVICES: &str = "volumeDevices";
const VOLUMES: &str = "volumes";
/// The plugin's name, escaped as upstream escapes it.
const PLUGIN: &str = "kubernetes.io~csi";
/// Where a pod has its volume, in its directory, and the node what was staged.
const MOUNT: &str = "mount";
const GLOBAL_MOUNT: &str = "globalmount";

/// What pods have a volume as: its `volumeMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Filesystem,
    Block,
}

/// What is left by a volume of a driver is in two places: for each pod that has it, and for the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Of the record.
    pub dir: PathBuf,
    /// Where the driver puts the volume: for the pod, or staged for all of them.
    pub at: PathBuf,
}

impl Form {
    /// All records of pods are in directories below it.
    pub fn of_pod(self, pod_dir: &Path) -> PathBuf {
        let kind = match self {
            Form::Filesystem => VOLUMES,
            Form::Block => DEVICES,
        };
        pod_dir.join(kind).join(PLUGIN)
    }

    /// Of the volume of that name in the pod whose directory it is.
    pub fn published(self, root: &Path, pod_dir: &Path, spec_name: &str) -> Place {
        let dir = self.of_pod(pod_dir).join(escaped(spec_name));
        let at = match self {
            Form::Filesystem => dir.join(MOUNT),
            Form::Block => {
                let published = node(root).join(DEVICES).join("publish").join(escaped(spec_name));
                published.join(pod_dir.file_name().unwrap_or_default())
            }
        };
        Place { dir, at }
    }

    pub fn staged(self, root: &Path, driver: &str, handle: &str, spec_name: &str) -> Place {
        match self {
            Form::Filesystem => {
                let dir = node(root).join(driver).join(kinds::csi::handle_sum(handle));
                Place { at: dir.join(GLOBAL_MOUNT), dir }
            }
            Form::Block => Place {
                dir: devices(root).join(escaped(spec_name)),
                at: node(root).join(DEVICES).join("staging").join(escaped(spec_name)),
            },
        }
    }

    /// Of what was staged, where only the directory of its record is known.
    pub fn staged_in(self, root: &Path, dir: &Path) -> Place {
        let at = match self {
            Form::Filesystem => dir.join(GLOBAL_MOUNT),
            Form::Block => {
                let name = dir.file_name().unwrap_or_default();
                node(root).join(DEVICES).join("staging").join(name)
            }
        };
        Place { dir: dir.to_owned(), at }
    }
}

/// The directories with what is staged of a driver, by its name.
pub fn drivers(root: &Path) -> PathBuf {
    node(root)
}

/// One of those is no driver's.
pub fn is_driver(dir: &Path) -> bool {
    dir.file_name() != Some(OsStr::new(DEVICES))
}

/// The records of what is staged as devices: a directory of its own, so that no volume's name is that of another part.
pub fn devices(root: &Path) -> PathBuf {
    node(root).join(DEVICES).join("data")
}

fn node(root: &Path) -> PathBuf {
    root.join(NODE)
}

/// As a volume's directory is called.
pub fn escaped(spec_name: &str) -> String {
    spec_name.replace('/', "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_where_upstream_has_them() {
        let (root, pod) = (Path::new("/r"), Path::new("/r/pods/uid"));
        let sum = kinds::csi::handle_sum("h");
        let cases = [
            (
                "a file system",
                Form::Filesystem,
                "/r/pods/uid/volumes/kubernetes.io~csi/pv".to_owned(),
                "/r/pods/uid/volumes/kubernetes.io~csi/pv/mount".to_owned(),
                format!("/r/plugins/kubernetes.io/csi/d.example/{sum}"),
                format!("/r/plugins/kubernetes.io/csi/d.example/{sum}/globalmount"),
            ),
            (
                "a device",
                Form::Block,
                "/r/pods/uid/volumeDevices/kubernetes.io~csi/pv".to_owned(),
                "/r/plugins/kubernetes.io/csi/volumeDevices/publish/pv/uid".to_owned(),
                "/r/plugins/kubernetes.io/csi/volumeDevices/data/pv".to_owned(),
                "/r/plugins/kubernetes.io/csi/volumeDevices/staging/pv".to_owned(),
            ),
        ];
        let place = |dir: String, at: String| Place { dir: dir.into(), at: at.into() };
        for (name, form, pods, target, node, staging) in cases {
            assert_eq!(form.published(root, pod, "pv"), place(pods, target), "{name}");
            let staged = place(node, staging);
            assert_eq!(form.staged(root, "d.example", "h", "pv"), staged, "{name}");
            assert_eq!(form.staged_in(root, &staged.dir), staged, "{name}");
        }
        assert!(is_driver(&drivers(root).join("d.example")));
        assert!(!is_driver(devices(root).parent().unwrap()));
    }
}

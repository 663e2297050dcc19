//! What a pod has on the disk: what its running containers have written to their root file systems and said in their logs, and its
//! volumes that are directories of ours (upstream's `IsLocalEphemeralVolume`).

use super::limits::{Usage, is_on_disk};
use crate::pod;
use crate::shared::Shared;
use crate::volumes::payload::CONFIG_MAP;
use crate::volumes::{EMPTY_DIR, volume_dir};
use cri::ContainerState;
use k8s_openapi::api::core::v1::Pod;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where it has it. Containers and volumes by their names.
pub(super) struct Places {
    volumes: Vec<(String, PathBuf)>,
    containers: Vec<(String, Vec<PathBuf>)>,
}

impl Places {
    /// # Errors
    /// The runtime does not answer.
    pub async fn of(shared: &Shared, pod: &Pod) -> cri::Result<Self> {
        let sandboxes = shared.look_at(&shared.sandbox_index.sandboxes_of(pod::uid(pod))).await?;
        let mut containers = Vec::new();
        for container in sandboxes.into_iter().flat_map(|sandbox| sandbox.containers) {
            if !matches!(container.state, ContainerState::Running { .. }) {
                continue;
            }
            // one that ended this moment has no layer any more, perhaps
            let layer = shared.runtime.writable_layer(&container.id).await.ok();
            // its other logs lie beside the one that it writes
            let logs = container.log_path.parent().map(Path::to_owned);
            containers.push((container.name, layer.into_iter().chain(logs).collect()));
        }
        let dir = shared.pod_dir(pod);
        let on_disk = pod::spec(pod).volumes.iter().flatten().filter_map(|volume| {
            let plugin = match (&volume.empty_dir, &volume.config_map) {
                (Some(source), _) if is_on_disk(source) => EMPTY_DIR,
                (None, Some(_)) => CONFIG_MAP,
                _ => return None,
            };
            Some((volume.name.clone(), volume_dir(&dir, plugin, &volume.name)))
        });
        Ok(Places { volumes: on_disk.collect(), containers })
    }

    /// Goes through all of it: this takes a while.
    pub fn measure(&self) -> Usage {
        let each = |places: &[PathBuf]| places.iter().map(|place| disk_usage(place)).sum::<u64>();
        Usage {
            volumes: self.volumes.iter().map(|(name, place)| (name.clone(), disk_usage(place))).collect(),
            containers: self.containers.iter().map(|(name, places)| (name.clone(), each(places))).collect(),
        }
    }
}

/// None of what is not there.
fn disk_usage(place: &Path) -> u64 {
    let measured = File::open(place).and_then(|directory| trees::disk_usage(directory.into()));
    measured.unwrap_or_else(|error| {
        if error.kind() != ErrorKind::NotFound {
            tracing::warn!(place = %place.display(), %error, "what is there on the disk is not measured");
        }
        0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_has_in_several_places_is_counted_together() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str, bytes: usize| {
            let place = dir.path().join(name);
            std::fs::create_dir(&place).unwrap();
            std::fs::write(place.join("file"), vec![1; bytes]).unwrap();
            File::open(place.join("file")).unwrap().sync_all().unwrap();
            place
        };
        let places = Places {
            volumes: vec![
                ("v".to_owned(), place("volume", 64 << 10)),
                ("gone".to_owned(), dir.path().join("x")),
            ],
            containers: vec![("c".to_owned(), vec![place("layer", 128 << 10), place("logs", 256 << 10)])],
        };
        let usage = places.measure();
        assert_eq!(usage.of_volume("gone"), 0);
        // with directories, of a few blocks each
        assert!((64 << 10..96 << 10).contains(&usage.of_volume("v")), "{usage:?}");
        assert!((384 << 10..448 << 10).contains(&usage.of_container("c")), "{usage:?}");
        assert_eq!(usage.of_pod(), usage.of_volume("v") + usage.of_container("c"));
    }
}

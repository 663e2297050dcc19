//! Where another volume of the same container is mounted inside of a ConfigMap's, or of its like: the runtime can not make the
//! directory, for nothing can be written there. Upstream's `MakeNestedMountpoints`.

use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Makes them in the volume of that name, which is at `path`. Before its content is written, as upstream: a link of a key's would be
/// followed into content that goes with the next change, and no container is made by way of one. A key of the same name has no link
/// then.
///
/// # Errors
/// What the file system refused.
pub fn make(path: &Path, pod: &Pod, volume: &str) -> io::Result<()> {
    places(pod, volume).into_iter().try_for_each(|place| match fs::create_dir_all(path.join(place)) {
        // the key came before the mount, or by a start that was cut short
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    })
}

/// Relative to the volume.
fn places(pod: &Pod, volume: &str) -> BTreeSet<PathBuf> {
    let Some(spec) = &pod.spec else { return BTreeSet::new() };
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    containers.flat_map(|container| of_container(container, volume)).collect()
}

fn of_container(container: &Container, volume: &str) -> Vec<PathBuf> {
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    let is_whole = |mount: &&VolumeMount| {
        mount.name == volume && mount.sub_path.is_none() && mount.sub_path_expr.is_none()
    };
    let inside = |outer: &VolumeMount| {
        let outer = PathBuf::from(&outer.mount_path);
        mounts.iter().filter_map(move |inner| {
            let rest = Path::new(&inner.mount_path).strip_prefix(&outer).ok()?;
            is_place(rest).then(|| rest.to_owned())
        })
    };
    mounts.iter().filter(is_whole).flat_map(inside).collect()
}

/// Neither the volume itself, nor where its content is kept (`..data`).
fn is_place(rest: &Path) -> bool {
    let is_content = |name: &OsStr| name.as_encoded_bytes().starts_with(b"..");
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(name) if !is_content(name));
    rest.components().next().is_some() && rest.components().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::super::atomic;
    use super::super::payload::{File, Payload};
    use super::*;

    fn pod() -> Pod {
        let mount = |name: &str, at: &str| serde_json::json!({"name": name, "mountPath": at});
        let part = serde_json::json!({"name": "v", "mountPath": "/part", "subPath": "a"});
        let mounts = [
            mount("v", "/v/"),
            mount("w", "/v/deep/w"),
            mount("x", "/v/x"),
            mount("beside", "/vx"),
            mount("content", "/v/..data/x"),
            mount("y", "/part/y"),
            part,
        ];
        let other = [mount("w", "/v/other"), mount("v", "/elsewhere")];
        let containers = serde_json::json!([
            {"name": "a", "volumeMounts": mounts}, {"name": "b", "volumeMounts": other},
        ]);
        serde_json::from_value(serde_json::json!({"spec": {"containers": containers}})).unwrap()
    }

    #[test]
    fn places_are_where_the_same_container_has_another_volume() {
        let want = ["deep/w", "x"].map(PathBuf::from);
        assert_eq!(places(&pod(), "v"), BTreeSet::from(want));
        assert_eq!(places(&pod(), "w"), BTreeSet::new());
    }

    #[test]
    fn they_stay_when_the_content_changes() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("v");
        let payload = |data: &str| -> Payload {
            let file = || File { data: data.as_bytes().to_vec().into(), mode: 0o644, owner: None };
            ["a", "deep/b", "x"].map(|key| (key.to_owned(), file())).into_iter().collect()
        };
        for data in ["1", "2"] {
            for is_written in [true, false] {
                make(&dir, &pod(), "v").unwrap();
                let wrote = atomic::write(&dir, &payload(data), None).unwrap();
                assert_eq!(wrote, is_written, "{data}: then nothing is left to do");
            }
            // of the volume itself, and not of its content
            for name in ["deep", "deep/w", "x"] {
                assert!(fs::symlink_metadata(dir.join(name)).unwrap().is_dir(), "{data}: {name}");
            }
            assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), data);
        }
    }

    #[test]
    fn what_is_there_stays() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("v");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("x"), "1").unwrap();
        make(&dir, &pod(), "v").unwrap();
        assert_eq!(fs::read_to_string(dir.join("x")).unwrap(), "1");
        assert!(dir.join("deep/w").is_dir());
    }
}

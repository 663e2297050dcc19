//! What is mounted into a RUN, and the traces of it, which are no part of the image.

use crate::files::Theirs;
use crate::root::Overlay;
use cri::{Mount, Propagation};
use image::{MountSource, RunMount, RunSpec};
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What every container has mounted, and the runtime makes places for.
const MOUNTED: [&str; 7] =
    ["/dev", "/dev/shm", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// `at` is a name that nothing has yet, for what has to be put together first.
pub(super) fn mount(wanted: &RunMount, at: &Path, overlays: &mut Vec<Overlay>) -> io::Result<Mount> {
    let (source, subpath, size_limit) = match &wanted.source {
        MountSource::Host(path) => (Some(path.clone()), None, None),
        MountSource::Part { base, part } => (Some(base.clone()), Some(part.clone()), None),
        MountSource::Tmpfs { size } => (None, None, *size),
        MountSource::Layers { layers, path } => {
            let root = joined(layers, wanted.read_only, at, overlays)?;
            (Some(root.join(path.strip_prefix("/").unwrap_or(path))), None, None)
        }
    };
    Ok(Mount {
        source,
        subpath,
        target: wanted.target.clone(),
        read_only: wanted.read_only,
        propagation: Propagation::Private,
        size_limit,
        ..Mount::default()
    })
}

/// One directory of several layers. Where it may be written to, what is written lies beside and goes with the step: the
/// layers belong to the store.
fn joined(
    layers: &[PathBuf],
    read_only: bool,
    at: &Path,
    overlays: &mut Vec<Overlay>,
) -> io::Result<PathBuf> {
    if let (true, [only]) = (read_only, layers) {
        return Ok(only.clone());
    }
    let (upper, work) = (at.with_extension("upper"), at.with_extension("work"));
    let upper = (!read_only).then_some((upper.as_path(), work.as_path()));
    overlays.push(Overlay::mount(layers, upper, at)?);
    Ok(at.to_owned())
}

/// Where the runtime makes something only to mount on it.
pub(super) struct MountPoints {
    /// That are not in the image, parents first.
    new: Vec<PathBuf>,
    /// Directories of the image above them, and what they are there.
    touched: Vec<(PathBuf, Metadata)>,
}

impl MountPoints {
    pub(super) fn of(spec: &RunSpec) -> MountPoints {
        let targets = spec.mounts.iter().map(|m| m.target.as_path()).chain(MOUNTED.iter().map(Path::new));
        let places: BTreeSet<PathBuf> = targets
            .flat_map(|target| target.ancestors().map(Path::to_owned))
            .filter_map(|place| place.strip_prefix("/").map(Path::to_owned).ok())
            .filter(|place| !place.as_os_str().is_empty())
            .collect();
        let mut found = MountPoints { new: Vec::new(), touched: Vec::new() };
        for place in places {
            let mut there = spec.layers.iter().map(|layer| std::fs::symlink_metadata(layer.join(&place)));
            match there.find_map(Result::ok) {
                Some(meta) if meta.is_dir() => found.touched.push((place, meta)),
                Some(_) => {}
                None => found.new.push(place),
            }
        }
        found
    }

    /// Takes them away again, where nothing but them came to be: a command that changed nothing leaves nothing. The command
    /// may have left links above them, which lead to no place of ours.
    pub(super) fn sweep(&self, upper: &Path) {
        let Ok(upper) = Theirs::open(upper) else { return };
        for place in self.new.iter().rev() {
            let Ok((_above, path)) = upper.place(place) else { continue };
            match std::fs::symlink_metadata(&path) {
                // what the command put there keeps it
                Ok(meta) if meta.is_dir() => drop(std::fs::remove_dir(&path)),
                Ok(meta) if meta.is_file() && meta.len() == 0 => drop(std::fs::remove_file(&path)),
                _ => {}
            }
        }
        for (place, before) in self.touched.iter().rev() {
            let Ok((_above, path)) = upper.place(place) else { continue };
            let Ok(now) = std::fs::symlink_metadata(&path) else { continue };
            let what = |meta: &Metadata| (meta.mode(), meta.uid(), meta.gid());
            if now.is_dir() && what(&now) == what(before) && !is_opaque(&path) {
                let _ = std::fs::remove_dir(&path);
            }
        }
    }
}

/// An empty directory that hides what the image has in it is a change.
fn is_opaque(path: &Path) -> bool {
    let mut value = [0; 8];
    ["trusted.overlay.opaque", "user.overlay.opaque"]
        .iter()
        .any(|name| rustix::fs::lgetxattr(path, *name, &mut value[..]).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who writes there may put a link in its place until it is mounted.
    #[test]
    fn a_part_of_a_cache_is_looked_for_where_it_is_mounted() {
        let (base, part) = (PathBuf::from("/cache"), PathBuf::from("sub"));
        let source = MountSource::Part { base: base.clone(), part: part.clone() };
        let wanted = RunMount { target: "/c".into(), read_only: false, source };
        let made = mount(&wanted, Path::new("/none"), &mut Vec::new()).unwrap();
        assert_eq!((made.source, made.subpath), (Some(base), Some(part)));
    }

    #[test]
    fn places_of_mounts_leave_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let (layer, upper) = (dir.path().join("layer"), dir.path().join("upper"));
        for path in [
            layer.join("etc"),
            layer.join("srv"),
            upper.join("dev/shm"),
            upper.join("etc"),
            upper.join("cache/deep"),
            upper.join("sys/made"),
            upper.join("srv"),
        ] {
            std::fs::create_dir_all(path).unwrap();
        }
        std::fs::write(upper.join("etc/hosts"), "").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(upper.join("srv"), mode).unwrap();
        let mounted = |target: &str| RunMount {
            target: target.into(),
            read_only: false,
            source: MountSource::Tmpfs { size: None },
        };
        let mounts = vec![mounted("/cache/deep"), mounted("/srv/x")];
        let spec = RunSpec { layers: vec![layer], upper: upper.clone(), mounts, ..Default::default() };
        MountPoints::of(&spec).sweep(&upper);
        let left: BTreeSet<String> = std::fs::read_dir(&upper)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        // what the command made or changed stays
        assert_eq!(left, ["srv".to_owned(), "sys".to_owned()].into());
    }

    /// The attack: the command moves the directory above a mount away, and leaves a link in its place.
    #[test]
    fn no_trace_is_looked_for_behind_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (upper, outside) = (dir.path().join("upper"), dir.path().join("outside"));
        std::fs::create_dir_all(outside.join("empty")).unwrap();
        std::fs::write(outside.join("file"), "").unwrap();
        std::fs::create_dir(&upper).unwrap();
        std::os::unix::fs::symlink(&outside, upper.join("cache")).unwrap();
        std::os::unix::fs::symlink("../outside", upper.join("up")).unwrap();
        let targets = ["/cache/empty", "/cache/file", "/up/empty", "/up/file"];
        let mounted = |target: &str| RunMount {
            target: target.into(),
            read_only: false,
            source: MountSource::Tmpfs { size: None },
        };
        let mounts = targets.map(mounted).into();
        MountPoints::of(&RunSpec { upper: upper.clone(), mounts, ..Default::default() }).sweep(&upper);
        assert!(outside.join("empty").is_dir() && outside.join("file").is_file());
        assert!(upper.join("cache").is_symlink() && upper.join("up").is_symlink());
    }
}

//! The mounts of a container: what was asked for, with the volumes and directories behind it.

use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::model::{Config, HostConfig};
use crate::mount_spec::{self, Wanted};
use crate::record::{MountKind, Mounted, Record};
use cri::subpath;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use trees::mountinfo::{self, Mount};

/// Each is a directory that is made, filled, written down and mounted before the container starts, and an image may declare any
/// number of them.
const MOST_VOLUMES: usize = 512;

/// All mounts that were asked for; what is said more exactly wins over the image's and anonymous ones.
pub(crate) fn wanted(config: &Config, host: &HostConfig) -> Result<Vec<Wanted>> {
    if config.volumes.len() > MOST_VOLUMES {
        return Err(ApiError::bad(format_args!(
            "the image and the request declare {} volumes: a container has at most {MOST_VOLUMES} that nobody named",
            config.volumes.len()
        )));
    }
    let (mut all, mut targets) = (Vec::new(), HashSet::new());
    let binds = host.binds.iter().map(|text| mount_spec::bind(text));
    let tmpfs = host.tmpfs.iter().map(|(target, options)| mount_spec::tmpfs(target, options));
    for wanted in binds.chain(host.mounts.iter().map(mount_spec::mount)).chain(tmpfs) {
        let wanted = wanted?;
        if !targets.insert(wanted.target.clone()) {
            return Err(ApiError::bad(format_args!("Duplicate mount point: {}", wanted.target.display())));
        }
        all.push(wanted);
    }
    // images write these: a colon is a part of the name, and what is of the machine is for `binds` to say
    for target in config.volumes.keys() {
        let anonymous = mount_spec::anonymous(target)?;
        if targets.insert(anonymous.target.clone()) {
            all.push(anonymous);
        }
    }
    Ok(all)
}

/// `name[:mode]`, as `--volumes-from` has it.
fn from(text: &str) -> Result<(&str, &str)> {
    let (name, mode) = text.split_once(':').unwrap_or((text, ""));
    if name.is_empty() {
        return Err(ApiError::bad(format_args!("malformed volumes-from specification: {text}")));
    }
    if !mode.is_empty() && !mount_spec::is_mode(mode) {
        return Err(ApiError::bad(format_args!("invalid mode: {mode}")));
    }
    Ok((name, mode))
}

impl Engine {
    /// Makes the volumes and directories that are missing.
    pub(crate) fn resolve_mounts(&self, config: &Config, host: &HostConfig) -> Result<Vec<Mounted>> {
        let mut all = Vec::new();
        let own = wanted(config, host)?;
        let said: HashSet<&Path> =
            own.iter().filter(|w| !is_of_image(w)).map(|w| w.target.as_path()).collect();
        let mut taken: HashSet<PathBuf> = HashSet::new();
        for text in &host.volumes_from {
            let (name, mode) = from(text)?;
            for mut other in self.container(name)?.see(|r| r.mounts.clone()) {
                other.read_only |= mode.split(',').any(|word| word == "ro");
                let is_wanted = other.kind != MountKind::Tmpfs && !said.contains(other.target.as_path());
                if is_wanted && taken.insert(other.target.clone()) {
                    all.push(other);
                }
            }
        }
        for wanted in own {
            if taken.insert(wanted.target.clone()) {
                all.push(self.resolve(wanted)?);
            }
        }
        Ok(all)
    }

    fn resolve(&self, mut wanted: Wanted) -> Result<Mounted> {
        let mut image = String::new();
        let (name, source) = match wanted.kind {
            MountKind::Tmpfs => (String::new(), PathBuf::new()),
            MountKind::Image => {
                let missing = || ApiError::not_found(format_args!("No such image: {}", wanted.source));
                image = self.images.image(&wanted.source)?.ok_or_else(missing)?.id;
                (String::new(), PathBuf::from(&wanted.source))
            }
            MountKind::Volume => {
                let volume = self.make_volume(&wanted.source, wanted.labels, wanted.driver_options)?;
                (volume.name.clone(), self.volumes.mountpoint(&volume.name))
            }
            MountKind::Bind => {
                let source = PathBuf::from(&wanted.source);
                find_source(&source, wanted.make)?;
                find_propagation(&source, &wanted.propagation)?;
                wanted.propagation = beside_own_root(&source, &self.config.state_dir, wanted.propagation)?;
                (String::new(), source)
            }
        };
        // inspect shows what SELinux would be told
        let mode = if wanted.mode.is_empty() && !wanted.source.is_empty() && !name.is_empty() {
            "z".to_owned()
        } else {
            wanted.mode
        };
        Ok(Mounted {
            kind: wanted.kind,
            name,
            source,
            image,
            target: wanted.target,
            read_only: wanted.read_only,
            mode,
            propagation: wanted.propagation,
            copy: wanted.copy,
            options: wanted.options,
            subpath: wanted.subpath,
            non_recursive: wanted.non_recursive,
            writable_below: wanted.writable_below,
            size: None,
        })
    }
}

impl Engine {
    /// What keeps the images that a container mounts.
    pub(crate) fn leases_of_mounted(&self, record: &Record) -> Vec<image::Lease> {
        let images = record.mounts.iter().filter(|m| m.kind == MountKind::Image);
        images.filter_map(|m| self.images.rootfs(&m.image).ok()).map(|rootfs| rootfs.hold).collect()
    }
}

/// One that nobody asked for by name.
fn is_of_image(wanted: &Wanted) -> bool {
    wanted.kind == MountKind::Volume && wanted.source.is_empty()
}

fn find_source(source: &Path, make: bool) -> Result<()> {
    if source.exists() {
        return Ok(());
    }
    if !make {
        return Err(ApiError::bad(format_args!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            source.display()
        )));
    }
    std::fs::create_dir_all(source).map_err(|e| {
        ApiError::failed(format_args!("error while creating mount source path '{}'", source.display()), e)
    })
}

/// Mounts pass only between those that share them.
fn find_propagation(source: &Path, propagation: &str) -> Result<()> {
    let (wanted, what): (&[&str], _) = match propagation {
        "shared" | "rshared" => (&["shared:"], "shared mount"),
        "slave" | "rslave" => (&["shared:", "master:"], "shared or slave mount"),
        _ => return Ok(()),
    };
    let real = source.canonicalize().unwrap_or_else(|_| source.to_owned());
    let Ok(Some(Mount { target, tags })) = mountinfo::mount_of(&real) else { return Ok(()) };
    if tags.iter().any(|tag| wanted.iter().any(|wanted| tag.starts_with(wanted))) {
        return Ok(());
    }
    Err(ApiError::internal(format_args!(
        "path {} is mounted on {} but it is not a {what}",
        source.display(),
        target.display()
    )))
}

/// A directory that holds the engine's own one, or lies in it, takes part in what is mounted and unmounted there later: else the
/// container would keep it in use.
fn beside_own_root(source: &Path, root: &Path, said: String) -> Result<String> {
    if !source.starts_with(root) && !root.starts_with(source) {
        return Ok(said);
    }
    match said.as_str() {
        // where nothing is shared there is nothing to follow
        "" if find_propagation(source, "rslave").is_err() => Ok(said),
        "" => Ok("rslave".to_owned()),
        "rslave" | "rshared" => Ok(said),
        other => Err(ApiError::bad(format_args!(
            "invalid mount config: must use either propagation mode \"rslave\" or \"rshared\" when mount source is within \
             the daemon root, daemon root: {root:?}, bind mount source: {source:?}, propagation: {other:?}"
        ))),
    }
}

/// Says in Docker's words why a part of a volume can not be mounted. What is mounted is what the runtime finds beneath the
/// volume, not this name.
pub(crate) fn check_part(volume: &Path, part: &str) -> Result<()> {
    match subpath::open(volume, Path::new(part)) {
        Ok(_) => Ok(()),
        Err(errno) if subpath::leads_out(errno) => Err(ApiError::bad(format_args!(
            "path concatenation escapes the base directory, base: {}, subpath: {part}",
            volume.display()
        ))),
        Err(errno) => Err(ApiError::bad(format_args!(
            "cannot access path {0}: lstat {0}: {1}",
            volume.join(part).display(),
            errno.desc().to_lowercase()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_exactly_wins() {
        let config =
            Config { volumes: [("/data".into(), serde_json::json!({}))].into(), ..Default::default() };
        let host = HostConfig { binds: vec!["db:/data".into()], ..Default::default() };
        let all = wanted(&config, &host).unwrap();
        assert_eq!((all.len(), all[0].source.as_str()), (1, "db"));
        let twice = HostConfig { binds: vec!["a:/data".into(), "b:/data".into()], ..Default::default() };
        assert_eq!(wanted(&config, &twice).unwrap_err().message, "Duplicate mount point: /data");
    }

    /// The attack: an image that declares `VOLUME ["/:/host"]` was given the machine's own files.
    #[test]
    fn a_volume_of_an_image_is_nothing_of_the_machine_s() {
        let declaring = |name: &str| {
            let volumes = [(name.to_owned(), serde_json::json!({}))].into();
            wanted(&Config { volumes, ..Default::default() }, &HostConfig::default())
        };
        for name in
            ["/:/host", "/etc:/host:ro", "/var/run/docker.sock:/docker.sock", "/data:ro", "/a:/b:rshared"]
        {
            let all = declaring(name).unwrap();
            let found = (all[0].kind, all[0].source.as_str(), all[0].target.as_path());
            assert_eq!(found, (MountKind::Volume, "", Path::new(name)), "{name}");
        }
        for name in ["", "/", "."] {
            assert!(declaring(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_volume_of_an_image_may_be_said_from_the_root() {
        for name in ["data", "srv/data", "of-somebody:/data", "a:/t"] {
            let volumes = [(name.to_owned(), serde_json::json!({}))].into();
            let config = Config { volumes, ..Default::default() };
            let all = wanted(&config, &HostConfig::default()).unwrap();
            let found = (all[0].kind, all[0].source.as_str(), all[0].target.clone());
            assert_eq!(found, (MountKind::Volume, "", Path::new("/").join(name)), "{name}");
            let named = HostConfig { binds: vec![format!("db:/{name}")], ..Default::default() };
            if !name.contains(':') {
                let all = wanted(&config, &named).unwrap();
                assert_eq!((all.len(), all[0].source.as_str()), (1, "db"), "{name}");
            }
        }
    }

    #[test]
    fn an_image_with_too_many_volumes_is_refused() {
        let declaring = |count: usize| {
            let volumes = (0..count).map(|number| (format!("/v{number}"), serde_json::json!({})));
            wanted(&Config { volumes: volumes.collect(), ..Default::default() }, &HostConfig::default())
        };
        assert_eq!(declaring(MOST_VOLUMES).unwrap().len(), MOST_VOLUMES);
        let why = declaring(5000).unwrap_err().message;
        let want =
            "the image and the request declare 5000 volumes: a container has at most 512 that nobody named";
        assert_eq!(why, want);
    }

    #[test]
    fn volumes_of_others() {
        assert_eq!(from("web:ro").unwrap(), ("web", "ro"));
        assert_eq!(from("web").unwrap(), ("web", ""));
        assert_eq!(from("web:what").unwrap_err().message, "invalid mode: what");
        assert!(from(":ro").is_err());
    }

    #[test]
    fn a_bind_that_holds_the_engine_s_own_directory_follows_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("engine");
        std::fs::create_dir_all(root.join("volumes")).unwrap();
        // by where this test runs
        let usual = if find_propagation(dir.path(), "rslave").is_ok() { "rslave" } else { "" };
        for (name, source, said, want) in [
            ("around it", dir.path().to_owned(), "", Ok(usual)),
            ("in it", root.join("volumes"), "", Ok(usual)),
            ("shared", root.clone(), "rshared", Ok("rshared")),
            ("private", root.clone(), "private", Err("propagation: \"private\"")),
            ("elsewhere", dir.path().join("other"), "private", Ok("private")),
            ("with a like name", dir.path().join("engine-2"), "", Ok("")),
        ] {
            match (beside_own_root(&source, &root, said.to_owned()), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, want, "{name}"),
                (Err(why), Err(want)) => assert!(why.message.ends_with(want), "{name}: {}", why.message),
                (got, _) => panic!("{name}: {:?}", got.map_err(|why| why.message)),
            }
        }
    }

    #[test]
    fn why_a_part_of_a_volume_is_none() {
        let volume = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(volume.path().join("a/b")).unwrap();
        std::os::unix::fs::symlink("/", volume.path().join("out")).unwrap();
        std::os::unix::fs::symlink("a", volume.path().join("in")).unwrap();
        for (part, want) in [
            ("a/b", ""),
            ("in/b", ""),
            ("out", "path concatenation escapes the base directory, base: "),
            ("out/etc", "path concatenation escapes the base directory, base: "),
            ("a/../..", "path concatenation escapes the base directory, base: "),
            ("none", "cannot access path "),
        ] {
            let said = check_part(volume.path(), part).err().map(|why| why.message).unwrap_or_default();
            assert!(said.starts_with(want) && said.is_empty() == want.is_empty(), "{part}: {said}");
        }
    }
}

//! What `-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's VOLUMEs mean.

use crate::engine::Engine;
use crate::model::{Config, HostConfig, MountSpec};
use crate::record::{MountKind, Mounted};
use crate::refusal::{Refusal, Result};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// A mount before its volume or folder was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) kind: MountKind,
    /// A path, or a volume's name; empty for an anonymous volume.
    pub(crate) source: String,
    pub(crate) target: PathBuf,
    pub(crate) read_only: bool,
    pub(crate) propagation: String,
    pub(crate) copy: bool,
    pub(crate) size: Option<u64>,
    /// A folder of the machine that is missing is made, as for `-v`.
    pub(crate) make: bool,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Wanted {
    fn new(kind: MountKind, source: &str, target: &str) -> Result<Self> {
        Ok(Wanted {
            kind,
            source: source.to_owned(),
            target: target_of(target)?,
            read_only: false,
            propagation: String::new(),
            copy: kind == MountKind::Volume,
            size: None,
            make: false,
            labels: BTreeMap::new(),
        })
    }
}

/// Absolute and plain.
fn target_of(text: &str) -> Result<PathBuf> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(Refusal::bad(format_args!(
            "invalid mount config: invalid mount path: '{text}' mount path must be absolute"
        )));
    }
    let plain: PathBuf = path.components().filter(|c| *c != Component::CurDir).collect();
    if plain == Path::new("/") {
        return Err(Refusal::bad("invalid specification: destination can't be '/'"));
    }
    Ok(plain)
}

/// All mounts that were asked for; what is said more exactly wins over the image's and anonymous ones.
pub(crate) fn wanted(config: &Config, host: &HostConfig) -> Result<Vec<Wanted>> {
    let mut all: Vec<Wanted> = Vec::new();
    let asked = host.binds.iter().map(|text| bind(text)).chain(host.mounts.iter().map(mount));
    for wanted in asked.chain(host.tmpfs.iter().map(|(target, options)| tmpfs(target, options))) {
        let wanted = wanted?;
        if all.iter().any(|other| other.target == wanted.target) {
            return Err(Refusal::bad(format_args!("Duplicate mount point: {}", wanted.target.display())));
        }
        all.push(wanted);
    }
    for target in config.volumes.keys() {
        let anonymous = match target.split_once(':') {
            Some(_) => bind(target)?,
            None => Wanted::new(MountKind::Volume, "", target)?,
        };
        if !all.iter().any(|other| other.target == anonymous.target) {
            all.push(anonymous);
        }
    }
    Ok(all)
}

/// `[source:]target[:options]`
fn bind(text: &str) -> Result<Wanted> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => ("", target, ""),
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err(Refusal::bad(format_args!("invalid volume specification: '{text}'"))),
    };
    let kind = if source.starts_with('/') { MountKind::Bind } else { MountKind::Volume };
    let mut wanted = Wanted::new(kind, source, target)?;
    wanted.make = true;
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" => wanted.read_only = true,
            "nocopy" => wanted.copy = false,
            // labels of SELinux and hints of other systems
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                wanted.propagation = option.to_owned();
            }
            _ => return Err(Refusal::bad(format_args!("invalid mode: {options}"))),
        }
    }
    Ok(wanted)
}

fn mount(spec: &MountSpec) -> Result<Wanted> {
    let kind = match spec.kind.as_str() {
        "bind" if spec.source.starts_with('/') => MountKind::Bind,
        "bind" => {
            return Err(Refusal::bad(format_args!(
                "invalid mount config for type \"bind\": invalid mount path: '{}' mount path must be absolute",
                spec.source
            )));
        }
        "volume" | "" => MountKind::Volume,
        "tmpfs" => MountKind::Tmpfs,
        other => return Err(Refusal::bad(format_args!("mount type unknown: \"{other}\""))),
    };
    Ok(Wanted {
        read_only: spec.read_only,
        propagation: spec.bind_options.propagation.clone(),
        copy: kind == MountKind::Volume && !spec.volume_options.no_copy,
        size: Some(spec.tmpfs_options.size_bytes).filter(|size| *size > 0),
        make: spec.bind_options.create_mountpoint,
        labels: spec.volume_options.labels.clone(),
        ..Wanted::new(kind, &spec.source, &spec.target)?
    })
}

fn tmpfs(target: &str, options: &str) -> Result<Wanted> {
    let mut wanted = Wanted::new(MountKind::Tmpfs, "", target)?;
    for option in options.split(',') {
        match option.split_once('=') {
            Some(("size", size)) => wanted.size = Some(bytes(size)?),
            None if option == "ro" => wanted.read_only = true,
            _ => {}
        }
    }
    Ok(wanted)
}

/// `64m` → bytes.
fn bytes(text: &str) -> Result<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" => Some(1 << 10),
        "m" | "mb" => Some(1 << 20),
        "g" | "gb" => Some(1u64 << 30),
        _ => None,
    };
    let size = factor.zip(digits.parse::<u64>().ok()).and_then(|(factor, number)| number.checked_mul(factor));
    size.ok_or_else(|| Refusal::bad(format_args!("invalid size: '{text}'")))
}

impl Engine {
    /// Makes the volumes and folders that are missing.
    pub(crate) fn resolve_mounts(&self, config: &Config, host: &HostConfig) -> Result<Vec<Mounted>> {
        let mut all = Vec::new();
        for wanted in wanted(config, host)? {
            all.push(self.resolve(wanted)?);
        }
        for text in &host.volumes_from {
            let (name, mode) = text.split_once(':').unwrap_or((text, ""));
            for mut other in self.container(name)?.see(|r| r.mounts.clone()) {
                other.read_only |= mode == "ro";
                if other.kind != MountKind::Tmpfs && !all.iter().any(|m: &Mounted| m.target == other.target) {
                    all.push(other);
                }
            }
        }
        Ok(all)
    }

    fn resolve(&self, wanted: Wanted) -> Result<Mounted> {
        let (name, source) = match wanted.kind {
            MountKind::Tmpfs => (String::new(), PathBuf::new()),
            MountKind::Volume => {
                let volume = self.volumes.make(&wanted.source, wanted.labels, BTreeMap::new())?;
                let source = self.volumes.data(&volume.name);
                (volume.name, source)
            }
            MountKind::Bind => {
                let source = PathBuf::from(&wanted.source);
                find_source(&source, wanted.make)?;
                (String::new(), source)
            }
        };
        Ok(Mounted {
            kind: wanted.kind,
            name,
            source,
            target: wanted.target,
            read_only: wanted.read_only,
            propagation: wanted.propagation,
            copy: wanted.copy,
            size: wanted.size,
        })
    }
}

fn find_source(source: &Path, make: bool) -> Result<()> {
    if source.exists() {
        return Ok(());
    }
    if !make {
        return Err(Refusal::bad(format_args!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            source.display()
        )));
    }
    std::fs::create_dir_all(source)
        .map_err(|e| Refusal::failed(format_args!("create folder {}", source.display()), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_v_means() {
        for (text, want) in [
            ("/data", Some((MountKind::Volume, "", "/data", false))),
            ("db:/data", Some((MountKind::Volume, "db", "/data", false))),
            ("/h:/c", Some((MountKind::Bind, "/h", "/c", false))),
            ("/h:/c/:ro,z", Some((MountKind::Bind, "/h", "/c", true))),
            ("/h:c", None),
            ("/h:/", None),
            ("/h:/c:what", None),
            ("a:b:c:d", None),
        ] {
            let got = bind(text).ok();
            let got =
                got.as_ref().map(|w| (w.kind, w.source.as_str(), w.target.to_str().unwrap(), w.read_only));
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn what_is_said_exactly_wins() {
        let config =
            Config { volumes: [("/data".into(), serde_json::json!({}))].into(), ..Default::default() };
        let host = HostConfig { binds: vec!["db:/data".into()], ..Default::default() };
        let all = wanted(&config, &host).unwrap();
        assert_eq!((all.len(), all[0].source.as_str()), (1, "db"));
        let twice = HostConfig { binds: vec!["a:/data".into(), "b:/data".into()], ..Default::default() };
        assert_eq!(wanted(&config, &twice).unwrap_err().message, "Duplicate mount point: /data");
        let tmpfs = HostConfig { tmpfs: [("/t".into(), "size=2m,ro".into())].into(), ..Default::default() };
        let all = wanted(&Config::default(), &tmpfs).unwrap();
        assert_eq!((all[0].kind, all[0].size, all[0].read_only), (MountKind::Tmpfs, Some(2 << 20), true));
    }
}

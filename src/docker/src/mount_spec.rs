//! What `-v`, `--mount` and `--tmpfs` mean: parsed and checked in Docker's words. Pure.

use crate::error::{ApiError, Result};
use crate::model::{MountSpec, TmpfsOptions};
use crate::record::MountKind;
use http::StatusCode;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Component, Path, PathBuf};

/// A mount before its volume or directory was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) kind: MountKind,
    /// A path, or a volume's name; empty for an anonymous volume.
    pub(crate) source: String,
    pub(crate) target: PathBuf,
    pub(crate) read_only: bool,
    /// As `-v` has it; inspect shows it.
    pub(crate) mode: String,
    pub(crate) propagation: String,
    pub(crate) copy: bool,
    /// Of a tmpfs, as mount(8) takes them.
    pub(crate) options: Vec<String>,
    /// Inside of the volume.
    pub(crate) subpath: String,
    /// Mounts below the source stay outside.
    pub(crate) non_recursive: bool,
    /// Those that are brought along are not read-only with it.
    pub(crate) writable_below: bool,
    /// A directory of the machine that is missing is made, as for `-v`.
    pub(crate) make: bool,
    pub(crate) labels: BTreeMap<String, String>,
    /// A new volume's.
    pub(crate) driver_options: BTreeMap<String, String>,
}

impl Wanted {
    fn new(kind: MountKind, source: &str, target: &str) -> Result<Self> {
        Ok(Wanted {
            kind,
            source: source.to_owned(),
            target: target_of(target)?,
            read_only: false,
            mode: String::new(),
            propagation: String::new(),
            copy: kind == MountKind::Volume,
            options: Vec::new(),
            subpath: String::new(),
            non_recursive: false,
            writable_below: false,
            make: false,
            labels: BTreeMap::new(),
            driver_options: BTreeMap::new(),
        })
    }
}

/// Absolute and plain.
fn target_of(text: &str) -> Result<PathBuf> {
    if text.is_empty() {
        return Err(ApiError::bad("field Target must not be empty"));
    }
    absolute(text)?;
    let plain: PathBuf = Path::new(text).components().filter(|c| *c != Component::CurDir).collect();
    if plain == Path::new("/") {
        return Err(ApiError::bad("invalid specification: destination can't be '/'"));
    }
    Ok(plain)
}

fn absolute(text: &str) -> Result<()> {
    if Path::new(text).is_absolute() {
        return Ok(());
    }
    Err(ApiError::bad(format_args!("invalid mount path: '{text}' mount path must be absolute")))
}

/// A volume that nobody named, as an image's VOLUME is. Such a one may be said as from the root (`VOLUME data`); the client also
/// takes `-v a:/t` for one, whose `a:` might be a drive.
pub(crate) fn anonymous(target: &str) -> Result<Wanted> {
    let named = |refusal| within("volume", refusal);
    let is_from_root = !target.is_empty() && !target.starts_with('/');
    let target = if is_from_root { format!("/{target}") } else { target.to_owned() };
    Wanted::new(MountKind::Volume, "", &target).map_err(named)
}

/// `[source:]target[:mode]`
pub(crate) fn bind(text: &str) -> Result<Wanted> {
    let invalid = || format!("invalid volume specification: '{text}'");
    let parts: Vec<&str> = text.splitn(4, ':').collect();
    let (source, target, mode) = match parts[..] {
        [""] => return Err(ApiError::bad(invalid())),
        [target] => ("", target, ""),
        [_, mode] if is_mode(mode) => return Err(ApiError::bad(invalid())),
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(ApiError::bad(invalid())),
    };
    if !mode.is_empty() && !is_mode(mode) {
        return Err(ApiError::bad(format_args!("invalid mode: {mode}")));
    }
    let (kind, name) =
        if source.starts_with('/') { (MountKind::Bind, "bind") } else { (MountKind::Volume, "volume") };
    let said = |options: &[&str]| mode.split(',').find(|word| options.contains(word));
    let has_strange_option = match kind {
        MountKind::Volume => said(&PROPAGATIONS).map(|_| "BindOptions"),
        _ => said(&["nocopy"]).map(|_| "VolumeOptions"),
    };
    let wanted = match has_strange_option {
        Some(field) => Err(ApiError::bad(format_args!("field {field} must not be specified"))),
        None => Wanted::new(kind, source, target),
    };
    let explain = |refusal| ApiError::bad(format_args!("{}: {}", invalid(), within(name, refusal)));
    let wanted = wanted.map_err(explain)?;
    Ok(Wanted {
        make: true,
        read_only: said(&["ro"]).is_some(),
        copy: wanted.copy && said(&["nocopy"]).is_none(),
        propagation: said(&PROPAGATIONS).unwrap_or_default().to_owned(),
        mode: mode.to_owned(),
        ..wanted
    })
}

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "slave", "rslave", "shared", "rshared"];

/// One word of each kind at most.
pub(crate) fn is_mode(mode: &str) -> bool {
    // labels of SELinux, and hints of other systems, are for others
    let kinds: [&[&str]; 5] = [
        &["rw", "ro"],
        &["z", "Z"],
        &PROPAGATIONS,
        &["nocopy"],
        &["consistent", "cached", "delegated", "default"],
    ];
    let mut seen = [false; 5];
    mode.split(',').all(|word| {
        let kind = kinds.iter().position(|kind| kind.contains(&word));
        kind.is_some_and(|kind| !std::mem::replace(&mut seen[kind], true))
    })
}

fn within(kind: &str, why: impl Display) -> ApiError {
    ApiError::bad(format_args!("invalid mount config for type \"{kind}\": {why}"))
}

/// # Errors
/// Volumes are made by the one driver that is here.
pub(crate) fn is_driver(name: &str) -> Result<()> {
    match name {
        "" | "local" => Ok(()),
        other => Err(ApiError::not_found(format_args!(
            "error looking up volume plugin {other}: plugin \"{other}\" not found"
        ))),
    }
}

/// `--mount`
pub(crate) fn mount(spec: &MountSpec) -> Result<Wanted> {
    let made = match spec.kind.as_str() {
        "bind" => of_directory(spec),
        "volume" | "" => of_volume(spec),
        "tmpfs" => of_tmpfs(spec),
        "image" => of_image(spec),
        _ => Err(ApiError::bad("mount type unknown")),
    };
    made.map_err(|why| match why.status {
        // not a word that is wrong, but something that is not here
        StatusCode::NOT_FOUND => why,
        _ => within(&spec.kind, why),
    })
}

fn extra(is_said: bool, field: &str) -> Result<()> {
    match is_said {
        true => Err(ApiError::bad(format_args!("field {field} must not be specified"))),
        false => Ok(()),
    }
}

fn of_directory(spec: &MountSpec) -> Result<Wanted> {
    let wanted = Wanted::new(MountKind::Bind, &spec.source, &spec.target)?;
    if spec.source.is_empty() {
        return Err(ApiError::bad("field Source must not be empty"));
    }
    extra(spec.volume_options.is_some(), "VolumeOptions")?;
    extra(spec.tmpfs_options.is_some(), "TmpfsOptions")?;
    extra(spec.image_options.is_some(), "ImageOptions")?;
    let options = spec.bind_options.clone().unwrap_or_default();
    if !options.propagation.is_empty() && !PROPAGATIONS.contains(&options.propagation.as_str()) {
        return Err(ApiError::bad(format_args!("invalid propagation mode: {}", options.propagation)));
    }
    if options.read_only_non_recursive && !spec.read_only {
        return Err(ApiError::bad("mount options conflict: !ReadOnly && ReadOnlyNonRecursive"));
    }
    if options.read_only_force_recursive {
        if !spec.read_only {
            return Err(ApiError::bad("mount options conflict: !ReadOnly && ReadOnlyForceRecursive"));
        }
        if options.read_only_non_recursive {
            return Err(ApiError::bad(
                "mount options conflict: ReadOnlyForceRecursive && ReadOnlyNonRecursive",
            ));
        }
    }
    absolute(&spec.source)?;
    Ok(Wanted {
        read_only: spec.read_only,
        propagation: options.propagation,
        make: options.create_mountpoint,
        non_recursive: options.non_recursive,
        writable_below: options.read_only_non_recursive,
        ..wanted
    })
}

fn of_volume(spec: &MountSpec) -> Result<Wanted> {
    let wanted = Wanted::new(MountKind::Volume, &spec.source, &spec.target)?;
    extra(spec.bind_options.is_some(), "BindOptions")?;
    extra(spec.tmpfs_options.is_some(), "TmpfsOptions")?;
    extra(spec.image_options.is_some(), "ImageOptions")?;
    let options = spec.volume_options.clone().unwrap_or_default();
    if spec.source.is_empty() && spec.read_only {
        return Err(ApiError::bad("must not set ReadOnly mode when using anonymous volumes"));
    }
    if spec.source.is_empty() && !options.subpath.is_empty() {
        return Err(ApiError::bad("must not set Subpath when using anonymous volumes"));
    }
    inside(&options.subpath)?;
    let driver = options.driver_config.unwrap_or_default();
    is_driver(&driver.name)?;
    Ok(Wanted {
        read_only: spec.read_only,
        mode: "z".to_owned(),
        copy: !options.no_copy,
        labels: options.labels,
        subpath: options.subpath,
        driver_options: driver.options,
        ..wanted
    })
}

fn of_tmpfs(spec: &MountSpec) -> Result<Wanted> {
    let wanted = Wanted::new(MountKind::Tmpfs, "", &spec.target)?;
    extra(spec.bind_options.is_some(), "BindOptions")?;
    extra(spec.volume_options.is_some(), "VolumeOptions")?;
    extra(spec.image_options.is_some(), "ImageOptions")?;
    extra(!spec.source.is_empty(), "Source")?;
    let options = spec.tmpfs_options.clone().unwrap_or_default();
    Ok(Wanted { read_only: spec.read_only, options: merged(&words(&options))?, ..wanted })
}

/// Nobody can write to an image, whatever is said.
fn of_image(spec: &MountSpec) -> Result<Wanted> {
    let wanted = Wanted::new(MountKind::Image, &spec.source, &spec.target)?;
    extra(spec.bind_options.is_some(), "BindOptions")?;
    extra(spec.volume_options.is_some(), "VolumeOptions")?;
    extra(spec.tmpfs_options.is_some(), "TmpfsOptions")?;
    if spec.source.is_empty() {
        return Err(ApiError::bad("field Source must not be empty"));
    }
    let options = spec.image_options.clone().unwrap_or_default();
    inside(&options.subpath)?;
    Ok(Wanted { read_only: true, subpath: options.subpath, ..wanted })
}

fn inside(part: &str) -> Result<()> {
    match Path::new(part).components().all(|c| matches!(c, Component::Normal(_))) {
        true => Ok(()),
        false => Err(ApiError::bad("subpath must be a relative path within the volume")),
    }
}

fn words(options: &TmpfsOptions) -> Vec<String> {
    let size = (options.size_bytes > 0).then(|| format!("size={}", options.size_bytes));
    let mode = (options.mode > 0).then(|| format!("mode={:o}", options.mode));
    size.into_iter().chain(mode).chain(options.options.iter().map(|pair| pair.join("="))).collect()
}

/// `--tmpfs target:size=1m,exec`
pub(crate) fn tmpfs(target: &str, options: &str) -> Result<Wanted> {
    let wanted = Wanted::new(MountKind::Tmpfs, "", target)?;
    let words: Vec<String> = options.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect();
    let read_only = words.iter().any(|word| word == "ro");
    Ok(Wanted { read_only, options: merged(&words)?, ..wanted })
}

/// Docker's usual options, but for those that were said otherwise.
fn merged(said: &[String]) -> Result<Vec<String>> {
    const USUAL: [&str; 3] = ["noexec", "nosuid", "nodev"];
    const FLAGS: [&str; 17] = [
        "defaults",
        "ro",
        "rw",
        "suid",
        "dev",
        "exec",
        "sync",
        "async",
        "dirsync",
        "mand",
        "atime",
        "diratime",
        "relatime",
        "strictatime",
        "remount",
        "bind",
        "rbind",
    ];
    const VALUES: [&str; 7] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];
    let bare = |word: &str| word.strip_prefix("no").unwrap_or(word).to_owned();
    for word in said {
        let known = match word.split_once('=') {
            Some((name, _)) => VALUES.contains(&name),
            None => PROPAGATIONS.contains(&word.as_str()) || FLAGS.contains(&bare(word).as_str()),
        };
        if !known {
            let name = word.split('=').next().unwrap_or_default();
            return Err(ApiError::bad(format_args!("invalid tmpfs option \"{name}\"")));
        }
    }
    let is_said = |usual: &&str| said.iter().any(|word| bare(word) == bare(usual));
    let usual = USUAL.iter().filter(|usual| !is_said(usual)).map(|usual| (*usual).to_owned());
    // whether it can be written to is told apart from the rest
    let own = said.iter().filter(|word| !matches!(word.as_str(), "ro" | "rw" | "defaults")).cloned();
    Ok(usual.chain(own).collect())
}

#[cfg(test)]
mod tests;

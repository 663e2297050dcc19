//! Volumes that have another mount inside of them, while a container is made. libcontainer looks by its name for the place of what
//! is inside, and follows links beneath the root. Whoever writes to such a volume could lead it to the root itself, or onto /dev:
//! there it makes its nodes and links afterwards, by their names and while it still sees the machine. So no link in such a volume
//! leads anywhere before the container is made, and whose working directory is behind one goes there when he begins.

use crate::sys;
use libcontainer::oci_spec::OciSpecError;
use libcontainer::oci_spec::runtime::Spec;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use std::cmp::Reverse;
use std::path::{Path, PathBuf};

/// In the spec: of a mount, and of those that it brings along.
const OPTION: &str = "rnosymfollow";

/// What libcontainer was told in place of what was asked for.
pub(crate) struct Closed {
    /// The working directory, where a link in a guarded volume leads there: libcontainer can not go, and was told the root.
    pub(crate) directory: Option<PathBuf>,
}

/// Says it in the bundle's spec, which libcontainer has not read yet. `None` where it did not: a kernel before 5.14 can not.
///
/// # Errors
/// The spec can not be read or written.
pub(crate) fn close(bundle: &Path, guarded: &[PathBuf]) -> Result<Option<Closed>, String> {
    if guarded.is_empty() || !is_known(bundle) {
        return Ok(None);
    }
    let config = bundle.join("config.json");
    let failed = |e: OciSpecError| format!("guard the volumes in {}: {e}", config.display());
    let mut spec = Spec::load(&config).map_err(failed)?;
    let directory = take_directory(&mut spec, guarded);
    add_option(&mut spec, guarded);
    spec.save(&config).map_err(failed)?;
    Ok(Some(Closed { directory }))
}

/// Of several mounts on the way the last is meant. What is seen of it may be something else by the time that the container begins: then
/// it does not.
fn take_directory(spec: &mut Spec, guarded: &[PathBuf]) -> Option<PathBuf> {
    let mut process = spec.process().clone()?;
    let directory = process.cwd().clone();
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    let over = mounts.iter().filter(|mount| directory.starts_with(mount.destination()));
    // of those that are as deep this is the one that came last
    let over = over.max_by_key(|mount| mount.destination().components().count())?;
    if !guarded.contains(over.destination()) {
        return None;
    }
    let mut at = over.source().clone()?;
    let mut names = directory.strip_prefix(over.destination()).ok()?.components();
    let is_led = names.any(|name| {
        at.push(name);
        at.is_symlink()
    });
    if !is_led {
        return None;
    }
    process.set_cwd("/".into());
    spec.set_process(Some(process));
    Some(directory)
}

fn is_known(directory: &Path) -> bool {
    sys::clone_mounts(directory, false).and_then(|mount| sys::follow_links(&mount, false)).is_ok()
}

fn add_option(spec: &mut Spec, guarded: &[PathBuf]) {
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    for mount in mounts.iter_mut().filter(|mount| guarded.contains(mount.destination())) {
        let mut options = mount.options().clone().unwrap_or_default();
        options.push(OPTION.to_owned());
        mount.set_options(Some(options));
    }
    spec.set_mounts(Some(mounts));
}

/// The container is made, and this process is in its mount namespace.
///
/// # Errors
/// Where the kernel refused it.
pub(crate) fn open(guarded: &[PathBuf]) -> Result<(), (PathBuf, Errno)> {
    // one that lies in another is looked for while no link of that one leads anywhere
    let mut deepest_first: Vec<&PathBuf> = guarded.iter().collect();
    deepest_first.sort_by_key(|target| Reverse(target.components().count()));
    deepest_first.into_iter().try_for_each(|target| open_one(target).map_err(|errno| (target.clone(), errno)))
}

fn open_one(target: &Path) -> Result<(), Errno> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let opened = openat2(AT_FDCWD, target, how).and_then(|mount| sys::follow_links(&mount, true));
    match opened {
        // something else was mounted over it: nobody comes to it
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EINVAL) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libcontainer::oci_spec::runtime::MountBuilder;

    #[test]
    fn the_option_is_said_of_the_guarded_only() {
        let mount = |at: &str| {
            let options = vec!["rbind".to_owned()];
            MountBuilder::default().typ("bind").source("/s").destination(at).options(options).build().unwrap()
        };
        let mut spec = Spec::default();
        spec.set_mounts(Some(vec![mount("/v"), mount("/v/x")]));
        add_option(&mut spec, &["/v".into()]);
        let mounts = spec.mounts().clone().unwrap();
        let options: Vec<_> = mounts.iter().map(|mount| mount.options().clone().unwrap().join(" ")).collect();
        assert_eq!(options, ["rbind rnosymfollow", "rbind"]);
    }

    #[test]
    fn a_working_directory_behind_a_link_of_a_guarded_volume_is_gone_to_later() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("volume/releases/1/public")).unwrap();
        std::os::unix::fs::symlink("releases/1", at("volume/current")).unwrap();
        let mount = |source: &str, target: &str| {
            MountBuilder::default().typ("bind").source(at(source)).destination(target).build().unwrap()
        };
        for (directory, is_later) in [
            ("/app/current", true),
            ("/app/current/public", true),
            ("/app/releases/1", false),
            ("/app/none/current", false),
            ("/app", false),
            // another volume is there
            ("/app/data/current", false),
            // nothing is mounted in that one
            ("/free/current", false),
            ("/", false),
        ] {
            let mut spec = Spec::default();
            let mut process = spec.process().clone().unwrap();
            process.set_cwd(directory.into());
            spec.set_process(Some(process));
            let mounts = [mount("volume", "/app"), mount("volume", "/app/data"), mount("volume", "/free")];
            spec.set_mounts(Some(mounts.to_vec()));
            let later = take_directory(&mut spec, &["/app".into()]);
            assert_eq!(later.as_deref(), is_later.then_some(Path::new(directory)), "{directory}");
            let told = spec.process().as_ref().unwrap().cwd();
            assert_eq!(told, Path::new(if is_later { "/" } else { directory }), "{directory}");
        }
    }

    #[test]
    fn links_lead_nowhere_until_they_are_let() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: only root can mount");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("volume")).unwrap();
        std::fs::create_dir(at("root")).unwrap();
        std::fs::write(at("volume/file"), "x").unwrap();
        std::os::unix::fs::symlink("file", at("volume/link")).unwrap();
        let in_own_mounts = || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
            let private = nix::mount::MsFlags::MS_PRIVATE | nix::mount::MsFlags::MS_REC;
            nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
            if !is_known(dir.path()) {
                println!("SKIPPED: this kernel always follows links");
                return;
            }
            let mount = sys::clone_mounts(&at("volume"), false).unwrap();
            sys::follow_links(&mount, false).unwrap();
            sys::attach_mount(&mount, &at("root")).unwrap();
            assert!(std::fs::read(at("root/link")).is_err() && at("volume/link").is_file());
            // one that nobody comes to is no reason not to begin
            open(&[at("root"), at("root/file/none"), at("gone")]).unwrap();
            assert!(at("root/link").is_file());
        };
        std::thread::scope(|scope| scope.spawn(in_own_mounts).join()).unwrap();
    }
}

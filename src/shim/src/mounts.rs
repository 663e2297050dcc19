//! A container's root file system, and the machine's mounts that it shares, in the shim's mount namespace.

use crate::fault::{Because, Fault, Result as Outcome};
use crate::sys::{self, FsContext};
use cri::wire::{MountRequest, PartMount, SharedMount};
use cri::{Propagation, subpath};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Makes the request's mounts, and returns where they are, in order. A failure leaves none.
pub(crate) fn make(request: &MountRequest, machine: &File) -> Outcome<Vec<PathBuf>> {
    let mut made = Vec::new();
    let result = overlay(request).and_then(|()| {
        made.push(request.target.clone());
        request.images.iter().try_for_each(|image| {
            fs::create_dir_all(&image.target).because(format!("make {}", image.target.display()))?;
            lay_over(&image.layers, None, &image.target, request.stacks)
                .map_err(|why| Fault(format!("mount image on {}: {why}", image.target.display())))?;
            made.push(image.target.clone());
            Ok(())
        })?;
        request.shared.iter().try_for_each(|one| {
            share(one, machine)?;
            made.push(one.target.clone());
            Ok(())
        })?;
        request.parts.iter().try_for_each(|one| {
            bring_part(one, machine)?;
            made.push(one.target.clone());
            Ok(())
        })
    });
    match result {
        Ok(()) => Ok(made),
        Err(e) => {
            unmount(&made);
            Err(e)
        }
    }
}

/// Lazily, newest first: what still uses one keeps it alive, but nobody finds it any more. Out of their peer groups before,
/// or whatever is mounted below one would be unmounted on the machine as well.
pub(crate) fn unmount(targets: &[PathBuf]) {
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    for target in targets.iter().rev() {
        let _ = mount(None::<&str>, target, None::<&str>, private, None::<&str>);
        let _ = umount2(target, MntFlags::MNT_DETACH);
    }
}

fn overlay(request: &MountRequest) -> Outcome<()> {
    let what = format!("mount root file system on {}", request.target.display());
    fs::create_dir_all(&request.target).because(&what)?;
    let MountRequest { layers, upper, work, target, .. } = request;
    if layers.is_empty() {
        // an image FROM scratch: overlayfs wants at least one lower directory, and there is nothing to lie over
        return mount(Some(upper), target, None::<&str>, MsFlags::MS_BIND, None::<&str>).because(what);
    }
    let written = Written { upper, work };
    lay_over(layers, Some(written), target, request.stacks).map_err(|why| Fault(format!("{what}: {why}")))
}

/// Where what is written over the layers goes.
#[derive(Clone, Copy)]
struct Written<'a> {
    upper: &'a Path,
    work: &'a Path,
}

/// # Errors
/// In the kernel's words.
fn lay_over(
    layers: &[PathBuf],
    written: Option<Written<'_>>,
    target: &Path,
    stacks: Option<bool>,
) -> Result<(), String> {
    let stacked = match stacks {
        Some(false) => Err((Errno::ENOSYS, None)),
        _ => stack(layers, written, target),
    };
    match stacked {
        // the kernel is older than `lowerdir+` (6.8)
        Err((Errno::EINVAL | Errno::ENOSYS, _)) => mount(
            Some("overlay"),
            target,
            Some("overlay"),
            MsFlags::empty(),
            Some(options(layers, written).as_str()),
        )
        .map_err(|errno| errno.to_string()),
        Err((errno, complaint)) => Err(complaint.unwrap_or(errno.to_string())),
        Ok(()) => Ok(()),
    }
}

/// One call for each layer: the options of mount(2) must fit in a page, which holds about 60.
fn stack(
    layers: &[PathBuf],
    written: Option<Written<'_>>,
    target: &Path,
) -> Result<(), (Errno, Option<String>)> {
    let context = FsContext::open(c"overlay").map_err(|e| (e, None))?;
    let configure = || {
        layers.iter().try_for_each(|layer| context.set(c"lowerdir+", layer))?;
        if let Some(Written { upper, work }) = written {
            context.set(c"upperdir", upper)?;
            context.set(c"workdir", work)?;
        }
        cri::overlay::OPTIONS
            .iter()
            .try_for_each(|(name, value)| context.set(&sys::cstring(name)?, Path::new(value)))?;
        context.mount()
    };
    let overlay = configure().map_err(|e| (e, context.complaint()))?;
    sys::attach_mount(&overlay, target).map_err(|e| (e, None))
}

fn options(layers: &[PathBuf], written: Option<Written<'_>>) -> String {
    let escape = |path: &Path| {
        path.display().to_string().replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,")
    };
    let lower: Vec<String> = layers.iter().map(|layer| escape(layer)).collect();
    let lower = format!("{},lowerdir={}", cri::overlay::options(), lower.join(":"));
    match written {
        Some(Written { upper, work }) => {
            format!("{lower},upperdir={},workdir={}", escape(upper), escape(work))
        }
        None => lower,
    }
}

/// Only a mount taken in the machine's namespace is a peer of the machine's: ours are slaves.
fn share(shared: &SharedMount, machine: &File) -> Outcome<()> {
    let SharedMount { source, target, private } = shared;
    let what = format!("share {} on {}", source.display(), target.display());
    let cloned = if *private {
        sys::clone_mounts(source, true)
    } else {
        in_machine(machine, || sys::clone_mounts(source, true))
    };
    attach(&cloned.because(&what)?, target, *private, &what)
}

/// A part of a volume. It is looked for and cloned in one go, by descriptors: see [`subpath`].
fn bring_part(part: &PartMount, machine: &File) -> Outcome<()> {
    let PartMount { source, subpath: inside, target, propagation } = part;
    let what = format!("mount {} of {} on {}", inside.display(), source.display(), target.display());
    let take = || sys::clone_opened(&subpath::open(source, inside)?);
    let cloned = match propagation {
        Propagation::Bidirectional => in_machine(machine, take),
        Propagation::Private | Propagation::HostToContainer => take(),
    };
    let cloned = match cloned {
        Err(errno) if subpath::leads_out(errno) => Err(Fault(format!("{what}: it leads out of there"))),
        other => other.because(&what),
    }?;
    attach(&cloned, target, *propagation == Propagation::Private, &what)
}

fn attach(cloned: &OwnedFd, target: &Path, private: bool, what: &str) -> Outcome<()> {
    if source_is_dir(cloned) {
        fs::create_dir_all(target).because(what)?;
    } else {
        target.parent().map_or(Ok(()), fs::create_dir_all).because(what)?;
        File::options().create(true).append(true).open(target).because(what)?;
    }
    sys::attach_mount(cloned, target).because(what)?;
    if private {
        mount(None::<&str>, target, None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>)
            .because(what)?;
    }
    Ok(())
}

fn in_machine(machine: &File, take: impl FnOnce() -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    let own = File::open("/proc/self/ns/mnt").map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(0)))?;
    setns(machine, CloneFlags::CLONE_NEWNS)?;
    let taken = take();
    // a shim that could not come back would mount everything on the machine
    setns(own, CloneFlags::CLONE_NEWNS).expect("return to the sandbox's mount namespace");
    taken
}

fn source_is_dir(mount: &OwnedFd) -> bool {
    use nix::sys::stat::{SFlag, fstat};
    fstat(mount).is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_mount_quote_what_overlayfs_would_split_at() {
        let layers = [PathBuf::from("/l/top"), PathBuf::from("/l/a:b,c")];
        let written = Written { upper: Path::new("/u"), work: Path::new("/w\\x") };
        let lower = "redirect_dir=nofollow,metacopy=off,index=off,lowerdir=/l/top:/l/a\\:b\\,c";
        assert_eq!(options(&layers, None), lower);
        assert_eq!(options(&layers, Some(written)), format!("{lower},upperdir=/u,workdir=/w\\\\x"));
    }

    /// An image's layer that says its directory came from elsewhere: most kernels would follow that.
    #[test]
    fn a_layer_s_directory_shows_nothing_of_another_place() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: only root can mount a root file system");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let in_own_mounts = || {
            nix::sched::unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
            // the temporary directory's own file system may not take the attribute
            mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
            for made in ["top/moved", "bottom/place", "upper", "work", "root"] {
                fs::create_dir_all(at(made)).unwrap();
            }
            fs::write(at("bottom/place/file"), "x").unwrap();
            redirect(&at("top/moved"), "/place");
            let (layers, upper, work) = ([at("top"), at("bottom")], at("upper"), at("work"));
            for stacks in [None, Some(false)] {
                let written = Written { upper: &upper, work: &work };
                lay_over(&layers, Some(written), &at("root"), stacks).unwrap();
                assert!(at("root/place/file").exists(), "{stacks:?}");
                assert!(!at("root/moved/file").exists(), "{stacks:?}");
                umount2(&at("root"), MntFlags::empty()).unwrap();
            }
        };
        std::thread::scope(|scope| scope.spawn(in_own_mounts).join()).unwrap();
    }

    fn redirect(directory: &Path, to: &str) {
        let directory = sys::cstring(directory.as_os_str().as_encoded_bytes()).unwrap();
        let name = c"trusted.overlay.redirect";
        // SAFETY: NUL-terminated names, and as many bytes as are said; all of them live through the call.
        let done =
            unsafe { libc::setxattr(directory.as_ptr(), name.as_ptr(), to.as_ptr().cast(), to.len(), 0) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }
}

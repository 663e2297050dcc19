//! Which binds no link may lead on in while a container is made: others may write to them meanwhile, or have written before.

use super::mount_entry::BIND;
use oci_spec::runtime::Spec;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A node that every container has.
const NULL: &str = "/dev/null";

/// What is bound and has a mount inside of it that comes later, or a node of a device: the shim lets no link of others lead to where that
/// is made. Taken from the finished spec, so that no bind is forgotten that nobody asked for (the pod's shared memory).
///
/// `walk` goes through the image as a path says: it tells each place on the way, also one that `..` leads out of again, and whether the
/// image has a link there; and gives where it ends, or `None` where that can not be told. libcontainer goes through the same with all that
/// is mounted by then. So a link of the image says nothing where something is mounted over it: what is there may be another link, which
/// leads elsewhere. Where a way goes by such a one it is not known which binds it goes through, and all are guarded.
pub fn guarded(
    spec: &Spec,
    walk: impl Fn(&Path, &mut dyn FnMut(&Path, bool)) -> Option<PathBuf>,
) -> Vec<PathBuf> {
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    let devices = spec.linux().as_ref().and_then(|linux| linux.devices().as_deref()).unwrap_or_default();
    let nodes = devices.iter().map(|device| device.path().as_path()).chain([Path::new(NULL)]);
    let is_bind = |number: usize| mounts[number].typ().as_deref() == Some(BIND);

    let mut are_led = vec![false; mounts.len()];
    let ends = mounts.iter().zip(&mut are_led);
    let ends = ends.map(|(mount, is_led)| walk(mount.destination(), &mut |_, is_link| *is_led |= is_link));
    let places: Option<Vec<PathBuf>> = ends.collect();
    let mut are_all = places.is_none();
    let places = places.unwrap_or_default();
    let mut mounted: HashMap<&Path, Vec<usize>> = HashMap::new();
    for (number, place) in places.iter().enumerate() {
        mounted.entry(place.as_path()).or_default().push(number);
    }

    let mut has_mount = vec![false; mounts.len()];
    let targets =
        mounts.iter().enumerate().map(|(number, mount)| (mount.destination().as_path(), Some(number)));
    for (path, mount) in targets.chain(nodes.map(|node| (node, None))) {
        let mut see = |at: &Path, is_link: bool| {
            let entered = at.parent().and_then(|above| mounted.get(above)).into_iter().flatten();
            for outer in entered.copied() {
                match mount {
                    Some(number) => has_mount[outer] |= outer < number,
                    // libcontainer reads the links on the way to a node itself, which no mount forbids, and then makes it where they lead:
                    // that may be in any other bind
                    None => are_all |= is_bind(outer),
                }
            }
            are_all |= is_link && at.ancestors().any(|above| mounted.contains_key(above));
        };
        match mount {
            // nothing is to be learned of the image
            Some(number) if !are_led[number] => path.ancestors().for_each(|at| see(at, false)),
            _ => {
                let end = walk(path, &mut see);
                are_all |= end.is_none();
            }
        }
    }
    let guarded = (0..mounts.len()).filter(|number| is_bind(*number) && (are_all || has_mount[*number]));
    guarded.map(|number| mounts[number].destination().clone()).collect()
}

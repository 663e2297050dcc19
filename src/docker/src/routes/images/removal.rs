//! What `docker rmi` may take, in the rules and the words of Docker.

use super::tell;
use crate::error::{ApiError, Result};
use crate::events::labels_of;
use crate::names::familiar;
use crate::record::Record;
use crate::request::{ApiRequest, ApiResponse, json};
use cri::{ImageInfo, blocking};
use image::ImageRef;
use serde_json::json as value;

/// A container of the image, or one that mounts it.
struct User {
    id: String,
    is_running: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
struct Removal {
    /// Full references.
    untag: Vec<String>,
    /// The image goes as well.
    whole: bool,
}

pub(crate) async fn remove(request: ApiRequest) -> ApiResponse {
    let (engine, name, force) =
        (request.engine.clone(), request.name().to_owned(), request.query.flag("force"));
    let info = engine.images.image(&name)?;
    let info = info.ok_or_else(|| ApiError::not_found(format_args!("No such image: {name}")))?;
    let uses = |r: &Record| r.image == info.id || r.mounts.iter().any(|m| m.image == info.id);
    let users = engine.containers().into_iter().filter(|c| c.see(uses));
    let users: Vec<User> =
        users.map(|c| c.see(|r| User { id: r.id.clone(), is_running: r.running().is_some() })).collect();
    let removal = plan(&name, &info, &users, force)?;
    // they may go with it
    let labels = labels_of(&engine.images, &info.id);
    let (worker, id) = (engine.clone(), info.id.clone());
    let removed = blocking(move || match removal.whole {
        true => worker.images.remove_image(&id),
        false => worker.images.untag(&removal.untag),
    });
    let removed = removed.await?;
    let mut lines = Vec::new();
    for gone in removed {
        if !gone.starts_with("sha256:") {
            engine.events.image("untag", &info.id, &info.id, labels.clone());
            lines.push(value!({"Untagged": familiar(&gone)}));
            continue;
        }
        // layers are named as well, but only an image's end is an event
        if gone == info.id {
            tell(&engine, "delete", "", &gone);
        }
        lines.push(value!({"Deleted": gone}));
    }
    json(&lines)
}

/// Docker lets an image go whose stopped containers then stand on layers without a name. Here the layers are the image's:
/// so such an image loses its names, and stays until its last container has gone.
fn plan(name: &str, info: &ImageInfo, users: &[User], force: bool) -> Result<Removal> {
    let all: Vec<ImageRef> = info
        .repo_tags
        .iter()
        .chain(&info.repo_digests)
        .filter_map(|name| ImageRef::parse(name).ok())
        .collect();
    let id = short(&info.id);
    let all_names = || all.iter().map(ImageRef::to_string).collect::<Vec<_>>();
    if let Some(named) = ImageRef::parse(name).ok().filter(|named| all.contains(named)) {
        if let Some(user) = users.first().filter(|_| !force && is_single(&all)) {
            return Err(ApiError::conflict(format_args!(
                "conflict: unable to remove repository reference \"{name}\" (must force) - container {} is using its \
                 referenced image {id}",
                short(&user.id)
            )));
        }
        let (untag, rest): (Vec<ImageRef>, Vec<ImageRef>) =
            all.iter().cloned().partition(|other| goes_with(&named, other, &all));
        let whole = rest.is_empty() && users.is_empty();
        return Ok(Removal { untag: untag.iter().map(ImageRef::to_string).collect(), whole });
    }
    let refused = |how: &str, why: String| {
        Err(ApiError::conflict(format_args!("conflict: unable to delete {id} ({how}) - {why}")))
    };
    if let Some(user) = users.iter().find(|user| user.is_running) {
        let why = format!("image is being used by running container {}", short(&user.id));
        return refused("cannot be forced", why);
    }
    if !force && !is_single(&all) {
        return refused("must be forced", "image is referenced in multiple repositories".to_owned());
    }
    match users.first().filter(|_| !force) {
        Some(user) => {
            refused("must be forced", format!("image is being used by stopped container {}", short(&user.id)))
        }
        None => Ok(Removal { untag: all_names(), whole: users.is_empty() }),
    }
}

/// With the last tag of a repository go the digests of the same repository.
fn goes_with(named: &ImageRef, other: &ImageRef, all: &[ImageRef]) -> bool {
    let is_other_tag = |n: &ImageRef| n != named && n.tag().is_some() && n.repository() == named.repository();
    other == named
        || named.tag().is_some()
            && other.digest().is_some()
            && other.repository() == named.repository()
            && !all.iter().any(is_other_tag)
}

/// One tag at most, and all in one repository.
fn is_single(all: &[ImageRef]) -> bool {
    let tags = all.iter().filter(|name| name.tag().is_some()).count();
    tags <= 1 && all.windows(2).all(|pair| pair[0].repository() == pair[1].repository())
}

fn short(id: &str) -> String {
    id.trim_start_matches("sha256:").chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_and_what_is_refused() {
        let hex = "ab".repeat(32);
        let digest = |repository: &str| format!("{repository}@sha256:{}", "cd".repeat(32));
        let info = |tags: &[&str], digests: &[&str]| ImageInfo {
            id: format!("sha256:{hex}"),
            repo_tags: tags.iter().map(ToString::to_string).collect(),
            repo_digests: digests.iter().map(|r| digest(r)).collect(),
            ..ImageInfo::default()
        };
        let (a, b) = ("docker.io/library/a:1", "docker.io/library/a:2");
        let one = info(&[a], &["docker.io/library/a"]);
        let two = info(&[a, b], &["docker.io/library/a"]);
        let repositories = info(&[a], &["reg.io/a"]);
        let users = |running: &[bool]| {
            running.iter().map(|r| User { id: "c0ffee".repeat(4), is_running: *r }).collect::<Vec<_>>()
        };
        let used = "unable to remove repository reference \"a:1\" (must force) - container c0ffeec0ffee is using its \
                    referenced image abababababab";
        for (name, asked, info, running, force, want) in [
            ("by its only tag", "a:1", &one, &[][..], false, Ok((2, true))),
            ("by one of two tags", "a:1", &two, &[], false, Ok((1, false))),
            ("one of two, in use", "a:1", &two, &[true], false, Ok((1, false))),
            ("in use", "a:1", &one, &[false], false, Err(used)),
            ("in use, forced", "a:1", &one, &[false], true, Ok((2, false))),
            ("running, forced", "a:1", &one, &[true], true, Ok((2, false))),
            ("by its digest's repository", "a:1", &repositories, &[], false, Ok((1, false))),
            ("by id", "abababababab", &one, &[], false, Ok((2, true))),
            (
                "by id, two tags",
                &hex,
                &two,
                &[],
                false,
                Err("(must be forced) - image is referenced in multiple"),
            ),
            ("by id, two tags, forced", &hex, &two, &[], true, Ok((3, true))),
            (
                "by id, running",
                &hex,
                &one,
                &[true],
                true,
                Err("(cannot be forced) - image is being used by running container c0ffeec0ffee"),
            ),
            (
                "by id, stopped",
                &hex,
                &one,
                &[false],
                false,
                Err("(must be forced) - image is being used by stopped container c0ffeec0ffee"),
            ),
            ("by id, stopped, forced", &hex, &one, &[false], true, Ok((2, false))),
        ] {
            match (plan(asked, info, &users(running), force), want) {
                (Ok(removal), Ok(want)) => assert_eq!((removal.untag.len(), removal.whole), want, "{name}"),
                (Err(e), Err(want)) => assert!(e.message.contains(want), "{name}: {}", e.message),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }
}

//! Images: those of the one store. `transfer.rs` has the ways in and out, `removal.rs` what goes.

mod patterns;
mod removal;
mod transfer;
mod versions;

pub(crate) use removal::remove;
pub(crate) use transfer::{create, load, platform, push, save, save_one, told, told_or_refused};

use crate::engine::Engine;
use crate::error::{ApiError, Result};
use crate::events::labels_of;
use crate::filters::Filters;
use crate::label_budget::LabelBudget;
use crate::names::{familiar, without_version};
use crate::request::{ApiRequest, ApiResponse, empty, json};
use cri::{ImageInfo, blocking};
use http::StatusCode;
use image::{ImageDetails, ImageUsage};
use jiff::Timestamp;
use serde_json::{Value, json as value};
use std::collections::{BTreeMap, HashMap, HashSet};

fn all_familiar(names: &[String]) -> Vec<String> {
    names.iter().map(|name| familiar(name)).collect()
}

/// Bytes that other images use as well, and containers; both where somebody counted them.
#[derive(Default)]
struct Counted {
    shared: Option<u64>,
    containers: Option<usize>,
}

/// Seconds since 1970. Go's zero time, which the client shows as `N/A`, where nobody knows: zero would be "56 years ago".
fn created(at: Option<Timestamp>) -> i64 {
    const NEVER: i64 = -62_135_596_800;
    at.map_or(NEVER, |at| at.as_second())
}

fn shown(details: &ImageDetails, counted: &Counted) -> Value {
    let (info, document) = (&details.info, &details.document);
    let labels = Some(&document.config.labels).filter(|labels| !labels.is_empty());
    value!({
        "Id": info.id, "ParentId": "", "RepoTags": all_familiar(&info.repo_tags),
        "RepoDigests": all_familiar(&info.repo_digests), "Created": created(document.created),
        "Size": info.size, "VirtualSize": info.size, "Labels": labels,
        "SharedSize": counted.shared.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        "Containers": counted.containers.map_or(-1, |count| i64::try_from(count).unwrap_or(i64::MAX)),
    })
}

/// Bytes of labels that one list tells: far more than is to be found on a machine whose images nobody made for this.
const LISTED_LABELS: usize = 32 << 20;

/// How many containers each image that has any is used by, running or not.
fn users(engine: &Engine) -> HashMap<String, usize> {
    let mut users = HashMap::new();
    for container in engine.containers() {
        *users.entry(container.see(|r| r.image.clone())).or_default() += 1;
    }
    users
}

/// For `docker system df`.
pub(super) fn usages(engine: &Engine, usages: &[ImageUsage]) -> Vec<Value> {
    let users = users(engine);
    let mut labels = LabelBudget::of(LISTED_LABELS);
    let usage = |usage: &ImageUsage| {
        let users = users.get(&usage.info.id).copied().unwrap_or(0);
        let counted = Counted { shared: Some(usage.shared), containers: Some(users) };
        let Ok(mut details) = engine.images.details(&usage.info.id) else { return Value::Null };
        details.document.config.labels.retain(|name, value| labels.takes(name, value));
        shown(&details, &counted)
    };
    usages.iter().map(usage).collect()
}

/// What `docker images` is asked for.
struct Wanted {
    filters: Filters,
    dangling: Option<bool>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Wanted {
    fn of(engine: &Engine, filters: Filters) -> Result<Wanted> {
        filters.check(&["before", "dangling", "label", "label!", "reference", "since", "until"])?;
        let created = |name: &str| {
            let of = |name: &String| {
                Ok::<_, ApiError>(engine.images.details(name)?.document.created.unwrap_or_default())
            };
            filters.values(name).first().map(of).transpose()
        };
        Ok(Wanted {
            dangling: filters.truth("dangling")?,
            before: created("before")?,
            since: created("since")?,
            until: filters.until()?,
            filters,
        })
    }

    /// The image with those of its names that are asked for.
    fn select(&self, mut details: ImageDetails) -> Result<Option<ImageDetails>> {
        let made = details.document.created.unwrap_or_default();
        let info = &mut details.info;
        if self.filters.has("reference") {
            retain(&mut info.repo_tags, self.filters.values("reference"))?;
            retain(&mut info.repo_digests, self.filters.values("reference"))?;
            if info.repo_tags.is_empty() && info.repo_digests.is_empty() {
                return Ok(None);
            }
        }
        let is_nameless = info.repo_tags.is_empty() && info.repo_digests.is_empty();
        let dangling = match self.dangling {
            None => true,
            Some(true) => info.repo_tags.is_empty(),
            Some(false) => !is_nameless,
        };
        let wanted = dangling
            && self.filters.labels(&details.document.config.labels)
            && self.before.is_none_or(|before| made < before)
            && self.since.is_none_or(|since| made > since)
            && self.until.is_none_or(|until| made <= until);
        Ok(wanted.then_some(details))
    }
}

/// A pattern is of the whole reference, or of the name without its tag.
fn retain(names: &mut Vec<String>, patterns: &[String]) -> Result<()> {
    let fits = |name: &str, pattern: &String| -> Result<bool, &'static str> {
        let whole = familiar(name);
        let cut = whole
            .split_once('@')
            .map(|(name, _)| name)
            .or_else(|| whole.rsplit_once(':').map(|(name, _)| name));
        Ok(patterns::matches(&whole, pattern)? || patterns::matches(cut.unwrap_or(&whole), pattern)?)
    };
    let mut kept = Vec::new();
    for name in names.drain(..) {
        for pattern in patterns {
            if fits(&name, pattern).map_err(ApiError::bad)? {
                kept.push(name);
                break;
            }
        }
    }
    *names = kept;
    Ok(())
}

pub(super) async fn list(request: ApiRequest) -> ApiResponse {
    // the configuration of each image is read from the disk
    let all = blocking(move || listed(&request)).await?;
    json(&all)
}

/// Newest first. Blocks.
fn listed(request: &ApiRequest) -> Result<Vec<Value>> {
    let engine = &request.engine;
    let wanted = Wanted::of(engine, request.query.json("filters")?)?;
    let shared: HashMap<String, u64> = match request.query.flag("shared-size") {
        true => {
            engine.images.disk_usage().images.into_iter().map(|usage| (usage.info.id, usage.shared)).collect()
        }
        false => HashMap::new(),
    };
    let users = users(engine);
    let mut labels = LabelBudget::of(LISTED_LABELS);
    let mut all = Vec::new();
    for details in engine.images.list(request.query.flag("all")) {
        if let Some(mut details) = wanted.select(details)? {
            details.document.config.labels.retain(|name, value| labels.takes(name, value));
            let id = &details.info.id;
            // before, the API told of nobody in a list
            let containers = (request.version >= (1, 51)).then(|| users.get(id).copied().unwrap_or(0));
            let counted = Counted { shared: shared.get(id).copied(), containers };
            let mut shown = shown(&details, &counted);
            versions::fit_listed(&mut shown, request.version);
            all.push((details.document.created, shown));
        }
    }
    all.sort_by_key(|(made, _)| std::cmp::Reverse(*made));
    Ok(all.into_iter().map(|(_, shown)| shown).collect())
}

pub(super) async fn inspect(request: ApiRequest) -> ApiResponse {
    transfer::provides(&request, request.name())?;
    let details = request.engine.images.details(request.name())?;
    let mut directories: Vec<String> = request
        .engine
        .images
        .rootfs(&details.info.id)?
        .layers
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let upper = if directories.is_empty() { String::new() } else { directories.remove(0) };
    let mut data = BTreeMap::from([("UpperDir", upper)]);
    if !directories.is_empty() {
        data.insert("LowerDir", directories.join(":"));
    }
    let mut shown = inspected(&details, &data);
    versions::fit(&mut shown, request.version);
    json(&shown)
}

fn inspected(details: &ImageDetails, directories: &BTreeMap<&str, String>) -> Value {
    let (info, document) = (&details.info, &details.document);
    let layers: Vec<String> = details.layers.iter().map(|(digest, _)| digest.to_string()).collect();
    let history = document.history.last();
    let mut shown = value!({
        "Id": info.id, "RepoTags": all_familiar(&info.repo_tags), "RepoDigests": all_familiar(&info.repo_digests),
        "Parent": "", "Comment": history.map_or("", |h| h.comment.as_str()),
        "Created": crate::inspect::time(document.created), "DockerVersion": "",
        "Author": document.author.clone().unwrap_or_default(), "Config": document.config,
        "Architecture": document.architecture, "Os": document.os, "Size": info.size, "VirtualSize": info.size,
        "GraphDriver": {"Name": "overlay2", "Data": directories}, "RootFS": {"Type": "layers", "Layers": layers},
        "Metadata": {"LastTagTime": details.added_at.to_string()},
    });
    for (name, own) in [("Variant", "variant"), ("OsVersion", "os.version")] {
        if let (Some(said), Some(shown)) = (document.other.get(own), shown.as_object_mut()) {
            shown.insert(name.to_owned(), said.clone());
        }
    }
    shown
}

pub(super) async fn history(request: ApiRequest) -> ApiResponse {
    transfer::provides(&request, request.name())?;
    let lines = request.engine.images.history(request.name())?;
    let shown = lines.into_iter().map(|line| {
        let tags = (!line.tags.is_empty()).then(|| all_familiar(&line.tags));
        value!({
            "Id": line.id.unwrap_or_else(|| "<missing>".to_owned()), "Tags": tags, "Size": line.size,
            "Created": line.item.created.map_or(0, |at| at.as_second()), "CreatedBy": line.item.created_by,
            "Comment": line.item.comment,
        })
    });
    json(&shown.collect::<Vec<_>>())
}

/// Of an image by the name that it was brought or taken away by; where there is none, by its id.
fn tell(engine: &Engine, action: &str, name: &str, id: &str) {
    let (about, named) = if name.is_empty() { (id, id.to_owned()) } else { (name, without_version(name)) };
    let labels = labels_of(&engine.images, if id.is_empty() { name } else { id });
    engine.events.image(action, about, &named, labels);
}

pub(super) async fn tag(request: ApiRequest) -> ApiResponse {
    let repo = request.query.get("repo").unwrap_or_default();
    let target = match request.query.get("tag") {
        Some(tag) => format!("{repo}:{tag}"),
        None => repo.to_owned(),
    };
    let (engine, source, name) = (request.engine.clone(), request.name().to_owned(), target.clone());
    let tagged = blocking(move || {
        engine.images.tag(&source, &target)?;
        engine.images.details(&target).map(|tagged| tagged.info.id)
    });
    let id = tagged.await?;
    let labels = labels_of(&request.engine.images, &id);
    request.engine.events.image("tag", &id, &familiar(&name), labels);
    empty(StatusCode::CREATED)
}

pub(super) async fn prune(request: ApiRequest) -> ApiResponse {
    let filters: Filters = request.query.json("filters")?;
    filters.check(&["dangling", "label", "label!", "until"])?;
    let all = filters.truth("dangling")? == Some(false);
    let until = filters.until()?;
    let engine = request.engine.clone();
    let known = engine.images.images();
    let pruned = blocking(move || {
        engine.images.prune_chosen(all, |document| {
            // what does not say when it was made is not taken for old
            let old_enough = until.is_none_or(|until| document.created.is_some_and(|made| made <= until));
            old_enough && filters.labels(&document.config.labels)
        })
    });
    let pruned = pruned.await?;
    let removed = pruned.removed.iter().map(|gone| match gone.starts_with("sha256:") {
        true => value!({"Deleted": gone}),
        false => value!({"Untagged": familiar(gone)}),
    });
    let removed = Some(removed.collect::<Vec<_>>()).filter(|removed| !removed.is_empty());
    for (action, id) in gone(&known, &pruned.removed) {
        request.engine.events.image(action, id, id, BTreeMap::new());
    }
    request.engine.events.pruned("image", pruned.freed);
    json(&value!({"ImagesDeleted": removed, "SpaceReclaimed": pruned.freed}))
}

/// What became of these images, where names, images and layers are gone.
fn gone<'i>(known: &'i [ImageInfo], removed: &[String]) -> Vec<(&'static str, &'i str)> {
    let removed: HashSet<&str> = removed.iter().map(String::as_str).collect();
    let mut all = Vec::new();
    for info in known {
        let names = info.repo_tags.iter().chain(&info.repo_digests);
        let untagged = names.filter(|name| removed.contains(name.as_str())).count();
        all.extend(std::iter::repeat_n(("untag", info.id.as_str()), untagged));
        all.extend(removed.contains(info.id.as_str()).then_some(("delete", info.id.as_str())));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_prune_did_to_images() {
        let image = |id: &str, tags: &[&str]| ImageInfo {
            id: id.to_owned(),
            repo_tags: tags.iter().map(ToString::to_string).collect(),
            ..ImageInfo::default()
        };
        let known = [image("sha256:1", &["a:1", "a:2"]), image("sha256:2", &["b:1"]), image("sha256:3", &[])];
        let removed = ["a:1", "a:2", "sha256:1", "sha256:3", "sha256:layer"].map(str::to_owned);
        let want =
            [("untag", "sha256:1"), ("untag", "sha256:1"), ("delete", "sha256:1"), ("delete", "sha256:3")];
        assert_eq!(gone(&known, &removed), want);
    }

    #[test]
    fn references() {
        for (tag, pattern, want) in [
            ("docker.io/library/busybox:1.36", "busybox", true),
            ("docker.io/library/busybox:1.36", "busybox:1*", true),
            ("docker.io/library/busybox:1.36", "busy", false),
            ("docker.io/luksa/kubia:latest", "*/kubia", true),
            ("docker.io/luksa/kubia:latest", "kubia", false),
            ("127.0.0.1:5000/a:1", "127.0.0.1:5000/*", true),
            ("docker.io/library/a@sha256:abc", "a", false),
        ] {
            let mut names = vec![tag.to_owned()];
            retain(&mut names, &[pattern.to_owned()]).unwrap();
            assert_eq!(!names.is_empty(), want, "{tag} {pattern}");
        }
        assert!(retain(&mut vec!["a".to_owned()], &["[".to_owned()]).is_err());
    }

    #[test]
    fn an_image_that_does_not_say_when_it_was_made() {
        assert_eq!(created(Timestamp::from_second(1_700_000_000).ok()), 1_700_000_000);
        let never = Timestamp::from_second(created(None)).unwrap();
        assert_eq!(never.to_string(), "0001-01-01T00:00:00Z");
    }
}

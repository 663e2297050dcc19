//! Images: those of the one store.

use super::containers::familiar;
use super::registry::credentials;
use crate::call::{Answer, Call, empty, json, line, reader, stream};
use crate::engine::Engine;
use crate::filters::Filters;
use crate::instructions;
use crate::progress::{self, Lines};
use crate::record::Record;
use crate::refusal::{Refusal, Result};
use cri::{Credentials, ImageInfo};
use futures::stream as streams;
use http::StatusCode;
use image::{HistoryItem, ImageDetails, ImageDocument, ImageRef, ImageUsage};
use jiff::Timestamp;
use serde_json::{Value, json as value};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What is written ahead of a reader that is slow.
const PIPE: usize = 256 << 10;

fn tags(info: &ImageInfo) -> Vec<String> {
    info.repo_tags.iter().map(|tag| familiar(tag)).collect()
}

fn digests(info: &ImageInfo) -> Vec<String> {
    info.repo_digests.iter().map(|digest| familiar(digest)).collect()
}

fn shown(engine: &Engine, info: &ImageInfo, shared: i64) -> Value {
    let details = engine.images.details(&info.id).ok();
    let created = details.as_ref().and_then(|d| d.document.created).map_or(0, |at| at.as_second());
    let labels = details.map(|d| d.document.config.labels).filter(|labels| !labels.is_empty());
    let users = engine.containers().iter().filter(|c| c.see(|r| r.image == info.id)).count();
    value!({
        "Id": info.id, "ParentId": "", "RepoTags": tags(info), "RepoDigests": digests(info), "Created": created,
        "Size": info.size, "VirtualSize": info.size, "SharedSize": shared, "Labels": labels,
        "Containers": if shared < 0 { -1 } else { i64::try_from(users).unwrap_or(-1) },
    })
}

/// For `docker system df`.
pub(super) fn usage(engine: &Engine, usage: &ImageUsage) -> Value {
    shown(engine, &usage.info, i64::try_from(usage.shared).unwrap_or(0))
}

pub(super) async fn list(call: Call) -> Answer {
    let filters: Filters = call.query.json("filters")?;
    filters.check(&["before", "dangling", "label", "label!", "reference", "since", "until"])?;
    let dangling = filters.truth("dangling")?;
    let engine = &call.engine;
    let created = |name: &str| Ok::<_, Refusal>(engine.images.details(name)?.document.created);
    let before = filters.values("before").first().map(|name| created(name)).transpose()?.flatten();
    let since = filters.values("since").first().map(|name| created(name)).transpose()?.flatten();
    let mut all: Vec<(Option<Timestamp>, Value)> = Vec::new();
    for mut info in engine.images.images() {
        let Ok(details) = engine.images.details(&info.id) else { continue };
        let made = details.document.created;
        if filters.has("reference") {
            info.repo_tags.retain(|tag| filters.any("reference", |pattern| refers(tag, pattern)));
            info.repo_digests.clear();
            if info.repo_tags.is_empty() {
                continue;
            }
        }
        let wanted = dangling.is_none_or(|dangling| dangling == info.repo_tags.is_empty())
            && filters.labels(&details.document.config.labels)
            && before.is_none_or(|before| made < Some(before))
            && since.is_none_or(|since| made > Some(since));
        if wanted {
            all.push((made, shown(engine, &info, -1)));
        }
    }
    all.sort_by_key(|(made, _)| std::cmp::Reverse(*made));
    json(&all.into_iter().map(|(_, shown)| shown).collect::<Vec<_>>())
}

/// `busybox`, `busybox:1*`, `*/kubia`.
fn refers(tag: &str, pattern: &str) -> bool {
    let name = familiar(tag);
    let repository = name.rsplit_once(':').map_or(name.as_str(), |(repository, _)| repository);
    matches(&name, pattern) || matches(repository, pattern)
}

fn matches(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|at| tail.is_char_boundary(*at))
                .any(|at| !tail[..at].contains('/') && matches(&tail[at..], rest))
        }),
    }
}

pub(super) async fn inspect(call: Call) -> Answer {
    let details = call.engine.images.details(call.name())?;
    json(&inspected(&details))
}

fn inspected(details: &ImageDetails) -> Value {
    let (info, document) = (&details.info, &details.document);
    let layers: Vec<String> = details.layers.iter().map(|(digest, _)| digest.to_string()).collect();
    let history = document.history.last();
    value!({
        "Id": info.id, "RepoTags": tags(info), "RepoDigests": digests(info), "Parent": "",
        "Comment": history.map_or("", |h| h.comment.as_str()), "Created": crate::inspect::time(document.created),
        "DockerVersion": "", "Author": document.author.clone().unwrap_or_default(), "Config": document.config,
        "Architecture": document.architecture, "Os": document.os, "Size": info.size, "VirtualSize": info.size,
        "GraphDriver": {"Name": "overlay2", "Data": null}, "RootFS": {"Type": "layers", "Layers": layers},
        "Metadata": {"LastTagTime": details.added_at.to_string()},
    })
}

pub(super) async fn history(call: Call) -> Answer {
    let lines = call.engine.images.history(call.name())?;
    let shown = lines.into_iter().map(|line| {
        let tags =
            (!line.tags.is_empty()).then(|| line.tags.iter().map(|tag| familiar(tag)).collect::<Vec<_>>());
        value!({
            "Id": line.id.unwrap_or_else(|| "<missing>".to_owned()), "Tags": tags, "Size": line.size,
            "Created": line.item.created.map_or(0, |at| at.as_second()), "CreatedBy": line.item.created_by,
            "Comment": line.item.comment,
        })
    });
    json(&shown.collect::<Vec<_>>())
}

/// Runs `work` and streams what it tells; it ends with the client.
pub(super) fn told<F>(work: impl FnOnce(Lines) -> F) -> Answer
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (lines, receiver) = progress::lines();
    let work = work(lines.clone());
    tokio::spawn(async move {
        tokio::select! {
            done = work => if let Err(refusal) = done { lines.fail(&refusal) },
            () = lines.closed() => {}
        }
    });
    stream("application/json", received(receiver))
}

fn received(
    receiver: mpsc::UnboundedReceiver<io::Result<bytes::Bytes>>,
) -> impl futures::Stream<Item = io::Result<bytes::Bytes>> {
    streams::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

/// Pull, or with `fromSrc` import.
pub(super) async fn create(call: Call) -> Answer {
    if let Some(source) = call.query.get("fromSrc") {
        return match source {
            "-" => import(call).await,
            _ => Err(Refusal::not_implemented("import from a URL is not offered: fetch it and pipe it in")),
        };
    }
    let name = call.query.get("fromImage").unwrap_or_default();
    let name = match call.query.get("tag") {
        Some(digest) if digest.contains(':') => format!("{name}@{digest}"),
        Some(tag) => format!("{name}:{tag}"),
        None => name.to_owned(),
    };
    ImageRef::parse(&name)?;
    let credentials: Vec<Credentials> = credentials(call.header("x-registry-auth")).into_iter().collect();
    let engine = call.engine.clone();
    told(move |lines| async move {
        let info = engine.images.pull_with(&name, &credentials, Arc::new(lines)).await?;
        tell(&engine, "pull", &familiar(&name), &info.id);
        Ok(())
    })
}

fn tell(engine: &Engine, action: &str, name: &str, id: &str) {
    let attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
    engine.events.tell("image", action, if name.is_empty() { id } else { name }, attributes);
}

async fn import(call: Call) -> Answer {
    let mut document = ImageDocument::scratch();
    document.created = Some(Timestamp::now());
    for text in call.query.all("changes").flat_map(str::lines) {
        instructions::apply(&mut document.config, text)?;
    }
    let comment = call.query.get("message").unwrap_or("Imported from -").to_owned();
    let step = HistoryItem { created: document.created, comment, ..HistoryItem::default() };
    let name = call.query.get("repo").map(|repo| match call.query.get("tag") {
        Some(tag) => format!("{repo}:{tag}"),
        None => repo.to_owned(),
    });
    let engine = call.engine.clone();
    let info = engine.images.import(call.into_reader(), document, step, name.as_deref()).await?;
    tell(&engine, "import", "", &info.id);
    stream("application/json", streams::iter([line(&value!({"status": info.id}))]))
}

pub(super) async fn load(call: Call) -> Answer {
    let engine = call.engine.clone();
    let loaded = engine.images.load(call.into_reader()).await?;
    let mut lines = Vec::new();
    for info in loaded {
        for tag in tags(&info) {
            lines.push(line(&value!({"stream": format!("Loaded image: {tag}\n")})));
        }
        if info.repo_tags.is_empty() {
            lines.push(line(&value!({"stream": format!("Loaded image ID: {}\n", info.id)})));
        }
        tell(&engine, "load", "", &info.id);
    }
    stream("application/json", streams::iter(lines))
}

pub(super) async fn save(call: Call) -> Answer {
    let names: Vec<String> = call.query.all("names").map(str::to_owned).collect();
    saved(&call, names)
}

pub(super) async fn save_one(call: Call) -> Answer {
    saved(&call, vec![call.name().to_owned()])
}

fn saved(call: &Call, names: Vec<String>) -> Answer {
    for name in &names {
        call.engine.images.details(name)?;
    }
    let (from, to) = tokio::io::duplex(PIPE);
    let images = call.engine.images.clone();
    tokio::spawn(async move {
        if let Err(error) = images.save(&names, to).await {
            tracing::warn!(%error, "save");
        }
    });
    reader("application/x-tar", from)
}

pub(super) async fn tag(call: Call) -> Answer {
    let repo = call.query.get("repo").unwrap_or_default();
    let target = match call.query.get("tag") {
        Some(tag) => format!("{repo}:{tag}"),
        None => repo.to_owned(),
    };
    let (engine, source, name) = (call.engine.clone(), call.name().to_owned(), target.clone());
    let tagged = tokio::task::spawn_blocking(move || engine.images.tag(&source, &target)).await;
    tagged.map_err(|e| Refusal::failed("tag", e))??;
    tell(&call.engine, "tag", &familiar(&name), "");
    empty(StatusCode::CREATED)
}

pub(super) async fn push(call: Call) -> Answer {
    let name = match call.query.get("tag") {
        Some(tag) => format!("{}:{tag}", call.name()),
        None => call.name().to_owned(),
    };
    if call.engine.images.image(&name)?.is_none() {
        return Err(Refusal::not_found(format_args!(
            "An image does not exist locally with the tag: {}",
            call.name()
        )));
    }
    let credentials: Vec<Credentials> = credentials(call.header("x-registry-auth")).into_iter().collect();
    let engine = call.engine.clone();
    told(move |lines| async move {
        let progress = Arc::new(lines.clone());
        let digest = engine.images.push_with(&name, &credentials, progress).await?;
        let tag = ImageRef::parse(&name)?.version().to_owned();
        lines.say(
            &value!({"progressDetail": {}, "aux": {"Tag": tag, "Digest": digest.to_string(), "Size": 0}}),
        );
        tell(&engine, "push", &familiar(&name), "");
        Ok(())
    })
}

pub(super) async fn remove(call: Call) -> Answer {
    let (engine, name, force) = (call.engine.clone(), call.name().to_owned(), call.query.flag("force"));
    let info = engine
        .images
        .image(&name)?
        .ok_or_else(|| Refusal::not_found(format_args!("No such image: {name}")))?;
    let is_id = ImageRef::parse(&name).map_or(true, |wanted| !info.repo_tags.contains(&wanted.to_string()));
    if is_id && info.repo_tags.len() > 1 && !force {
        return Err(Refusal::conflict(format_args!(
            "conflict: unable to delete {name} (must be forced) - image is referenced in multiple repositories"
        )));
    }
    let is_last = is_id || info.repo_tags.len() <= 1;
    if let Some(user) = engine.containers().iter().find(|c| is_last && c.see(|r| r.image == info.id)) {
        return Err(in_use(&name, &user.record(), &info.id));
    }
    let worker = engine.clone();
    let removed = tokio::task::spawn_blocking(move || worker.images.remove_image(&name)).await;
    let removed = removed.map_err(|e| Refusal::failed("remove image", e))??;
    let mut lines = Vec::new();
    for gone in removed {
        tell(&engine, if gone.starts_with("sha256:") { "delete" } else { "untag" }, "", &gone);
        match gone.starts_with("sha256:") {
            true => lines.push(value!({"Deleted": gone})),
            false => lines.push(value!({"Untagged": familiar(&gone)})),
        }
    }
    json(&lines)
}

fn in_use(name: &str, user: &Record, image: &str) -> Refusal {
    let short = |id: &str| id.trim_start_matches("sha256:").chars().take(12).collect::<String>();
    let (how, state) = match user.running() {
        Some(_) => ("cannot be forced", "running"),
        None => ("must be forced", "stopped"),
    };
    Refusal::conflict(format_args!(
        "conflict: unable to remove repository reference \"{name}\" ({how}) - container {} is using its referenced \
         image {} ({state})",
        short(&user.id),
        short(image)
    ))
}

pub(super) async fn prune(call: Call) -> Answer {
    let filters: Filters = call.query.json("filters")?;
    filters.check(&["dangling", "label", "label!", "until"])?;
    let all = filters.truth("dangling")? == Some(false);
    let engine = call.engine.clone();
    let pruned = tokio::task::spawn_blocking(move || engine.images.prune(all)).await;
    let pruned = pruned.map_err(|e| Refusal::failed("prune", e))??;
    let removed = pruned.removed.iter().map(|gone| match gone.starts_with("sha256:") {
        true => value!({"Deleted": gone}),
        false => value!({"Untagged": familiar(gone)}),
    });
    json(&value!({"ImagesDeleted": removed.collect::<Vec<_>>(), "SpaceReclaimed": pruned.freed}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for (tag, pattern, want) in [
            ("docker.io/library/busybox:1.36", "busybox", true),
            ("docker.io/library/busybox:1.36", "busybox:1*", true),
            ("docker.io/library/busybox:1.36", "busy", false),
            ("docker.io/luksa/kubia:latest", "*/kubia", true),
            ("docker.io/luksa/kubia:latest", "kubia", false),
        ] {
            assert_eq!(refers(tag, pattern), want, "{tag} {pattern}");
        }
    }
}

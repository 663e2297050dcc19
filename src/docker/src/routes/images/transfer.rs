//! The ways of images in and out: pull, push, load, save, import.

use super::{all_familiar, tell};
use crate::error::{ApiError, Result};
use crate::names::familiar;
use crate::progress::{self, Lines, Told};
use crate::request::{ApiRequest, ApiResponse, line, reader_until, stream};
use crate::routes::registry::credentials;
use cri::Credentials;
use futures::{StreamExt, stream as streams};
use http::StatusCode;
use image::{HistoryItem, ImageDocument, ImageError, ImageRef, Platform};
use jiff::Timestamp;
use serde_json::json as value;
use std::io;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What is written ahead of a reader that is slow.
const PIPE: usize = 256 << 10;

/// Runs `work` and streams what it tells; it ends with the client.
pub(crate) fn told<F>(work: impl FnOnce(Lines) -> F) -> ApiResponse
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

/// The same, but what fails before it told anything is a plain refusal with a status of its own.
pub(crate) async fn told_or_refused<F>(work: impl FnOnce(Lines) -> F) -> ApiResponse
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (lines, mut receiver) = progress::lines();
    let (refuse, mut refused) = oneshot::channel();
    let work = work(lines.clone());
    tokio::spawn(async move {
        tokio::select! {
            done = work => {
                // nobody takes it any more where the answer has begun
                if let Err(refusal) = done && let Err(refusal) = refuse.send(refusal) {
                    lines.fail(&refusal);
                }
            }
            () = lines.closed() => {}
        }
    });
    let first = tokio::select! {
        biased;
        first = receiver.recv() => first,
        Ok(refusal) = &mut refused => return Err(refusal),
    };
    refused.close();
    let last = refused.try_recv().ok();
    if first.is_none()
        && let Some(refusal) = last
    {
        return Err(refusal);
    }
    let last = last.map(|refusal| line(&progress::failure(&refusal)));
    let all = streams::iter(first).chain(received(receiver)).chain(streams::iter(last));
    stream("application/json", all)
}

fn received(receiver: Told) -> impl futures::Stream<Item = io::Result<bytes::Bytes>> {
    streams::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

/// What the registry or the store said, without our own story around it: Docker tells none. The command asks for a
/// password at a 401, which Docker gives for nothing that a registry says.
fn plain(error: ImageError) -> ApiError {
    let refusal = match error {
        ImageError::In { source, .. } => ApiError::from(*source),
        other => ApiError::from(other),
    };
    match refusal.status {
        StatusCode::UNAUTHORIZED if refusal.message.contains("repository does not exist") => {
            ApiError { status: StatusCode::NOT_FOUND, ..refusal }
        }
        StatusCode::UNAUTHORIZED => ApiError { status: StatusCode::INTERNAL_SERVER_ERROR, ..refusal },
        _ => refusal,
    }
}

/// Pull, or with `fromSrc` import.
pub(crate) async fn create(request: ApiRequest) -> ApiResponse {
    let platform = request.query.get("platform").map(platform).transpose()?;
    if request.query.get("fromSrc").is_some() {
        return import(request, platform).await;
    }
    // `docker pull -a` of old clients ends the name with a colon
    let name = request.query.get("fromImage").unwrap_or_default().trim_end_matches(':').to_owned();
    let name = match request.query.get("tag") {
        Some(digest) if digest.contains(':') => format!("{name}@{digest}"),
        Some(tag) => format!("{name}:{tag}"),
        None => name,
    };
    ImageRef::parse(&name)?;
    let credentials: Vec<Credentials> = credentials(request.header("x-registry-auth")).into_iter().collect();
    let engine = request.engine.clone();
    told_or_refused(move |lines| async move {
        let (images, progress) = (&engine.images, Arc::new(lines));
        if is_bare(&name) {
            let pulled = images.pull_all(&name, platform.as_ref(), &credentials, progress).await;
            pulled.map_err(plain)?.iter().for_each(|info| tell(&engine, "pull", &familiar(&name), &info.id));
        } else {
            let pulled = images.pull_for(&name, platform.as_ref(), &credentials, progress).await;
            tell(&engine, "pull", &familiar(&name), &pulled.map_err(plain)?.id);
        }
        Ok(())
    })
    .await
}

/// A name with neither tag nor digest: all tags are meant.
fn is_bare(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    !last.contains([':', '@'])
}

/// As text, or since 1.46 as a JSON object.
pub(crate) fn platform(text: &str) -> Result<Platform> {
    if !text.starts_with('{') {
        return Ok(Platform::parse(text)?);
    }
    let said: Platform = serde_json::from_str(text)
        .map_err(|e| ApiError::bad(format_args!("failed to parse platform: {e}")))?;
    match said.os.is_empty() || said.architecture.is_empty() {
        true => Err(ApiError::bad("both OS and Architecture must be provided")),
        false => Ok(said),
    }
}

/// For what is in the store already: refuses where another platform than the image's is asked for.
pub(super) fn provides(request: &ApiRequest, name: &str) -> Result<()> {
    let Some(wanted) = request.query.get("platform").map(platform).transpose()? else { return Ok(()) };
    let document = request.engine.images.details(name)?.document;
    let variant = document.other.get("variant").and_then(|v| v.as_str()).map(str::to_owned);
    let own = Platform { architecture: document.architecture, os: document.os, variant };
    match wanted.is_served_by(&own) {
        true => Ok(()),
        false => Err(ApiError::not_found(format_args!(
            "image with reference {name} was found but does not provide the specified platform ({wanted})"
        ))),
    }
}

async fn import(request: ApiRequest, platform: Option<Platform>) -> ApiResponse {
    let source = request.query.get("fromSrc").unwrap_or("-").to_owned();
    let mut document = ImageDocument::scratch();
    if let Some(platform) = platform {
        (document.os, document.architecture) = (platform.os, platform.architecture);
        document.other.extend(platform.variant.map(|variant| ("variant".to_owned(), variant.into())));
    }
    document.created = Some(Timestamp::now());
    let changes = request.query.all("changes").collect::<Vec<_>>().join("\n");
    document.config = image::apply_changes(document.config, changes).await.map_err(ApiError::bad)?;
    let comment =
        request.query.get("message").map_or_else(|| format!("Imported from {source}"), str::to_owned);
    let step = HistoryItem { created: document.created, comment, ..HistoryItem::default() };
    let name = request.query.get("repo").map(|repo| match request.query.get("tag") {
        Some(tag) => format!("{repo}:{tag}"),
        None => repo.to_owned(),
    });
    let engine = request.engine.clone();
    let made = |info: &cri::ImageInfo| value!({"status": info.id});
    if source == "-" {
        let info = engine.images.import(request.into_reader(), document, step, name.as_deref()).await?;
        tell(&engine, "import", "", &info.id);
        return stream("application/json", streams::iter([line(&made(&info))]));
    }
    let url = if source.contains("://") { source } else { format!("http://{source}") };
    told_or_refused(move |lines| async move {
        // before the first line: what can not be had has a status of its own
        let tar = engine.images.download(&url).await?;
        lines.say(&value!({"status": format!("Downloading from {url}")}));
        lines.say(&value!({"status": "Importing"}));
        let info = engine.images.import(tar, document, step, name.as_deref()).await?;
        tell(&engine, "import", "", &info.id);
        lines.say(&made(&info));
        Ok(())
    })
    .await
}

pub(crate) async fn load(request: ApiRequest) -> ApiResponse {
    let engine = request.engine.clone();
    let platform = request.query.get("platform").map(platform).transpose()?;
    let loaded = match engine.images.load_for(request.into_reader(), platform).await {
        Ok(loaded) => loaded,
        // a line of the answer, where clients look for it
        Err(error) => {
            return stream("application/json", streams::iter([line(&progress::failure(&error.into()))]));
        }
    };
    let mut lines = Vec::new();
    for info in loaded {
        for tag in all_familiar(&info.repo_tags) {
            lines.push(line(&value!({"stream": format!("Loaded image: {tag}\n")})));
        }
        if info.repo_tags.is_empty() {
            lines.push(line(&value!({"stream": format!("Loaded image ID: {}\n", info.id)})));
        }
        tell(&engine, "load", "", &info.id);
    }
    stream("application/json", streams::iter(lines))
}

pub(crate) async fn save(request: ApiRequest) -> ApiResponse {
    let names: Vec<String> = request.query.all("names").map(str::to_owned).collect();
    saved(&request, names)
}

pub(crate) async fn save_one(request: ApiRequest) -> ApiResponse {
    saved(&request, vec![request.name().to_owned()])
}

fn saved(request: &ApiRequest, names: Vec<String>) -> ApiResponse {
    let all = request.engine.images.images();
    let names: Vec<String> = names.into_iter().flat_map(|name| tags_of(name, &all)).collect();
    for name in &names {
        request.engine.images.details(name)?;
        provides(request, name)?;
    }
    let (from, to) = tokio::io::duplex(PIPE);
    let images = request.engine.images.clone();
    let written = tokio::spawn(async move { images.save(&names, to).await.map_err(io::Error::other) });
    reader_until("application/x-tar", from, written)
}

/// A repository alone stands for all of its tags; what is none is taken as it is.
fn tags_of(name: String, all: &[cri::ImageInfo]) -> Vec<String> {
    let Some(repository) =
        ImageRef::parse(&name).ok().filter(|_| is_bare(&name)).map(|name| name.repository())
    else {
        return vec![name];
    };
    let of = |tag: &&String| ImageRef::parse(tag).is_ok_and(|tag| tag.repository() == repository);
    let mut found: Vec<String> =
        all.iter().flat_map(|image| image.repo_tags.iter().filter(of).cloned()).collect();
    found.sort();
    if found.is_empty() { vec![name] } else { found }
}

pub(crate) async fn push(request: ApiRequest) -> ApiResponse {
    let repository = request.name().to_owned();
    let name = request.query.get("tag").map(|tag| format!("{repository}:{tag}"));
    let unknown = |name: &str| {
        ApiError::not_found(format_args!("An image does not exist locally with the tag: {name}"))
    };
    match &name {
        Some(name) if request.engine.images.image(name)?.is_none() => return Err(unknown(&repository)),
        Some(name) => provides(&request, name)?,
        None => _ = ImageRef::parse(&repository)?,
    }
    let credentials: Vec<Credentials> = credentials(request.header("x-registry-auth")).into_iter().collect();
    let engine = request.engine.clone();
    told_or_refused(move |lines| async move {
        let progress = Arc::new(lines);
        let pushed = match &name {
            Some(name) => engine.images.push_with(name, &credentials, progress).await.map(drop),
            None => engine.images.push_all(&repository, &credentials, progress).await.map(drop),
        };
        pushed.map_err(|e| match e {
            ImageError::NotFound(name) => unknown(&name),
            other => plain(other),
        })?;
        tell(&engine, "push", &familiar(name.as_deref().unwrap_or(&repository)), "");
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_stands_for_all_of_its_tags() {
        let tags = |list: &[&str]| cri::ImageInfo {
            repo_tags: list.iter().map(ToString::to_string).collect(),
            ..cri::ImageInfo::default()
        };
        let all = [
            tags(&["docker.io/library/box:2", "docker.io/library/other:1"]),
            tags(&["docker.io/library/box:1", "reg.io/box:1"]),
        ];
        for (name, want) in [
            ("box", &["docker.io/library/box:1", "docker.io/library/box:2"][..]),
            ("docker.io/library/box", &["docker.io/library/box:1", "docker.io/library/box:2"]),
            ("box:2", &["box:2"]),
            ("reg.io/box", &["reg.io/box:1"]),
            ("abcdef012345", &["abcdef012345"]),
            ("none", &["none"]),
        ] {
            assert_eq!(tags_of(name.to_owned(), &all), want, "{name}");
        }
    }

    #[test]
    fn a_bare_name_means_all_tags() {
        for (name, want) in [
            ("busybox", true),
            ("reg:5000/a/b", true),
            ("busybox:1", false),
            ("reg:5000/a/b:1", false),
            ("a@sha256:abc", false),
        ] {
            assert_eq!(is_bare(name), want, "{name}");
        }
    }

    #[test]
    fn platforms_as_clients_send_them() {
        assert_eq!(platform("linux/arm64").unwrap().to_string(), "linux/arm64");
        let json = r#"{"architecture":"arm64","os":"linux","variant":"v8"}"#;
        assert_eq!(platform(json).unwrap().to_string(), "linux/arm64/v8");
        for bad in ["a b", "{", "foobar", r#"{"os":"linux"}"#] {
            assert!(platform(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn what_fails_at_once_has_a_status_and_what_fails_later_a_line() {
        let refused = told_or_refused(|_| async { Err(ApiError::not_found("no such thing")) }).await;
        assert_eq!(refused.unwrap_err().message, "no such thing");
        let late = told_or_refused(|lines| async move {
            lines.say(&value!({"status": "begun"}));
            lines.say(&value!({"status": "more"}));
            Err(ApiError::not_found("lost on the way"))
        });
        let body =
            http_body_util::BodyExt::collect(late.await.unwrap().into_body()).await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let told: Vec<&str> = text.lines().collect();
        assert_eq!(told.len(), 3, "{text}");
        assert!(told[0].contains("begun") && told[2].contains("lost on the way"), "{text}");
    }
}

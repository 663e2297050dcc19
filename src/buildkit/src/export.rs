//! Where a result goes: names in the image store, a registry, a file or a directory of the client.

use crate::BuildKit;
use crate::builds::Build;
use crate::errors;
use crate::progress::{Progress, VertexId};
use crate::proto::control::{Exporter, SolveResponse};
use crate::session::export as send;
use cri::{Credentials, blocking};
use image::{BuildResult, ImageRef, PushEvent, PushProgress, PushStatus};
use std::collections::HashMap;
use std::sync::Arc;
use tonic::Status;

const DIGEST: &str = "containerimage.digest";
const CONFIG_DIGEST: &str = "containerimage.config.digest";
const NAME: &str = "image.name";
/// Bytes of an archive between its writer and the client.
const PIPE: usize = 256 << 10;

impl BuildKit {
    pub(crate) async fn export(&self, build: &Build, built: &BuildResult) -> Result<SolveResponse, Status> {
        let mut response = HashMap::new();
        for (number, exporter) in build.exporters.iter().enumerate() {
            check(exporter)?;
            match exporter.r#type.as_str() {
                "moby" | "image" => self.to_store(build, built, exporter, &mut response).await?,
                "docker" | "oci" => self.to_archive(build, built, exporter, number, &mut response).await?,
                "local" => self.to_directory(build, built, number).await?,
                "tar" => self.to_tar(build, built, number).await?,
                other => return Err(Status::unknown(format!("exporter {other:?} is not offered"))),
            }
        }
        Ok(SolveResponse { exporter_response: response })
    }

    async fn to_store(
        &self,
        build: &Build,
        built: &BuildResult,
        exporter: &Exporter,
        response: &mut HashMap<String, String>,
    ) -> Result<(), Status> {
        let progress = &build.progress;
        let vertex = progress.begin("exporting to image");
        let done = self.store(progress, vertex, build, built, exporter, response).await;
        progress.end(vertex, done)
    }

    async fn store(
        &self,
        progress: &Arc<Progress>,
        vertex: VertexId,
        build: &Build,
        built: &BuildResult,
        exporter: &Exporter,
        response: &mut HashMap<String, String>,
    ) -> Result<(), Status> {
        progress.part(vertex, "exporting layers", 0, 0, true);
        let id = built.image.id.clone();
        let names = names(exporter)?;
        let (images, tags, image) = (self.images.clone(), names.clone(), id.clone());
        blocking(move || images.publish(&image, &tags)).await.map_err(errors::of_image)?;
        progress.part(vertex, &format!("writing image {id}"), 0, 0, true);
        for name in &names {
            progress.part(vertex, &format!("naming to {name}"), 0, 0, true);
        }
        response.insert(DIGEST.to_owned(), id.clone());
        response.insert(CONFIG_DIGEST.to_owned(), id);
        let full: Vec<String> = names.iter().map(ImageRef::to_string).collect();
        (self.told)(&built.image.id, &full);
        if names.is_empty() {
            return Ok(());
        }
        response.insert(NAME.to_owned(), full.join(","));
        if is_set(exporter, "push") {
            for name in &full {
                let digest = self.push(progress, vertex, build, name).await?;
                response.insert(DIGEST.to_owned(), digest);
            }
        }
        Ok(())
    }

    async fn push(
        &self,
        progress: &Arc<Progress>,
        vertex: VertexId,
        build: &Build,
        name: &str,
    ) -> Result<String, Status> {
        let credentials = self.credentials(&build.session, name).await?;
        let told = Arc::new(Pushing { progress: progress.clone(), vertex });
        let pushed = self.images.push_with(name, &credentials, told).await.map_err(errors::of_image)?;
        progress.part(vertex, &format!("pushing manifest for {name}@{pushed}"), 0, 0, true);
        Ok(pushed.to_string())
    }

    /// What the client knows of a name's registry.
    pub(crate) async fn credentials(&self, session: &str, name: &str) -> Result<Vec<Credentials>, Status> {
        let reference = ImageRef::parse(name).map_err(errors::of_image)?;
        let Some(session) = self.sessions.of(session).await? else { return Ok(Vec::new()) };
        Ok(session.credentials(reference.domain()).await.into_iter().collect())
    }

    async fn to_archive(
        &self,
        build: &Build,
        built: &BuildResult,
        exporter: &Exporter,
        number: usize,
        response: &mut HashMap<String, String>,
    ) -> Result<(), Status> {
        let vertex = build.progress.begin(match exporter.r#type.as_str() {
            "oci" => "exporting to oci image format",
            _ => "exporting to docker image format",
        });
        let names = names(exporter)?;
        response.insert(DIGEST.to_owned(), built.image.id.clone());
        response.insert(CONFIG_DIGEST.to_owned(), built.image.id.clone());
        let session = self.sessions.get(&build.session).await?;
        let (from, to) = tokio::io::duplex(PIPE);
        let images = self.images.clone();
        let id = built.image.id.clone();
        let save = async move { images.save_as(&id, &names, to).await.map_err(errors::of_image) };
        let done = async { tokio::try_join!(save, send::file(&session, number, from)).map(drop) };
        build.progress.part(vertex, "sending tarball", 0, 0, false);
        let done = done.await;
        build.progress.part(vertex, "sending tarball", 0, 0, done.is_ok());
        build.progress.end(vertex, done)
    }

    async fn to_directory(&self, build: &Build, built: &BuildResult, number: usize) -> Result<(), Status> {
        let vertex = build.progress.begin("exporting to client directory");
        let session = self.sessions.get(&build.session).await?;
        let (images, id) = (self.images.clone(), built.image.id.clone());
        let items = blocking(move || images.files(&id)).await.map_err(errors::of_image)?;
        let items = items.into_iter().map(|(path, source)| send::Item { path, source });
        build.progress.part(vertex, "copying files", 0, 0, false);
        let done = send::directory(session, number, items.collect()).await;
        build.progress.part(vertex, "copying files", 0, 0, done.is_ok());
        build.progress.end(vertex, done)
    }

    async fn to_tar(&self, build: &Build, built: &BuildResult, number: usize) -> Result<(), Status> {
        let vertex = build.progress.begin("exporting to client tarball");
        let session = self.sessions.get(&build.session).await?;
        let (from, to) = tokio::io::duplex(PIPE);
        let images = self.images.clone();
        let id = built.image.id.clone();
        let write = async move { images.write_files(&id, to).await.map_err(errors::of_image) };
        build.progress.part(vertex, "sending tarball", 0, 0, false);
        let done = async { tokio::try_join!(write, send::file(&session, number, from)).map(drop) }.await;
        build.progress.part(vertex, "sending tarball", 0, 0, done.is_ok());
        build.progress.end(vertex, done)
    }
}

/// What would be left out unseen is refused.
fn check(exporter: &Exporter) -> Result<(), Status> {
    if exporter.attrs.keys().any(|name| name.starts_with("annotation")) {
        return Err(Status::unknown("annotations are not offered: a label is part of the image as well"));
    }
    // the client would take its files by another service than the one for archives
    let is_archive = matches!(exporter.r#type.as_str(), "docker" | "oci");
    if is_archive && exporter.attrs.contains_key("tar") && !is_set(exporter, "tar") {
        return Err(Status::unknown(
            "an image as a directory (tar=false) is not offered: leave it out for an archive, and unpack that",
        ));
    }
    match is_set(exporter, "push-by-digest") {
        true => Err(Status::unknown("push-by-digest is not offered: an image is pushed under its name")),
        false => Ok(()),
    }
}

fn is_set(exporter: &Exporter, name: &str) -> bool {
    exporter
        .attrs
        .get(name)
        .is_some_and(|value| matches!(value.as_str(), "true" | "1" | "t" | "T" | "TRUE" | "True"))
}

/// `name=a,b`
fn names(exporter: &Exporter) -> Result<Vec<ImageRef>, Status> {
    let list = exporter.attrs.get("name").map(String::as_str).unwrap_or_default();
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| ImageRef::parse(name).map_err(errors::of_image)).collect()
}

struct Pushing {
    progress: Arc<Progress>,
    vertex: VertexId,
}

impl PushProgress for Pushing {
    fn event(&self, event: PushEvent) {
        let PushEvent::Layer { diff_id, status } = event else { return };
        let part = format!("pushing layer {}", diff_id.short());
        let tell = |current, of, is_done| self.progress.part(self.vertex, &part, current, of, is_done);
        match status {
            PushStatus::Pushing { current, total } => tell(current, total, false),
            PushStatus::Pushed => tell(0, 0, true),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_an_exporter() {
        let exporter = |name: &str| Exporter {
            r#type: "moby".into(),
            attrs: HashMap::from([
                ("name".to_owned(), name.to_owned()),
                ("push".to_owned(), "true".to_owned()),
            ]),
        };
        let full = |name: &str| {
            names(&exporter(name)).map(|n| n.iter().map(ImageRef::to_string).collect::<Vec<_>>())
        };
        assert_eq!(full("app,r.io/x:1").unwrap(), ["docker.io/library/app:latest", "r.io/x:1"]);
        assert!(full("").unwrap().is_empty() && full("UPPER").is_err());
        assert!(is_set(&exporter("x"), "push") && !is_set(&exporter("x"), "store"));
        assert!(check(&exporter("x")).is_ok());
        for name in ["annotation.key", "annotation-index.key", "push-by-digest"] {
            let attrs = HashMap::from([(name.to_owned(), "true".to_owned())]);
            assert!(check(&Exporter { r#type: "image".into(), attrs }).is_err(), "{name}");
        }
        for (kind, value, is_right) in [
            ("oci", "true", true),
            ("oci", "false", false),
            ("docker", "false", false),
            ("local", "false", true),
        ] {
            let attrs = HashMap::from([("tar".to_owned(), value.to_owned())]);
            assert_eq!(check(&Exporter { r#type: kind.into(), attrs }).is_ok(), is_right, "{kind} {value}");
        }
    }
}

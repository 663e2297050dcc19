//! `minikube image ls`: what is in the cluster's own store, in each form.

use super::reason::{self, Exit};
use super::{Outcome, output};
use crate::commands::Setting;
use appliance::{ControlReply, ControlRequest, ImageInfo, ImageRef};
use serde_json::{Value, json};
use std::process::ExitCode;

/// What is in the cluster's own store.
pub(super) fn images(setting: &Setting) -> Result<Vec<ImageInfo>, Exit> {
    let mut images: Vec<ImageInfo> = Vec::new();
    crate::control_client::ask(&setting.paths, &ControlRequest::Images, |reply| {
        if let ControlReply::Images { images: found } = reply {
            images = found;
        }
    })?;
    Ok(images)
}

/// Whether one of them has that name.
pub(super) fn holds(images: &[ImageInfo], name: &str) -> bool {
    let Ok(name) = ImageRef::parse(name) else { return false };
    let name = name.to_string();
    images.iter().any(|image| image.repo_tags.contains(&name) || image.repo_digests.contains(&name))
}

pub(super) fn list(setting: &Setting, format: &str) -> Outcome {
    let images = images(setting)?;
    let bare = |image: &ImageInfo| image.id.trim_start_matches("sha256:").to_owned();
    match format {
        "short" => {
            let mut names: Vec<&String> = images.iter().flat_map(|image| &image.repo_tags).collect();
            names.sort_by(|a, b| b.cmp(a));
            names.iter().for_each(|name| println!("{name}"));
        }
        "json" | "yaml" => {
            let all: Vec<Value> = images
                .iter()
                .map(|image| {
                    json!({
                        "id": bare(image), "repoDigests": image.repo_digests, "repoTags": image.repo_tags,
                        "size": image.size.to_string(),
                    })
                })
                .collect();
            match format {
                "json" => println!("{}", Value::from(all)),
                _ => print!("{}", serde_norway::to_string(&all).map_err(|e| reason::INTERNAL.because(e))?),
            }
        }
        "table" => {
            let rows: Vec<Vec<String>> = images
                .iter()
                .flat_map(|image| {
                    let id: String = bare(image).chars().take(13).collect();
                    let size = indicatif::DecimalBytes(image.size).to_string();
                    image.repo_tags.iter().map(move |name| {
                        let (name, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
                        vec![name.to_owned(), tag.to_owned(), id.clone(), size.clone()]
                    })
                })
                .collect();
            output::boxed_table(&["Image", "Tag", "Image ID", "Size"], &rows);
        }
        other => {
            return Err(
                reason::USAGE.because(format!("unknown format {other:?}: one of short|table|json|yaml"))
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_each_of_its_names() {
        let digest = format!("docker.io/own/app@sha256:{}", "a".repeat(64));
        let images = [ImageInfo {
            id: format!("sha256:{}", "b".repeat(64)),
            repo_tags: vec!["docker.io/library/app:latest".into(), "docker.io/own/app:1".into()],
            repo_digests: vec![digest.clone()],
            size: 1,
            user: None,
        }];
        for (name, want) in [
            ("app", true),
            ("app:latest", true),
            ("library/app", true),
            ("own/app:1", true),
            ("docker.io/own/app:1", true),
            (digest.as_str(), true),
            ("app:1", false),
            ("own/app", false),
            ("ghcr.io/own/app:1", false),
            ("No Name", false),
        ] {
            assert_eq!(holds(&images, name), want, "{name}");
        }
    }
}

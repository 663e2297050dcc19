//! `docker build`, the classic way.

use super::images::told;
use super::registry::{Auth, decode};
use crate::build::Runner;
use crate::call::{Answer, Call, json};
use crate::refusal::{Refusal, Result};
use cri::Credentials;
use image::{BuildContext, BuildError, BuildOptions, Classic, registry_domain};
use serde_json::json as value;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) async fn build(call: Call) -> Answer {
    if call.query.get("version") == Some("2") {
        return buildkit(call).await;
    }
    if call.query.get("remote").is_some_and(|remote| remote != "client-session") {
        return Err(Refusal::not_implemented("a remote build context is not offered: send it as a tar"));
    }
    let options = options(&call)?;
    let engine = call.engine.clone();
    let context = BuildContext::Tar(Box::new(call.into_reader()));
    told(move |lines| async move {
        let runner = Arc::new(Runner::new(engine.config.clone(), engine.runtime.clone()));
        let screen = Arc::new(Classic::new(Arc::new(lines.clone())));
        match engine.images.build(context, options, runner, screen.clone()).await {
            Ok(built) => {
                let id = &built.image.id;
                lines.say(&value!({"aux": {"ID": id}}));
                screen.built(&built.image);
                engine.events.tell("image", "build", id, BTreeMap::new());
                Ok(())
            }
            Err(BuildError::Run { command, code }) => {
                lines.fail_with(code, &BuildError::Run { command, code }.to_string());
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    })
}

fn options(call: &Call) -> Result<BuildOptions> {
    let query = &call.query;
    Ok(BuildOptions {
        dockerfile: query.get("dockerfile").unwrap_or_default().to_owned(),
        args: query.json("buildargs")?,
        target: query.get("target").unwrap_or_default().to_owned(),
        no_cache: query.flag("nocache"),
        pull: query.flag("pull"),
        labels: query.json("labels")?,
        tags: query.all("t").filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
        credentials: credentials(call.header("x-registry-config")),
        ..BuildOptions::default()
    })
}

/// `X-Registry-Config`: registry → what the client knows of it.
fn credentials(header: Option<&str>) -> BTreeMap<String, Vec<Credentials>> {
    let known: Option<BTreeMap<String, Auth>> =
        header.and_then(decode).and_then(|text| serde_json::from_slice(&text).ok());
    let known = known.unwrap_or_default().into_iter();
    known
        .filter_map(|(registry, auth)| {
            Some((registry_domain(&registry).to_owned(), vec![auth.credentials()?]))
        })
        .collect()
}

/// What the buildx plugin asks for first.
pub(super) async fn buildkit(_: Call) -> Answer {
    Err(Refusal::not_implemented(
        "BuildKit is not offered here, the classic builder does the same Dockerfiles: say `export DOCKER_BUILDKIT=0`, or \
         `eval $(monopod docker-env)`, and build again",
    ))
}

/// The steps of builds that are no image of their own.
pub(super) async fn prune(call: Call) -> Answer {
    let images = call.engine.images.clone();
    let pruned = tokio::task::spawn_blocking(move || images.prune_build_cache()).await;
    let pruned = pruned.map_err(|e| Refusal::failed("prune", e))??;
    json(&value!({"CachesDeleted": pruned.removed, "SpaceReclaimed": pruned.freed}))
}

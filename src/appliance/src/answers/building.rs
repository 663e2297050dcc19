//! `monopod image build`

use super::images::{credentials_by_registry, refused};
use crate::control::{BuildRequest, ControlReply};
use image::{BuildOptions, BuildOutput, BuildRunner, Channel, ImageStore};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Ends when the image is there, or the build has failed; dropping the future ends the build.
pub(super) async fn build(
    images: &ImageStore,
    runner: Arc<dyn BuildRunner>,
    wanted: BuildRequest,
    say: &mpsc::Sender<ControlReply>,
) -> ControlReply {
    let context = wanted.context.clone();
    let options = match options(wanted) {
        Ok(options) => options,
        Err(why) => return refused(why),
    };
    let (tell, mut told) = mpsc::unbounded_channel();
    let building = images.build_folder(&context, options, runner, Arc::new(Told(tell)));
    let telling = async {
        while let Some(text) = told.recv().await {
            let _ = say.send(ControlReply::Output { text }).await;
        }
    };
    match tokio::join!(building, telling).0 {
        Ok(image) => super::told(say, ControlReply::Images { images: vec![image] }).await,
        Err(error) => refused(error),
    }
}

fn options(wanted: BuildRequest) -> Result<BuildOptions, String> {
    Ok(BuildOptions {
        dockerfile: wanted.dockerfile,
        args: wanted.args.into_iter().map(|(name, value)| (name, Some(value))).collect(),
        target: wanted.target,
        no_cache: wanted.no_cache,
        pull: wanted.pull,
        labels: wanted.labels,
        tags: wanted.tags,
        secrets: secrets(wanted.secrets)?,
        credentials: credentials_by_registry(&wanted.logins),
    })
}

fn secrets(files: BTreeMap<String, PathBuf>) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let read = |(id, file): (String, PathBuf)| {
        let content = std::fs::read(&file);
        content
            .map(|content| (id.clone(), content))
            .map_err(|e| format!("secret {id}: {}: {e}", file.display()))
    };
    files.into_iter().map(read).collect()
}

/// A build does not wait for a terminal that is slow; what it says is small.
struct Told(mpsc::UnboundedSender<String>);

impl BuildOutput for Told {
    fn write(&self, _: Channel, bytes: &[u8]) {
        let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
    }
}

//! `monopod image build`

use super::images::{credentials_by_registry, refused};
use crate::control::{BuildRequest, ControlReply};
use image::{BuildContext, BuildOptions, BuildOutput, BuildRunner, Channel, Classic, ImageStore};
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
    // its end ends what is told
    let building = async move {
        let screen = Arc::new(Classic::new(Arc::new(Told(tell))));
        let built = images.build(BuildContext::Folder(context), options, runner, screen.clone()).await;
        built.inspect(|built| screen.built(&built.image))
    };
    let telling = async {
        while let Some(text) = told.recv().await {
            let _ = say.send(ControlReply::Output { text }).await;
        }
    };
    match tokio::join!(building, telling).0 {
        Ok(built) => super::told(say, ControlReply::Images { images: vec![built.image] }).await,
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
        secrets: Some(Arc::new(secrets(wanted.secrets)?)),
        credentials: Some(Arc::new(credentials_by_registry(&wanted.logins))),
        ..BuildOptions::default()
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

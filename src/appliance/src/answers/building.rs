//! `monopod image build`

use super::images::{credentials_by_registry, refused};
use crate::control::{BuildContextAt, BuildRequest, ControlReply};
use async_trait::async_trait;
use image::{
    BuildContext, BuildOptions, BuildOutput, BuildRunner, BuildSsh, Channel, Classic, ImageStore,
    NamedContext, RunSettings, SshAgent,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;
use trees::TempDir;

/// Ends when the image is there, or the build has failed; dropping the future ends the build.
pub(super) async fn build(
    images: &ImageStore,
    runner: Arc<dyn BuildRunner>,
    wanted: BuildRequest,
    say: &mpsc::Sender<ControlReply>,
) -> ControlReply {
    let context = match wanted.context.clone() {
        BuildContextAt::Directory(directory) => BuildContext::Directory(directory),
        BuildContextAt::Archive(path) => match tokio::fs::File::open(&path).await {
            Ok(archive) => BuildContext::Tar(Box::new(archive)),
            Err(why) => return refused(format!("{}: {why}", path.display())),
        },
        BuildContextAt::Url(url) => BuildContext::Url(url),
        BuildContextAt::Nowhere => BuildContext::Empty,
    };
    let options = match options(images, wanted).await {
        Ok(options) => options,
        Err(why) => return refused(why),
    };
    let (tell, mut told) = mpsc::unbounded_channel();
    // its end ends what is told
    let building = async move {
        let screen = Arc::new(Classic::new(Arc::new(Told(tell))));
        let built = images.build(context, options, runner, screen.clone()).await;
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

async fn options(images: &ImageStore, wanted: BuildRequest) -> Result<BuildOptions, String> {
    let mut named_contexts = BTreeMap::new();
    for (name, place) in wanted.build_contexts {
        let context = match place.strip_prefix("docker-image://") {
            Some(image) => NamedContext::Image(image.to_owned()),
            None => NamedContext::Directory(Arc::new(copied(images, &place).await?)),
        };
        named_contexts.insert(name, context);
    }
    let ssh = wanted.ssh;
    Ok(BuildOptions {
        dockerfile: wanted.dockerfile,
        dockerfile_text: wanted.dockerfile_text,
        platform: wanted.platform,
        named_contexts,
        ssh: (!ssh.is_empty()).then(|| Arc::new(Agents(ssh)) as Arc<dyn BuildSsh>),
        run: RunSettings { network: wanted.network, extra_hosts: wanted.add_hosts, ..RunSettings::default() },
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

/// All steps see the same files, whatever happens to the directory meanwhile.
async fn copied(images: &ImageStore, place: &str) -> Result<TempDir, String> {
    images.copy_directory(Path::new(place)).await.map_err(|e| format!("build context {place}: {e}"))
}

/// Agents of this machine, by id.
struct Agents(BTreeMap<String, PathBuf>);

struct Agent(PathBuf);

impl SshAgent for Agent {
    fn socket(&self) -> PathBuf {
        self.0.clone()
    }
}

#[async_trait]
impl BuildSsh for Agents {
    async fn agent(&self, id: &str) -> Result<Option<Box<dyn SshAgent>>, String> {
        Ok(self.0.get(id).map(|socket| Box::new(Agent(socket.clone())) as Box<dyn SshAgent>))
    }
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

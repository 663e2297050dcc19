//! BuildKit's builder beside the engine: the same images, the same way to run what a Dockerfile says.

use crate::build::Runner;
use crate::config::DockerConfig;
use crate::events::Events;
use buildkit::{BuildKit, BuildKitConfig};
use image::ImageStore;
use std::sync::Arc;

/// `events` hear of the images that are built.
pub(crate) fn open(
    config: &DockerConfig,
    runtime: &Arc<dyn cri::Runtime>,
    images: &Arc<ImageStore>,
    events: Arc<Events>,
) -> Arc<BuildKit> {
    let runner = Arc::new(Runner::new(config.clone(), runtime.clone()));
    let config = BuildKitConfig {
        name: config.name.clone(),
        state_dir: config.state_dir.join("buildkit"),
        gateway: config.gateway,
    };
    let store = images.clone();
    BuildKit::new(config, images.clone(), runner, move |image, names| events.built(&store, image, names))
}

//! BuildKit's builder beside the engine: the same images, the same way to run what a Dockerfile says.

use crate::build::Runner;
use crate::engine::{DockerConfig, Engine};
use crate::routes::build::tell_built;
use buildkit::{BuildKit, BuildKitConfig};
use image::ImageStore;
use std::sync::{Arc, Weak};

/// `engine` hears of the images that are built; it is still being made.
pub(crate) fn open(
    config: &DockerConfig,
    runtime: &Arc<dyn cri::Runtime>,
    images: &Arc<ImageStore>,
    engine: Weak<Engine>,
) -> Arc<BuildKit> {
    let runner = Arc::new(Runner::new(config.clone(), runtime.clone()));
    let config = BuildKitConfig {
        name: config.name.clone(),
        state_dir: config.state_dir.join("buildkit"),
        gateway: config.gateway,
    };
    BuildKit::new(config, images.clone(), runner, move |image, names| {
        if let Some(engine) = engine.upgrade() {
            tell_built(&engine, image, names);
        }
    })
}

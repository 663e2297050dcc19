//! What an image says of its containers.

use oci_spec::image::ImageConfiguration;

/// An image's own configuration, as far as a container takes from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageDefaults {
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub env: Vec<String>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub volumes: Vec<String>,
    pub stop_signal: Option<String>,
}

impl From<&ImageConfiguration> for ImageDefaults {
    fn from(image: &ImageConfiguration) -> Self {
        let Some(config) = image.config() else { return ImageDefaults::default() };
        ImageDefaults {
            entrypoint: config.entrypoint().clone().unwrap_or_default(),
            cmd: config.cmd().clone().unwrap_or_default(),
            env: config.env().clone().unwrap_or_default(),
            user: config.user().clone().filter(|u| !u.is_empty()),
            working_dir: config.working_dir().clone().filter(|d| !d.is_empty()),
            volumes: config.volumes().clone().unwrap_or_default(),
            stop_signal: config.stop_signal().clone().filter(|s| !s.is_empty()),
        }
    }
}

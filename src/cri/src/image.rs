//! What an image service tells of images, and what it is given to pull them.

use crate::Result;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One image in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// Full references, `docker.io/library/busybox:1.36`.
    pub repo_tags: Vec<String>,
    /// `docker.io/library/busybox@sha256:…`
    pub repo_digests: Vec<String>,
    /// Bytes, unpacked.
    pub size: u64,
    /// What USER says.
    pub user: Option<String>,
}

/// A user name and password, or a bearer token, for one registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Basic { username: String, password: String },
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// What a pull has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    pub image: ImageInfo,
    /// Which of the credentials the registry asked for and took; `None` where it, or a mirror, gave the image to whoever asks.
    pub by: Option<usize>,
}

/// The one image store, as the kubelet sees it. Names are what the user typed: `busybox`, `reg:5000/a/b@sha256:…`.
#[async_trait]
pub trait ImageService: Send + Sync + 'static {
    /// Tries the credentials in turn, without any first where there are none. Returns when it is unpacked.
    async fn pull(&self, name: &str, credentials: &[Credentials]) -> Result<Pulled>;
    /// `None` where it is not in the store.
    async fn status(&self, name: &str) -> Result<Option<ImageInfo>>;
    async fn list(&self) -> Result<Vec<ImageInfo>>;
    /// Removes the name, and the image with its last name. An image in use by a container is refused.
    async fn remove(&self, name: &str) -> Result<()>;
}

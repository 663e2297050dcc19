//! The store as the kubelet asks it.

use crate::{ImageStore, Silent};
use async_trait::async_trait;
use cri::{Credentials, ImageInfo, ImageService, Pulled, Result, blocking};
use std::sync::Arc;

#[async_trait]
impl ImageService for ImageStore {
    async fn pull(&self, name: &str, credentials: &[Credentials]) -> Result<Pulled> {
        Ok(self.pull_tracked(name, None, credentials, Arc::new(Silent)).await?)
    }

    async fn status(&self, name: &str) -> Result<Option<ImageInfo>> {
        Ok(self.image(name)?)
    }

    async fn list(&self) -> Result<Vec<ImageInfo>> {
        Ok(self.images())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let (store, name) = (ImageStore { inner: self.inner.clone() }, name.to_owned());
        blocking(move || store.remove_image(&name)).await?;
        Ok(())
    }
}

//! Work that blocks on a disk, off the threads that must not block.

use crate::error::{ImageError, Result};

/// Runs what blocks on a disk where it may block.
pub(crate) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| ImageError::io("work in the background", e))?
}

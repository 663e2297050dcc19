//! The collection of images that nobody uses, when the disk fills.

use crate::config::ImageGcThresholds;
use crate::machine::disk;
use crate::shared::Shared;

/// Removes pulled images that no container uses, the longest unused first, when the disk is too full.
pub(crate) async fn collect_garbage(shared: &Shared) {
    let ImageGcThresholds { high_percent, low_percent } = shared.config.image_gc;
    let full = |percent: u8| disk(&shared.config.state_dir).is_some_and(|d| d.used_percent() > percent);
    if !full(high_percent) {
        return;
    }
    let (Ok(images), Ok(sandboxes)) = (shared.images.list().await, shared.runtime.list().await) else {
        return;
    };
    let in_use = |id: &str| sandboxes.iter().flat_map(|s| &s.containers).any(|c| c.image == id);
    let now = shared.clock.now();
    for image in shared.images.unused(&images, now, in_use) {
        if !full(low_percent) {
            return;
        }
        shared.images.remove(&image).await;
    }
}

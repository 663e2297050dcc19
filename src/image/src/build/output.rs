//! Where a build's words go: the builder's own, its containers' output, and the progress of pulls.

use crate::progress::PullEvent;

/// Where what a build says goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The builder itself: `Step 1/3 : FROM busybox`.
    Builder,
    Stdout,
    Stderr,
}

/// A build as text, in order.
pub trait BuildOutput: Send + Sync + 'static {
    fn write(&self, channel: Channel, bytes: &[u8]);

    /// A stage is whole, and this is its image.
    fn stage(&self, _image: &str) {}

    /// What comes from a registry may be drawn otherwise than as text.
    fn pull(&self, _: &PullEvent) {}

    fn say(&self, text: &str) {
        self.write(Channel::Builder, text.as_bytes());
    }
}

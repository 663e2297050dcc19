//! What a pull and a push tell while they run.

use crate::Digest;
use parking_lot::Mutex;
use std::sync::Arc;

/// What a pull tells while it runs; enough for `docker pull`'s screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullEvent {
    /// `1.36: Pulling from library/busybox`
    Pulling {
        version: String,
        repository: String,
    },
    Layer {
        digest: Digest,
        status: LayerStatus,
    },
    /// Something that the user should know, and that does not end the pull.
    Warning(String),
    /// The digest that the registry has under this name.
    Resolved {
        digest: Digest,
    },
    /// `newer` is false where the name meant this image already.
    Done {
        name: String,
        newer: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerStatus {
    PullingFsLayer,
    Waiting,
    /// Bytes, as the registry sends them.
    Downloading {
        current: u64,
        total: u64,
    },
    /// The connection was cut; what is there stays.
    Retrying {
        after: std::time::Duration,
    },
    VerifyingChecksum,
    DownloadComplete,
    Extracting {
        current: u64,
        total: u64,
    },
    PullComplete,
    AlreadyExists,
}

/// Called from many tasks at once; must not block.
pub trait Progress: Send + Sync + 'static {
    fn event(&self, event: PullEvent);
}

/// What a push tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushEvent {
    /// `The push refers to repository [docker.io/luksa/kubia]`
    Repository(String),
    /// The layer goes by its diff id, as in Docker.
    Layer { diff_id: Digest, status: PushStatus },
    /// `latest: digest: sha256:… size: 527`
    Done { tag: String, digest: Digest, size: u64 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushStatus {
    Preparing,
    Waiting,
    /// Bytes of the unpacked tar.
    Pushing {
        current: u64,
        total: u64,
    },
    Retrying {
        after: std::time::Duration,
    },
    AlreadyExists,
    /// From another repository of the same registry.
    Mounted {
        from: String,
    },
    Pushed,
}

pub trait PushProgress: Send + Sync + 'static {
    fn event(&self, event: PushEvent);
}

/// For those who do not look.
pub struct Silent;

impl PushProgress for Silent {
    fn event(&self, _: PushEvent) {}
}

impl Progress for Silent {
    fn event(&self, _: PullEvent) {}
}

/// One layer's download as all see it who wait for it.
#[derive(Default)]
pub(crate) struct Fanout(Mutex<Vec<(Digest, Arc<dyn Progress>)>>);

impl Fanout {
    /// `digest` is the name that this one knows the layer by.
    pub(crate) fn join(&self, digest: &Digest, progress: Arc<dyn Progress>) {
        self.0.lock().push((digest.clone(), progress));
    }

    pub(crate) fn tell(&self, status: LayerStatus) {
        for (digest, progress) in self.0.lock().iter() {
            progress.event(PullEvent::Layer { digest: digest.clone(), status: status.clone() });
        }
    }
}

/// A pull's caller hears of its layers for as long as the pull goes on. Others may want the same layers for longer: without this
/// the caller of one that has failed would go on hearing of them, and a client that waits for the last word would wait with the others.
pub(crate) struct Subscription(Arc<Subscriber>);

struct Subscriber(Mutex<Option<Arc<dyn Progress>>>);

impl Subscription {
    pub(crate) fn of(progress: Arc<dyn Progress>) -> Self {
        Subscription(Arc::new(Subscriber(Mutex::new(Some(progress)))))
    }

    /// To be told of layers.
    pub(crate) fn subscriber(&self) -> Arc<dyn Progress> {
        self.0.clone()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        drop(self.0.0.lock().take());
    }
}

impl Progress for Subscriber {
    fn event(&self, event: PullEvent) {
        if let Some(progress) = &*self.0.lock() {
            progress.event(event);
        }
    }
}

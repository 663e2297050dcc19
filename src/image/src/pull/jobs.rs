//! Layers on their way: who wants one that somebody brings already waits for the same job, and is told of its progress.

use crate::Digest;
use crate::error::{ImageError, Result};
use crate::layer_jobs::{LayerKey, SharedJob};
use crate::manifest::Descriptor;
use crate::progress::{Fanout, LayerStatus, Progress, PullEvent};
use crate::registry::{Repository, download};
use crate::store::{Inner, Provenance};
use crate::turns::Turn;
use crate::unpack::{self, Feed, Unpacked};
use cri::blocking;
use futures::FutureExt;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// One layer to be brought.
#[derive(Clone)]
pub(super) struct LayerJob {
    pub(super) store: Arc<Inner>,
    pub(super) repository: Arc<Repository>,
    pub(super) blob: Descriptor,
    pub(super) diff_id: Digest,
    pub(super) chain: Digest,
    /// Topmost first.
    pub(super) below: Vec<Digest>,
    pub(super) below_done: Option<SharedJob>,
}

impl LayerJob {
    /// Joins whoever brings this layer from the same registry already.
    pub(super) fn start(self, progress: Arc<dyn Progress>) -> SharedJob {
        let digest = self.blob.digest.clone();
        let tell = |status| progress.event(PullEvent::Layer { digest: digest.clone(), status });
        if let Some(size) = self.size_of_own() {
            tell(LayerStatus::AlreadyExists);
            return futures::future::ready(Ok(size)).boxed().shared();
        }
        tell(LayerStatus::PullingFsLayer);
        self.join(progress).boxed().shared()
    }

    /// Bytes of the layer, where it is here and this repository has given it.
    fn size_of_own(&self) -> Option<u64> {
        let facts = self.store.layers.facts(&self.chain)?;
        facts.provenance.covers(&self.repository.name()).then_some(facts.size)
    }

    async fn join(self, progress: Arc<dyn Progress>) -> Result<u64> {
        let (chain, blob) = (self.chain.clone(), self.blob.digest.clone());
        let mut key = LayerKey { chain, blob, from: self.repository.domain().to_owned() };
        let (job, is_own) = self.bring_or_join(&key, progress.clone());
        let brought = job.await;
        if is_own || (brought.is_ok() && self.size_of_own().is_some()) {
            return brought;
        }
        // what a pull from another repository has brought this one must have as well, and may have what that one has not
        key.from = self.repository.name();
        self.bring_or_join(&key, progress).0.await
    }

    /// And whether nobody brings the layer yet, but this pull.
    fn bring_or_join(&self, key: &LayerKey, progress: Arc<dyn Progress>) -> (SharedJob, bool) {
        let mut is_own = false;
        let job = self.store.jobs.join(key, progress, |watchers| {
            is_own = true;
            self.clone().run(watchers).boxed().shared()
        });
        (job, is_own)
    }

    /// A layer that is here, and that its own registry says this repository has.
    async fn granted(&self) -> Result<Option<u64>> {
        let facts = self.store.layers.facts(&self.chain);
        let own = facts.filter(|facts| facts.came_from(self.repository.domain(), &self.blob.digest));
        let Some(facts) = own else { return Ok(None) };
        // a registry that does not say is asked for the layer itself
        if !self.repository.has_blob(&self.blob.digest).await.unwrap_or(false) {
            return Ok(None);
        }
        let (store, chain, from) = (self.store.clone(), self.chain.clone(), self.provenance());
        blocking(move || store.layers.extend_provenance(&chain, from)).await?;
        Ok(Some(facts.size))
    }

    /// To be called after an answer that is no refusal.
    fn provenance(&self) -> Provenance {
        match self.repository.accepted() {
            Some(_) => Provenance::Repositories(vec![self.repository.name()]),
            None => Provenance::Anybody,
        }
    }

    async fn run(self, watchers: Arc<Fanout>) -> Result<u64> {
        if let Some(size) = self.granted().await? {
            watchers.tell(LayerStatus::AlreadyExists);
            return Ok(size);
        }
        let registry = self.repository.domain();
        let turn = match self.store.turns.try_take(registry) {
            Some(turn) => turn,
            None => {
                watchers.tell(LayerStatus::Waiting);
                self.store.turns.take(registry).await
            }
        };
        let unpacked = tokio::select! {
            unpacked = self.bring(&watchers, &turn) => unpacked?,
            () = turn.lost() => return Err(ImageError::Registry(format!(
                "download layer {}: it is slow, and other registries have waited for long", self.blob.digest.short()
            ))),
        };
        // the layer below may still wait for a turn: it must not wait for ours
        drop(turn);
        self.verify(&unpacked)?;
        let from = self.provenance();
        if let Some(below) = self.below_done {
            below.await?;
        }
        let (store, chain, below) = (self.store, self.chain, self.below);
        let facts = blocking(move || store.layers.place(unpacked, &chain, &below, from)).await?;
        watchers.tell(LayerStatus::PullComplete);
        Ok(facts.size)
    }

    /// Download and unpacking overlap: the socket feeds the inflater.
    async fn bring(&self, watchers: &Arc<Fanout>, turn: &Turn) -> Result<Unpacked> {
        let directory = self.store.layers.temporary()?;
        let extracting = Extracting::new(watchers.clone(), self.blob.size);
        let (told, passed) = (extracting.clone(), turn.passed());
        let (sender, unpacked) = unpack::start(directory, move |bytes| {
            passed.store(bytes, Ordering::Relaxed);
            told.passed(bytes);
        });
        let brought = download(&self.repository, &self.blob, &sender, |status| watchers.tell(status)).await;
        match brought {
            Ok(true) => {
                watchers.tell(LayerStatus::VerifyingChecksum);
                watchers.tell(LayerStatus::DownloadComplete);
                extracting.begin();
                _ = sender.send(Feed::End).await;
            }
            Ok(false) => {}
            Err(error) => {
                // its directory is gone before anybody hears of it
                drop(sender);
                _ = unpacked.await;
                return Err(error);
            }
        }
        drop(sender);
        let unpacked = unpacked.await.map_err(|e| ImageError::io("unpack", e))?;
        unpacked.map_err(|e| e.within(format!("layer {}", self.blob.digest.short())))
    }

    fn verify(&self, unpacked: &Unpacked) -> Result<()> {
        if unpacked.blob != self.blob.digest {
            return Err(ImageError::Refused(format!(
                "filesystem layer verification failed for digest {}: got {}",
                self.blob.digest, unpacked.blob
            )));
        }
        if unpacked.diff_id != self.diff_id {
            return Err(ImageError::Refused(format!(
                "layer {} unpacks to {}, its configuration says {}",
                self.blob.digest, unpacked.diff_id, self.diff_id
            )));
        }
        Ok(())
    }
}

/// Speaks of extracting only after the download is done, as people are used to; by then most of it has happened.
#[derive(Clone)]
struct Extracting {
    watchers: Arc<Fanout>,
    total: u64,
    state: Arc<Mutex<ExtractState>>,
}

#[derive(Default)]
struct ExtractState {
    begun: bool,
    passed: u64,
    told: u64,
}

/// Bytes of the packed layer between two words.
const TELL_EACH: u64 = 1 << 20;

impl Extracting {
    fn new(watchers: Arc<Fanout>, total: u64) -> Extracting {
        Extracting { watchers, total, state: Arc::default() }
    }

    fn passed(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.passed = bytes;
        let due = bytes == self.total || bytes >= state.told + TELL_EACH;
        if state.begun && due && bytes > state.told {
            state.told = bytes;
            self.watchers.tell(LayerStatus::Extracting { current: bytes, total: self.total });
        }
    }

    fn begin(&self) {
        let passed = {
            let mut state = self.state.lock();
            state.begun = true;
            state.told = state.passed;
            state.passed
        };
        self.watchers.tell(LayerStatus::Extracting { current: passed, total: self.total });
    }
}

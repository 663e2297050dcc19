//! How much of something came, on the client's screen.

use crate::progress::{Progress, VertexId};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A screen needs no more.
const EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Meter {
    progress: Arc<Progress>,
    vertex: VertexId,
    /// `transferring context:`
    part: String,
    state: Mutex<(u64, Option<Instant>)>,
}

impl Meter {
    pub(crate) fn new(progress: &Arc<Progress>, vertex: VertexId, part: &str) -> Arc<Meter> {
        Arc::new(Meter { progress: progress.clone(), vertex, part: part.to_owned(), state: Mutex::default() })
    }

    pub(crate) fn add(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.0 += bytes;
        if state.1.is_none_or(|at| at.elapsed() >= EVERY) {
            state.1 = Some(Instant::now());
            self.progress.part(self.vertex, &self.part, state.0, 0, false);
        }
    }

    pub(crate) fn whole(&self) {
        self.progress.part(self.vertex, &self.part, self.state.lock().0, 0, true);
        self.progress.done(self.vertex);
    }

    pub(crate) fn failed(&self, why: &str) {
        self.progress.fail(self.vertex, why);
    }
}

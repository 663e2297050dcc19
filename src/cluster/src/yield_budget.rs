//! Long walks over many objects, with breaks.

/// Between two breaks: some milliseconds of work, where objects are decoded. A list that is broken off more often is slower for all: many
/// are half made at a time.
const BYTES_A_BREAK: usize = 1024 * 1024;
/// What an object costs beside its bytes.
const BYTES_AN_OBJECT: usize = 256;

/// Yields now and then, so that others have their turn. A walk for somebody who has gone ends there: a request is dropped where it
/// waits, and nowhere else.
#[derive(Debug, Default)]
pub struct YieldBudget {
    spent: usize,
}

impl YieldBudget {
    /// After each object.
    pub async fn spend(&mut self, bytes: usize) {
        self.spent += bytes + BYTES_AN_OBJECT;
        if self.spent >= BYTES_A_BREAK {
            self.spent = 0;
            tokio::task::yield_now().await;
        }
    }
}

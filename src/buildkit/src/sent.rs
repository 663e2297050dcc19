//! Contexts that come in the body of an HTTP request: of the one that asks for the build, or of a second one beside it.

use crate::meter::Meter;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::sync::{oneshot, watch};
use tokio_util::io::StreamReader;

/// The pieces of an archive.
pub type SentContext = BoxStream<'static, io::Result<Bytes>>;

/// The two requests are made at the same time, and each waits this long for the other. Docker's own time.
const PATIENCE: Duration = Duration::from_secs(5);

/// What comes, counted on the client's screen.
pub(crate) fn reader(pieces: SentContext, meter: Arc<Meter>) -> impl AsyncRead + Send + Unpin + 'static {
    let end = meter.clone();
    let pieces = pieces.inspect(move |piece| match piece {
        Ok(piece) => meter.add(piece.len() as u64),
        Err(error) => meter.failed(&error.to_string()),
    });
    let end = stream::once(async move {
        end.whole();
        None
    });
    StreamReader::new(Box::pin(pieces.chain(end.filter_map(std::future::ready))))
}

type Slot = Arc<Mutex<Option<SentContext>>>;

/// By the build's id: contexts of builds whose context is a request of its own.
pub(crate) struct Uploads(watch::Sender<HashMap<String, Slot>>);

impl Default for Uploads {
    fn default() -> Self {
        Uploads(watch::Sender::new(HashMap::new()))
    }
}

impl Uploads {
    /// Waits until a build has taken it and read what it wants of it.
    pub(crate) async fn give(&self, id: &str, pieces: SentContext) -> Result<(), String> {
        let (over, mut is_over) = oneshot::channel();
        let slot: Slot = Arc::new(Mutex::new(Some(Until { pieces, _over: over }.boxed())));
        let is_new = self.0.send_if_modified(|all| {
            let is_new = !all.contains_key(id);
            if is_new {
                all.insert(id.to_owned(), slot.clone());
            }
            is_new
        });
        if !is_new {
            return Err(format!("build {id} has a context already"));
        }
        let _there = There { uploads: self, id };
        if tokio::time::timeout(PATIENCE, &mut is_over).await.is_ok() {
            return Ok(());
        }
        if slot.lock().take().is_some() {
            return Err(format!("no build {id} came for its context"));
        }
        let _ = is_over.await;
        Ok(())
    }

    /// Waits a moment for one that is about to come.
    pub(crate) async fn take(&self, id: &str) -> Result<SentContext, String> {
        let mut all = self.0.subscribe();
        let found = tokio::time::timeout(PATIENCE, all.wait_for(|all| all.contains_key(id))).await;
        let slot = found.ok().and_then(Result::ok).and_then(|all| all.get(id).cloned());
        let pieces = slot.and_then(|slot| slot.lock().take());
        pieces.ok_or_else(|| format!("no context was sent for build {id}"))
    }
}

/// As long as the request is there.
struct There<'u> {
    uploads: &'u Uploads,
    id: &'u str,
}

impl Drop for There<'_> {
    fn drop(&mut self) {
        self.uploads.0.send_modify(|all| drop(all.remove(self.id)));
    }
}

/// Its sender hears when it is dropped.
struct Until {
    pieces: SentContext,
    _over: oneshot::Sender<()>,
}

impl Stream for Until {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_next_unpin(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;

    fn context() -> SentContext {
        stream::iter([Ok(Bytes::from_static(b"a")), Ok(Bytes::from_static(b"b"))]).boxed()
    }

    #[tokio::test(start_paused = true)]
    async fn either_request_may_be_first() {
        for early in [true, false] {
            let uploads = Uploads::default();
            let wait = |is_late: bool| tokio::time::sleep(Duration::from_secs(u64::from(is_late)));
            let give = async {
                wait(!early).await;
                uploads.give("b", context()).await
            };
            let take = async {
                wait(early).await;
                let pieces: Vec<Bytes> = uploads.take("b").await.unwrap().try_collect().await.unwrap();
                pieces.concat()
            };
            assert_eq!(tokio::join!(give, take), (Ok(()), b"ab".to_vec()), "{early}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn neither_waits_for_ever() {
        let uploads = Uploads::default();
        let refused = uploads.give("b", context()).await.unwrap_err();
        assert_eq!(refused, "no build b came for its context");
        let refused = uploads.take("b").await.err().unwrap();
        assert_eq!(refused, "no context was sent for build b");
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_to_be_read_is_waited_for() {
        let uploads = Uploads::default();
        let slow = async {
            let taken = uploads.take("b").await.unwrap();
            tokio::time::sleep(PATIENCE * 3).await;
            drop(taken);
            tokio::time::Instant::now()
        };
        let (given, dropped) =
            tokio::join!(async { (uploads.give("b", context()).await, tokio::time::Instant::now()) }, slow);
        assert!(given.0.is_ok() && given.1 >= dropped);
    }
}

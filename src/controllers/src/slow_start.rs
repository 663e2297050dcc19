//! Many at once, but not before one has gone well.

use api::Status;
use futures::future::join_all;

/// In doubling batches, so that a template that is refused is not tried five hundred times. Says how many went well.
pub(crate) async fn in_batches<T, F: Future<Output = Result<(), Status>>>(
    all: Vec<T>,
    make: impl Fn(T) -> F,
) -> (usize, Result<(), Status>) {
    let (mut left, mut batch, mut made) = (all.into_iter(), 1, 0);
    loop {
        let next: Vec<T> = left.by_ref().take(batch).collect();
        if next.is_empty() {
            return (made, Ok(()));
        }
        let mut refused = Ok(());
        for outcome in join_all(next.into_iter().map(&make)).await {
            match outcome {
                Ok(()) => made += 1,
                Err(status) => refused = refused.and(Err(status)),
            }
        }
        if refused.is_err() {
            return (made, refused);
        }
        batch *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn what_is_refused_is_not_tried_again_and_again() {
        // (name, all, the first that is refused, tried, made)
        let cases = [
            ("none", 0, 0, 0, 0),
            ("the first", 500, 0, 1, 0),
            ("in the second batch", 500, 2, 3, 2),
            ("none of them", 10, 10, 10, 10),
        ];
        for (name, all, refused, tries, good) in cases {
            let tried = AtomicUsize::new(0);
            let make = |at: usize| {
                tried.fetch_add(1, Ordering::Relaxed);
                std::future::ready(if at < refused { Ok(()) } else { Err(Status::bad_request("no")) })
            };
            let (made, outcome) = in_batches((0..all).collect(), make).await;
            assert_eq!((tried.into_inner(), made), (tries, good), "{name}");
            assert_eq!(outcome.is_ok(), refused >= all, "{name}");
        }
    }
}

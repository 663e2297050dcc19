//! Work that makes an answer what its client reads: packing, indenting, another form. It takes a thread for a while, and both the
//! request's seats and the bytes of the answer with it; for a client that has gone it ends at the next piece.

use crate::held_seat::HeldSeat;
use cri::{Asker, blocking_while_wanted};
use http::response::Parts;
use tokio::task::JoinError;

/// Between two looks whether the client is still there: some milliseconds of work at most.
pub(crate) const PIECE: usize = 256 * 1024;

/// `head` is that of the answer. Its seats are taken until the work has ended, also where the request has ended before it: else whoever
/// hangs up again and again would have any number of threads work for him.
///
/// # Errors
/// What becomes of a panic.
pub(crate) async fn run<T: Send + 'static>(
    head: &Parts,
    work: impl FnOnce(&Asker) -> T + Send + 'static,
) -> Result<T, JoinError> {
    let seats = head.extensions.get::<HeldSeat>().cloned();
    blocking_while_wanted(move |client| {
        let _seats = seats;
        work(client)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowcontrol::{Asked, FlowControl};
    use std::sync::mpsc;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn seats_are_taken_until_the_work_has_ended() {
        let asked = Asked { user: "jane", groups: &[], verb: "list", resource: None, path: "/" };
        let seats = HeldSeat::from(FlowControl::default().admit(&asked, 1).await.unwrap());
        let mut response = http::Response::new(());
        response.extensions_mut().insert(seats.clone());
        let (head, ()) = response.into_parts();
        let (begun, has_begun) = oneshot::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        let (ended, has_ended) = oneshot::channel();
        let request = tokio::spawn(async move {
            let work = run(&head, move |client| {
                let _ = begun.send(());
                let _ = goes_on.recv();
                let _ = ended.send(client.is_gone());
            });
            work.await
        });
        has_begun.await.unwrap();
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        assert_eq!(seats.holders(), 2, "the work's own and the one here");
        drop(go_on);
        assert!(has_ended.await.unwrap(), "it hears that nobody waits");
    }
}

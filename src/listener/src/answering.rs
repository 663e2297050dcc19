//! A connection to a server that is asked one thing, by HTTP/1.1, and may say so much before it answers.

use crate::interim::{self, Interim};
use crate::read_through::{ReadHalf, ReadThrough};
use hyper::body::Body;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Of an answer's head: who never ends one holds so much of each request; nginx lets an answer have a few kilobytes.
const LARGEST_HEAD: usize = 64 * 1024;
/// In bytes, until the answer is there: a head, what is read along with it, and interim answers.
const BEFORE_ANSWER: usize = 4 * LARGEST_HEAD;

/// Sends a request, carries it, and is to be told when its answer is there.
pub type Asking<I, B> = (SendRequest<B>, Connection<TokioIo<Awaited<I>>, B>, Answered);

/// # Errors
/// The library's.
pub async fn ask_once<I, B>(io: I) -> hyper::Result<Asking<I, B>>
where
    I: AsyncRead + AsyncWrite + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (io, answered) = await_answer(io, BEFORE_ANSWER);
    let (sender, connection) =
        http1::Builder::new().max_buf_size(LARGEST_HEAD).handshake(TokioIo::new(io)).await?;
    Ok((sender, connection, answered))
}

/// `most` is in bytes. For other protocols, or where all that the server says is an answer: then nobody notes that it is there.
pub fn await_answer<I>(io: I, most: usize) -> (Awaited<I>, Answered) {
    let answered = Answered(Arc::default());
    let awaiting = Awaiting { left: most, interim: Interim::default(), answered: answered.0.clone() };
    (ReadThrough::new(awaiting, io), answered)
}

/// From here on the server may say as much as it likes.
pub struct Answered(Arc<AtomicBool>);

impl Answered {
    pub fn note(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A stream from which so much is read before there is an answer.
pub type Awaited<I> = ReadThrough<Awaiting, I>;

pub struct Awaiting {
    left: usize,
    interim: Interim,
    answered: Arc<AtomicBool>,
}

impl Awaiting {
    fn judge(&mut self, said: &[u8]) -> io::Result<()> {
        self.interim.hear(said)?;
        self.left = self.left.checked_sub(said.len()).ok_or_else(interim::too_much)?;
        Ok(())
    }
}

impl<I: AsyncRead> ReadHalf<I> for Awaiting {
    fn poll_read(
        &mut self,
        io: Pin<&mut I>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(io.poll_read(cx, buffer))?;
        if self.answered.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(self.judge(&buffer.filled()[before..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::StatusCode;
    use http_body_util::{BodyExt, Empty};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// The answer's status and the length of its body, where the server says this to the request.
    async fn told(said: Vec<u8>) -> Result<(StatusCode, usize), String> {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let serving = tokio::spawn(async move {
            let mut heard = [0; 1024];
            let _ = theirs.read(&mut heard).await;
            let _ = theirs.write_all(&said).await;
            theirs
        });
        let (mut sender, connection, answered) = ask_once(ours).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::new(Empty::<Bytes>::new());
        let answer = sender.send_request(request).await.map_err(|why| format!("{why:?}"))?;
        answered.note();
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|why| format!("{why:?}"))?;
        drop(serving);
        Ok((status, body.to_bytes().len()))
    }

    #[tokio::test]
    async fn a_server_answers_sooner_or_later_and_then_at_any_length() {
        const MOST_INTERIM: usize = 32;
        const INTERIM: &[u8] = b"HTTP/1.1 100 \r\n\r\n";
        let body = BEFORE_ANSWER * 2;
        let answer =
            [format!("HTTP/1.1 200 OK\r\ncontent-length: {body}\r\n\r\n").into_bytes(), vec![b'x'; body]]
                .concat();
        let field = "y".repeat(LARGEST_HEAD / 2);
        let long = format!("HTTP/1.1 103 \r\nlink: {field}\r\n\r\n").repeat(10).into_bytes();
        let after = |interim: usize| [INTERIM.repeat(interim), answer.clone()].concat();
        for (name, said, want) in [
            ("at once", after(0), Ok(())),
            ("after a few words", after(MOST_INTERIM), Ok(())),
            ("after too many", after(MOST_INTERIM * 2), Err("it says too much")),
            ("after long ones", [long, answer.clone()].concat(), Err("it says too much")),
            (
                "with a head that does not end",
                [b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'y'; LARGEST_HEAD * 2]].concat(),
                Err("TooLarge"),
            ),
        ] {
            match (told(said).await, want) {
                (Ok(got), Ok(())) => assert_eq!(got, (StatusCode::OK, body), "{name}"),
                (Err(why), Err(want)) => assert!(why.contains(want), "{name}: {why}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }
}

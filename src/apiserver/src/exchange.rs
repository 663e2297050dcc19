//! One question to another server, and its answer.

use crate::answer_memory::{AnswerMemory, SMALL_ANSWER};
use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use listener::ask_once;
use std::fmt::Display;
use std::sync::LazyLock;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A webhook's answer repeats the object at most, as a patch: twice what an object may be, and some.
const LARGEST_ANSWER: usize = 8 << 20;

/// Of the whole process: there is one memory.
static MEMORY: LazyLock<AnswerMemory> = LazyLock::new(AnswerMemory::default);

/// On a connection that ends with it.
///
/// # Errors
/// In words.
pub(crate) async fn ask(
    stream: TlsStream<TcpStream>,
    request: http::Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), String> {
    let words =
        |why: hyper::Error| if why.is_incomplete_message() { "EOF".to_owned() } else { why.to_string() };
    let server = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let server = server.unwrap_or_default().to_owned();
    let (mut sender, connection, answered) = ask_once(stream).await.map_err(words)?;
    // ends with the answer, or when nobody waits for it any more
    let connection = tokio::spawn(connection);
    let _ended = Ended(connection.abort_handle());
    let answer = sender.send_request(request).await.map_err(words)?;
    answered.note();
    let status = answer.status();
    Ok((status, read(&MEMORY, &server, answer.into_body()).await?))
}

/// The whole answer. Its memory is taken at once: of two that each had a part of theirs, both would wait.
async fn read<B>(memory: &AnswerMemory, server: &str, mut body: B) -> Result<Bytes, String>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let too_long = || "length limit exceeded".to_owned();
    let told = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    let length = told.unwrap_or(LARGEST_ANSWER);
    if length > LARGEST_ANSWER {
        return Err(too_long());
    }
    let (mut read, mut held) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|why| why.to_string())?.into_data() else { continue };
        let whole = read.len() + data.len();
        if whole > LARGEST_ANSWER {
            return Err(too_long());
        }
        if whole > SMALL_ANSWER && held.is_none() {
            held = Some(memory.hold(server, length).await);
            read.reserve(length);
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

struct Ended(tokio::task::AbortHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use std::convert::Infallible;
    use std::time::Duration;
    use tokio::time::timeout;

    const PIECE: usize = 16 << 10;

    /// In pieces, so that nobody knows how long it becomes; it ends only where it may.
    fn pieces(count: usize, ends: bool) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let piece = || Ok(Frame::data(Bytes::from(vec![b' '; PIECE])));
        let pieces = stream::iter(std::iter::repeat_with(piece).take(count));
        let rest = stream::iter((!ends).then_some(())).then(|()| std::future::pending());
        StreamBody::new(Box::pin(pieces.chain(rest)))
    }

    #[tokio::test(start_paused = true)]
    async fn answers_have_a_length_that_is_borne() {
        for (name, length, want) in [
            ("nothing", 0, true),
            ("little", SMALL_ANSWER, true),
            ("the most", LARGEST_ANSWER, true),
            ("more", LARGEST_ANSWER + PIECE, false),
        ] {
            let memory = AnswerMemory::default();
            let whole = read(&memory, "a", Full::new(Bytes::from(vec![b' '; length]))).await;
            let in_pieces = read(&memory, "a", pieces(length / PIECE, true)).await;
            for read in [whole, in_pieces] {
                let read = read.map(|bytes| bytes.len());
                let want = if want { Ok(length) } else { Err("length limit exceeded".to_owned()) };
                assert_eq!(read, want, "{name}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn large_answers_that_do_not_end_hold_up_large_ones_of_the_same_server() {
        let memory = AnswerMemory::default();
        let soon = Duration::from_secs(1);
        let stalled = || Box::pin(timeout(soon * 60, read(&memory, "a", pieces(8, false))));
        let (mut first, mut second) = (stalled(), stalled());
        let asked = async {
            // after both have begun
            tokio::time::sleep(soon).await;
            let large = |server: &'static str| timeout(soon, read(&memory, server, pieces(8, true)));
            assert!(large("a").await.is_err(), "there is no more for it");
            assert!(large("b").await.is_ok_and(|read| read.is_ok()), "another is not held up");
            let small = timeout(soon, read(&memory, "a", pieces(2, true))).await;
            assert!(small.is_ok_and(|read| read.is_ok()), "nor is what is small");
        };
        tokio::select! {
            () = asked => {}
            _ = &mut first => panic!("it does not end"),
            _ = &mut second => panic!("it does not end"),
        }
        drop((first, second));
        assert!(timeout(soon, read(&memory, "a", pieces(8, true))).await.is_ok_and(|read| read.is_ok()));
    }
}

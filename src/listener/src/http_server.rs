//! HTTP over one connection, with an end to every wait.

use crate::accept::DRAIN;
use crate::requests::{Answering, Requests, TakenWithin};
use crate::seats::Turns;
use http::header::{CONTENT_LENGTH, COOKIE};
use http::{HeaderMap, HeaderValue, Method, Version};
use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// Who has not finished TLS by then never will.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Until the first request's head is there, the preface of HTTP/2 before it; upstream's `ReadHeaderTimeout`.
const FIRST_REQUEST: Duration = Duration::from_secs(32);
/// Between two requests; upstream's `IdleTimeout`, for as long as Go's clients keep a connection.
const IDLE: Duration = Duration::from_secs(90);
/// Requests of one connection at a time; upstream's, since resets became attacks (CVE-2023-44487).
const MOST_STREAMS: u32 = 100;
/// Requests that were reset before anybody looked at them; above it the connection ends.
const MOST_RESETS: usize = 20;
/// For what is read and written in HTTP/1.1: a head must fit, and a watcher that never reads holds so much.
const BUFFER: usize = 128 * 1024;
/// Of a request's head in HTTP/2: a longer path than this has no place in an `http::Uri`, and would end its stream without
/// an answer. Above it the library answers 431, as it answers 414 in HTTP/1.1; above half as much again it ends the connection.
const LARGEST_HEAD: u32 = 64 * 1024;
/// Of the requests' bodies of one connection in HTTP/2, of which nothing has been looked at yet. The library's megabyte is what every
/// stranger could leave here: for his request nobody has to read on.
const UNREAD: u32 = 256 * 1024;
/// Of an answer in HTTP/2 for a client that takes nothing, beside the piece that came last. A connection has a hundred of them, and the
/// library's four hundred kilobytes made that forty megabytes.
const UNSENT: usize = 64 * 1024;

/// `None` for what is no TLS, or takes too long.
pub async fn tls_handshake<I: AsyncRead + AsyncWrite + Unpin>(
    tls: &TlsAcceptor,
    io: I,
) -> Option<TlsStream<I>> {
    tokio::time::timeout(HANDSHAKE, tls.accept(io)).await.ok()?.ok()
}

/// HTTP/1.1 or 2, until the connection ends, nothing is asked for too long, or `stop`. The `seat` is told of requests.
pub async fn serve_http<I, S, B>(io: I, service: S, seat: Option<Arc<dyn Turns>>, stop: &CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<hyper::Request<Incoming>, Response = hyper::Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body + Unpin + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let requests = Requests::new(seat);
    let counted = service_fn(|mut request: hyper::Request<Incoming>| {
        if request.version() == Version::HTTP_2 {
            join_cookies(request.headers_mut());
        }
        // the library knows it of HTTP/1.1 only
        let asks_for_head = request.method() == Method::HEAD && request.version() == Version::HTTP_2;
        let (open, answer) = (requests.begin(), service.call(request));
        // in HTTP/2 a stream has room for this and for its answer, until the client has taken that: what made it goes before
        Box::pin(async move {
            let (mut head, body) = answer.await?.into_parts();
            let body = if asks_for_head { without(body, &mut head.headers) } else { Some(body) };
            let within = head.extensions.remove::<TakenWithin>();
            Ok::<_, Infallible>(hyper::Response::from_parts(head, Answering::new(body, open, within)))
        })
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // from the end of the request before it
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(LARGEST_HEAD)
        .initial_connection_window_size(UNREAD)
        .initial_stream_window_size(UNREAD)
        .max_send_buf_size(UNSENT)
        .max_concurrent_streams(MOST_STREAMS)
        .max_pending_accept_reset_streams(MOST_RESETS);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), counted);
    tokio::pin!(connection);
    tokio::select! {
        // a client that breaks off is no news
        _ = &mut connection => return,
        // to say goodbye would be to wait for it once more
        () = requests.abandoned() => return,
        () = requests.overdue(FIRST_REQUEST, IDLE) => {}
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(DRAIN, connection).await;
}

/// By HTTP/2 a browser sends each cookie in a header of its own, and whoever passes the request on by HTTP/1.1 has one for all
/// (RFC 9113, 8.2.3): of several, servers make a list with commas, in which no cookie is found again, or know the first.
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

/// What answers HEAD has the head that GET would have had, and no body (RFC 9110, 9.3.2): clients take one for a broken stream.
fn without<B: Body>(body: B, headers: &mut HeaderMap) -> Option<B> {
    if let Some(length) = body.size_hint().exact()
        && !body.is_end_stream()
    {
        headers.entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper::body::Frame;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::Instant;

    /// Answers after so long; reads no body.
    fn serve(io: DuplexStream, after: Duration) -> impl Future<Output = ()> {
        let service = service_fn(move |_: hyper::Request<Incoming>| async move {
            tokio::time::sleep(after).await;
            Ok(hyper::Response::new(Full::new(Bytes::from_static(b"hello"))))
        });
        let stop = CancellationToken::new();
        async move { serve_http(io, service, None, &stop).await }
    }

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn nobody_holds_a_connection_without_a_request() {
        let h2 = [PREFACE, SETTINGS].concat();
        for (name, sent, most) in [
            ("nothing", &b""[..], FIRST_REQUEST),
            ("half a preface", &PREFACE[..10], FIRST_REQUEST),
            ("a preface and no settings", PREFACE, FIRST_REQUEST),
            ("HTTP/2 without a request", &h2, FIRST_REQUEST),
            ("half a head", &ASK[..20], FIRST_REQUEST),
            ("a request and nothing more", ASK, IDLE),
            ("a request and half of another", &[ASK, &ASK[..20]].concat(), IDLE),
        ] {
            let (io, mut client) = tokio::io::duplex(64 * 1024);
            client.write_all(sent).await.unwrap();
            let begun = Instant::now();
            serve(io, Duration::ZERO).await;
            let took = begun.elapsed();
            assert!(took >= most && took <= most + DRAIN, "{name}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_trickle_in_win_no_time() {
        let (io, mut client) = tokio::io::duplex(64);
        let trickle = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if client.write_all(b"G").await.is_err() {
                    return;
                }
            }
        };
        let begun = Instant::now();
        tokio::join!(serve(io, Duration::ZERO), trickle);
        assert!(begun.elapsed() <= FIRST_REQUEST + DRAIN * 2, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_take_its_time() {
        let (io, mut client) = tokio::io::duplex(64 * 1024);
        client.write_all(ASK).await.unwrap();
        let begun = Instant::now();
        let asked = async {
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            assert!(answer.ends_with(b"hello"), "{}", answer.escape_ascii());
            assert!(answer.windows(17).any(|w| w == b"content-length: 5"), "{}", answer.escape_ascii());
        };
        tokio::join!(serve(io, IDLE * 10), asked);
        assert!(begun.elapsed() >= IDLE * 11);
    }

    #[tokio::test]
    async fn the_body_of_an_answer_is_what_it_was() {
        let requests = Requests::new(None);
        let body = Answering::new(Some(Full::new(Bytes::from_static(b"x"))), requests.begin(), None);
        assert_eq!(body.size_hint().exact(), Some(1));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "x");
    }

    #[tokio::test(start_paused = true)]
    async fn who_opens_no_window_loses_the_connection() {
        const NO_WINDOW: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
        // `GET / https` and an authority
        const ASK: &[u8] =
            &[0, 0, 6, HEADERS, END_STREAM | END_HEADERS, 0, 0, 0, 1, 0x82, 0x87, 0x84, 0x01, 1, b'a'];
        let patience = Duration::from_secs(10);
        let within = TakenWithin { piece: Some(patience), ..TakenWithin::default() };
        for (name, settings, within, most) in [
            ("a window", SETTINGS, Some(within), IDLE),
            ("none", NO_WINDOW, Some(within), patience),
            ("none, for what may wait", NO_WINDOW, None, IDLE * 3),
        ] {
            let (io, mut client) = tokio::io::duplex(64 * 1024);
            client.write_all(&[PREFACE, settings, ASK].concat()).await.unwrap();
            let service = service_fn(move |_: hyper::Request<Incoming>| async move {
                let mut answer = hyper::Response::new(Full::new(Bytes::from_static(b"hello")));
                if let Some(within) = within {
                    answer.extensions_mut().insert(within);
                }
                Ok(answer)
            });
            let begun = Instant::now();
            let _ = tokio::time::timeout(IDLE * 3, serve_http(io, service, None, &CancellationToken::new()))
                .await;
            let took = begun.elapsed();
            assert!(took >= most && took <= most + DRAIN, "{name}: {took:?}");
        }
    }

    /// `HEAD / https` and an authority: the method is a literal, the rest from the static table (RFC 7541, appendix A).
    const ASK_HEAD: &[u8] = &[0x02, 4, b'H', b'E', b'A', b'D', 0x87, 0x84, 0x01, 1, b'a'];
    const HEADERS: u8 = 1;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;

    #[tokio::test(start_paused = true)]
    async fn head_is_answered_without_a_body_over_http_2() {
        let (io, mut client) = tokio::io::duplex(64 * 1024);
        let length = u8::try_from(ASK_HEAD.len()).unwrap();
        let frame = [0, 0, length, HEADERS, END_STREAM | END_HEADERS, 0, 0, 0, 1];
        client.write_all(&[PREFACE, SETTINGS, &frame[..], ASK_HEAD].concat()).await.unwrap();
        let answered = async {
            loop {
                let mut frame = [0; 9];
                client.read_exact(&mut frame).await.unwrap();
                let mut payload = vec![0; usize::from(frame[1]) * 256 + usize::from(frame[2])];
                client.read_exact(&mut payload).await.unwrap();
                if frame[8] == 1 {
                    return (frame[3], frame[4] & END_STREAM, payload);
                }
            }
        };
        let served = serve(io, Duration::ZERO);
        let (kind, ends, payload) = tokio::select! {
            answer = answered => answer,
            () = served => panic!("the connection ended"),
        };
        assert_eq!((kind, ends), (HEADERS, END_STREAM));
        // the status 200, and the length that the body would have had, by their places in the static table
        assert!(payload.contains(&0x88), "{payload:x?}");
        assert!(
            payload.contains(&0x5c) || payload.windows(2).any(|name| name == [0x0f, 0x0d]),
            "{payload:x?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn cookies_are_in_one_header() {
        // literals with the name `cookie` of the static table
        const COOKIES: &[u8] = &[0x0f, 17, 3, b'a', b'=', b'1', 0x0f, 17, 3, b'b', b'=', b'2'];
        const ASK: &[u8] =
            &[0, 0, 18, HEADERS, END_STREAM | END_HEADERS, 0, 0, 0, 1, 0x82, 0x87, 0x84, 0x01, 1, b'a'];
        let (io, mut client) = tokio::io::duplex(64 * 1024);
        client.write_all(&[PREFACE, SETTINGS, ASK, COOKIES].concat()).await.unwrap();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let cookies = request.headers().get_all(COOKIE).iter().cloned();
            let _ = tell.send(cookies.collect::<Vec<HeaderValue>>());
            async move { Ok(hyper::Response::new(Full::new(Bytes::new()))) }
        });
        let stop = CancellationToken::new();
        let served = serve_http(io, service, None, &stop);
        let cookies = tokio::select! {
            cookies = told.recv() => cookies.unwrap(),
            () = served => panic!("the connection ended"),
        };
        assert_eq!(cookies, ["a=1; b=2"]);
    }

    /// A body of which there is always more, and how much of it was taken.
    struct Endless(Arc<AtomicUsize>);

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            const PIECE: &[u8] = &[b'x'; 16 * 1024];
            self.0.fetch_add(PIECE.len(), Ordering::Relaxed);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(PIECE)))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_client_and_for_a_service_is_small() {
        const DUPLEX: usize = 64 * 1024;
        // as much as there can be: by SETTINGS for each stream, and by a WINDOW_UPDATE for the connection
        const WINDOW: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff];
        const UPDATE: &[u8] = &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0];
        const ASK: &[u8] =
            &[0, 0, 6, HEADERS, END_STREAM | END_HEADERS, 0, 0, 0, 1, 0x82, 0x87, 0x84, 0x01, 1, b'a'];
        let (io, mut client) = tokio::io::duplex(DUPLEX);
        client.write_all(&[PREFACE, WINDOW, UPDATE, ASK].concat()).await.unwrap();
        let taken = Arc::new(AtomicUsize::new(0));
        let of_answers = taken.clone();
        let service = service_fn(move |_: hyper::Request<Incoming>| {
            let body = Endless(of_answers.clone());
            async move { Ok(hyper::Response::new(body)) }
        });
        let stop = CancellationToken::new();
        let served = serve_http(io, service, None, &stop);
        assert!(tokio::time::timeout(IDLE, served).await.is_err(), "the request goes on");
        let taken = taken.load(Ordering::Relaxed);
        assert!((DUPLEX..=DUPLEX + 3 * UNSENT).contains(&taken), "{taken}");
        let mut told = vec![0; DUPLEX];
        let length = client.read(&mut told).await.unwrap();
        let tells = |wanted: &[u8]| told[..length].windows(wanted.len()).any(|some| some == wanted);
        assert!(tells(&[&[0, 4], &UNREAD.to_be_bytes()[..]].concat()), "of a stream");
        let more = (UNREAD - 65_535).to_be_bytes();
        assert!(tells(&[&[0, 0, 4, 8, 0, 0, 0, 0, 0], &more[..]].concat()), "of all of a connection");
    }
}

//! Each protocol against a client that the test plays itself, frame by frame, in memory.

mod forward;
mod handshake;
mod log_websocket;
mod spdy_exec;
mod websocket_exec;

use bytes::{Bytes, BytesMut};
use cri::{AttachStreams, Duplex, ExecSession, TerminalSize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, oneshot};

const ALL: AttachStreams = AttachStreams { stdin: true, stdout: true, stderr: true, tty: false };

/// The other end of a session: what the process itself sees.
struct Process {
    stdin: DuplexStream,
    stdout: DuplexStream,
    stderr: DuplexStream,
    resize: mpsc::Receiver<TerminalSize>,
    exit: oneshot::Sender<cri::Result<i32>>,
}

fn process() -> (ExecSession, Process) {
    let ((stdin, theirs_in), (stdout, theirs_out)) = (tokio::io::duplex(4096), tokio::io::duplex(4096));
    let (stderr, theirs_err) = tokio::io::duplex(4096);
    let (resize, sizes) = mpsc::channel(1);
    let (exit, exited) = oneshot::channel();
    let session = ExecSession {
        stdin: Some(Box::new(theirs_in)),
        stdout: Some(Box::new(theirs_out)),
        stderr: Some(Box::new(theirs_err)),
        resize: Some(resize),
        pid: 0,
        exit: exited,
    };
    (session, Process { stdin, stdout, stderr, resize: sizes, exit })
}

impl Process {
    /// Prints what it is told until it is told no more; ends with the code.
    fn cat(mut self, code: i32) {
        tokio::spawn(async move {
            let _ = tokio::io::copy(&mut self.stdin, &mut self.stdout).await;
            self.stderr.write_all(b"done").await.unwrap();
            drop((self.stdout, self.stderr));
            let _ = self.exit.send(Ok(code));
        });
    }

    /// Reads nothing and prints nothing. The receiver hears when the session has been dropped.
    fn sleep(mut self) -> oneshot::Receiver<()> {
        let (dropped, heard) = oneshot::channel();
        tokio::spawn(async move {
            self.exit.closed().await;
            drop((self.stdin, self.stdout, self.stderr, self.resize));
            let _ = dropped.send(());
        });
        heard
    }
}

fn pattern(length: usize) -> Bytes {
    (0..length).map(|n| (n % 251) as u8).collect::<Vec<u8>>().into()
}

/// Bytes as they would lie on a slow wire.
fn wire() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(64 * 1024)
}

fn status(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Frames over anything that carries bytes: the client's side of SPDY.
struct SpdyClient<IO> {
    io: IO,
    encoder: super::spdy::Encoder,
    decoder: super::spdy::Decoder,
    buffer: BytesMut,
}

impl<IO: Duplex> SpdyClient<IO> {
    fn new(io: IO) -> Self {
        let (encoder, decoder) = (super::spdy::Encoder::new().unwrap(), super::spdy::Decoder::new());
        SpdyClient { io, encoder, decoder, buffer: BytesMut::new() }
    }

    async fn send(&mut self, frame: super::spdy::Frame) {
        let mut out = BytesMut::new();
        self.encoder.put(&frame, &mut out).unwrap();
        self.io.write_all(&out).await.unwrap();
        self.io.flush().await.unwrap();
    }

    async fn open(&mut self, stream: u32, pairs: &[(&str, &str)]) {
        let headers = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self.send(super::spdy::Frame::Open { stream, headers: super::spdy::Headers(headers), fin: false })
            .await;
    }

    async fn data(&mut self, stream: u32, data: impl Into<Bytes>, fin: bool) {
        self.send(super::spdy::Frame::Data { stream, data: data.into(), fin }).await;
    }

    /// `None` at the connection's end.
    async fn next(&mut self) -> Option<super::spdy::Frame> {
        loop {
            if let Some(frame) = self.decoder.next(&mut self.buffer).unwrap() {
                return Some(frame);
            }
            if self.io.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// All that comes until the end, by stream: its data, and whether it was finished.
    async fn rest(&mut self) -> (std::collections::BTreeMap<u32, (Vec<u8>, bool)>, Vec<super::spdy::Frame>) {
        let (mut streams, mut others) = (std::collections::BTreeMap::new(), Vec::new());
        while let Some(frame) = self.next().await {
            match frame {
                super::spdy::Frame::Data { stream, data, fin } => {
                    let (all, end): &mut (Vec<u8>, bool) = streams.entry(stream).or_default();
                    all.extend_from_slice(&data);
                    *end |= fin;
                }
                frame => others.push(frame),
            }
        }
        (streams, others)
    }
}

//! A process over SPDY/3.1: a stream for each of error, stdin, stdout, stderr and resize.

use super::channels::terminal_size;
use super::gone::Gone;
use super::process::{Action, ClientEnds, Sink, carry, status_text};
use super::spdy::{self, Connection, Reset, Stalled, Stream, StreamSender};
use bytes::{Buf, Bytes, BytesMut};
use cri::{AttachStreams, Duplex, ExecSession, TerminalSize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::watch;

/// Upstream's: by then the client has opened its streams.
const OPENING: Duration = Duration::from_secs(30);
/// A window's size in JSON is a few dozen bytes.
const LARGEST_SIZE: usize = 4096;

impl Sink for StreamSender {
    async fn send(&self, data: Bytes) -> Result<(), Gone> {
        StreamSender::send(self, data).await
    }

    async fn finish(&self) -> Result<(), Gone> {
        StreamSender::finish(self).await
    }
}

pub(super) async fn run<IO: Duplex>(
    io: IO,
    version: u8,
    session: ExecSession,
    wanted: AttachStreams,
    action: Action,
) {
    let (driver, connection) = spdy::serve(io, Stalled::Wait);
    tokio::join!(driver, work(connection, version, session, wanted, action));
}

async fn work(
    mut connection: Connection,
    version: u8,
    session: ExecSession,
    wanted: AttachStreams,
    action: Action,
) -> Option<()> {
    let names = expected(wanted, version);
    let mut streams = tokio::time::timeout(OPENING, open(&mut connection, &names)).await.ok()??;
    connection.incoming.close();
    let (sizes, resize) = watch::channel(None);
    let error = streams.remove("error")?;
    let (stdin, resizing) = (streams.remove("stdin"), streams.remove("resize"));
    let mut sender = |name: &str| streams.remove(name).map(|stream| stream.output);
    // what the client would still write
    let open = [&stdin, &resizing].map(|stream| stream.as_ref().map(|stream| stream.output.clone()));
    let ends = ClientEnds {
        stdin: stdin.map(|stream| Box::new(stream.input) as cri::Output),
        stdout: sender("stdout"),
        stderr: sender("stderr"),
        resize,
        gone: connection.gone.clone(),
    };
    let follow = async {
        if let Some(stream) = resizing {
            read_sizes(stream.input, &sizes).await;
        }
        std::future::pending::<()>().await;
    };
    let status = tokio::select! {
        status = carry(session, ends, action) => status?,
        () = follow => return None,
    };
    let text = status_text(&status, version >= 4);
    if !text.is_empty() {
        error.output.send(text).await.ok()?;
    }
    error.output.finish().await.ok()?;
    for stream in open.into_iter().flatten() {
        stream.reset(Reset::Cancel).await.ok()?;
    }
    Some(())
}

/// The streams that the client opens for what it asked for.
fn expected(wanted: AttachStreams, version: u8) -> Vec<&'static str> {
    let each = [
        ("error", true),
        ("stdin", wanted.stdin),
        ("stdout", wanted.stdout),
        ("stderr", wanted.stderr && !wanted.tty),
        ("resize", wanted.tty && version >= 3),
    ];
    each.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name).collect()
}

/// `None` where the client is gone before they are all there.
async fn open(connection: &mut Connection, names: &[&'static str]) -> Option<BTreeMap<&'static str, Stream>> {
    let mut streams = BTreeMap::new();
    while streams.len() < names.len() {
        let stream = connection.incoming.recv().await?;
        let kind = stream.headers.get("streamtype").unwrap_or_default();
        match names.iter().find(|name| **name == kind) {
            Some(name) if !streams.contains_key(name) => {
                streams.insert(*name, stream);
            }
            _ => stream.output.reset(Reset::RefusedStream).await.ok()?,
        }
    }
    Some(streams)
}

/// JSON objects, one after the other.
async fn read_sizes(mut from: DuplexStream, sizes: &watch::Sender<Option<TerminalSize>>) {
    let mut buffer = BytesMut::new();
    while buffer.len() < LARGEST_SIZE
        && let Ok(1..) = from.read_buf(&mut buffer).await
    {
        let mut objects = serde_json::Deserializer::from_slice(&buffer).into_iter::<Value>();
        let mut whole = 0;
        while let Some(Ok(size)) = objects.next() {
            whole = objects.byte_offset();
            let _ = sizes.send(terminal_size(&size));
        }
        buffer.advance(whole);
    }
}

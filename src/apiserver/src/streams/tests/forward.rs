use super::super::channels::{Codec, Protocol};
use super::super::forward_target::ForwardTarget;
use super::super::spdy::{Frame, Reset};
use super::super::websocket::{Tunnel, open};
use super::super::{forward, forward_channels};
use super::*;
use async_trait::async_trait;
use cri::{AttachStreams, CriError, ExecConfig, LogOptions, PodAccess, PodContainer};
use futures::stream::BoxStream;
use futures::{SinkExt, StreamExt};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Its port 80 answers with what it was told, 81 takes nothing, to 82 no connection ever comes about, and others refuse.
#[derive(Default)]
struct Ports {
    silent: Mutex<Vec<DuplexStream>>,
    /// Held by those who connect to 82.
    dialing: Arc<()>,
}

#[async_trait]
impl PodAccess for Ports {
    async fn logs(
        &self,
        _: &PodContainer,
        _: LogOptions,
    ) -> cri::Result<BoxStream<'static, std::io::Result<Bytes>>> {
        Err(CriError::Invalid("not asked here".into()))
    }

    async fn exec(&self, _: &PodContainer, _: ExecConfig) -> cri::Result<ExecSession> {
        Err(CriError::Invalid("not asked here".into()))
    }

    async fn attach(&self, _: &PodContainer, _: AttachStreams) -> cri::Result<ExecSession> {
        Err(CriError::Invalid("not asked here".into()))
    }

    async fn port_forward(&self, _: &str, _: &str, port: u16) -> cri::Result<Box<dyn Duplex>> {
        let (theirs, ours) = tokio::io::duplex(1024);
        match port {
            80 => {
                tokio::spawn(async move {
                    let (mut read, mut write) = tokio::io::split(theirs);
                    tokio::io::copy(&mut read, &mut write).await.unwrap();
                    write.write_all(b"!").await.unwrap();
                });
            }
            81 => self.silent.lock().unwrap().push(theirs),
            82 => {
                let _dialing = self.dialing.clone();
                std::future::pending::<()>().await;
            }
            _ => return Err(CriError::Failed("connection refused".into())),
        }
        Ok(Box::new(ours))
    }
}

fn target() -> ForwardTarget {
    ForwardTarget { namespace: "default".into(), pod: "web".into(), uid: "1-2".into() }
}

fn start() -> (SpdyClient<DuplexStream>, Arc<Ports>, tokio::task::JoinHandle<()>) {
    let ((client, server), ports) = (wire(), Arc::new(Ports::default()));
    let serving = tokio::spawn(forward::run(server, ports.clone(), target()));
    (SpdyClient::new(client), ports, serving)
}

async fn open_pair<IO: Duplex>(client: &mut SpdyClient<IO>, first: u32, port: &str) {
    let request = first.to_string();
    client.open(first, &[("streamtype", "error"), ("port", port), ("requestid", &request)]).await;
    client.data(first, Bytes::new(), true).await;
    client.open(first + 2, &[("streamtype", "data"), ("port", port), ("requestid", &request)]).await;
}

/// Until these streams are finished: what came on each.
async fn finished<IO: Duplex>(client: &mut SpdyClient<IO>, streams: &[u32]) -> HashMap<u32, Vec<u8>> {
    let (mut got, mut open) = (HashMap::<u32, Vec<u8>>::new(), streams.to_vec());
    while !open.is_empty() {
        if let Frame::Data { stream, data, fin } = client.next().await.expect("the connection lives") {
            got.entry(stream).or_default().extend_from_slice(&data);
            open.retain(|one| *one != stream || !fin);
        }
    }
    got
}

#[tokio::test]
async fn two_connections_share_one_line() {
    let (mut client, _, serving) = start();
    open_pair(&mut client, 1, "80").await;
    open_pair(&mut client, 5, "80").await;
    client.data(3, "first", true).await;
    client.data(7, "second", true).await;
    let got = finished(&mut client, &[1, 3, 5, 7]).await;
    assert_eq!((got[&3].as_slice(), got[&7].as_slice()), (&b"first!"[..], &b"second!"[..]));
    assert_eq!((got[&1].len(), got[&5].len()), (0, 0));
    drop(client);
    serving.await.unwrap();
}

#[tokio::test]
async fn a_refused_port_is_told_on_the_error_stream() {
    let (mut client, _, _) = start();
    open_pair(&mut client, 1, "99").await;
    let got = finished(&mut client, &[1, 3]).await;
    let want = "error forwarding port 99 to pod web, uid 1-2: connection refused";
    assert_eq!(String::from_utf8_lossy(&got[&1]), want);
}

#[tokio::test]
async fn streams_without_their_other_half_are_so_many_and_no_more() {
    let (mut client, _, _serving) = start();
    let most = u32::try_from(forward::MOST_LONELY).unwrap();
    for number in 0..=most {
        let request = format!("alone {number}");
        client
            .open(2 * number + 1, &[("streamtype", "error"), ("port", "80"), ("requestid", &request)])
            .await;
    }
    let refused = loop {
        if let Frame::Reset { stream, status } = client.next().await.expect("the connection lives") {
            break (stream, status);
        }
    };
    assert_eq!(refused, (2 * most + 1, Reset::RefusedStream as u32));
    // one that its client takes back makes room
    client.send(Frame::Reset { stream: 1, status: Reset::Cancel as u32 }).await;
    let (error, data) = (2 * most + 3, 2 * most + 5);
    open_pair(&mut client, error, "80").await;
    client.data(data, "x", true).await;
    assert_eq!(finished(&mut client, &[error, data]).await[&data], b"x!");
}

#[tokio::test]
async fn nobody_goes_on_to_dial_for_a_stream_that_was_reset() {
    let (mut client, ports, _serving) = start();
    open_pair(&mut client, 1, "82").await;
    while Arc::strong_count(&ports.dialing) == 1 {
        tokio::task::yield_now().await;
    }
    client.send(Frame::Reset { stream: 3, status: Reset::Cancel as u32 }).await;
    while Arc::strong_count(&ports.dialing) > 1 {
        tokio::task::yield_now().await;
    }
    assert!(finished(&mut client, &[1]).await[&1].is_empty());
}

#[tokio::test]
async fn streams_without_a_number_are_paired_by_their_order() {
    let (mut client, _, _) = start();
    client.open(1, &[("streamtype", "error"), ("port", "80")]).await;
    client.open(3, &[("streamtype", "data"), ("port", "80")]).await;
    client.data(3, "x", true).await;
    assert_eq!(finished(&mut client, &[1, 3]).await[&3], b"x!");
}

#[tokio::test]
async fn senseless_streams_are_reset() {
    let (mut client, _, _) = start();
    for (stream, headers) in [
        (1, vec![("streamtype", "data")]),
        (3, vec![("streamtype", "data"), ("port", "0")]),
        (5, vec![("streamtype", "other"), ("port", "80")]),
    ] {
        client.open(stream, &headers).await;
        assert!(matches!(client.next().await, Some(Frame::Reply { .. })));
        let reset = Frame::Reset { stream, status: Reset::ProtocolError as u32 };
        assert_eq!(client.next().await, Some(reset), "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_port_that_takes_nothing_does_not_block_the_others_for_ever() {
    let (mut client, _, _) = start();
    open_pair(&mut client, 1, "81").await;
    open_pair(&mut client, 5, "80").await;
    for _ in 0..4 {
        assert!(matches!(client.next().await, Some(Frame::Reply { .. })));
    }
    let mut flood = tokio::spawn(async move {
        client.data(3, pattern(1 << 20), false).await;
        client.data(7, "through", true).await;
        client
    });
    let mut client = (&mut flood).await.unwrap();
    let mut reset = None;
    let mut got = Vec::new();
    loop {
        match client.next().await.expect("the connection lives") {
            Frame::Reset { stream, status } => reset = Some((stream, status)),
            Frame::Data { stream: 7, data, fin } => {
                got.extend_from_slice(&data);
                if fin {
                    break;
                }
            }
            _ => {}
        }
    }
    assert_eq!(reset, Some((3, Reset::FlowControl as u32)));
    assert_eq!(got, b"through!");
}

#[tokio::test]
async fn a_reset_and_a_hang_up_end_the_connection_to_the_pod() {
    for reset in [true, false] {
        let (mut client, ports, _) = start();
        open_pair(&mut client, 1, "81").await;
        client.data(3, "a", false).await;
        let mut theirs = loop {
            if let Some(theirs) = ports.silent.lock().unwrap().pop() {
                break theirs;
            }
            tokio::task::yield_now().await;
        };
        let mut byte = [0];
        theirs.read_exact(&mut byte).await.unwrap();
        let kept = match reset {
            true => {
                client.send(Frame::Reset { stream: 3, status: Reset::Cancel as u32 }).await;
                Some(client)
            }
            false => {
                drop(client);
                None
            }
        };
        // a half-close would let it write still
        assert_eq!(theirs.read(&mut byte).await.unwrap(), 0);
        while theirs.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(kept);
    }
}

#[tokio::test]
async fn frames_travel_through_a_websocket() {
    let ((client, server), ports) = (wire(), Arc::new(Ports::default()));
    tokio::spawn(async move { forward::run(Tunnel::new(open(server).await), ports, target()).await });
    let socket = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    let mut client = SpdyClient::new(Tunnel::new(socket));
    open_pair(&mut client, 1, "80").await;
    client.data(3, pattern(300_000), false).await;
    client.data(3, Bytes::new(), true).await;
    let got = finished(&mut client, &[1, 3]).await;
    assert_eq!(got[&3].len(), 300_001);
}

#[tokio::test]
async fn a_plain_websocket_has_two_channels_a_port() {
    let ((client, server), ports) = (wire(), Arc::new(Ports::default()));
    let protocol = Protocol { name: "v4.channel.k8s.io", version: 4, codec: Codec::Binary };
    tokio::spawn(async move {
        forward_channels::run(open(server).await, protocol, &*ports, &target(), &[80, 99]).await;
    });
    let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    client.send(Message::Binary(vec![0, b'h', b'i'].into())).await.unwrap();
    let mut channels = vec![Vec::new(); 4];
    while channels[0].len() < 4 || channels[3].len() < 10 {
        if let Message::Binary(data) = client.next().await.unwrap().unwrap() {
            channels[usize::from(data[0])].extend_from_slice(&data[1..]);
        }
    }
    assert_eq!(channels[0], [&80u16.to_le_bytes()[..], b"hi"].concat());
    assert_eq!(channels[1], 80u16.to_le_bytes());
    assert_eq!(channels[2], 99u16.to_le_bytes());
    assert!(channels[3].ends_with(b": connection refused"));
}

use super::super::channels::{Codec, Protocol};
use super::super::exec_websocket;
use super::super::process::Action;
use super::super::websocket::open;
use super::*;
use futures::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

const V5: Protocol = Protocol { name: "v5.channel.k8s.io", version: 5, codec: Codec::Binary };

async fn start(protocol: Protocol, session: ExecSession, action: Action) -> WebSocketStream<DuplexStream> {
    let (client, server) = wire();
    tokio::spawn(async move { exec_websocket::run(open(server).await, protocol, session, action).await });
    WebSocketStream::from_raw_socket(client, Role::Client, None).await
}

fn binary(channel: u8, data: &[u8]) -> Message {
    Message::Binary([&[channel], data].concat().into())
}

/// By channel all that came, and the code of the close.
async fn rest(
    client: &mut (impl StreamExt<Item = Result<Message, impl std::fmt::Debug>> + Unpin),
) -> (Vec<Vec<u8>>, u16) {
    let (mut channels, mut code) = (vec![Vec::new(); 5], 0);
    while let Some(Ok(message)) = client.next().await {
        match message {
            Message::Binary(data) => channels[usize::from(data[0])].extend_from_slice(&data[1..]),
            Message::Close(Some(frame)) => code = frame.code.into(),
            _ => {}
        }
    }
    (channels, code)
}

#[tokio::test]
async fn stdin_is_closed_by_its_word_and_the_close_is_a_normal_one() {
    let (session, process) = process();
    process.cat(7);
    let mut client = start(V5, session, Action::Exec).await;
    client.send(binary(0, b"hello")).await.unwrap();
    client.send(binary(255, &[0])).await.unwrap();
    let (channels, code) = rest(&mut client).await;
    assert_eq!((channels[1].as_slice(), channels[2].as_slice()), (&b"hello"[..], &b"done"[..]));
    let status = status(&channels[3]);
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"][0]["message"], "7");
    assert_eq!(code, 1000);
}

#[tokio::test]
async fn an_attach_ends_well_whatever_the_code() {
    let (session, process) = process();
    process.cat(7);
    let mut client = start(V5, session, Action::Attach).await;
    client.send(binary(255, &[0])).await.unwrap();
    assert_eq!(status(&rest(&mut client).await.0[3])["status"], "Success");
}

#[tokio::test]
async fn base64_is_text() {
    let protocol = Protocol { name: "v4.base64.channel.k8s.io", version: 4, codec: Codec::Base64 };
    let (session, mut process) = process();
    let mut client = start(protocol, session, Action::Exec).await;
    client.send(Message::Text("0aGk=".into())).await.unwrap();
    client.send(Message::Text("0!not base64".into())).await.unwrap();
    client.send(Message::Text("4eyJXaWR0aCI6ODAsIkhlaWdodCI6MjR9".into())).await.unwrap();
    let mut told = [0; 2];
    process.stdin.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"hi");
    assert_eq!(process.resize.recv().await, Some(TerminalSize { width: 80, height: 24 }));
    process.stdout.write_all(b"out").await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Text("1".into()), "the greeting");
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Text("1b3V0".into()));
}

#[tokio::test]
async fn ten_megabytes_go_in_and_come_out() {
    let (session, process) = process();
    process.cat(0);
    let (mut sink, mut stream) = start(V5, session, Action::Exec).await.split();
    let sent = pattern(10 << 20);
    let all = sent.clone();
    let writer = tokio::spawn(async move {
        for piece in all.chunks(32 * 1024) {
            sink.send(binary(0, piece)).await.unwrap();
        }
        sink.send(binary(255, &[0])).await.unwrap();
        sink
    });
    let (channels, code) = rest(&mut stream).await;
    drop(writer.await.unwrap());
    assert!(channels[1] == sent, "what came out is what went in");
    assert_eq!(code, 1000);
}

#[tokio::test]
async fn input_that_nobody_reads_does_not_hide_the_end() {
    let (session, mut process) = process();
    let (mut sink, mut stream) = start(V5, session, Action::Exec).await.split();
    let writer = tokio::spawn(async move {
        // `yes | kubectl exec -i … head -1`
        while sink.send(binary(0, &[b'y'; 8192])).await.is_ok() {}
    });
    process.stdout.write_all(b"y").await.unwrap();
    drop((process.stdin, process.stdout, process.stderr));
    process.exit.send(Ok(0)).unwrap();
    let (channels, code) = rest(&mut stream).await;
    assert_eq!((channels[1].as_slice(), code), (&b"y"[..], 1000));
    writer.await.unwrap();
}

#[tokio::test]
async fn a_hang_up_drops_the_session() {
    for polite in [true, false] {
        let (session, process) = process();
        let dropped = process.sleep();
        let mut client = start(V5, session, Action::Exec).await;
        if polite {
            client.close(None).await.unwrap();
        }
        drop(client);
        dropped.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_sent_before_a_hang_up_is_still_read() {
    for polite in [true, false] {
        let (session, mut process) = process();
        let mut client = start(V5, session, Action::Exec).await;
        let sent = pattern(200_000);
        client.send(binary(0, &sent)).await.unwrap();
        if polite {
            client.close(None).await.unwrap();
        }
        drop(client);
        // what has been held until now
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let mut read = Vec::new();
        process.stdin.read_to_end(&mut read).await.unwrap();
        assert!(read == sent, "polite: {polite}: {} of {} bytes", read.len(), sent.len());
        process.exit.closed().await;
    }
}

#[tokio::test]
async fn a_piece_may_be_a_mebibyte() {
    let (session, process) = process();
    process.cat(0);
    let (mut sink, mut stream) = start(V5, session, Action::Exec).await.split();
    let sent = pattern(1 << 20);
    let piece = binary(0, &sent);
    let writer = tokio::spawn(async move {
        sink.send(piece).await.unwrap();
        sink.send(binary(255, &[0])).await.unwrap();
        sink
    });
    let (channels, code) = rest(&mut stream).await;
    drop(writer.await.unwrap());
    assert!(channels[1] == sent && code == 1000, "{} bytes, {code}", channels[1].len());
}

#[tokio::test(start_paused = true)]
async fn a_dead_client_is_found_out_behind_stuffed_stdin() {
    let (session, process) = process();
    let dropped = process.sleep();
    let mut client = start(V5, session, Action::Exec).await;
    let stuffing = async { while client.send(binary(0, &pattern(100_000))).await.is_ok() {} };
    assert!(tokio::time::timeout(std::time::Duration::from_secs(5), stuffing).await.is_err());
    drop(client);
    dropped.await.unwrap();
}

#[tokio::test]
async fn a_lost_container_is_an_error_in_the_status() {
    let (session, process) = process();
    let mut client = start(V5, session, Action::Exec).await;
    drop(process);
    let (channels, code) = rest(&mut client).await;
    let message = status(&channels[3])["message"].as_str().unwrap().to_owned();
    assert!(message.contains("error executing command in container: "), "{message}");
    assert_eq!(code, 1000);
}

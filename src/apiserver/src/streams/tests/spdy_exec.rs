use super::super::exec_spdy;
use super::super::process::Action;
use super::super::spdy::{Frame, Headers, Reset};
use super::*;
use serde_json::json;

const ERROR: u32 = 1;
const STDIN: u32 = 3;
const STDOUT: u32 = 5;
const STDERR: u32 = 7;

async fn opened(io: DuplexStream) -> SpdyClient<DuplexStream> {
    let mut client = SpdyClient::new(io);
    for (stream, kind) in [(ERROR, "error"), (STDIN, "stdin"), (STDOUT, "stdout"), (STDERR, "stderr")] {
        client.open(stream, &[("streamtype", kind)]).await;
        assert_eq!(
            client.next().await,
            Some(Frame::Reply { stream, headers: Headers::default(), fin: false })
        );
    }
    client
}

#[tokio::test]
async fn a_process_runs_to_its_end() {
    let ((client, server), (session, process)) = (wire(), process());
    process.cat(3);
    tokio::spawn(exec_spdy::run(server, 4, session, ALL, Action::Exec));
    let mut client = opened(client).await;
    client.data(STDIN, "hello", false).await;
    client.data(STDIN, Bytes::new(), true).await;
    let (streams, others) = client.rest().await;
    assert_eq!(streams[&STDOUT], (b"hello".to_vec(), true));
    assert_eq!(streams[&STDERR], (b"done".to_vec(), true));
    let (text, finished) = &streams[&ERROR];
    let want = json!({"reason": "ExitCode", "message": "3"});
    assert_eq!((status(text)["details"]["causes"][0].clone(), *finished), (want, true));
    let goodbye =
        [Frame::Reset { stream: STDIN, status: Reset::Cancel as u32 }, Frame::GoAway { last: STDERR }];
    assert_eq!(others, goodbye);
}

#[tokio::test]
async fn old_versions_get_a_text() {
    for (version, code, want) in
        [(1, 3, "command terminated with non-zero exit code: exit status 3"), (2, 0, ""), (3, 0, "")]
    {
        let ((client, server), (session, process)) = (wire(), process());
        process.cat(code);
        tokio::spawn(exec_spdy::run(server, version, session, ALL, Action::Exec));
        let mut client = opened(client).await;
        client.data(STDIN, Bytes::new(), true).await;
        let (streams, _) = client.rest().await;
        assert_eq!(String::from_utf8_lossy(&streams[&ERROR].0), want, "version {version}");
    }
}

#[tokio::test]
async fn ten_megabytes_go_in_and_come_out() {
    let ((client, server), (session, process)) = (wire(), process());
    process.cat(0);
    tokio::spawn(exec_spdy::run(server, 4, session, ALL, Action::Exec));
    let SpdyClient { io, mut encoder, decoder, buffer } = opened(client).await;
    let (read, mut write) = tokio::io::split(io);
    let sent = pattern(10 << 20);
    let all = sent.clone();
    let writer = tokio::spawn(async move {
        let mut out = BytesMut::new();
        for piece in all.chunks(40_000) {
            encoder
                .put(&Frame::Data { stream: STDIN, data: all.slice_ref(piece), fin: false }, &mut out)
                .unwrap();
            write.write_all_buf(&mut out).await.unwrap();
        }
        encoder.put(&Frame::Data { stream: STDIN, data: Bytes::new(), fin: true }, &mut out).unwrap();
        write.write_all_buf(&mut out).await.unwrap();
        (write, encoder)
    });
    let io = tokio::io::join(read, tokio::io::sink());
    let mut client = SpdyClient { io, encoder: super::super::spdy::Encoder::new().unwrap(), decoder, buffer };
    let (streams, _) = client.rest().await;
    writer.await.unwrap();
    assert!(streams[&STDOUT].0 == sent, "what came out is what went in");
    assert_eq!(status(&streams[&ERROR].0)["status"], "Success");
}

#[tokio::test]
async fn a_ping_is_echoed_and_a_window_followed() {
    let ((client, server), (session, mut process)) = (wire(), process());
    let wanted = AttachStreams { stdin: true, stdout: true, stderr: false, tty: true };
    tokio::spawn(exec_spdy::run(server, 4, session, wanted, Action::Exec));
    let mut client = SpdyClient::new(client);
    for (stream, kind) in [(1, "error"), (3, "stdin"), (5, "stdout"), (7, "resize")] {
        client.open(stream, &[("streamtype", kind)]).await;
        client.next().await.unwrap();
    }
    client.send(Frame::Ping(9)).await;
    assert_eq!(client.next().await, Some(Frame::Ping(9)));
    client.data(7, "{\"Width\":80,", false).await;
    client.data(7, "\"Height\":24}\n", false).await;
    assert_eq!(process.resize.recv().await, Some(TerminalSize { width: 80, height: 24 }));
}

#[tokio::test]
async fn a_hang_up_drops_the_session_even_while_nobody_reads_stdin() {
    for stuffed in [false, true] {
        let ((client, server), (session, process)) = (wire(), process());
        let dropped = process.sleep();
        let serving = tokio::spawn(exec_spdy::run(server, 4, session, ALL, Action::Exec));
        let mut client = opened(client).await;
        if stuffed {
            // less than what is held for a process, so that all of it is taken
            client.data(STDIN, pattern(100_000), false).await;
        }
        drop(client);
        dropped.await.unwrap();
        serving.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_client_is_found_out_behind_stuffed_stdin() {
    let ((client, server), (session, process)) = (wire(), process());
    let dropped = process.sleep();
    let serving = tokio::spawn(exec_spdy::run(server, 4, session, ALL, Action::Exec));
    let SpdyClient { mut io, mut encoder, .. } = opened(client).await;
    let mut out = BytesMut::new();
    encoder.put(&Frame::Data { stream: STDIN, data: pattern(1 << 20), fin: false }, &mut out).unwrap();
    // more than the wire, the connection and the process take together
    assert!(tokio::time::timeout(std::time::Duration::from_secs(5), io.write_all(&out)).await.is_err());
    drop(io);
    dropped.await.unwrap();
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_opens_no_streams_is_left() {
    let ((client, server), (session, process)) = (wire(), process());
    let dropped = process.sleep();
    tokio::spawn(exec_spdy::run(server, 4, session, ALL, Action::Exec));
    let mut client = SpdyClient::new(client);
    client.open(1, &[("streamtype", "error")]).await;
    client.open(3, &[("streamtype", "error")]).await;
    client.next().await.unwrap();
    client.next().await.unwrap();
    let refused = Frame::Reset { stream: 3, status: Reset::RefusedStream as u32 };
    assert_eq!(client.next().await, Some(refused), "there is one of each");
    dropped.await.unwrap();
    let (_, others) = client.rest().await;
    assert_eq!(others.last(), Some(&Frame::GoAway { last: 3 }));
}

#[tokio::test]
async fn nonsense_ends_the_connection() {
    let ((mut client, server), (session, process)) = (wire(), process());
    let dropped = process.sleep();
    let serving = tokio::spawn(exec_spdy::run(server, 4, session, ALL, Action::Exec));
    client.write_all(&[0x80, 2, 0, 1, 0, 0, 0, 0]).await.unwrap();
    serving.await.unwrap();
    dropped.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_background_process_holds_open_does_not_hold_the_client() {
    let ((client, server), (session, mut process)) = (wire(), process());
    tokio::spawn(exec_spdy::run(server, 4, session, ALL, Action::Exec));
    let mut client = opened(client).await;
    process.stdout.write_all(b"started").await.unwrap();
    process.exit.send(Ok(0)).unwrap();
    let (streams, _) = client.rest().await;
    assert_eq!(streams[&STDOUT], (b"started".to_vec(), true));
    assert_eq!(status(&streams[&ERROR].0)["status"], "Success");
}

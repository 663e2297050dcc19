use super::super::channels::Codec;
use super::super::log_websocket::send;
use super::super::websocket::open;
use super::*;
use futures::{StreamExt, stream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

async fn start(codec: Codec, lines: Vec<&'static str>, goes_on: bool) -> WebSocketStream<DuplexStream> {
    let (client, server) = wire();
    let lines = stream::iter(lines).map(|line| Ok(Bytes::from_static(line.as_bytes())));
    let lines = match goes_on {
        true => lines.chain(stream::pending()).boxed(),
        false => lines.boxed(),
    };
    tokio::spawn(async move { send(open(server).await, codec, lines).await });
    WebSocketStream::from_raw_socket(client, Role::Client, None).await
}

#[tokio::test]
async fn each_piece_is_a_message_in_the_form_of_its_protocol() {
    for (codec, want) in [
        (Codec::Binary, ["b:", "b:one\n", "b:two\n", "close:1000"]),
        (Codec::Base64, ["t:", "t:b25lCg==", "t:dHdvCg==", "close:1000"]),
    ] {
        let client = start(codec, vec!["one\n", "two\n"], false).await;
        let heard: Vec<String> = client
            .filter_map(|message| async {
                Some(match message.ok()? {
                    Message::Binary(data) => format!("b:{}", String::from_utf8_lossy(&data)),
                    Message::Text(text) => format!("t:{text}"),
                    Message::Close(frame) => format!("close:{}", u16::from(frame?.code)),
                    _ => return None,
                })
            })
            .collect()
            .await;
        assert_eq!(heard, want, "{codec:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_log_pings_its_client() {
    let mut client = start(Codec::Binary, Vec::new(), true).await;
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Binary(Bytes::new()));
    assert!(matches!(client.next().await, Some(Ok(Message::Ping(_)))));
}

//! What a client sends over a WebSocket: frames that become messages, and what a message means by each protocol of channels.

#![no_main]

use bytes::Bytes;
use channels::{Codec, ProcessInput, Protocol};
use libfuzzer_sys::fuzz_target;
use std::io::{self, Cursor, Read, Write};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, WebSocket};

// The file by itself: the API server around it takes minutes to build, and it needs nothing of it.
#[allow(dead_code)]
#[path = "../../src/apiserver/src/streams/channels.rs"]
mod channels;

const PROTOCOLS: [Protocol; 4] = [
    Protocol { name: "v5.channel.k8s.io", version: 5, codec: Codec::Binary },
    Protocol { name: "v4.channel.k8s.io", version: 4, codec: Codec::Binary },
    Protocol { name: "v4.base64.channel.k8s.io", version: 4, codec: Codec::Base64 },
    Protocol { name: "base64.channel.k8s.io", version: 1, codec: Codec::Base64 },
];
/// As in the server's own configuration.
const LARGEST: usize = 1 << 20;
const PORTS: usize = 8;

fuzz_target!(|bytes: &[u8]| {
    messages(bytes).into_iter().for_each(judge);
    // chance makes few frames: the same bytes as a message
    judge(Message::Binary(Bytes::copy_from_slice(bytes)));
    if let Ok(text) = std::str::from_utf8(bytes) {
        judge(Message::Text(text.into()));
    }
});

/// What was understood is understood again when it is said in our own words.
fn judge(message: Message) {
    for protocol in PROTOCOLS {
        let again = |channel: u8, data: &[u8]| protocol.process_input(protocol.codec.encode(channel, data));
        match protocol.process_input(message.clone()) {
            Some(ProcessInput::Stdin(data)) => assert_eq!(again(0, &data), Some(ProcessInput::Stdin(data))),
            Some(ProcessInput::StdinEnds) => assert!(protocol.version >= 5),
            Some(ProcessInput::Resize(Some(size))) => {
                let told = format!("{{\"Width\":{},\"Height\":{}}}", size.width, size.height);
                assert_eq!(again(4, told.as_bytes()), Some(ProcessInput::Resize(Some(size))));
            }
            Some(ProcessInput::Resize(None)) | None => {}
        }
        if let Some((port, data)) = protocol.port_input(message.clone(), PORTS) {
            let channel = u8::try_from(2 * port).expect("one of few ports");
            assert_eq!(protocol.port_input(protocol.codec.encode(channel, &data), PORTS), Some((port, data)));
        }
    }
}

fn messages(wire: &[u8]) -> Vec<Message> {
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(LARGEST);
    config.max_frame_size = Some(LARGEST);
    let mut socket = WebSocket::from_raw_socket(Client(Cursor::new(wire)), Role::Server, Some(config));
    std::iter::from_fn(|| socket.read().ok()).collect()
}

/// Has sent all that it will send, and takes every answer.
struct Client<'w>(Cursor<&'w [u8]>);

impl Read for Client<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Client<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

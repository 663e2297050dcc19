//! The channel protocols over WebSocket, `v5.channel.k8s.io` with its elders and `portforward.k8s.io`: how a message says its
//! channel, and what one of a client's means. Pure, and without the rest of the server: `fuzz` compiles this file alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use cri::TerminalSize;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

const STDIN: u8 = 0;
pub(super) const STDOUT: u8 = 1;
pub(super) const STDERR: u8 = 2;
pub(super) const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// Followed by the number of the channel that the client closes; since version 5.
const CLOSE: u8 = 255;

/// A sub-protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(super) name: &'static str,
    pub(super) version: u8,
    pub(super) codec: Codec,
}

/// How a message says its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// The first byte is the number.
    Binary,
    /// The first character is the digit, the rest base64.
    Base64,
}

/// What a client has for the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProcessInput {
    Stdin(Bytes),
    StdinEnds,
    /// `None` for a size that can not be read.
    Resize(Option<TerminalSize>),
}

impl Codec {
    pub(super) fn encode(self, channel: u8, data: &[u8]) -> Message {
        match self {
            Codec::Binary => {
                let mut message = Vec::with_capacity(data.len() + 1);
                message.push(channel);
                message.extend_from_slice(data);
                Message::Binary(message.into())
            }
            Codec::Base64 => {
                let mut message = String::with_capacity(data.len() / 3 * 4 + 8);
                message.push(char::from(b'0'.wrapping_add(channel)));
                STANDARD.encode_string(data, &mut message);
                Message::Text(message.into())
            }
        }
    }

    /// `None` for what is none of its messages.
    pub(super) fn decode(self, message: Message) -> Option<(u8, Bytes)> {
        let mut data = match message {
            Message::Binary(data) => data,
            Message::Text(text) => Bytes::from(text),
            _ => return None,
        };
        let channel = *data.first()?;
        data.advance(1);
        match self {
            Codec::Binary => Some((channel, data)),
            Codec::Base64 => Some((channel.checked_sub(b'0')?, STANDARD.decode(&data).ok()?.into())),
        }
    }
}

impl Protocol {
    /// `None` for what says nothing to a process: it is passed over, as upstream does.
    pub(super) fn process_input(self, message: Message) -> Option<ProcessInput> {
        match self.codec.decode(message)? {
            (STDIN, data) => Some(ProcessInput::Stdin(data)),
            (CLOSE, which) if self.version >= 5 && which.first() == Some(&STDIN) => {
                Some(ProcessInput::StdinEnds)
            }
            (RESIZE, data) => {
                let size = serde_json::from_slice::<Value>(&data).ok();
                Some(ProcessInput::Resize(size.as_ref().and_then(terminal_size)))
            }
            _ => None,
        }
    }

    /// Which of `ports` forwarded ports is sent something, and what. Each has two channels, of which a client writes to the first.
    pub(super) fn port_input(self, message: Message, ports: usize) -> Option<(usize, Bytes)> {
        let (channel, data) = self.codec.decode(message)?;
        let port = usize::from(channel) / 2;
        (channel.is_multiple_of(2) && port < ports).then_some((port, data))
    }
}

/// `{"Width":80,"Height":24}`, in whatever case Go would take.
pub(super) fn terminal_size(size: &Value) -> Option<TerminalSize> {
    let field = |name: &str| {
        let fields = size.as_object()?;
        let (_, value) = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        value.as_u64().and_then(|n| u16::try_from(n).ok())
    };
    Some(TerminalSize { width: field("width")?, height: field("height")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V5: Protocol = Protocol { name: "v5.channel.k8s.io", version: 5, codec: Codec::Binary };
    const V4_BASE64: Protocol =
        Protocol { name: "v4.base64.channel.k8s.io", version: 4, codec: Codec::Base64 };

    fn binary(bytes: &'static [u8]) -> Message {
        Message::Binary(Bytes::from_static(bytes))
    }

    fn text(text: &str) -> Message {
        Message::Text(text.into())
    }

    fn stdin(bytes: &'static [u8]) -> Option<ProcessInput> {
        Some(ProcessInput::Stdin(Bytes::from_static(bytes)))
    }

    #[test]
    fn what_a_client_says_to_a_process() {
        let size = |width, height| Some(ProcessInput::Resize(Some(TerminalSize { width, height })));
        let v4 = Protocol { version: 4, ..V5 };
        for (name, protocol, message, want) in [
            ("input", V5, binary(b"\0ls\n"), stdin(b"ls\n")),
            ("a browser may send text", V5, text("\0ls"), stdin(b"ls")),
            ("an empty piece", V5, binary(b"\0"), stdin(b"")),
            ("the end of input", V5, binary(b"\xff\0"), Some(ProcessInput::StdinEnds)),
            ("the end of another channel", V5, binary(b"\xff\x01"), None),
            ("the end of nothing", V5, binary(b"\xff"), None),
            ("which the fourth version has not", v4, binary(b"\xff\0"), None),
            ("a size", V5, binary(b"\x04{\"Width\":80,\"height\":24}"), size(80, 24)),
            (
                "a size beyond any",
                V5,
                binary(b"\x04{\"Width\":65536,\"Height\":1}"),
                Some(ProcessInput::Resize(None)),
            ),
            ("a size that is none", V5, binary(b"\x04["), Some(ProcessInput::Resize(None))),
            ("a process's own channel", V5, binary(b"\x01x"), None),
            ("nothing at all", V5, binary(b""), None),
            ("a ping", V5, Message::Ping(Bytes::new()), None),
            ("base64", V4_BASE64, text("0bHMK"), stdin(b"ls\n")),
            ("base64 in a binary message", V4_BASE64, binary(b"0bHMK"), stdin(b"ls\n")),
            ("no base64", V4_BASE64, text("0b!"), None),
            ("no digit", V4_BASE64, text("\0bHMK"), None),
        ] {
            assert_eq!(protocol.process_input(message), want, "{name}");
        }
    }

    #[test]
    fn what_a_client_sends_to_ports() {
        for (name, message, want) in [
            ("the first", binary(b"\0a"), Some((0, Bytes::from_static(b"a")))),
            ("the second", binary(b"\x02b"), Some((1, Bytes::from_static(b"b")))),
            ("one that is not forwarded", binary(b"\x04c"), None),
            ("an error's channel", binary(b"\x01d"), None),
        ] {
            assert_eq!(V5.port_input(message, 2), want, "{name}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for codec in [Codec::Binary, Codec::Base64] {
            for channel in [STDIN, STDOUT, STDERR, ERROR, RESIZE] {
                let read = codec.decode(codec.encode(channel, b"a\0\xff"));
                assert_eq!(read, Some((channel, Bytes::from_static(b"a\0\xff"))), "{codec:?} {channel}");
            }
        }
    }
}

//! Output without a terminal: a head of eight bytes tells the stream and the length of what follows.

use crate::api_version::Version;
use bytes::{BufMut, Bytes, BytesMut};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout = 1,
    Stderr = 2,
}

pub(crate) const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
pub(crate) const RAW: &str = "application/vnd.docker.raw-stream";

/// `[stream, 0, 0, 0, length as u32 BE]` and the data; a terminal's output goes as it is.
pub(crate) fn encode(stream: Stream, data: &[u8], tty: bool) -> Bytes {
    if tty {
        return Bytes::copy_from_slice(data);
    }
    let mut frame = BytesMut::with_capacity(8 + data.len());
    frame.put_slice(&[stream as u8, 0, 0, 0]);
    frame.put_u32(data.len() as u32);
    frame.put_slice(data);
    frame.freeze()
}

/// Frames have a name of their own since 1.42; clients that ask for less were written before.
pub(crate) fn content_type(tty: bool, version: Version) -> &'static str {
    if tty || version < (1, 42) { RAW } else { MULTIPLEXED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_streams() {
        for (tty, version, want) in [
            (true, (1, 51), RAW),
            (false, (1, 51), MULTIPLEXED),
            (false, (1, 42), MULTIPLEXED),
            (false, (1, 41), RAW),
        ] {
            assert_eq!(content_type(tty, version), want, "{tty} {version:?}");
        }
    }

    #[test]
    fn frames() {
        assert_eq!(&encode(Stream::Stdout, b"ab", false)[..], b"\x01\0\0\0\0\0\0\x02ab");
        assert_eq!(&encode(Stream::Stderr, &[b'x'; 300], false)[..8], b"\x02\0\0\0\0\0\x01\x2c");
        assert_eq!(&encode(Stream::Stderr, b"ab", true)[..], b"ab");
    }
}

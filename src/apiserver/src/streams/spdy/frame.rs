//! Frames of SPDY/3.1 (section 2.2 and 2.6 of its draft), read piece by piece and written whole.

use super::headers::{Deflater, HeaderError, Headers, Inflater};
use bytes::{Buf, BufMut, Bytes, BytesMut};

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const VERSION: u16 = 3;
const CONTROL: u32 = 1 << 31;
const FIN: u8 = 1;
const HEAD: usize = 8;
/// No control frame of a client of ours comes near.
const LARGEST_CONTROL: usize = 64 * 1024;

/// Why a stream was reset (section 2.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Reset {
    ProtocolError = 1,
    RefusedStream = 3,
    Cancel = 5,
    FlowControl = 7,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Open {
        stream: u32,
        headers: Headers,
        fin: bool,
    },
    Reply {
        stream: u32,
        headers: Headers,
        fin: bool,
    },
    Reset {
        stream: u32,
        status: u32,
    },
    Ping(u32),
    GoAway {
        last: u32,
    },
    /// As much of it as is there; `fin` is on the last piece.
    Data {
        stream: u32,
        data: Bytes,
        fin: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error(transparent)]
    Headers(#[from] HeaderError),
    #[error("control frame of {0} bytes: the most is {LARGEST_CONTROL}")]
    TooLarge(usize),
    #[error("control frame of version {0}, not {VERSION}")]
    Version(u16),
    #[error("control frame of type {0} is too short")]
    Short(u16),
}

pub(crate) struct Decoder {
    inflate: Inflater,
    data: Option<Pending>,
}

/// A data frame whose head has been read.
struct Pending {
    stream: u32,
    left: usize,
    fin: bool,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Decoder { inflate: Inflater::new(), data: None }
    }

    /// Takes the next frame off `buffer`; `None` while it is not there. Frames that say nothing to us are skipped.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some(pending) = self.data.take() {
                return Ok(self.piece(pending, buffer));
            }
            let Some(head) = buffer.first_chunk::<HEAD>() else { return Ok(None) };
            let first = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
            let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
            let fin = head[4] & FIN != 0;
            if first & CONTROL == 0 {
                buffer.advance(HEAD);
                self.data = Some(Pending { stream: first, left: length, fin });
                continue;
            }
            let (version, kind) = ((first >> 16) as u16 & 0x7fff, first as u16);
            if version != VERSION {
                return Err(FrameError::Version(version));
            }
            if length > LARGEST_CONTROL {
                return Err(FrameError::TooLarge(length));
            }
            if buffer.len() < HEAD + length {
                return Ok(None);
            }
            buffer.advance(HEAD);
            let body = buffer.split_to(length);
            if let Some(frame) = self.control(kind, fin, &body)? {
                return Ok(Some(frame));
            }
        }
    }

    fn piece(&mut self, pending: Pending, buffer: &mut BytesMut) -> Option<Frame> {
        let here = pending.left.min(buffer.len());
        if here == 0 && pending.left > 0 {
            self.data = Some(pending);
            return None;
        }
        let data = buffer.split_to(here).freeze();
        let Pending { stream, left, fin } = pending;
        if here < left {
            self.data = Some(Pending { stream, left: left - here, fin });
        }
        Some(Frame::Data { stream, data, fin: fin && here == left })
    }

    fn control(&mut self, kind: u16, fin: bool, body: &[u8]) -> Result<Option<Frame>, FrameError> {
        let word = |at: usize| -> Result<u32, FrameError> {
            let bytes =
                body.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(FrameError::Short(kind))?;
            Ok(u32::from_be_bytes(*bytes))
        };
        let stream = || Ok::<_, FrameError>(word(0)? & !CONTROL);
        let block = |at: usize| body.get(at..).ok_or(FrameError::Short(kind));
        Ok(Some(match kind {
            SYN_STREAM => Frame::Open { stream: stream()?, headers: self.inflate.block(block(10)?)?, fin },
            SYN_REPLY => Frame::Reply { stream: stream()?, headers: self.inflate.block(block(4)?)?, fin },
            RST_STREAM => Frame::Reset { stream: stream()?, status: word(4)? },
            PING => Frame::Ping(word(0)?),
            GOAWAY => Frame::GoAway { last: stream()? },
            HEADERS => {
                // nothing in it matters here, but the next block depends on it
                self.inflate.block(block(4)?)?;
                return Ok(None);
            }
            _ => return Ok(None),
        }))
    }
}

pub(crate) struct Encoder(Deflater);

impl Encoder {
    pub(crate) fn new() -> Result<Self, FrameError> {
        Ok(Encoder(Deflater::new()?))
    }

    pub(crate) fn put(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<(), FrameError> {
        match frame {
            Frame::Open { stream, headers, fin } => {
                let block = self.0.block(headers)?;
                // no stream that this one belongs to, the highest priority, no slot
                put_control(out, SYN_STREAM, *fin, &[&stream.to_be_bytes(), &[0; 6], &block]);
            }
            Frame::Reply { stream, headers, fin } => {
                let block = self.0.block(headers)?;
                put_control(out, SYN_REPLY, *fin, &[&stream.to_be_bytes(), &block]);
            }
            Frame::Reset { stream, status } => {
                put_control(out, RST_STREAM, false, &[&stream.to_be_bytes(), &status.to_be_bytes()]);
            }
            Frame::Ping(id) => put_control(out, PING, false, &[&id.to_be_bytes()]),
            Frame::GoAway { last } => put_control(out, GOAWAY, false, &[&last.to_be_bytes(), &[0; 4]]),
            Frame::Data { stream, data, fin } => {
                out.put_u32(*stream);
                put_flags(out, *fin, data.len());
                out.put_slice(data);
            }
        }
        Ok(())
    }
}

fn put_control(out: &mut BytesMut, kind: u16, fin: bool, parts: &[&[u8]]) {
    out.put_u32(CONTROL | u32::from(VERSION) << 16 | u32::from(kind));
    put_flags(out, fin, parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| out.put_slice(part));
}

fn put_flags(out: &mut BytesMut, fin: bool, length: usize) {
    out.put_u32(if fin { u32::from(FIN) << 24 } else { 0 } | length as u32);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn frames() -> Vec<Frame> {
        vec![
            Frame::Open { stream: 1, headers: headers(&[("streamtype", "error")]), fin: false },
            Frame::Open { stream: 3, headers: headers(&[("streamtype", "stdin")]), fin: false },
            Frame::Reply { stream: 1, headers: headers(&[]), fin: true },
            Frame::Ping(7),
            Frame::Data { stream: 3, data: Bytes::from_static(b"hello"), fin: false },
            Frame::Data { stream: 3, data: Bytes::new(), fin: true },
            Frame::Reset { stream: 3, status: Reset::Cancel as u32 },
            Frame::GoAway { last: 3 },
        ]
    }

    fn decode_all(decoder: &mut Decoder, buffer: &mut BytesMut, into: &mut Vec<Frame>) {
        while let Some(frame) = decoder.next(buffer).unwrap() {
            match (into.last_mut(), frame) {
                // pieces of one data frame are put together again
                (
                    Some(Frame::Data { stream, data, fin: end @ false }),
                    Frame::Data { stream: same, data: more, fin },
                ) if *stream == same && !(more.is_empty() && fin) => {
                    *data = Bytes::from([&data[..], &more[..]].concat());
                    *end = fin;
                }
                (_, frame) => into.push(frame),
            }
        }
    }

    #[test]
    fn frames_come_back_however_they_are_cut() {
        for step in [1, 3, 8, 1000] {
            let (mut encoder, mut wire) = (Encoder::new().unwrap(), BytesMut::new());
            frames().iter().for_each(|frame| encoder.put(frame, &mut wire).unwrap());
            let (mut decoder, mut buffer, mut got) = (Decoder::new(), BytesMut::new(), Vec::new());
            for piece in wire.chunks(step) {
                buffer.extend_from_slice(piece);
                decode_all(&mut decoder, &mut buffer, &mut got);
            }
            assert_eq!(got, frames(), "in pieces of {step}");
        }
    }

    /// Written by another implementation of zlib: two streams as a port-forward opens them.
    #[test]
    fn frames_of_others_are_read() {
        let hex = "800300010000003f0000000100000000000078f9e3c6a7c202253a50ca0a2e294a4dcc851625aca9a08006a5fc80fc22700eb0\
                   30b03000d29cd068cc04256f460300000000ffff800300010000001800000003000000000000c2aa19540e2512d60b000000ffff";
        let wire: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let (mut decoder, mut buffer) = (Decoder::new(), BytesMut::from(wire.as_slice()));
        for (stream, kind) in [(1, "error"), (3, "data")] {
            let headers = headers(&[("streamtype", kind), ("port", "8080"), ("requestid", "0")]);
            assert_eq!(decoder.next(&mut buffer), Ok(Some(Frame::Open { stream, headers, fin: false })));
        }
        assert!(buffer.is_empty());
    }

    #[test]
    fn unknown_control_frames_are_skipped() {
        let mut wire = BytesMut::new();
        put_control(&mut wire, 4, false, &[&[0, 0, 0, 0]]);
        put_control(&mut wire, 9, false, &[&[0; 8]]);
        put_control(&mut wire, PING, false, &[&[0, 0, 0, 1]]);
        assert_eq!(Decoder::new().next(&mut wire), Ok(Some(Frame::Ping(1))));
    }

    #[test]
    fn nonsense_is_refused() {
        let cases: [(&str, &[u8], FrameError); 3] = [
            ("HTTP/2's version", &[0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1], FrameError::Version(2)),
            ("a huge block", &[0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff], FrameError::TooLarge(0xff_ffff)),
            ("a short reset", &[0x80, 3, 0, 3, 0, 0, 0, 4, 0, 0, 0, 1], FrameError::Short(RST_STREAM)),
        ];
        for (name, wire, want) in cases {
            assert_eq!(Decoder::new().next(&mut BytesMut::from(wire)), Err(want), "{name}");
        }
    }
}

//! Frames of SPDY: the same however they are cut, and what was read is read again when it is sent.

#![no_main]

use bytes::{Bytes, BytesMut};
use frame::{Decoder, Encoder, Frame, FrameError};
use libfuzzer_sys::fuzz_target;

// The two files by themselves: the API server around them takes minutes to build, and they need nothing of it.
#[allow(dead_code)]
#[path = "../../src/apiserver/src/streams/spdy/frame.rs"]
mod frame;
#[allow(dead_code)]
#[path = "../../src/apiserver/src/streams/spdy/headers.rs"]
mod headers;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, wire)) = bytes.split_first() else { return };
    let (whole, why) = decode(wire, wire.len().max(1));
    assert_eq!(decode(wire, usize::from(*cut).max(1)), (whole.clone(), why));
    let (mut encoder, mut out) = (Encoder::new().expect("an encoder"), BytesMut::new());
    // bytes that are no UTF-8 become three times as many
    let sent: Vec<Frame> = whole.into_iter().filter(|frame| size(frame) < 16 << 10).collect();
    sent.iter().for_each(|frame| encoder.put(frame, &mut out).expect("what was read can be sent"));
    assert_eq!(decode(&out, out.len().max(1)), (joined(sent), None));
});

fn decode(wire: &[u8], step: usize) -> (Vec<Frame>, Option<FrameError>) {
    let (mut decoder, mut buffer, mut frames) = (Decoder::new(), BytesMut::new(), Vec::new());
    for piece in wire.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(why) => return (joined(frames), Some(why)),
            }
        }
    }
    (joined(frames), None)
}

/// Pieces of data one behind the other are as good as one.
fn joined(frames: Vec<Frame>) -> Vec<Frame> {
    let mut all: Vec<Frame> = Vec::new();
    for frame in frames {
        match (all.last_mut(), frame) {
            (Some(Frame::Data { stream, data, fin }), Frame::Data { stream: same, data: more, fin: end })
                if *stream == same && !*fin =>
            {
                *data = Bytes::from([&data[..], &more[..]].concat());
                *fin = end;
            }
            (_, frame) => all.push(frame),
        }
    }
    all
}

fn size(frame: &Frame) -> usize {
    match frame {
        Frame::Open { headers, .. } | Frame::Reply { headers, .. } => {
            headers.0.iter().map(|(name, value)| name.len() + value.len() + 8).sum()
        }
        _ => 0,
    }
}

//! For `fuzz/fuzz_targets/dns.rs`.

use crate::cache::{Cache, Key};
use crate::exchange::{Question, accept};
use crate::forward::reply_of;
use crate::wire::{Incoming, MOST_UDP, Reply, Transport, read};
use hickory_proto::op::{Message, ResponseCode};
use std::time::{Duration, Instant};

/// A client's packet, and what a server upstream says to it. The first two bytes say how long the packet is.
///
/// # Panics
/// Where the answer is none, or too long, or of another question.
pub fn packets(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let (packet, upstream) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
    for (transport, most) in [(Transport::Udp, MOST_UDP), (Transport::Tcp, u16::MAX)] {
        let (request, reply) = match read(packet) {
            Incoming::Drop => return,
            Incoming::Refuse(request, code) => (request, Reply::error(code)),
            Incoming::Ask(request, query) => {
                let question = Question {
                    query,
                    dnssec_ok: request.edns.is_some_and(|edns| edns.dnssec_ok),
                    checking_disabled: request.checking_disabled,
                    with_edns: true,
                };
                (request, heard(upstream, question))
            }
        };
        let answer = request.encode(&reply, transport).expect("what does not fit is left out");
        assert!(answer.len() <= usize::from(most), "{} bytes", answer.len());
        assert_eq!(answer[..2], packet[..2], "the client knows its answer by the id");
        assert_eq!(answer[2] & 0x80, 0x80, "a response, or two servers would talk for ever");
        Message::from_vec(&answer).expect("what was written can be read");
    }
}

/// As from the cache a moment later.
fn heard(upstream: &[u8], question: Question) -> Reply {
    let id = upstream.first_chunk::<2>().map_or(0, |id| u16::from_be_bytes(*id));
    let accepted = accept(upstream, &question, id);
    // seldom does chance repeat the question
    let Some(message) = accepted.or_else(|| Message::from_vec(upstream).ok()) else {
        return Reply::error(ResponseCode::ServFail);
    };
    let reply = reply_of(message);
    let key = Key {
        query: question.query,
        dnssec_ok: question.dnssec_ok,
        checking_disabled: question.checking_disabled,
    };
    let (mut cache, now) = (Cache::default(), Instant::now());
    cache.learn(key.clone(), &reply, now);
    match cache.lookup(&key, now + Duration::from_secs(1)) {
        crate::cache::Lookup::Known(known) => known,
        _ => reply,
    }
}

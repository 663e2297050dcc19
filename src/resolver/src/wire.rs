//! Between bytes and meaning, for the side that faces the clients.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Record, RecordType};
use rand::seq::SliceRandom;

/// Fits one Ethernet frame over IPv6 whatever lies between (DNS flag day 2020).
pub(crate) const MOST_UDP: u16 = 1232;
/// RFC 1035, 4.2.1: what a client without EDNS takes.
const LEAST_UDP: u16 = 512;
const HEADER: usize = 12;
/// A pointer to its name, type, class, time to live, length.
const LEAST_RECORD: usize = 12;
/// Where a packet has its first flags, and which says that it is not all (RFC 1035, section 4.1.1).
const FLAGS: usize = 2;
const TRUNCATED: u8 = 0b10;

/// A question that can be answered.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    id: u16,
    op_code: OpCode,
    recursion_desired: bool,
    pub(crate) checking_disabled: bool,
    /// `None` only where the packet has no question that can be repeated.
    query: Option<Query>,
    pub(crate) edns: Option<ClientEdns>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientEdns {
    payload: u16,
    pub(crate) dnssec_ok: bool,
}

/// What is said to a question, before it is known how much of it fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub code: ResponseCode,
    pub authoritative: bool,
    /// An upstream has validated it.
    pub authentic: bool,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
    pub additionals: Vec<Record>,
}

/// How much of an answer is of use. There may be a hundred thousand records of a name, and a question is a packet of forty bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Records: so many do not fit, and the client is told that there are more.
    pub records: usize,
    /// Where to begin among more than these: any number, so that each record has its turn.
    pub turn: usize,
}

/// What to do with a packet.
pub(crate) enum Incoming {
    Ask(Request, Query),
    Refuse(Request, ResponseCode),
    /// A response, or less than a header: whoever sent it waits for nothing.
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

impl Reply {
    pub fn error(code: ResponseCode) -> Self {
        Reply {
            code,
            authoritative: false,
            authentic: false,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
        }
    }
}

pub(crate) fn read(packet: &[u8]) -> Incoming {
    let is_query = packet.len() >= HEADER && packet[2] & 0x80 == 0;
    if !is_query {
        return Incoming::Drop;
    }
    match Message::from_vec(packet) {
        Ok(message) if message.metadata.message_type == MessageType::Query => judge(message),
        Ok(_) => Incoming::Drop,
        Err(_) => Incoming::Refuse(header_only(packet), ResponseCode::FormErr),
    }
}

fn header_only(packet: &[u8]) -> Request {
    Request {
        id: u16::from_be_bytes([packet[0], packet[1]]),
        op_code: OpCode::from_u8((packet[2] >> 3) & 0x0f),
        recursion_desired: packet[2] & 1 == 1,
        checking_disabled: false,
        query: None,
        edns: None,
    }
}

fn judge(mut message: Message) -> Incoming {
    let meta = message.metadata;
    let version = message.edns.as_ref().map_or(0, Edns::version);
    let edns = message
        .edns
        .as_ref()
        .map(|edns| ClientEdns { payload: edns.max_payload(), dnssec_ok: edns.flags().dnssec_ok });
    let questions = message.queries.len();
    let request = Request {
        id: meta.id,
        op_code: meta.op_code,
        recursion_desired: meta.recursion_desired,
        checking_disabled: meta.checking_disabled,
        query: message.queries.pop().filter(|_| questions == 1),
        edns,
    };
    if meta.op_code != OpCode::Query {
        return Incoming::Refuse(request, ResponseCode::NotImp);
    }
    let Some(query) = request.query.clone() else {
        return Incoming::Refuse(request, ResponseCode::FormErr);
    };
    if version != 0 {
        return Incoming::Refuse(request, ResponseCode::BADVERS);
    }
    let transfer = matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR);
    if transfer || query.query_class() != DNSClass::IN {
        return Incoming::Refuse(request, ResponseCode::Refused);
    }
    Incoming::Ask(request, query)
}

impl Request {
    /// The packet for the client; `None` where not even the head can be encoded.
    pub(crate) fn encode(&self, reply: &Reply, transport: Transport) -> Option<Vec<u8>> {
        let mut message = self.message(reply);
        shuffle(&mut message.answers);
        fit(message, self.limit(transport))
    }

    /// More need not be made for this client.
    pub(crate) fn most(&self, transport: Transport) -> Most {
        Most {
            records: self.limit(transport) / LEAST_RECORD + 1,
            turn: usize::try_from(rand::random::<u32>()).unwrap_or_default(),
        }
    }

    fn limit(&self, transport: Transport) -> usize {
        let payload = self.edns.map_or(LEAST_UDP, |edns| edns.payload.clamp(LEAST_UDP, MOST_UDP));
        usize::from(if transport == Transport::Tcp { u16::MAX } else { payload })
    }

    fn message(&self, reply: &Reply) -> Message {
        let mut message = Message::response(self.id, self.op_code);
        message.metadata.recursion_desired = self.recursion_desired;
        message.metadata.recursion_available = true;
        message.metadata.checking_disabled = self.checking_disabled;
        message.metadata.authoritative = reply.authoritative;
        message.metadata.authentic_data = reply.authentic;
        message.metadata.response_code = reply.code;
        message.queries.extend(self.query.clone());
        message.answers.clone_from(&reply.answers);
        message.authorities.clone_from(&reply.authorities);
        message.additionals.clone_from(&reply.additionals);
        if let Some(client) = self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(MOST_UDP).set_version(0).set_dnssec_ok(client.dnssec_ok);
            message.edns = Some(edns);
        }
        message
    }
}

/// Leaves out what is too much. What is only additional goes unsaid (RFC 2181, section 9); of the answers as many stay
/// as fit, since some resolvers (musl before 1.2.4) never come back over TCP.
fn fit(mut message: Message, limit: usize) -> Option<Vec<u8>> {
    let encode = |message: &Message| {
        let packet = message.to_vec().ok().filter(|packet| packet.len() <= limit)?;
        // of more than 65,535 bytes the encoder leaves out the end, and says in the packet that it did: too much as well
        let is_cut = packet.get(FLAGS).is_some_and(|flags| flags & TRUNCATED != 0);
        (!is_cut || message.metadata.truncation).then_some(packet)
    };
    if let Some(packet) = encode(&message) {
        return Some(packet);
    }
    message.additionals.clear();
    if let Some(packet) = encode(&message) {
        return Some(packet);
    }
    message.metadata.truncation = true;
    message.authorities.clear();
    // over TCP the encoder finds out how many by itself
    if limit >= usize::from(u16::MAX)
        && let Some(packet) = encode(&message)
    {
        return Some(packet);
    }
    let mut answers = std::mem::take(&mut message.answers);
    answers.truncate(limit / LEAST_RECORD);
    let mut best = encode(&message)?;
    let (mut fits, mut beyond) = (0, answers.len() + 1);
    while beyond - fits > 1 {
        let some = fits.midpoint(beyond);
        message.answers = answers[..some].to_vec();
        match encode(&message) {
            Some(packet) => (fits, best) = (some, packet),
            None => beyond = some,
        }
    }
    Some(best)
}

/// A client takes the first address: each gets another one. Aliases stay before what they lead to.
fn shuffle(answers: &mut [Record]) {
    let turns = |record: &Record| {
        matches!(record.record_type(), RecordType::A | RecordType::AAAA | RecordType::SRV | RecordType::MX)
    };
    let Some(first) = answers.iter().position(turns) else { return };
    let end = answers.iter().rposition(turns).map_or(first, |last| last + 1);
    if answers[first..end].iter().all(turns) {
        answers[first..end].shuffle(&mut rand::rng());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    /// `SEED=… cargo test` shows again what failed once.
    fn seeded() -> StdRng {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
        println!("SEED={seed}");
        StdRng::seed_from_u64(seed)
    }

    fn survive(packet: &[u8]) {
        for transport in [Transport::Udp, Transport::Tcp] {
            match read(packet) {
                Incoming::Drop => {}
                Incoming::Ask(request, _) | Incoming::Refuse(request, _) => {
                    let answer = request.encode(&Reply::error(ResponseCode::ServFail), transport);
                    let answer = answer.expect("a bare reply fits");
                    assert_eq!(answer[..2], packet[..2], "the client knows its answer by the id");
                    assert_eq!(answer[2] & 0x80, 0x80, "a response, or two servers would talk for ever");
                }
            }
        }
    }

    fn query() -> Vec<u8> {
        let mut message = Message::query();
        let name = hickory_proto::rr::Name::from_ascii("_http._tcp.web.default.svc.cluster.local.").unwrap();
        message.queries.push(Query::query(name, RecordType::SRV));
        message.edns = Some(Edns::new());
        message.to_vec().unwrap()
    }

    #[test]
    fn what_is_not_made_does_not_fit() {
        for (payload, transport, want) in [
            (None, Transport::Udp, 43),
            (Some(4096), Transport::Udp, 103),
            (Some(0), Transport::Udp, 43),
            (Some(512), Transport::Tcp, 5462),
        ] {
            let edns = payload.map(|payload| ClientEdns { payload, dnssec_ok: false });
            let Incoming::Ask(request, query) = read(&query()) else { panic!("it is a question") };
            let request = Request { edns, ..request };
            let most = request.most(transport).records;
            assert_eq!(most, want, "{payload:?} {transport:?}");
            let address = hickory_proto::rr::RData::A(hickory_proto::rr::rdata::A::new(192, 0, 2, 1));
            let record = Record::from_rdata(query.name().clone(), 10, address);
            let reply = Reply { answers: vec![record; most], ..Reply::error(ResponseCode::NoError) };
            let packet = request.encode(&reply, transport).unwrap();
            assert!(Message::from_vec(&packet).unwrap().metadata.truncation, "{payload:?} {transport:?}");
        }
    }

    /// A client that has asked over TCP already, and hears that it is not all, may take it for no answer.
    #[test]
    fn what_is_only_additional_goes_unsaid_over_tcp() {
        let Incoming::Ask(request, query) = read(&query()) else { panic!("it is a question") };
        let address = hickory_proto::rr::RData::A(hickory_proto::rr::rdata::A::new(192, 0, 2, 1));
        let record = Record::from_rdata(query.name().clone(), 10, address);
        for (answers, is_all) in [(1000, true), (5000, false)] {
            let records = vec![record.clone(); answers];
            let reply = Reply {
                answers: records.clone(),
                additionals: records,
                ..Reply::error(ResponseCode::NoError)
            };
            let packet = request.encode(&reply, Transport::Tcp).unwrap();
            let told = Message::from_vec(&packet).unwrap();
            assert_eq!(told.metadata.truncation, !is_all, "{answers}");
            assert_eq!(told.answers.len() == answers, is_all, "{} of {answers}", told.answers.len());
            assert!(told.additionals.is_empty() && told.answers.len() >= 1000, "{answers}");
        }
    }

    #[test]
    fn no_bytes_are_a_panic() {
        let mut random = seeded();
        for _ in 0..20_000 {
            let length = random.random_range(0..80);
            let mut packet = vec![0; length];
            random.fill(packet.as_mut_slice());
            survive(&packet);
        }
    }

    #[test]
    fn no_damage_to_a_good_packet_is_a_panic() {
        let mut random = seeded();
        for _ in 0..20_000 {
            let mut packet = query();
            for _ in 0..random.random_range(1..5) {
                let at = random.random_range(0..packet.len());
                packet[at] = random.random();
            }
            packet.truncate(random.random_range(0..=packet.len()));
            survive(&packet);
        }
    }
}

//! What others said a moment ago, and what they are being asked right now.

use crate::wire::Reply;
use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// However long a record says that it lives: a name that moves is seen soon.
const LONGEST: Duration = Duration::from_secs(30);
/// RFC 9520: what could not be resolved is not asked again with each packet.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
const MOST_ENTRIES: usize = 4096;
const MOST_RECORDS: usize = 64;
/// Of an entry: with their number it bounds the whole, to 16 MiB.
const LARGEST_ENTRY: u16 = 4096;

/// Who asks the same gets the same. Names compare without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) query: Query,
    pub(crate) dnssec_ok: bool,
    pub(crate) checking_disabled: bool,
}

pub(crate) type Waiting = watch::Receiver<Option<Arc<Reply>>>;

#[derive(Default)]
pub(crate) struct Cache {
    known: HashMap<Key, Entry>,
    asked: HashMap<Key, Waiting>,
}

/// An answer as it comes over the wire: a byte of it can be many once it is read (an empty string of a TXT record is sixteen), and
/// how many is the choice of whoever owns the name.
struct Entry {
    code: ResponseCode,
    authoritative: bool,
    authentic: bool,
    packed: Box<[u8]>,
    /// How many of it are answers, authorities and additionals.
    records: [usize; 3],
    since: Instant,
    until: Instant,
}

pub(crate) enum Lookup {
    Known(Reply),
    Asked(Waiting),
    Unknown,
}

impl Cache {
    pub(crate) fn lookup(&self, key: &Key, now: Instant) -> Lookup {
        let entry = self.known.get(key).filter(|entry| entry.until > now);
        if let Some(reply) = entry.and_then(|entry| entry.aged(now)) {
            return Lookup::Known(reply);
        }
        self.asked.get(key).map_or(Lookup::Unknown, |waiting| Lookup::Asked(waiting.clone()))
    }

    pub(crate) fn ask(&mut self, key: Key, waiting: Waiting) {
        self.asked.insert(key, waiting);
    }

    /// Whoever asked is done, with or without an answer.
    pub(crate) fn asked_no_more(&mut self, key: &Key) {
        self.asked.remove(key);
    }

    pub(crate) fn learn(&mut self, key: Key, reply: &Reply, now: Instant) {
        let life = lifetime(reply);
        let records = [reply.answers.len(), reply.authorities.len(), reply.additionals.len()];
        if life.is_zero() || records.iter().sum::<usize>() > MOST_RECORDS {
            return;
        }
        let Some(packed) = packed(reply) else { return };
        if self.known.len() >= MOST_ENTRIES {
            self.make_room(now);
        }
        let &Reply { code, authoritative, authentic, .. } = reply;
        let entry = Entry { code, authoritative, authentic, packed, records, since: now, until: now + life };
        self.known.insert(key, entry);
    }

    /// A quarter at once, so that a full cache is not walked with each new name.
    fn make_room(&mut self, now: Instant) {
        self.known.retain(|_, entry| entry.until > now);
        let mut surplus = self.known.len().saturating_sub(MOST_ENTRIES * 3 / 4);
        self.known.retain(|_, _| {
            let goes = surplus > 0;
            surplus = surplus.saturating_sub(1);
            !goes
        });
    }
}

impl Entry {
    fn aged(&self, now: Instant) -> Option<Reply> {
        let age = u32::try_from(now.duration_since(self.since).as_secs()).unwrap_or(u32::MAX);
        let mut decoder = BinDecoder::new(&self.packed);
        let mut section = |records: usize| -> Option<Vec<Record>> {
            let mut section = Vec::with_capacity(records);
            for _ in 0..records {
                let mut record: Record = Record::read(&mut decoder).ok()?;
                record.ttl = record.ttl.saturating_sub(age);
                section.push(record);
            }
            Some(section)
        };
        let [answers, authorities, additionals] = self.records;
        let (answers, authorities, additionals) =
            (section(answers)?, section(authorities)?, section(additionals)?);
        let Entry { code, authoritative, authentic, .. } = *self;
        Some(Reply { code, authoritative, authentic, answers, authorities, additionals })
    }
}

/// `None` for what is too large to be kept.
fn packed(reply: &Reply) -> Option<Box<[u8]>> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(LARGEST_ENTRY);
    for record in reply.answers.iter().chain(&reply.authorities).chain(&reply.additionals) {
        record.emit(&mut encoder).ok()?;
    }
    Some(bytes.into_boxed_slice())
}

fn lifetime(reply: &Reply) -> Duration {
    let seconds = match reply.code {
        ResponseCode::NoError if !reply.answers.is_empty() => reply.answers.iter().map(|r| r.ttl).min(),
        // RFC 2308, section 5
        ResponseCode::NoError | ResponseCode::NXDomain => reply.authorities.iter().find_map(negative),
        _ => return AFTER_FAILURE,
    };
    Duration::from_secs(seconds.unwrap_or(0).into()).min(LONGEST)
}

fn negative(record: &Record) -> Option<u32> {
    match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::rdata::{A, CNAME, NS, TXT};
    use hickory_proto::rr::{Name, RecordType};

    fn key(name: &str) -> Key {
        let query = Query::query(Name::from_ascii(name).unwrap(), RecordType::A);
        Key { query, dnssec_ok: false, checking_disabled: false }
    }

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn address(ttl: u32) -> Record {
        Record::from_rdata(name("a.example."), ttl, RData::A(A::new(192, 0, 2, 1)))
    }

    fn reply(ttl: u32) -> Reply {
        Reply { answers: vec![address(ttl)], ..Reply::error(ResponseCode::NoError) }
    }

    fn ttl_at(cache: &Cache, name: &str, now: Instant) -> Option<u32> {
        match cache.lookup(&key(name), now) {
            Lookup::Known(reply) => Some(reply.answers.first().map_or(0, |record| record.ttl)),
            _ => None,
        }
    }

    #[test]
    fn what_is_known_ages_and_is_forgotten() {
        let (mut cache, start) = (Cache::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        cache.learn(key("a.example."), &reply(10), start);
        cache.learn(key("long.example."), &reply(3600), start);
        cache.learn(key("never.example."), &reply(0), start);
        cache.learn(key("broken.example."), &Reply::error(ResponseCode::ServFail), start);
        assert_eq!(ttl_at(&cache, "A.EXAMPLE.", after(4)), Some(6));
        assert_eq!(ttl_at(&cache, "a.example.", after(10)), None);
        assert_eq!(ttl_at(&cache, "long.example.", after(29)), Some(3571));
        assert_eq!(ttl_at(&cache, "long.example.", after(30)), None);
        assert_eq!(ttl_at(&cache, "never.example.", start), None);
        assert_eq!(ttl_at(&cache, "broken.example.", start), Some(0));
        assert_eq!(ttl_at(&cache, "broken.example.", after(1)), None);
    }

    #[test]
    fn what_is_known_is_what_was_said() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let alias = Record::from_rdata(name("www.example."), 20, RData::CNAME(CNAME(name("a.example."))));
        let text = TXT::from_bytes(vec![&b""[..], b"\xff", b"b"]);
        let server = name("ns.example.");
        let said = Reply {
            code: ResponseCode::NoError,
            authoritative: false,
            authentic: true,
            answers: vec![alias, address(10), Record::from_rdata(name("a.example."), 30, RData::TXT(text))],
            authorities: vec![Record::from_rdata(name("example."), 60, RData::NS(NS(server.clone())))],
            additionals: vec![Record::from_rdata(server, 60, RData::A(A::new(192, 0, 2, 2)))],
        };
        cache.learn(key("www.example."), &said, now);
        let Lookup::Known(known) = cache.lookup(&key("www.example."), now) else { panic!("it is not known") };
        assert_eq!(known, said);
    }

    #[test]
    fn what_is_large_is_not_kept() {
        let texts = |strings: usize| {
            let text = TXT::from_bytes(vec![&b""[..]; strings]);
            Record::from_rdata(name("a.example."), 10, RData::TXT(text))
        };
        let servers = |count: usize| {
            let server = Record::from_rdata(name("example."), 10, RData::NS(NS(name("ns.example."))));
            vec![server; count]
        };
        for (case, answer, authorities, is_kept) in [
            ("an answer", address(10), vec![], true),
            ("strings", texts(4000), vec![], true),
            ("many strings", texts(65_000), vec![], false),
            ("as many beside it", address(10), vec![texts(65_000)], false),
            ("authorities", address(10), servers(MOST_RECORDS - 1), true),
            ("more authorities", address(10), servers(MOST_RECORDS), false),
        ] {
            let (mut cache, now) = (Cache::default(), Instant::now());
            let large = Reply { answers: vec![answer], authorities, ..Reply::error(ResponseCode::NoError) };
            cache.learn(key("a.example."), &large, now);
            assert_eq!(ttl_at(&cache, "a.example.", now).is_some(), is_kept, "{case}");
        }
    }

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for number in 0..MOST_ENTRIES * 2 {
            cache.learn(key(&format!("n{number}.example.")), &reply(10), now);
            assert!(cache.known.len() <= MOST_ENTRIES);
        }
        let last = format!("n{}.example.", MOST_ENTRIES * 2 - 1);
        assert_eq!(ttl_at(&cache, &last, now), Some(10));
    }
}

//! What others said a moment ago, and what they are being asked right now.

use crate::wire::Reply;
use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{RData, Record};
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

struct Entry {
    reply: Arc<Reply>,
    since: Instant,
    until: Instant,
}

pub(crate) enum Lookup {
    Known(Reply),
    Asked(Waiting),
    Unknown,
}

impl Cache {
    pub(crate) fn look(&self, key: &Key, now: Instant) -> Lookup {
        if let Some(entry) = self.known.get(key).filter(|entry| entry.until > now) {
            return Lookup::Known(entry.aged(now));
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

    pub(crate) fn learn(&mut self, key: Key, reply: Arc<Reply>, now: Instant) {
        let life = lifetime(&reply);
        if life.is_zero() || reply.answers.len() + reply.additionals.len() > MOST_RECORDS {
            return;
        }
        if self.known.len() >= MOST_ENTRIES {
            self.make_room(now);
        }
        self.known.insert(key, Entry { reply, since: now, until: now + life });
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
    fn aged(&self, now: Instant) -> Reply {
        let age = u32::try_from(now.duration_since(self.since).as_secs()).unwrap_or(u32::MAX);
        let mut reply = Reply::clone(&self.reply);
        for section in [&mut reply.answers, &mut reply.authorities, &mut reply.additionals] {
            for record in section {
                record.ttl = record.ttl.saturating_sub(age);
            }
        }
        reply
    }
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
    use hickory_proto::rr::{Name, RecordType};

    fn key(name: &str) -> Key {
        let query = Query::query(Name::from_ascii(name).unwrap(), RecordType::A);
        Key { query, dnssec_ok: false, checking_disabled: false }
    }

    fn reply(ttl: u32) -> Arc<Reply> {
        let data = RData::A(hickory_proto::rr::rdata::A::new(192, 0, 2, 1));
        let answers = vec![Record::from_rdata(Name::from_ascii("a.example.").unwrap(), ttl, data)];
        Arc::new(Reply { answers, ..Reply::error(ResponseCode::NoError) })
    }

    fn ttl_at(cache: &Cache, name: &str, now: Instant) -> Option<u32> {
        match cache.look(&key(name), now) {
            Lookup::Known(reply) => Some(reply.answers.first().map_or(0, |record| record.ttl)),
            _ => None,
        }
    }

    #[test]
    fn what_is_known_ages_and_is_forgotten() {
        let (mut cache, start) = (Cache::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        cache.learn(key("a.example."), reply(10), start);
        cache.learn(key("long.example."), reply(3600), start);
        cache.learn(key("never.example."), reply(0), start);
        cache.learn(key("broken.example."), Arc::new(Reply::error(ResponseCode::ServFail)), start);
        assert_eq!(ttl_at(&cache, "A.EXAMPLE.", after(4)), Some(6));
        assert_eq!(ttl_at(&cache, "a.example.", after(10)), None);
        assert_eq!(ttl_at(&cache, "long.example.", after(29)), Some(3571));
        assert_eq!(ttl_at(&cache, "long.example.", after(30)), None);
        assert_eq!(ttl_at(&cache, "never.example.", start), None);
        assert_eq!(ttl_at(&cache, "broken.example.", start), Some(0));
        assert_eq!(ttl_at(&cache, "broken.example.", after(1)), None);
    }

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for number in 0..MOST_ENTRIES * 2 {
            cache.learn(key(&format!("n{number}.example.")), reply(10), now);
            assert!(cache.known.len() <= MOST_ENTRIES);
        }
        let last = format!("n{}.example.", MOST_ENTRIES * 2 - 1);
        assert_eq!(ttl_at(&cache, &last, now), Some(10));
    }
}

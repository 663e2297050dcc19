//! Puts together what the source knows and what others say. Read [`Source`], then [`Resolver::resolve`].

use crate::exchange::Question;
use crate::forward::Forwarder;
use crate::shares::Client;
use crate::wire::{Most, Reply, Request};
use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{Name, Record};

/// Whoever knows names by itself.
pub trait Source: Send + Sync + 'static {
    /// All that can be said without asking anybody. It is found where packets are read, so that it must be found soon, whatever is known
    /// of the name: `most` says how much of it is of use.
    fn first(&self, query: &Query, most: Most) -> Step;
}

pub struct Resolver {
    source: Box<dyn Source>,
    forwarder: Option<Forwarder>,
}

/// How far the source's own records lead.
pub enum Step {
    Done(Reply),
    /// The rest is known to others; the aliases so far lead there.
    Ask {
        aliases: Vec<Record>,
        name: Name,
    },
}

impl Resolver {
    /// Without a forwarder nobody else is asked, and a name that the source does not know can not be resolved.
    pub fn new(source: impl Source, forwarder: Option<Forwarder>) -> Self {
        Resolver { source: Box::new(source), forwarder }
    }

    pub(crate) fn first(&self, query: &Query, most: Most) -> Step {
        self.source.first(query, most)
    }

    /// The rest of it.
    pub(crate) async fn resolve(
        &self,
        request: &Request,
        query: &Query,
        aliases: Vec<Record>,
        name: Name,
        client: Client,
    ) -> Reply {
        let mut asked = Query::query(name, query.query_type());
        asked.set_query_class(query.query_class());
        let question = Question {
            query: asked,
            dnssec_ok: request.edns.is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: request.checking_disabled,
            with_edns: request.edns.is_some(),
        };
        let theirs = match &self.forwarder {
            Some(forwarder) => forwarder.resolve(question, client).await,
            None => Reply::error(ResponseCode::ServFail),
        };
        if aliases.is_empty() { restore_case(theirs, query.name()) } else { behind(aliases, theirs) }
    }
}

/// A reply of one's own records.
pub fn own(
    code: ResponseCode,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    additionals: Vec<Record>,
) -> Reply {
    Reply { code, authoritative: true, authentic: false, answers, authorities, additionals }
}

/// Where others can not be asked, the alias alone is the answer, as CoreDNS has it: it is true, and the client may
/// know its target.
fn behind(aliases: Vec<Record>, theirs: Reply) -> Reply {
    let known = matches!(theirs.code, ResponseCode::NoError | ResponseCode::NXDomain);
    let theirs = if known { theirs } else { Reply::error(ResponseCode::NoError) };
    let answers = aliases.into_iter().chain(theirs.answers).collect();
    Reply { answers, authoritative: true, authentic: false, ..theirs }
}

/// One answer is shared by clients that wrote the name differently; some compare it with what they sent.
fn restore_case(mut reply: Reply, asked: &Name) -> Reply {
    for record in &mut reply.answers {
        if record.name == *asked {
            record.name = asked.clone();
        }
    }
    reply
}

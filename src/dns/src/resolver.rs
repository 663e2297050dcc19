//! Puts together what the cluster knows and what others say. Read [`Resolver::first`], then [`Resolver::resolve`].

use crate::answer::Answer;
use crate::exchange::Question;
use crate::forward::Forwarder;
use crate::records::Records;
use crate::wire::{Reply, Request};
use arc_swap::ArcSwap;
use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use std::sync::Arc;

/// An alias of an alias of …: longer chains are loops.
const MOST_ALIASES: usize = 8;

pub(crate) struct Resolver {
    records: Arc<ArcSwap<Records>>,
    forwarder: Forwarder,
}

/// How far the cluster's own records lead.
pub(crate) enum Step {
    Done(Reply),
    /// The rest is known to others; the aliases so far lead there.
    Ask {
        aliases: Vec<Record>,
        name: Name,
    },
}

impl Resolver {
    pub(crate) fn new(records: Arc<ArcSwap<Records>>, forwarder: Forwarder) -> Self {
        Resolver { records, forwarder }
    }

    /// All that can be said without asking anybody.
    pub(crate) fn first(&self, query: &Query) -> Step {
        follow_aliases(&self.records.load(), query)
    }

    /// The rest of it.
    pub(crate) async fn resolve(
        &self,
        request: &Request,
        query: &Query,
        aliases: Vec<Record>,
        name: Name,
    ) -> Reply {
        let mut asked = Query::query(name, query.query_type());
        asked.set_query_class(query.query_class());
        let question = Question {
            query: asked,
            dnssec_ok: request.edns.is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: request.checking_disabled,
            with_edns: request.edns.is_some(),
        };
        let theirs = self.forwarder.resolve(question).await;
        if aliases.is_empty() { restore_case(theirs, query.name()) } else { behind(aliases, theirs) }
    }
}

fn follow_aliases(records: &Records, query: &Query) -> Step {
    let mut aliases = Vec::new();
    let mut name = query.name().clone();
    while aliases.len() < MOST_ALIASES {
        match records.answer(&name, query.query_type()) {
            None => return Step::Ask { aliases, name },
            Some(Answer::Alias { record, target }) => {
                aliases.push(record);
                if query.query_type() == RecordType::CNAME {
                    return Step::Done(own(ResponseCode::NoError, aliases, Vec::new(), Vec::new()));
                }
                name = target;
            }
            Some(Answer::Found { answers, additionals }) => {
                aliases.extend(answers);
                return Step::Done(own(ResponseCode::NoError, aliases, Vec::new(), additionals));
            }
            Some(Answer::NoData { soa }) => {
                return Step::Done(own(ResponseCode::NoError, aliases, vec![soa], Vec::new()));
            }
            // RFC 6604: the code is that of the last name
            Some(Answer::NxDomain { soa }) => {
                return Step::Done(own(ResponseCode::NXDomain, aliases, vec![soa], Vec::new()));
            }
        }
    }
    Step::Done(Reply::error(ResponseCode::ServFail))
}

fn own(
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

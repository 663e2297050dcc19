//! From a question to the cluster's records, by the aliases that lie on the way.

use crate::answer::Answer;
use crate::records::Records;
use arc_swap::ArcSwap;
use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::RecordType;
use resolver::{Most, Reply, Source, Step, own};
use std::sync::Arc;

/// An alias of an alias of …: longer chains are loops.
const MOST_ALIASES: usize = 8;

/// The records as they are at the moment of the question.
pub(crate) struct Follow(pub(crate) Arc<ArcSwap<Records>>);

impl Source for Follow {
    fn first(&self, query: &Query, most: Most) -> Step {
        follow_aliases(&self.0.load(), query, most)
    }
}

fn follow_aliases(records: &Records, query: &Query, most: Most) -> Step {
    let mut aliases = Vec::new();
    let mut name = query.name().clone();
    while aliases.len() < MOST_ALIASES {
        match records.answer(&name, query.query_type(), most) {
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

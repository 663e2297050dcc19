//! `etcdserverpb` and `mvccpb`, as far as we speak it: etcd's `rpc.proto` and `kv.proto` of API version 3.

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Header {
    #[prost(int64, tag = "3")]
    pub(crate) revision: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// etcd's revision of its newest change.
    #[prost(int64, tag = "3")]
    pub mod_revision: i64,
    #[prost(bytes = "vec", tag = "5")]
    pub value: Vec<u8>,
    #[prost(int64, tag = "6")]
    pub lease: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    /// The first key behind the range; without it the one key.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) range_end: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub(crate) limit: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    pub(crate) kvs: Vec<KeyValue>,
    #[prost(bool, tag = "3")]
    pub(crate) more: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub(crate) lease: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DeleteRangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) range_end: Vec<u8>,
}

/// What we need not know: the answer to a put or a delete.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Nothing {}

/// One operation of a transaction. No key may be written by two of them.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Op {
    #[prost(oneof = "Request", tags = "1, 2, 3")]
    request: Option<Request>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Request {
    #[prost(message, tag = "1")]
    Range(RangeRequest),
    #[prost(message, tag = "2")]
    Put(PutRequest),
    #[prost(message, tag = "3")]
    Delete(DeleteRangeRequest),
}

impl Op {
    pub fn get(key: &[u8]) -> Op {
        Op { request: Some(Request::Range(RangeRequest { key: key.to_vec(), ..Default::default() })) }
    }

    pub fn put(key: Vec<u8>, value: Vec<u8>) -> Op {
        Op { request: Some(Request::Put(PutRequest { key, value, lease: 0 })) }
    }

    /// It goes with the lease.
    pub fn put_leased(key: Vec<u8>, value: Vec<u8>, lease: i64) -> Op {
        Op { request: Some(Request::Put(PutRequest { key, value, lease })) }
    }

    pub fn delete(key: Vec<u8>) -> Op {
        Op { request: Some(Request::Delete(DeleteRangeRequest { key, range_end: Vec::new() })) }
    }

    /// All keys that begin so.
    pub fn delete_prefix(prefix: &[u8]) -> Op {
        let (key, range_end) = (prefix.to_vec(), end_of(prefix));
        Op { request: Some(Request::Delete(DeleteRangeRequest { key, range_end })) }
    }

    /// What it writes: the key, and the value where it is not deleted. `None` for a range.
    pub fn written(&self) -> Option<(&[u8], Option<&[u8]>)> {
        match self.request.as_ref()? {
            Request::Put(put) => Some((&put.key, Some(&put.value))),
            Request::Delete(delete) if delete.range_end.is_empty() => Some((&delete.key, None)),
            Request::Delete(_) | Request::Range(_) => None,
        }
    }

    /// About what it weighs in a request, in bytes.
    pub fn weight(&self) -> usize {
        prost::Message::encoded_len(self)
    }
}

/// The first key behind all that begin with `prefix`.
pub(crate) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0] // etcd's word for "to the end"
}

/// What must hold for a transaction to take place.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Compare {
    #[prost(int32, tag = "1")]
    result: i32,
    #[prost(int32, tag = "2")]
    target: i32,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    #[prost(oneof = "With", tags = "6")]
    with: Option<With>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum With {
    #[prost(int64, tag = "6")]
    ModRevision(i64),
}

const EQUAL: i32 = 0;
const MOD: i32 = 2;

impl Compare {
    /// Nobody has changed it since; 0 where there must be none.
    pub fn changed_at(key: &[u8], revision: i64) -> Compare {
        Compare { result: EQUAL, target: MOD, key: key.to_vec(), with: Some(With::ModRevision(revision)) }
    }
}

/// `then` where all of `when` hold, else `otherwise`: at once, or not at all.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Transaction {
    #[prost(message, repeated, tag = "1")]
    pub when: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    pub then: Vec<Op>,
    #[prost(message, repeated, tag = "3")]
    pub otherwise: Vec<Op>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TransactionResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<Header>,
    #[prost(bool, tag = "2")]
    pub(crate) succeeded: bool,
    #[prost(message, repeated, tag = "3")]
    pub(crate) responses: Vec<OpResponse>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OpResponse {
    #[prost(oneof = "Response", tags = "1, 2, 3")]
    pub(crate) response: Option<Response>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Response {
    #[prost(message, tag = "1")]
    Range(RangeResponse),
    #[prost(message, tag = "2")]
    Put(Nothing),
    #[prost(message, tag = "3")]
    Delete(Nothing),
}

/// How a transaction went.
#[derive(Debug, Clone, PartialEq)]
pub struct TransactionReply {
    /// Whether `then` was done.
    pub succeeded: bool,
    /// etcd's revision after it.
    pub revision: i64,
    /// One for each operation that was done.
    pub replies: Vec<Reply>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Written,
    Found(Vec<KeyValue>),
}

impl From<TransactionResponse> for TransactionReply {
    fn from(response: TransactionResponse) -> Self {
        let reply = |op: OpResponse| match op.response {
            Some(Response::Range(range)) => Reply::Found(range.kvs),
            _ => Reply::Written,
        };
        TransactionReply {
            succeeded: response.succeeded,
            revision: response.header.map_or(0, |header| header.revision),
            replies: response.responses.into_iter().map(reply).collect(),
        }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CompactionRequest {
    #[prost(int64, tag = "1")]
    pub(crate) revision: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LeaseGrantRequest {
    /// Seconds.
    #[prost(int64, tag = "1")]
    pub(crate) ttl: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LeaseGrantResponse {
    #[prost(int64, tag = "2")]
    pub(crate) id: i64,
}

/// Also a `LeaseRevokeRequest`, a `LeaseKeepAliveRequest` and a `LeaseTimeToLiveRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LeaseRequest {
    #[prost(int64, tag = "1")]
    pub(crate) id: i64,
}

/// Also a `LeaseTimeToLiveResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LeaseResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<Header>,
    /// Seconds; 0 or less where it has run out.
    #[prost(int64, tag = "3")]
    pub(crate) ttl: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_behind_all_that_begins_with_it() {
        let cases: [(&[u8], &[u8]); 4] =
            [(b"/a/", b"/a0"), (b"a\xff", b"b"), (b"\xff\xff", b"\0"), (b"", b"\0")];
        for (prefix, want) in cases {
            assert_eq!(end_of(prefix), want, "{prefix:?}");
        }
    }

    /// As protoc encodes it: a comparison with 0 must not look like one without a value.
    #[test]
    fn a_transaction_is_encoded_as_etcd_reads_it() {
        use prost::Message;
        let transaction = Transaction {
            when: vec![Compare::changed_at(b"k", 0)],
            then: vec![Op::put(b"k".to_vec(), b"v".to_vec())],
            otherwise: vec![Op::get(b"k")],
        };
        let compare = [0x10, 2, 0x1a, 1, b'k', 0x30, 0];
        let put = [0x12, 6, 0x0a, 1, b'k', 0x12, 1, b'v'];
        let get = [0x0a, 3, 0x0a, 1, b'k'];
        let parts: [(u8, &[u8]); 3] = [(0x0a, &compare), (0x12, &put), (0x1a, &get)];
        let want: Vec<u8> =
            parts.iter().flat_map(|(tag, part)| [&[*tag, part.len() as u8], *part].concat()).collect();
        assert_eq!(transaction.encode_to_vec(), want);
    }
}

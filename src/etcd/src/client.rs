//! The calls to an etcd cluster. They go to one endpoint until that one fails, and then to the next, until the caller's time is
//! over.

use crate::channel::{Channel, words};
use crate::proto::{
    CompactionRequest, LeaseGrantRequest, LeaseGrantResponse, LeaseRequest, LeaseResponse, Nothing,
    RangeRequest, RangeResponse, Transaction, TransactionReply, TransactionResponse, end_of,
};
use crate::{Credentials, Endpoint, KeyValue};
use futures::StreamExt;
use http::uri::{PathAndQuery, Uri};
use parking_lot::Mutex;
use prost::Message;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::client::Grpc;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// One that does not answer in this time is passed over for the next.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// etcd itself gives up a proposal after five seconds and twice an election.
const ANSWER_PATIENCE: Duration = Duration::from_secs(7);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A page of [`Client::page`] at its largest: as many objects as it has, each as large as etcd takes one.
const LARGEST_ANSWER: usize = 512 << 20;
const PAGE: i64 = 256;

/// Why a request came to nothing. What it asked for may have been done all the same, but for `Refused`.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No endpoint answered in time.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The quota of its database is used up.
    #[error("{0}")]
    Full(String),
    /// It was understood, and not done.
    #[error("{0}")]
    Refused(String),
}

/// Asks one endpoint as long as it answers, and then the next. Needs a runtime of tokio around it.
pub struct Client {
    endpoints: Vec<Endpoint>,
    credentials: Credentials,
    at: Mutex<At>,
}

/// The endpoint that is asked, and the connection to it.
struct At {
    endpoint: usize,
    channel: Option<Channel>,
}

/// What an endpoint said that leaves the next one to ask.
struct Failed(String);

impl Client {
    /// Connects when it is first asked something.
    ///
    /// # Panics
    /// Where there is no endpoint.
    pub fn new(endpoints: Vec<Endpoint>, credentials: Credentials) -> Client {
        assert!(!endpoints.is_empty(), "etcd is somewhere");
        Client { endpoints, credentials, at: Mutex::new(At { endpoint: 0, channel: None }) }
    }

    /// # Errors
    /// [`Error`]; where there is no answer, it may have taken place.
    pub async fn transact(
        &self,
        transaction: Transaction,
        until: Instant,
    ) -> Result<TransactionReply, Error> {
        self.ask("/etcdserverpb.KV/Txn", transaction, until).await.map(TransactionResponse::into)
    }

    /// Some of the keys that begin with `prefix`, from `from` on, in order, and whether there are more behind them.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn page(
        &self,
        prefix: &[u8],
        from: &[u8],
        until: Instant,
    ) -> Result<(Vec<KeyValue>, bool), Error> {
        let request = RangeRequest { key: from.to_vec(), range_end: end_of(prefix), limit: PAGE };
        let page: RangeResponse = self.ask("/etcdserverpb.KV/Range", request, until).await?;
        Ok((page.kvs, page.more))
    }

    /// Forgets what was before etcd's revision: in all of etcd, not only in our part of it.
    ///
    /// # Errors
    /// [`Error`]; also where somebody did so already.
    pub async fn compact(&self, revision: i64, until: Instant) -> Result<(), Error> {
        let request = CompactionRequest { revision };
        self.ask("/etcdserverpb.KV/Compact", request, until).await.map(|Nothing {}| ())
    }

    /// A lease that runs out when it is not kept alive for so long.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn grant(&self, ttl: Duration, until: Instant) -> Result<i64, Error> {
        let request = LeaseGrantRequest { ttl: ttl.as_secs().cast_signed() };
        let lease: LeaseGrantResponse = self.ask("/etcdserverpb.Lease/LeaseGrant", request, until).await?;
        Ok(lease.id)
    }

    /// Gives the lease up, and what hangs on it.
    ///
    /// # Errors
    /// [`Error`]; also where it is gone already.
    pub async fn revoke(&self, lease: i64, until: Instant) -> Result<(), Error> {
        let request = LeaseRequest { id: lease };
        self.ask("/etcdserverpb.Lease/LeaseRevoke", request, until).await.map(|Nothing {}| ())
    }

    /// How long the lease has left; `None` where it has run out.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn left_of(&self, lease: i64, until: Instant) -> Result<Option<Duration>, Error> {
        let request = LeaseRequest { id: lease };
        let answer: LeaseResponse = self.ask("/etcdserverpb.Lease/LeaseTimeToLive", request, until).await?;
        Ok(u64::try_from(answer.ttl).ok().filter(|ttl| *ttl > 0).map(Duration::from_secs))
    }

    /// Keeps the lease alive for as long as it was granted for. etcd's revision; `None` where it has run out.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn keep_alive(&self, lease: i64, until: Instant) -> Result<Option<i64>, Error> {
        // a stream in etcd's protocol; one of a single message is as good and can not hang
        let path = "/etcdserverpb.Lease/LeaseKeepAlive";
        let request = LeaseRequest { id: lease };
        let answer: LeaseResponse = self.ask_as(Call::FirstOfStream, path, request, until).await?;
        let revision = answer.header.map_or(0, |header| header.revision);
        Ok((answer.ttl > 0).then_some(revision))
    }

    async fn ask<Q, A>(&self, path: &'static str, question: Q, until: Instant) -> Result<A, Error>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        self.ask_as(Call::Unary, path, question, until).await
    }

    /// Goes round the endpoints until one answers or the time is over.
    async fn ask_as<Q, A>(
        &self,
        call: Call,
        path: &'static str,
        question: Q,
        until: Instant,
    ) -> Result<A, Error>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut said: BTreeMap<usize, String> = BTreeMap::new();
        let mut pause = FIRST_PAUSE;
        loop {
            for _ in 0..self.endpoints.len() {
                let (endpoint, channel) = self.channel(until).await;
                let Failed(why) = match channel {
                    Err(why) => Failed(why),
                    Ok(channel) => {
                        let answer = call.make(self.grpc(channel.clone(), endpoint), path, question.clone());
                        let patience = (Instant::now() + ANSWER_PATIENCE).min(until);
                        match timeout_at(patience, answer).await {
                            Ok(Ok(answer)) => return Ok(answer),
                            Ok(Err(status)) => {
                                let Failed(said) = worth_another(status)?;
                                Failed(channel.why(said).await)
                            }
                            Err(_) => Failed("it does not answer".to_owned()),
                        }
                    }
                };
                self.pass_over(endpoint);
                said.insert(endpoint, why);
                if Instant::now() >= until {
                    return Err(self.no_answer(&said));
                }
            }
            if Instant::now() + pause >= until {
                return Err(self.no_answer(&said));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn no_answer(&self, said: &BTreeMap<usize, String>) -> Error {
        let each = said.iter().map(|(endpoint, why)| format!("{}: {why}", self.endpoints[*endpoint]));
        Error::NoAnswer(each.collect::<Vec<_>>().join("; "))
    }

    fn grpc(&self, channel: Channel, endpoint: usize) -> Grpc<Channel> {
        let endpoint = self.endpoints[endpoint].to_string();
        let origin = Uri::try_from(endpoint).unwrap_or_else(|_| Uri::from_static("http://localhost"));
        Grpc::with_origin(channel, origin).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// The connection that is there, or a new one. Which endpoint it is to.
    async fn channel(&self, until: Instant) -> (usize, Result<Channel, String>) {
        let endpoint = {
            let at = self.at.lock();
            if let Some(channel) = &at.channel {
                return (at.endpoint, Ok(channel.clone()));
            }
            at.endpoint
        };
        let opened = Channel::open(&self.endpoints[endpoint], &self.credentials);
        let patience = (Instant::now() + CONNECT_PATIENCE).min(until);
        let opened = timeout_at(patience, opened).await;
        let opened = opened.unwrap_or_else(|_| Err("it can not be connected to in time".to_owned()));
        let mut at = self.at.lock();
        if let (Ok(channel), true) = (&opened, at.endpoint == endpoint) {
            at.channel = Some(channel.clone());
        }
        (endpoint, opened)
    }

    /// The next is asked from now on.
    fn pass_over(&self, endpoint: usize) {
        let mut at = self.at.lock();
        if at.endpoint == endpoint {
            *at = At { endpoint: (endpoint + 1) % self.endpoints.len(), channel: None };
        }
    }
}

/// The shapes of the calls that we make.
#[derive(Clone, Copy)]
enum Call {
    Unary,
    /// A stream in both directions, of which one message each way is wanted.
    FirstOfStream,
}

impl Call {
    async fn make<Q, A>(self, mut grpc: Grpc<Channel>, path: &'static str, question: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        grpc.ready().await.map_err(|e| Status::unavailable(words(&e)))?;
        let (path, codec) = (PathAndQuery::from_static(path), ProstCodec::<Q, A>::default());
        if let Call::Unary = self {
            return Ok(grpc.unary(Request::new(question), path, codec).await?.into_inner());
        }
        // our half stays open: a server may take its end for the end of the call
        let once = futures::stream::once(async { question }).chain(futures::stream::pending());
        let mut answers = grpc.streaming(Request::new(once), path, codec).await?.into_inner();
        answers.message().await?.ok_or_else(|| Status::unavailable("the stream ended"))
    }
}

/// Whether the next endpoint, or the same a moment later, may answer better. What etcd understood and did not do is final.
fn worth_another(status: Status) -> Result<Failed, Error> {
    let said = match std::error::Error::source(&status) {
        Some(cause) => format!("{}: {}", status.message(), words(cause)),
        None => status.message().to_owned(),
    };
    match status.code() {
        // a leader is being elected, the connection broke, a proposal took too long
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded | Code::Internal => {
            Ok(Failed(said))
        }
        Code::ResourceExhausted if said.contains("space exceeded") => Err(Error::Full(said)),
        Code::ResourceExhausted if said.contains("too many requests") => Ok(Failed(said)),
        _ => Err(Error::Refused(said)),
    }
}

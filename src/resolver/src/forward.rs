//! Names that are not ours, asked of the machine's servers: each question once, however many wait for it.

use crate::cache::{Cache, Key, Lookup};
use crate::exchange::{Question, exchange};
use crate::shares::{Client, Share, Shares};
use crate::upstream::{Servers, Upstream};
use crate::wire::Reply;
use hickory_proto::op::{Message, ResponseCode};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Each is a socket: a flood of questions must not eat the process's descriptors.
const MOST_AT_ONCE: usize = 256;
/// Questions of one client, and of all, that wait for their turn; one more fails at once.
const MOST_WAITING_OF_ONE: usize = 128;
const MOST_WAITING: usize = 1024;
/// For all servers together: the pod that asked gives up after 5 s.
const DEADLINE: Duration = Duration::from_millis(4500);
/// With the wait for its turn.
const PATIENCE: Duration = Duration::from_millis(4800);
/// A server that did not answer is asked last for so long.
const DISTRUST: Duration = Duration::from_secs(10);

/// Cloning is cheap; clones share the cache.
#[derive(Clone)]
pub struct Forwarder(Arc<Inner>);

struct Inner {
    servers: Servers,
    cache: Mutex<Cache>,
    at_once: Shares,
    silent: Mutex<HashMap<SocketAddr, Instant>>,
}

impl Forwarder {
    /// `ourselves` are addresses at which a question would come back to us.
    pub fn new(upstream: Upstream, ourselves: &[IpAddr]) -> Self {
        Forwarder(Arc::new(Inner {
            servers: Servers::new(upstream, ourselves),
            cache: Mutex::default(),
            at_once: Shares::new(MOST_AT_ONCE, MOST_WAITING_OF_ONE, MOST_WAITING),
            silent: Mutex::default(),
        }))
    }

    /// SERVFAIL where nobody can be asked, or nobody answers, or this client asks too much.
    pub(crate) async fn resolve(&self, question: Question, client: Client) -> Reply {
        let asking = self.ask(question, client);
        let answer = tokio::time::timeout(PATIENCE, asking).await.ok().flatten();
        answer.unwrap_or_else(|| Reply::error(ResponseCode::ServFail))
    }

    async fn ask(&self, question: Question, client: Client) -> Option<Reply> {
        let key = Key {
            query: question.query.clone(),
            dnssec_ok: question.dnssec_ok,
            checking_disabled: question.checking_disabled,
        };
        let known = self.0.cache().lookup(&key, Instant::now());
        let mut waiting = match known {
            Lookup::Known(reply) => return Some(reply),
            Lookup::Asked(waiting) => waiting,
            Lookup::Unknown => {
                // nobody waits for a question that itself waits in somebody else's queue
                let share = self.0.at_once.take(client).await?;
                match self.0.join(question, key, share) {
                    Lookup::Known(reply) => return Some(reply),
                    Lookup::Asked(waiting) => waiting,
                    Lookup::Unknown => return None,
                }
            }
        };
        let answer = waiting.wait_for(Option::is_some).await.map(|reply| reply.clone());
        answer.ok().flatten().map(|reply| Reply::clone(&reply))
    }
}

impl Inner {
    /// Asks in a task of its own, so that a client that goes away takes the answer from nobody else. Somebody may have asked
    /// while this one waited for its turn.
    fn join(self: &Arc<Self>, question: Question, key: Key, share: Share) -> Lookup {
        let mut cache = self.cache();
        let known = cache.lookup(&key, Instant::now());
        if !matches!(known, Lookup::Unknown) {
            return known;
        }
        let (tell, waiting) = watch::channel(None);
        cache.ask(key.clone(), waiting.clone());
        let asking = Asking { inner: self.clone(), key };
        tokio::spawn(async move {
            let reply = Arc::new(asking.inner.ask_all(&question).await);
            asking.inner.cache().learn(asking.key.clone(), &reply, Instant::now());
            tell.send_replace(Some(reply));
            drop((asking, share));
        });
        Lookup::Asked(waiting)
    }

    async fn ask_all(&self, question: &Question) -> Reply {
        let asking = self.ask_each(question);
        let answer = tokio::time::timeout(DEADLINE, asking).await.unwrap_or_default();
        answer.map_or_else(|| Reply::error(ResponseCode::ServFail), reply_of)
    }

    /// The first useful answer; where there is none, the last one.
    async fn ask_each(&self, question: &Question) -> Option<Message> {
        let mut last = None;
        for server in self.in_order() {
            match exchange(server, question).await {
                Ok(answer) if is_useful(&answer) => {
                    self.silent().remove(&server);
                    return Some(answer);
                }
                Ok(answer) => last = Some(answer),
                Err(error) => {
                    tracing::debug!(%server, %error, name = %question.query.name(), "no answer");
                    self.silent().insert(server, Instant::now());
                }
            }
        }
        last
    }

    fn in_order(&self) -> Vec<SocketAddr> {
        let mut servers = self.servers.current().to_vec();
        let mut silent = self.silent();
        // also of servers that are no longer in the file
        silent.retain(|_, since| since.elapsed() < DISTRUST);
        servers.sort_by_key(|server| silent.contains_key(server));
        servers
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock()
    }

    fn silent(&self) -> MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        self.silent.lock()
    }
}

/// Takes the question off the list, however the task ends.
struct Asking {
    inner: Arc<Inner>,
    key: Key,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.inner.cache().asked_no_more(&self.key);
    }
}

/// Another server may know better, as resolvers of the C library see it.
fn is_useful(answer: &Message) -> bool {
    matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
}

pub(crate) fn reply_of(answer: Message) -> Reply {
    Reply {
        code: answer.metadata.response_code,
        authoritative: false,
        authentic: answer.metadata.authentic_data,
        answers: answer.answers,
        authorities: answer.authorities,
        additionals: answer.additionals,
    }
}

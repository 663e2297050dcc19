//! A client of etcd: keys, transactions and leases over gRPC, with endpoints that may fail, and certificates.
//!
//! It owns connections and what etcd's answers mean; it knows nothing of what is kept there. The messages are written by hand, and
//! only those that we send. It repeats a request at the next endpoint until it is answered or the time is over: what must happen
//! once is for the caller to put into a transaction that compares. Read [`Client`] first.

#![forbid(unsafe_code)]

mod channel;
mod client;
mod endpoint;
mod proto;

pub use client::{Client, Error};
pub use endpoint::{Credentials, Endpoint, EndpointError};
pub use proto::{Compare, KeyValue, Op, Reply, Transaction, TransactionReply};

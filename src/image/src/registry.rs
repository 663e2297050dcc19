//! A client for OCI distribution and Docker registry v2, no larger than the store needs it. `transport.rs` speaks HTTP,
//! `proxy.rs` finds the way, `reach.rs` says where it may lead, `interim.rs` how much may come before an answer, `exchange.rs` has
//! what one request and its answer need, `auth.rs` understands challenges,
//! `token.rs` gets tokens for them, `session.rs` asks for one repository, as often as `retry_policy.rs` allows,
//! `repository.rs` reads it, `download.rs` brings a blob over cut connections, `upload.rs` sends one, `login.rs` tries
//! credentials, `refusals.rs` says what a registry's answer means.

mod auth;
mod download;
mod exchange;
mod fetch;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod interim;
mod login;
mod proxy;
mod reach;
mod refusals;
mod repository;
mod retry_policy;
mod session;
mod token;
mod transport;
mod trust;
mod upload;

pub(crate) use download::download;
pub(crate) use fetch::fetch;
pub use login::registry_domain;
pub(crate) use repository::Repository;
pub(crate) use transport::{Body, Transport};
pub(crate) use upload::{Pushing, Source};

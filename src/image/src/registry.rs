//! A client for OCI distribution and Docker registry v2, no larger than the store needs it. `transport.rs` speaks HTTP,
//! `auth.rs` understands challenges, `repository.rs` asks for one repository, `download.rs` brings a blob over cut
//! connections, `refusals.rs` says what a registry's answer means.

mod auth;
mod download;
mod refusals;
mod repository;
mod transport;

pub(crate) use download::download;
pub(crate) use repository::Repository;
pub(crate) use transport::Transport;

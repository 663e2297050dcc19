//! Why the kernel's network is not as it was asked to be: what was being done, and the kernel's own words or number.

use ipnet::Ipv4Net;
use thiserror::Error;
use tokio::task::JoinError;

pub type Result<T, E = NetError> = std::result::Result<T, E>;

/// Why the kernel's network is not as it was asked to be.
#[derive(Debug, Clone, Error)]
pub enum NetError {
    #[error("{doing}: {why}")]
    Failed { doing: String, why: String },
    /// The kernel refused a netfilter request with this number.
    #[error("{doing}: {}", std::io::Error::from_raw_os_error(*.errno))]
    Refused { doing: String, errno: i32 },
    #[error("every address of {0} is taken")]
    NoAddress(Ipv4Net),
    #[error("host port {0} is already taken by sandbox {1}")]
    PortTaken(String, String),
    #[error("sandbox {0} has no network")]
    NotAttached(String),
}

/// A bug of ours, met by work that was done where it may block.
impl From<JoinError> for NetError {
    fn from(error: JoinError) -> Self {
        NetError::failed("talk to netfilter", error)
    }
}

impl NetError {
    pub(crate) fn failed(doing: impl Into<String>, why: impl std::fmt::Display) -> Self {
        NetError::Failed { doing: doing.into(), why: why.to_string() }
    }
}

/// Says what was being done when it failed.
pub(crate) trait Doing<T> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| NetError::failed(what(), error))
    }
}

impl<T> Doing<T> for nix::Result<T> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| NetError::failed(what(), error.desc()))
    }
}

impl<T> Doing<T> for Result<T, rtnetlink::Error> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| match error {
            rtnetlink::Error::NetlinkError(message) => NetError::failed(what(), message.to_io()),
            other => NetError::failed(what(), other),
        })
    }
}

/// The number behind a refusal of the kernel, 0 where it has none.
pub(crate) fn errno(error: &rtnetlink::Error) -> i32 {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io().raw_os_error().unwrap_or(0),
        _ => 0,
    }
}

//! Identities of others: what an `AuthenticationConfiguration` (apiserver.config.k8s.io) says of OpenID Connect issuers and of
//! anonymous requests, and who a token of such an issuer is. Pure: keys are brought by whoever fetches them.
//!
//! Not here: claims that stand elsewhere (`_claim_names`), and proxies on the way to an issuer (`egressSelectorType`). Read
//! [`Issuer::identify`] first.

#![forbid(unsafe_code)]

mod claims;
mod configuration;
mod file;
mod keys;
mod token;

pub use claims::{Identity, Issuer};
pub use configuration::{Anonymous, Configuration};
pub use file::ConfigurationError;
pub use keys::Keys;
pub use token::{Token, TokenError};

//! Who may do what, where others than RBAC are asked: what an `AuthorizationConfiguration` (apiserver.config.k8s.io) says of the
//! order of authorizers and of webhooks, which questions a webhook is asked, what it is sent and what its answer means, and the
//! answers that are known still. Pure: questions are carried by whoever asks.
//!
//! Not here: RBAC itself (`cluster`); attribute files (ABAC), which upstream advises against. Read [`Webhook::wants`] first.

#![forbid(unsafe_code)]

mod answers;
mod configuration;
mod duration;
mod kubeconfig;
mod webhook;

pub use answers::Answers;
pub use configuration::{Authorizer, Configuration, ConfigurationError};
pub use kubeconfig::{ClientCertificate, Connection, KubeconfigError};
pub use webhook::{Answer, Ruling, Webhook};

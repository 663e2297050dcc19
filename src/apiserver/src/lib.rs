//! The HTTPS server: authentication, what a request asks for, discovery, tables, watch streams, and the connections into pods.
//!
//! It turns a request into one [`RequestInfo`] and calls `cluster` with it; authorisation, admission and storage happen
//! there. It knows HTTP and no component. Read [`RequestInfo`] first, then `router.rs`.

#![forbid(unsafe_code)]

mod access_review;
mod access_selectors;
mod access_webhooks;
mod aggregator;
mod answer_memory;
mod audit_trail;
mod audited;
mod authentication;
mod authorization;
mod bearer_protocol;
mod bindings;
mod body;
mod client_tls;
mod component_statuses;
mod computed;
mod connect_options;
mod connection_seats;
mod discovery;
mod exchange;
mod flow_control;
mod flow_control_dump;
mod health;
mod health_state;
mod held_seat;
mod impersonation;
mod incoming;
mod issuers;
#[cfg(test)]
mod kinds_table;
mod kubelet_port;
mod kubelet_server;
mod leftovers;
mod metrics;
mod negotiate;
mod objects;
mod openapi_cache;
mod openapi_documents;
mod outcome;
mod own_authority;
mod params;
mod parse_budget;
mod patch_body;
mod peer;
mod plain;
mod pod_checks;
mod pods;
mod pretty;
mod proxy;
mod recent_views;
mod rendering;
mod request;
mod request_info;
mod request_timeout;
mod resource_metrics;
mod responses;
mod reviews;
mod router;
mod server;
mod server_state;
mod stream_seats;
mod streams;
mod table;
mod unread;
mod warnings;
mod watch_seats;
mod watch_socket;
mod watch_stream;
mod webhooks;
mod yaml;
mod zpages;

pub use access_webhooks::AccessWebhookClient;
pub use aggregator::AggregatedClient;
pub use client_tls::ClientIdentity;
pub use kubelet_port::KUBELET_PORT;
pub use metrics::ConfigFile;
pub use plain::{ConnectionGate, SessionGate};
pub use request_info::{ParsedPath, RequestInfo};
pub use server::{ApiServer, ApiServerConfig, ServeError};
pub use webhooks::WebhookClient;

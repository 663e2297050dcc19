//! The one way to read and write the cluster's objects, for HTTP callers and for components alike.
//!
//! Every write passes authorise → default → admit → validate → commit here and nowhere else; every component gets
//! typed handles ([`Api`]), shared caches ([`Informer`]), a work queue ([`WorkQueue`]) and an event recorder. It knows kinds
//! and the store; it does not know HTTP, and no component. Read [`Cluster`] first, then `write.rs`.

#![forbid(unsafe_code)]

mod actor;
mod admission;
mod admission_request;
mod aggregated;
mod aggregation;
mod api_handle;
mod apply;
mod authorize;
mod binding;
mod bootstrap;
mod bootstrap_tokens;
mod cache;
mod cache_index;
mod change;
mod clock;
mod controller;
mod conversion;
mod custom_api;
mod definition_going;
mod delete;
mod event;
mod event_correlator;
mod event_expiry;
mod eviction;
mod gone;
mod identity;
mod informer;
mod ip_addresses;
pub mod metrics;
mod name_suffix;
mod pod_references;
mod pod_security;
mod policies;
mod policy_rule;
mod queue;
mod quota;
mod read;
mod recent_fields;
mod recorder;
mod remarks;
mod replace;
mod reservations;
pub mod roles;
mod rule_coverage;
mod service_ranges;
mod services;
mod token_authenticator;
mod token_params;
mod token_request;
mod token_secrets;
mod token_uses;
mod tokens;
mod usage;
mod watch;
mod watch_all;
mod webhooks;
mod write;
mod write_options;
mod write_priority;
mod yield_budget;

pub use actor::Actor;
pub use aggregated::AggregatedCaller;
pub use aggregation::aggregated_rules;
pub use api_handle::{Api, Client};
pub use apply::{Applied, Wanted};
pub use authorize::{AccessWebhook, Attributes, Authorizer, Decision, HeldRules, Verdict};
pub use binding::PodBinding;
pub use bootstrap::{INGRESS_CONTROLLER, STORAGE_PROVISIONER};
pub use bootstrap_tokens::{NAMESPACE as BOOTSTRAP_TOKENS, expiration as bootstrap_token_expiration};
pub use change::Change;
pub use controller::{Controller, Key};
pub use custom_api::CustomApi;
pub use delete::{DeleteOptions, Deleted, Propagation};
pub use event::{EventType, Subject, subject};
pub use eviction::{set_allowed_condition, set_failed_condition};
pub use gone::{unless_gone, unless_replaced};
pub use informer::{Informer, Subscription};
pub use queue::WorkQueue;
pub use read::{List, ListParams, VersionMatch};
pub use recorder::Recorder;
pub use remarks::Remarks;
pub use service_ranges::RangeUse;
pub use token_authenticator::{Authenticated, TokenError};
pub use token_params::{BoundKind, BoundObject, TokenRequestParams};
pub use token_request::IssuedToken;
pub use token_secrets::{ACCOUNT_NAME, ACCOUNT_UID, TOKEN_KEY, TOKEN_SECRET};
pub use token_uses::{TOKEN_INVALID_SINCE, TOKEN_LAST_USED};
pub use tokens::{KeyError, TokenSigner};
pub use usage::{METRICS_GROUP, NodeUsage, PodUsage, Usage, UsageSource, Window};
pub use watch::{WatchEvent, WatchParams, WatchStream};
pub use watch_all::WatchAll;
pub use webhooks::WebhookCaller;
pub use write::{Edit, Verb};
pub use write_options::WriteOptions;
pub use yield_budget::YieldBudget;

use ::api::{GroupResource, ObjectKey, Status};
use arc_swap::{ArcSwap, ArcSwapOption};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kinds::{Registry, Subresource, Version};
use std::sync::Arc;
use store::Store;

/// What the cluster must know of its surroundings.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Where ClusterIPs come from before others ([`Cluster::give_service_addresses_from`]); the first address is the API server's,
    /// the tenth is DNS.
    pub service_cidr: ipnet::Ipv4Net,
    /// Where pods get their addresses from.
    pub pod_cidr: ipnet::Ipv4Net,
    pub node_ports: std::ops::RangeInclusive<u16>,
    /// Where clients inside the cluster find the API server behind the `kubernetes` service.
    pub advertise_address: std::net::Ipv4Addr,
    pub secure_port: u16,
}

/// Handle to everything; cloning is cheap.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    /// The kinds that the program is made with; they are always there.
    builtin: Registry,
    /// Those and the custom ones, as they are now.
    registry: ArcSwap<Registry>,
    kinds_changed: tokio::sync::watch::Sender<()>,
    clock_set: tokio::sync::watch::Sender<()>,
    pub(crate) config: ClusterConfig,
    pub(crate) rbac: authorize::Rbac,
    /// What the kubelet of this process may do.
    pub(crate) kubelet_rules: ArcSwap<Vec<PolicyRule>>,
    /// The nodes' and RBAC where nobody has said.
    pub(crate) authorizers: ArcSwap<Vec<Authorizer>>,
    pub(crate) services: services::Allocators,
    pub(crate) service_ranges: service_ranges::ServiceRanges,
    pub(crate) informers: informer::Informers,
    pub(crate) pages: read::Pages,
    pub(crate) recent_fields: Arc<recent_fields::RecentFields>,
    pub(crate) tokens: TokenSigner,
    token_uses: token_uses::TokenUses,
    pub(crate) webhooks: webhooks::Webhooks,
    pub(crate) policies: policies::Policies,
    pub(crate) aggregated: std::sync::OnceLock<Arc<dyn AggregatedCaller>>,
    pub(crate) metrics: metrics::Metrics,
    quotas: quota::Quotas,
    usage: ArcSwapOption<std::sync::Weak<dyn UsageSource>>,
}

/// One object, or one collection (no name), and perhaps a part of it.
#[derive(Clone)]
pub struct Target {
    pub version: Arc<Version>,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<Subresource>,
}

impl Cluster {
    /// Must run inside a tokio runtime: it starts the task that keeps the access rules current.
    ///
    /// # Errors
    /// Where stored Services can not be read, or two hold the same address.
    pub fn new(
        store: Store,
        registry: Registry,
        config: ClusterConfig,
        tokens: TokenSigner,
    ) -> Result<Self, Status> {
        let services = services::Allocators::load(&store.snapshot(), &config)?;
        let inner = Inner {
            rbac: authorize::Rbac::load(&store.snapshot()),
            kubelet_rules: ArcSwap::default(),
            authorizers: ArcSwap::from_pointee(vec![Authorizer::Node, Authorizer::Rbac]),
            services,
            service_ranges: service_ranges::ServiceRanges::new(config.service_cidr),
            informers: informer::Informers::default(),
            pages: read::Pages::default(),
            recent_fields: Arc::default(),
            store,
            registry: ArcSwap::from_pointee(registry.clone()),
            builtin: registry,
            kinds_changed: tokio::sync::watch::Sender::new(()),
            clock_set: tokio::sync::watch::Sender::new(()),
            config,
            tokens,
            token_uses: token_uses::TokenUses::default(),
            webhooks: webhooks::Webhooks::default(),
            policies: policies::Policies::default(),
            aggregated: std::sync::OnceLock::new(),
            metrics: metrics::Metrics::default(),
            quotas: quota::Quotas::default(),
            usage: ArcSwapOption::empty(),
        };
        let cluster = Cluster(Arc::new(inner));
        authorize::keep_current(&cluster);
        cluster.0.webhooks.refresh(cluster.store());
        cluster.0.policies.refresh(cluster.store());
        Ok(cluster)
    }

    /// The kinds that are served now. Custom ones come and go: see [`Cluster::kinds_changed`].
    pub fn registry(&self) -> Arc<Registry> {
        self.0.registry.load_full()
    }

    /// From now on these kinds are served beside the built-in ones, and no others.
    pub fn serve_custom_kinds(&self, custom: impl IntoIterator<Item = Arc<Version>>) {
        self.0.registry.store(Arc::new(self.0.builtin.with(custom)));
        self.0.kinds_changed.send_replace(());
    }

    /// Wakes who follows all kinds.
    pub fn kinds_changed(&self) -> tokio::sync::watch::Receiver<()> {
        self.0.kinds_changed.subscribe()
    }

    /// The time of day has jumped: the clock was set, or the machine has slept. Timers do not see it, for they count what a process has
    /// lived through.
    pub fn clock_was_set(&self) {
        self.0.clock_set.send_replace(());
    }

    /// Wakes who waits for a time of day: see [`Cluster::clock_was_set`].
    pub fn clock_set(&self) -> tokio::sync::watch::Receiver<()> {
        self.0.clock_set.subscribe()
    }

    /// Whether expressions may be evaluated about a write of this kind: those of policies, or of a definition. However short what is written
    /// is, they may take as long as their budget lasts.
    pub fn evaluates(&self, version: &Version) -> bool {
        self.0.policies.any() || version.published_schema().is_some()
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    pub fn config(&self) -> &ClusterConfig {
        &self.0.config
    }

    pub fn tokens(&self) -> &TokenSigner {
        &self.0.tokens
    }

    /// What components count, for whoever shows it.
    pub fn metrics(&self) -> &metrics::Metrics {
        &self.0.metrics
    }

    /// For whoever checks tokens of service accounts himself; the keys are where pods find the API server.
    pub fn openid_configuration(&self) -> serde_json::Value {
        let ClusterConfig { advertise_address, secure_port, .. } = &self.0.config;
        self.0
            .tokens
            .openid_configuration(&format!("https://{advertise_address}:{secure_port}/openid/v1/jwks"))
    }

    /// Without a caller no webhook is asked: to be handed in before the first write.
    pub fn call_webhooks_through(&self, caller: Arc<dyn WebhookCaller>) {
        self.0.webhooks.call_through(caller);
    }

    /// Typed handles that act, and are authorised, as `actor`.
    pub fn acting_as(&self, actor: Actor) -> Client {
        Client::new(self.clone(), actor)
    }
}

impl Target {
    pub fn collection(version: &Arc<Version>, namespace: Option<&str>) -> Self {
        Target {
            version: version.clone(),
            namespace: namespace.map(str::to_owned),
            name: None,
            subresource: None,
        }
    }

    pub fn object(version: &Arc<Version>, namespace: Option<&str>, name: &str) -> Self {
        Target { name: Some(name.to_owned()), ..Self::collection(version, namespace) }
    }

    #[must_use]
    pub fn subresource(mut self, subresource: Subresource) -> Self {
        self.subresource = Some(subresource);
        self
    }

    pub fn group_resource(&self) -> GroupResource {
        self.version.info().gvr.group_resource()
    }

    pub(crate) fn stored_in(&self) -> store::Resource {
        store::Resource::from(&self.version.info().storage)
    }

    /// # Errors
    /// `BadRequest` on a collection.
    pub(crate) fn key(&self) -> Result<ObjectKey, Status> {
        let name = self.name.as_deref().ok_or_else(|| Status::bad_request("name is required"))?;
        Ok(ObjectKey::new(self.namespace.as_deref(), name))
    }

    pub(crate) fn not_found(&self) -> Status {
        Status::not_found(&self.group_resource(), self.name.as_deref().unwrap_or_default())
    }
}

//! The plug-ins in their order, and the walk over them.

use super::certificate_approval::CertificateApproval;
use super::certificate_requester::CertificateRequester;
use super::certificate_signing::CertificateSigning;
use super::certificate_subject_restriction::CertificateSubjectRestriction;
use super::cluster_trust_bundle_attest::ClusterTrustBundleAttest;
use super::default_ingress_class::DefaultIngressClass;
use super::default_storage_class::DefaultStorageClass;
use super::default_toleration_seconds::DefaultTolerationSeconds;
use super::limit_ranger::LimitRanger;
use super::mutating_admission_policy::MutatingAdmissionPolicy;
use super::mutating_admission_webhook::MutatingAdmissionWebhook;
use super::namespace_lifecycle::NamespaceLifecycle;
use super::node_restriction::NodeRestriction;
use super::persistent_volume_claim_resize::PersistentVolumeClaimResize;
use super::plugin::{Plugin, Step};
use super::pod_certificate_signing::PodCertificateSigning;
use super::pod_security::PodSecurity;
use super::pod_topology_labels::PodTopologyLabels;
use super::policy_params::PolicyParams;
use super::priority::Priority;
use super::rbac_escalation::RbacEscalation;
use super::resource_quota::ResourceQuota;
use super::review::Review;
use super::runtime_class::RuntimeClass;
use super::service_account::ServiceAccount;
use super::service_addresses::ServiceAddresses;
use super::status_addresses::StatusAddresses;
use super::storage_object_in_use_protection::StorageObjectInUseProtection;
use super::taint_nodes_by_condition::TaintNodesByCondition;
use super::validating_admission_policy::ValidatingAdmissionPolicy;
use super::validating_admission_webhook::ValidatingAdmissionWebhook;
use crate::reservations::Reservations;
use ::api::Status;

/// Each of them in its order in each step. Upstream's order (`AllOrderedPlugins` of `pkg/kubeapiserver/options/plugins.go`)
/// of those that upstream has as plug-ins: the namespace is looked at before anything is filled in, what nodes may not do is
/// refused before their objects are completed, users' policies and webhooks see what the cluster itself has made of the object, and
/// quota comes last, so that nothing is reserved for what another refuses. Between them stands what upstream has in the storage or the
/// strategy of a kind; most of that has no mutating step, so that its place matters among its own only.
static PLUGINS: &[&dyn Plugin] = &[
    &NamespaceLifecycle,
    &CertificateRequester,
    &LimitRanger,
    &ServiceAccount,
    &NodeRestriction,
    &TaintNodesByCondition,
    &PodSecurity,
    &Priority,
    &DefaultTolerationSeconds,
    &DefaultStorageClass,
    &StorageObjectInUseProtection,
    &PersistentVolumeClaimResize,
    &RuntimeClass,
    &CertificateApproval,
    &CertificateSigning,
    &PodCertificateSigning,
    &ClusterTrustBundleAttest,
    &CertificateSubjectRestriction,
    &DefaultIngressClass,
    &PodTopologyLabels,
    &RbacEscalation,
    &PolicyParams,
    &ServiceAddresses,
    &StatusAddresses,
    &MutatingAdmissionPolicy,
    &MutatingAdmissionWebhook,
    &ValidatingAdmissionPolicy,
    &ValidatingAdmissionWebhook,
    &ResourceQuota,
];

impl Review<'_> {
    /// Everything before validation. Where a policy or a webhook has changed something the mutating plug-ins are asked once more, as
    /// upstream does it: what was put in has its token and its priority too, and who asked for it sees what others made of it.
    ///
    /// # Errors
    /// What the first of them refuses.
    pub(super) async fn admit(&mut self) -> Result<Reservations, Status> {
        self.mutate().await?;
        if self.draft.is_changed() {
            self.is_reinvocation = true;
            self.mutate().await?;
        }
        let mut reservations = Reservations::default();
        for plugin in PLUGINS {
            if plugin.handles(Step::Begin, self) {
                tracing::trace!(plugin = plugin.name(), "begin");
                plugin.begin(self, &mut reservations).await?;
            }
        }
        Ok(reservations)
    }

    async fn mutate(&mut self) -> Result<(), Status> {
        for plugin in PLUGINS {
            if plugin.handles(Step::Admit, self) {
                tracing::trace!(plugin = plugin.name(), "admit");
                plugin.admit(self).await?;
            }
        }
        Ok(())
    }

    /// Of what is as it would be stored.
    ///
    /// # Errors
    /// What the first of them refuses.
    pub(super) async fn validate(&self, reservations: &mut Reservations) -> Result<(), Status> {
        for plugin in PLUGINS {
            if plugin.handles(Step::Validate, self) {
                tracing::trace!(plugin = plugin.name(), "validate");
                plugin.validate(self, reservations).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::PLUGINS;

    /// What is here of `AllOrderedPlugins`. Most others are off unless somebody turns them on.
    const UPSTREAM: [&str; 23] = [
        "NamespaceLifecycle",
        "LimitRanger",
        "ServiceAccount",
        "NodeRestriction",
        "TaintNodesByCondition",
        "PodSecurity",
        "Priority",
        "DefaultTolerationSeconds",
        "DefaultStorageClass",
        "StorageObjectInUseProtection",
        "PersistentVolumeClaimResize",
        "RuntimeClass",
        "CertificateApproval",
        "CertificateSigning",
        "ClusterTrustBundleAttest",
        "CertificateSubjectRestriction",
        "DefaultIngressClass",
        "PodTopologyLabels",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionWebhook",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionWebhook",
        "ResourceQuota",
    ];

    #[test]
    fn the_order_is_upstreams() {
        let ours: Vec<&str> = PLUGINS.iter().map(|plugin| plugin.name()).collect();
        let theirs: Vec<&str> = ours.iter().copied().filter(|name| UPSTREAM.contains(name)).collect();
        assert_eq!(theirs, UPSTREAM);
        let mut names = ours.clone();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ours.len(), "each stands once: {ours:?}");
    }
}

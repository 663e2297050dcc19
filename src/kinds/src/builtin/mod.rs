//! The built-in kinds. One that needs no type of its own is a row of [`plain`]; any other is a file, one `mod` line, one line in
//! [`versions`].

/// Of kinds with a spec that users write and a status that the system writes: neither writes the other's, and only what
/// users wish for makes a generation. With the type of the status, what prepares a new object too.
macro_rules! spec_and_status {
    ($status:ty) => {
        fn prepare_create(&mut self) {
            self.metadata.generation = Some(1);
            self.status = Some(<$status>::default());
        }
        crate::builtin::spec_and_status!();
    };
    () => {
        fn prepare_update(&mut self, old: &Self) {
            self.status.clone_from(&old.status);
        }
        fn prepare_status_update(&mut self, old: &Self) {
            self.spec.clone_from(&old.spec);
        }
        fn generation_changes(&self, old: &Self) -> bool {
            self.spec != old.spec
        }
    };
}
pub(crate) use spec_and_status;

/// Of kinds whose spec says how many pods are wished for; `$selector` says of a spec which pods these are, and `$current` of a status
/// how many there are.
macro_rules! scaled {
    ($selector:expr, $current:expr) => {
        fn scale(&self) -> Option<crate::ScaleNumbers> {
            Some(crate::ScaleNumbers {
                wanted: self.spec.replicas,
                current: self.status.as_ref().and_then($current),
                selector: Some(&self.spec).and_then($selector),
            })
        }
        fn set_replicas(&mut self, replicas: i32) {
            self.spec.replicas = Some(replicas);
        }
    };
}
pub(crate) use scaled;

pub mod names;

pub mod admission_policies;
mod amounts;
pub mod api_service;
mod binding;
mod certificate_signing_request;
mod certificate_signing_request_validation;
pub mod certificate_subject;
mod checks;
mod claim_status;
mod cluster_role;
mod cluster_role_binding;
mod cluster_trust_bundle;
pub mod computed;
mod conditions;
mod config_map;
mod controller_revision;
mod cron_job;
mod csi_driver;
mod csi_node;
mod csi_storage_capacity;
mod custom_resource_definition;
mod daemon_set;
mod deployment;
mod device_taint_rule;
mod endpoint_slice;
mod endpoints;
mod event;
mod event_validation;
mod fill;
pub mod flow_control;
mod flow_schema;
mod horizontal_pod_autoscaler;
mod hpa_columns;
mod hpa_v1;
mod hpa_validation;
mod ingress;
mod ingress_class;
mod ingress_validation;
mod ip_address;
mod job;
mod job_status_validation;
mod job_validation;
mod job_warnings;
mod lease;
mod limit_range;
mod mutating_admission_policy;
mod mutating_admission_policy_binding;
mod mutating_webhook_configuration;
mod namespace;
mod network_policy;
mod network_policy_validation;
mod node;
pub mod pem;
mod persistent_volume;
mod persistent_volume_claim;
mod persistent_volume_source;
mod plain;
mod pod;
mod pod_certificate_request;
mod pod_certificate_request_validation;
mod pod_columns;
mod pod_defaults;
mod pod_disruption_budget;
mod pod_ephemeral;
mod pod_resize;
mod pod_template;
mod pod_validation;
pub(crate) mod pod_warnings;
pub mod policy_types;
mod priority_class;
mod priority_level_configuration;
mod replica_set;
mod replication_controller;
mod resource_claim;
mod resource_devices;
mod resource_quota;
mod role;
mod role_binding;
mod runtime_class;
mod scale;
mod secret;
mod service;
mod service_account;
mod service_cidr;
mod service_update;
mod service_validation;
mod service_warnings;
mod signers;
mod stateful_set;
mod storage_class;
mod storage_version_migration;
mod validating_admission_policy;
mod validating_admission_policy_binding;
mod validating_webhook_configuration;
mod volume_attachment;
mod volume_attributes_class;
mod volume_checks;
pub mod webhooks;
mod workloads;

use crate::{Version, version_of};
use k8s_openapi::api::admissionregistration::v1 as admission;
use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::autoscaling::v2 as autoscaling;
use k8s_openapi::api::batch::v1 as batch;
use k8s_openapi::api::certificates::v1 as certificates;
use k8s_openapi::api::coordination::v1 as coordination;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::api::flowcontrol::v1 as flowcontrol;
use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::api::node::v1 as node_classes;
use k8s_openapi::api::policy::v1 as policy;
use k8s_openapi::api::rbac::v1 as rbac;
use k8s_openapi::api::resource::v1 as resource;
use k8s_openapi::api::scheduling::v1 as scheduling;
use k8s_openapi::api::storage::v1 as storage;
use k8s_openapi::api::storagemigration::v1 as storagemigration;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use std::sync::Arc;

pub use binding::binding;
pub(crate) use checks::IMMUTABLE;
pub(crate) use computed::computed;
pub use pod_columns::status_word;
pub use pod_defaults::same_template;
pub use scale::scale;
pub use storage_class::is_default as is_default_storage_class;

/// Every version of every built-in kind whose objects are stored.
pub(crate) fn versions() -> Vec<Arc<Version>> {
    let typed = [
        version_of::<admission::MutatingAdmissionPolicy>(),
        version_of::<admission::MutatingAdmissionPolicyBinding>(),
        version_of::<admission::MutatingWebhookConfiguration>(),
        version_of::<admission::ValidatingAdmissionPolicy>(),
        version_of::<admission::ValidatingAdmissionPolicyBinding>(),
        version_of::<admission::ValidatingWebhookConfiguration>(),
        version_of::<apps::ControllerRevision>(),
        version_of::<apps::DaemonSet>(),
        version_of::<apps::Deployment>(),
        version_of::<apps::ReplicaSet>(),
        version_of::<apps::StatefulSet>(),
        version_of::<autoscaling::HorizontalPodAutoscaler>(),
        version_of::<batch::CronJob>(),
        version_of::<batch::Job>(),
        version_of::<certificates::CertificateSigningRequest>(),
        version_of::<certificates::ClusterTrustBundle>(),
        version_of::<certificates::PodCertificateRequest>(),
        version_of::<coordination::Lease>(),
        version_of::<core::ConfigMap>(),
        version_of::<core::Endpoints>(),
        version_of::<core::Event>(),
        version_of::<core::LimitRange>(),
        version_of::<core::Namespace>(),
        version_of::<core::Node>(),
        version_of::<core::PersistentVolume>(),
        version_of::<core::PersistentVolumeClaim>(),
        version_of::<core::Pod>(),
        version_of::<core::PodTemplate>(),
        version_of::<core::ReplicationController>(),
        version_of::<core::ResourceQuota>(),
        version_of::<core::Secret>(),
        version_of::<core::Service>(),
        version_of::<core::ServiceAccount>(),
        version_of::<discovery::EndpointSlice>(),
        version_of::<flowcontrol::FlowSchema>(),
        version_of::<flowcontrol::PriorityLevelConfiguration>(),
        version_of::<networking::IPAddress>(),
        version_of::<networking::Ingress>(),
        version_of::<networking::IngressClass>(),
        version_of::<networking::NetworkPolicy>(),
        version_of::<networking::ServiceCIDR>(),
        version_of::<node_classes::RuntimeClass>(),
        version_of::<policy::PodDisruptionBudget>(),
        version_of::<rbac::ClusterRole>(),
        version_of::<rbac::ClusterRoleBinding>(),
        version_of::<rbac::Role>(),
        version_of::<rbac::RoleBinding>(),
        version_of::<resource::DeviceTaintRule>(),
        version_of::<scheduling::PriorityClass>(),
        version_of::<storage::CSIDriver>(),
        version_of::<storage::CSINode>(),
        version_of::<storage::CSIStorageCapacity>(),
        version_of::<storage::StorageClass>(),
        version_of::<storage::VolumeAttachment>(),
        version_of::<storage::VolumeAttributesClass>(),
        version_of::<storagemigration::StorageVersionMigration>(),
        version_of::<apiextensions::CustomResourceDefinition>(),
        version_of::<apiregistration::APIService>(),
        event::events_v1(),
        hpa_v1::autoscaling_v1(),
    ];
    typed.into_iter().chain(plain::versions()).collect()
}

/// The object's name, as a first column.
pub(crate) fn name_of(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> crate::Cell {
    meta.name.clone().unwrap_or_default().into()
}

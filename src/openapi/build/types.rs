//! The Rust types whose definitions are made: those of kinds, and of what is sent to subresources. What they refer to comes along.
//! Where a kind is served, and what can be done there, the registry says.

use k8s_openapi::Resource;
use k8s_openapi::api::{
    admissionregistration::v1 as admission, apps::v1 as apps, authentication::v1 as authentication,
    authorization::v1 as authorization, autoscaling::v1 as autoscaling, autoscaling::v2 as autoscaling_v2,
    batch::v1 as batch, certificates::v1 as certificates, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, events::v1 as events, flowcontrol::v1 as flowcontrol,
    networking::v1 as networking, node::v1 as node, policy::v1 as policy, rbac::v1 as rbac,
    resource::v1 as resource, scheduling::v1 as scheduling, storage::v1 as storage,
    storagemigration::v1 as storagemigration,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use schemars::{JsonSchema, SchemaGenerator};

/// Group, version, kind, and the name of its definition.
pub type Kind = (&'static str, &'static str, &'static str, String);

macro_rules! types {
    ($($package:ident: $($kind:ident)+;)+) => {
        &[$($(register::<$package::$kind>),+),+]
    };
}

const TYPES: &[fn(&mut SchemaGenerator) -> Kind] = types! {
    admission: MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration ValidatingAdmissionPolicy
        ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration;
    apiextensions: CustomResourceDefinition;
    apiregistration: APIService;
    apps: ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet;
    authentication: SelfSubjectReview TokenRequest TokenReview;
    authorization: LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview;
    autoscaling: HorizontalPodAutoscaler Scale;
    autoscaling_v2: HorizontalPodAutoscaler;
    batch: CronJob Job;
    certificates: CertificateSigningRequest ClusterTrustBundle PodCertificateRequest;
    coordination: Lease;
    core: Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod
        PodTemplate ReplicationController ResourceQuota Secret Service ServiceAccount;
    discovery: EndpointSlice;
    events: Event;
    flowcontrol: FlowSchema PriorityLevelConfiguration;
    meta: Status;
    networking: IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR;
    node: RuntimeClass;
    policy: Eviction PodDisruptionBudget;
    rbac: ClusterRole ClusterRoleBinding Role RoleBinding;
    resource: DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate ResourceSlice;
    scheduling: PriorityClass;
    storage: CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment VolumeAttributesClass;
    storagemigration: StorageVersionMigration;
};

pub fn register_all(generator: &mut SchemaGenerator) -> Vec<Kind> {
    generator.subschema_for::<meta::DeleteOptions>();
    generator.subschema_for::<meta::ListMeta>();
    TYPES.iter().map(|register| register(generator)).collect()
}

fn register<T: Resource + JsonSchema>(generator: &mut SchemaGenerator) -> Kind {
    generator.subschema_for::<T>();
    (T::GROUP, T::VERSION, T::KIND, T::schema_name().into_owned())
}

//! The resources whose paths and schemas are published.

use k8s_openapi::Resource as Typed;
use k8s_openapi::api::{
    admissionregistration::v1 as admission, apps::v1 as apps, authentication::v1 as authentication,
    authorization::v1 as authorization, autoscaling::v1 as autoscaling, autoscaling::v2 as autoscaling_v2,
    batch::v1 as batch, certificates::v1 as certificates, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, events::v1 as events, flowcontrol::v1 as flowcontrol,
    networking::v1 as networking, node::v1 as node, policy::v1 as policy, rbac::v1 as rbac,
    resource::v1 as resource, scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use schemars::{JsonSchema, SchemaGenerator};

/// Group, version and kind.
pub type Gvk = (&'static str, &'static str, &'static str);

pub struct Resource {
    pub gvk: Gvk,
    pub plural: &'static str,
    pub namespaced: bool,
    /// Only `POST`: reviews, and what has no list.
    pub create_only: bool,
    /// Only `GET`: what is measured and not stored.
    pub read_only: bool,
    pub definition: String,
    pub subresources: Vec<Subresource>,
    pub register: fn(&mut SchemaGenerator),
}

pub struct Subresource {
    pub name: &'static str,
    pub verbs: Verbs,
    pub gvk: Gvk,
    /// `None` for streams and text
    pub definition: Option<String>,
    pub register: fn(&mut SchemaGenerator),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verbs {
    /// read, replace, patch
    Object,
    Replace,
    Create,
    Read,
    Connect,
    /// every method, and any path behind it
    Proxy,
}

impl Resource {
    /// `api/v1`, `apis/apps/v1`
    pub fn prefix(&self) -> String {
        match self.gvk {
            ("", version, _) => format!("api/{version}"),
            (group, version, _) => format!("apis/{group}/{version}"),
        }
    }

    pub fn list_definition(&self) -> String {
        format!("{}List", self.definition)
    }

    pub fn definitions(&self) -> Vec<String> {
        let mut names = vec![self.definition.clone()];
        if !self.create_only {
            names.push(self.list_definition());
        }
        names.extend(self.subresources.iter().filter_map(|s| s.definition.clone()));
        names
    }
}

fn register<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

fn gvk<T: Typed>() -> Gvk {
    (T::GROUP, T::VERSION, T::KIND)
}

fn sub<T: Typed + JsonSchema>(name: &'static str, verbs: Verbs) -> Subresource {
    let definition = Some(T::schema_name().into_owned());
    Subresource { name, verbs, gvk: gvk::<T>(), definition, register: register::<T> }
}

fn stream(name: &'static str, verbs: Verbs, kind: &'static str) -> Subresource {
    Subresource { name, verbs, gvk: ("", "v1", kind), definition: None, register: |_| {} }
}

fn kind<T: Typed + JsonSchema>(
    plural: &'static str,
    namespaced: bool,
    subresources: Vec<Subresource>,
) -> Resource {
    let definition = T::schema_name().into_owned();
    Resource {
        gvk: gvk::<T>(),
        plural,
        namespaced,
        create_only: false,
        read_only: false,
        definition,
        subresources,
        register: register::<T>,
    }
}

fn review<T: Typed + JsonSchema>(plural: &'static str, namespaced: bool) -> Resource {
    Resource { create_only: true, ..kind::<T>(plural, namespaced, Vec::new()) }
}

pub fn resources() -> Vec<Resource> {
    use Verbs::{Connect, Create, Object, Proxy, Read, Replace};
    let scale = || sub::<autoscaling::Scale>("scale", Object);
    vec![
        kind::<admission::MutatingAdmissionPolicy>("mutatingadmissionpolicies", false, vec![]),
        kind::<admission::MutatingAdmissionPolicyBinding>("mutatingadmissionpolicybindings", false, vec![]),
        kind::<admission::ValidatingAdmissionPolicy>(
            "validatingadmissionpolicies",
            false,
            vec![sub::<admission::ValidatingAdmissionPolicy>("status", Object)],
        ),
        kind::<admission::ValidatingAdmissionPolicyBinding>(
            "validatingadmissionpolicybindings",
            false,
            vec![],
        ),
        kind::<admission::MutatingWebhookConfiguration>("mutatingwebhookconfigurations", false, vec![]),
        kind::<admission::ValidatingWebhookConfiguration>("validatingwebhookconfigurations", false, vec![]),
        kind::<apiregistration::APIService>(
            "apiservices",
            false,
            vec![sub::<apiregistration::APIService>("status", Object)],
        ),
        kind::<apps::ControllerRevision>("controllerrevisions", true, vec![]),
        kind::<apps::DaemonSet>("daemonsets", true, vec![sub::<apps::DaemonSet>("status", Object)]),
        kind::<apps::Deployment>(
            "deployments",
            true,
            vec![scale(), sub::<apps::Deployment>("status", Object)],
        ),
        kind::<apps::ReplicaSet>(
            "replicasets",
            true,
            vec![scale(), sub::<apps::ReplicaSet>("status", Object)],
        ),
        kind::<apps::StatefulSet>(
            "statefulsets",
            true,
            vec![scale(), sub::<apps::StatefulSet>("status", Object)],
        ),
        kind::<autoscaling::HorizontalPodAutoscaler>(
            "horizontalpodautoscalers",
            true,
            vec![sub::<autoscaling::HorizontalPodAutoscaler>("status", Object)],
        ),
        kind::<autoscaling_v2::HorizontalPodAutoscaler>(
            "horizontalpodautoscalers",
            true,
            vec![sub::<autoscaling_v2::HorizontalPodAutoscaler>("status", Object)],
        ),
        kind::<batch::CronJob>("cronjobs", true, vec![sub::<batch::CronJob>("status", Object)]),
        kind::<batch::Job>("jobs", true, vec![sub::<batch::Job>("status", Object)]),
        kind::<certificates::CertificateSigningRequest>(
            "certificatesigningrequests",
            false,
            vec![
                sub::<certificates::CertificateSigningRequest>("approval", Object),
                sub::<certificates::CertificateSigningRequest>("status", Object),
            ],
        ),
        kind::<coordination::Lease>("leases", true, vec![]),
        review::<core::Binding>("bindings", true),
        Resource { read_only: true, ..kind::<core::ComponentStatus>("componentstatuses", false, vec![]) },
        kind::<core::ConfigMap>("configmaps", true, vec![]),
        kind::<core::Endpoints>("endpoints", true, vec![]),
        kind::<core::Event>("events", true, vec![]),
        kind::<core::LimitRange>("limitranges", true, vec![]),
        kind::<core::Namespace>(
            "namespaces",
            false,
            vec![sub::<core::Namespace>("finalize", Replace), sub::<core::Namespace>("status", Object)],
        ),
        kind::<core::Node>(
            "nodes",
            false,
            vec![stream("proxy", Proxy, "NodeProxyOptions"), sub::<core::Node>("status", Object)],
        ),
        kind::<core::PersistentVolume>(
            "persistentvolumes",
            false,
            vec![sub::<core::PersistentVolume>("status", Object)],
        ),
        kind::<core::PersistentVolumeClaim>(
            "persistentvolumeclaims",
            true,
            vec![sub::<core::PersistentVolumeClaim>("status", Object)],
        ),
        kind::<core::Pod>(
            "pods",
            true,
            vec![
                stream("attach", Connect, "PodAttachOptions"),
                sub::<core::Binding>("binding", Create),
                sub::<core::Pod>("ephemeralcontainers", Object),
                sub::<policy::Eviction>("eviction", Create),
                stream("exec", Connect, "PodExecOptions"),
                stream("log", Read, "Pod"),
                stream("portforward", Connect, "PodPortForwardOptions"),
                stream("proxy", Proxy, "PodProxyOptions"),
                sub::<core::Pod>("resize", Object),
                sub::<core::Pod>("status", Object),
            ],
        ),
        kind::<core::PodTemplate>("podtemplates", true, vec![]),
        kind::<core::ReplicationController>(
            "replicationcontrollers",
            true,
            vec![scale(), sub::<core::ReplicationController>("status", Object)],
        ),
        kind::<core::ResourceQuota>(
            "resourcequotas",
            true,
            vec![sub::<core::ResourceQuota>("status", Object)],
        ),
        kind::<core::Secret>("secrets", true, vec![]),
        kind::<core::Service>(
            "services",
            true,
            vec![stream("proxy", Proxy, "ServiceProxyOptions"), sub::<core::Service>("status", Object)],
        ),
        kind::<core::ServiceAccount>(
            "serviceaccounts",
            true,
            vec![sub::<authentication::TokenRequest>("token", Create)],
        ),
        kind::<discovery::EndpointSlice>("endpointslices", true, vec![]),
        kind::<events::Event>("events", true, vec![]),
        kind::<flowcontrol::FlowSchema>(
            "flowschemas",
            false,
            vec![sub::<flowcontrol::FlowSchema>("status", Object)],
        ),
        kind::<flowcontrol::PriorityLevelConfiguration>(
            "prioritylevelconfigurations",
            false,
            vec![sub::<flowcontrol::PriorityLevelConfiguration>("status", Object)],
        ),
        kind::<networking::IPAddress>("ipaddresses", false, vec![]),
        kind::<networking::Ingress>("ingresses", true, vec![sub::<networking::Ingress>("status", Object)]),
        kind::<networking::IngressClass>("ingressclasses", false, vec![]),
        kind::<networking::NetworkPolicy>("networkpolicies", true, vec![]),
        kind::<networking::ServiceCIDR>(
            "servicecidrs",
            false,
            vec![sub::<networking::ServiceCIDR>("status", Object)],
        ),
        kind::<node::RuntimeClass>("runtimeclasses", false, vec![]),
        kind::<policy::PodDisruptionBudget>(
            "poddisruptionbudgets",
            true,
            vec![sub::<policy::PodDisruptionBudget>("status", Object)],
        ),
        kind::<rbac::ClusterRole>("clusterroles", false, vec![]),
        kind::<rbac::ClusterRoleBinding>("clusterrolebindings", false, vec![]),
        kind::<rbac::Role>("roles", true, vec![]),
        kind::<rbac::RoleBinding>("rolebindings", true, vec![]),
        kind::<resource::DeviceClass>("deviceclasses", false, vec![]),
        kind::<resource::ResourceClaim>(
            "resourceclaims",
            true,
            vec![sub::<resource::ResourceClaim>("status", Object)],
        ),
        kind::<resource::ResourceClaimTemplate>("resourceclaimtemplates", true, vec![]),
        kind::<resource::ResourceSlice>("resourceslices", false, vec![]),
        kind::<scheduling::PriorityClass>("priorityclasses", false, vec![]),
        kind::<storage::CSIDriver>("csidrivers", false, vec![]),
        kind::<storage::CSINode>("csinodes", false, vec![]),
        kind::<storage::CSIStorageCapacity>("csistoragecapacities", true, vec![]),
        kind::<storage::StorageClass>("storageclasses", false, vec![]),
        kind::<storage::VolumeAttachment>(
            "volumeattachments",
            false,
            vec![sub::<storage::VolumeAttachment>("status", Object)],
        ),
        kind::<storage::VolumeAttributesClass>("volumeattributesclasses", false, vec![]),
        kind::<apiextensions::CustomResourceDefinition>(
            "customresourcedefinitions",
            false,
            vec![sub::<apiextensions::CustomResourceDefinition>("status", Object)],
        ),
        review::<authentication::SelfSubjectReview>("selfsubjectreviews", false),
        review::<authentication::TokenReview>("tokenreviews", false),
        review::<authorization::LocalSubjectAccessReview>("localsubjectaccessreviews", true),
        review::<authorization::SelfSubjectAccessReview>("selfsubjectaccessreviews", false),
        review::<authorization::SelfSubjectRulesReview>("selfsubjectrulesreviews", false),
        review::<authorization::SubjectAccessReview>("subjectaccessreviews", false),
    ]
}

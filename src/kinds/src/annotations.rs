//! Annotations by which objects say what there is a field for now: who reads one reads it by the same name as who judges it.

/// And a container's name: its AppArmor profile, until 1.30.
pub const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
/// A pod's seccomp profile, until 1.19.
pub const SECCOMP_OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// And a container's name: its seccomp profile, until 1.19.
pub const SECCOMP_OF_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
/// The class of an Ingress.
pub const INGRESS_CLASS: &str = "kubernetes.io/ingress.class";
/// The class of a claim, or of a volume.
pub const STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// Who may come to a Service's balancer. It is as good as the field, and what the field overrules: upstream's cloud providers read it.
pub const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
/// What `service.kubernetes.io/topology-mode` was called.
pub const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";

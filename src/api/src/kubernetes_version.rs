//! Which Kubernetes this is.

#[derive(Debug, Clone, Copy)]
pub struct KubernetesVersion {
    pub major: &'static str,
    pub minor: &'static str,
    pub git: &'static str,
}

/// The one version of Kubernetes that is claimed: by `/version`, by the served API versions and by the types.
pub const KUBERNETES_VERSION: KubernetesVersion =
    KubernetesVersion { major: "1", minor: "37", git: "v1.37.0" };

//! The parts that a kind may have besides the object itself: `status`, `scale`, `log`, …

use api::Gvk;
use std::fmt;

/// The variants, each with its name in the path.
macro_rules! subresources {
    ($($variant:ident $name:literal,)*) => {
        /// What a kind has besides the object itself. Routes, discovery and authorisation follow it; what each does is said by those
        /// who answer it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Subresource {
            $($variant,)*
        }

        use Subresource::{$($variant,)*};

        impl Subresource {
            /// As in the path.
            pub const fn name(self) -> &'static str {
                match self {
                    $($variant => $name,)*
                }
            }

            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some($variant),)*
                    _ => None,
                }
            }
        }
    };
}

subresources! {
    Approval "approval",
    Attach "attach",
    Binding "binding",
    EphemeralContainers "ephemeralcontainers",
    Eviction "eviction",
    Exec "exec",
    Finalize "finalize",
    Log "log",
    PortForward "portforward",
    Proxy "proxy",
    Resize "resize",
    Scale "scale",
    Status "status",
    Token "token",
}

impl Subresource {
    /// Sorted.
    pub const fn verbs(self) -> &'static [&'static str] {
        match self {
            Binding | Eviction | Token => &["create"],
            Attach | Exec | PortForward => &["create", "get"],
            Log => &["get"],
            Finalize => &["update"],
            Proxy => &["create", "delete", "get", "patch", "update"],
            Approval | EphemeralContainers | Resize | Scale | Status => &["get", "patch", "update"],
        }
    }

    /// What is sent and answered there, of a kind that has this.
    pub fn kind(self, owner: &Gvk) -> Gvk {
        let beside = |kind: String| Gvk { kind: kind.into(), ..owner.clone() };
        match self {
            Scale => Gvk::new("autoscaling", "v1", "Scale"),
            Eviction => Gvk::new("policy", "v1", "Eviction"),
            Token => Gvk::new("authentication.k8s.io", "v1", "TokenRequest"),
            Binding => beside("Binding".to_owned()),
            Attach => beside("PodAttachOptions".to_owned()),
            Exec => beside("PodExecOptions".to_owned()),
            PortForward => beside("PodPortForwardOptions".to_owned()),
            Proxy => beside(format!("{}ProxyOptions", owner.kind)),
            Approval | EphemeralContainers | Finalize | Log | Resize | Status => owner.clone(),
        }
    }
}

impl fmt::Display for Subresource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! What annotations say, in the words of ingress-nginx, for which most manifests are written. Those that are not here
//! change nothing.

use crate::rewrite::Target;
use k8s_openapi::api::networking::v1::Ingress;

const PREFIX: &str = "nginx.ingress.kubernetes.io/";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// What takes the place of the path, with the groups (`$1`) of the path's pattern.
    pub(crate) rewrite_target: Option<Target>,
    /// Paths are patterns.
    pub(crate) use_regex: bool,
    /// Whether HTTP is sent to HTTPS; where nothing is said, it is for hosts with a certificate.
    pub(crate) ssl_redirect: Option<bool>,
}

/// # Errors
/// What is wrong with them, for the user.
pub(crate) fn of(ingress: &Ingress) -> Result<Options, String> {
    let annotations = ingress.metadata.annotations.as_ref();
    let get =
        |name: &str| annotations.and_then(|all| all.get(&format!("{PREFIX}{name}"))).map(String::as_str);
    let flag = |name: &str| get(name).and_then(|text| text.parse::<bool>().ok());
    let rewrite_target = get("rewrite-target").filter(|target| !target.is_empty()).map(Target::parse);
    let rewrite_target =
        rewrite_target.transpose().map_err(|why| format!("the annotation {PREFIX}rewrite-target: {why}"))?;
    Ok(Options {
        use_regex: flag("use-regex") == Some(true) || rewrite_target.is_some(),
        rewrite_target,
        ssl_redirect: match flag("force-ssl-redirect") {
            Some(true) => Some(true),
            _ => flag("ssl-redirect"),
        },
    })
}

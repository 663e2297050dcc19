//! How the API server is set, in the words of upstream's flags: what `/flagz` shows. A flag is here where its words are true of
//! this server; none holds a secret.

use crate::settings::{NODE_PORTS, Settings};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) fn api_server_flags(settings: &Settings, issuer: &str) -> BTreeMap<&'static str, String> {
    let files = &settings.api_server_files;
    let path =
        |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    // a file takes the place of the flag
    let modes = if files.authorization_config.is_some() { "[]" } else { "[Node,RBAC]" };
    let datastore = settings.datastore.as_ref();
    [
        ("advertise-address", settings.gateway().to_string()),
        ("allow-privileged", "true".to_owned()),
        ("audit-log-path", path(&files.audit_log)),
        ("audit-policy-file", path(&files.audit_policy)),
        ("authentication-config", path(&files.authentication_config)),
        ("authorization-config", path(&files.authorization_config)),
        ("authorization-mode", modes.to_owned()),
        ("bind-address", "0.0.0.0".to_owned()),
        ("enable-priority-and-fairness", "true".to_owned()),
        ("encryption-provider-config", path(&files.encryption_provider_config)),
        ("etcd-servers", format!("[{}]", datastore.map(|at| at.endpoints()).unwrap_or_default())),
        ("profiling", "false".to_owned()),
        ("secure-port", settings.api_port.to_string()),
        ("service-account-issuer", format!("[{issuer}]")),
        ("service-cluster-ip-range", settings.service_cidr.to_string()),
        ("service-node-port-range", format!("{}-{}", NODE_PORTS.start(), NODE_PORTS.end())),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_say_what_is_set() {
        let mut settings = Settings::beside("monopod", &[]);
        settings.api_port = 8443;
        let before = api_server_flags(&settings, "https://issuer");
        settings.api_server_files.authorization_config = Some("/etc/access.yaml".into());
        let with_file = api_server_flags(&settings, "https://issuer");
        for (flag, want_before, want_with_file) in [
            ("secure-port", "8443", "8443"),
            ("service-node-port-range", "30000-32767", "30000-32767"),
            ("service-account-issuer", "[https://issuer]", "[https://issuer]"),
            ("authorization-config", "", "/etc/access.yaml"),
            ("authorization-mode", "[Node,RBAC]", "[]"),
            ("etcd-servers", "[]", "[]"),
        ] {
            assert_eq!((&*before[flag], &*with_file[flag]), (want_before, want_with_file), "{flag}");
        }
    }
}

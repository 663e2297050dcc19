//! What each of upstream's signers signs (`pkg/controller/certificates/signer`, `pkg/apis/certificates/v1`).

/// What a request for a certificate says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    pub common_name: String,
    pub organizations: Vec<String>,
    pub dns_names: Vec<String>,
    pub addresses: Vec<String>,
    /// Names that are mail addresses or URIs.
    pub other_names: Vec<String>,
}

const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
pub(super) const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";

pub(super) fn is_ours(signer: &str) -> bool {
    [CLIENT, KUBELET_CLIENT, KUBELET_SERVING].contains(&signer)
}

/// # Errors
/// In words: why the signer does not sign that.
pub(super) fn judge(signer: &str, usages: &[String], asked: &Asked) -> Result<(), String> {
    let (needed, allowed): (&str, &[&str]) = match signer {
        KUBELET_SERVING => ("server auth", &["digital signature", "key encipherment", "server auth"]),
        _ => ("client auth", &["digital signature", "key encipherment", "client auth"]),
    };
    if !usages.iter().any(|usage| usage == needed) || usages.iter().any(|u| !allowed.contains(&u.as_str())) {
        return Err(format!("invalid usage for {}: {}", short(signer), usages.join(", ")));
    }
    if signer == CLIENT {
        // a way around the roles: upstream's CertificateSubjectRestriction
        return match asked.organizations.iter().any(|group| group == "system:masters") {
            true => Err(format!("use of {CLIENT} signer with system:masters group is not allowed")),
            false => Ok(()),
        };
    }
    if asked.organizations != ["system:nodes"] {
        return Err("subject organization is not system:nodes".to_owned());
    }
    if !asked.common_name.starts_with("system:node:") {
        return Err("subject common name does not begin with system:node:".to_owned());
    }
    let names = !asked.dns_names.is_empty() || !asked.addresses.is_empty();
    match signer {
        KUBELET_SERVING if !asked.other_names.is_empty() => {
            Err("email and URI subjectAltNames are not allowed".to_owned())
        }
        KUBELET_SERVING if !names => Err("DNS or IP subjectAltName is required".to_owned()),
        KUBELET_CLIENT if names || !asked.other_names.is_empty() => {
            Err("subjectAltNames are not allowed".to_owned())
        }
        _ => Ok(()),
    }
}

/// Upstream's `IsKubeletClientCSR`: what a kubelet asks for that is to become a node's.
pub(super) fn is_of_kubelet(signer: &str, usages: &[String], asked: &Asked) -> bool {
    let exactly = |wanted: &[&str]| {
        wanted.iter().all(|usage| usages.iter().any(|has| has == usage))
            && usages.iter().all(|has| wanted.contains(&has.as_str()))
    };
    // a key that is not RSA's enciphers no keys
    let usual = exactly(&["client auth", "digital signature", "key encipherment"])
        || exactly(&["client auth", "digital signature"]);
    signer == KUBELET_CLIENT && usual && judge(signer, usages, asked).is_ok()
}

fn short(signer: &str) -> &str {
    signer.trim_start_matches("kubernetes.io/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signers_sign_what_is_theirs() {
        let asked = |cn: &str, groups: &[&str], dns: &[&str]| Asked {
            common_name: cn.to_owned(),
            organizations: groups.iter().map(|g| (*g).to_owned()).collect(),
            dns_names: dns.iter().map(|d| (*d).to_owned()).collect(),
            ..Asked::default()
        };
        let node = "system:node:n";
        let cases = [
            ("a user", CLIENT, &["client auth"][..], asked("jane", &["dev"], &[]), ""),
            (
                "with more usages",
                CLIENT,
                &["digital signature", "key encipherment", "client auth"],
                asked("jane", &[], &[]),
                "",
            ),
            (
                "a server",
                CLIENT,
                &["server auth"],
                asked("jane", &[], &[]),
                "invalid usage for kube-apiserver-client: server auth",
            ),
            ("no usage", CLIENT, &[], asked("jane", &[], &[]), "invalid usage for kube-apiserver-client: "),
            (
                "an administrator",
                CLIENT,
                &["client auth"],
                asked("jane", &["dev", "system:masters"], &[]),
                "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
            ),
            ("a node", KUBELET_CLIENT, &["client auth"], asked(node, &["system:nodes"], &[]), ""),
            (
                "no node",
                KUBELET_CLIENT,
                &["client auth"],
                asked(node, &["dev"], &[]),
                "subject organization is not system:nodes",
            ),
            (
                "a node of another name",
                KUBELET_CLIENT,
                &["client auth"],
                asked("n", &["system:nodes"], &[]),
                "subject common name does not begin with system:node:",
            ),
            (
                "a node with a host",
                KUBELET_CLIENT,
                &["client auth"],
                asked(node, &["system:nodes"], &["h"]),
                "subjectAltNames are not allowed",
            ),
            (
                "a node's server",
                KUBELET_SERVING,
                &["server auth"],
                asked(node, &["system:nodes"], &["h"]),
                "",
            ),
            (
                "a server without a name",
                KUBELET_SERVING,
                &["server auth"],
                asked(node, &["system:nodes"], &[]),
                "DNS or IP subjectAltName is required",
            ),
        ];
        for (name, signer, usages, asked, want) in cases {
            let usages: Vec<String> = usages.iter().map(|u| (*u).to_owned()).collect();
            assert_eq!(judge(signer, &usages, &asked).err().unwrap_or_default(), want, "{name}");
        }
    }
}

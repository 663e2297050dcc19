//! Certificates that a node asks for, of its own and of its pods.

use super::OfNode;
use super::pods::is_mirror;
use ::api::{ObjectKey, Status};
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, PodCertificateRequest};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kinds::builtin::certificate_subject;

const OF_NODE_BY_NODE: [&str; 2] =
    ["kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"];

impl OfNode<'_> {
    pub(super) fn requests_own_certificate(&self, request: &CertificateSigningRequest) -> Result<(), Status> {
        if !OF_NODE_BY_NODE.contains(&request.spec.signer_name.as_str()) {
            return Ok(());
        }
        match certificate_subject::read(&request.spec.request.0) {
            Err(why) => self.refuse(&format!("unable to parse csr: {why}")),
            Ok(subject) => {
                let own = format!("system:node:{}", self.node);
                self.ensure(subject.common_name == own, &format!("can only create a node CSR with CN={own}"))
            }
        }
    }

    /// For a pod that runs here, as the account that it runs as: whoever signs believes that this was looked at.
    pub(super) fn requests_certificate_of_pod(&self, request: &PodCertificateRequest) -> Result<(), Status> {
        let spec = &request.spec;
        let why = format!(
            "PodCertificateRequest.Spec.NodeName={:?}, which is not the requesting node {:?}",
            spec.node_name, self.node
        );
        self.ensure(spec.node_name == self.node, &why)?;
        let pod = self.pod(&spec.pod_name)?;
        let full = format!("{}/{}", self.target.namespace.as_deref().unwrap_or_default(), spec.pod_name);
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let why = format!(
            "PodCertificateRequest for pod {full:?} contains pod UID ({:?}) which differs from running pod {uid:?}",
            spec.pod_uid
        );
        self.ensure(spec.pod_uid == uid, &why)?;
        let why =
            format!("pod {full:?} is not running on node {:?} named in the PodCertificateRequest", self.node);
        self.ensure(self.runs(&pod), &why)?;
        self.ensure(!is_mirror(&pod), &format!("pod {full:?} is a mirror pod"))?;
        let account =
            pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or_default();
        let why = format!(
            "PodCertificateRequest for pod {full:?} contains serviceAccountName ({:?}) that differs from running pod ({account:?})",
            spec.service_account_name
        );
        self.ensure(spec.service_account_name == account, &why)?;
        let uid = |found: Option<ObjectMeta>| found.and_then(|meta| meta.uid).unwrap_or_default();
        let key = ObjectKey::new(self.target.namespace.as_deref(), account);
        let known = uid(self.find::<ServiceAccount>(&key).map(|account| account.metadata));
        let why = format!(
            "PodCertificateRequest for pod {full:?} names service account UID {:?}, which differs from the running service account ({known:?})",
            spec.service_account_uid
        );
        self.ensure(spec.service_account_uid == known, &why)?;
        let known = uid(self.find::<Node>(&ObjectKey::cluster(self.node)).map(|node| node.metadata));
        let why = format!(
            "PodCertificateRequest for pod {full:?} names node UID {:?}, inconsistent with the running node ({known:?})",
            spec.node_uid
        );
        self.ensure(spec.node_uid == known, &why)
    }
}

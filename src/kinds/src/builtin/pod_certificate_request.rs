//! PodCertificateRequests: a node asks a signer for a pod's certificate. The signer is somebody whom the cluster's users bring.

use super::name_of;
use super::pod_certificate_request_validation as validation;
use crate::{Cell, Column, ErrorList, Subresource, TypedKind};
use k8s_openapi::api::certificates::v1::{PodCertificateRequest, PodCertificateRequestStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

const LIFETIME: i32 = 24 * 60 * 60; // seconds: upstream's default

impl TypedKind for PodCertificateRequest {
    const SINGULAR: &'static str = "podcertificaterequest";
    const PLURAL: &'static str = "podcertificaterequests";
    const UPDATED_UNCONDITIONALLY: bool = false;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Status];
    const FIELDS: &'static [&'static str] = &["spec.nodeName", "spec.signerName"];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::new("PodName", "string", "The pod that shall have the certificate"),
        Column::new("ServiceAccountName", "string", "Whom the pod runs as"),
        Column::new("NodeName", "string", "The node that asks"),
        Column::new("SignerName", "string", "Who is asked to sign"),
        Column::new("State", "string", "Whether it is issued"),
    ];

    fn set_defaults(&mut self) {
        self.spec.max_expiration_seconds.get_or_insert(LIFETIME);
    }
    fn prepare_create(&mut self) {
        self.status = Some(PodCertificateRequestStatus::default());
    }
    fn prepare_update(&mut self, old: &Self) {
        self.status.clone_from(&old.status);
    }
    /// A decision that was made stays as it was written.
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
        let before = old.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        for condition in self.status.iter_mut().flat_map(|status| status.conditions.iter_mut().flatten()) {
            if let Some(known) = before.iter().find(|known| known.type_ == condition.type_) {
                condition.clone_from(known);
            }
        }
    }
    fn keep_metadata(new: &mut ObjectMeta, old: &ObjectMeta) {
        crate::keep_all_metadata(new, old);
    }
    fn validate_create(&self, errors: &mut ErrorList) {
        validation::spec(&self.spec, errors);
    }
    fn validate_update(&self, old: &Self, errors: &mut ErrorList) {
        super::checks::immutable(&self.spec, &old.spec, "spec", errors);
    }
    fn validate_status_update(&self, old: &Self, errors: &mut ErrorList) {
        validation::status(self, old, jiff::Timestamp::now(), errors);
    }
    fn field(&self, path: &str) -> String {
        match path {
            "spec.nodeName" => self.spec.node_name.clone(),
            "spec.signerName" => self.spec.signer_name.clone(),
            _ => String::new(),
        }
    }
    fn row(&self, _now: jiff::Timestamp) -> Vec<Cell> {
        let spec = &self.spec;
        vec![
            name_of(&self.metadata),
            spec.pod_name.clone().into(),
            spec.service_account_name.clone().into(),
            spec.node_name.clone().into(),
            spec.signer_name.clone().into(),
            validation::decided(self.status.as_ref()).unwrap_or("Pending").into(),
        ]
    }
}

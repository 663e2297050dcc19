//! CertificateSigningRequests: the spec stays as it was made, `approval` writes the conditions that decide, `status` the
//! certificate.

use super::certificate_signing_request_validation as validation;
use super::name_of;
use crate::columns::human_duration;
use crate::{Cell, Column, ErrorList, Scope, Subresource, TypedKind, age};
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestStatus};

impl TypedKind for CertificateSigningRequest {
    const SINGULAR: &'static str = "certificatesigningrequest";
    const PLURAL: &'static str = "certificatesigningrequests";
    const SHORT_NAMES: &'static [&'static str] = &["csr"];
    const SCOPE: Scope = Scope::Cluster;
    const SUBRESOURCES: &'static [Subresource] = &[Subresource::Approval, Subresource::Status];
    const FIELDS: &'static [&'static str] = &["spec.signerName"];
    const COLUMNS: &'static [Column] = &[
        Column::NAME,
        Column::AGE,
        Column::new("SignerName", "string", "Who is asked to sign"),
        Column::new("Requestor", "string", "Who asks"),
        Column::new("RequestedDuration", "string", "How long the certificate shall last"),
        Column::new("Condition", "string", "Whether it is approved, and issued"),
    ];

    fn prepare_create(&mut self) {
        self.status = Some(CertificateSigningRequestStatus::default());
    }
    fn prepare_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
        self.status.clone_from(&old.status);
    }
    /// Everything of the status but what approves.
    fn prepare_status_update(&mut self, old: &Self) {
        self.spec.clone_from(&old.spec);
        stamp_conditions(self, old);
    }
    /// `approval` is the only part: of the status its conditions.
    fn prepare_subresource_update(&mut self, _subresource: Subresource, old: &Self) {
        self.spec.clone_from(&old.spec);
        let conditions = self.status.take().and_then(|status| status.conditions);
        self.status =
            Some(CertificateSigningRequestStatus { conditions, ..old.status.clone().unwrap_or_default() });
        stamp_conditions(self, old);
    }
    fn validate_create(&self, errors: &mut ErrorList) {
        validation::spec(&self.spec, errors);
        validation::conditions(self, errors);
    }
    fn validate_update(&self, _old: &Self, errors: &mut ErrorList) {
        validation::conditions(self, errors);
    }
    fn validate_status_update(&self, old: &Self, errors: &mut ErrorList) {
        validation::conditions(self, errors);
        validation::keeps_decisions(self, old, errors);
        validation::certificate(self, old, errors);
    }
    fn validate_subresource_update(&self, _subresource: Subresource, old: &Self, errors: &mut ErrorList) {
        validation::conditions(self, errors);
        validation::keeps_what_was_decided(self, old, errors);
    }
    fn field(&self, path: &str) -> String {
        match path {
            "spec.signerName" => self.spec.signer_name.clone(),
            _ => String::new(),
        }
    }
    fn row(&self, now: jiff::Timestamp) -> Vec<Cell> {
        let duration = self.spec.expiration_seconds.map(|seconds| human_duration(seconds.into()));
        vec![
            name_of(&self.metadata),
            age(self.metadata.creation_timestamp.as_ref(), now),
            self.spec.signer_name.clone().into(),
            self.spec.username.clone().unwrap_or_default().into(),
            duration.unwrap_or_else(|| "<none>".to_owned()).into(),
            state(self).into(),
        ]
    }
}

/// `Approved,Issued`
fn state(request: &CertificateSigningRequest) -> String {
    let status = request.status.clone().unwrap_or_default();
    let has = |kind: &str| status.conditions.iter().flatten().any(|condition| condition.type_ == kind);
    let mut words = vec![match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (_, true) => "Approved",
        _ => "Pending",
    }];
    if has("Failed") {
        words.push("Failed");
    }
    if status.certificate.is_some_and(|certificate| !certificate.0.is_empty()) {
        words.push("Issued");
    }
    words.join(",")
}

/// When a condition came, where its writer does not say.
fn stamp_conditions(new: &mut CertificateSigningRequest, old: &CertificateSigningRequest) {
    let now = crate::whole_second(jiff::Timestamp::now());
    let before = old.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    for condition in new.status.iter_mut().flat_map(|status| status.conditions.iter_mut().flatten()) {
        let known = before.iter().find(|known| known.type_ == condition.type_);
        if condition.last_update_time.is_none() {
            condition.last_update_time = Some(now.clone());
        }
        let same = known.filter(|known| known.status == condition.status);
        condition.last_transition_time = match same {
            Some(known) => known.last_transition_time.clone().or_else(|| Some(now.clone())),
            None => condition.last_transition_time.take().or_else(|| Some(now.clone())),
        };
    }
}

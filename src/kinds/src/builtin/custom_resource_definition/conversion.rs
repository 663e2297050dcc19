//! How objects are converted between the versions of a definition: by nobody, or by a webhook.

use super::super::names;
use super::super::webhooks::validate_client;
use crate::ErrorList;
use k8s_openapi::api::admissionregistration::v1 as admission;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, WebhookClientConfig,
};

pub(super) fn validate(conversion: Option<&CustomResourceConversion>, errors: &mut ErrorList) {
    // upstream's own type has the webhook's parts here, and its messages name them so
    const CLIENT: &str = "spec.conversion.webhookClientConfig";
    const REVIEWS: &str = "spec.conversion.conversionReviewVersions";
    let Some(conversion) = conversion else { return };
    let webhook = conversion.webhook.as_ref();
    let client = webhook.and_then(|webhook| webhook.client_config.as_ref());
    let reviews = webhook.map(|webhook| webhook.conversion_review_versions.as_slice()).unwrap_or_default();
    match conversion.strategy.as_str() {
        "Webhook" => {}
        strategy => {
            if strategy != "None" {
                errors.not_supported("spec.conversion.strategy", strategy, &["None", "Webhook"]);
            }
            let why = "should not be set when strategy is not set to Webhook";
            if client.is_some() {
                errors.forbidden(CLIENT, why);
            }
            if !reviews.is_empty() {
                errors.forbidden(REVIEWS, why);
            }
            return;
        }
    }
    match client {
        None => errors.required(CLIENT, "required when strategy is set to Webhook"),
        Some(client) => validate_client(&as_of_admission(client), CLIENT, errors),
    }
    if reviews.is_empty() {
        return errors.required(REVIEWS, "");
    }
    for (index, version) in reviews.iter().enumerate() {
        let at = format!("{REVIEWS}[{index}]");
        if reviews[..index].contains(version) {
            errors.invalid(at, version.as_str(), "duplicate version");
        } else if let Err(why) = names::dns_label_1035(version) {
            errors.invalid(at, version.as_str(), why);
        }
    }
    if !reviews.iter().any(|version| matches!(version.as_str(), "v1" | "v1beta1")) {
        errors.invalid(REVIEWS, reviews, "must include at least one of v1, v1beta1");
    }
}

/// The same type, by the name that the other group has for it.
fn as_of_admission(client: &WebhookClientConfig) -> admission::WebhookClientConfig {
    let service = client.service.as_ref().map(|service| admission::ServiceReference {
        name: service.name.clone(),
        namespace: service.namespace.clone(),
        path: service.path.clone(),
        port: service.port,
    });
    admission::WebhookClientConfig { ca_bundle: client.ca_bundle.clone(), service, url: client.url.clone() }
}

//! The table of sizes in `api::footprint` against the types that it speaks of: whoever changes one changes both.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;
use k8s_openapi::api::autoscaling::v2::{MetricSpec, MetricStatus};
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, ContainerStatus, EnvVar, EphemeralContainer, PersistentVolumeClaim,
    PodCondition, Toleration, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::api::discovery::v1::Endpoint;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinitionVersion, JSONSchemaProps,
};

#[test]
fn a_list_of_structs_counts_for_what_it_takes() {
    let lists = [
        ("volumes", size_of::<Volume>()),
        ("containers", size_of::<Container>()),
        ("initContainers", size_of::<Container>()),
        ("ephemeralContainers", size_of::<EphemeralContainer>()),
        ("containerStatuses", size_of::<ContainerStatus>()),
        ("initContainerStatuses", size_of::<ContainerStatus>()),
        ("ephemeralContainerStatuses", size_of::<ContainerStatus>()),
        ("versions", size_of::<CustomResourceDefinitionVersion>()),
        ("volumeClaimTemplates", size_of::<PersistentVolumeClaim>()),
        ("allOf", size_of::<JSONSchemaProps>()),
        ("anyOf", size_of::<JSONSchemaProps>()),
        ("oneOf", size_of::<JSONSchemaProps>()),
        ("metrics", size_of::<MetricSpec>()),
        ("currentMetrics", size_of::<MetricStatus>()),
        ("sources", size_of::<VolumeProjection>()),
        ("webhooks", size_of::<MutatingWebhook>()),
        ("env", size_of::<EnvVar>()),
        ("endpoints", size_of::<Endpoint>()),
        // of no entry of their own
        ("conditions", size_of::<PodCondition>()),
        ("tolerations", size_of::<Toleration>()),
        ("volumeMounts", size_of::<VolumeMount>()),
        ("ports", size_of::<ContainerPort>()),
    ];
    for (list, size) in lists {
        let of = |elements: &str| api::footprint(format!("{{\"{list}\":[{elements}]}}").as_bytes());
        let counted = of("{},{}") - of("{}");
        // the smallest have a text or two of their own
        let most = 2 * size.max(200);
        assert!(
            (size..=most).contains(&counted),
            "an element of {list} takes {size} bytes and counts for {counted}"
        );
    }
    let schemas =
        |properties: &str| api::footprint(format!("{{\"properties\":{{{properties}}}}}").as_bytes());
    let counted = schemas(r#""a":{},"b":{}"#) - schemas(r#""a":{}"#);
    let size = size_of::<(String, JSONSchemaProps)>();
    assert!((size..=2 * size).contains(&counted), "{size} bytes count for {counted}");
}

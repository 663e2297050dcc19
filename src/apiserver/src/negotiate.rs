//! Which of our formats the client accepts.

/// How objects are to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Objects,
    Table,
    /// Metadata only.
    Partial,
}

/// The first that is asked for and known, in the client's order.
pub(crate) fn view(accept: &str) -> View {
    for part in accept.split(',') {
        let has = |what: &str| part.split(';').any(|p| p.trim() == what);
        if has("as=Table") && (has("v=v1") || has("v=v1beta1")) {
            return View::Table;
        }
        if has("as=PartialObjectMetadata") || has("as=PartialObjectMetadataList") {
            return View::Partial;
        }
        if part.trim().starts_with("application/json") || part.trim().starts_with("*/*") {
            return View::Objects;
        }
    }
    View::Objects
}

/// Whether aggregated discovery is asked for, and in which version.
pub(crate) fn aggregated(accept: &str) -> Option<&'static str> {
    let parts = accept
        .split(',')
        .filter(|part| part.contains("g=apidiscovery.k8s.io") && part.contains("as=APIGroupDiscoveryList"));
    parts
        .filter_map(|part| match part {
            part if part.contains("v=v2beta1") => Some("v2beta1"),
            part if part.contains("v=v2") => Some("v2"),
            _ => None,
        })
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_format_wins() {
        let cases = [
            ("", View::Objects),
            ("application/json", View::Objects),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                View::Table,
            ),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
                View::Partial,
            ),
            ("application/vnd.kubernetes.protobuf,application/json", View::Objects),
        ];
        for (accept, want) in cases {
            assert_eq!(view(accept), want, "{accept:?}");
        }
        assert_eq!(
            aggregated(
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
            ),
            Some("v2")
        );
        assert_eq!(aggregated("application/json"), None);
    }
}

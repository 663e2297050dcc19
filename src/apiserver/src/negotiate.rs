//! Which of our formats the client accepts.

mod accept;
mod pages;
mod shown;

pub(crate) use accept::{first_of, is_known, takes_gzip};
pub(crate) use pages::{PageForm, page_form};
pub(crate) use shown::{Chosen, Shape, Shown, View, no_table, view};

use accept::{Clause, clauses};
use api::{Reason, Status};

const JSON: &str = "application/json";
const YAML: &str = crate::yaml::MEDIA_TYPE;

/// What the bytes of an answer are. In the extensions of one: what was negotiated for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    Json,
    Yaml,
    Protobuf,
}

impl Format {
    /// In upstream's order: a client that takes several alike gets the first.
    const OF_DOCUMENTS: [Format; 3] = [Format::Json, Format::Yaml, Format::Protobuf];
    /// YAML has no frames.
    const OF_STREAMS: [Format; 2] = [Format::Json, Format::Protobuf];

    pub(crate) fn media(self) -> &'static str {
        match self {
            Format::Json => JSON,
            Format::Yaml => YAML,
            Format::Protobuf => protobuf::MEDIA_TYPE,
        }
    }
}

/// Of what is shown in one way, as a refusal or a document of discovery is: by the first alternative that asks for no other view. Who
/// has none of those is answered in the format that he named; who takes nothing of ours, in JSON, which says why.
pub(crate) fn format(accept: &str) -> Format {
    let clauses = clauses(accept);
    let plain = clauses.iter().filter(|clause| matches!(clause.convert(), Convert::Nothing));
    plain.chain(&clauses).find_map(Clause::format).unwrap_or(Format::Json)
}

/// Whether the client reads JSON, if in the last place.
pub(crate) fn takes_json(accept: &str) -> bool {
    clauses(accept).iter().any(|clause| clause.takes(JSON))
}

/// Whether an answer to the client may be made of a tree of values: YAML or protobuf is what he takes first.
pub(crate) fn may_be_converted(accept: &str) -> bool {
    clauses(accept).iter().find_map(Clause::format).is_some_and(|format| format != Format::Json)
}

/// What a clause wants objects turned into.
enum Convert<'c> {
    Nothing,
    /// A kind of the group `meta.k8s.io`.
    To(&'c str),
    Unknown,
}

impl Clause<'_> {
    /// The first that it takes.
    fn format(&self) -> Option<Format> {
        Format::OF_DOCUMENTS.into_iter().find(|format| self.takes(format.media()))
    }

    fn convert(&self) -> Convert<'_> {
        match (self.parameter("as"), self.parameter("g"), self.parameter("v")) {
            (None, None, None) => Convert::Nothing,
            (
                Some(kind @ ("Table" | "PartialObjectMetadata" | "PartialObjectMetadataList")),
                Some("meta.k8s.io"),
                Some("v1" | "v1beta1"),
            ) => Convert::To(kind),
            _ => Convert::Unknown,
        }
    }
}

fn not_acceptable(taken: &[&str]) -> Status {
    let why = format!("only the following media types are accepted: {}", taken.join(", "));
    Status::new(Reason::NotAcceptable, why)
}

/// Whether aggregated discovery is asked for before any other form; in which version, and in which format that has it.
pub(crate) fn aggregated(accept: &str) -> Option<(&'static str, Format)> {
    for clause in clauses(accept) {
        let of = (clause.parameter("as"), clause.parameter("g"), clause.parameter("v"));
        let asked = match of {
            (None, None, None) if clause.format().is_some() => return None,
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some(version)) => version,
            _ => continue,
        };
        let version = ["v2", "v2beta1"].into_iter().find(|version| *version == asked);
        let has_message =
            || protobuf::has_form(&format!("apidiscovery.k8s.io/{asked}"), "APIGroupDiscoveryList");
        let there = |format: &Format| *format != Format::Protobuf || has_message();
        let format = Format::OF_DOCUMENTS.into_iter().find(|f| clause.takes(f.media()) && there(f));
        if let Some(found) = version.zip(format) {
            return Some(found);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_one_view_is_told_in_the_first_format() {
        use Format::{Json, Protobuf, Yaml};
        let proto = "application/vnd.kubernetes.protobuf";
        let as_table = ";as=Table;v=v1;g=meta.k8s.io";
        for (accept, format_of_refusal, converted) in [
            (String::new(), Json, false),
            ("text/html".to_owned(), Json, false),
            ("text/html, */*;q=0.1".to_owned(), Json, false),
            (proto.to_owned(), Protobuf, true),
            (format!("{proto};stream=watch"), Protobuf, true),
            (format!("{proto},{JSON}"), Protobuf, true),
            (format!("{JSON},{proto}"), Json, false),
            (format!("{JSON}{as_table},{proto}"), Protobuf, false),
            (format!("{proto}{as_table},{JSON}"), Json, true),
            (format!("{YAML}{as_table}"), Yaml, true),
            (format!("{YAML}, {JSON};q=0.1"), Yaml, true),
        ] {
            let got = (format(&accept), may_be_converted(&accept));
            assert_eq!(got, (format_of_refusal, converted), "{accept:?}");
        }
        for (accept, want) in
            [("", true), ("*/*;q=0.1", true), (proto, false), ("application/json;q=0", false)]
        {
            assert_eq!(takes_json(accept), want, "{accept:?}");
        }
    }

    #[test]
    fn aggregated_discovery_is_asked_for_in_a_version_and_a_format() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        let binary = |of: &str| of.replace("json", "vnd.kubernetes.protobuf");
        let cases = [
            (format!("{v2},application/json"), Some(("v2", Format::Json))),
            (format!("{beta},{v2}"), Some(("v2beta1", Format::Json))),
            ("application/json".to_owned(), None),
            (format!("application/json,{v2}"), None),
            (format!("application/json;q=0.9,{v2}"), Some(("v2", Format::Json))),
            (format!("{},{v2},application/json", binary(v2)), Some(("v2", Format::Protobuf))),
            (format!("{},application/json", v2.replace("json", "yaml")), Some(("v2", Format::Yaml))),
            // the older version has no messages
            (format!("{},{beta}", binary(beta)), Some(("v2beta1", Format::Json))),
            (format!("{},application/json", binary(beta)), None),
            (format!("{},application/json", v2.replace("v=v2", "v=v9")), None),
        ];
        for (accept, want) in cases {
            assert_eq!(aggregated(&accept), want, "{accept:?}");
        }
    }
}

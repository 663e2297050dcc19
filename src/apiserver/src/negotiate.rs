//! Which of our formats the client accepts.

use crate::request::Request;
use api::{Gvk, Reason, Status};

const JSON: &str = "application/json";
const YAML: &str = crate::yaml::MEDIA_TYPE;

/// How objects are to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Objects,
    Table,
    /// Metadata only.
    Partial,
}

/// One alternative of an `Accept` header.
#[derive(Debug, Clone, PartialEq)]
struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl Clause<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn takes(&self, media: &str) -> bool {
        match self.media.strip_suffix("/*") {
            Some("*") => true,
            Some(kind) => media.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/')),
            None => self.media.eq_ignore_ascii_case(media),
        }
    }
}

/// The header's alternatives, the dearest first, equals in their order (RFC 9110, section 12.5.1). An empty header
/// takes all.
fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let accept = if accept.trim().is_empty() { "*/*" } else { accept };
    let mut clauses: Vec<Clause<'_>> =
        accept.split(',').filter_map(clause).filter(|c| c.quality > 0.0).collect();
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    clauses
}

fn clause(text: &str) -> Option<Clause<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().filter(|media| !media.is_empty())?;
    let parameters: Vec<(&str, &str)> = parts
        .filter_map(|p| p.split_once('='))
        .map(|(k, v)| (k.trim(), v.trim().trim_matches('"')))
        .collect();
    let quality = parameters.iter().find(|(name, _)| *name == "q").and_then(|(_, value)| value.parse().ok());
    Some(Clause { media, parameters, quality: quality.unwrap_or(1.0) })
}

/// The offer that the client likes best; among equals the first offer.
pub(crate) fn first_of<'o>(accept: &str, offers: &[&'o str]) -> Option<&'o str> {
    clauses(accept).iter().find_map(|clause| offers.iter().find(|offer| clause.takes(offer)).copied())
}

/// Whether the client reads protobuf and could not read JSON.
pub(crate) fn only_protobuf(accept: &str) -> bool {
    let clauses = clauses(accept);
    clauses.iter().any(|c| c.takes(protobuf::MEDIA_TYPE))
        && !clauses.iter().any(|c| c.takes("application/json"))
}

/// Whether the client reads YAML and nothing else of ours.
pub(crate) fn only_yaml(accept: &str) -> bool {
    first_of(accept, &["application/json", protobuf::MEDIA_TYPE, YAML]) == Some(YAML)
        && !clauses(accept).iter().any(|c| c.takes("application/json"))
}

/// `Accept-Encoding` has the form of `Accept`.
pub(crate) fn takes_gzip(accept_encoding: &str) -> bool {
    !accept_encoding.trim().is_empty()
        && clauses(accept_encoding).iter().any(|c| c.media.eq_ignore_ascii_case("gzip") || c.media == "*")
}

/// What an answer consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Object,
    List,
    Watch,
}

/// What is to be shown in one of the forms that a client takes.
pub(crate) struct Shown<'a> {
    pub(crate) shape: Shape,
    /// Of the objects.
    pub(crate) gvk: &'a Gvk,
    pub(crate) is_custom: bool,
}

impl Shown<'_> {
    /// The formats that there are. YAML has no frames.
    fn offers(&self) -> &'static [&'static str] {
        match self.shape {
            Shape::Watch => &[JSON, protobuf::MEDIA_TYPE],
            Shape::Object | Shape::List => &[JSON, YAML, protobuf::MEDIA_TYPE],
        }
    }

    /// # Errors
    /// Upstream's (`asPartialObjectMetadata`) for one asked as many, or many as one. It names its Go types.
    fn as_metadata(&self, kind: &str) -> Result<View, Status> {
        let refuse = |why: &str, list: &str| {
            let package = match self.gvk.group.split('.').next().unwrap_or_default() {
                _ if self.is_custom => "unstructured",
                "" => "core",
                first => first,
            };
            let kind = if self.is_custom { "Unstructured" } else { self.gvk.kind.as_ref() };
            Err(Status::new(Reason::NotAcceptable, format!("you requested {why} (*{package}.{kind}{list})")))
        };
        match (kind, self.shape) {
            ("PartialObjectMetadata", Shape::List) => {
                refuse("PartialObjectMetadata, but the requested object is a list", "List")
            }
            ("PartialObjectMetadataList", Shape::Object) => {
                refuse("PartialObjectMetadataList, but the requested object is not a list", "")
            }
            _ => Ok(View::Partial),
        }
    }
}

/// What a clause wants objects turned into.
enum Convert<'c> {
    Nothing,
    /// A kind of the group `meta.k8s.io`.
    To(&'c str),
    Unknown,
}

impl Clause<'_> {
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

/// Whether the client has the entity already, as its `If-None-Match` says.
pub(crate) fn is_known(if_none_match: &str, etag: &str) -> bool {
    if_none_match
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// The first that is asked for and known, in the client's order (upstream's `NegotiateMediaTypeOptions`).
///
/// # Errors
/// `NotAcceptable` for a client that takes nothing of what there is, and for one that mistakes a list for an object.
pub(crate) fn view(accept: &str, shown: &Shown<'_>) -> Result<View, Status> {
    for clause in clauses(accept) {
        let convert = clause.convert();
        for media in shown.offers().iter().filter(|media| clause.takes(media)) {
            let is_binary = *media == protobuf::MEDIA_TYPE;
            match convert {
                // custom kinds have no messages
                Convert::Nothing if is_binary && shown.is_custom => {}
                Convert::Nothing => return Ok(View::Objects),
                // a row's cells are of no type
                Convert::To("Table") if is_binary => {}
                Convert::To("Table") => return Ok(View::Table),
                Convert::To(kind) => return shown.as_metadata(kind),
                Convert::Unknown => {}
            }
        }
    }
    Err(match shown.shape {
        Shape::Watch => not_acceptable(&STREAMS),
        Shape::Object | Shape::List => not_acceptable(&FORMATS),
    })
}

const FORMATS: [&str; 3] = [JSON, YAML, protobuf::MEDIA_TYPE];
const STREAMS: [&str; 2] =
    ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];

fn not_acceptable(taken: &[&str]) -> Status {
    let why = format!("only the following media types are accepted: {}", taken.join(", "));
    Status::new(Reason::NotAcceptable, why)
}

/// For what is answered and not stored, as a review is: it has no columns.
///
/// # Errors
/// `NotAcceptable` for a client that takes nothing but a Table.
pub(crate) fn no_table(request: &Request) -> Result<(), Status> {
    let accept = request.header(http::header::ACCEPT);
    let takes = |clause: &Clause<'_>| {
        clause.parameter("as") != Some("Table") && FORMATS.iter().any(|media| clause.takes(media))
    };
    match clauses(accept).iter().any(takes) {
        true => Ok(()),
        false => Err(not_acceptable(&FORMATS)),
    }
}

/// Whether aggregated discovery is asked for, and in which version.
pub(crate) fn aggregated(accept: &str) -> Option<&'static str> {
    let asked = |clause: &Clause<'_>| {
        clause.parameter("g") == Some("apidiscovery.k8s.io")
            && clause.parameter("as") == Some("APIGroupDiscoveryList")
    };
    clauses(accept).iter().filter(|c| asked(c)).find_map(|clause| match clause.parameter("v") {
        Some("v2") => Some("v2"),
        Some("v2beta1") => Some("v2beta1"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown, or the code and the words of the refusal.
    fn viewed(accept: &str, shape: Shape, is_custom: bool) -> Result<View, (u16, String)> {
        let gvk = Gvk::new("apps", "v1", "Deployment");
        view(accept, &Shown { shape, gvk: &gvk, is_custom }).map_err(|status| (status.code, status.message))
    }

    #[test]
    fn the_first_known_format_wins() {
        let cases = [
            ("", View::Objects),
            ("application/json", View::Objects),
            ("text/html,application/xml;q=0.9,*/*;q=0.8", View::Objects),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                View::Table,
            ),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
                View::Partial,
            ),
            ("application/vnd.kubernetes.protobuf,application/json", View::Objects),
            ("application/json;q=0.5;as=Table;v=v1;g=meta.k8s.io, application/json", View::Objects),
            ("application/json;as=Table;v=v9;g=meta.k8s.io, application/json", View::Objects),
            ("application/json;as=Table;v=v1;g=example.com, */*", View::Objects),
            (
                "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io, application/yaml",
                View::Objects,
            ),
            ("application/json;stream=watch", View::Objects),
        ];
        for (accept, want) in cases {
            assert_eq!(viewed(accept, Shape::List, false), Ok(want), "{accept:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_acceptable() {
        let of = |kind: &str| format!("application/json;as={kind};v=v1;g=meta.k8s.io");
        let (one, many) = (of("PartialObjectMetadata"), of("PartialObjectMetadataList"));
        let table = of("Table");
        let formats = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf";
        let streams = "only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
        let (is_list, is_none) = (
            "you requested PartialObjectMetadata, but the requested object is a list (*apps.DeploymentList)",
            "you requested PartialObjectMetadataList, but the requested object is not a list (*apps.Deployment)",
        );
        let cases: [(&str, Shape, bool, Result<View, &str>); 16] = [
            ("text/html", Shape::Object, false, Err(formats)),
            ("text/html", Shape::Watch, false, Err(streams)),
            ("application/yaml", Shape::Watch, false, Err(streams)),
            ("application/json;as=Table;v=v9;g=meta.k8s.io", Shape::List, false, Err(formats)),
            ("application/json;as=Table;v=v1", Shape::List, false, Err(formats)),
            ("application/json;as=Table;v=v1;g=example.com", Shape::List, false, Err(formats)),
            ("application/json;as=Nothing;v=v1;g=meta.k8s.io", Shape::List, false, Err(formats)),
            (
                "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io",
                Shape::List,
                false,
                Err(formats),
            ),
            ("application/vnd.kubernetes.protobuf", Shape::List, true, Err(formats)),
            ("application/vnd.kubernetes.protobuf", Shape::Watch, true, Err(streams)),
            (&one, Shape::List, false, Err(is_list)),
            (&many, Shape::Object, false, Err(is_none)),
            (&one, Shape::Object, false, Ok(View::Partial)),
            (&many, Shape::List, true, Ok(View::Partial)),
            (&one, Shape::Watch, true, Ok(View::Partial)),
            (&table, Shape::Object, true, Ok(View::Table)),
        ];
        for (accept, shape, is_custom, want) in cases {
            let want = want.map_err(|why| (406, why.to_owned()));
            assert_eq!(viewed(accept, shape, is_custom), want, "{accept:?} {shape:?} {is_custom}");
        }
        let custom = viewed(&one, Shape::List, true).unwrap_err().1;
        assert!(custom.ends_with("is a list (*unstructured.UnstructuredList)"), "{custom}");
    }

    #[test]
    fn yaml_is_for_those_who_take_nothing_better() {
        for (accept, want) in [
            ("application/yaml", true),
            ("text/html, application/yaml;q=0.5", true),
            ("application/yaml, application/json;q=0.1", false),
            ("application/vnd.kubernetes.protobuf, application/yaml", false),
            ("*/*", false),
            ("", false),
            ("text/html", false),
        ] {
            assert_eq!(only_yaml(accept), want, "{accept:?}");
        }
    }

    #[test]
    fn what_is_not_stored_has_no_table() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let both = format!("{table}, application/json");
        for (accept, code) in [
            (table, 406),
            ("text/html", 406),
            (both.as_str(), 0),
            ("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", 0),
            ("application/vnd.kubernetes.protobuf", 0),
            ("*/*", 0),
            ("", 0),
        ] {
            let mut request = Request::for_tests("POST", "/", "", Vec::new());
            request
                .headers
                .insert(http::header::ACCEPT, http::HeaderValue::from_static(Box::leak(accept.into())));
            assert_eq!(no_table(&request).map_or_else(|status| status.code, |()| 0), code, "{accept:?}");
        }
    }

    #[test]
    fn aggregated_discovery_is_asked_for_in_a_version() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        let cases = [
            (format!("{v2},application/json"), Some("v2")),
            (format!("{beta},{v2}"), Some("v2beta1")),
            ("application/json".to_owned(), None),
        ];
        for (accept, want) in cases {
            assert_eq!(aggregated(&accept), want, "{accept:?}");
        }
    }

    #[test]
    fn an_offer_is_chosen_by_the_client() {
        let (json, proto) = ("application/json", "application/x@v1.0+protobuf");
        let cases = [
            ("", Some(json)),
            ("*/*", Some(json)),
            ("application/*", Some(json)),
            ("application/x@v1.0+protobuf", Some(proto)),
            ("application/json;q=0.3, application/x@v1.0+protobuf;q=0.9", Some(proto)),
            ("application/json;q=0", None),
            ("text/html", None),
        ];
        for (accept, want) in cases {
            assert_eq!(first_of(accept, &[json, proto]), want, "{accept:?}");
        }
    }

    #[test]
    fn protobuf_is_given_to_those_who_read_nothing_else() {
        for (accept, want) in [
            ("application/vnd.kubernetes.protobuf", true),
            ("application/vnd.kubernetes.protobuf;stream=watch", true),
            ("application/vnd.kubernetes.protobuf,application/json", false),
            ("application/vnd.kubernetes.protobuf, */*", false),
            ("text/html", false),
            ("", false),
        ] {
            assert_eq!(only_protobuf(accept), want, "{accept:?}");
        }
    }

    #[test]
    fn gzip_is_taken_where_it_is_named() {
        for (header, want) in
            [("", false), ("gzip", true), ("gzip;q=0", false), ("br, gzip;q=0.1", true), ("identity", false)]
        {
            assert_eq!(takes_gzip(header), want, "{header:?}");
        }
    }
}

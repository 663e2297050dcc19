//! In which of their forms objects are shown: as they are, as rows of a table, or their metadata alone.

use super::accept::{Clause, clauses};
use super::{Convert, Format, JSON, YAML, not_acceptable};
use crate::request::Request;
use api::{Gvk, Reason, Status};
use warp::reply::Response;

const FORMATS: [&str; 3] = [JSON, YAML, protobuf::MEDIA_TYPE];
const STREAMS: [&str; 2] =
    ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];

/// What a client gets to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) format: Format,
    pub(crate) view: View,
}

impl Chosen {
    /// The answer, of JSON, goes out in the format.
    pub(crate) fn format_of(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self.format);
        response
    }
}

/// How objects are to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Objects,
    Table,
    /// Metadata only.
    Partial,
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
    /// The formats that there are.
    fn offers(&self) -> &'static [Format] {
        match self.shape {
            Shape::Watch => &Format::OF_STREAMS,
            Shape::Object | Shape::List => &Format::OF_DOCUMENTS,
        }
    }

    /// Custom kinds have no messages, whatever they are called.
    fn has_message(&self) -> bool {
        !self.is_custom && protobuf::has_form(&self.gvk.api_version(), &self.gvk.kind)
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

/// The first that is asked for and known, in the client's order (upstream's `NegotiateMediaTypeOptions`).
///
/// # Errors
/// `NotAcceptable` for a client that takes nothing of what there is, and for one that mistakes a list for an object.
pub(crate) fn view(accept: &str, shown: &Shown<'_>) -> Result<Chosen, Status> {
    for clause in clauses(accept) {
        let convert = clause.convert();
        for &format in shown.offers().iter().filter(|format| clause.takes(format.media())) {
            let is_binary = format == Format::Protobuf;
            let view = match convert {
                Convert::Nothing if is_binary && !shown.has_message() => continue,
                Convert::Nothing => View::Objects,
                // a row's cells are of no type
                Convert::To("Table") if is_binary => continue,
                Convert::To("Table") => View::Table,
                Convert::To(kind) => shown.as_metadata(kind)?,
                Convert::Unknown => continue,
            };
            return Ok(Chosen { format, view });
        }
    }
    Err(match shown.shape {
        Shape::Watch => not_acceptable(&STREAMS),
        Shape::Object | Shape::List => not_acceptable(&FORMATS),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown, or the code and the words of the refusal.
    fn viewed(accept: &str, shape: Shape, is_custom: bool) -> Result<View, (u16, String)> {
        let gvk = Gvk::new("apps", "v1", "Deployment");
        let chosen = view(accept, &Shown { shape, gvk: &gvk, is_custom });
        chosen.map(|chosen| chosen.view).map_err(|status| (status.code, status.message))
    }

    #[test]
    fn the_format_is_that_of_the_first_that_can_be_served() {
        use Format::{Json, Protobuf, Yaml};
        let proto = "application/vnd.kubernetes.protobuf";
        let of = |media: &str, kind: &str| format!("{media};as={kind};v=v1;g=meta.k8s.io");
        let (table, binary_table) = (of(JSON, "Table"), of(proto, "Table"));
        let metadata = of(proto, "PartialObjectMetadataList");
        let cases = [
            (String::new(), Json, Json, View::Objects),
            ("*/*".to_owned(), Json, Json, View::Objects),
            ("application/*".to_owned(), Json, Json, View::Objects),
            // what clients of Go send
            (format!("{proto},{JSON}"), Protobuf, Json, View::Objects),
            (format!("{proto}, */*"), Protobuf, Json, View::Objects),
            (format!("{JSON},{proto}"), Json, Json, View::Objects),
            (format!("{JSON};q=0.8, {proto};q=0.9"), Protobuf, Json, View::Objects),
            (format!("*/*, {proto}"), Protobuf, Json, View::Objects),
            (format!("{YAML}, {JSON};q=0.1"), Yaml, Yaml, View::Objects),
            (format!("text/html, {YAML};q=0.5, */*;q=0.1"), Yaml, Yaml, View::Objects),
            (format!("{table}, {proto}"), Json, Json, View::Table),
            (format!("{binary_table}, {table}, {proto}"), Json, Json, View::Table),
            (format!("{metadata}, {JSON}"), Protobuf, Protobuf, View::Partial),
        ];
        let gvk = Gvk::new("apps", "v1", "Deployment");
        for (accept, built_in, custom, shown) in cases {
            for (is_custom, format) in [(false, built_in), (true, custom)] {
                let chosen = view(&accept, &Shown { shape: Shape::List, gvk: &gvk, is_custom });
                let want = Chosen { format, view: shown };
                assert_eq!(chosen.map_err(|status| status.message), Ok(want), "{accept:?} {is_custom}");
            }
        }
        // a watch has no frames in YAML
        let watch = Shown { shape: Shape::Watch, gvk: &gvk, is_custom: false };
        let chosen = view(&format!("{YAML}, {proto}, {JSON}"), &watch).unwrap();
        assert_eq!(chosen.format, Protobuf);
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
}

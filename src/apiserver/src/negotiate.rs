//! Which of our formats the client accepts.

use crate::request::Request;
use api::{Gvk, Reason, Status};
use warp::reply::Response;

const JSON: &str = "application/json";
const YAML: &str = crate::yaml::MEDIA_TYPE;
const TEXT: &str = "text/plain";
/// Of pages for people, the newest first.
const PAGE_VERSIONS: [&str; 2] = ["v1beta1", "v1alpha1"];

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

    /// The first that it takes.
    fn format(&self) -> Option<Format> {
        Format::OF_DOCUMENTS.into_iter().find(|format| self.takes(format.media()))
    }

    /// 2 for one media type, less for a range of them.
    fn precision(&self) -> u8 {
        match self.media.strip_suffix("/*") {
            Some("*") => 0,
            Some(_) => 1,
            None => 2,
        }
    }
}

/// The header's alternatives, the dearest first, of equals the more precise ones, then in their order (RFC 9110, section 12.5.1, and
/// upstream's `goautoneg`). An empty header takes all.
fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let accept = if accept.trim().is_empty() { "*/*" } else { accept };
    let mut clauses: Vec<Clause<'_>> =
        accept.split(',').filter_map(clause).filter(|c| c.quality > 0.0).collect();
    clauses.sort_by(|a, b| {
        let by_quality = b.quality.total_cmp(&a.quality);
        by_quality.then_with(|| b.precision().cmp(&a.precision()))
    });
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

/// `Accept-Encoding` has the form of `Accept`, but `*` stands for what is not named (RFC 9110, section 12.5.3), and nothing is taken
/// where the header is not there.
pub(crate) fn takes_gzip(accept_encoding: &str) -> bool {
    let quality_of = |coding: &str| {
        let mut codings = accept_encoding.split(',').filter_map(clause);
        codings.find(|known| known.media.eq_ignore_ascii_case(coding)).map(|known| known.quality)
    };
    quality_of("gzip").or_else(|| quality_of("*")).is_some_and(|quality| quality > 0.0)
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

/// The form of a page that is there for people, and for programs that name its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageForm {
    Text,
    /// In JSON or YAML, in a version of the group `config.k8s.io`.
    Object {
        format: Format,
        version: &'static str,
    },
}

/// The first that is asked for and known: text, and `kind` only where it is named with its group and version.
///
/// # Errors
/// `NotAcceptable`, also for who takes JSON of no kind (upstream's `StatuszEndpointRestrictions`).
pub(crate) fn page_form(accept: &str, kind: &str) -> Result<PageForm, Status> {
    let structured = [Format::Json, Format::Yaml];
    for clause in clauses(accept) {
        let of = (clause.parameter("as"), clause.parameter("g"), clause.parameter("v"));
        let asked = match of {
            _ if clause.parameter("stream").is_some() => continue,
            (None, None, None) if clause.takes(TEXT) => return Ok(PageForm::Text),
            (Some(known), Some("config.k8s.io"), Some(version)) if known == kind => version,
            _ => continue,
        };
        let version = PAGE_VERSIONS.into_iter().find(|version| *version == asked);
        let format = structured.into_iter().find(|format| clause.takes(format.media()));
        if let Some((version, format)) = version.zip(format) {
            return Ok(PageForm::Object { format, version });
        }
    }
    Err(not_acceptable(&[JSON, YAML, protobuf::MEDIA_TYPE, TEXT]))
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

    #[test]
    fn a_page_is_text_where_its_kind_is_not_named() {
        let of = |media: &str, version: &str| format!("{media};v={version};g=config.k8s.io;as=Statusz");
        let object = |format, version| Some(PageForm::Object { format, version });
        let text = Some(PageForm::Text);
        for (accept, want) in [
            (String::new(), text),
            ("*/*".to_owned(), text),
            ("text/*, application/json".to_owned(), text),
            (of(JSON, "v1beta1"), object(Format::Json, "v1beta1")),
            (of(YAML, "v1alpha1"), object(Format::Yaml, "v1alpha1")),
            (format!("{},{}", of(JSON, "v1alpha1"), of(JSON, "v1beta1")), object(Format::Json, "v1alpha1")),
            (format!("{},*/*", of(JSON, "v9")), text),
            (of(JSON, "v9"), None),
            (of(protobuf::MEDIA_TYPE, "v1beta1"), None),
            (of(TEXT, "v1beta1"), None),
            ("application/json".to_owned(), None),
            ("application/json;v=v1beta1;g=config.k8s.io".to_owned(), None),
            ("application/json;v=v1beta1;g=config.k8s.io;as=Flagz".to_owned(), None),
            ("application/xml".to_owned(), None),
        ] {
            let form = page_form(&accept, "Statusz");
            let code = form.as_ref().err().map(|status| status.code);
            assert_eq!((form.ok(), code), (want, want.is_none().then_some(406)), "{accept:?}");
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
    fn gzip_is_taken_where_it_is_named() {
        for (header, want) in [
            ("", false),
            ("gzip", true),
            ("GZIP", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("br, gzip;q=0.1", true),
            ("identity", false),
            ("*", true),
            ("*;q=0", false),
            ("identity, *;q=0.1", true),
            ("gzip;q=0, *", false),
            ("*, gzip;q=0", false),
            ("*;q=0, gzip", true),
        ] {
            assert_eq!(takes_gzip(header), want, "{header:?}");
        }
    }
}

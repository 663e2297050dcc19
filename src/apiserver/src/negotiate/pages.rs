//! Pages that are there for people, and for programs that name their kind.

use super::accept::clauses;
use super::{Format, JSON, YAML, not_acceptable};
use api::Status;

const TEXT: &str = "text/plain";
/// Of pages for people, the newest first.
const PAGE_VERSIONS: [&str; 2] = ["v1beta1", "v1alpha1"];

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

#[cfg(test)]
mod tests {
    use super::*;

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
}

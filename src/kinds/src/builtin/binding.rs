//! Binding: carried out, and stored nowhere. A version of it is there for those who are asked about bindings.

use super::computed;
use crate::{Logic, Origin, Printer, ResourceInfo, SchemaKind, SchemaRef, Version};
use api::Gvr;
use std::sync::{Arc, LazyLock};

static BINDING: LazyLock<Arc<Version>> = LazyLock::new(|| {
    let gvr = Gvr::new("", "v1", "bindings");
    let info = computed().find(|info| info.gvr == gvr).unwrap_or_else(|| panic!("{gvr:?} is not computed"));
    unserved(info)
});

/// A version that no registry has, of a kind that the table of types has.
pub(super) fn unserved(info: ResourceInfo) -> Arc<Version> {
    let kind = SchemaKind {
        schema: SchemaRef::of(&info.gvk),
        rules: expressions::Rules::default(),
        stored_version: info.gvk.api_version(),
        scale: None,
        printer: Printer::of([]),
        selectable: Vec::new(),
        origin: Origin::Program(Logic::PLAIN),
        deprecation: None,
        conversion: None,
        read_schemas: Arc::default(),
        info,
    };
    kind.into_version()
}

/// The collection `bindings`. No registry has it: nothing can be read of it, or written to it as to others.
pub fn binding() -> &'static Arc<Version> {
    &BINDING
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldValidation;

    #[test]
    fn a_binding_is_read_by_its_fields() {
        let cases = [
            ("a good one", r#"{"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}"#, true),
            (
                "an unknown field",
                r#"{"metadata": {"name": "p"}, "target": {"name": "n"}, "node": "n"}"#,
                false,
            ),
            ("no object", r#"{"metadata": {"name": "p"}, "target": "n"}"#, false),
        ];
        for (name, json, want) in cases {
            let read = binding().decode(json.as_bytes(), FieldValidation::Strict);
            assert_eq!(read.is_ok(), want, "{name}");
        }
    }
}

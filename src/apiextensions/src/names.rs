//! Whose a name is: within a group a plural, singular or short name, a kind and a list kind belong to one definition.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

/// A name that another definition of the group has already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// `PluralConflict`, `KindConflict`, …
    pub reason: &'static str,
    pub message: String,
}

/// What of `definition`'s names one of `others` has.
pub fn conflict<'d>(
    definition: &CustomResourceDefinition,
    others: impl IntoIterator<Item = &'d CustomResourceDefinition>,
) -> Option<Conflict> {
    let own = &definition.spec.names;
    let taken = |reason: &'static str, name: &str| {
        Some(Conflict { reason, message: format!("{name:?} is already in use") })
    };
    for other in others.into_iter().filter(|other| other.spec.group == definition.spec.group) {
        let names = &other.spec.names;
        let resources: Vec<&str> = std::iter::once(names.plural.as_str())
            .chain(names.singular.as_deref())
            .chain(names.short_names.iter().flatten().map(String::as_str))
            .collect();
        let kinds: Vec<&str> =
            std::iter::once(names.kind.as_str()).chain(names.list_kind.as_deref()).collect();
        if resources.contains(&own.plural.as_str()) {
            return taken("PluralConflict", &own.plural);
        }
        if let Some(singular) = own.singular.as_deref().filter(|name| resources.contains(name)) {
            return taken("SingularConflict", singular);
        }
        if let Some(short) = own.short_names.iter().flatten().find(|name| resources.contains(&name.as_str()))
        {
            return taken("ShortNamesConflict", short);
        }
        if kinds.contains(&own.kind.as_str()) {
            return taken("KindConflict", &own.kind);
        }
        if let Some(list) = own.list_kind.as_deref().filter(|name| kinds.contains(name)) {
            return taken("ListKindConflict", list);
        }
    }
    None
}

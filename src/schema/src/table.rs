//! The built-in types, from `assets/kubernetes/types.tsv`: one line a field, each fact once. A type becomes a schema when it
//! is first asked for.

use crate::rows::{Row, rows};
use crate::{ListType, Merge, Schema, Type};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, LazyLock, OnceLock};

/// The node below another: its own, or a type of the table, which is read when it is first looked at. Types may hold
/// themselves (`JSONSchemaProps`), and most are never asked for.
#[derive(Debug, Clone)]
pub struct Link {
    to: To,
    is_always_there: bool,
    omits_zero: bool,
}

#[derive(Debug, Clone)]
enum To {
    Own(Arc<Schema>),
    Named(&'static str),
}

impl Link {
    /// A type that the table has: see [`named`].
    fn to_type(name: &'static str) -> Self {
        Link { to: To::Named(name), is_always_there: false, omits_zero: false }
    }

    /// What is held for this link alone; what the table has, and what is plain, is there anyway.
    pub(crate) fn own(&self) -> Option<&Schema> {
        match &self.to {
            To::Own(schema) if !schema.is_plain() => Some(schema),
            To::Own(_) | To::Named(_) => None,
        }
    }

    /// Of a field: Go has it in every object of the type, also where nothing is in it.
    pub fn is_always_there(&self) -> bool {
        self.is_always_there
    }

    /// Of a field: Go leaves it out where it is the zero of its type, or is empty (`omitempty`, and no pointer).
    pub(crate) fn omits_zero(&self) -> bool {
        self.omits_zero
    }
}

impl From<Schema> for Link {
    fn from(schema: Schema) -> Self {
        let schema = plain(&schema).unwrap_or_else(|| Arc::new(schema));
        Link { to: To::Own(schema), is_always_there: false, omits_zero: false }
    }
}

/// The one node of all fields that have a type and nothing else to say: most of a definition's are such.
fn plain(schema: &Schema) -> Option<Arc<Schema>> {
    static PLAIN: [OnceLock<Arc<Schema>>; Type::COUNT] = [const { OnceLock::new() }; Type::COUNT];
    let made = || Arc::new(Schema { kind: schema.kind, ..Schema::default() });
    let node = schema.is_plain().then(|| PLAIN.get(schema.kind as usize))??;
    Some(node.get_or_init(made).clone())
}

impl Deref for Link {
    type Target = Schema;

    fn deref(&self) -> &Schema {
        match &self.to {
            To::Own(schema) => schema,
            To::Named(name) => named(name).expect("the table refers to types that it has: held by its tests"),
        }
    }
}

static TYPES: &str = include_str!("../../../assets/kubernetes/types.tsv");

struct Entry {
    rows: Vec<Row<'static>>,
    schema: OnceLock<Schema>,
}

static TABLE: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let mut table: HashMap<&'static str, Entry> = HashMap::new();
    for row in rows(TYPES) {
        let entry =
            table.entry(row.of).or_insert_with(|| Entry { rows: Vec::new(), schema: OnceLock::new() });
        entry.rows.push(row);
    }
    table
});

/// The packages of upstream's API groups.
const PACKAGES: &[(&str, &str)] = &[
    ("", "core"),
    ("admissionregistration.k8s.io", "admissionregistration"),
    ("apidiscovery.k8s.io", "apidiscovery"),
    ("apiextensions.k8s.io", "apiextensions"),
    ("apiregistration.k8s.io", "apiregistration"),
    ("apps", "apps"),
    ("authentication.k8s.io", "authentication"),
    ("authorization.k8s.io", "authorization"),
    ("autoscaling", "autoscaling"),
    ("batch", "batch"),
    ("certificates.k8s.io", "certificates"),
    ("coordination.k8s.io", "coordination"),
    ("discovery.k8s.io", "discovery"),
    ("events.k8s.io", "events"),
    ("flowcontrol.apiserver.k8s.io", "flowcontrol"),
    ("networking.k8s.io", "networking"),
    ("node.k8s.io", "node"),
    ("policy", "policy"),
    ("rbac.authorization.k8s.io", "rbac"),
    ("resource.k8s.io", "resource"),
    ("scheduling.k8s.io", "scheduling"),
    ("storage.k8s.io", "storage"),
    ("storagemigration.k8s.io", "storagemigration"),
];

/// The name of a kind's type (`rbac.v1.Role`), where the table has it. A group of somebody else's is none of upstream's,
/// whatever its first part is.
pub fn type_of(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    let (_, package) = PACKAGES.iter().find(|(known, _)| *known == group)?;
    TABLE.get_key_value(format!("{package}.{version}.{kind}").as_str()).map(|(name, _)| *name)
}

/// A type by its name in the table: `core.v1.Pod`, `meta.v1.ObjectMeta`.
pub fn named(name: &str) -> Option<&'static Schema> {
    TABLE.get(name).map(|entry| entry.schema.get_or_init(|| schema_of(entry)))
}

/// The fields of a type as they travel, in the order of their numbers.
pub fn fields(name: &str) -> Option<&'static [Row<'static>]> {
    TABLE.get(name).map(|entry| entry.rows.as_slice())
}

/// Every type's name.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.keys().copied()
}

fn schema_of(entry: &'static Entry) -> Schema {
    let mut schema = Schema { kind: Type::Object, ..Schema::default() };
    let Some(first) = entry.rows.first() else { return schema };
    schema.name = first.of;
    schema.atomic = entry.rows.iter().any(|row| row.field == "-" && row.is("atomic"));
    add_rows(&mut schema, &entry.rows);
    schema
}

fn add_rows(schema: &mut Schema, rows: &'static [Row<'static>]) {
    for row in rows {
        match row.field {
            // of the type itself: whatever embeds a reference, which is owned as a whole, has owners for its parts
            "-" => {}
            "~" => add_rows(schema, fields(row.kind).unwrap_or_default()),
            field => {
                if row.is("required") {
                    schema.checks.required.push(field.to_owned());
                }
                let is_always_there = row.is("always");
                let omits_zero = !is_always_there && !row.is("zero");
                let link = Link { is_always_there, omits_zero, ..field_of(row) };
                schema.properties.insert(field.to_owned(), link);
            }
        }
    }
}

fn field_of(row: &Row<'static>) -> Link {
    let link = link_to(row.kind);
    let plain = !["atomic", "off", "set"].iter().any(|fact| row.is(fact))
        && ["map", "merge", "default", "enum"].iter().all(|fact| row.get(fact).is_none())
        && !row.is("merge");
    if plain {
        return link;
    }
    let mut schema = (*link).clone();
    schema.list = match row.get("map") {
        Some(keys) => ListType::Map(keys.split(',').map(str::to_owned).collect()),
        None if row.is("set") => ListType::Set,
        None => ListType::Atomic,
    };
    schema.merge = row.get("merge").map(Merge::By).or(row.is("merge").then_some(Merge::Values));
    schema.atomic |= row.is("atomic");
    schema.off = row.is("off");
    schema.default = row.get("default").and_then(|text| serde_json::from_str(text).ok()).map(Box::new);
    if let Some(values) = row.get("enum") {
        schema.checks.one_of_values = values.split('|').map(Into::into).collect();
    }
    schema.into()
}

fn link_to(kind: &'static str) -> Link {
    if let Some(items) = kind.strip_prefix("[]") {
        return Schema { kind: Type::Array, name: kind, items: Some(link_to(items)), ..Schema::default() }
            .into();
    }
    if let Some(values) = kind.strip_prefix("map[string]") {
        let additional = Some(link_to(values));
        return Schema { kind: Type::Object, name: kind, additional, ..Schema::default() }.into();
    }
    let leaf = match kind {
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "int32" => Type::Int32,
        "int64" => Type::Integer,
        "double" => Type::Number,
        "bool" => Type::Boolean,
        "time" => Type::Time,
        "microtime" => Type::MicroTime,
        "quantity" => Type::Quantity,
        "intorstring" => Type::IntOrString,
        "duration" => Type::Duration,
        "any" => Type::Any,
        "raw" => Type::Object,
        name => return Link::to_type(name),
    };
    let preserve_unknown = matches!(kind, "any" | "raw");
    Schema { kind: leaf, name: kind, preserve_unknown, ..Schema::default() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_refers_to_types_that_it_has() {
        for (name, entry) in TABLE.iter() {
            for row in &entry.rows {
                let mut kind = row.kind;
                while let Some(below) = kind.strip_prefix("[]").or(kind.strip_prefix("map[string]")) {
                    kind = below;
                }
                let is_leaf = !kind.contains('.');
                assert!(is_leaf || TABLE.contains_key(kind), "{name}.{}: {kind}", row.field);
            }
        }
    }

    #[test]
    fn no_field_and_no_number_stands_twice() {
        for (name, entry) in TABLE.iter() {
            let mut fields: Vec<_> = entry.rows.iter().map(|row| row.field).collect();
            let mut numbers: Vec<_> = entry.rows.iter().filter_map(|row| row.number).collect();
            fields.sort_unstable();
            numbers.sort_unstable();
            assert!(fields.windows(2).all(|pair| pair[0] != pair[1]), "{name}: {fields:?}");
            assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]), "{name}: {numbers:?}");
        }
    }

    #[test]
    fn keys_of_lists_are_fields_of_their_items() {
        for name in names() {
            for (field, node) in &named(name).unwrap().properties {
                let keys: Vec<&str> = match (&node.list, &node.merge) {
                    (ListType::Map(keys), _) => keys.iter().map(String::as_str).collect(),
                    (_, Some(Merge::By(key))) => vec![key],
                    _ => continue,
                };
                let items = node.items.as_deref().unwrap_or_else(|| panic!("{name}.{field} is no list"));
                for key in keys {
                    assert!(items.properties.contains_key(key), "{name}.{field}: {key}");
                }
            }
        }
    }

    #[test]
    fn groups_of_others_have_no_types_here() {
        assert_eq!(type_of("rbac.authorization.k8s.io", "v1", "Role"), Some("rbac.v1.Role"));
        assert_eq!(type_of("", "v1", "Pod"), Some("core.v1.Pod"));
        assert_eq!(type_of("networking.acme.io", "v1", "Ingress"), None);
        assert_eq!(type_of("core", "v1", "Pod"), None);
        assert_eq!(type_of("", "v2", "Pod"), None);
    }

    #[test]
    fn fields_of_an_embedded_struct_are_the_types_own() {
        let volume = named("core.v1.Volume").unwrap();
        assert!(volume.field("name").is_some() && volume.field("hostPath").is_some());
        let probe = named("core.v1.Probe").unwrap();
        assert!(probe.field("httpGet").is_some() && probe.field("periodSeconds").is_some());
    }
}

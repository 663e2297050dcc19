//! Kinds that are data: a row here, and their fields in the table of types. They are served, and no component of ours
//! asks for them by a type.

use super::{resource_claim, resource_devices};
use crate::{
    Cells, Column, Durability, JsonPath, Logic, Origin, Printer, ResourceInfo, SchemaKind, SchemaRef, Scope,
    Subresource, VERBS, Version,
};
use api::{Gvk, Gvr};
use serde_json::Value;
use std::sync::Arc;

struct Row {
    /// Group, version, kind, plural.
    names: (&'static str, &'static str, &'static str, &'static str),
    scope: Scope,
    subresources: &'static [Subresource],
    /// After the name.
    columns: &'static [(Column, From)],
    /// `spec.nodeName`
    selectable: &'static [&'static str],
    logic: Logic,
}

enum From {
    /// `.spec.driver`
    Path(&'static str),
    Age,
    Made(fn(&Value) -> crate::Cell),
}

const RESOURCE: &str = "resource.k8s.io";
const AGE: (Column, From) = (Column::AGE, From::Age);

const ROWS: &[Row] = &[
    Row {
        names: (RESOURCE, "v1", "DeviceClass", "deviceclasses"),
        scope: Scope::Cluster,
        subresources: &[],
        columns: &[AGE],
        selectable: &[],
        logic: Logic { validate: resource_devices::validate_class, counts_generations: true, ..Logic::PLAIN },
    },
    Row {
        names: (RESOURCE, "v1", "ResourceClaim", "resourceclaims"),
        scope: Scope::Namespaced,
        subresources: &[Subresource::Status],
        columns: &[
            (
                Column::new("State", "string", "Whether devices are allocated and reserved"),
                From::Made(resource_claim::state),
            ),
            AGE,
        ],
        selectable: &[],
        logic: Logic {
            set_defaults: resource_claim::set_defaults,
            validate: resource_claim::validate,
            immutable: &["/spec"],
            ..Logic::PLAIN
        },
    },
    Row {
        names: (RESOURCE, "v1", "ResourceClaimTemplate", "resourceclaimtemplates"),
        scope: Scope::Namespaced,
        subresources: &[],
        columns: &[AGE],
        selectable: &[],
        logic: Logic {
            set_defaults: resource_claim::set_template_defaults,
            validate: resource_claim::validate_template,
            immutable: &["/spec"],
            ..Logic::PLAIN
        },
    },
    Row {
        names: (RESOURCE, "v1", "ResourceSlice", "resourceslices"),
        scope: Scope::Cluster,
        subresources: &[],
        columns: &[
            (Column::new("Node", "string", "The node that has the devices"), From::Path(".spec.nodeName")),
            (Column::new("Driver", "string", "The driver of the devices"), From::Path(".spec.driver")),
            (
                Column::new("Pool", "string", "The pool that the devices belong to"),
                From::Path(".spec.pool.name"),
            ),
            AGE,
        ],
        selectable: &["spec.driver", "spec.nodeName", "spec.pool.name"],
        logic: Logic {
            validate: resource_devices::validate_slice,
            immutable: &["/spec/driver", "/spec/nodeName", "/spec/pool/name"],
            counts_generations: true,
            ..Logic::PLAIN
        },
    },
];

pub(super) fn versions() -> impl Iterator<Item = Arc<Version>> {
    ROWS.iter().map(|row| row.kind().into_version())
}

impl Row {
    fn kind(&self) -> SchemaKind {
        let (group, version, kind, plural) = self.names;
        let gvk = Gvk::new(group, version, kind);
        let gvr = Gvr::new(group, version, plural);
        let columns = self.columns.iter().map(|(column, from)| {
            let cells = match from {
                From::Path(path) => Cells::Path(path_of(path)),
                From::Age => Cells::Age,
                From::Made(make) => Cells::Made(*make),
            };
            (column.clone(), cells)
        });
        SchemaKind {
            schema: SchemaRef::of(&gvk),
            rules: expressions::Rules::default(),
            stored_version: gvk.api_version(),
            scale: None,
            printer: Printer::of(columns),
            selectable: self
                .selectable
                .iter()
                .map(|path| ((*path).to_owned(), path_of(&format!(".{path}"))))
                .collect(),
            origin: Origin::Program(self.logic),
            deprecation: None,
            conversion: None,
            read_schemas: Arc::default(),
            info: ResourceInfo {
                singular: kind.to_lowercase().into(),
                short_names: Vec::new(),
                categories: Vec::new(),
                scope: self.scope,
                verbs: VERBS,
                subresources: self.subresources.to_vec(),
                durability: Durability::Sync,
                storage: gvr.group_resource(),
                gvk,
                gvr,
            },
        }
    }
}

/// # Panics
/// On a row that is none; every test that starts with the built-in kinds would see it.
fn path_of(path: &str) -> JsonPath {
    JsonPath::parse(path).unwrap_or_else(|why| panic!("a column's path: {why}"))
}

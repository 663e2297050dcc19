//! What is known of a value before there is one: its type, and the place in a schema that it comes from.

use crate::values::escaped;
use schema::{Schema, Type};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

/// How the fields of a schema become types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typing {
    /// As the rules of a custom resource see its values: what the schema does not name is not there, and text of a format is
    /// what the format says (upstream's `SchemaDeclType`).
    Rules,
    /// As a policy sees an object, which is its JSON: what is not plainly of one type there may be of any.
    Policy,
}

#[derive(Debug, Clone)]
pub(crate) enum Ty<'s> {
    /// Not known before.
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Timestamp,
    Duration,
    Type,
    List(Arc<Ty<'s>>),
    Map(Arc<Ty<'s>>, Arc<Ty<'s>>),
    Object(Place<'s>),
    Optional(Arc<Ty<'s>>),
    /// A type of the library, by its name.
    Opaque(&'static str),
}

/// Where in a schema a value stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'s> {
    Schema(&'s Schema),
    /// An object with a kind of its own: `apiVersion`, `kind` and `metadata` beside what the schema says.
    Resource(&'s Schema),
    /// Of which a rule sees two names.
    Metadata,
    /// Text that no schema bounds.
    Text,
    /// The key of a map.
    Key,
}

impl<'s> Place<'s> {
    pub(crate) fn of(schema: &'s Schema) -> Self {
        if schema.embedded { Place::Resource(schema) } else { Place::Schema(schema) }
    }

    fn schema(self) -> Option<&'s Schema> {
        match self {
            Place::Schema(schema) | Place::Resource(schema) => Some(schema),
            Place::Metadata | Place::Text | Place::Key => None,
        }
    }

    /// A field of an object, and nothing of a map.
    pub(crate) fn field(self, name: &str, typing: Typing) -> Option<Place<'s>> {
        match (self, name) {
            (Place::Resource(_), "apiVersion" | "kind") => return Some(Place::Text),
            (Place::Resource(_), "metadata") if typing == Typing::Rules => return Some(Place::Metadata),
            (Place::Metadata, "name" | "generateName") => return Some(Place::Text),
            _ => {}
        }
        let schema = self.schema().filter(|schema| schema.kind == Type::Object)?;
        if schema.additional.is_some() {
            return None;
        }
        // most names are written as they are
        let by_name =
            schema.properties.get(name).filter(|_| typing == Typing::Policy || escaped(name) == name);
        let found = by_name
            .or_else(|| schema.properties.iter().find(|(field, _)| escaped(field) == name).map(|(_, s)| s));
        found.map(|below| Place::of(below)).filter(|place| place.ty(typing).is_some())
    }

    /// An item of a list, or a value of a map.
    pub(crate) fn item(self) -> Option<Place<'s>> {
        let schema = self.schema()?;
        schema.items.as_deref().or(schema.additional.as_deref()).map(Place::of)
    }

    pub(crate) fn key(self) -> Option<Place<'s>> {
        self.schema()?.additional.as_ref().map(|_| Place::Key)
    }

    /// `None` where no expression sees it: what has no type, and lists and maps of that.
    pub(crate) fn ty(self, typing: Typing) -> Option<Ty<'s>> {
        let schema = match self {
            Place::Text | Place::Key => return Some(Ty::Text),
            Place::Metadata => return Some(Ty::Object(self)),
            Place::Schema(schema) | Place::Resource(schema) => schema,
        };
        let rules = typing == Typing::Rules;
        let unseen = || if rules { None } else { Some(Ty::Dyn) };
        Some(match schema.kind {
            Type::Any => return unseen(),
            Type::Object => match schema.additional.as_deref() {
                Some(below) => Ty::Map(Arc::new(Ty::Text), Arc::new(Place::of(below).ty(typing)?)),
                None if schema.preserve_unknown && !rules => Ty::Dyn,
                None => Ty::Object(self),
            },
            Type::Array => match schema.items.as_deref() {
                Some(below) => Ty::List(Arc::new(Place::of(below).ty(typing)?)),
                None => return unseen(),
            },
            Type::String => match schema.format() {
                Some("byte" | "date-time" | "date" | "duration") if !rules => Ty::Dyn,
                Some("byte") => Ty::Bytes,
                Some("date-time" | "date") => Ty::Timestamp,
                Some("duration") => Ty::Duration,
                _ => Ty::Text,
            },
            Type::Integer | Type::Int32 => Ty::Int,
            // in JSON a whole one is an integer
            Type::Number if rules => Ty::Double,
            Type::Boolean => Ty::Bool,
            Type::Number
            | Type::IntOrString
            | Type::Bytes
            | Type::Time
            | Type::MicroTime
            | Type::Quantity
            | Type::Duration => Ty::Dyn,
        })
    }
}

/// A type that is deeper says nothing of what lies below. No schema comes near it; names that stand for one another would.
const DEEPEST: usize = 64;

impl<'s> Ty<'s> {
    pub(crate) fn list(item: Ty<'s>) -> Self {
        Ty::List(Arc::new(item))
    }

    pub(crate) fn optional(inner: Ty<'s>) -> Self {
        Ty::Optional(Arc::new(inner))
    }

    /// What a name stands for, so that no chain of names makes a type that nobody could walk through.
    pub(crate) fn bounded(self) -> Self {
        if self.is_deeper(DEEPEST) { Ty::Dyn } else { self }
    }

    fn is_deeper(&self, most: usize) -> bool {
        let Some(most) = most.checked_sub(1) else { return true };
        match self {
            Ty::List(inner) | Ty::Optional(inner) => inner.is_deeper(most),
            Ty::Map(_, value) => value.is_deeper(most),
            _ => false,
        }
    }

    /// As the key of a map. One that holds others is none when it is evaluated, and would double the type at each step.
    pub(crate) fn into_key(self) -> Self {
        match self {
            Ty::List(_) | Ty::Map(..) | Ty::Optional(_) => Ty::Dyn,
            plain => plain,
        }
    }

    pub(crate) fn is_dyn(&self) -> bool {
        matches!(self, Ty::Dyn)
    }

    /// Of one size, whatever the value (cel-go's `isScalar`).
    pub(crate) fn is_scalar(&self) -> bool {
        match self {
            Ty::Bool | Ty::Int | Ty::Uint | Ty::Double | Ty::Timestamp | Ty::Duration => true,
            Ty::Optional(inner) => inner.is_scalar(),
            _ => false,
        }
    }

    /// May have no value (cel-go's `isLegacyNullable`).
    fn is_nullable(&self) -> bool {
        matches!(
            self,
            Ty::Null | Ty::Object(_) | Ty::Optional(_) | Ty::Opaque(_) | Ty::Timestamp | Ty::Duration
        )
    }

    /// Whether a value of the one may be one of the other: what is not known is assumed to be right.
    pub(crate) fn fits(&self, other: &Ty<'s>) -> bool {
        match (self, other) {
            (Ty::Dyn, _) | (_, Ty::Dyn) => true,
            (Ty::Null, other) | (other, Ty::Null) => other.is_nullable(),
            (Ty::List(one), Ty::List(other)) | (Ty::Optional(one), Ty::Optional(other)) => one.fits(other),
            (Ty::Map(key, value), Ty::Map(other_key, other_value)) => {
                key.fits(other_key) && value.fits(other_value)
            }
            // a value of either may be the other's
            (Ty::Object(_), Ty::Object(_) | Ty::Map(..)) | (Ty::Map(..), Ty::Object(_)) => true,
            (Ty::Opaque(one), Ty::Opaque(other)) => one == other,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }

    /// What both are, as far as it is known.
    pub(crate) fn join(self, other: Ty<'s>) -> Ty<'s> {
        match (self, other) {
            (Ty::Null, other) | (other, Ty::Null) if other.is_nullable() => other,
            (Ty::List(one), Ty::List(other)) => Ty::list((*one).clone().join((*other).clone())),
            (Ty::Map(key, value), Ty::Map(other_key, other_value)) => Ty::Map(
                Arc::new((*key).clone().join((*other_key).clone())),
                Arc::new((*value).clone().join((*other_value).clone())),
            ),
            (Ty::Optional(one), Ty::Optional(other)) => Ty::optional((*one).clone().join((*other).clone())),
            (Ty::Object(one), Ty::Object(other)) if one.is_same(other) => Ty::Object(one),
            (Ty::Object(_), _) | (_, Ty::Object(_)) => Ty::Dyn,
            (one, other) if one.fits(&other) && !other.is_dyn() => one,
            _ => Ty::Dyn,
        }
    }
}

impl Place<'_> {
    fn is_same(self, other: Place<'_>) -> bool {
        match (self.schema(), other.schema()) {
            (Some(one), Some(other)) => std::ptr::eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

/// As cel-go's messages name it.
impl Display for Ty<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ty::Dyn => "dyn",
            Ty::Null => "null",
            Ty::Bool => "bool",
            Ty::Int => "int",
            Ty::Uint => "uint",
            Ty::Double => "double",
            Ty::Text => "string",
            Ty::Bytes => "bytes",
            Ty::Timestamp => "timestamp",
            Ty::Duration => "duration",
            Ty::Type => "type",
            Ty::Object(_) => "object",
            Ty::Opaque(name) => name,
            Ty::List(item) => return write!(f, "list({item})"),
            Ty::Map(key, value) => return write!(f, "map({key}, {value})"),
            Ty::Optional(inner) => return write!(f, "optional_type({inner})"),
        })
    }
}

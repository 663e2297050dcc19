//! What can be said of an expression before it is evaluated: that a field which it names is in the schema, and that it is a
//! truth or a text.

use crate::node::{Binary, Node};
use crate::values::escaped;
use kube_cel::cel::Value;
use schema::{Schema, Type};

#[derive(Clone, Copy)]
pub(crate) enum Kind<'s> {
    Schema(&'s Schema),
    /// An object with a kind of its own: `apiVersion`, `kind` and `metadata` beside what the schema says.
    Resource(&'s Schema),
    Metadata,
    Bool,
    Text,
    /// Not known before.
    Any,
}

impl<'s> Kind<'s> {
    fn of(schema: &'s Schema) -> Self {
        if schema.embedded { Kind::Resource(schema) } else { Kind::Schema(schema) }
    }

    pub(crate) fn may_be_bool(self) -> bool {
        match self {
            Kind::Schema(schema) => matches!(schema.kind, Type::Boolean | Type::Any),
            Kind::Bool | Kind::Any => true,
            Kind::Resource(_) | Kind::Metadata | Kind::Text => false,
        }
    }

    pub(crate) fn may_be_text(self) -> bool {
        match self {
            Kind::Schema(schema) => {
                matches!(schema.kind, Type::String | Type::IntOrString | Type::Any)
                    && schema.format() != Some("date-time")
            }
            Kind::Text | Kind::Any => true,
            Kind::Resource(_) | Kind::Metadata | Kind::Bool => false,
        }
    }

    fn field(self, name: &str) -> Result<Kind<'s>, String> {
        let missing = || Err(format!("undefined field '{name}'"));
        match self {
            Kind::Resource(_) if matches!(name, "apiVersion" | "kind") => Ok(Kind::Text),
            Kind::Resource(_) if name == "metadata" => Ok(Kind::Metadata),
            Kind::Metadata if matches!(name, "name" | "generateName") => Ok(Kind::Text),
            Kind::Metadata => missing(),
            Kind::Schema(schema) | Kind::Resource(schema) if schema.kind == Type::Object => {
                if let Some(below) = schema.additional.as_deref() {
                    return Ok(Kind::of(below));
                }
                match schema.properties.iter().find(|(field, _)| escaped(field) == name) {
                    Some((_, below)) => Ok(Kind::of(below)),
                    None if schema.preserve_unknown => Ok(Kind::Any),
                    None => missing(),
                }
            }
            _ => Ok(Kind::Any),
        }
    }

    /// An item of a list, or a value of a map.
    fn item(self) -> Kind<'s> {
        match self {
            Kind::Schema(schema) => {
                schema.items.as_deref().or(schema.additional.as_deref()).map_or(Kind::Any, Kind::of)
            }
            _ => Kind::Any,
        }
    }

    /// What a macro goes over.
    fn each(self) -> Kind<'s> {
        match self {
            Kind::Schema(schema) if schema.kind == Type::Object => Kind::Text,
            other => other.item(),
        }
    }
}

pub(crate) struct Check<'s> {
    pub(crate) scope: Vec<(String, Kind<'s>)>,
}

impl<'s> Check<'s> {
    /// # Errors
    /// `undefined field 'x'`.
    pub(crate) fn kind(&mut self, node: &Node) -> Result<Kind<'s>, String> {
        Ok(match node {
            Node::Variable(name) => {
                self.scope.iter().rev().find(|(known, _)| known == name).map_or(Kind::Any, |(_, kind)| *kind)
            }
            Node::Literal(Value::Bool(_)) => Kind::Bool,
            Node::Literal(Value::String(_)) => Kind::Text,
            Node::Select { operand, field, optional } => {
                let below = self.kind(operand)?.field(field)?;
                if *optional { Kind::Any } else { below }
            }
            Node::Has { operand, field } => {
                self.kind(operand)?.field(field)?;
                Kind::Bool
            }
            Node::Index { operand, index, optional } => {
                self.kind(index)?;
                let item = self.kind(operand)?.item();
                if *optional { Kind::Any } else { item }
            }
            Node::Conditional(each) => {
                let [asked, then, other] = &**each;
                self.kind(asked)?;
                let then = self.kind(then)?;
                self.kind(other)?;
                then
            }
            Node::And(..)
            | Node::Or(..)
            | Node::Not(_)
            | Node::NotStrictlyFalse(_)
            | Node::Matches { .. } => {
                self.below(node)?;
                Kind::Bool
            }
            Node::Binary(operator, both) => {
                let left = self.kind(&both[0])?;
                self.kind(&both[1])?;
                match operator {
                    Binary::Add if matches!(left, Kind::Text) => Kind::Text,
                    Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Modulo => {
                        Kind::Any
                    }
                    _ => Kind::Bool,
                }
            }
            Node::Fold(of) => {
                let item = self.kind(&of.range)?.each();
                self.kind(&of.init)?;
                self.with(vec![(of.result_name.clone(), Kind::Any), (of.item.clone(), item)], |check| {
                    check.kind(&of.step).map(drop)
                })?;
                Kind::Bool
            }
            Node::Collect(of) => {
                let item = self.kind(&of.range)?.each();
                self.with(vec![(of.item.clone(), item)], |check| {
                    of.condition.iter().try_for_each(|asked| check.kind(asked).map(drop))?;
                    check.kind(&of.transform).map(drop)
                })?;
                Kind::Any
            }
            Node::Bind { name, value, body } => {
                let value = self.kind(value)?;
                let mut result = Kind::Any;
                self.with(vec![(name.clone(), value)], |check| {
                    result = check.kind(body)?;
                    Ok(())
                })?;
                result
            }
            Node::OptionalMap { operand, name, body, .. } => {
                self.kind(operand)?;
                self.with(vec![(name.clone(), Kind::Any)], |check| check.kind(body).map(drop))?;
                Kind::Any
            }
            Node::Literal(_)
            | Node::Composed(_)
            | Node::Authorize { .. }
            | Node::Construct { .. }
            | Node::List(_)
            | Node::Map(_)
            | Node::Size(_)
            | Node::TypeOf(_)
            | Node::Call { .. } => {
                self.below(node)?;
                Kind::Any
            }
        })
    }

    fn below(&mut self, node: &Node) -> Result<(), String> {
        node.children().into_iter().try_for_each(|child| self.kind(child).map(drop))
    }

    fn with(
        &mut self,
        names: Vec<(String, Kind<'s>)>,
        then: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let before = self.scope.len();
        self.scope.extend(names);
        let result = then(self);
        self.scope.truncate(before);
        result
    }
}

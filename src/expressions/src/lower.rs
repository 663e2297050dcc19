//! From the parser's tree to what is evaluated.

use crate::environment::{Environment, REQUEST_RESOURCE};
use crate::functions::{argument, is_known};
use crate::node::{Binary, Collect, Fold, Made, Node, Pattern};
use crate::stack::enough;
use crate::values::type_value;
use crate::{authz, constructed};
use kube_cel::cel::Value;
use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, SelectExpr, StructExpr,
    operators,
};
use schema::re2::KeptPattern;
use std::sync::Arc;

/// Types that an expression may name as values: `type(x) == string`.
const TYPES: [&str; 10] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];
/// What the named expressions of a policy are found below.
const COMPOSED: &str = "variables";

pub(crate) struct Lower<'e> {
    /// The names that may be used, those of macros last.
    scope: Vec<String>,
    environment: Environment<'e>,
}

impl<'e> Lower<'e> {
    pub(crate) fn new(variables: &'e [&'e str]) -> Self {
        Lower::of_environment(&Environment { variables, ..Environment::default() })
    }

    pub(crate) fn of_environment(environment: &Environment<'e>) -> Self {
        let authorizer = environment.authorizer.then_some("authorizer");
        let names = environment.variables.iter().copied().chain(authorizer);
        Lower { scope: names.map(str::to_owned).collect(), environment: *environment }
    }

    pub(crate) fn boxed(&mut self, expr: IdedExpr) -> Result<Box<Node>, String> {
        self.node(expr).map(Box::new)
    }

    /// # Errors
    /// In words: a name that there is not, a form that is not supported.
    pub(crate) fn node(&mut self, expr: IdedExpr) -> Result<Node, String> {
        enough(|| self.form(expr))
    }

    fn form(&mut self, expr: IdedExpr) -> Result<Node, String> {
        Ok(match expr.expr {
            Expr::Literal(literal) => Node::Literal(literal_value(literal)),
            Expr::Ident(name) if self.scope.contains(&name) => Node::Variable(name),
            Expr::Ident(name) if TYPES.contains(&name.as_str()) => Node::Literal(type_value(&name)),
            Expr::Ident(name) => return Err(undeclared(&name)),
            Expr::Select(select) if self.is_composed(&select.operand) => self.composed(select)?,
            Expr::Select(select) if self.is_request_resource(&select) => {
                Node::Variable(REQUEST_RESOURCE.to_owned())
            }
            Expr::Select(select) => {
                let operand = self.boxed(*select.operand)?;
                match select.test {
                    true => Node::Has { operand, field: select.field },
                    false => Node::Select { operand, field: select.field, optional: false },
                }
            }
            Expr::List(list) => Node::List(self.list(list)?),
            Expr::Map(map) => {
                let mut entries = Vec::new();
                for entry in map.entries {
                    let EntryExpr::MapEntry(entry) = entry.expr else { return Err(no_messages()) };
                    entries.push((self.node(entry.key)?, self.node(entry.value)?, entry.optional));
                }
                Node::Map(entries)
            }
            Expr::Comprehension(comprehension) => self.comprehension(*comprehension)?,
            Expr::Call(call) => self.call(call)?,
            Expr::Struct(made) => self.construct(made)?,
            Expr::Unspecified => return Err(no_messages()),
        })
    }

    /// Whether it is `variables`, and no macro's.
    fn is_composed(&self, operand: &IdedExpr) -> bool {
        let is_named = matches!(&operand.expr, Expr::Ident(name) if name == COMPOSED);
        is_named && self.environment.composed.is_some() && !self.scope.iter().any(|name| name == COMPOSED)
    }

    fn composed(&self, select: SelectExpr) -> Result<Node, String> {
        let index = self.environment.composed.and_then(|known| known.index(&select.field));
        match index {
            None => Err(format!("undefined field '{}'", select.field)),
            Some(_) if select.test => Ok(Node::Literal(Value::Bool(true))),
            Some(index) => Ok(Node::Composed(index)),
        }
    }

    fn is_request_resource(&self, select: &SelectExpr) -> bool {
        let of_authorizer = matches!(&select.operand.expr, Expr::Ident(name) if name == "authorizer");
        self.environment.authorizer && of_authorizer && select.field == "requestResource" && !select.test
    }

    fn construct(&mut self, made: StructExpr) -> Result<Node, String> {
        let type_name = made.type_name;
        if !self.environment.patches || !constructed::is_type(&type_name) {
            return Err(undeclared(&type_name));
        }
        let mut fields = Vec::with_capacity(made.entries.len());
        for entry in made.entries {
            let EntryExpr::StructField(entry) = entry.expr else { return Err(no_messages()) };
            constructed::check_field(&type_name, &entry.field)?;
            fields.push((entry.field, self.node(entry.value)?, entry.optional));
        }
        Ok(Node::Construct { type_name, fields })
    }

    fn list(&mut self, list: ListExpr) -> Result<Vec<(Node, bool)>, String> {
        let optional = list.optional_indices;
        let items = list.elements.into_iter().enumerate();
        items.map(|(index, item)| Ok((self.node(item)?, optional.contains(&index)))).collect()
    }

    pub(crate) fn within(&mut self, names: &[&str], expr: IdedExpr) -> Result<Node, String> {
        let before = self.scope.len();
        self.scope.extend(names.iter().map(|name| (*name).to_owned()));
        let node = self.node(expr);
        self.scope.truncate(before);
        node
    }

    fn comprehension(&mut self, of: ComprehensionExpr) -> Result<Node, String> {
        let (item, value, result_name) = (of.iter_var, of.iter_var2, of.accu_var);
        let range = self.node(of.iter_range)?;
        let names = [result_name.as_str(), item.as_str()].into_iter().chain(value.as_deref());
        let names: Vec<&str> = names.collect();
        let init = self.node(of.accu_init)?;
        let step = self.within(&names, of.loop_step)?;
        if matches!(&init, Node::List(items) if items.is_empty()) {
            return match collected(step, &result_name) {
                Some((condition, transform)) => {
                    let made = Made::List;
                    Ok(Node::Collect(Box::new(Collect { range, item, value, condition, transform, made })))
                }
                None => Err(no_messages()),
            };
        }
        let condition = self.within(&names, of.loop_cond)?;
        let result = self.within(&names[..1], of.result)?;
        Ok(Node::Fold(Box::new(Fold { range, item, value, result_name, init, condition, step, result })))
    }

    fn call(&mut self, call: CallExpr) -> Result<Node, String> {
        let CallExpr { func_name: name, target, mut args } = call;
        match (target, args.len()) {
            (None, 1) => {
                let unary: fn(Box<Node>) -> Node = match name.as_str() {
                    operators::LOGICAL_NOT => Node::Not,
                    operators::NOT_STRICTLY_FALSE => Node::NotStrictlyFalse,
                    operators::NEGATE => return self.arguments_unchecked(&name, false, args),
                    "size" => Node::Size,
                    "type" => Node::TypeOf,
                    "dyn" => Node::Dyn,
                    _ => return self.function(name, None, args),
                };
                Ok(unary(self.boxed(args.remove(0))?))
            }
            (None, 2) => self.binary(name, args),
            (None, 3) if name == operators::CONDITIONAL => {
                let mut each = args.into_iter().map(|arg| self.node(arg));
                let (Some(asked), Some(then), Some(other)) = (each.next(), each.next(), each.next()) else {
                    return Err(no_messages());
                };
                Ok(Node::Conditional(Box::new([asked?, then?, other?])))
            }
            (None, _) => self.function(name, None, args),
            (Some(target), count) => self.method(name, *target, count, args),
        }
    }

    fn binary(&mut self, name: String, mut args: Vec<IdedExpr>) -> Result<Node, String> {
        let operator = match name.as_str() {
            operators::ADD => Binary::Add,
            operators::SUBSTRACT => Binary::Subtract,
            operators::MULTIPLY => Binary::Multiply,
            operators::DIVIDE => Binary::Divide,
            operators::MODULO => Binary::Modulo,
            operators::EQUALS => Binary::Equal,
            operators::NOT_EQUALS => Binary::NotEqual,
            operators::LESS => Binary::Less,
            operators::LESS_EQUALS => Binary::LessOrEqual,
            operators::GREATER => Binary::Greater,
            operators::GREATER_EQUALS => Binary::GreaterOrEqual,
            operators::IN => Binary::In,
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::INDEX | operators::OPT_INDEX => {
                let (right, left) = (args.pop(), args.pop());
                let (Some(left), Some(right)) = (left, right) else { return Err(no_messages()) };
                let (left, right) = (self.boxed(left)?, self.boxed(right)?);
                return Ok(match name.as_str() {
                    operators::LOGICAL_AND => Node::And(left, right),
                    operators::LOGICAL_OR => Node::Or(left, right),
                    of => Node::Index { operand: left, index: right, optional: of == operators::OPT_INDEX },
                });
            }
            operators::OPT_SELECT => {
                let Some(IdedExpr { expr: Expr::Literal(LiteralValue::String(field)), .. }) = args.pop()
                else {
                    return Err(no_messages());
                };
                let operand = self.boxed(args.remove(0))?;
                return Ok(Node::Select { operand, field: field.inner().to_owned(), optional: true });
            }
            _ => return self.function(name, None, args),
        };
        let right = self.node(args.remove(1))?;
        Ok(Node::Binary(operator, Box::new([self.node(args.remove(0))?, right])))
    }

    fn method(
        &mut self,
        name: String,
        target: IdedExpr,
        count: usize,
        mut args: Vec<IdedExpr>,
    ) -> Result<Node, String> {
        let prefix = match &target.expr {
            Expr::Ident(prefix) if !self.scope.contains(prefix) => Some(prefix.clone()),
            _ => None,
        };
        match (prefix.as_deref(), name.as_str(), count) {
            (Some("cel"), "bind", 3) => {
                let body = args.remove(2);
                let value = self.boxed(args.remove(1))?;
                let name = ident(args.remove(0))?;
                let body = Box::new(self.within(&[&name], body)?);
                Ok(Node::Bind { name, value, body })
            }
            (None, "optMap" | "optFlatMap", 2) => {
                let flat = name == "optFlatMap";
                let body = args.remove(1);
                let name = ident(args.remove(0))?;
                let operand = self.boxed(target)?;
                let body = Box::new(self.within(&[&name], body)?);
                Ok(Node::OptionalMap { operand, name, body, flat })
            }
            (None, name, count) if Lower::is_macro(name, count) => self.expand(name, target, args),
            (None, "size", 0) => Ok(Node::Size(self.boxed(target)?)),
            (None, "matches", 1) => {
                let text = self.boxed(target)?;
                let pattern = match self.node(args.remove(0))? {
                    Node::Literal(Value::String(pattern)) => {
                        Pattern::Fixed(KeptPattern::of_stored(&pattern)?)
                    }
                    other => Pattern::Computed(Box::new(other)),
                };
                Ok(Node::Matches { text, pattern })
            }
            (Some(_), ..) => self.function(name, Some(target), args),
            (None, ..) if self.environment.authorizer && authz::is_method(&name) => {
                args.insert(0, target);
                let arguments = args.into_iter().map(|arg| self.node(arg)).collect::<Result<_, _>>()?;
                Ok(Node::Authorize { method: name, arguments })
            }
            (None, ..) => {
                args.insert(0, target);
                self.arguments(name, true, args)
            }
        }
    }

    /// A call by a plain or a qualified name (`sets.contains`).
    fn function(
        &mut self,
        name: String,
        prefix: Option<IdedExpr>,
        args: Vec<IdedExpr>,
    ) -> Result<Node, String> {
        let Some(IdedExpr { expr: Expr::Ident(space), .. }) = prefix else {
            return self.arguments(name, false, args);
        };
        if !is_known(Some(&space), &name, false) {
            return Err(undeclared(&space));
        }
        let mut node = self.arguments_unchecked(&name, false, args)?;
        if let Node::Call { call: IdedExpr { expr: Expr::Call(call), .. }, .. } = &mut node {
            call.target = Some(Box::new(IdedExpr { id: 0, expr: Expr::Ident(space) }));
        }
        Ok(node)
    }

    fn arguments(&mut self, name: String, method: bool, args: Vec<IdedExpr>) -> Result<Node, String> {
        match is_known(None, &name, method) {
            true => self.arguments_unchecked(&name, method, args),
            false => Err(undeclared(&name)),
        }
    }

    fn arguments_unchecked(&mut self, name: &str, method: bool, args: Vec<IdedExpr>) -> Result<Node, String> {
        let arguments: Vec<Node> = args.into_iter().map(|arg| self.node(arg)).collect::<Result<_, _>>()?;
        let mut named =
            (0..arguments.len()).map(|index| IdedExpr { id: 0, expr: Expr::Ident(argument(index)) });
        let target = if method { named.next().map(Box::new) } else { None };
        let call = CallExpr { func_name: name.to_owned(), target, args: named.collect() };
        Ok(Node::Call {
            arguments,
            call: IdedExpr { id: 0, expr: Expr::Call(call) },
            function: name.to_owned(),
        })
    }
}

/// `@result + [item]`, with or without a condition: what `map` and `filter` are made into.
fn collected(step: Node, result: &str) -> Option<(Option<Node>, Node)> {
    let append = |node: Node| match node {
        Node::Binary(Binary::Add, both) => match *both {
            [Node::Variable(name), Node::List(mut items)] if name == result && items.len() == 1 => {
                items.pop().map(|(item, _)| item)
            }
            _ => None,
        },
        _ => None,
    };
    match step {
        Node::Conditional(each) => {
            let [asked, then, _] = *each;
            append(then).map(|item| (Some(asked), item))
        }
        other => append(other).map(|item| (None, item)),
    }
}

pub(crate) fn ident(expr: IdedExpr) -> Result<String, String> {
    match expr.expr {
        Expr::Ident(name) => Ok(name),
        _ => Err("ERROR: <input>: argument must be a simple name".to_owned()),
    }
}

fn literal_value(literal: LiteralValue) -> Value {
    match literal {
        LiteralValue::Boolean(of) => Value::Bool(of.into_inner()),
        LiteralValue::Bytes(of) => Value::Bytes(Arc::new(of.into_inner())),
        LiteralValue::Double(of) => Value::Float(of.into_inner()),
        LiteralValue::Int(of) => Value::Int(of.into_inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(of) => Value::String(Arc::new(of.into_inner())),
        LiteralValue::UInt(of) => Value::UInt(of.into_inner()),
    }
}

fn undeclared(name: &str) -> String {
    format!("undeclared reference to '{name}' (in container '')")
}

fn no_messages() -> String {
    "messages and this form of a macro are not supported".to_owned()
}

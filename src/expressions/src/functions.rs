//! The library of functions: kube-cel's, each called with values only, and what it has not, or otherwise than cel-go.

use crate::outcome::Fault;
use crate::values::optional;
use crate::{conversions, lists};
use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{CallExpr, Expr, IdedExpr};
use kube_cel::cel::{Context, ExecutionError, Value};
use schema::re2;
use std::sync::{Arc, LazyLock};

static LIBRARY: LazyLock<Context<'static>> = LazyLock::new(|| Context::default().with_all());

/// Functions that have a pattern compiled each time: `matches` as a function, and not as a method.
const WITH_PATTERN: [&str; 3] = ["find", "findAll", "matches"];
/// What compiling a pattern costs, in steps of the evaluation.
pub(crate) const PATTERN_COST: u64 = 2_000;
/// Bytes of a written pattern that are compiled in one step, where there is no room to keep it: a computed one of a mebibyte, the
/// largest that there is, costs as much.
pub(crate) const COMPILED_IN_A_STEP: u64 = (re2::LARGEST_COMPUTED as u64) / PATTERN_COST;

/// The name of an argument in a call that was taken apart: no identifier can be written like that.
pub(crate) fn argument(index: usize) -> String {
    format!("@{index}")
}

/// Whether there is the function, by its name alone: of the library a call without arguments says so.
pub(crate) fn is_known(prefix: Option<&str>, name: &str, is_method: bool) -> bool {
    if lists::is_own(prefix, name, is_method) || conversions::is_own(prefix, name, is_method) {
        return true;
    }
    let null = || Expr::Literal(kube_cel::cel::common::ast::LiteralValue::Null);
    let target = match prefix {
        Some(prefix) => Some(Expr::Ident(prefix.to_owned())),
        None => is_method.then(null),
    };
    let target = target.map(|expr| Box::new(IdedExpr { id: 0, expr }));
    let call = CallExpr { func_name: name.to_owned(), target, args: Vec::new() };
    let call = IdedExpr { id: 0, expr: Expr::Call(call) };
    !matches!(Value::resolve(&call, &LIBRARY), Err(ExecutionError::UndeclaredReference(_)))
}

/// The whole name of what is called, and whether it is a method; of a call whose arguments are variables.
pub(crate) fn called(call: &IdedExpr) -> (String, bool) {
    let Expr::Call(call) = &call.expr else { return (String::new(), false) };
    match call.target.as_deref().map(|target| &target.expr) {
        Some(Expr::Ident(name)) if name.starts_with('@') => (call.func_name.clone(), true),
        Some(Expr::Ident(space)) => (format!("{space}.{}", call.func_name), false),
        _ => (call.func_name.clone(), false),
    }
}

/// What the call costs beside looking at its arguments. `most` bounds the work of telling it.
pub(crate) fn extra_cost(function: &str, arguments: &[Value], most: u64) -> u64 {
    let length = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.len() as u64,
        Some(Value::List(items)) => items.len() as u64,
        _ => 0,
    };
    match function {
        name if WITH_PATTERN.contains(&name) => PATTERN_COST,
        // an empty pattern is found between all letters
        "replace" => length(arguments.first()).saturating_add(1).saturating_mul(length(arguments.get(2)) + 1),
        "join" => length(arguments.first()).saturating_mul(length(arguments.get(1)) + 1),
        // a precision may ask for any number of digits
        "format" => match arguments.first() {
            Some(Value::String(text)) => digits_asked(text),
            _ => 0,
        },
        name => lists::extra_cost(name, arguments, most),
    }
}

fn digits_asked(format: &str) -> u64 {
    let runs = format.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
    runs.fold(0, |sum: u64, run| sum.saturating_add(run.parse().unwrap_or(u64::MAX)))
}

/// # Errors
/// What the function says, in cel-go's words where it has some.
pub(crate) fn call(call: &IdedExpr, arguments: Vec<Value>) -> Result<Value, Fault> {
    if let Expr::Call(CallExpr { func_name, target, .. }) = &call.expr
        && target.is_some() != (func_name == "matches")
        && let Some(found) = found(func_name, &arguments)
    {
        return found;
    }
    if let Expr::Call(CallExpr { func_name, .. }) = &call.expr
        && let Some(made) = lists::call(func_name, &arguments)
    {
        return made;
    }
    if let Expr::Call(CallExpr { func_name, target: None, .. }) = &call.expr
        && let Some(made) = conversions::call(func_name, &arguments)
    {
        return made;
    }
    let mut context = LIBRARY.new_inner_scope();
    for (index, value) in arguments.into_iter().enumerate() {
        context.add_variable_from_value(argument(index), value);
    }
    let result = Value::resolve(call, &context).map_err(fault)?;
    let is_named = matches!(&call.expr, Expr::Call(CallExpr { func_name, .. }) if func_name == "named");
    if is_named && called(call).0 == "format.named" {
        // of a format that there is not, the library gives null: upstream's optional says which there are
        return Ok(optional(Some(result).filter(|format| *format != Value::Null)));
    }
    Ok(result)
}

/// `find`, `findAll` and `matches`: the library's have patterns of another language, and compile whatever they are given,
/// however large it becomes.
fn found(function: &str, arguments: &[Value]) -> Option<Result<Value, Fault>> {
    let (Some(Value::String(text)), Some(Value::String(pattern))) = (arguments.first(), arguments.get(1))
    else {
        return None;
    };
    let most = match arguments.get(2) {
        // below nought: all
        Some(Value::Int(most)) => usize::try_from(*most).unwrap_or(usize::MAX),
        Some(_) => return None,
        None => usize::MAX,
    };
    let text_of = |found: &str| Value::String(Arc::new(found.to_owned()));
    let found = |pattern: re2::Pattern| match function {
        "find" => text_of(pattern.find(text).unwrap_or_default()),
        "matches" => Value::Bool(pattern.is_match(text)),
        _ => Value::List(Arc::new(pattern.find_all(text).take(most).map(text_of).collect())),
    };
    WITH_PATTERN.contains(&function).then(|| computed_pattern(pattern).map(found))
}

/// # Errors
/// Why it is none, or that it is too large to be compiled each time.
pub(crate) fn computed_pattern(pattern: &str) -> Result<re2::Pattern, Fault> {
    re2::Pattern::compile(pattern, re2::LARGEST_COMPUTED).map_err(Fault::Error)
}

/// A function of one argument, by its name.
pub(crate) fn call_named(name: &str, value: Value) -> Result<Value, Fault> {
    let argument = IdedExpr { id: 0, expr: Expr::Ident(argument(0)) };
    let of = CallExpr { func_name: name.to_owned(), target: None, args: vec![argument] };
    call(&IdedExpr { id: 0, expr: Expr::Call(of) }, vec![value])
}

pub(crate) fn fault(error: ExecutionError) -> Fault {
    use ExecutionError as E;
    Fault::Error(match error {
        E::NoSuchKey(key) => format!("no such key: {key}"),
        E::IndexOutOfBounds(Value::Int(index)) => format!("index out of bounds: {index}"),
        E::Overflow(..) => "integer overflow".to_owned(),
        E::DivisionByZero(_) => "division by zero".to_owned(),
        E::RemainderByZero(_) => "modulus by zero".to_owned(),
        E::FunctionError { message, .. } => message,
        E::UndeclaredReference(name) => format!("undeclared reference to '{name}' (in container '')"),
        _ => "no such overload".to_owned(),
    })
}

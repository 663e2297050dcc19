//! From text to a tree, which is never so deep that walking it could exhaust a stack.

use kube_cel::cel::common::ast::{EntryExpr, Expr, IdedExpr};
use kube_cel::cel::parser::Parser;

/// cel-go's `ParserExpressionSizeLimit` is 100,000 code points; no rule in use has a tenth of it.
const LONGEST: usize = 100_000;
/// As deep as cel-go lets an expression be.
const DEEPEST: usize = 250;
/// The parser goes down with the text, before anybody can say that it is too deep.
const STACK: usize = 256 << 20;

/// # Errors
/// In words: `ERROR: <input>:1:5: Syntax error: …`.
pub(crate) fn parse(source: &str) -> Result<IdedExpr, String> {
    if source.chars().count() > LONGEST {
        return Err(format!(
            "expression code point size exceeds limit: size: {}, limit {LONGEST}",
            source.len()
        ));
    }
    let source = source.to_owned();
    let work = move || {
        let parsed = Parser::new().enable_optional_syntax(true).parse(&source).map_err(|e| e.to_string())?;
        // what is too deep is dropped here, on the large stack
        match is_deep(&parsed) {
            true => Err(format!("expression recursion limit exceeded: {DEEPEST}")),
            false => Ok(parsed),
        }
    };
    let thread = std::thread::Builder::new().name("cel-parser".into()).stack_size(STACK).spawn(work);
    let thread = thread.map_err(|e| e.to_string())?;
    thread.join().unwrap_or_else(|_| Err("the expression can not be parsed".to_owned()))
}

fn is_deep(root: &IdedExpr) -> bool {
    let mut left = vec![(root, 0)];
    while let Some((node, depth)) = left.pop() {
        if depth > DEEPEST {
            return true;
        }
        let mut below = |node| left.push((node, depth + 1));
        match &node.expr {
            Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(below),
            Expr::Comprehension(all) => {
                [&all.iter_range, &all.accu_init, &all.loop_cond, &all.loop_step, &all.result]
                    .into_iter()
                    .for_each(below)
            }
            Expr::List(list) => list.elements.iter().for_each(below),
            Expr::Map(map) => map.entries.iter().for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => [&entry.key, &entry.value].into_iter().for_each(&mut below),
                EntryExpr::StructField(field) => below(&field.value),
            }),
            Expr::Select(select) => below(&select.operand),
            Expr::Struct(of) => of.entries.iter().for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => [&entry.key, &entry.value].into_iter().for_each(&mut below),
                EntryExpr::StructField(field) => below(&field.value),
            }),
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        }
    }
    false
}

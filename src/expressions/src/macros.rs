//! Macros that the parser leaves as calls: cel-go's comprehensions with two variables (`ext/comprehensions.go`) and `sortBy`
//! (`ext/lists.go`). They become the nodes that the parser's own macros become, so that whoever walks a tree needs to know no
//! more of them.

use crate::lower::{Lower, ident};
use crate::node::{Binary, Collect, Fold, Made, Node};
use kube_cel::cel::Value;
use kube_cel::cel::common::ast::{Expr, IdedExpr};

/// What the parser calls a result, too: no identifier can be written like that.
const RESULT: &str = "@result";
const SORTED: &str = "@__sortBy_input__";

impl Lower<'_> {
    /// Whether a method of the name with so many arguments is one of them.
    pub(crate) fn is_macro(name: &str, count: usize) -> bool {
        match name {
            "all" | "exists" | "existsOne" | "exists_one" => count == 3,
            "transformList" | "transformMap" | "transformMapEntry" => count == 3 || count == 4,
            "sortBy" => count == 2,
            _ => false,
        }
    }

    /// # Errors
    /// As [`Lower::node`], and that a name is none.
    pub(crate) fn expand(
        &mut self,
        name: &str,
        target: IdedExpr,
        mut args: Vec<IdedExpr>,
    ) -> Result<Node, String> {
        // there are as many as `is_macro` has counted
        let Some(last) = args.pop() else { return Err(no_name()) };
        if name == "sortBy" {
            return self.sort_by(target, args, last);
        }
        let range = self.node(target)?;
        let mut args = args.into_iter();
        let (item, value) = two_names(args.next(), args.next())?;
        let names = [RESULT, &item, &value];
        let made = match name {
            "transformList" => Made::List,
            "transformMap" => Made::Map,
            "transformMapEntry" => Made::Entries,
            _ => {
                let asked = self.within(&names, last)?;
                return Ok(quantifier(name, range, item, value, asked));
            }
        };
        let condition = args.next().map(|filter| self.within(&names, filter)).transpose()?;
        let transform = self.within(&names, last)?;
        let value = Some(value);
        Ok(Node::Collect(Box::new(Collect { range, item, value, condition, transform, made })))
    }

    /// `cel.bind(input, target, input.@sortByAssociatedKeys(input.map(item, key)))`
    fn sort_by(&mut self, target: IdedExpr, args: Vec<IdedExpr>, key: IdedExpr) -> Result<Node, String> {
        if matches!(target.expr, Expr::Literal(_) | Expr::Map(_) | Expr::Struct(_)) {
            return Err(
                "ERROR: <input>: sortBy can only be applied to a list, identifier, comprehension, call or \
                        select expression"
                    .to_owned(),
            );
        }
        let input = || Node::Variable(SORTED.to_owned());
        let value = self.boxed(target)?;
        let item = args.into_iter().next().map_or_else(|| Err(no_name()), ident)?;
        let transform = self.within(&[SORTED, &item], key)?;
        let (made, condition) = (Made::List, None);
        let keys = Collect { range: input(), item, value: None, condition, transform, made };
        let keys = Box::new(Node::Collect(Box::new(keys)));
        let body = Box::new(Node::SortBy { list: Box::new(input()), keys });
        Ok(Node::Bind { name: SORTED.to_owned(), value, body })
    }
}

/// `all`, `exists` and `existsOne`.
fn quantifier(name: &str, range: Node, item: String, value: String, asked: Node) -> Node {
    let so_far = || Node::Variable(RESULT.to_owned());
    let boxed = || Box::new(so_far());
    let truth = |of: bool| Node::Literal(Value::Bool(of));
    let number = |of: i64| Node::Literal(Value::Int(of));
    let (init, condition, step, result) = match name {
        "all" => {
            let step = Node::And(boxed(), Box::new(asked));
            (truth(true), Node::NotStrictlyFalse(boxed()), step, so_far())
        }
        "exists" => {
            let condition = Node::NotStrictlyFalse(Box::new(Node::Not(boxed())));
            (truth(false), condition, Node::Or(boxed(), Box::new(asked)), so_far())
        }
        _ => {
            let counted = Node::Binary(Binary::Add, Box::new([so_far(), number(1)]));
            let step = Node::Conditional(Box::new([asked, counted, so_far()]));
            let is_one = Node::Binary(Binary::Equal, Box::new([so_far(), number(1)]));
            (number(0), truth(true), step, is_one)
        }
    };
    let (value, result_name) = (Some(value), RESULT.to_owned());
    Node::Fold(Box::new(Fold { range, item, value, result_name, init, condition, step, result }))
}

fn two_names(first: Option<IdedExpr>, second: Option<IdedExpr>) -> Result<(String, String), String> {
    let (Some(first), Some(second)) = (first, second) else { return Err(no_name()) };
    let (first, second) = (ident(first)?, ident(second)?);
    match first == second {
        true => Err(format!("ERROR: <input>: duplicate variable name: {first}")),
        false => Ok((first, second)),
    }
}

fn no_name() -> String {
    "ERROR: <input>: argument must be a simple name".to_owned()
}

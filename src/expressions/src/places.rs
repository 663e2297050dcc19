//! Where in an expression something is wrong.

use crate::check::Issue;
use crate::node::Node;
use crate::occurrences;

/// With the place in the expression, as cel-go shows it, where it can be found. A parser's word has its place already.
pub(crate) fn placed(source: &str, why: &str) -> String {
    let named = why.split('\'').nth(1);
    let Some(named) = named.filter(|_| !why.starts_with("ERROR: ")) else { return why.to_owned() };
    let offset = source.find(&format!(".{named}")).or_else(|| source.find(named)).unwrap_or(0);
    shown(source, offset, why)
}

/// The same of what the check of the whole expression has found; without the place where that is not certain.
pub(crate) fn located(source: &str, whole: &Node, issue: &Issue) -> String {
    let offset =
        issue.at.as_ref().and_then(|(mark, before)| occurrences::offset(source, whole, mark, *before));
    match offset {
        Some(offset) => shown(source, offset, &issue.why),
        None => format!("ERROR: <input>: {}", issue.why),
    }
}

fn shown(source: &str, offset: usize, why: &str) -> String {
    let line_start = source[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line = source[..offset].matches('\n').count() + 1;
    let column = source[line_start..offset].chars().count();
    let text = source[line_start..].lines().next().unwrap_or_default();
    format!("ERROR: <input>:{line}:{}: {why}\n | {text}\n | {}^", column + 1, ".".repeat(column))
}

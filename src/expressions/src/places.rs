//! Where in an expression something is wrong.

/// With the place in the expression, as cel-go shows it, where it can be found. A parser's word has its place already.
pub(crate) fn placed(source: &str, why: &str) -> String {
    if why.starts_with("ERROR: ") {
        return why.to_owned();
    }
    let named = why.split('\'').nth(1).unwrap_or_default();
    let offset = source.find(&format!(".{named}")).or_else(|| source.find(named)).unwrap_or(0);
    let line_start = source[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line = source[..offset].matches('\n').count() + 1;
    let column = source[line_start..offset].chars().count();
    let text = source[line_start..].lines().next().unwrap_or_default();
    format!("ERROR: <input>:{line}:{}: {why}\n | {text}\n | {}^", column + 1, ".".repeat(column))
}

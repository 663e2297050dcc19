//! Where in its text an expression has what the check of it stumbles over. The parser's tree has no places, but the walk goes
//! through it in the order of the text: the third `.name` that it meets is the third one that is written.

use crate::functions::called;
use crate::node::Node;
use std::collections::HashMap;

/// What is written there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Mark {
    /// `.name`, at the dot
    Field(String),
    Operator(&'static str),
    /// `name(…)`, at the parenthesis
    Call(String),
}

/// The mark that a node leaves in the text, if it leaves one: a part of a macro that nobody wrote does not.
fn mark_of(node: &Node) -> Option<Mark> {
    let is_made = |node: &Node| matches!(node, Node::Variable(name) if name.starts_with('@'));
    Some(match node {
        Node::Select { field, .. } | Node::Has { field, .. } => Mark::Field(field.clone()),
        Node::Index { .. } => Mark::Operator("["),
        Node::And(left, _) if !is_made(left) => Mark::Operator("&&"),
        Node::Or(left, _) if !is_made(left) => Mark::Operator("||"),
        Node::Not(of) if !is_made(of) => Mark::Operator("!"),
        Node::Conditional(each) if !is_made(&each[2]) => Mark::Operator("?"),
        Node::Binary(operator, both) if !is_made(&both[0]) => Mark::Operator(operator.symbol()),
        Node::Size(_) => Mark::Call("size".to_owned()),
        Node::Matches { .. } => Mark::Call("matches".to_owned()),
        Node::Call { call, .. } => {
            let (name, _) = called(call);
            Mark::Call(name.rsplit('.').next().unwrap_or(&name).to_owned())
        }
        _ => return None,
    })
}

/// Of each mark, how many there were so far.
#[derive(Debug, Default)]
pub(crate) struct Occurrences(HashMap<Mark, usize>);

impl Occurrences {
    /// The mark of the node, and how many of it stand before.
    pub(crate) fn count(&mut self, node: &Node) -> Option<(Mark, usize)> {
        let mark = mark_of(node)?;
        let known = self.0.entry(mark.clone()).or_default();
        *known += 1;
        Some((mark, *known - 1))
    }

    /// The mark of a node that was met before anything else of its kind came.
    pub(crate) fn last(&self, node: &Node) -> Option<(Mark, usize)> {
        let mark = mark_of(node)?;
        let known = self.0.get(&mark)?.checked_sub(1)?;
        Some((mark, known))
    }
}

/// Where it is, in bytes; `None` where the text does not have as many of it as the expression, so that nothing is certain.
pub(crate) fn offset(source: &str, whole: &Node, mark: &Mark, before: usize) -> Option<usize> {
    let written = written(source, mark);
    let is_certain = written.len() == total(whole, mark);
    match written[..] {
        [only] => Some(only),
        _ => written.get(before).copied().filter(|_| is_certain),
    }
}

fn total(node: &Node, mark: &Mark) -> usize {
    let own = usize::from(mark_of(node).as_ref() == Some(mark));
    own + node.children().into_iter().map(|child| total(child, mark)).sum::<usize>()
}

fn written(source: &str, mark: &Mark) -> Vec<usize> {
    let tokens = tokens(source);
    let at = |index: usize| tokens.get(index);
    let is = |index: usize, text: &str| at(index).is_some_and(|token| token.text == text);
    let is_word = |index: usize, text: &str| {
        at(index).is_some_and(|token| token.form == Form::Word && token.text.trim_matches('`') == text)
    };
    // what an operator may stand behind
    let ends_operand = |index: Option<usize>| {
        index.and_then(at).is_some_and(|token| match token.form {
            Form::Word => token.text != "in",
            Form::Value => true,
            Form::Sign => matches!(token.text, ")" | "]" | "}"),
        })
    };
    let found = (0..tokens.len()).filter_map(|index| {
        let place = tokens[index].offset;
        let previous = index.checked_sub(1);
        match mark {
            Mark::Field(name) => {
                let next = if is(index + 1, "?") { index + 2 } else { index + 1 };
                let matches = is(index, ".") && is_word(next, name) && !is(next + 1, "(");
                matches.then_some(place)
            }
            Mark::Operator("!") => is(index, "!").then_some(place),
            Mark::Operator("in") => (is_word(index, "in") && ends_operand(previous)).then_some(place),
            Mark::Operator(symbol) => (is(index, symbol) && ends_operand(previous)).then_some(place),
            Mark::Call(name) => {
                (is_word(index, name) && is(index + 1, "(")).then(|| at(index + 1).map(|next| next.offset))?
            }
        }
    });
    found.collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Word,
    /// A number or a text.
    Value,
    Sign,
}

#[derive(Debug)]
struct Token<'t> {
    form: Form,
    text: &'t str,
    offset: usize,
}

/// Of a text that was parsed: what the grammar does not have is not looked for.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut offset = 0;
    while let Some(first) = source[offset..].chars().next() {
        let rest = &source[offset..];
        let (form, length) = if first.is_whitespace() {
            offset += first.len_utf8();
            continue;
        } else if rest.starts_with("//") {
            offset += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if let Some(length) = text_length(rest) {
            (Form::Value, length)
        } else if first == '`' {
            (Form::Word, rest[1..].find('`').map_or(rest.len(), |end| end + 2))
        } else if first.is_alphabetic() || first == '_' {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            (Form::Word, rest.find(|c| !word(c)).unwrap_or(rest.len()))
        } else if first.is_ascii_digit() {
            (Form::Value, number_length(rest))
        } else {
            let long = ["==", "!=", "<=", ">=", "&&", "||"].into_iter().find(|sign| rest.starts_with(sign));
            (Form::Sign, long.map_or(first.len_utf8(), str::len))
        };
        tokens.push(Token { form, text: &rest[..length], offset });
        offset += length;
    }
    tokens
}

fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        let is_exponents_sign = matches!(byte, b'+' | b'-')
            && length > 0
            && matches!(bytes[length - 1], b'e' | b'E')
            && !rest.starts_with("0x");
        // `1.size()` is a call
        let is_point = *byte == b'.' && bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
        if !byte.is_ascii_alphanumeric() && !is_exponents_sign && !is_point {
            break;
        }
        length += 1;
    }
    length
}

/// The length of a text with its quotation marks, and what stands before them: `r'…'`, `b"""…"""`.
fn text_length(rest: &str) -> Option<usize> {
    // no further than the letters that may stand there: each token asks
    let (prefix, _) = rest.char_indices().take(3).find(|(_, c)| matches!(c, '\'' | '"'))?;
    let marks = rest[..prefix].to_ascii_lowercase();
    if !matches!(marks.as_str(), "" | "r" | "b" | "rb" | "br") {
        return None;
    }
    let quoted = &rest[prefix..];
    let single = &quoted[..1];
    let triple = single.repeat(3);
    let quote = if quoted.starts_with(&triple) { triple.as_str() } else { single };
    let is_raw = marks.contains('r');
    let mut at = quote.len();
    while at < quoted.len() {
        if quoted[at..].starts_with(quote) {
            return Some(prefix + at + quote.len());
        }
        let mut left = quoted[at..].chars();
        at += left.next().map_or(1, char::len_utf8);
        if !is_raw && quoted[..at].ends_with('\\') {
            at += left.next().map_or(0, char::len_utf8);
        }
    }
    Some(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_where_they_are_written() {
        let field = |name: &str| Mark::Field(name.to_owned());
        let call = |name: &str| Mark::Call(name.to_owned());
        let cases: [(&str, Mark, &[usize]); 12] = [
            ("self.a.b == self.b", field("b"), &[6, 16]),
            ("'self.a' + r'\\' + self.a", field("a"), &[22]),
            ("'it\\'s .a' == self.?a // .a", field("a"), &[18]),
            ("self.a() && self.ab", field("a"), &[]),
            ("\"\"\".a\"\"\" + self . a", field("a"), &[16]),
            ("1.5e-3 - -1 - x", Mark::Operator("-"), &[7, 12]),
            ("[1][0] == x[1]", Mark::Operator("["), &[3, 11]),
            ("a ? b.?c : {?'d': e}", Mark::Operator("?"), &[2]),
            ("a in b && 'in' in c.in", Mark::Operator("in"), &[2, 15]),
            ("!a && !(b != c)", Mark::Operator("!"), &[0, 6]),
            ("size(x.size())", call("size"), &[4, 11]),
            ("b'(' + b(c)", call("b"), &[8]),
        ];
        for (source, mark, want) in cases {
            assert_eq!(written(source, &mark), want, "{source} {mark:?}");
        }
    }
}

//! The grammar of label selectors in queries, as upstream's `labels.Parse` reads it: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`.
//! What keys and values may look like is not judged here.

use super::{LabelSelector, Operator, Requirement};
use std::iter::Peekable;
use std::vec::IntoIter;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Word,
    Not,
    Open,
    Close,
    Comma,
    /// One that stands between a key and its values.
    Binary,
    End,
}

type Lexeme<'t> = (Token, &'t str);

const BINARY: &str = "in, notin, =, ==, !=, gt, lt";

/// # Errors
/// What was found, and what had been expected.
pub(super) fn parse(text: &str) -> Result<LabelSelector, String> {
    let mut parser = Parser { lexemes: lexemes(text).into_iter().peekable() };
    let mut requirements = Vec::new();
    loop {
        match parser.peek() {
            (Token::Word | Token::Not, _) => {
                let requirement = parser.requirement();
                requirements.push(requirement.map_err(|why| format!("unable to parse requirement: {why}"))?);
            }
            (Token::End, _) => return Ok(LabelSelector { requirements }),
            (_, found) => {
                return Err(format!("found '{found}', expected: !, identifier, or 'end of string'"));
            }
        }
        match parser.next() {
            (Token::End, _) => return Ok(LabelSelector { requirements }),
            (Token::Comma, _) => match parser.peek() {
                (Token::Word | Token::Not, _) => {}
                (_, found) => return Err(format!("found '{found}', expected: identifier after ','")),
            },
            (_, found) => return Err(format!("found '{found}', expected: ',' or 'end of string'")),
        }
    }
}

fn lexemes(text: &str) -> Vec<Lexeme<'_>> {
    let is_special = |c: char| "=!(),<>".contains(c);
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '!' if rest[1..].starts_with('=') => (Token::Binary, 2),
            '!' => (Token::Not, 1),
            '=' if rest[1..].starts_with('=') => (Token::Binary, 2),
            '=' | '<' | '>' => (Token::Binary, 1),
            _ => (Token::Word, rest.find(|c: char| is_special(c) || c.is_whitespace()).unwrap_or(rest.len())),
        };
        all.push((token, &rest[..length]));
        rest = rest[length..].trim_start();
    }
    all
}

struct Parser<'t> {
    lexemes: Peekable<IntoIter<Lexeme<'t>>>,
}

impl<'t> Parser<'t> {
    fn peek(&mut self) -> Lexeme<'t> {
        self.lexemes.peek().copied().unwrap_or((Token::End, ""))
    }

    fn next(&mut self) -> Lexeme<'t> {
        self.lexemes.next().unwrap_or((Token::End, ""))
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let is_negated = self.peek().0 == Token::Not;
        if is_negated {
            self.next();
        }
        let key = match self.next() {
            (Token::Word, key) => key.to_owned(),
            (_, found) => return Err(format!("found '{found}', expected: identifier")),
        };
        if is_negated {
            return Ok(Requirement { key, operator: Operator::DoesNotExist });
        }
        if matches!(self.peek().0, Token::End | Token::Comma) {
            return Ok(Requirement { key, operator: Operator::Exists });
        }
        let operator = match self.next().1 {
            "in" => Operator::In(self.values()?),
            "notin" => Operator::NotIn(self.values()?),
            "=" | "==" => Operator::In(vec![self.value()?]),
            "!=" => Operator::NotIn(vec![self.value()?]),
            ">" => Operator::GreaterThan(number(&self.value()?)?),
            "<" => Operator::LessThan(number(&self.value()?)?),
            found => return Err(format!("found '{found}', expected: {BINARY}")),
        };
        Ok(Requirement { key, operator })
    }

    /// Nothing is a value too: `a=`.
    fn value(&mut self) -> Result<String, String> {
        if matches!(self.peek().0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.next() {
            (Token::Word, value) => Ok(value.to_owned()),
            (_, found) => Err(format!("found '{found}', expected: identifier")),
        }
    }

    /// In order, each once: it is a set. Between commas, and in `()`, stands the empty value.
    fn values(&mut self) -> Result<Vec<String>, String> {
        match self.next() {
            (Token::Open, _) => {}
            (_, found) => return Err(format!("found '{found}' expected: '('")),
        }
        let mut values = Vec::new();
        let mut is_expected = true;
        loop {
            match self.next() {
                (Token::Word, value) if is_expected => {
                    values.push(value.to_owned());
                    is_expected = false;
                }
                (Token::Comma, _) => {
                    if is_expected {
                        values.push(String::new());
                    }
                    is_expected = true;
                }
                (Token::Close, _) => {
                    if is_expected {
                        values.push(String::new());
                    }
                    values.sort_unstable();
                    values.dedup();
                    return Ok(values);
                }
                (_, found) if values.is_empty() => {
                    return Err(format!("found '{found}', expected: ',', ')' or identifier"));
                }
                (_, found) if is_expected => {
                    return Err(format!("found '{found}', expected: ',', or identifier"));
                }
                (_, found) => return Err(format!("found '{found}', expected: ',' or ')'")),
            }
        }
    }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| {
        format!("values[0]: Invalid value: {text:?}: for 'Gt', 'Lt' operators, the value must be an integer")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood() {
        for (text, means) in [
            ("", ""),
            ("  ", ""),
            ("a", "a"),
            ("!a", "!a"),
            ("! a", "!a"),
            ("a=b", "a=b"),
            ("a==b", "a=b"),
            ("a = b , c!=d", "a=b,c!=d"),
            ("a=", "a="),
            ("a=,b", "a=,b"),
            ("a in (b, c)", "a in (b,c)"),
            ("a in (c,b,c)", "a in (b,c)"),
            ("a in(b)", "a=b"),
            ("a in ()", "a="),
            ("a in (,)", "a="),
            ("a in (b,)", "a in (,b)"),
            ("a notin (b)", "a!=b"),
            ("in in (in)", "in=in"),
            ("in", "in"),
            ("a=in", "a=in"),
            ("notin", "notin"),
            ("a>1,b<-2", "a>1,b<-2"),
        ] {
            assert_eq!(parse(text).map(|all| all.to_string()).as_deref(), Ok(means), "{text:?}");
        }
    }

    #[test]
    fn what_is_not() {
        for (text, why) in [
            ("a===b", "unable to parse requirement: found '=', expected: identifier"),
            ("a=b,", "found '', expected: identifier after ','"),
            ("a,,b", "found ',', expected: identifier after ','"),
            (",a", "found ',', expected: !, identifier, or 'end of string'"),
            ("=a", "found '=', expected: !, identifier, or 'end of string'"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("!a=b", "found '=', expected: ',' or 'end of string'"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("!!a", "unable to parse requirement: found '!', expected: identifier"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
            ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
            ("a in (b,=)", "unable to parse requirement: found '=', expected: ',', or identifier"),
            ("a)", "unable to parse requirement: found ')', expected: in, notin, =, ==, !=, gt, lt"),
            (
                "a>b",
                "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
        ] {
            assert_eq!(parse(text), Err(why.to_owned()), "{text:?}");
        }
    }
}

//! Quotes, escapes and variables in the arguments of instructions, as the Dockerfile reference has them.

use super::BuildError;
use std::collections::BTreeMap;

/// The variables that an instruction sees.
pub(super) type Variables = BTreeMap<String, String>;

/// Splits at blanks outside of quotes; quotes and escapes stay, for [`expand`].
pub(super) fn split(text: &str, escape: char) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, open) if c == escape && open != Some('\'') => {
                word.push(c);
                word.extend(characters.next());
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if let Some(open) = quote {
        return Err(format!("unexpected end of statement while looking for matching {open}"));
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    Ok(words)
}

/// Takes quotes and escapes away and puts variables in.
pub(super) fn expand(text: &str, escape: char, variables: &Variables) -> Result<String, BuildError> {
    Expander { rest: text.chars().collect(), at: 0, escape, variables }
        .all(None, false)
        .map_err(BuildError::Failed)
}

/// The text of a here-document: variables only, quotes are text.
pub(super) fn expand_text(text: &str, escape: char, variables: &Variables) -> Result<String, BuildError> {
    Expander { rest: text.chars().collect(), at: 0, escape, variables }
        .all(None, true)
        .map_err(BuildError::Failed)
}

struct Expander<'v> {
    rest: Vec<char>,
    at: usize,
    escape: char,
    variables: &'v Variables,
}

impl Expander<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.get(self.at).copied();
        self.at += 1;
        c
    }

    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn all(&mut self, end: Option<char>, quotes_are_text: bool) -> Result<String, String> {
        let mut out = String::new();
        while let Some(c) = self.next() {
            match c {
                c if Some(c) == end => return Ok(out),
                '\'' if !quotes_are_text => loop {
                    match self.next() {
                        Some('\'') => break,
                        Some(c) => out.push(c),
                        None => {
                            return Err(
                                "unexpected end of statement while looking for matching single-quote".into(),
                            );
                        }
                    }
                },
                '"' if !quotes_are_text => self.double_quoted(&mut out)?,
                '$' => out.push_str(&self.variable()?),
                c if c == self.escape => match self.peek() {
                    Some(next) if !quotes_are_text || next == '$' || next == self.escape => {
                        out.push(next);
                        self.at += 1;
                    }
                    _ => out.push(c),
                },
                c => out.push(c),
            }
        }
        match end {
            None => Ok(out),
            Some(_) => Err("syntax error: missing '}'".into()),
        }
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), String> {
        loop {
            match self.next() {
                None => {
                    return Err("unexpected end of statement while looking for matching double-quote".into());
                }
                Some('"') => return Ok(()),
                Some('$') => out.push_str(&self.variable()?),
                Some(c) if c == self.escape => match self.next() {
                    Some(next) if next == '"' || next == '$' || next == self.escape => out.push(next),
                    Some(next) => out.extend([c, next]),
                    None => out.push(c),
                },
                Some(c) => out.push(c),
            }
        }
    }

    /// After the `$`.
    fn variable(&mut self) -> Result<String, String> {
        if self.peek() == Some('{') {
            self.at += 1;
            return self.braced();
        }
        let name = self.name();
        Ok(if name.is_empty() { "$".into() } else { self.value(&name).unwrap_or_default() })
    }

    fn braced(&mut self) -> Result<String, String> {
        let name = self.name();
        if name.is_empty() {
            return Err("syntax error: bad substitution".into());
        }
        let value = self.value(&name);
        match self.next() {
            Some('}') => Ok(value.unwrap_or_default()),
            Some(':') => {
                let operator = self.next();
                let value = value.filter(|value| !value.is_empty());
                self.choose(operator, &name, value)
            }
            operator @ Some('-' | '+' | '?') => self.choose(operator, &name, value),
            Some(other) => Err(format!("unsupported modifier ({other}) in substitution")),
            None => Err("syntax error: missing '}'".into()),
        }
    }

    fn choose(
        &mut self,
        operator: Option<char>,
        name: &str,
        value: Option<String>,
    ) -> Result<String, String> {
        let word = self.all(Some('}'), false)?;
        match operator {
            Some('-') => Ok(value.unwrap_or(word)),
            Some('+') => Ok(value.map(|_| word).unwrap_or_default()),
            Some('?') => value.ok_or_else(|| {
                if word.is_empty() {
                    format!("{name}: is not allowed to be unset")
                } else {
                    format!("{name}: {word}")
                }
            }),
            other => Err(format!("unsupported modifier ({}) in substitution", other.unwrap_or(' '))),
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
            // a digit first is a whole name, as in a shell
            let is_special = name.is_empty() && c.is_ascii_digit();
            name.push(c);
            self.at += 1;
            if is_special {
                break;
            }
        }
        name
    }

    fn value(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_quotes_and_escapes() {
        let variables = Variables::from([
            ("a".into(), "A".into()),
            ("empty".into(), String::new()),
            ("b_1".into(), "B".into()),
        ]);
        for (text, want) in [
            ("$a", "A"),
            ("x${a}y", "xAy"),
            ("$b_1/$none/", "B//"),
            ("${none:-d}", "d"),
            ("${empty:-d}", "d"),
            ("${empty-d}", ""),
            ("${a:-d}", "A"),
            ("${a:+x}${none:+y}", "x"),
            ("${none:-${a}}", "A"),
            ("'$a'", "$a"),
            ("\"$a b\"", "A b"),
            (r"\$a", "$a"),
            (r#""\$a \" \n""#, r#"$a " \n"#),
            (r"a\ b", "a b"),
            ("$", "$"),
            ("5$", "5$"),
        ] {
            assert_eq!(expand(text, '\\', &variables).unwrap(), want, "{text}");
        }
        for text in ["${a", "'a", "\"a", "${}", "${a!x}", "${none:?gone}"] {
            assert!(expand(text, '\\', &variables).is_err(), "{text}");
        }
        assert_eq!(expand_text("'$a' \\$a \\n \"", '\\', &variables).unwrap(), "'A' $a \\n \"");
    }

    #[test]
    fn words_end_at_blanks_outside_of_quotes() {
        assert_eq!(split(r#"a "b c"  d\ e 'f g'h"#, '\\').unwrap(), ["a", r#""b c""#, r"d\ e", "'f g'h"]);
        assert!(split("a \"b", '\\').is_err());
    }
}

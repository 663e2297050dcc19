//! Replaces variables in an instruction's words, as BuildKit's shell words do, within bounds of depth and size.

use super::Variables;
use super::limits::Limits;
use super::wildcard::Wildcard;

type Result<T> = std::result::Result<T, String>;

/// Names of a shell's own parameters: they are nothing in a Dockerfile, but names.
const SPECIAL: [char; 8] = ['@', '*', '#', '?', '-', '$', '!', '0'];
/// Of braces within braces, far beyond what anybody writes: each takes some of the stack.
const DEEPEST: usize = 64;

pub(super) struct Expander<'v> {
    characters: Vec<char>,
    at: usize,
    escape: char,
    variables: &'v Variables,
    depth: usize,
    limits: Limits,
}

/// How a piece of text is read.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Quotes and escapes go.
    Word,
    /// Escapes stay: whoever reads the pattern needs them.
    Pattern,
    /// Quotes are text.
    Text,
}

impl<'v> Expander<'v> {
    pub(super) fn new(text: &str, escape: char, variables: &'v Variables) -> Expander<'v> {
        let limits = Limits::default();
        Expander { characters: text.chars().collect(), at: 0, escape, variables, depth: 0, limits }
    }

    pub(super) fn word(mut self) -> Result<String> {
        self.until(None, Mode::Word)
    }

    pub(super) fn text(mut self) -> Result<String> {
        self.until(None, Mode::Text)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += 1;
        c
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn until(&mut self, end: Option<char>, mode: Mode) -> Result<String> {
        let mut out = String::new();
        while let Some(c) = self.next() {
            match c {
                c if Some(c) == end => return Ok(out),
                '\'' if mode != Mode::Text => self.single_quoted(&mut out)?,
                '"' if mode != Mode::Text => self.double_quoted(&mut out)?,
                '$' => out.push_str(&self.variable()?),
                c if c == self.escape => self.escaped(&mut out, mode),
                c => out.push(c),
            }
        }
        match end {
            None => Ok(out),
            Some(end) => Err(format!("unexpected end of statement while looking for matching {end}")),
        }
    }

    fn escaped(&mut self, out: &mut String, mode: Mode) {
        match (self.peek(), mode) {
            (Some(next), Mode::Text) if next != '$' && next != self.escape => out.push(self.escape),
            (Some(next), mode) => {
                self.at += 1;
                if mode == Mode::Pattern {
                    out.push(self.escape);
                }
                out.push(next);
            }
            (None, Mode::Word) => {}
            (None, _) => out.push(self.escape),
        }
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<()> {
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(c) => out.push(c),
                None => {
                    return Err("unexpected end of statement while looking for matching single-quote".into());
                }
            }
        }
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<()> {
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
    fn variable(&mut self) -> Result<String> {
        let value = match self.peek() {
            Some('{') if self.depth == DEEPEST => {
                return Err(format!("substitutions are nested more than {DEEPEST} deep"));
            }
            Some('{') => {
                self.at += 1;
                self.depth += 1;
                let value = self.braced()?;
                self.depth -= 1;
                value
            }
            _ => match self.name() {
                name if name.is_empty() => "$".into(),
                name => self.value(&name).unwrap_or_default().to_owned(),
            },
        };
        self.limits.bring(value.len())?;
        Ok(value)
    }

    fn braced(&mut self) -> Result<String> {
        match self.peek() {
            None => return Err("syntax error: missing '}'".into()),
            Some('{' | '}' | ':') => return Err("syntax error: bad substitution".into()),
            Some(_) => {}
        }
        let name = self.name();
        let value = self.value(&name);
        match self.next() {
            Some('}') => Ok(value.unwrap_or_default().to_owned()),
            Some(':') => match self.next() {
                Some(operator @ ('-' | '+' | '?')) => self.choose(operator, true, &name, value),
                Some(other) => Err(format!("unsupported modifier (:{other}) in substitution")),
                None => Err("syntax error: missing '}'".into()),
            },
            Some(operator @ ('-' | '+' | '?')) => self.choose(operator, false, &name, value),
            Some(end @ ('#' | '%')) => self.trimmed(end, value.unwrap_or_default()),
            Some('/') => self.replaced(value.unwrap_or_default()),
            Some(other) => Err(format!("unsupported modifier ({other}) in substitution")),
            None => Err("syntax error: missing '}'".into()),
        }
    }

    fn choose(
        &mut self,
        operator: char,
        empty_is_unset: bool,
        name: &str,
        value: Option<&str>,
    ) -> Result<String> {
        let word = self.argument(Mode::Word)?;
        let is_empty = value == Some("");
        let value = value.filter(|value| !empty_is_unset || !value.is_empty());
        match (operator, value) {
            ('-', value) => Ok(value.map_or(word, str::to_owned)),
            ('+', value) => Ok(value.map(|_| word).unwrap_or_default()),
            (_, Some(value)) => Ok(value.to_owned()),
            (_, None) if !word.is_empty() => Err(format!("{name}: {word}")),
            (_, None) if is_empty => Err(format!("{name}: is not allowed to be empty")),
            (_, None) => Err(format!("{name}: is not allowed to be unset")),
        }
    }

    /// What stands before the closing brace.
    fn argument(&mut self, mode: Mode) -> Result<String> {
        let word = self.until(Some('}'), mode);
        word.map_err(|why| if self.peek().is_none() { "syntax error: missing '}'".into() } else { why })
    }

    fn trimmed(&mut self, end: char, value: &str) -> Result<String> {
        let word = self.argument(Mode::Pattern)?;
        let (pattern, longest) = word.strip_prefix(end).map_or((word.as_str(), false), |rest| (rest, true));
        let pattern = Wildcard::parse(pattern)?;
        let value = self.characters_of(value)?;
        match end {
            '#' => pattern.without_prefix(&value, longest, &mut self.limits),
            _ => pattern.without_suffix(&value, longest, &mut self.limits),
        }
    }

    fn replaced(&mut self, value: &str) -> Result<String> {
        let all = self.peek() == Some('/');
        if all {
            self.at += 1;
        }
        let pattern = self.until(Some('/'), Mode::Pattern);
        let is_over = self.peek().is_none();
        let pattern =
            pattern.map_err(|why| if is_over { "syntax error: missing '/' in ${}".into() } else { why })?;
        let with = self.argument(Mode::Pattern)?;
        let value = self.characters_of(value)?;
        Wildcard::parse(&pattern)?.replace(&value, &with, all, &mut self.limits)
    }

    /// They count as steps: a long value may be named many times, and come to nothing each time.
    fn characters_of(&mut self, value: &str) -> Result<Vec<char>> {
        self.limits.step(value.len())?;
        Ok(value.chars().collect())
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.peek() {
            // a number is a whole name, as in a shell
            Some(c) if c.is_ascii_digit() => {
                while let Some(c) = self.peek().filter(char::is_ascii_digit) {
                    name.push(c);
                    self.at += 1;
                }
            }
            Some(c) if SPECIAL.contains(&c) => {
                name.push(c);
                self.at += 1;
            }
            _ => {
                while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                    self.at += 1;
                }
            }
        }
        name
    }

    fn value(&self, name: &str) -> Option<&'v str> {
        self.variables.get(name).map(String::as_str)
    }
}

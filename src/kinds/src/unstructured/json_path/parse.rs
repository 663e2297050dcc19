//! A path from its text. What client-go's parser takes for one is one here, but for texts and numbers outside of filters.

use super::{Comparison, JsonPath, Operand, Slice, Step};
use serde_json::Value;

impl JsonPath {
    /// # Errors
    /// Where it stops to be such a path.
    pub fn parse(text: &str) -> Result<JsonPath, String> {
        let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
        path(inner).map_err(|why| format!("{why} in {text:?}"))
    }
}

fn path(text: &str) -> Result<JsonPath, String> {
    let mut steps = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = if let Some(condition) = rest.strip_prefix("[?(") {
            let (step, after) = filter(condition)?;
            steps.push(step);
            after
        } else if let Some(after) = rest.strip_prefix("..") {
            if steps.last() == Some(&Step::Below) {
                return Err("invalid multiple recursive descent".to_owned());
            }
            steps.push(Step::Below);
            if after.starts_with(begins_word) { add_field(after, &mut steps) } else { after }
        } else {
            match first {
                ' ' | '@' | '$' => after,
                '.' => add_field(after, &mut steps),
                '[' => {
                    let (inside, after) = after.split_once(']').ok_or("unterminated array")?;
                    steps.extend(in_brackets(inside)?);
                    after
                }
                _ => return Err(format!("unrecognized character {first:?}")),
            }
        };
    }
    Ok(JsonPath(steps))
}

fn begins_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// The name up to where another step begins, with `\.` for a dot in it; what follows.
fn add_field<'t>(text: &'t str, steps: &mut Vec<Step>) -> &'t str {
    let mut name = String::new();
    let mut end = text.len();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}' => {
                end = at;
                break;
            }
            other => name.push(other),
        }
    }
    steps.push(if name == "*" { Step::All } else { Step::Field(name) });
    &text[end..]
}

fn in_brackets(text: &str) -> Result<Vec<Step>, String> {
    if !text.contains(',') {
        return one_in_brackets(text);
    }
    let each = text.split(',').map(|one| one_in_brackets(one.trim_matches(' ')).map(JsonPath));
    Ok(vec![Step::Union(each.collect::<Result<_, _>>()?)])
}

/// Between quotes stands a path without its first dot: a dot in a name is escaped there too.
fn one_in_brackets(text: &str) -> Result<Vec<Step>, String> {
    let key = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    match key.filter(|key| !key.contains('\'')) {
        Some(key) => path(&format!(".{key}")).map(|path| path.0),
        None => slice(text).map(|slice| vec![Step::Items(slice)]),
    }
}

fn slice(text: &str) -> Result<Slice, String> {
    let invalid = || format!("invalid array index {text}");
    let parts: Vec<&str> = if text == "*" { vec!["", ""] } else { text.split(':').collect() };
    let number = |at: usize| match parts.get(at).copied().unwrap_or_default() {
        "" => Ok(None),
        part if part.starts_with('+') => Err(invalid()),
        part => part.parse::<i64>().map(Some).map_err(|_| invalid()),
    };
    if parts.len() > 3 {
        return Err(invalid());
    }
    let is_index = parts.len() == 1;
    let from = number(0)?.unwrap_or(0);
    let to = if is_index { Some(from.saturating_add(1)) } else { number(1)? };
    Ok(Slice { from, to, is_index, step: number(2)? })
}

/// Up to the bracket that ends it: a parenthesis within quotes does not.
fn filter(text: &str) -> Result<(Step, &str), String> {
    let (mut quote, mut is_closed, mut before) = (None, false, ' ');
    for (at, character) in text.char_indices() {
        match character {
            '"' | '\'' => match quote {
                None => quote = Some(character),
                Some(open) => is_closed |= character == open && before != '\\',
            },
            ')' if quote.is_some() == is_closed => {
                let after = text[at + 1..].strip_prefix(']').ok_or("unclosed array expect ]")?;
                return Ok((condition(&text[..at])?, after));
            }
            _ => {}
        }
        before = character;
    }
    Err("unterminated filter".to_owned())
}

fn condition(text: &str) -> Result<Step, String> {
    let is_operator = |character: char| matches!(character, '!' | '<' | '>' | '=');
    let Some(at) = text.find(is_operator) else {
        return Ok(Step::Where { left: operand(text)?, compared: None });
    };
    let right = text[at..].trim_start_matches(is_operator);
    if right.is_empty() {
        return Err(format!("nothing to compare with in {text}"));
    }
    let operator = &text[at..text.len() - right.len()];
    let (left, right) = (operand(&text[..at])?, operand(right)?);
    let compared = match operator {
        "==" => (Comparison::Equal, right),
        "!=" => (Comparison::NotEqual, right),
        "<" => (Comparison::Less, right),
        "<=" => (Comparison::LessOrEqual, right),
        ">" => (Comparison::Greater, right),
        ">=" => (Comparison::GreaterOrEqual, right),
        _ => (Comparison::Equal, Operand::Word),
    };
    Ok(Step::Where { left, compared: Some(compared) })
}

fn operand(text: &str) -> Result<Operand, String> {
    let text = text.trim_matches(' ');
    let Some(first) = text.chars().next() else { return Ok(Operand::Path(JsonPath::default())) };
    match first {
        '"' | '\'' => {
            let inside = text[1..].strip_suffix(first).ok_or("unterminated quoted string")?;
            Ok(Operand::Value(unescaped(inside).into()))
        }
        '+' | '-' | '0'..='9' => number(text).map(Operand::Value),
        _ if begins_word(first) => Ok(match text {
            "true" => Operand::Value(true.into()),
            "false" => Operand::Value(false.into()),
            _ => Operand::Word,
        }),
        _ => path(text).map(Operand::Path),
    }
}

fn number(text: &str) -> Result<Value, String> {
    let whole = text.parse::<i64>().map(Value::from).ok();
    whole.or_else(|| text.parse::<f64>().map(Value::from).ok()).ok_or(format!("cannot parse number {text}"))
}

fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    plain
}

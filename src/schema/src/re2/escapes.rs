//! `\n`, `\123`, `\x{1F600}`, `\*`: a backslash, and the character that it stands for.

use super::{before, refusal};

/// A code point: Go lets one be of the halves of UTF-16's pairs, which no text has.
pub(super) type Rune = u32;

/// Reads an escape at the beginning of `text`, and says what is behind it.
///
/// # Errors
/// An escape that there is not, in Go's words.
pub(super) fn escape(text: &str) -> Result<(Rune, &str), String> {
    let mut rest = &text[1..];
    let invalid = |rest: &str| refusal("invalid escape sequence", before(text, rest));
    let Some(letter) = next(&mut rest) else {
        return Err(refusal("trailing backslash at end of expression", ""));
    };
    let control = match letter {
        // one digit would be a reference to a group
        '1'..='7' if !rest.starts_with(is_octal) => return Err(invalid(rest)),
        '0'..='7' => return Ok(octal(letter, rest)),
        'x' => return hexadecimal(rest).map_err(invalid),
        'a' => 0x07,
        'f' => 0x0C,
        'n' => 0x0A,
        'r' => 0x0D,
        't' => 0x09,
        'v' => 0x0B,
        sign if sign.is_ascii() && !sign.is_ascii_alphanumeric() => sign as Rune,
        _ => return Err(invalid(rest)),
    };
    Ok((control, rest))
}

/// Takes the first character.
pub(super) fn next(rest: &mut &str) -> Option<char> {
    let text = *rest;
    let mut letters = text.chars();
    let first = letters.next()?;
    *rest = letters.as_str();
    Some(first)
}

fn is_octal(letter: char) -> bool {
    matches!(letter, '0'..='7')
}

/// At most three digits, of which the first was read.
fn octal(first: char, mut rest: &str) -> (Rune, &str) {
    let mut rune = first as Rune - '0' as Rune;
    for _ in 1..3 {
        let Some(digit) = rest.chars().next().filter(|letter| is_octal(*letter)) else { break };
        rune = rune * 8 + (digit as Rune - '0' as Rune);
        rest = &rest[1..];
    }
    (rune, rest)
}

/// `41` or `{41}`.
///
/// # Errors
/// What is behind the place where it is none.
fn hexadecimal(mut rest: &str) -> Result<(Rune, &str), &str> {
    let digit = |letter: Option<char>| letter.and_then(|letter| letter.to_digit(16));
    let Some(first) = next(&mut rest) else { return Err(rest) };
    if first != '{' {
        let second = digit(next(&mut rest));
        return match (digit(Some(first)), second) {
            (Some(high), Some(low)) => Ok((high * 16 + low, rest)),
            _ => Err(rest),
        };
    }
    let mut rune: Option<Rune> = None;
    loop {
        let letter = next(&mut rest);
        match (letter, rune) {
            (Some('}'), Some(rune)) => return Ok((rune, rest)),
            _ => {
                let Some(digit) = digit(letter) else { return Err(rest) };
                let read = rune.unwrap_or(0) * 16 + digit;
                if read > char::MAX as Rune {
                    return Err(rest);
                }
                rune = Some(read);
            }
        }
    }
}

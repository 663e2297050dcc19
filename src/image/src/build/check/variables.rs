//! Which variables a text takes.

/// Their names, in order, each that has to be there: what brings its own for the case that it is not (`${a:-b}`), says what is wrong
/// then (`${a:?b}`) or asks for it only (`${a:+b}`) is none of them.
pub(super) fn taken(text: &str, escape: char) -> Vec<String> {
    let mut names = Vec::new();
    let mut quote = None;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, quote) {
            (c, open) if c == escape && open != Some('\'') => drop(characters.next()),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('$', open) if open != Some('\'') => {
                let is_braced = characters.next_if_eq(&'{').is_some();
                let mut name = String::new();
                while let Some(c) = characters.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                let has_other = is_braced && matches!(characters.peek(), Some(':' | '-' | '+' | '?'));
                // `$1` is the shell's
                let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
                if is_name && !has_other {
                    names.push(name);
                }
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_what_has_to_be_there() {
        for (text, want) in [
            ("a$b/${c}d\"$e\"", &["b", "c", "e"][..]),
            ("'$a' \\$b \"it's $c\"", &["c"]),
            ("${a:-$b} ${c-d} ${e:+f} ${g?h}", &["b"]),
            ("${a#x} ${b%%y} ${c/d/e}", &["a", "b", "c"]),
            ("$1 $ $$x ${", &["x"]),
        ] {
            assert_eq!(taken(text, '\\'), want, "{text}");
        }
        assert_eq!(taken("\\$a `$b", '`'), ["a"]);
    }
}

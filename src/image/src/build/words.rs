//! Quotes, escapes and variables in the arguments of instructions, as the Dockerfile reference has them.

mod substitution;
mod wildcard;

use super::BuildError;
use std::collections::BTreeMap;
use substitution::Expander;

/// The variables that an instruction sees.
pub(super) type Variables = BTreeMap<String, String>;

/// Splits at blanks outside of quotes; quotes and escapes stay, for [`expand`], which says where a quote is not closed.
pub(super) fn split(text: &str, escape: char) -> Vec<String> {
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
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// Splits at blanks, whatever is quoted: the instructions that take paths know no quotes.
pub(super) fn split_plain(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Takes quotes and escapes away and puts variables in.
pub(super) fn expand(text: &str, escape: char, variables: &Variables) -> Result<String, BuildError> {
    let word = Expander::new(text, escape, variables).word();
    word.map_err(|why| failed(text, &why))
}

/// The same for EXPOSE: what comes out is split at blanks outside of quotes.
pub(super) fn expand_words(
    text: &str,
    escape: char,
    variables: &Variables,
) -> Result<Vec<String>, BuildError> {
    let words = split(text, escape);
    let mut all = Vec::new();
    for word in words {
        let value = expand(&word, escape, variables)?;
        let is_quoted = word.contains(['"', '\'', escape]);
        match is_quoted {
            true => all.push(value),
            false => all.extend(split_plain(&value)),
        }
    }
    Ok(all)
}

/// The text of a here-document: variables only, quotes are text.
pub(super) fn expand_text(text: &str, escape: char, variables: &Variables) -> Result<String, BuildError> {
    Expander::new(text, escape, variables).text().map_err(|why| failed("here-document", &why))
}

fn failed(text: &str, why: &str) -> BuildError {
    BuildError::Failed(format!("failed to process {text:?}: {why}"))
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
            ("path".into(), "/usr/lib/x.tar.gz".into()),
            ("ext".into(), ".gz".into()),
            ("stars".into(), "*b*".into()),
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
            ("$.x", "$.x"),
            ("$12b", "b"),
            ("${path#/}", "usr/lib/x.tar.gz"),
            ("${path#*/}", "usr/lib/x.tar.gz"),
            ("${path##*/}", "x.tar.gz"),
            ("${path%.*}", "/usr/lib/x.tar"),
            ("${path%%.*}", "/usr/lib/x"),
            ("${path%$ext}", "/usr/lib/x.tar"),
            ("${path#none}", "/usr/lib/x.tar.gz"),
            ("${path/lib/share}", "/usr/share/x.tar.gz"),
            ("${path/r?l/-}", "/us-ib/x.tar.gz"),
            ("${path//\\//_}", "_usr_lib_x.tar.gz"),
            ("${path/x.*/}", "/usr/lib/"),
            ("${stars#\\*}", "b*"),
            ("\"${path##*/}\"", "x.tar.gz"),
        ] {
            assert_eq!(expand(text, '\\', &variables).unwrap(), want, "{text}");
        }
        for (text, want) in [
            ("${a", "syntax error: missing '}'"),
            ("${a:-x", "syntax error: missing '}'"),
            ("'a", "unexpected end of statement while looking for matching single-quote"),
            ("\"a", "unexpected end of statement while looking for matching double-quote"),
            ("${}", "syntax error: bad substitution"),
            ("${a~x}", "unsupported modifier (~) in substitution"),
            ("${a:x}", "unsupported modifier (:x) in substitution"),
            ("${none:?gone}", "none: gone"),
            ("${none?}", "none: is not allowed to be unset"),
            ("${empty:?}", "empty: is not allowed to be empty"),
            ("${a/x}", "syntax error: missing '/' in ${}"),
            ("${a#\\x}", "invalid pattern (\\x) in substitution: invalid escape '\\x'"),
        ] {
            let why = expand(text, '\\', &variables).unwrap_err().to_string();
            assert_eq!(why, format!("failed to process {text:?}: {want}"));
        }
        assert_eq!(expand_text("'$a' \\$a \\n \"", '\\', &variables).unwrap(), "'A' $a \\n \"");
    }

    #[test]
    fn what_is_nested_or_grows_has_an_end() {
        let nested = |levels: usize| format!("{}x{}", "${none:-".repeat(levels), "}".repeat(levels));
        assert_eq!(expand(&nested(64), '\\', &Variables::new()).unwrap(), "x");
        for levels in [65, 200_000] {
            let why = expand(&nested(levels), '\\', &Variables::new()).unwrap_err().to_string();
            assert!(why.ends_with("substitutions are nested more than 64 deep"), "{levels}");
        }
        let mut variables = Variables::from([("a".into(), "x".repeat(1000))]);
        let why = (0..40).find_map(|_| match expand("$a$a", '\\', &variables) {
            Ok(twice) => {
                variables.insert("a".into(), twice);
                None
            }
            Err(why) => Some(why.to_string()),
        });
        assert_eq!(why.unwrap(), "failed to process \"$a$a\": its variables hold more than 1048576 bytes");
    }

    #[test]
    fn words_end_at_blanks_outside_of_quotes() {
        assert_eq!(split(r#"a "b c"  d\ e 'f g'h"#, '\\'), ["a", r#""b c""#, r"d\ e", "'f g'h"]);
        // whoever puts the variables in says that a quote is missing
        assert_eq!(split("a \"b c", '\\'), ["a", "\"b c"]);
        let variables = Variables::from([("p".into(), "80 81".into())]);
        assert_eq!(expand_words("$p 82 \"$p\"", '\\', &variables).unwrap(), ["80", "81", "82", "80 81"]);
    }
}

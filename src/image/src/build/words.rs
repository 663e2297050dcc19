//! Quotes, escapes and variables in the arguments of instructions, as the Dockerfile reference has them.

mod limits;
mod substitution;
mod wildcard;

use super::BuildError;
use std::collections::BTreeMap;
use std::sync::Arc;
use substitution::Expander;
use tokio_util::sync::CancellationToken;

/// The variables that an instruction sees.
pub(super) type Variables = BTreeMap<String, String>;

/// Bytes of all variables that an instruction sees.
const MOST_HELD: usize = 16 << 20;

/// What the arguments of an instruction are read with.
#[derive(Debug, Clone)]
pub(super) struct Words {
    escape: char,
    variables: Arc<Variables>,
    /// Bytes of the variables, with those that were others before.
    held: usize,
    /// Nobody waits for the build any more: a Dockerfile may have very many arguments.
    gone: CancellationToken,
}

impl Words {
    pub(super) fn new(escape: char, variables: Variables, gone: &CancellationToken) -> Words {
        let held = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
        Words { escape, variables: Arc::new(variables), held, gone: gone.clone() }
    }

    /// From now on the variable is this.
    ///
    /// # Errors
    /// There are too many: each of very many lines may bring as much as an argument may hold.
    pub(super) fn know(&mut self, name: &str, value: &str) -> Result<(), BuildError> {
        self.held += name.len() + value.len();
        if self.held > MOST_HELD {
            return Err(BuildError::Failed(format!("the variables hold more than {MOST_HELD} bytes")));
        }
        Arc::make_mut(&mut self.variables).insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Takes quotes and escapes away and puts variables in.
    pub(super) fn expand(&self, text: &str) -> Result<String, BuildError> {
        self.expander(text)?.word().map_err(|why| failed(text, &why))
    }

    /// All of them, or what is wrong with the first that is.
    pub(super) fn expand_each(&self, texts: &[String]) -> Result<Vec<String>, BuildError> {
        texts.iter().map(|text| self.expand(text)).collect()
    }

    pub(super) fn expand_some(&self, text: Option<&str>) -> Result<Option<String>, BuildError> {
        text.map(|text| self.expand(text)).transpose()
    }

    /// The same for EXPOSE: what comes out is split at blanks outside of quotes.
    pub(super) fn expand_words(&self, text: &str) -> Result<Vec<String>, BuildError> {
        let words = split(text, self.escape);
        let mut all = Vec::new();
        for word in words {
            let value = self.expand(&word)?;
            let is_quoted = word.contains(['"', '\'', self.escape]);
            match is_quoted {
                true => all.push(value),
                false => all.extend(split_plain(&value)),
            }
        }
        Ok(all)
    }

    /// The text of a here-document: variables only, quotes are text.
    pub(super) fn expand_text(&self, text: &str) -> Result<String, BuildError> {
        self.expander(text)?.text().map_err(|why| failed("here-document", &why))
    }

    fn expander(&self, text: &str) -> Result<Expander<'_>, BuildError> {
        match self.gone.is_cancelled() {
            true => Err(BuildError::given_up()),
            false => Ok(Expander::new(text, self.escape, &self.variables)),
        }
    }
}

/// Splits at blanks outside of quotes; quotes and escapes stay, for [`Words::expand`], which says where one is not closed.
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

fn failed(text: &str, why: &str) -> BuildError {
    BuildError::Failed(format!("failed to process {text:?}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(escape: char, variables: &Variables) -> Words {
        Words::new(escape, variables.clone(), &CancellationToken::new())
    }

    fn expand(text: &str, escape: char, variables: &Variables) -> Result<String, BuildError> {
        words(escape, variables).expand(text)
    }

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
        let text = words('\\', &variables).expand_text("'$a' \\$a \\n \"");
        assert_eq!(text.unwrap(), "'A' $a \\n \"");
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
        let ports = words('\\', &variables).expand_words("$p 82 \"$p\"");
        assert_eq!(ports.unwrap(), ["80", "81", "82", "80 81"]);
    }

    #[test]
    fn what_one_argument_may_cost_is_for_all_of_its_variables() {
        let stars = format!("{}b", "*a".repeat(30_000));
        let variables = Variables::from([
            ("a".into(), "a".repeat(60_000)),
            ("most".into(), "x".repeat(1 << 20)),
            ("y".into(), "y".repeat(60_000)),
        ]);
        let (steps, bytes) =
            ("its patterns take more than 16777216 steps", "its variables hold more than 1048576 bytes");
        for (name, text, want) in [
            ("prefix", format!("${{a##{stars}}}"), steps),
            ("shortest prefix", format!("${{a#{stars}}}"), steps),
            ("suffix", format!("${{a%%b{stars}}}"), ""),
            ("replaced", format!("${{a/{stars}/}}"), steps),
            ("each replaced", format!("${{a//a{stars}/}}"), steps),
            ("a long value that comes to nothing", "${most##*}".repeat(20), steps),
            ("within a pattern", format!("${{a/${{a#{stars}}}/x}}"), steps),
            ("grown", "${a//a/$y}".into(), bytes),
            ("grown by what stands there", format!("${{a//a/{}}}", "y".repeat(60_000)), bytes),
        ] {
            let done = expand(&text, '\\', &variables).map(|_| String::new());
            let why = done.unwrap_or_else(|why| why.to_string());
            assert!(why.ends_with(want) && why.is_empty() == want.is_empty(), "{name}");
        }
    }

    #[test]
    fn variables_have_bounds_together() {
        let mut words = words('\\', &Variables::from([("a".into(), "x".repeat(1 << 20))]));
        let known = (0..100).find_map(|number| words.know(&format!("b{number}"), &"x".repeat(1 << 20)).err());
        assert_eq!(known.unwrap().to_string(), "the variables hold more than 16777216 bytes");
        assert_eq!(words.variables.len(), 15);
    }

    #[test]
    fn nothing_is_read_for_a_build_that_nobody_waits_for() {
        let words = words('\\', &Variables::new());
        words.gone.cancel();
        assert_eq!(words.expand("x").unwrap_err().to_string(), "the build was given up");
        assert!(words.expand_text("x").is_err());
        assert!(words.expand_words("x").is_err());
    }
}

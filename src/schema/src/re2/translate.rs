//! The reading of a pattern, one character after the other, as Go's `regexp/syntax` has it.

use super::classes::{NOTHING, class, perl, unicode};
use super::escapes::{Rune, escape, next};
use super::{before, refusal};

/// Groups within groups. Go takes 1,000; nobody has that many, and whoever compiles one goes down with it.
pub(super) const DEEPEST: usize = 100;
/// Bytes. What has more is no pattern, but somebody's try.
const LONGEST: usize = 100_000;
/// How often something may be counted to, also by several counts within one another.
const MOST_REPEATS: u32 = 1000;
/// Sets like `\pL` have some hundred ranges each, whatever they are compiled to in the end.
const MOST_LARGE_SETS: usize = 1000;
/// One in which letters stand for either case counts as so many: the crate looks for the other case of each character, of which
/// there may be a million.
const OF_EITHER_CASE: usize = 20;

const MISSING_ARGUMENT: &str = "missing argument to repetition operator";
const INVALID_COUNT: &str = "invalid repeat count";
const INVALID_PERL: &str = "invalid or unsupported Perl syntax";
const INVALID_NAME: &str = "invalid named capture";
const TOO_LARGE: &str = "expression too large";

/// A pattern in Go's syntax as one of the regex crate that matches the same. It has no groups that capture, as nobody asks for
/// what they hold.
///
/// # Errors
/// Where Go refuses it, in Go's words; and what is longer or deeper than anybody writes it.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    if pattern.len() > LONGEST {
        return Err(refusal(TOO_LARGE, pattern.get(..64).unwrap_or_default()));
    }
    Reader { whole: pattern, flags: Flags::default(), groups: Vec::new(), open: Group::default(), large: 0 }
        .read()
}

/// What `(?imsU)` sets.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    ignore_case: bool,
    multi_line: bool,
    dot_takes_newline: bool,
    is_ungreedy: bool,
}

/// What is between two parentheses so far.
#[derive(Debug, Default)]
struct Group {
    /// What is to be behind it.
    flags_before: Flags,
    /// Up to the last `|`, which is there too.
    branches: String,
    /// Of the branches.
    measure: Measure,
    atoms: Vec<Atom>,
}

/// What a repetition can be of.
#[derive(Debug)]
struct Atom {
    text: String,
    /// An operator behind the text would be about all of it.
    is_whole: bool,
    measure: Measure,
}

#[derive(Debug, Clone, Copy, Default)]
struct Measure {
    /// The largest product of counts within one another.
    repeats: u32,
    depth: usize,
}

impl Measure {
    fn with(self, other: Measure) -> Measure {
        Measure { repeats: self.repeats.max(other.repeats), depth: self.depth.max(other.depth) }
    }
}

impl Group {
    fn end_branch(&mut self) {
        for atom in self.atoms.drain(..) {
            self.branches.push_str(&atom.text);
            self.measure = self.measure.with(atom.measure);
        }
    }
}

/// How often: as it is written behind what is repeated, and the counts, where there are some.
struct Operator {
    text: String,
    counts: Option<(u32, Option<u32>)>,
}

struct Reader<'p> {
    whole: &'p str,
    flags: Flags,
    /// Those around the open one, the outermost first.
    groups: Vec<Group>,
    open: Group,
    /// So many large sets so far.
    large: usize,
}

impl<'p> Reader<'p> {
    fn read(mut self) -> Result<String, String> {
        let mut rest = self.whole;
        // where the repetition before began, if that is the last that was read
        let mut last = None;
        while let Some(first) = rest.chars().next() {
            let at = rest;
            let mut repeated = None;
            match first {
                '*' | '+' | '?' => {
                    let operator = Operator { text: first.to_string(), counts: None };
                    rest = self.repeat(at, &at[1..], operator, last)?;
                    repeated = Some(at);
                }
                '{' => match counts(at) {
                    Some((least, most, behind)) => {
                        rest = self.repeat(at, behind, counted(least, most, before(at, behind))?, last)?;
                        repeated = Some(at);
                    }
                    None => {
                        self.literal('{' as Rune);
                        rest = &at[1..];
                    }
                },
                _ => rest = self.other(first, at)?,
            }
            last = repeated;
        }
        if !self.groups.is_empty() {
            return Err(refusal("missing closing )", self.whole));
        }
        self.open.end_branch();
        Ok(self.open.branches)
    }

    /// What is no repetition.
    fn other(&mut self, first: char, at: &'p str) -> Result<&'p str, String> {
        match first {
            '(' if at[1..].starts_with('?') => return self.perl_group(at),
            '(' => self.begin(self.flags)?,
            ')' => self.end()?,
            '|' => {
                self.open.end_branch();
                self.open.branches.push('|');
            }
            '^' => self.atom(if self.flags.multi_line { "(?m:^)" } else { "^" }),
            '$' => self.atom(if self.flags.multi_line { "(?m:$)" } else { "$" }),
            '.' => self.atom(if self.flags.dot_takes_newline { "(?s:.)" } else { "." }),
            '[' => {
                let (class, rest) = class(at)?;
                self.set(&class.text, class.large)?;
                return Ok(rest);
            }
            '\\' => return self.backslash(at),
            letter => {
                self.literal(letter as Rune);
                return Ok(&at[letter.len_utf8()..]);
            }
        }
        Ok(&at[1..])
    }

    fn backslash(&mut self, at: &'p str) -> Result<&'p str, String> {
        let rest = at.get(2..).unwrap_or_default();
        match at.as_bytes().get(1) {
            Some(b'A') => self.atom(r"\A"),
            Some(b'z') => self.atom(r"\z"),
            Some(b'b') => self.atom(r"(?-u:\b)"),
            Some(b'B') => self.atom(r"(?-u:\B)"),
            // a single byte, which is not text
            Some(b'C') => return Err(refusal("invalid escape sequence", r"\C")),
            Some(b'Q') => {
                let (quoted, rest) = rest.split_once(r"\E").unwrap_or((rest, ""));
                quoted.chars().for_each(|letter| self.literal(letter as Rune));
                return Ok(rest);
            }
            _ => {
                if let Some((set, rest)) = unicode(at)?.or_else(|| perl(at)) {
                    self.set(&set.alone(), usize::from(set.is_large()))?;
                    return Ok(rest);
                }
                let (rune, rest) = escape(at)?;
                self.literal(rune);
                return Ok(rest);
            }
        }
        Ok(rest)
    }

    fn atom(&mut self, text: &str) {
        let measure = Measure { repeats: 1, depth: 1 };
        self.open.atoms.push(Atom { text: text.to_owned(), is_whole: true, measure });
    }

    fn literal(&mut self, rune: Rune) {
        let Some(letter) = char::from_u32(rune) else { return self.atom(NOTHING) };
        let text = if letter.is_alphanumeric() { letter.to_string() } else { format!("\\x{{{rune:X}}}") };
        let has_case = letter.is_ascii_alphabetic() || !letter.is_ascii();
        self.atom(&if self.flags.ignore_case && has_case { format!("(?i:{text})") } else { text });
    }

    fn set(&mut self, text: &str, large: usize) -> Result<(), String> {
        self.large += large * if self.flags.ignore_case { OF_EITHER_CASE } else { 1 };
        if self.large > MOST_LARGE_SETS {
            return Err(refusal(TOO_LARGE, self.whole));
        }
        match self.flags.ignore_case {
            true => self.atom(&format!("(?i:{text})")),
            false => self.atom(text),
        }
        Ok(())
    }

    /// `flags` are those within it.
    fn begin(&mut self, flags: Flags) -> Result<(), String> {
        if self.groups.len() >= DEEPEST {
            return Err(refusal("expression nests too deeply", self.whole));
        }
        let group = Group { flags_before: self.flags, ..Group::default() };
        self.groups.push(std::mem::replace(&mut self.open, group));
        self.flags = flags;
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(outer) = self.groups.pop() else { return Err(refusal("unexpected )", self.whole)) };
        let mut group = std::mem::replace(&mut self.open, outer);
        group.end_branch();
        self.flags = group.flags_before;
        let Measure { repeats, depth } = group.measure;
        // an empty one can be repeated too
        let measure = self.measured(repeats.max(1), depth + 1)?;
        self.open.atoms.push(Atom { text: format!("(?:{})", group.branches), is_whole: true, measure });
        Ok(())
    }

    fn measured(&self, repeats: u32, depth: usize) -> Result<Measure, String> {
        match depth > DEEPEST {
            true => Err(refusal("expression nests too deeply", self.whole)),
            false => Ok(Measure { repeats, depth }),
        }
    }

    /// `at` begins with the operator, `rest` is behind it.
    fn repeat(
        &mut self,
        at: &'p str,
        rest: &'p str,
        operator: Operator,
        last: Option<&'p str>,
    ) -> Result<&'p str, String> {
        let (rest, is_swapped) = match rest.strip_prefix('?') {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        if let Some(last) = last {
            return Err(refusal("invalid nested repetition operator", before(last, rest)));
        }
        let Some(atom) = self.open.atoms.pop() else {
            return Err(refusal(MISSING_ARGUMENT, before(at, rest)));
        };
        let mut repeats = atom.measure.repeats;
        if let Some((least, most)) = operator.counts {
            repeats = match most {
                Some(0) => 1,
                most => most.unwrap_or(least).max(1).saturating_mul(repeats),
            };
            let is_counted = least >= 2 || most.is_some_and(|most| most >= 2);
            if is_counted && repeats > MOST_REPEATS {
                return Err(refusal(INVALID_COUNT, before(at, rest)));
            }
        }
        let measure = self.measured(repeats, atom.measure.depth + 1)?;
        let (open, close) = if atom.is_whole { ("", "") } else { ("(?:", ")") };
        let lazy = if is_swapped == self.flags.is_ungreedy { "" } else { "?" };
        let text = format!("{open}{}{close}{}{lazy}", atom.text, operator.text);
        self.open.atoms.push(Atom { text, is_whole: false, measure });
        Ok(rest)
    }

    /// `(?i)`, `(?i-s:…)`, `(?P<name>…)`.
    fn perl_group(&mut self, at: &'p str) -> Result<&'p str, String> {
        let begins = |with: &str| (at.len() > with.len() && at.starts_with(with)).then_some(with.len());
        let name_at = begins("(?P<").or_else(|| begins("(?<"));
        if let Some(name_at) = name_at {
            let Some(end) = at.find('>') else { return Err(refusal(INVALID_NAME, at)) };
            let name = &at[name_at..end];
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(refusal(INVALID_NAME, &at[..=end]));
            }
            self.begin(self.flags)?;
            return Ok(&at[end + 1..]);
        }
        let (mut flags, mut is_on, mut is_flag_due) = (self.flags, true, false);
        let mut rest = &at[2..];
        while let Some(letter) = next(&mut rest) {
            let flag = match letter {
                'i' => &mut flags.ignore_case,
                'm' => &mut flags.multi_line,
                's' => &mut flags.dot_takes_newline,
                'U' => &mut flags.is_ungreedy,
                '-' if is_on => {
                    (is_on, is_flag_due) = (false, true);
                    continue;
                }
                ':' if !is_flag_due => {
                    self.begin(flags)?;
                    return Ok(rest);
                }
                ')' if !is_flag_due => {
                    self.flags = flags;
                    return Ok(rest);
                }
                _ => break,
            };
            *flag = is_on;
            is_flag_due = false;
        }
        Err(refusal(INVALID_PERL, before(at, rest)))
    }
}

/// `{2}`, `{2,}`, `{2,5}` at the beginning of the text: from, to, and what is behind. What is not quite one is plain text.
fn counts(text: &str) -> Option<(u32, Option<u32>, &str)> {
    let (least, rest) = count(text.strip_prefix('{')?)?;
    let (most, rest) = match rest.strip_prefix(',') {
        None => (Some(least), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (most, rest) = count(rest)?;
            (Some(most), rest)
        }
    };
    Some((least, most, rest.strip_prefix('}')?))
}

/// Without zeros before it. One that is too large for any use is the largest that there is.
fn count(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let digits = &text[..end];
    if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), &text[end..]))
}

fn counted(least: u32, most: Option<u32>, written: &str) -> Result<Operator, String> {
    if least > MOST_REPEATS || most.is_some_and(|most| most > MOST_REPEATS || most < least) {
        return Err(refusal(INVALID_COUNT, written));
    }
    Ok(Operator { text: written.to_owned(), counts: Some((least, most)) })
}

//! A Dockerfile's text as instructions: continued lines joined, comments left out, here-documents attached. (The crates
//! that parse Dockerfiles know neither a here-document behind a command nor an empty exec form.)

use super::BuildError;
use super::heredoc::{self, Heredoc};

/// One instruction as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    /// The last one, here-documents included.
    pub(super) last: usize,
    /// The whole instruction in one line, without here-documents.
    pub(super) original: String,
    /// Its first word, as written.
    pub(super) keyword: String,
    /// What follows; flags included.
    pub(super) rest: String,
    pub(super) heredocs: Vec<Heredoc>,
    /// An empty line stands where it is continued.
    pub(super) has_gap: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) escape: char,
    pub(super) lines: Vec<Line>,
    pub(super) warnings: Vec<String>,
}

/// What a Dockerfile may say of itself in comments at its top. Of `syntax` this builder needs nothing: it knows one language. `check`
/// is for who looks for mistakes, see [`checks`].
const DIRECTIVES: [&str; 3] = ["escape", "syntax", "check"];

pub(super) fn parse(text: &str) -> Result<Lines, BuildError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        Reader { physical: text.lines().collect(), at: 0, escape: escape(text)?, warnings: Vec::new() };
    let mut lines = Vec::new();
    while let Some(line) = reader.instruction()? {
        lines.push(line);
    }
    Ok(Lines { escape: reader.escape, lines, warnings: reader.warnings })
}

struct Reader<'t> {
    physical: Vec<&'t str>,
    /// The next one, from 0.
    at: usize,
    escape: char,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn instruction(&mut self) -> Result<Option<Line>, BuildError> {
        while self.physical.get(self.at).is_some_and(|line| is_empty(line) || is_comment(line)) {
            self.at += 1;
        }
        if self.at == self.physical.len() {
            return Ok(None);
        }
        let number = self.at + 1;
        let (whole, has_gap) = self.joined();
        let whole = whole.trim();
        let (keyword, rest) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
        let mut heredocs = heredoc::named_in(keyword, rest);
        for heredoc in &mut heredocs {
            self.at = heredoc.read(&self.physical, self.at).map_err(|why| BuildError::parse(number, why))?;
        }
        Ok(Some(Line {
            number,
            last: self.at,
            original: whole.to_owned(),
            keyword: keyword.to_owned(),
            rest: rest.trim().to_owned(),
            heredocs,
            has_gap,
        }))
    }

    /// The line and those that continue it, and whether one of them is empty.
    fn joined(&mut self) -> (String, bool) {
        let mut whole = String::new();
        let mut has_gap = false;
        while let Some(line) = self.physical.get(self.at) {
            self.at += 1;
            if is_comment(line) {
                continue;
            }
            if is_empty(line) && !whole.is_empty() {
                has_gap = true;
                continue;
            }
            match continues(line, self.escape) {
                Some(part) => whole.push_str(part),
                None => {
                    whole.push_str(line);
                    break;
                }
            }
        }
        if has_gap {
            self.warnings.push(format!("Empty continuation line found in: {}", whole.trim()));
        }
        (whole, has_gap)
    }
}

fn is_empty(line: &str) -> bool {
    line.trim().is_empty()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// An escape that is escaped itself continues nothing.
fn continues(line: &str, escape: char) -> Option<&str> {
    let part = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!part.ends_with(escape)).then_some(part)
}

/// Directives stand at the very top, each once.
fn escape(text: &str) -> Result<char, BuildError> {
    let mut seen: Vec<String> = Vec::new();
    let mut escape = '\\';
    for (index, line) in text.lines().enumerate() {
        let Some((name, value)) = directive(line) else { break };
        let refuse = |why: String| BuildError::parse(index + 1, why);
        if seen.contains(&name) {
            return Err(refuse(format!("only one {name} parser directive can be used")));
        }
        if name == "escape" {
            escape = match value {
                "\\" => '\\',
                "`" => '`',
                other => {
                    return Err(refuse(format!("invalid escape token '{other}' does not match ` or \\")));
                }
            };
        }
        seen.push(name);
    }
    Ok(escape)
}

/// What the directive `check` says.
pub(super) fn checks(text: &str) -> Option<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut directives = text.lines().map_while(directive);
    directives.find(|(name, _)| name == "check").map(|(_, value)| value)
}

fn directive(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    (DIRECTIVES.contains(&name.as_str()) && !value.trim().is_empty()).then(|| (name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let lines = parse(text).unwrap().lines;
        lines.iter().map(|l| format!("{} {} {}", l.number, l.keyword, l.rest)).collect()
    }

    #[test]
    fn lines_are_joined_and_comments_left_out() {
        let text = "# a comment\n\nfrom x\nRUN a && \\\n  # in between\n\n  b \\\n  c\nCMD d";
        assert_eq!(shown(text), ["3 from x", "4 RUN a &&   b   c", "9 CMD d"]);
        assert_eq!(
            shown("#  Escape = `\nFROM x\nRUN a `\n b \\\nCMD c"),
            ["2 FROM x", "3 RUN a  b \\", "5 CMD c"]
        );
        assert_eq!(shown("FROM x\nRUN a \\"), ["1 FROM x", "2 RUN a"]);
        assert_eq!(shown("FROM x\nRUN a \\\\\nCMD b"), ["1 FROM x", "2 RUN a \\\\", "3 CMD b"]);
        let gap = parse("FROM x\nRUN a \\\n\n  b\n").unwrap();
        assert_eq!(gap.warnings, ["Empty continuation line found in: RUN a   b"]);
        assert_eq!((gap.lines[1].number, gap.lines[1].last), (2, 4));
        let same = "# syntax=docker/dockerfile:1\n# check=skip=all\n# escape=`\nFROM x `\n";
        assert_eq!(shown(same), ["4 FROM x"]);
        // no directive any more
        assert_eq!(shown("# a comment\n# escape=`\nFROM x \\\n"), ["3 FROM x"]);
        assert_eq!(checks(same), Some("skip=all"));
        assert_eq!(checks("# a comment\n# check=skip=all\nFROM x"), None);
        assert!(gap.lines[1].has_gap && !gap.lines[0].has_gap);
        for (text, want) in [
            (
                "# escape=x\nFROM a",
                "dockerfile parse error on line 1: invalid escape token 'x' does not match ` or \\",
            ),
            ("# escape=`\n# escape=`\nFROM a", "line 2: only one escape parser directive can be used"),
        ] {
            assert!(parse(text).unwrap_err().to_string().contains(want), "{text}");
        }
    }

    #[test]
    fn here_documents_belong_to_their_instruction() {
        let text = "RUN cat <<EOF > /x && echo\nhi # not a comment\n\nEOF\nCOPY <<-\"A\" <<B /d/\n\t$x\nA\nb\nB\n\
                    RUN [\"<<EOF\"]\nRUN a <<2 b\n2\nONBUILD RUN <<E\nx\nE\nRUN a < <(b)\n";
        let lines = parse(text).unwrap().lines;
        let found: Vec<Vec<(String, String, bool)>> = lines
            .iter()
            .map(|l| l.heredocs.iter().map(|h| (h.name.clone(), h.content.clone(), h.expand)).collect())
            .collect();
        let one = |name: &str, content: &str, expand| (name.to_owned(), content.to_owned(), expand);
        assert_eq!(found[0], [one("EOF", "hi # not a comment\n\n", true)]);
        assert_eq!(found[1], [one("A", "$x\n", false), one("B", "b\n", true)]);
        assert_eq!(found[2..], [vec![], vec![one("2", "", true)], vec![one("E", "x\n", true)], vec![]]);
        assert_eq!((lines[1].number, lines[1].last), (5, 9));
        let why = parse("FROM x\nRUN <<EOF\nx").unwrap_err().to_string();
        assert_eq!(why, "dockerfile parse error on line 2: unterminated heredoc");
    }
}

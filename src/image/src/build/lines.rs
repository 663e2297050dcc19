//! A Dockerfile's text as instructions: continued lines joined, comments left out, here-documents attached. (The crates
//! that parse Dockerfiles know neither a here-document behind a command nor an empty exec form.)

use super::BuildError;

/// One instruction as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    /// The last one, here-documents included.
    pub(super) last: usize,
    /// Upper case.
    pub(super) keyword: String,
    /// What follows, in one line; flags included.
    pub(super) rest: String,
    pub(super) heredocs: Vec<Heredoc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heredoc {
    pub(super) name: String,
    pub(super) content: String,
    /// False where the name was quoted.
    pub(super) expand: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) escape: char,
    pub(super) lines: Vec<Line>,
}

pub(super) fn parse(text: &str) -> Result<Lines, BuildError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = directive(text, "escape")?.unwrap_or('\\');
    let mut lines = Vec::new();
    let mut physical = text.lines().enumerate();
    while let Some((index, first)) = physical.next() {
        if is_skipped(first) {
            continue;
        }
        let number = index + 1;
        let mut last = number;
        let mut whole = String::new();
        let mut current = first;
        while let Some(continued) = continues(current, escape) {
            whole.push_str(continued);
            match physical.by_ref().find(|(_, line)| !is_skipped(line)) {
                Some((index, line)) => {
                    last = index + 1;
                    current = line;
                }
                None => current = "",
            }
        }
        whole.push_str(current);
        let whole = whole.trim();
        let (keyword, rest) = whole.split_once([' ', '\t']).unwrap_or((whole, ""));
        let keyword = keyword.to_ascii_uppercase();
        let mut heredocs = heredoc_names(&keyword, rest);
        for (heredoc, strip_tabs) in &mut heredocs {
            (heredoc.content, last) = read_heredoc(&mut physical, heredoc, *strip_tabs, number)?;
        }
        let heredocs = heredocs.into_iter().map(|(heredoc, _)| heredoc).collect();
        lines.push(Line { number, last, keyword, rest: rest.trim().to_owned(), heredocs });
    }
    Ok(Lines { escape, lines })
}

fn is_skipped(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

fn continues(line: &str, escape: char) -> Option<&str> {
    line.trim_end().strip_suffix(escape)
}

/// `# escape=`` at the very top.
fn directive(text: &str, wanted: &str) -> Result<Option<char>, BuildError> {
    for line in text.lines() {
        let Some((name, value)) = line.trim().strip_prefix('#').and_then(|comment| comment.split_once('='))
        else {
            return Ok(None);
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return match value.trim() {
                "\\" => Ok(Some('\\')),
                "`" => Ok(Some('`')),
                other => Err(BuildError::parse(
                    1,
                    format!("invalid escape token '{other}' does not match ` or \\"),
                )),
            };
        }
    }
    Ok(None)
}

/// The here-documents that a line opens: `<<EOF`, `<<-EOF`, `<<"EOF"`.
fn heredoc_names(keyword: &str, rest: &str) -> Vec<(Heredoc, bool)> {
    if !matches!(keyword, "RUN" | "COPY" | "ADD") || rest.starts_with('[') {
        return Vec::new();
    }
    let words = rest
        .split_whitespace()
        .filter_map(|word| word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<"));
    let mut found = Vec::new();
    for word in words {
        let (strip_tabs, name) = word.strip_prefix('-').map_or((false, word), |name| (true, name));
        let bare = name.trim_matches(['"', '\'']);
        let is_name = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name {
            let heredoc = Heredoc { name: bare.to_owned(), content: String::new(), expand: bare == name };
            found.push((heredoc, strip_tabs));
        }
    }
    found
}

fn read_heredoc<'t>(
    physical: &mut impl Iterator<Item = (usize, &'t str)>,
    heredoc: &Heredoc,
    strip_tabs: bool,
    number: usize,
) -> Result<(String, usize), BuildError> {
    let mut content = String::new();
    for (index, line) in physical {
        let line = if strip_tabs { line.trim_start_matches('\t') } else { line };
        if line == heredoc.name {
            return Ok((content, index + 1));
        }
        content.push_str(line);
        content.push('\n');
    }
    Err(BuildError::parse(number, format!("unterminated heredoc {}", heredoc.name)))
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
        assert_eq!(shown(text), ["3 FROM x", "4 RUN a &&   b   c", "9 CMD d"]);
        assert_eq!(
            shown("# escape=`\nFROM x\nRUN a `\n b \\\nCMD c"),
            ["2 FROM x", "3 RUN a  b \\", "5 CMD c"]
        );
        assert_eq!(shown("FROM x\nRUN a \\"), ["1 FROM x", "2 RUN a"]);
        assert!(parse("# escape=x\nFROM a").is_err());
    }

    #[test]
    fn here_documents_belong_to_their_instruction() {
        let text = "RUN cat <<EOF > /x && echo\nhi # not a comment\n\nEOF\nCOPY <<-\"A\" <<B /d/\n\t$x\nA\nb\nB\nRUN [\"<<EOF\"]\nRUN a << 2";
        let lines = parse(text).unwrap().lines;
        assert_eq!(lines.len(), 4);
        assert_eq!(
            lines[0].heredocs,
            [Heredoc { name: "EOF".into(), content: "hi # not a comment\n\n".into(), expand: true }]
        );
        assert_eq!(lines[1].heredocs[0], Heredoc { name: "A".into(), content: "$x\n".into(), expand: false });
        assert_eq!(lines[1].heredocs[1].content, "b\n");
        assert!(
            parse("FROM x\nRUN <<EOF\nx")
                .unwrap_err()
                .to_string()
                .contains("line 2: unterminated heredoc EOF")
        );
    }
}

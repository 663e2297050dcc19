//! Here-documents: what stands between `<<EOF` and `EOF`.

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Heredoc {
    pub(super) name: String,
    pub(super) content: String,
    /// False where the name was quoted.
    pub(super) expand: bool,
    /// `<<-`: tabs in front of a line go.
    strips_tabs: bool,
}

/// Those that an instruction opens, in order.
pub(super) fn named_in(keyword: &str, rest: &str) -> Vec<Heredoc> {
    let keyword = keyword.to_ascii_uppercase();
    if keyword == "ONBUILD" {
        let (inner, rest) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest, ""));
        return if inner.eq_ignore_ascii_case("onbuild") { Vec::new() } else { named_in(inner, rest) };
    }
    if !matches!(keyword.as_str(), "RUN" | "COPY" | "ADD") || is_json(rest) {
        return Vec::new();
    }
    rest.split_whitespace().filter_map(opened_by).collect()
}

fn is_json(rest: &str) -> bool {
    let words = rest.split_whitespace();
    let rest: Vec<&str> = words.skip_while(|word| word.starts_with("--")).collect();
    serde_json::from_str::<Vec<String>>(&rest.join(" ")).is_ok()
}

/// `<<EOF`, `<<-EOF`, `3<<"EOF"`
pub(super) fn opened_by(word: &str) -> Option<Heredoc> {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (strips_tabs, name) = word.strip_prefix('-').map_or((false, word), |name| (true, name));
    let bare: String = name.chars().filter(|c| !matches!(c, '"' | '\'' | '\\')).collect();
    let is_name =
        !bare.is_empty() && bare.chars().all(|c| !matches!(c, '<' | '>' | '(' | ')' | '&' | '|' | ';'));
    is_name.then(|| Heredoc { expand: bare == name, name: bare, content: String::new(), strips_tabs })
}

impl Heredoc {
    /// Takes the lines from `at` on; gives the number of the first one that is not its own.
    pub(super) fn read(&mut self, lines: &[&str], at: usize) -> Result<usize, String> {
        for (index, line) in lines.iter().enumerate().skip(at) {
            let line = if self.strips_tabs { line.trim_start_matches('\t') } else { line };
            if line == self.name {
                return Ok(index + 1);
            }
            self.content.push_str(line);
            self.content.push('\n');
        }
        Err("unterminated heredoc".into())
    }

    /// As it was written, for a shell or a later build to read.
    pub(super) fn text(&self) -> String {
        format!("{}{}\n", self.content, self.name)
    }
}

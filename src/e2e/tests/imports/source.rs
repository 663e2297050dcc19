//! What a source file declares and names, as far as it takes no compiler to see it.

/// What stands for the code that only tests have.
const FOR_TESTS: &str = "#[cfg(test)]";

/// A path that begins with `crate`, `self` or `super`.
#[derive(Debug, Clone)]
pub(super) struct Import {
    /// The inline modules that it stands in.
    pub(super) inline: Vec<String>,
    pub(super) path: Vec<String>,
}

/// The code without comments, and without what stands in texts and characters.
pub(super) fn code(text: &str) -> String {
    let (mut code, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(next) = rest.chars().next() {
        let no_code = comment(rest).or_else(|| string(rest)).or_else(|| character(rest));
        code.push(if no_code.is_some() { ' ' } else { next });
        rest = &rest[no_code.unwrap_or(next.len_utf8())..];
    }
    code
}

/// How long the comment is that stands here, in bytes; the same of those below.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        match here {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return Some(at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    Some(rest.len())
}

fn string(rest: &str) -> Option<usize> {
    if let Some(raw) = rest.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if let Some(body) = raw[hashes..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let length = body.find(&end).map_or(body.len(), |at| at + end.len());
            return Some("r\"".len() + hashes + length);
        }
    }
    let body = rest.strip_prefix('"')?;
    let mut is_escaped = false;
    for (at, letter) in body.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(at + "\"\"".len()),
            _ => {}
        }
    }
    Some(rest.len())
}

/// A lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    let mut letters = body.char_indices();
    let (first, second) = (letters.next()?, letters.next()?);
    let end = match first.1 {
        // what is escaped may be a quotation mark
        '\\' => letters.find(|(_, letter)| *letter == '\'')?.0,
        _ if second.1 == '\'' => second.0,
        _ => return None,
    };
    Some(end + "''".len())
}

/// Without the items that are compiled for tests only.
pub(super) fn without_tests(code: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(code.len()), code);
    while let Some((before, after)) = rest.split_once(FOR_TESTS) {
        kept.push_str(before);
        rest = &after[item(after)..];
    }
    kept + rest
}

/// How long the item is, in bytes: up to its semicolon or its closing brace, or to that of what it stands in.
fn item(code: &str) -> usize {
    let mut depth = 0;
    for (at, letter) in code.char_indices() {
        match letter {
            ';' if depth == 0 => return at + 1,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return at,
            '}' if depth == 1 => return at + 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// The modules that are declared, and have files.
pub(super) fn modules(code: &str) -> Vec<String> {
    let declared = |three: &[&str]| (three[0] == "mod" && three[2] == ";").then(|| three[1].to_owned());
    tokens(code).windows(3).filter_map(declared).collect()
}

/// The paths that a file shows as its own.
pub(super) fn shown(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut paths = Vec::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| **token == "use") {
        // `pub`, or `pub(crate)`
        if let [.., "pub" | ")"] = tokens[..at] {
            let mut named = tokens[at + 1..].iter().copied().take_while(|token| *token != ";");
            tree(&mut named, &[], &mut paths);
        }
    }
    paths
}

/// The names of what is defined, at whatever place.
pub(super) fn items(code: &str) -> Vec<String> {
    let is_item =
        |word: &str| matches!(word, "const" | "enum" | "fn" | "static" | "struct" | "trait" | "type");
    let defined = |two: &[&str]| is_item(two[0]).then(|| two[1].to_owned());
    tokens(code).windows(2).filter_map(defined).collect()
}

/// All that is imported or named.
pub(super) fn paths(code: &str) -> Vec<Import> {
    let tokens = tokens(code);
    let (mut found, mut inline, mut depth, mut at) = (Vec::new(), Vec::<(String, usize)>::new(), 0_usize, 0);
    while at < tokens.len() {
        let names = || inline.iter().map(|(name, _)| name.clone()).collect::<Vec<String>>();
        match tokens[at] {
            // one that is none says what an opaque type captures
            "use" if tokens.get(at + 1) != Some(&"<") => {
                let end =
                    tokens[at..].iter().position(|token| *token == ";").map_or(tokens.len(), |to| at + to);
                let mut paths = Vec::new();
                tree(&mut tokens[at + 1..end].iter().copied(), &[], &mut paths);
                let begins = |path: &Vec<String>| path.first().is_some_and(|first| is_begin(first));
                found.extend(paths.into_iter().filter(begins).map(|path| Import { inline: names(), path }));
                at = end;
            }
            // who may see an item is no import
            begin
                if is_begin(begin) && tokens.get(at + 1) == Some(&"::") && !is_visibility(&tokens[..at]) =>
            {
                let mut path = vec![begin.to_owned()];
                while let ["::", name, ..] = tokens[at + 1..] {
                    if !is_name(name) {
                        break;
                    }
                    path.push(name.to_owned());
                    at += 2;
                }
                found.push(Import { inline: names(), path });
            }
            "{" => {
                depth += 1;
                if let [.., "mod", name] = tokens[..at] {
                    inline.push((name.to_owned(), depth));
                }
            }
            "}" => {
                inline.pop_if(|(_, opened)| *opened == depth);
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn is_begin(token: &str) -> bool {
    matches!(token, "crate" | "self" | "super")
}

/// `pub(in crate::a)`
fn is_visibility(before: &[&str]) -> bool {
    before.ends_with(&["pub", "(", "in"])
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// One tree of a `use`, up to the brace that closes it: each of its paths, behind `before`.
fn tree<'t>(tokens: &mut impl Iterator<Item = &'t str>, before: &[String], paths: &mut Vec<Vec<String>>) {
    let mut path = before.to_vec();
    while let Some(token) = tokens.next() {
        match token {
            "{" => {
                tree(tokens, &path, paths);
                path.clear();
            }
            "," => add(std::mem::replace(&mut path, before.to_vec()), before, paths),
            "}" => break,
            // another name for it
            "as" => _ = tokens.next(),
            name if is_name(name) || name == "*" => path.push(name.to_owned()),
            _ => {}
        }
    }
    add(path, before, paths);
}

/// Nothing is behind a last comma, nor behind a brace.
fn add(path: Vec<String>, before: &[String], paths: &mut Vec<Vec<String>>) {
    if path.len() > before.len() {
        paths.push(path);
    }
}

/// Names, `::` and single signs.
fn tokens(code: &str) -> Vec<&str> {
    let is_inner = |c: char| c.is_alphanumeric() || c == '_';
    let (mut tokens, mut rest) = (Vec::new(), code.trim_start());
    while let Some(next) = rest.chars().next() {
        let length = match next {
            _ if is_inner(next) => rest.find(|c: char| !is_inner(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            _ => next.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

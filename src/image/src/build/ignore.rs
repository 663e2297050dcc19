//! `.dockerignore`: the last pattern that matches a path, or a folder above it, decides.

use super::view::matches;

#[derive(Debug, Clone, Default)]
pub(super) struct Ignore {
    /// Names of each pattern, and whether it brings back.
    patterns: Vec<(Vec<String>, bool)>,
}

impl Ignore {
    pub(super) fn parse(text: &str) -> Ignore {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let patterns = lines.map(|line| {
            let (line, brings_back) =
                line.strip_prefix('!').map_or((line, false), |rest| (rest.trim(), true));
            let names = line.split('/').filter(|name| !name.is_empty() && *name != ".");
            let mut clean: Vec<String> = Vec::new();
            for name in names {
                if name == ".." { _ = clean.pop() } else { clean.push(name.to_owned()) }
            }
            (clean, brings_back)
        });
        Ignore { patterns: patterns.filter(|(names, _)| !names.is_empty()).collect() }
    }

    pub(super) fn ignores(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        let mut ignored = false;
        for (pattern, brings_back) in &self.patterns {
            if *brings_back == ignored && (1..=names.len()).any(|depth| matches_all(pattern, &names[..depth]))
            {
                ignored = !brings_back;
            }
        }
        ignored
    }

    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
}

fn matches_all(pattern: &[String], names: &[&str]) -> bool {
    match (pattern.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            (0..=names.len()).any(|skip| matches_all(rest, &names[skip..]))
        }
        (Some((first, rest)), Some((name, names))) => matches(first, name) && matches_all(rest, names),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_matching_pattern_decides() {
        let ignore = Ignore::parse(
            "# comment\n*.log\n/build/\n**/tmp\nnode_modules\n!build/keep\n!a.log\nsrc/**/x?\n",
        );
        for (path, ignored) in [
            ("b.log", true),
            ("a.log", false),
            ("dir/b.log", false),
            ("build", true),
            ("build/x/y", true),
            ("build/keep", false),
            ("build/keep/z", false),
            ("tmp", true),
            ("a/b/tmp/c", true),
            ("node_modules/m/index.js", true),
            ("src/x1", true),
            ("src/a/b/x2", true),
            ("src/x", false),
            ("Dockerfile", false),
        ] {
            assert_eq!(ignore.ignores(path), ignored, "{path}");
        }
    }
}

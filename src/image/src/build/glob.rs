//! Patterns of paths, and what they mean in a view.

use super::view::{Node, View, child, entries, path_bytes};
use super::{Dialect, GIVEN_UP};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;
use trees::Listings;

/// Names that one pattern may look at.
const MOST_LOOKED_AT: usize = 1 << 23;
/// Bytes of the paths that one pattern may find, and of those where they lie.
const MOST_FOUND: usize = 128 << 20;
/// Of one name in a pattern: longer than any path (`PATH_MAX`).
const LONGEST_NAME: usize = 4096;

/// All paths that a pattern of the Go kind (`*`, `?`, `[a-z]`, `\`, and `**` for any directories) means; a path without any
/// means itself. The last name is followed where it is a link, as Docker does.
pub(super) fn glob(
    view: &View,
    pattern: &str,
    dialect: Dialect,
    gone: &CancellationToken,
) -> Result<Vec<(PathBuf, Node)>, String> {
    Search::new(view, pattern, gone, MOST_LOOKED_AT, MOST_FOUND).run(dialect)
}

/// Looks for what a pattern means, within bounds.
struct Search<'s> {
    view: &'s View,
    pattern: &'s str,
    gone: &'s CancellationToken,
    /// How many it may still look at.
    names: usize,
    /// How many the paths that it finds next may have.
    bytes: usize,
    listings: Listings,
}

fn size(path: &Path, node: &Node) -> usize {
    path_bytes(path) + node.bytes()
}

/// Sorted, and each once: what several ways through `**` lead to.
type Found = BTreeMap<PathBuf, Node>;

impl<'s> Search<'s> {
    fn new(
        view: &'s View,
        pattern: &'s str,
        gone: &'s CancellationToken,
        names: usize,
        bytes: usize,
    ) -> Search<'s> {
        Search { view, pattern, gone, names, bytes, listings: Listings::default() }
    }

    fn run(&mut self, dialect: Dialect) -> Result<Vec<(PathBuf, Node)>, String> {
        let mut found = Found::from([(PathBuf::new(), self.view.root())]);
        for component in clean_pattern(self.pattern, dialect)? {
            found = self.next(component, found)?;
        }
        Ok(found.into_iter().collect())
    }

    fn next(&mut self, component: &str, found: Found) -> Result<Found, String> {
        let (mut next, bytes) = (Found::new(), self.bytes);
        for (path, directory) in found {
            if component == "**" {
                self.directories_below(path, directory, &mut next)?;
            } else if is_pattern(component) {
                for entry in entries(&directory, &self.listings) {
                    let (name, node) = self.looked_at(entry)?;
                    if matches(component, &name.to_string_lossy()) {
                        self.add(path.join(name), node, &mut next)?;
                    }
                }
            } else {
                self.look(1)?;
                let node = child(&directory, OsStr::new(component));
                self.add(path.join(component), node, &mut next)?;
            }
        }
        self.bytes = bytes;
        Ok(next)
    }

    /// The directory that it is in is where links led already: only a last one has to be followed.
    fn add(&mut self, path: PathBuf, node: Node, found: &mut Found) -> Result<(), String> {
        let node = match node {
            Node::Symlink(_) => self.view.resolve(&path)?.1,
            node => node,
        };
        if node == Node::Missing {
            return Ok(());
        }
        self.take(&path, &node)?;
        found.insert(path, node);
        Ok(())
    }

    /// The directory itself and all below it; links are not followed. What was found already has all below it there too.
    fn directories_below(&mut self, path: PathBuf, directory: Node, found: &mut Found) -> Result<(), String> {
        self.take(&path, &directory)?;
        let mut todo = vec![(path, directory)];
        while let Some((path, directory)) = todo.pop() {
            self.bytes += size(&path, &directory);
            if found.contains_key(&path) {
                continue;
            }
            self.look(1)?;
            for entry in entries(&directory, &self.listings) {
                let (name, node) = self.looked_at(entry)?;
                if matches!(node, Node::Directory(_)) {
                    let path = path.join(name);
                    self.take(&path, &node)?;
                    todo.push((path, node));
                }
            }
            self.add(path, directory, found)?;
        }
        Ok(())
    }

    fn looked_at(&mut self, entry: io::Result<(OsString, Node)>) -> Result<(OsString, Node), String> {
        self.look(1)?;
        entry.map_err(|e| e.to_string())
    }

    fn take(&mut self, path: &Path, node: &Node) -> Result<(), String> {
        self.bytes = self.bytes.checked_sub(size(path, node)).ok_or_else(|| self.too_much())?;
        Ok(())
    }

    fn look(&mut self, names: usize) -> Result<(), String> {
        if self.gone.is_cancelled() {
            return Err(GIVEN_UP.into());
        }
        self.names = self.names.checked_sub(names).ok_or_else(|| self.too_much())?;
        Ok(())
    }

    fn too_much(&self) -> String {
        format!("the pattern {} has to look at too many files", self.pattern)
    }
}

pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// The names in it, without `.` and with `..` carried out. What leads out is a fault, and to BuildKit the root itself.
/// Of several `**` in a row one says the same.
fn clean_pattern(pattern: &str, dialect: Dialect) -> Result<Vec<&str>, String> {
    let mut names: Vec<&str> = Vec::new();
    for component in pattern.split('/').filter(|c| !c.is_empty() && *c != ".") {
        if component != ".." {
            if is_pattern(component) && component.len() > LONGEST_NAME {
                return Err(format!("a name in a pattern is longer than {LONGEST_NAME} bytes"));
            }
            names.push(component);
        } else if names.pop().is_none() && dialect == Dialect::Classic {
            return Err(format!("forbidden path outside the build context: {pattern} ()"));
        }
    }
    names.dedup_by(|name, before| *name == "**" && *before == "**");
    Ok(names)
}

/// One name against one pattern without slashes.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    matches_from(&pattern, &name)
}

fn matches_from(mut pattern: &[char], mut name: &[char]) -> bool {
    // what is behind the last `*`, and what that left: a star never has to take less again, so none is tried for ever
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        if let ['*', rest @ ..] = pattern {
            (star, pattern) = (Some((rest, name)), rest);
            continue;
        }
        let Some((first, others)) = name.split_first() else { return pattern.is_empty() };
        (pattern, name) = match (behind(pattern, *first), star) {
            (Some(rest), _) => (rest, others),
            (None, Some((rest, [_, left @ ..]))) => {
                star = Some((rest, left));
                (rest, left)
            }
            (None, _) => return false,
        };
    }
}

/// The rest of a pattern whose first part takes this character.
fn behind(pattern: &[char], c: char) -> Option<&[char]> {
    let (takes, rest) = match pattern {
        [] => (false, pattern),
        ['?', rest @ ..] => (true, rest),
        ['\\', literal, rest @ ..] => (*literal == c, rest),
        ['[', rest @ ..] => {
            let end = rest.iter().skip(1).position(|c| *c == ']')? + 1;
            (in_class(&rest[..end], c), &rest[end + 1..])
        }
        [literal, rest @ ..] => (*literal == c, rest),
    };
    takes.then_some(rest)
}

pub(super) fn in_class(class: &[char], c: char) -> bool {
    let (negated, mut class) = match class {
        ['^', rest @ ..] => (true, rest),
        class => (false, class),
    };
    let mut found = false;
    while let [first, rest @ ..] = class {
        class = match rest {
            ['-', last, rest @ ..] => {
                found |= (*first..=*last).contains(&c);
                rest
            }
            rest => {
                found |= *first == c;
                rest
            }
        };
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_patterns() {
        for (pattern, name, want) in [
            ("*", "", true),
            ("a*", "a", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*.*", "a.b.c", true),
            ("?b", "ab", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a", "a", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("\\", "\\", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern:?} {name:?}");
        }
        assert!(!matches(&format!("{}b", "*a".repeat(40)), &"a".repeat(200)), "and at once");
    }

    /// With directories `d/d/…/d`, a file `x` in each, a directory `e` beside the first and a link to it.
    fn nested(levels: usize) -> (tempfile::TempDir, View) {
        let directory = tempfile::tempdir().unwrap();
        let deepest = directory.path().join("d/".repeat(levels));
        std::fs::create_dir_all(&deepest).unwrap();
        for inner in deepest.ancestors().take_while(|path| *path != directory.path()) {
            std::fs::write(inner.join("x"), "").unwrap();
        }
        std::fs::create_dir(directory.path().join("e")).unwrap();
        std::fs::write(directory.path().join("e/x"), "").unwrap();
        std::os::unix::fs::symlink("e", directory.path().join("link")).unwrap();
        let view = View { layers: vec![directory.path().to_owned()] };
        (directory, view)
    }

    fn search(view: &View, pattern: &str, names: usize, bytes: usize) -> Result<Vec<String>, String> {
        let gone = CancellationToken::new();
        let found = Search::new(view, pattern, &gone, names, bytes).run(Dialect::Classic)?;
        Ok(found.into_iter().map(|(path, _)| path.display().to_string()).collect())
    }

    #[test]
    fn each_path_is_found_once_in_order() {
        let (_directory, view) = nested(2);
        for (pattern, want) in [
            ("**/x", &["d/d/x", "d/x", "e/x"][..]),
            ("**/**/x", &["d/d/x", "d/x", "e/x"]),
            ("**/d/**/x", &["d/d/x", "d/x"]),
            ("**", &["", "d", "d/d", "e"]),
            ("*/x", &["d/x", "e/x", "link/x"]),
            ("link/**/x", &["link/x"]),
            ("*", &["d", "e", "link"]),
            ("d/x/**", &["d/x"]),
            ("d/../e/x", &["e/x"]),
            ("none/**", &[]),
        ] {
            assert_eq!(search(&view, pattern, 100, 10_000).unwrap(), want, "{pattern}");
        }
    }

    #[test]
    fn any_directories_twice_look_no_oftener_than_the_directories_are() {
        let (_directory, view) = nested(100);
        let all = search(&view, "**/x", 1_000, 1 << 20).unwrap();
        assert_eq!(all.len(), 101);
        assert_eq!(search(&view, "**/**/**/**/x", 1_000, 1 << 20).unwrap(), all);
        // every name of the pattern looks at every directory once, and not once for each way that leads there
        assert_eq!(search(&view, "**/d/**/d/**/d/**/x", 2_500, 1 << 20).unwrap().len(), 98);
    }

    #[test]
    fn a_search_has_an_end() {
        let (_directory, view) = nested(50);
        let too_much = "the pattern **/x has to look at too many files";
        assert_eq!(search(&view, "**/x", 20, 1 << 20).unwrap_err(), too_much);
        assert_eq!(search(&view, "**/x", 1_000, 2_000).unwrap_err(), too_much);
        let long = search(&view, &"*".repeat(LONGEST_NAME + 1), 1_000, 1 << 20).unwrap_err();
        assert_eq!(long, "a name in a pattern is longer than 4096 bytes");
        let gone = CancellationToken::new();
        gone.cancel();
        assert_eq!(glob(&view, "**/x", Dialect::Classic, &gone).unwrap_err(), GIVEN_UP);
    }
}

//! Symbolic links within a root that is not this machine's.

use std::path::{Component, Path, PathBuf};

/// As the kernel has it (MAXSYMLINKS).
const MOST_LINKS: usize = 40;
/// Names in the targets of all of them: whoever makes an image may write two thousand into each, and have as many mounts led through them.
pub(crate) const MOST_NAMES: usize = 512;

/// Where a path leads for one whose root is where it begins: absolute links begin there too, and `..` stays in it. `link` tells
/// the target of the one at a path that has none in it, and is asked for each place on the way; what is not there is no link. Pure.
/// `None`: too many of them, as in a circle, or targets that are too long together.
pub fn follow_links(path: &Path, mut link: impl FnMut(&Path) -> Option<PathBuf>) -> Option<PathBuf> {
    let mut todo: Vec<PathBuf> = vec![path.to_owned()];
    let (mut at, mut links, mut names) = (PathBuf::new(), 0, 0);
    while let Some(part) = todo.pop() {
        let mut parts = part.components();
        let Some(first) = parts.next() else { continue };
        todo.push(parts.as_path().to_owned());
        match first {
            Component::Normal(name) => at.push(name),
            Component::ParentDir => _ = at.pop(),
            Component::RootDir => at.clear(),
            Component::CurDir | Component::Prefix(_) => {}
        }
        if matches!(first, Component::Normal(_))
            && let Some(target) = link(&at)
        {
            links += 1;
            names += target.components().count();
            if links > MOST_LINKS || names > MOST_NAMES {
                return None;
            }
            at.pop();
            todo.push(target);
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attack: forty links of two thousand names each, and ten thousand mounts behind them, were hours of work.
    #[test]
    fn what_links_say_together_has_an_end() {
        for (name, target, links, want) in [
            ("long ones", "a/".repeat(MOST_NAMES / 4), 4, true),
            ("one more", "a/".repeat(MOST_NAMES / 4), 5, false),
            ("there and back", "a/../".repeat(MOST_NAMES), 1, false),
        ] {
            let mut asked = 0;
            let link = |at: &Path| {
                asked += 1;
                at.ends_with("l").then(|| PathBuf::from(&target))
            };
            let path: PathBuf = ["l"].iter().cycle().take(links).collect();
            assert_eq!(follow_links(&path, link).is_some(), want, "{name}");
            assert!(asked <= MOST_NAMES + links, "{name}: {asked}");
        }
    }

    #[test]
    fn links_are_followed_inside() {
        let links = [
            ("l", "/run"),
            ("var/run", "../run"),
            ("up", "../../../etc"),
            ("a", "b"),
            ("b", "/c/d"),
            ("c/d", "."),
            ("self", "self"),
            ("round", "about/x"),
            ("about", "round/y"),
            ("long", "l/./x/../y"),
        ];
        let link = |at: &Path| {
            let found = links.iter().find(|(name, _)| at == Path::new(name));
            found.map(|(_, target)| PathBuf::from(target))
        };
        for (path, want) in [
            ("", Some("")),
            ("plain/path", Some("plain/path")),
            ("/from/the/root", Some("from/the/root")),
            ("l/x", Some("run/x")),
            ("var/run/x", Some("run/x")),
            ("up/passwd", Some("etc/passwd")),
            ("../../up/../x", Some("x")),
            ("a", Some("c")),
            ("a/e/f", Some("c/e/f")),
            ("long", Some("run/y")),
            ("self/x", None),
            ("round", None),
        ] {
            assert_eq!(follow_links(Path::new(path), link), want.map(PathBuf::from), "{path}");
        }
    }
}

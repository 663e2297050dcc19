//! Symbolic links within a root that is not this machine's.

use std::path::{Component, Path, PathBuf};

/// As the kernel has it (MAXSYMLINKS).
const MOST_LINKS: usize = 40;

/// Where a path leads for one whose root is where it begins: absolute links begin there too, and `..` stays in it. `link` tells
/// the target of the one at a path that has none in it; what is not there is no link. Pure. `None`: too many of them, as
/// in a circle.
pub fn follow_links(path: &Path, link: impl Fn(&Path) -> Option<PathBuf>) -> Option<PathBuf> {
    let mut todo: Vec<PathBuf> = vec![path.to_owned()];
    let (mut at, mut links) = (PathBuf::new(), 0);
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
            if links > MOST_LINKS {
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

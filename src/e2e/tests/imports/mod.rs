//! Which files of a crate import each other in circles.
//!
//! An import is a path that begins with `crate`, `self` or `super`, in a `use` or where something is named; it leads to the
//! deepest file that it passes. What the crate's root shows of its files (`pub use`) is that file's; the root itself is left out.
//! So is what a file takes of those below it by their bare names: they are its parts, and it is how they are opened. What is
//! compiled for tests only may import whatever it wants to look at.

mod graph;
mod source;

use graph::{Graph, circles};
use source::{Import, code, items, modules, paths, shown, without_tests};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// Names of modules from the crate's root on, which stands for the file.
type Module = Vec<String>;

/// Files that import each other, each with those of the circle that it imports.
pub struct Circle(BTreeMap<String, Vec<String>>);

impl Display for Circle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (file, imported) in &self.0 {
            writeln!(f, "  {file} imports {}", imported.join(", "))?;
        }
        Ok(())
    }
}

/// Of the crate whose sources lie in that directory.
pub fn circles_of(sources: &Path) -> Vec<Circle> {
    let graph = graph_of(&files_of(sources));
    let circle = |members: Vec<Module>| {
        let within = |file: &Module| -> Vec<String> {
            let imported = graph[file].iter().filter(|imported| members.contains(imported));
            imported.map(|imported| imported.join("::")).collect()
        };
        Circle(members.iter().map(|file| (file.join("::"), within(file))).collect())
    };
    circles(&graph).into_iter().map(circle).collect()
}

/// The code of each file, without that of tests.
fn files_of(sources: &Path) -> BTreeMap<Module, String> {
    let mut files = BTreeMap::new();
    for root in ["lib.rs", "main.rs"].map(|name| sources.join(name)) {
        if root.exists() {
            read(&root, sources, Module::new(), &mut files);
        }
    }
    assert!(!files.is_empty(), "{} has no sources", sources.display());
    files
}

/// A file, and those that it declares, which lie in `below`.
fn read(file: &Path, below: &Path, module: Module, files: &mut BTreeMap<Module, String>) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let code = without_tests(&code(&text));
    for name in modules(&code) {
        let (own, directory) = (below.join(format!("{name}.rs")), below.join(&name));
        let found = if own.exists() { own } else { directory.join("mod.rs") };
        let inner = module.iter().cloned().chain([name]).collect();
        read(&found, &directory, inner, files);
    }
    files.insert(module, code);
}

fn graph_of(files: &BTreeMap<Module, String>) -> Graph<Module> {
    let shown = shown_by_root(files);
    let imported = |module: &Module, code: &str| {
        let all = paths(code).into_iter().map(|import| target(files, &shown, module, &import));
        all.filter(|target| !target.is_empty() && target != module).collect()
    };
    let submodules = files.iter().filter(|(module, _)| !module.is_empty());
    submodules.map(|(module, code)| (module.clone(), imported(module, code))).collect()
}

/// What the root shows of the files below it, each name with the file that has it.
fn shown_by_root(files: &BTreeMap<Module, String>) -> BTreeMap<String, Module> {
    let root = files.get(&Module::new()).map(String::as_str).unwrap_or_default();
    let mut names = BTreeMap::new();
    for mut path in shown(root) {
        let Some(name) = path.pop() else { continue };
        path.retain(|part| !matches!(part.as_str(), "crate" | "self"));
        // another crate's
        let Some(code) = files.get(&path) else { continue };
        match name.as_str() {
            "*" => names.extend(items(code).into_iter().map(|item| (item, path.clone()))),
            _ => _ = names.insert(name, path),
        }
    }
    names
}

/// The deepest file on the way.
fn target(
    files: &BTreeMap<Module, String>,
    shown: &BTreeMap<String, Module>,
    module: &Module,
    import: &Import,
) -> Module {
    let mut at: Module = module.iter().chain(&import.inline).cloned().collect();
    for name in &import.path {
        match name.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            name => at.push(name.to_owned()),
        }
    }
    let first = at.first().cloned();
    while !files.contains_key(&at) && at.pop().is_some() {}
    let of_root = first.filter(|_| at.is_empty()).and_then(|name| shown.get(&name));
    of_root.cloned().unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    /// A crate of these files; where there is no `lib.rs` among them it declares `a`, `b` and `c`.
    fn told(files: &[(&str, &str)]) -> Vec<String> {
        let dir = TempDir::new().unwrap();
        let root = [("lib.rs", "mod a; mod b; mod c;"), ("a.rs", ""), ("b.rs", ""), ("c.rs", "")];
        for (name, text) in root.iter().chain(files) {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        circles_of(dir.path()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_circle_is_found_wherever_it_hides() {
        let pair = "  a imports b\n  b imports a\n";
        let cases: [(&str, &[(&str, &str)], &str); 11] = [
            ("two", &[("a.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;")], pair),
            ("in a tree", &[("a.rs", "use crate::{c, b::{self, B,},};"), ("b.rs", "use super::a;")], pair),
            (
                "where it is named",
                &[("a.rs", "fn f() { crate::b::g(); }"), ("b.rs", "use crate::a::f;")],
                pair,
            ),
            (
                "behind a text and a character",
                &[
                    ("a.rs", r##"const Q: char = '"'; const R: &str = r#"""#; use crate::b;"##),
                    ("b.rs", "use crate::a;"),
                ],
                pair,
            ),
            (
                "behind what is for tests",
                &[
                    ("a.rs", "#[cfg(test)] fn f() -> [u8; 2] { [1, 2] } use crate::b;"),
                    ("b.rs", "#[cfg(test)] use x; use crate::a;"),
                ],
                pair,
            ),
            (
                "in an inline module",
                &[("a.rs", "mod inner { use super::super::b; }"), ("b.rs", "use crate::a::inner::X;")],
                pair,
            ),
            (
                "of three",
                &[("a.rs", "use crate::b;"), ("b.rs", "use crate::c;"), ("c.rs", "use crate::a;")],
                "  a imports b\n  b imports c\n  c imports a\n",
            ),
            (
                "below a file",
                &[("a.rs", "mod x; mod y;"), ("a/x.rs", "use super::y;"), ("a/y.rs", "use crate::a::x::X;")],
                "  a::x imports a::y\n  a::y imports a::x\n",
            ),
            (
                "in directories",
                &[
                    ("lib.rs", "mod d; mod a;"),
                    ("d/mod.rs", "mod x;"),
                    ("d/x.rs", "use crate::a;"),
                    ("a.rs", "use crate::d::x;"),
                ],
                "  a imports d::x\n  d::x imports a\n",
            ),
            (
                "through what the root shows",
                &[
                    ("lib.rs", "mod a; mod b; pub use crate::b::{B, C};"),
                    ("a.rs", "use crate::B;"),
                    ("b.rs", "use crate::a;"),
                ],
                pair,
            ),
            (
                "through all that the root shows",
                &[
                    ("lib.rs", "mod a; mod b; pub use b::*;"),
                    ("a.rs", "use crate::B;"),
                    ("b.rs", "use crate::a; pub struct B;"),
                ],
                pair,
            ),
        ];
        for (name, files, want) in cases {
            assert_eq!(told(files), [want], "{name}");
        }
    }

    #[test]
    fn what_runs_one_way_is_no_circle() {
        let cases: [(&str, &[(&str, &str)]); 9] = [
            ("nothing", &[]),
            ("one way", &[("a.rs", "use crate::{b, c};"), ("b.rs", "use crate::c;")]),
            ("of the root", &[("a.rs", "use crate::B;"), ("b.rs", "use crate::a;")]),
            (
                "another crate's, which the root shows",
                &[
                    ("lib.rs", "mod a; mod b; pub use other::B;"),
                    ("a.rs", "use crate::B;"),
                    ("b.rs", "use crate::a;"),
                ],
            ),
            (
                "a comma at the end",
                &[
                    ("a.rs", "mod x; mod y; use crate::a::x::X;"),
                    ("a/x.rs", "use super::{y::Y,};"),
                    ("a/y.rs", ""),
                ],
            ),
            ("its own parts", &[("a.rs", "mod x; use x::X;"), ("a/x.rs", "use super::A;")]),
            (
                "in comments and texts",
                &[
                    ("a.rs", "// use crate::b;\n/* /* */ crate::b */ const B: &str = \"\\\"crate::b\";"),
                    ("b.rs", "use crate::a;"),
                ],
            ),
            (
                "for tests",
                &[("a.rs", "#[cfg(test)] mod tests { use crate::b; fn f() {} }"), ("b.rs", "use crate::a;")],
            ),
            (
                "who may see it",
                &[("a.rs", "mod x;"), ("a/x.rs", "pub(in crate::a) struct X;"), ("b.rs", "use crate::a;")],
            ),
        ];
        for (name, files) in cases {
            assert_eq!(told(files), [""; 0], "{name}");
        }
    }

    #[test]
    fn two_circles_are_two() {
        let found = told(&[
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use crate::b;"),
            ("b.rs", "use crate::{a, c};"),
            ("c.rs", "use crate::d;"),
            ("d.rs", "use crate::c;"),
        ]);
        assert_eq!(found, ["  a imports b\n  b imports a\n", "  c imports d\n  d imports c\n"]);
    }
}

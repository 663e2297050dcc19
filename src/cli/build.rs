//! How the program is linked.

/// Of functions whose code is the same one is kept: generic code is written out for each type, and often comes out alike. Only
/// where Rust's own linker is the usual one; the others do not know the option.
const FOLD: &str = "-Wl,--icf=all";

fn main() {
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|it| it == value);
    if is("PROFILE", "release") && is("TARGET", "x86_64-unknown-linux-gnu") {
        println!("cargo:rustc-link-arg-bins={FOLD}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}

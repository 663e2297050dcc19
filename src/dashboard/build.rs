//! The pages are built by npm, not by cargo. A clone without them still compiles, and says so here and in the page itself.

use std::path::Path;

fn main() {
    let built = Path::new("../../web/dist");
    // a directory that is not there yet is looked for at every build
    println!("cargo:rerun-if-changed={}", built.display());
    if !built.join("index.html").exists() {
        println!(
            "cargo:warning=web/dist is missing: this build has no dashboard; run `npm ci --ignore-scripts && node build.mjs` in web/"
        );
    }
}

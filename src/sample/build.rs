//! Compiles the sample image's program: a small static binary of its own, whatever profile the workspace is built with.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=server/main.rs");
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let out = PathBuf::from(variable("OUT_DIR")).join("kubia");
    let built = Command::new(variable("RUSTC"))
        .args(["--edition", "2024", "--crate-name", "kubia", "--target", &variable("TARGET")])
        .args(["-C", "opt-level=s", "-C", "panic=abort", "-C", "lto", "-C", "strip=symbols"])
        .args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static"])
        .arg("-o")
        .arg(&out)
        .arg("server/main.rs")
        // what the workspace is built with is not for this program
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status();
    assert!(built.is_ok_and(|how| how.success()), "the sample image's program does not compile");
}

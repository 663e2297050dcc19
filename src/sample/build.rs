//! Compiles the sample image's program, `assets/sample/kubia.rs`: a small static binary of its own, whatever profile the workspace
//! is built with.

use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = "../../assets/sample/kubia.rs";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    // the image's, as Go calls it
    let architecture = match variable("CARGO_CFG_TARGET_ARCH").as_str() {
        "x86_64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        other => other.to_owned(),
    };
    println!("cargo::rustc-env=SAMPLE_ARCHITECTURE={architecture}");
    // where the workspace is built for another processor
    let linker = std::env::var("RUSTC_LINKER").map(|linker| format!("linker={linker}"));
    let out = PathBuf::from(variable("OUT_DIR")).join("kubia");
    let built = Command::new(variable("RUSTC"))
        .args(["--edition", "2024", "--crate-name", "kubia", "--target", &variable("TARGET")])
        .args(["-C", "opt-level=s", "-C", "panic=abort", "-C", "lto", "-C", "strip=symbols"])
        .args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static"])
        .args(linker.iter().flat_map(|linker| ["-C", linker]))
        .arg("-o")
        .arg(&out)
        .arg(SOURCE)
        // what the workspace is built with is not for this program
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status();
    assert!(built.is_ok_and(|how| how.success()), "the sample image's program does not compile");
}

//! Makes the OpenAPI documents of what is served, from the types' own schemas, and packs them.

#[path = "build/document.rs"]
mod document;
#[path = "build/merge_keys.rs"]
mod merge_keys;
#[path = "build/served.rs"]
mod served;

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let definitions = served::definitions();
    let mut table = String::from("&[\n");
    for (path, resources) in served::group_versions() {
        let document = document::v3(path, &resources, &definitions);
        let name = format!("{}.json.gz", path.replace('/', "_"));
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(document.to_string().as_bytes())?;
        std::fs::write(out.join(&name), packed.finish()?)?;
        table
            .push_str(&format!("    ({path:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\"))),\n"));
    }
    table.push(']');
    std::fs::write(out.join("documents.rs"), table)?;
    Ok(())
}

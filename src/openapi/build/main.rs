//! Makes the definitions of the built-in types, which the documents are rendered from when somebody asks: k8s-openapi's schemas
//! have the fields and what is said of them, `assets/kubernetes/types.tsv` what Rust's types do not know (merge keys, list
//! types). Read [`schemas::definitions`] first.

// what it does not need the schemas do
#[allow(dead_code)]
#[path = "../../schema/src/rows.rs"]
mod rows;
mod schemas;
mod types;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=../schema/src/rows.rs");
    println!("cargo::rerun-if-changed=../../assets/kubernetes/types.tsv");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut generator = SchemaGenerator::new(SchemaSettings::default());
    let kinds = types::register_all(&mut generator);
    let definitions = schemas::definitions(generator.take_definitions(false), &kinds);
    let text = serde_json::to_vec(&definitions).expect("a JSON value can be written");
    fs::write(out.join("definitions.json.gz"), gzip(&text)).expect("write definitions.json.gz");
    let code = format!(
        "/// Group, version, kind, and the name of its definition.\n\
         static KINDS: &[(&str, &str, &str, &str)] = &{kinds:?};\n\
         /// Of all definitions.\n\
         const HASH: u64 = {};\n",
        hash(&text)
    );
    fs::write(out.join("definitions.rs"), code).expect("write definitions.rs");
}

fn hash(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory takes every byte")
}

//! Secrets that are encrypted where they are stored, by upstream's configuration; and the way in, on and out.

mod common;

use common::{Answer, Appliance, appliance};
use std::path::{Path, PathBuf};

/// In base64, as it stands in the object.
const SECRET: &str = "dGhlIHBsYWluIHRleHQgb2YgYSBzZWNyZXQ=";
const PLAIN: &str = "the plain text of a secret";
const FLAG: &str = "--encryption-provider-config";
const UNDECRYPTABLE: i32 = 33;

/// Below the home: what encrypts Secrets with these providers.
fn configuration(at: &Appliance, name: &str, providers: &str) -> String {
    let text = format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers: \
         [{providers}]\n"
    );
    std::fs::write(at.home().join(name), text).unwrap();
    at.home().join(name).to_str().unwrap().to_owned()
}

/// A key whose secret is 32 times its first letter.
fn aesgcm(key: &str) -> String {
    let secret = match key {
        "old" => "b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28=",
        _ => "bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4=",
    };
    format!("{{aesgcm: {{keys: [{{name: {key}, secret: {secret}}}]}}}}")
}

/// The files below a directory in which it is.
fn holding(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if std::fs::read(&path).unwrap().windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path);
        }
    }
    found
}

fn says(answer: &Answer, code: i32, parts: &[&str]) {
    let said = format!("{}{}", answer.out(), answer.err());
    assert_eq!(answer.0.status.code(), Some(code), "{said}");
    parts.iter().for_each(|part| assert!(said.contains(part), "{part:?} is not in {said}"));
}

fn start_with(at: &Appliance, file: &str) -> Answer {
    at.monopod(&["start", FLAG, file])
}

fn is_read(at: &Appliance) {
    let data = ["get", "secret", "safe", "-o", "jsonpath={.data.key}"];
    assert_eq!(at.kubectl(&data).ok("get"), SECRET);
}

#[test]
fn a_secret_is_in_no_file_of_the_store_but_under_its_key() {
    let Some(at) = appliance("encryption") else { return };
    let store = at.places()[0].join("store");
    let none: [PathBuf; 0] = [];
    at.kubectl(&["create", "secret", "generic", "safe", &format!("--from-literal=key={PLAIN}")]).ok("create");
    // of what is deleted the file keeps a part
    at.kubectl(&["create", "configmap", "open", &format!("--from-literal=key={SECRET}-open")]).ok("create");
    at.kubectl(&["delete", "configmap", "open"]).ok("delete");
    at.monopod(&["stop"]).ok("stop");
    assert_ne!(holding(&store, SECRET), none, "nobody asked for anything else");

    let broken = configuration(&at, "broken.yaml", "{aesgcm: {keys: [{name: k, secret: c2hvcnQ=}]}}");
    let refused = start_with(&at, &broken).refused("a key of 5 bytes");
    assert!(refused.contains(&broken) && refused.contains("got 5, expected one of [16 24 32]"), "{refused}");
    // what is there is plain, and may be read where the file says so
    let old = aesgcm("old");
    let alone = configuration(&at, "alone.yaml", &old);
    says(&start_with(&at, &alone), UNDECRYPTABLE, &["not encrypted", "`identity`"]);
    // what was refused is not kept
    at.monopod(&["start"]).ok("start without");
    at.monopod(&["stop"]).ok("stop");

    configuration(&at, "old.yaml", &format!("{old}, {{identity: {{}}}}"));
    let relative =
        format!("cd ~ && {} -p e2e-encryption start {FLAG} old.yaml", std::env::var("MONOPOD_BIN").unwrap());
    let started = at.shell(&relative);
    started.ok("start");
    assert!(
        started.err().contains("stored anew, as the encryption configuration has it now"),
        "{}",
        started.err()
    );
    is_read(&at);
    let more = ["create", "secret", "generic", "more", &format!("--from-literal=key={PLAIN}")];
    at.kubectl(&more).ok("create");
    assert_eq!(holding(&store, SECRET), none, "while it runs");
    at.monopod(&["stop"]).ok("stop");
    assert_eq!(holding(&store, SECRET), none);
    assert_eq!(holding(&store, PLAIN), none);

    // kept for later starts; without the key nothing is read, and nothing is lost
    at.monopod(&["start"]).ok("start again");
    is_read(&at);
    at.monopod(&["stop"]).ok("stop");
    let new = aesgcm("new");
    let without = configuration(&at, "without.yaml", &new);
    let sentence = "can not be read: encrypted by aesgcm with the key \"old\", which";
    for arguments in [vec!["start", FLAG, "none"], vec!["start", FLAG, &without, "--accept-loss"]] {
        says(
            &at.monopod(&arguments),
            UNDECRYPTABLE,
            &["secrets default/more, secrets default/safe", sentence, FLAG],
        );
    }
    at.monopod(&["start"]).ok("start with the file that is known");
    is_read(&at);
    let noted = start_with(&at, &without);
    assert!(noted.err().contains(&format!("{FLAG} has no effect on a daemon that runs")), "{}", noted.err());
    at.monopod(&["stop"]).ok("stop");

    // a key that is put first is a rotation
    let both = configuration(&at, "both.yaml", &format!("{new}, {old}"));
    assert!(start_with(&at, &both).err().contains("stored anew"));
    at.monopod(&["stop"]).ok("stop");
    assert_eq!(holding(&store, "k8s:enc:aesgcm:v1:old:"), none);
    start_with(&at, &without).ok("start with the new key alone");
    is_read(&at);
    at.monopod(&["stop"]).ok("stop");

    // identity first is the way back
    let back = configuration(&at, "back.yaml", &format!("{{identity: {{}}}}, {new}"));
    assert!(start_with(&at, &back).err().contains("stored anew"));
    is_read(&at);
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start", FLAG, "none"]).ok("start without");
    at.monopod(&["stop"]).ok("stop");
    at.monopod(&["start"]).ok("start as ever");
    is_read(&at);
}

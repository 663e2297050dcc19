use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const JSON: &[u8] = br#"{"kind":"Secret"}"#;
const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n";

/// Of so many bytes.
fn secret(first: u8, length: u8) -> String {
    STANDARD.encode((first..first + length).collect::<Vec<u8>>())
}

fn provider(kind: &str, key: &str, secret: &str) -> String {
    format!("{kind}: {{keys: [{{name: {key}, secret: '{secret}'}}]}}")
}

fn aesgcm(key: &str, first: u8) -> String {
    provider("aesgcm", key, &secret(first, 32))
}

fn identity() -> String {
    "identity: {}".to_owned()
}

fn rule(resources: &str, providers: &[String]) -> String {
    let providers: Vec<String> = providers.iter().map(|provider| format!("{{{provider}}}")).collect();
    format!("- resources: {resources}\n  providers: [{}]\n", providers.join(", "))
}

fn of_rules(rules: &[String]) -> Encryption {
    Encryption::parse(&format!("{HEAD}resources:\n{}", rules.concat())).unwrap()
}

fn secrets_by(providers: &[String]) -> Encryption {
    of_rules(&[rule("[secrets]", providers)])
}

fn safe() -> ObjectKey {
    ObjectKey::namespaced("default", "safe")
}

fn encrypted(by: &Encryption) -> Vec<u8> {
    by.encrypt("secrets", &safe(), JSON).into_owned()
}

fn decrypted(by: &Encryption, stored: &[u8]) -> Result<bool, DecryptError> {
    by.decrypt("secrets", &safe(), stored).map(|Decrypted { json, is_stale }| {
        assert_eq!(json, JSON);
        is_stale
    })
}

fn providers_with_keys() -> Vec<String> {
    let of = |kind: &str, lengths: &[u8]| -> Vec<String> {
        lengths.iter().map(|length| provider(kind, "k", &secret(7, *length))).collect()
    };
    [of("aesgcm", &[16, 32]), of("aescbc", &[16, 24, 32]), of("secretbox", &[32])].concat()
}

#[test]
fn what_is_encrypted_is_decrypted_and_never_the_same_twice() {
    for provider in providers_with_keys() {
        let encryption = secrets_by(std::slice::from_ref(&provider));
        let stored = encrypted(&encryption);
        let kind = provider.split(':').next().unwrap();
        assert!(stored.starts_with(format!("k8s:enc:{kind}:v1:k:").as_bytes()), "{provider}");
        assert!(!stored.windows(6).any(|part| part == b"Secret"), "{provider}");
        assert_eq!(decrypted(&encryption, &stored), Ok(false), "{provider}");
        assert_ne!(encrypted(&encryption), stored, "{provider}: a nonce came twice");
    }
}

/// Made by others' programs, in the form that upstream stores.
#[test]
fn it_is_upstreams_form() {
    for (kind, hex) in [
        (
            "aesgcm",
            "6465666768696a6b6c6d6e6f3339b50f178d74a41c313a8ba8001edf3fd7e921d177dc4b6debe1d0dcd61e9cc9",
        ),
        (
            "aescbc",
            "6465666768696a6b6c6d6e6f7071727344283a8a80a45cba29966b60a5c5bdab4a4b98a357c1999c0391ccbce1378672",
        ),
        (
            "secretbox",
            "6465666768696a6b6c6d6e6f707172737475767778797a7baa93d2c2be2ff25c283a43ccfaa1df9f799bf2a054d2ecd392ae46f745e1d73a43",
        ),
    ] {
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        let stored: Vec<u8> = format!("k8s:enc:{kind}:v1:k:").into_bytes().into_iter().chain(bytes).collect();
        let encryption = secrets_by(&[provider(kind, "k", &secret(0, 32))]);
        assert_eq!(decrypted(&encryption, &stored), Ok(false), "{kind}");
    }
}

#[test]
fn what_was_changed_or_cut_short_is_refused() {
    let refused = |kind: &str| Err(DecryptError::Refused { provider: kind.to_owned(), key: "k".to_owned() });
    for kind in ["aesgcm", "secretbox"] {
        let encryption = secrets_by(&[provider(kind, "k", &secret(7, 32))]);
        let stored = encrypted(&encryption);
        let prefix = format!("k8s:enc:{kind}:v1:k:").len();
        for at in prefix..stored.len() {
            let mut changed = stored.clone();
            changed[at] ^= 1;
            assert_eq!(decrypted(&encryption, &changed), refused(kind), "{kind}: byte {at}");
            assert_eq!(decrypted(&encryption, &stored[..at]), refused(kind), "{kind}: the first {at} bytes");
        }
    }
    // it is not authenticated, but does not end in the middle of a block
    let encryption = secrets_by(&[provider("aescbc", "k", &secret(7, 32))]);
    let stored = encrypted(&encryption);
    assert_eq!(decrypted(&encryption, &stored[..stored.len() - 1]), refused("aescbc"));
    assert_eq!(decrypted(&encryption, b"k8s:enc:aescbc:v1:k:"), refused("aescbc"));
}

#[test]
fn what_was_moved_to_another_object_is_refused() {
    let encryption = of_rules(&[rule("['*.*']", &[aesgcm("k", 1)])]);
    let stored = encrypted(&encryption);
    for (resource, key) in [
        ("secrets", ObjectKey::namespaced("default", "other")),
        ("secrets", ObjectKey::namespaced("other", "safe")),
        ("secrets", ObjectKey::cluster("safe")),
        ("configmaps", safe()),
        ("secrets.example.com", safe()),
    ] {
        let refused = encryption.decrypt(resource, &key, &stored);
        assert!(matches!(refused, Err(DecryptError::Refused { .. })), "{resource} {key}");
    }
}

#[test]
fn a_key_that_is_not_there_is_named() {
    let stored = encrypted(&secrets_by(&[aesgcm("old", 1)]));
    let unknown = Err(DecryptError::UnknownKey { provider: "aesgcm".to_owned(), key: "old".to_owned() });
    for (name, encryption) in [
        ("no configuration", Encryption::default()),
        ("another key", secrets_by(&[aesgcm("new", 1)])),
        ("another provider", secrets_by(&[provider("secretbox", "old", &secret(1, 32)), identity()])),
        ("another resource", of_rules(&[rule("[configmaps]", &[aesgcm("old", 1)])])),
        ("none", secrets_by(&[identity()])),
    ] {
        assert_eq!(decrypted(&encryption, &stored), unknown, "{name}");
    }
    let refused = Err(DecryptError::Refused { provider: "aesgcm".to_owned(), key: "old".to_owned() });
    assert_eq!(decrypted(&secrets_by(&[aesgcm("old", 2)]), &stored), refused, "another secret");
    // one of 256 has an end that looks like one
    let another = secrets_by(&[provider("aescbc", "k", &secret(8, 32))]);
    for _ in 0..2000 {
        let stored = encrypted(&secrets_by(&[provider("aescbc", "k", &secret(7, 32))]));
        assert!(decrypted(&another, &stored).is_err());
    }
}

#[test]
fn what_is_not_by_the_first_provider_and_the_first_key_is_stale() {
    let (old, new) = (aesgcm("old", 1), aesgcm("new", 2));
    let both = format!(
        "aesgcm: {{keys: [{{name: new, secret: '{}'}}, {{name: old, secret: '{}'}}]}}",
        secret(2, 32),
        secret(1, 32)
    );
    let stored = encrypted(&secrets_by(std::slice::from_ref(&old)));
    for (name, providers, of_old, of_plain) in [
        ("the only one", vec![old.clone()], Ok(false), Err(DecryptError::Plain)),
        ("the second key", vec![both], Ok(true), Err(DecryptError::Plain)),
        ("the second provider", vec![new.clone(), old.clone(), identity()], Ok(true), Ok(true)),
        ("behind identity", vec![identity(), old.clone()], Ok(true), Ok(false)),
        ("the same name twice", vec![aesgcm("old", 2), old], Ok(true), Err(DecryptError::Plain)),
    ] {
        let encryption = secrets_by(&providers);
        assert_eq!(decrypted(&encryption, &stored), of_old, "{name}");
        assert_eq!(decrypted(&encryption, JSON), of_plain, "{name}");
    }
    assert_eq!(decrypted(&Encryption::default(), JSON), Ok(false));
}

#[test]
fn the_narrowest_rule_is_that_of_a_resource() {
    let encryption = of_rules(&[
        rule("[secrets]", &[aesgcm("secrets", 1)]),
        rule("[deployments.apps]", &[aesgcm("deployments", 2)]),
        rule("['*.apps']", &[aesgcm("apps", 3)]),
        rule("['*.']", &[aesgcm("core", 4)]),
        rule("['*.*']", &[aesgcm("all", 5)]),
    ]);
    for (resource, key) in [
        ("secrets", "secrets"),
        ("configmaps", "core"),
        ("deployments.apps", "deployments"),
        ("statefulsets.apps", "apps"),
        ("secrets.example.com", "all"),
        ("roles.rbac.authorization.k8s.io", "all"),
    ] {
        let stored = encryption.encrypt(resource, &safe(), JSON).into_owned();
        assert!(stored.starts_with(format!("k8s:enc:aesgcm:v1:{key}:").as_bytes()), "{resource}");
    }
    let some = secrets_by(&[aesgcm("k", 1)]);
    assert_eq!(some.encrypt("secrets.example.com", &safe(), JSON), JSON);
    // of several rules about one resource the providers follow each other
    let twice = of_rules(&[rule("[secrets]", &[aesgcm("new", 2)]), rule("[secrets]", &[aesgcm("old", 1)])]);
    assert_eq!(decrypted(&twice, &encrypted(&secrets_by(&[aesgcm("old", 1)]))), Ok(true));
}

#[test]
fn a_fingerprint_tells_what_is_stored_in_another_form() {
    let (old, new) = (aesgcm("old", 1), aesgcm("new", 2));
    let print = |providers: &[String]| secrets_by(providers).fingerprint();
    assert_eq!(Encryption::default().fingerprint(), 0);
    assert_eq!(print(&[old.clone(), identity()]), print(std::slice::from_ref(&old)));
    let other = of_rules(&[rule("[configmaps]", std::slice::from_ref(&old))]).fingerprint();
    let all = [print(std::slice::from_ref(&old)), print(&[new, old]), print(&[identity()]), other, 0];
    for (at, one) in all.iter().enumerate() {
        assert!(!all[..at].contains(one), "{at}");
    }
}

#[test]
fn no_secret_is_shown() {
    let secret = secret(1, 32);
    let shown = format!("{:?}", secrets_by(&[provider("aescbc", "k", &secret)]));
    assert_eq!(shown, r#"{"secrets": ["k8s:enc:aescbc:v1:k:"]}"#);
    for text in [
        rule("[secrets]", &[format!("aesgcm: {{keys: [{{name: k, secrets: '{secret}'}}]}}")]),
        rule("[secrets]", &[format!("aesgcm: {{keys: ['{secret}']}}")]),
        rule("[secrets]", &[provider("aesgcm", "k", &format!("{secret}x"))]),
        // who forgot what it is called
        rule("[secrets]", &[format!("aesgcm: {{keys: [{{name: k, '{secret}': }}]}}")]),
        rule("[secrets]", &[format!("'{secret}': {{}}")]),
        rule("[secrets]", &[format!("aesgcm: {{'{secret}': []}}")]),
        format!("'{secret}': []\n"),
    ] {
        let why = Encryption::parse(&format!("{HEAD}resources:\n{text}")).unwrap_err();
        assert!(!why.to_string().contains(&secret[..20]), "{why}");
    }
    let misspelt = rule("[secrets]", &["aesgcm: {keys: [{nam: k}]}".to_owned()]);
    let why = Encryption::parse(&format!("{HEAD}resources:\n{misspelt}")).unwrap_err().to_string();
    assert!(why.contains("`nam`") && why.contains("name, secret"), "what is no secret is told: {why}");
}

#[test]
fn what_can_not_be_meant_is_refused_by_field() {
    let refused = |rules: &[String]| {
        Encryption::parse(&format!("{HEAD}resources:\n{}", rules.concat())).unwrap_err().to_string()
    };
    const PROVIDERS: &str = "resources[0].providers";
    let providers = |of: &[&str]| {
        let of: Vec<String> = of.iter().map(|provider| (*provider).to_owned()).collect();
        refused(&[rule("[secrets]", &of)])
    };
    let resources = |of: &str| refused(&[rule(of, &[identity()])]);
    let key = |kind: &str, length: u8| providers(&[&provider(kind, "k", &secret(0, length))]);
    for (why, want) in [
        (resources("[]"), "resources[0].resources: at least one resources[0].resources is required".to_owned()),
        (resources("[secrets, secrets]"), "resources[0].resources: the same resource cannot be specified multiple times".to_owned()),
        (resources("[secrets, '*.']"), "resources[0].resources: using overlapping resources such as".to_owned()),
        (resources("['*.*', deployments.apps]"), "resources[0].resources: using overlapping resources such as".to_owned()),
        (resources("[secrets, Pods]"), "resources[0].resources[1]: resource name should not contain capital letters".to_owned()),
        (resources("['*']"), "resources[0].resources[0]: use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources".to_owned()),
        (resources("[serviceipallocations]"), "resources[0].resources[0]: resources which do not have REST API/s cannot be encrypted".to_owned()),
        (resources("[events.events.k8s.io]"), "resources[0].resources[0]: '*.events.k8s.io' objects are stored".to_owned()),
        (resources("['*.extensions']"), "resources[0].resources[0]: 'extensions' group has been removed".to_owned()),
        (resources("['secrets.*']"), "resources[0].resources[0]: encrypting the same resource across groups is not supported".to_owned()),
        (
            refused(&[rule("['*.']", &[identity()]), rule("[secrets]", &[identity()])]),
            "resources[1]: resource \"secrets\" is masked by earlier rule \"*.\"".to_owned(),
        ),
        (
            refused(&[rule("['*.*']", &[identity()]), rule("['*.apps']", &[identity()])]),
            "resources[1]: resource \"*.apps\" is masked by earlier rule \"*.*\"".to_owned(),
        ),
        (providers(&[]), format!("{PROVIDERS}: at least one {PROVIDERS} is required")),
        (providers(&[""]), format!("{PROVIDERS}[0]: provider does not contain any of the expected providers")),
        (
            providers(&["identity: {}, aesgcm: {keys: []}"]),
            format!("{PROVIDERS}[0]: more than one provider specified in a single element"),
        ),
        (providers(&["kms: {name: a, endpoint: 'unix:///a'}"]), format!("{PROVIDERS}[0].kms: keys that a KMS plugin holds")),
        (providers(&["identity: {}", "aesgcm: {}"]), format!("{PROVIDERS}[1].aesgcm.keys: at least one keys is required")),
        (
            providers(&["aescbc: {keys: [{secret: x}]}"]),
            format!("{PROVIDERS}[0].aescbc.keys[0].name: name is a mandatory field for a key"),
        ),
        (
            providers(&["secretbox: {keys: [{name: k}]}"]),
            format!("{PROVIDERS}[0].secretbox.keys[0].secret: secret is a mandatory field for a key"),
        ),
        (
            providers(&[&provider("aesgcm", "k", "?")]),
            format!("{PROVIDERS}[0].aesgcm.keys[0].secret: secrets must be base64 encoded"),
        ),
        (
            key("aescbc", 20),
            format!(
                "{PROVIDERS}[0].aescbc.keys[0].secret: secret is not of the expected length, got 20, expected one of [16 24 32]"
            ),
        ),
        (
            key("secretbox", 16),
            format!(
                "{PROVIDERS}[0].secretbox.keys[0].secret: secret is not of the expected length, got 16, expected one of [32]"
            ),
        ),
        (
            key("aesgcm", 24),
            format!("{PROVIDERS}[0].aesgcm.keys[0].secret: secrets of 24 bytes can not be used here for aesgcm"),
        ),
    ] {
        assert!(why.starts_with(&want), "{want}: {why}");
    }
    for text in [
        "kind: EncryptionConfiguration",
        "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: EncryptionConfiguration",
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfig",
        HEAD,
        &format!("{HEAD}resource: []"),
        "{",
    ] {
        assert!(Encryption::parse(text).is_err(), "{text}");
    }
}

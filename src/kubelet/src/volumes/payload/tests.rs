//! Each kind of volume, its bounds, and what is refused.

use super::*;
use crate::sources::tests::Fixed;
use serde_json::json;

fn files(volume: serde_json::Value) -> Result<Vec<(String, String, u32)>, String> {
    let pod: Pod =
        serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u",
        "labels": {"app": "web", "tier": "front"}}, "spec": {"containers": []}}))
        .unwrap();
    let sources = Fixed::default()
        .config_map("shop", "settings", json!({"a.conf": "1", "b.conf": "2"}))
        .secret("shop", "login", json!({"password": "aHVudGVyMg=="}));
    let facts = Facts::default();
    let tokens = |t: &ServiceAccountTokenProjection| Ok(format!("token for {:?}", t.audience));
    let certificates = |volume: &str, source: usize| match source {
        0 => Err("credential bundle is not issued yet".to_owned()),
        _ => Ok(Bundle { key: format!("key of {volume}/{source}\n"), chain: "chain\n".to_owned() }),
    };
    let mut volume = volume;
    volume["name"] = "v".into();
    let volume: Volume = serde_json::from_value(volume).unwrap();
    let content = Content {
        pod: &pod,
        facts: &facts,
        sources: &sources,
        tokens: &tokens,
        certificates: &certificates,
        budget: Budget::default(),
    };
    let (_, payload) = of_volume(&volume, &content)?.expect("a volume with files");
    Ok(payload.into_iter().map(|(p, f)| (p, String::from_utf8(f.data.to_vec()).unwrap(), f.mode)).collect())
}

#[test]
fn each_kind_of_volume() {
    let file = |path: &str, data: &str, mode: u32| (path.to_owned(), data.to_owned(), mode);
    let cases = [
        (
            "all keys",
            json!({"configMap": {"name": "settings"}}),
            vec![file("a.conf", "1", 0o644), file("b.conf", "2", 0o644)],
        ),
        (
            "items and modes",
            json!({"configMap": {"name": "settings", "defaultMode": 0o400, "items": [{"key": "a.conf", "path": "etc/x"},
                {"key": "b.conf", "path": "y", "mode": 0o755}]}}),
            vec![file("etc/x", "1", 0o400), file("y", "2", 0o755)],
        ),
        ("optional", json!({"secret": {"secretName": "gone", "optional": true}}), vec![]),
        (
            "projected",
            json!({"projected": {"sources": [{"serviceAccountToken": {"path": "token", "audience": "me"}},
                {"secret": {"name": "login"}}, {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]}}),
            vec![
                file("labels", "app=\"web\"\ntier=\"front\"", 0o644),
                file("password", "hunter2", 0o644),
                file("token", "token for Some(\"me\")", 0o644),
            ],
        ),
        (
            "certificates",
            json!({"projected": {"sources": [{"serviceAccountToken": {"path": "token"}},
                {"podCertificate": {"signerName": "a.b/c", "keyType": "ED25519", "credentialBundlePath": "all.pem",
                    "keyPath": "id/key.pem", "certificateChainPath": "id/chain.pem"}},
                {"podCertificate": {"signerName": "a.b/c", "keyType": "ED25519", "keyPath": "", "certificateChainPath": "other.pem"}}]}}),
            vec![
                file("all.pem", "key of v/1\nchain\n", 0o644),
                file("id/chain.pem", "chain\n", 0o644),
                file("id/key.pem", "key of v/1\n", 0o644),
                file("other.pem", "chain\n", 0o644),
                file("token", "token for None", 0o644),
            ],
        ),
    ];
    for (name, volume, want) in cases {
        assert_eq!(files(volume), Ok(want), "{name}");
    }
}

#[test]
fn no_volume_is_filled_without_end() {
    let annotated: Pod = serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "shop",
        "annotations": {"a": "x".repeat(200_000)}}, "spec": {"containers": []}}))
    .unwrap();
    let sources = Fixed::default().config_map("shop", "large", json!({"k": "x".repeat(900_000)})).config_map(
        "shop",
        "small",
        json!({"k": "x"}),
    );
    let many = |count: usize, item: serde_json::Value| -> Vec<serde_json::Value> {
        let at = |i: usize| {
            let mut item = item.clone();
            item["path"] = format!("p{i}").into();
            item
        };
        (0..count).map(at).collect()
    };
    let of_map =
        |name: &str, count| json!({"configMap": {"name": name, "items": many(count, json!({"key": "k"}))}});
    let annotations = |count| {
        let field = json!({"fieldRef": {"fieldPath": "metadata.annotations"}});
        json!({"downwardAPI": {"items": many(count, field)}})
    };
    let tokens = |count| {
        let token = |item: serde_json::Value| json!({"serviceAccountToken": item});
        json!({"projected": {"sources": many(count, json!({})).into_iter().map(token).collect::<Vec<_>>()}})
    };
    let cases = [
        ("what a pod may have", vec![of_map("large", 60), of_map("small", 1000), annotations(30)], true),
        ("one value under many paths", vec![of_map("large", 1300)], false),
        ("in many volumes", vec![of_map("large", 1); 100], false),
        ("very many files", vec![of_map("small", 100_000)], false),
        ("annotations in many files", vec![annotations(100)], false),
        ("tokens", vec![tokens(100); 2], true),
        ("many tokens", vec![tokens(100); 10], false),
    ];
    let facts = Facts::default();
    let token = |_: &ServiceAccountTokenProjection| Ok("token".to_owned());
    let certificates = |_: &str, _: usize| -> Result<Bundle, String> { Err("none".to_owned()) };
    for (name, volumes, fits) in cases {
        let content = Content {
            pod: &annotated,
            facts: &facts,
            sources: &sources,
            tokens: &token,
            certificates: &certificates,
            budget: Budget::default(),
        };
        let filled: Result<Vec<_>, String> = volumes
            .into_iter()
            .map(|mut volume| {
                volume["name"] = "v".into();
                of_volume(&serde_json::from_value(volume).unwrap(), &content)
            })
            .collect();
        assert_eq!(filled.is_ok(), fits, "{name}");
        if let Err(why) = filled {
            assert!(why.contains("too many or too large files: "), "{name}: {why}");
        }
    }
}

#[test]
fn refusals() {
    let cases = [
        (json!({"configMap": {"name": "gone"}}), "configmap \"gone\" not found"),
        (json!({"secret": {"secretName": "gone"}}), "secret \"gone\" not found"),
        (
            json!({"configMap": {"name": "settings", "items": [{"key": "no", "path": "x"}]}}),
            "configmap references non-existent config key: no",
        ),
        (
            json!({"configMap": {"name": "settings", "items": [{"key": "a.conf", "path": "../x"}]}}),
            "configmap references invalid path: ../x",
        ),
        (
            json!({"projected": {"sources": [{"podCertificate": {"signerName": "a.b/c", "keyType": "ED25519", "keyPath": "k"}}]}}),
            "credential bundle is not issued yet",
        ),
        (
            json!({"projected": {"sources": [{"secret": {"name": "login"}},
                {"podCertificate": {"signerName": "a.b/c", "keyType": "ED25519", "keyPath": "/k"}}]}}),
            "invalid path: /k",
        ),
    ];
    for (volume, want) in cases {
        assert_eq!(files(volume), Err(want.to_owned()));
    }
}

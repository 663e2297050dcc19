//! Bodies that are small when they are sent and large when they are read: by clients that may send them, and by those that
//! may not, of whose bodies nothing is read at all. All in a process that may not grow.

mod common;

use common::{Server, Who, limit_memory, memory};
use std::fmt::Write as _;
use std::time::Duration;

/// Only for what never comes: nothing here measures time.
const NEVER: Duration = Duration::from_secs(60);
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";
const YAML: &str = "application/yaml";
const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

fn aliases(text: usize, count: usize) -> Vec<u8> {
    let all = vec!["*a"; count].join(",");
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\nx: &a {}\ny: [{all}]\n",
        "x".repeat(text)
    )
    .into_bytes()
}

fn volumes(count: usize) -> Vec<u8> {
    let volumes = vec!["{\"name\":\"\"}"; count].join(",");
    format!("{{\"metadata\":{{\"name\":\"a\"}},\"spec\":{{\"containers\":[],\"volumes\":[{volumes}]}}}}")
        .into_bytes()
}

/// Nested JSON, which a reader without a bound follows down its stack.
fn nested(levels: usize) -> Vec<u8> {
    format!("{{\"metadata\":{{\"name\":\"a\"}},\"data\":{}", "{\"a\":".repeat(levels)).into_bytes()
}

/// A pod's specification with so many containers that say nothing, two bytes each.
fn containers(count: usize) -> Vec<u8> {
    fn length(mut value: usize, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }
    fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(number << 3 | 2);
        length(bytes.len(), out);
        out.extend_from_slice(bytes);
    }
    let (mut meta, mut pod, mut out) = (Vec::new(), Vec::new(), b"k8s\0".to_vec());
    field(1, b"v1", &mut meta);
    field(2, b"Pod", &mut meta);
    field(2, &[0x12, 0].repeat(count), &mut pod);
    field(1, &meta, &mut out);
    field(2, &pod, &mut out);
    out
}

/// `copy` doubles what is there, again and again.
fn doubling(times: usize) -> Vec<u8> {
    let mut patch =
        format!("[{{\"op\":\"add\",\"path\":\"/data\",\"value\":{{\"k\":\"{}\"}}}}", "x".repeat(5000));
    for n in 0..times {
        let _ = write!(patch, ",{{\"op\":\"copy\",\"from\":\"\",\"path\":\"/data/k{n}\"}}");
    }
    (patch + "]").into_bytes()
}

fn operations(count: usize) -> Vec<u8> {
    let one = "{\"op\":\"test\",\"path\":\"/kind\",\"value\":\"ConfigMap\"}";
    format!("[{}]", vec![one; count].join(",")).into_bytes()
}

/// How often a client of good will is answered meanwhile.
async fn answers(server: &Server, during: impl Future<Output = ()>) -> usize {
    tokio::pin!(during);
    let mut answered = 0;
    loop {
        let asked = server.ask(Who::Admin, "GET /api/v1/namespaces/default/configmaps/kept", &[], b"");
        tokio::select! {
            () = &mut during => return answered,
            answer = asked => assert_eq!(answer.code, 200),
        }
        answered += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Until no more than this is held of the process's memory; it is given back when it has been quiet for a moment.
async fn given_back(most: u64) {
    let waiting = async {
        while memory("RssAnon") > most {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(NEVER, waiting).await;
    assert!(waited.is_ok(), "{} bytes are held, {most} would be well", memory("RssAnon"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_grow_are_refused_and_their_memory_is_given_back() {
    limit_memory();
    let server = Server::start().await;
    server.config_map("kept").await;
    let before = memory("RssAnon");
    let posts: [(&str, &str, &str, Vec<u8>, &[u16]); 8] = [
        ("a string of 100 kB, 10,000 aliases", MAPS, YAML, aliases(100_000, 10_000), &[400]),
        ("a string of 1.6 MB, 14,000 aliases", MAPS, YAML, aliases(1_600_000, 14_000), &[400]),
        ("lists in lists", MAPS, YAML, vec![b'['; 1_400_000], &[400]),
        ("objects in objects", MAPS, JSON, nested(600_000), &[400, 413]),
        ("a few objects in objects", MAPS, JSON, nested(10_000), &[400]),
        ("many empty objects", PODS, JSON, volumes(260_000), &[413]),
        ("as many as are read", PODS, JSON, volumes(49_000), &[422]),
        ("many empty messages", PODS, PROTOBUF, containers(1_500_000), &[413]),
    ];
    let attacks = async {
        for (name, path, media, body, codes) in &posts {
            let answer = server.post(Who::Admin, path, media, body).await;
            assert!(codes.contains(&answer.code), "{name}: {} {}", answer.code, answer.message());
        }
        // the same all at once
        let all = posts.iter().flat_map(|post| [post, post]).map(|(_, path, media, body, codes)| async {
            let answer = server.post(Who::Admin, path, media, body).await;
            assert!(codes.contains(&answer.code), "{answer:?}");
        });
        futures::future::join_all(all).await;
    };
    let answered = answers(&server, attacks).await;
    assert!(
        answered > posts.len(),
        "a client was answered {answered} times meanwhile: it had to wait for others"
    );

    let kept = "/api/v1/namespaces/default/configmaps/kept";
    let json_patch = "application/json-patch+json";
    let patches = [
        ("copies that double", json_patch, doubling(18), 422),
        ("as many operations as are taken", json_patch, operations(10_000), 200),
        ("more operations", json_patch, operations(10_001), 413),
        ("a deep merge", "application/merge-patch+json", nested(20_000), 400),
        ("YAML that is applied", "application/apply-patch+yaml", aliases(100_000, 10_000), 400),
    ];
    for (name, media, body, code) in patches {
        let path = format!("{kept}?fieldManager=me");
        let answer = server.patch(Who::Admin, &path, media, &body).await;
        assert_eq!(answer.code, code, "{name}: {}", answer.message());
    }
    assert_eq!(server.find_config_map("kept").unwrap().data, None);

    drop(posts);
    given_back(before + 96 * 1024 * 1024).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_client_that_may_not_send_it_a_body_is_not_read() {
    limit_memory();
    let server = Server::start().await;
    server.config_map("kept").await;
    let bomb = aliases(100_000, 10_000);
    for (name, who, line, code) in [
        ("anonymous", Who::Anonymous, format!("POST {MAPS}"), 403),
        ("of no right", Who::Nobody, format!("POST {MAPS}"), 403),
        ("a change", Who::Nobody, format!("PUT {MAPS}/kept"), 403),
        ("a patch", Who::Nobody, format!("PATCH {MAPS}/kept"), 403),
        ("a deletion", Who::Nobody, format!("DELETE {MAPS}/kept"), 403),
        ("an eviction", Who::Nobody, format!("POST {PODS}/p/eviction"), 403),
        ("a token", Who::Nobody, "POST /api/v1/namespaces/default/serviceaccounts/default/token".into(), 403),
        (
            "a review",
            Who::Anonymous,
            "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews".into(),
            403,
        ),
        ("a kind that is not served", Who::Nobody, "POST /apis/example.com/v1/things".into(), 403),
        ("no object", Who::Anonymous, "POST /version".into(), 403),
    ] {
        // what can not be parsed shows that nobody tried
        for body in [&bomb[..], b"{", b"k8s\0x"] {
            for media in [YAML, JSON, PROTOBUF] {
                let answer = server.ask(who, &line, &[("Content-Type", media)], body).await;
                assert_eq!(answer.code, code, "{name}: {}", answer.message());
            }
        }
    }
    let unknown = [("Authorization", "Bearer nonsense"), ("Content-Type", YAML)];
    let answer = server.ask(Who::Anonymous, &format!("POST {MAPS}"), &unknown, &bomb).await;
    assert_eq!(answer.code, 401);
    assert!(memory("VmHWM") < 400 * 1024 * 1024);
}

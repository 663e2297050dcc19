//! Which host is served with the certificate of which Secret, as ingresses say it, and what those Secrets hold. A Secret is read once
//! in each of its versions: reading a key takes a millisecond. Pure.

use crate::certificates::{Certificates, of_secret};
use crate::remarks::Remarks;
use crate::routes::by_age;
use api::ObjectKey;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::Ingress;
use rustls::sign::CertifiedKey;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Secrets that are read in one renewal, a namespace's turn after the other's: nobody's new ingress waits for all of another's.
const READ_AT_ONCE: usize = 64;

#[derive(Default)]
pub(crate) struct Claims {
    /// Each once for each ingress that names it.
    secrets: Vec<Named>,
    /// The older ingress's first; with the place in `secrets`.
    hosts: Vec<(String, usize)>,
}

struct Named {
    ingress: Arc<Ingress>,
    secret: ObjectKey,
}

impl Claims {
    pub(crate) fn new(ingresses: &[Arc<Ingress>]) -> Self {
        let mut claims = Claims::default();
        for ingress in by_age(ingresses) {
            let mut places: HashMap<&str, usize> = HashMap::new();
            for tls in ingress.spec.iter().flat_map(|spec| spec.tls.iter().flatten()) {
                let Some(name) = tls.secret_name.as_deref().filter(|name| !name.is_empty()) else { continue };
                let place = *places.entry(name).or_insert_with(|| {
                    let secret = ObjectKey::new(ingress.metadata.namespace.as_deref(), name);
                    claims.secrets.push(Named { ingress: ingress.clone(), secret });
                    claims.secrets.len() - 1
                });
                let hosts = tls.hosts.iter().flatten().map(|host| (host.to_ascii_lowercase(), place));
                claims.hosts.extend(hosts);
            }
        }
        claims
    }

    pub(crate) fn secrets(&self) -> impl Iterator<Item = &ObjectKey> {
        self.secrets.iter().map(|named| &named.secret)
    }
}

/// What the Secrets hold that are named.
#[derive(Default)]
pub(crate) struct Contents(HashMap<ObjectKey, Content>);

struct Content {
    /// `None` where there is no such Secret.
    version: Option<String>,
    certificate: Result<Arc<CertifiedKey>, String>,
}

impl Contents {
    pub(crate) fn is_named(&self, secret: &ObjectKey) -> bool {
        self.0.contains_key(secret)
    }

    /// Reads those that changed. Whether some have to wait for the next time.
    pub(crate) fn read(
        &mut self,
        claims: &Claims,
        get: &mut dyn FnMut(&ObjectKey) -> Option<Arc<Secret>>,
    ) -> bool {
        let named: BTreeSet<&ObjectKey> = claims.secrets().collect();
        self.0.retain(|key, _| named.contains(key));
        let mut changed: BTreeMap<_, Vec<(&ObjectKey, Arc<Secret>)>> = BTreeMap::new();
        for key in named {
            let Some(secret) = get(key) else {
                let certificate = Err("it does not exist".to_owned());
                self.0.insert(key.clone(), Content { version: None, certificate });
                continue;
            };
            let known = self.0.get(key).and_then(|content| content.version.as_ref());
            if known.is_none() || known != secret.metadata.resource_version.as_ref() {
                changed.entry(&key.namespace).or_default().push((key, secret));
            }
        }
        let longest = changed.values().map(Vec::len).max().unwrap_or_default();
        let in_turn = (0..longest).flat_map(|turn| changed.values().filter_map(move |of| of.get(turn)));
        for (key, secret) in in_turn.take(READ_AT_ONCE) {
            let version = Some(secret.metadata.resource_version.clone().unwrap_or_default());
            self.0.insert((*key).clone(), Content { version, certificate: of_secret(secret) });
        }
        changed.values().map(Vec::len).sum::<usize>() > READ_AT_ONCE
    }

    /// A newer ingress, of another namespace perhaps, does not speak for the host of an older one, whose Secret may not be read yet.
    pub(crate) fn certificates(&self, claims: &Claims, remarks: &mut Remarks) -> Certificates {
        for Named { ingress, secret } in &claims.secrets {
            if let Some(Content { certificate: Err(why), .. }) = self.0.get(secret) {
                let words = || format!("the secret {} holds no certificate: {why}", secret.name);
                remarks.add(ingress, "BadCertificate", words);
            }
        }
        let mut hosts: HashMap<&str, Option<&Arc<CertifiedKey>>> = HashMap::new();
        for (host, place) in &claims.hosts {
            let content = self.0.get(&claims.secrets[*place].secret).map(|content| &content.certificate);
            let certificate = match content {
                Some(Err(_)) => continue,
                Some(Ok(certificate)) => Some(certificate),
                None => None,
            };
            hosts.entry(host.as_str()).or_insert(certificate);
        }
        let read = hosts.into_iter().filter_map(|(host, found)| Some((host.to_owned(), found?.clone())));
        Certificates(read.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::tests::secret;
    use serde_json::{Value, json};

    fn ingress(namespace: &str, created: &str, tls: &Value) -> Arc<Ingress> {
        let metadata = json!({"name": "web", "namespace": namespace, "creationTimestamp": created});
        Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": {"tls": tls}})).unwrap())
    }

    fn valid(version: &str) -> Arc<Secret> {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["a".into()]).unwrap();
        let mut secret = secret(&parameters.self_signed(&key).unwrap().pem(), &key.serialize_pem());
        secret.metadata.resource_version = Some(version.to_owned());
        Arc::new(secret)
    }

    const OLD: &str = "2026-01-01T00:00:00Z";
    const NEW: &str = "2026-01-02T00:00:00Z";

    #[test]
    fn a_secret_is_read_once_however_often_it_is_named() {
        let entries: Vec<Value> = (0..45_000).map(|_| json!({"secretName": "big", "hosts": ["a"]})).collect();
        let claims = Claims::new(&[ingress("evil", OLD, &json!(entries))]);
        let (first, second) = (valid("1"), valid("2"));
        let mut contents = Contents::default();
        let mut asked = 0;
        let mut read = |contents: &mut Contents, now: &Arc<Secret>| {
            let waits = contents.read(&claims, &mut |_| {
                asked += 1;
                Some(now.clone())
            });
            assert!(!waits);
            contents.certificates(&claims, &mut Remarks::default()).find("a").unwrap().clone()
        };
        let once = read(&mut contents, &first);
        let again = read(&mut contents, &first);
        assert!(Arc::ptr_eq(&once, &again), "the same version is not read again");
        assert!(!Arc::ptr_eq(&once, &read(&mut contents, &second)));
        assert_eq!(asked, 3);
    }

    #[test]
    fn who_names_many_secrets_waits_by_himself() {
        let entries: Vec<Value> =
            (0..1000).map(|n| json!({"secretName": format!("s{n}"), "hosts": [format!("h{n}")]})).collect();
        let mine = json!([{"secretName": "s", "hosts": ["shop.example"]}]);
        let claims = Claims::new(&[ingress("evil", OLD, &json!(entries)), ingress("shop", NEW, &mine)]);
        let secret = valid("1");
        let mut contents = Contents::default();
        assert!(contents.read(&claims, &mut |_| Some(secret.clone())), "most of them wait");
        assert_eq!(contents.0.len(), READ_AT_ONCE);
        let all = contents.certificates(&claims, &mut Remarks::default());
        assert!(all.find("shop.example").is_some(), "the other does not");
        let mut rounds = 1;
        while contents.read(&claims, &mut |_| Some(secret.clone())) {
            rounds += 1;
        }
        assert_eq!((rounds, contents.0.len()), (1001 / READ_AT_ONCE, 1001));
    }

    #[test]
    fn a_host_stays_whose_it_was_first() {
        let tls = |secret: &str| json!([{"secretName": secret, "hosts": ["A"]}]);
        let ingresses = [ingress("late", NEW, &tls("s")), ingress("early", OLD, &tls("s"))];
        let claims = Claims::new(&ingresses);
        let (early, late) = (valid("1"), valid("1"));
        let shown = |of_early: Option<&Arc<Secret>>| {
            let mut contents = Contents::default();
            contents.read(&claims, &mut |key| match key.namespace.as_deref() {
                Some("early") => of_early.cloned(),
                _ => Some(late.clone()),
            });
            let mut remarks = Remarks::default();
            let all = contents.certificates(&claims, &mut remarks);
            (all.find("a").map(|key| key.cert.clone()), remarks.0.len())
        };
        let of = |secret: &Secret| Some(of_secret(secret).unwrap().cert.clone());
        assert_eq!(shown(Some(&early)), (of(&early), 0));
        assert_eq!(shown(None), (of(&late), 1), "what is none speaks for nothing");
        // not read yet
        let all = Contents::default().certificates(&claims, &mut Remarks::default());
        assert!(all.find("a").is_none());
    }
}

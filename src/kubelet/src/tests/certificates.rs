//! Certificates of pods, of a signer that the test is.

use super::rig::{NODE, Rig, phase, rig};
use api::LabelSelector;
use cluster::DeleteOptions;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::certificates::v1::{PodCertificateRequest, PodCertificateRequestStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kinds::key_of;
use rcgen::{CertificateParams, CertificateSigningRequestParams, Issuer, KeyPair};
use rustls_pki_types::CertificateSigningRequestDer;
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

impl Rig {
    /// A pod that wants to have one; where its files will be.
    async fn wants_certificate(&self, key_type: &str) -> PathBuf {
        let certificate = json!({"signerName": "example.com/mesh", "keyType": key_type, "credentialBundlePath": "bundle.pem",
            "keyPath": "key.pem", "certificateChainPath": "chain.pem", "userAnnotations": {"example.com/for": "tests"}});
        let spec = json!({"volumes": [{"name": "id", "projected": {"sources": [{"podCertificate": certificate}]}}],
            "containers": [{"name": "web", "image": "web:1", "volumeMounts": [{"name": "id", "mountPath": "/id"}]}]});
        let uid = self.run("p", spec).await.metadata.uid.unwrap();
        self.dir.path().join("pods").join(uid).join("volumes/kubernetes.io~projected/id")
    }

    fn requests(&self) -> Vec<PodCertificateRequest> {
        self.root().api().list(None, LabelSelector::default()).unwrap()
    }

    /// One that nobody has answered.
    fn open(&self) -> Option<PodCertificateRequest> {
        let is_open = |request: &PodCertificateRequest| {
            request.status.as_ref().and_then(|status| status.conditions.as_ref()).is_none_or(Vec::is_empty)
        };
        self.requests().into_iter().find(is_open)
    }

    /// Time goes on meanwhile: a back-off may have to pass.
    async fn until_asked(&self) -> PodCertificateRequest {
        for _ in 0..5000 {
            if let Some(open) = self.open() {
                return open;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            // the store's thread needs real time
            tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_micros(200))).await.unwrap();
        }
        panic!("nobody asks: {:#?}", self.events("p"));
    }

    async fn answer(
        &self,
        request: &PodCertificateRequest,
        kind: &str,
        mut status: PodCertificateRequestStatus,
    ) {
        status.conditions = Some(vec![Condition {
            type_: kind.to_owned(),
            status: "True".to_owned(),
            reason: "Test".to_owned(),
            message: "so be it".to_owned(),
            last_transition_time: Time(Timestamp::now()),
            observed_generation: None,
        }]);
        let (requests, key) = (self.root().api::<PodCertificateRequest>(), key_of(&request.metadata));
        let written = requests.modify_status(&key, |stored| {
            stored.status = Some(status.clone());
            Ok(())
        });
        written.await.unwrap();
    }
}

fn signed(request: &PodCertificateRequest) -> PodCertificateRequestStatus {
    let der = CertificateSigningRequestDer::from(request.spec.stub_pkc_s10_request.0.as_slice());
    let mut asked = CertificateSigningRequestParams::from_der(&der).unwrap();
    let begin = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let end = begin + SignedDuration::from_hours(2);
    asked.params.not_before = SystemTime::from(begin).into();
    asked.params.not_after = SystemTime::from(end).into();
    let authority = CertificateParams::new(vec!["mesh".to_owned()]).unwrap();
    let issuer = Issuer::new(authority, KeyPair::generate().unwrap());
    PodCertificateRequestStatus {
        certificate_chain: Some(format!("words\n{}", asked.signed_by(&issuer).unwrap().pem())),
        not_before: Some(Time(begin)),
        begin_refresh_at: Some(Time(begin + SignedDuration::from_mins(10))),
        not_after: Some(Time(end)),
        conditions: None,
    }
}

const NOT_YET: &str =
    "FailedMount MountVolume.SetUp failed for volume \"id\" : credential bundle is not issued yet";

#[tokio::test(start_paused = true)]
async fn a_pod_has_its_certificate_before_it_begins_and_another_before_that_ends() {
    let rig = rig().await;
    let dir = rig.wants_certificate("ECDSAP256").await;
    let request = rig.until_asked().await;
    rig.until_event("p", NOT_YET).await;
    assert!(rig.runtime.containers().is_empty(), "it waits");
    let (metadata, spec) = (&request.metadata, &request.spec);
    assert!(metadata.name.as_deref().unwrap().starts_with("req-"), "{metadata:?}");
    assert_eq!(metadata.owner_references.as_ref().unwrap()[0].uid, spec.pod_uid);
    assert_eq!((spec.pod_name.as_str(), spec.service_account_name.as_str()), ("p", "default"));
    assert_eq!((spec.node_name.as_str(), spec.signer_name.as_str()), (NODE, "example.com/mesh"));
    assert_eq!(spec.unverified_user_annotations.as_ref().unwrap()["example.com/for"], "tests");
    rig.answer(&request, "Issued", signed(&request)).await;
    rig.until("p", |p| phase(p) == "Running").await;
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    let (bundle, chain) = (read("bundle.pem"), read("chain.pem"));
    assert!(bundle.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{bundle}");
    assert!(chain.starts_with("-----BEGIN CERTIFICATE-----\n"), "{chain}");
    assert_eq!(bundle, read("key.pem") + &chain);
    // more than the ten minutes that the signer says, and all that may come on top
    tokio::time::sleep(Duration::from_secs(16 * 60)).await;
    let second = rig.until_asked().await;
    assert_ne!(second.metadata.name, request.metadata.name);
    assert_eq!(read("bundle.pem"), bundle, "until then it has what it had");
    rig.answer(&second, "Issued", signed(&second)).await;
    let is_renewed = || {
        let now = read("bundle.pem");
        now != bundle && now == read("key.pem") + &read("chain.pem")
    };
    rig.eventually("another key and certificate", is_renewed).await;
    assert_eq!(rig.runtime.containers().len(), 1, "the container goes on");
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_certificate_is_refused_waits_and_says_why() {
    for (kind, event, state) in [("Denied", "was denied", "denied"), ("Failed", "failed", "failed")] {
        let rig = rig().await;
        rig.wants_certificate("ED25519").await;
        let request = rig.until_asked().await;
        rig.answer(&request, kind, PodCertificateRequestStatus::default()).await;
        let name = request.metadata.name.unwrap();
        let told = format!(
            "{kind} PodCertificateRequest default/{name} {event}, reason=\"Test\", message=\"so be it\""
        );
        rig.until_event("p", &told).await;
        let why = format!(
            "FailedMount MountVolume.SetUp failed for volume \"id\" : PodCertificateRequest was permanently {state}: reason=\"Test\" message=\"so be it\""
        );
        rig.until_event("p", &why).await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(rig.requests().len(), 1, "{kind}: nobody is asked again");
        assert!(rig.runtime.containers().is_empty(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_can_not_be_made_is_refused_at_once() {
    let rig = rig().await;
    rig.wants_certificate("RSA4096").await;
    let why = "FailedMount MountVolume.SetUp failed for volume \"id\" : while creating initial PodCertificateRequest: while generating keypair: key type \"RSA4096\" is not supported by this node: use ECDSAP256, ECDSAP384 or ED25519";
    rig.until_event("p", why).await;
    assert!(rig.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_somebody_deletes_is_made_again() {
    let rig = rig().await;
    rig.wants_certificate("ECDSAP384").await;
    let request = rig.until_asked().await;
    let requests = rig.root().api::<PodCertificateRequest>();
    requests.delete(&key_of(&request.metadata), DeleteOptions::default()).await.unwrap();
    let again = rig.until_asked().await;
    assert_ne!(again.metadata.uid, request.metadata.uid);
    rig.answer(&again, "Issued", signed(&again)).await;
    rig.until("p", |p| phase(p) == "Running").await;
}

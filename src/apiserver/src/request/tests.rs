//! Bodies that come whole, in pieces, or not at all.

use super::*;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;

#[test]
fn a_null_among_values_is_the_zero_of_its_type() {
    let json = br#"{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {"labels": {"a": null}},
            "spec": {"user": null, "groups": [null, "a"], "extra": {"b": null}}}"#;
    let review: SubjectAccessReview = typed(json).unwrap();
    assert_eq!(review.metadata.labels.unwrap()["a"], "");
    assert_eq!(review.spec.groups.unwrap(), ["", "a"]);
    assert_eq!(review.spec.extra.unwrap()["b"], [""; 0]);
    assert_eq!(review.spec.user, None);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_read_to_its_end_before_it_is_refused() {
    let read = Arc::new(Mutex::new(0));
    let seen = read.clone();
    let chunks = futures::stream::iter(0..5).map(move |_| {
        *seen.lock() += 1;
        Ok::<_, Status>(Bytes::from(vec![b'x'; 1024 * 1024]))
    });
    let mut request = Request::for_tests("POST", "/", "", Vec::new());
    request.chunks = Mutex::new(Box::pin(chunks));
    assert_eq!(request.body().await.unwrap_err().code, 413);
    assert_eq!(*read.lock(), 5, "a client that is cut off never reads the answer");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_is_a_timeout() {
    let chunk = futures::stream::iter([Ok::<_, Status>(Bytes::from_static(b"{"))]);
    let mut request = Request::for_tests("POST", "/", "", Vec::new());
    request.chunks = Mutex::new(Box::pin(chunk.chain(futures::stream::pending())));
    let status = request.body().await.unwrap_err();
    assert_eq!(
        (status.code, status.message.as_str()),
        (504, "request did not complete within the allotted timeout")
    );
}

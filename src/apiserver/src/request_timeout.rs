//! How long a request may take: upstream's `WithRequestDeadline` and `WithTimeoutForNonLongRunningRequests`.

use crate::outcome::Outcome;
use crate::request::Request;
use crate::request_info::ParsedPath;
use crate::responses;
use api::Status;
use std::pin::pin;
use std::time::Duration;
use warp::reply::Response;

/// Upstream's `--request-timeout`. A client may ask for less, and for no more.
const LONGEST: Duration = Duration::from_secs(60);

/// `None` for what goes on for as long as its client wants.
///
/// # Errors
/// `BadRequest` for a `timeout` that is no duration.
pub(crate) fn of(request: &Request) -> Result<Option<Duration>, Status> {
    if let ParsedPath::Resource(info) = ParsedPath::parse(&request.segments)
        && (info.is_a_connection() || info.verb(request) == "watch")
    {
        return Ok(None);
    }
    let Some(asked) = request.parameter("timeout") else { return Ok(Some(LONGEST)) };
    let asked = durations::parse(asked).map_err(|why| {
        Status::bad_request(format!("invalid timeout specified in the request URL - {why}"))
    })?;
    // none at all is what nobody can have
    let asked = u64::try_from(asked).ok().filter(|nanoseconds| *nanoseconds > 0);
    Ok(Some(asked.map_or(LONGEST, Duration::from_nanos).min(LONGEST)))
}

/// The answer, or that there was none in time; what it waited for is given up then.
pub(crate) async fn within(
    limit: Option<Duration>,
    outcome: &Outcome,
    answer: impl Future<Output = Response>,
) -> Response {
    let Some(limit) = limit else { return answer.await };
    // it is told that it is late before what works on it is dropped, and with it the audit log's event
    let mut answer = pin!(answer);
    match tokio::time::timeout(limit, answer.as_mut()).await {
        Ok(response) => response,
        Err(_) => responses::refusal(&outcome.give_up()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[test]
    fn what_may_take_how_long() {
        let seconds = |seconds| Ok(Some(Duration::from_secs(seconds)));
        let bad = "invalid timeout specified in the request URL - time: invalid duration \"soon\"";
        for (method, path, query, want) in [
            ("GET", "/api/v1/pods", "", seconds(60)),
            ("GET", "/version", "", seconds(60)),
            ("POST", "/api/v1/namespaces/a/pods", "timeout=5s", seconds(5)),
            ("GET", "/api/v1/pods", "timeout=2m", seconds(60)),
            ("GET", "/api/v1/pods", "timeout=0s", seconds(60)),
            ("GET", "/api/v1/pods", "timeout=-1s", seconds(60)),
            ("GET", "/api/v1/pods", "timeout=", seconds(60)),
            ("GET", "/api/v1/pods", "timeout=soon", Err(bad.to_owned())),
            ("GET", "/api/v1/pods", "watch=true&timeout=5s", Ok(None)),
            ("GET", "/api/v1/namespaces/a/pods/p/log", "", Ok(None)),
            ("POST", "/api/v1/namespaces/a/pods/p/exec", "", Ok(None)),
            ("POST", "/api/v1/namespaces/a/services/s/proxy/x", "timeout=soon", Ok(None)),
        ] {
            let request = Request::for_tests(method, path, query, Vec::new());
            assert_eq!(of(&request).map_err(|status| status.message), want, "{method} {path}?{query}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_in_time_is_given_up() {
        let begun = Instant::now();
        let outcome = Outcome::default();
        let late = within(Some(LONGEST), &outcome, std::future::pending()).await;
        assert_eq!((late.status().as_u16(), begun.elapsed().as_secs()), (504, LONGEST.as_secs()));
        assert!(!outcome.answered());
        let slow = async {
            tokio::time::sleep(LONGEST * 2).await;
            responses::success(200)
        };
        let outcome = Outcome::default();
        assert_eq!(within(None, &outcome, slow).await.status(), 200);
        assert!(outcome.answered());
    }
}

//! `/livez`, `/readyz` and `/healthz`, whole, with each check named (`?verbose`), and one check alone (`/livez/ping`).

use crate::request::Request;
use crate::responses;
use warp::reply::Response;

/// A check's name, and what is wrong where something is.
type Check = (&'static str, Option<&'static str>);

/// `None` for a path that is none of these. `ready` says whether the node has registered.
pub(crate) fn answer(request: &Request, segments: &[&str], ready: bool) -> Option<Response> {
    let (endpoint, one) = match segments {
        [endpoint] => (*endpoint, None),
        [endpoint, one] => (*endpoint, Some(*one)),
        _ => return None,
    };
    let mut checks: Vec<Check> = vec![("ping", None)];
    match endpoint {
        "livez" | "healthz" => {}
        "readyz" => checks.push(("node", (!ready).then_some("the node has not registered yet"))),
        _ => return None,
    }
    if let Some(one) = one {
        checks.retain(|(name, _)| *name == one);
        if checks.is_empty() {
            return None;
        }
    }
    let excluded = |name: &str| request.query.iter().any(|(key, value)| key == "exclude" && value == name);
    checks.retain(|(name, _)| !excluded(name));
    let verbose = request.query.iter().any(|(key, _)| key == "verbose");
    let (code, text) = report(endpoint, &checks, verbose);
    Some(responses::text(code, text))
}

fn report(endpoint: &str, checks: &[Check], verbose: bool) -> (u16, String) {
    let failed = checks.iter().any(|(_, wrong)| wrong.is_some());
    if !failed && !verbose {
        return (200, "ok".to_owned());
    }
    let mut text = String::new();
    for (name, wrong) in checks {
        text += &match wrong {
            None => format!("[+]{name} ok\n"),
            Some(why) => format!("[-]{name} failed: {why}\n"),
        };
    }
    let (code, end) = if failed { (500, "failed") } else { (200, "passed") };
    (code, format!("{text}{endpoint} check {end}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_its_checks_where_asked_or_where_one_failed() {
        let (well, ill) = ([("ping", None)], [("ping", None), ("node", Some("gone"))]);
        let cases: [(&[Check], bool, u16, &str); 3] = [
            (&well, false, 200, "ok"),
            (&well, true, 200, "[+]ping ok\nreadyz check passed\n"),
            (&ill, false, 500, "[+]ping ok\n[-]node failed: gone\nreadyz check failed\n"),
        ];
        for (checks, verbose, code, text) in cases {
            assert_eq!(report("readyz", checks, verbose), (code, text.to_owned()), "{checks:?} {verbose}");
        }
    }
}

use super::*;

const PORT: u16 = 8444;

struct Browser {
    dashboard: Dashboard,
    cookie: String,
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "127.0.0.1:8444");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// For what is asked of nobody in particular.
fn nobody() -> Option<u32> {
    panic!("nobody needs to know whose browser it is");
}

/// What the kernel does not know.
fn untold() -> Option<u32> {
    None
}

fn refused(answer: ControlFlow<Answer, Actor>) -> Option<u16> {
    answer.break_value().map(|response| response.status().as_u16())
}

impl Browser {
    fn logged_in() -> Self {
        let dashboard = Dashboard::new("monopod", PORT);
        let url = dashboard.login_url(None);
        let path = url.strip_prefix("http://127.0.0.1:8444").unwrap().to_owned();
        let answer = dashboard.answer(&request("GET", &path, &[]), &untold).break_value().unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()[header::LOCATION]),
            (StatusCode::SEE_OTHER, &"/".parse().unwrap())
        );
        let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
        assert_eq!(
            refused(dashboard.answer(&request("GET", &path, &[]), &nobody)),
            Some(403),
            "the link is used up"
        );
        Browser { dashboard, cookie: cookie.split(';').next().unwrap().to_owned() }
    }

    fn asks(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> ControlFlow<Answer, Actor> {
        let cookie = format!("theme=dark; {}", self.cookie);
        let all = [headers, &[("cookie", &cookie)]].concat();
        self.dashboard.answer(&request(method, path, &all), &nobody)
    }
}

#[test]
fn a_session_acts_as_the_administrator() {
    let actor = Browser::logged_in().asks("GET", "/api/v1/pods", &[]).continue_value().unwrap();
    assert_eq!(actor.name, ADMIN);
    assert!(actor.is_in(Actor::MASTERS));
}

#[test]
fn without_a_session_nothing_is_shown() {
    let dashboard = Dashboard::new("other", PORT);
    let answer = dashboard.answer(&request("GET", "/", &[]), &nobody).break_value().unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(String::from_utf8_lossy(answer.body()).contains("monopod -p other dashboard"));
    let wrong = ("cookie", "other-dashboard-8444=00");
    for path in ["/api/v1/pods", "/version", "/style.css", "/login", "/login?token=", "/login?token=00"] {
        let code = refused(dashboard.answer(&request("GET", path, &[wrong]), &nobody));
        assert!(matches!(code, Some(401 | 403)), "{path}: {code:?}");
    }
    let url = dashboard.login_url(None);
    let path = url.strip_prefix("http://127.0.0.1:8444").unwrap();
    assert_eq!(
        refused(dashboard.answer(&request("HEAD", path, &[]), &nobody)),
        Some(401),
        "HEAD uses no link up"
    );
    assert_eq!(refused(dashboard.answer(&request("GET", path, &[]), &untold)), Some(303));
}

#[test]
fn a_cookie_is_of_one_profile_and_port() {
    let browser = Browser::logged_in();
    let secret = browser.cookie.split_once('=').unwrap().1;
    for name in ["monopod-dashboard-8445", "other-dashboard-8444", "monopod-dashboard"] {
        let cookie = format!("{name}={secret}");
        let answer = browser.dashboard.answer(&request("GET", "/version", &[("cookie", &cookie)]), &nobody);
        assert_eq!(refused(answer), Some(401), "{name}");
    }
}

#[test]
fn other_hosts_and_other_sites_are_refused() {
    let browser = Browser::logged_in();
    let socket = ("upgrade", "websocket");
    let ours = ("origin", "http://127.0.0.1:8444");
    let cases: &[(&str, &str, &[(&str, &str)], Option<u16>)] = &[
        ("localhost", "GET", &[("host", "localhost:8444")], None),
        ("rebound name", "GET", &[("host", "evil.example:8444")], Some(421)),
        ("another port", "GET", &[("host", "127.0.0.1:9000")], Some(421)),
        ("no host", "GET", &[("host", "")], Some(421)),
        ("write from us", "DELETE", &[ours], None),
        ("write from nowhere", "DELETE", &[], Some(403)),
        ("write from another port", "POST", &[("origin", "http://127.0.0.1:30080")], Some(403)),
        ("write from a sandbox", "POST", &[("origin", "null")], Some(403)),
        ("write from our other name", "POST", &[("origin", "http://localhost:8444")], Some(403)),
        ("socket from us", "GET", &[socket, ours], None),
        ("socket from nowhere", "GET", &[socket], Some(403)),
        ("socket from elsewhere", "GET", &[socket, ("origin", "https://evil.example")], Some(403)),
        ("fetch from us", "GET", &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")], None),
        (
            "fetch from a node port",
            "GET",
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")],
            Some(403),
        ),
        (
            "fetch from elsewhere",
            "GET",
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
            Some(403),
        ),
        (
            "a link elsewhere",
            "GET",
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
            None,
        ),
        (
            "a form elsewhere",
            "POST",
            &[ours, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
            Some(403),
        ),
    ];
    for (name, method, headers, want) in cases {
        assert_eq!(refused(browser.asks(method, "/api/v1/pods", headers)), *want, "{name}");
    }
}

#[test]
fn what_a_pod_serves_is_not_reached_through() {
    let browser = Browser::logged_in();
    let cases = [
        ("/api/v1/namespaces/a/pods/p/proxy", Some(403)),
        ("/api/v1/namespaces/a/services/http:web:80/proxy/index.html", Some(403)),
        ("/api/v1/nodes/n/proxy/logs", Some(403)),
        ("/api/v1/namespaces/a/pods/p/%70roxy/x", Some(403)),
        ("/api/v1//namespaces/a/pods//p/proxy/x", Some(403)),
        ("/api/v1/namespaces/proxy/pods/p/log", None),
        ("/api/v1/namespaces/a/pods/proxy", None),
        ("/api/v1/namespaces/a/pods/p/portforward", None),
    ];
    for (path, want) in cases {
        assert_eq!(refused(browser.asks("GET", path, &[])), want, "{path}");
    }
}

#[test]
fn pages_are_read_only() {
    let browser = Browser::logged_in();
    let ours = ("origin", "http://127.0.0.1:8444");
    assert_eq!(refused(browser.asks("POST", "/", &[ours])), Some(405));
    assert!(matches!(refused(browser.asks("GET", "/", &[])), Some(200 | 503)));
}

#[test]
fn a_link_opens_its_users_browser_only_and_stays_good_for_it() {
    let others = [("another user", Some(1001)), ("nobody", Some(65534)), ("not to be told", None)];
    for (name, user) in [("its user", Some(1000)), ("root", Some(0))] {
        let dashboard = Dashboard::new("monopod", PORT);
        let url = dashboard.login_url(Some(1000));
        let login = request("GET", url.strip_prefix("http://127.0.0.1:8444").unwrap(), &[]);
        for (other, user) in others {
            let answer = dashboard.answer(&login, &|| user).break_value().unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{other}");
            assert!(!answer.headers().contains_key(header::SET_COOKIE), "{other}");
            let page = String::from_utf8_lossy(answer.body()).into_owned();
            assert!(page.contains("User 1000 asked for it"), "{other}: {page}");
        }
        assert_eq!(refused(dashboard.answer(&login, &|| user)), Some(303), "{name}");
        assert_eq!(refused(dashboard.answer(&login, &|| user)), Some(403), "{name}: used up");
    }
}

/// What listens at another port of 127.0.0.1 is sent the cookie as well, and may be another user's.
#[test]
fn a_cookie_is_worth_nothing_to_another_user() {
    let openings = [
        ("a user's link", Some(1000), Some(1000)),
        ("a user's link, opened by root", Some(1000), Some(0)),
        ("a link that is nobody's", None, Some(1000)),
    ];
    for (name, link, caller) in openings {
        let dashboard = Dashboard::new("monopod", PORT);
        let url = dashboard.login_url(link);
        let login = request("GET", url.strip_prefix("http://127.0.0.1:8444").unwrap(), &[]);
        let answer = dashboard.answer(&login, &|| caller).break_value().unwrap();
        let cookie =
            answer.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let asks = |path: &str, user: Option<u32>| {
            refused(dashboard.answer(&request("GET", path, &[("cookie", &cookie)]), &|| user))
        };
        for (user, want) in [(Some(1000), None), (Some(0), None), (Some(1001), Some(401)), (None, Some(401))]
        {
            assert_eq!(asks("/api/v1/secrets", user), want, "{name}: {user:?}");
        }
        assert_eq!(asks("/", Some(1001)), Some(401), "{name}: a page");
        let stranger = request("GET", "/version", &[("cookie", &cookie)]);
        let answer = dashboard.answer(&stranger, &|| Some(1001)).break_value().unwrap();
        assert!(String::from_utf8_lossy(answer.body()).contains("another user's"), "{name}");
    }
}

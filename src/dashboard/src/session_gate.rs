//! Who comes in, and as whom.

use crate::sessions::{Owner, ROOT, Sessions};
use crate::{answers, pages};
use bytes::Bytes;
use cluster::Actor;
use http::header::{self, HeaderName};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use parking_lot::Mutex;
use std::ops::ControlFlow;
use std::time::Instant;

/// What the API answers at; every other path is a page.
const API: [&str; 9] =
    ["api", "apis", "healthz", "livez", "metrics", "openapi", "openid", "readyz", "version"];
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// The administrator's, as the kubeconfig of the profile has it.
const ADMIN: &str = "monopod-admin";

/// The sessions of one profile's dashboard, and what it answers.
///
/// A session is a cookie, and cookies know no ports: what listens on another port of 127.0.0.1 is sent it too, when the user opens that in
/// the same browser, whoever's program or pod that is. So the cookie is worth something on this machine only, where it came from, and to
/// programs of the user alone in whose browser it is.
pub struct Dashboard {
    port: u16,
    cookie: String,
    /// How a user gets a link, for those who come without one.
    command: String,
    sessions: Mutex<Sessions>,
}

type Answer = Response<Bytes>;
/// Finds out whose program is at the other end of the connection: a user's id, where it can be told.
type AskUser<'a> = &'a dyn Fn() -> Option<u32>;

impl Dashboard {
    /// `port` is where the listener is, on 127.0.0.1.
    pub fn new(profile: &str, port: u16) -> Self {
        let command = match profile {
            "monopod" => "monopod dashboard".to_owned(),
            other => format!("monopod -p {other} dashboard"),
        };
        let cookie = format!("{profile}-dashboard-{port}");
        Dashboard { port, cookie, command, sessions: Mutex::default() }
    }

    /// A fresh link that logs one browser in, once, within five minutes: of the user with that id, or of root. A link is read by
    /// others where it is an argument of a program. Without a user it opens whoever's browser has it.
    pub fn login_url(&self, user: Option<u32>) -> String {
        let token = self.sessions().issue(user, Instant::now());
        format!("http://127.0.0.1:{}/login?token={token}", self.port)
    }

    /// Answers a request by itself, or lets it go on to the API as the actor. `user` is asked only of who has a link
    /// that is good, or a session that is somebody's.
    pub fn answer(&self, request: &Parts, user: AskUser<'_>) -> ControlFlow<Answer, Actor> {
        let refused = || {
            self.misdirected(request).or_else(|| cross_site(request)).or_else(|| login(self, request, user))
        };
        if let Some(answer) = refused().or_else(|| self.without_session(request, user)) {
            return ControlFlow::Break(answer);
        }
        match segment(request, 0) {
            root if !API.contains(&root) => ControlFlow::Break(page(request)),
            // what a pod serves must not run in this origin, beside the session
            _ if is_proxy(request) => ControlFlow::Break(answers::status(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "the dashboard's session does not reach through the proxy: use kubectl proxy",
            )),
            _ => ControlFlow::Continue(Actor::user(ADMIN, &[Actor::MASTERS, Actor::AUTHENTICATED])),
        }
    }

    /// A name that somebody else made to point at 127.0.0.1 is not ours (DNS rebinding).
    fn misdirected(&self, request: &Parts) -> Option<Answer> {
        let host = host(request);
        let ours = [format!("127.0.0.1:{}", self.port), format!("localhost:{}", self.port)];
        let sentence = "The dashboard answers to 127.0.0.1 and localhost only.";
        (!ours.iter().any(|name| name.eq_ignore_ascii_case(host)))
            .then(|| answers::notice(StatusCode::MISDIRECTED_REQUEST, "Not here", sentence))
    }

    fn without_session(&self, request: &Parts, user: AskUser<'_>) -> Option<Answer> {
        let mut mine = cookies(request).filter(|(name, _)| *name == self.cookie);
        let now = Instant::now();
        // the sessions are not held while the kernel is asked
        let owner = mine.find_map(|(_, value)| self.sessions().owner_of_session(value, now));
        let why = match owner {
            Some(owner) if owner.admits(user) => return None,
            Some(_) => "this session is another user's",
            None => "this browser's session has ended",
        };
        let command = &self.command;
        Some(if API.contains(&segment(request, 0)) {
            let sentence = format!("{why}: run {command} to open a new one");
            answers::status(StatusCode::UNAUTHORIZED, "Unauthorized", &sentence)
        } else {
            let sentence = format!("Run <code>{command}</code> in a terminal: it opens this page for you.");
            answers::notice(StatusCode::UNAUTHORIZED, "The dashboard needs a key", &sentence)
        })
    }

    fn sessions(&self) -> parking_lot::MutexGuard<'_, Sessions> {
        self.sessions.lock()
    }
}

/// Turns the link's token into a cookie.
fn login(dashboard: &Dashboard, request: &Parts, user: AskUser<'_>) -> Option<Answer> {
    if request.uri.path() != "/login" || request.method != Method::GET {
        return None;
    }
    let pairs = request.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let token = pairs.into_iter().find(|(key, _)| *key == "token").map_or("", |(_, value)| value);
    let now = Instant::now();
    // the sessions are not held while the kernel is asked
    let owner = dashboard.sessions().owner_of_link(token, now);
    let caller = owner.and_then(|_| user());
    if let Some(refused) = owner.and_then(|Owner(owner)| of_another(dashboard, owner?, caller)) {
        return Some(refused);
    }
    let Some(secret) = dashboard.sessions().redeem(token, caller, now) else {
        let sentence = format!(
            "It opens one browser, once, within five minutes. Run <code>{}</code> for a new one.",
            dashboard.command
        );
        return Some(answers::notice(StatusCode::FORBIDDEN, "This link is used up", &sentence));
    };
    let mut answer = answers::notice(StatusCode::SEE_OTHER, "Welcome", "The dashboard is at /.");
    let cookie = format!("{}={secret}; Path=/; HttpOnly; SameSite=Strict", dashboard.cookie);
    answers::set(answer.headers_mut(), header::SET_COOKIE, &cookie);
    answers::set(answer.headers_mut(), header::LOCATION, "/");
    Some(answer)
}

/// The link stays good: who reads it on a command line must not use it up either.
fn of_another(dashboard: &Dashboard, owner: u32, user: Option<u32>) -> Option<Answer> {
    let who = match user {
        Some(user) if user == owner || user == ROOT => return None,
        Some(user) => format!("this browser runs as user {user}"),
        None => "whose browser this is can not be told".to_owned(),
    };
    let sentence = format!(
        "User {owner} asked for it, and {who}. It is still good for a browser of user {owner}. Run <code>sudo {}</code> as \
         the user whose browser it is to open.",
        dashboard.command
    );
    Some(answers::notice(StatusCode::FORBIDDEN, "This link is another user's", &sentence))
}

/// Pages of others may link to us, and do nothing else. A browser says where a request comes from: in `Origin` for all that
/// changes something and for WebSockets, in `Sec-Fetch-Site` for the rest.
fn cross_site(request: &Parts) -> Option<Answer> {
    let reads = [Method::GET, Method::HEAD].contains(&request.method)
        && !request.headers.contains_key(header::UPGRADE);
    let same_origin = text(request, &header::ORIGIN) == format!("http://{}", host(request));
    let navigates = reads && text(request, &FETCH_MODE) == "navigate";
    let from_us = matches!(text(request, &FETCH_SITE), "" | "same-origin" | "none");
    let fine = (reads || same_origin) && (from_us || navigates);
    let sentence = "requests from other sites are refused";
    (!fine).then(|| answers::status(StatusCode::FORBIDDEN, "Forbidden", sentence))
}

fn page(request: &Parts) -> Answer {
    match request.method {
        Method::GET | Method::HEAD => pages::page(request.uri.path(), &request.headers),
        _ => answers::notice(StatusCode::METHOD_NOT_ALLOWED, "This is a page", "It can be read only."),
    }
}

/// `…/pods/NAME/proxy/…`, `…/services/NAME/proxy/…`, `…/nodes/NAME/proxy/…`. Decoded, as the API decodes it.
fn is_proxy(request: &Parts) -> bool {
    let decoded = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    let parts: Vec<String> =
        request.uri.path().split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    // as a namespace or a name it comes right behind the resource
    let after_name = |window: &[String]| {
        ["pods", "services", "nodes"].contains(&window[0].as_str()) && window[2] == "proxy"
    };
    parts.windows(3).any(after_name)
}

fn segment(request: &Parts, number: usize) -> &str {
    request.uri.path().split('/').filter(|part| !part.is_empty()).nth(number).unwrap_or_default()
}

fn host(request: &Parts) -> &str {
    request.uri.authority().map_or_else(|| text(request, &header::HOST), |authority| authority.as_str())
}

fn text<'a>(request: &'a Parts, name: &HeaderName) -> &'a str {
    request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn cookies(request: &Parts) -> impl Iterator<Item = (&str, &str)> {
    let all = request.headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests;

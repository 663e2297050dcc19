//! Acting as somebody else (`kubectl --as`): every part of the other identity must be allowed, and what can not be read is
//! refused. Nothing that is asked for is left out, because then the caller's own rights would apply. The rules are
//! upstream's `impersonation.go`.

use api::Status;
use cluster::{Actor, Attributes, Cluster};
use http::{HeaderMap, HeaderValue};
use kinds::builtin::names;
use std::collections::BTreeMap;

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";
const AUTHENTICATION: &str = "authentication.k8s.io";
const ANONYMOUS: &str = "system:anonymous";

/// Who somebody wants to be.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    user: String,
    groups: Vec<String>,
    /// Key and values.
    extra: BTreeMap<String, Vec<String>>,
    uid: String,
}

/// # Errors
/// `Forbidden`, and `BadRequest` for headers that are no text, or name parts of an identity without its user.
pub(crate) async fn impersonate(
    cluster: &Cluster,
    headers: &HeaderMap,
    actor: Actor,
) -> Result<Actor, Status> {
    let Some(wanted) = Wanted::read(headers)? else { return Ok(actor) };
    for attributes in wanted.attributes() {
        cluster.ask(&actor, &attributes).await.permit(&actor, &attributes)?;
    }
    Ok(wanted.actor())
}

impl Wanted {
    /// `None` where nothing is asked for.
    fn read(headers: &HeaderMap) -> Result<Option<Wanted>, Status> {
        let first = |name: &str| headers.get(name).map(text).transpose().map(Option::unwrap_or_default);
        let mut wanted = Wanted {
            user: first(USER)?,
            groups: headers.get_all(GROUP).iter().map(text).collect::<Result<_, _>>()?,
            extra: BTreeMap::new(),
            uid: first(UID)?,
        };
        for (name, value) in headers {
            // names of headers are in small letters here, and so are the keys upstream
            let Some(key) = name.as_str().strip_prefix(EXTRA) else { continue };
            wanted.extra.entry(unescaped(key)).or_default().push(text(value)?);
        }
        if !wanted.user.is_empty() {
            return Ok(Some(wanted));
        }
        match wanted.shown() {
            shown if shown.is_empty() => Ok(None),
            shown => Err(Status::bad_request(format!(
                "requested [{}] without impersonating a user",
                shown.join(" ")
            ))),
        }
    }

    /// The parts besides the user, as Go prints its references.
    fn shown(&self) -> Vec<String> {
        let groups = self.groups.iter().map(|group| format!("{{Group  {group}    }}"));
        let extra = self.extra.iter().flat_map(|(key, values)| {
            values.iter().map(move |value| format!("{{UserExtra  {value}  {AUTHENTICATION}/v1  {key}}}"))
        });
        let uid = (!self.uid.is_empty()).then(|| format!("{{UID  {}  {AUTHENTICATION}/v1  }}", self.uid));
        groups.chain(extra).chain(uid).collect()
    }

    /// All that must be allowed.
    fn attributes(&self) -> Vec<Attributes> {
        let ask = |group: &str, resource: &str, name: &str| Attributes {
            verb: "impersonate".into(),
            group: group.into(),
            resource: resource.into(),
            name: Some(name.into()),
            ..Attributes::default()
        };
        let mut all = vec![match self.service_account() {
            Some((namespace, name)) => {
                Attributes { namespace: Some(namespace.into()), ..ask("", "serviceaccounts", name) }
            }
            None => ask("", "users", &self.user),
        }];
        all.extend(self.groups.iter().map(|group| ask("", "groups", group)));
        for (key, values) in &self.extra {
            all.extend(values.iter().map(|value| Attributes {
                subresource: key.clone(),
                ..ask(AUTHENTICATION, "userextras", value)
            }));
        }
        if !self.uid.is_empty() {
            all.push(ask(AUTHENTICATION, "uids", &self.uid));
        }
        all
    }

    fn service_account(&self) -> Option<(&str, &str)> {
        let (namespace, name) = self.user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        (names::dns_label(namespace).is_ok() && names::dns_subdomain(name).is_ok())
            .then_some((namespace, name))
    }

    /// An account's groups are known; those of a user are what is asked for. Whoever has been let in is authenticated.
    fn actor(self) -> Actor {
        let mut groups = match self.service_account() {
            Some((namespace, name)) if self.groups.is_empty() => {
                Actor::service_account(namespace, name).groups
            }
            _ => self.groups,
        };
        let has = |groups: &[String], group: &str| groups.iter().any(|known| known == group);
        let missing = match self.user == ANONYMOUS {
            true => Some(Actor::UNAUTHENTICATED).filter(|group| !has(&groups, group)),
            false => Some(Actor::AUTHENTICATED)
                .filter(|group| !has(&groups, group) && !has(&groups, Actor::UNAUTHENTICATED)),
        };
        groups.extend(missing.map(str::to_owned));
        Actor::known(self.user, self.uid, groups, self.extra)
    }
}

/// A name may have any letters; clients send them as UTF-8.
fn text(value: &HeaderValue) -> Result<String, Status> {
    let text = std::str::from_utf8(value.as_bytes());
    text.map(str::to_owned).map_err(|_| Status::bad_request("an impersonation header is not valid UTF-8"))
}

/// `acme.com%2fproject`. What is escaped wrongly is a key as it is.
fn unescaped(key: &str) -> String {
    let escapes_are_whole = key.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    });
    let decoded = percent_encoding::percent_decode_str(key).decode_utf8();
    decoded.ok().filter(|_| escapes_are_whole).map_or_else(|| key.to_owned(), |key| key.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn headers(given: &[(&str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            let name: HeaderName = name.to_lowercase().parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn what_is_asked_for_becomes_somebody() {
        let cases: [(&str, &[(&str, &[u8])], &str, &[&str], &str); 10] = [
            ("a user", &[(USER, b"jane")], "jane", &["system:authenticated"], ""),
            (
                "letters of any language",
                &[(USER, "jürgen".as_bytes())],
                "jürgen",
                &["system:authenticated"],
                "",
            ),
            (
                "groups",
                &[(USER, b"jane"), (GROUP, b"dev"), (GROUP, b"ops")],
                "jane",
                &["dev", "ops", "system:authenticated"],
                "",
            ),
            (
                "an account",
                &[(USER, b"system:serviceaccount:shop:web")],
                "system:serviceaccount:shop:web",
                &["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
                "",
            ),
            (
                "an account with other groups",
                &[(USER, b"system:serviceaccount:shop:web"), (GROUP, b"dev")],
                "system:serviceaccount:shop:web",
                &["dev", "system:authenticated"],
                "",
            ),
            (
                "no account",
                &[(USER, b"system:serviceaccount:Shop:web")],
                "system:serviceaccount:Shop:web",
                &["system:authenticated"],
                "",
            ),
            (
                "nobody known",
                &[(USER, b"system:anonymous")],
                "system:anonymous",
                &["system:unauthenticated"],
                "",
            ),
            (
                "said to be unknown",
                &[(USER, b"jane"), (GROUP, b"system:unauthenticated")],
                "jane",
                &["system:unauthenticated"],
                "",
            ),
            (
                "already authenticated",
                &[(USER, b"jane"), (GROUP, b"system:authenticated")],
                "jane",
                &["system:authenticated"],
                "",
            ),
            ("a uid", &[(USER, b"jane"), (UID, b"u-1")], "jane", &["system:authenticated"], "u-1"),
        ];
        for (name, given, user, groups, uid) in cases {
            let actor = Wanted::read(&headers(given)).unwrap().unwrap().actor();
            assert_eq!((actor.name.as_str(), actor.uid.as_str()), (user, uid), "{name}");
            assert_eq!(actor.groups, groups, "{name}");
        }
        assert_eq!(Wanted::read(&headers(&[(USER, b"")])).unwrap(), None);
    }

    #[test]
    fn keys_of_extras_are_unescaped() {
        let given = [
            (USER, &b"jane"[..]),
            ("Impersonate-Extra-Scopes", b"a"),
            ("Impersonate-Extra-Scopes", b"b"),
            ("Impersonate-Extra-Acme.com%2FProject", b"p"),
            ("Impersonate-Extra-Half%2", b"h"),
        ];
        let wanted = Wanted::read(&headers(&given)).unwrap().unwrap();
        let asked: Vec<String> = wanted
            .attributes()
            .into_iter()
            .map(|a| format!("{} {} {} {}", a.group, a.resource, a.subresource, a.name.unwrap_or_default()))
            .collect();
        assert_eq!(
            asked,
            [
                " users  jane",
                "authentication.k8s.io userextras acme.com/project p",
                "authentication.k8s.io userextras half%2 h",
                "authentication.k8s.io userextras scopes a",
                "authentication.k8s.io userextras scopes b",
            ]
        );
        assert_eq!(wanted.actor().extra["scopes"], ["a", "b"]);
    }

    #[test]
    fn parts_without_a_user_and_what_is_no_text_are_refused() {
        let cases: [(&str, &[(&str, &[u8])], &str); 4] = [
            ("groups", &[(GROUP, b"dev")], "requested [{Group  dev    }] without impersonating a user"),
            (
                "extra",
                &[("impersonate-extra-a", b"b")],
                "requested [{UserExtra  b  authentication.k8s.io/v1  a}] without impersonating a user",
            ),
            (
                "uid",
                &[(UID, b"u"), (USER, b"")],
                "requested [{UID  u  authentication.k8s.io/v1  }] without impersonating a user",
            ),
            ("no text", &[(USER, b"j\xfcrgen")], "an impersonation header is not valid UTF-8"),
        ];
        for (name, given, want) in cases {
            let status = Wanted::read(&headers(given)).unwrap_err();
            assert_eq!((status.code, status.message.as_str()), (400, want), "{name}");
        }
    }
}

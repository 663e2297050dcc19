//! One-time links and the sessions that they are turned into. Only hashes are kept: who reads this memory can not log in with it.

use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

/// Long enough to switch to the browser, short enough that a link in a shell's history opens nothing.
const LINK_LIFE: Duration = Duration::from_secs(5 * 60);
/// A working day; each request begins it anew.
const SESSION_IDLE: Duration = Duration::from_secs(12 * 60 * 60);
/// The oldest give way: nobody fills our memory with links.
const MOST: usize = 32;

#[derive(Default)]
pub(crate) struct Sessions {
    links: Vec<Secret>,
    sessions: Vec<Secret>,
}

struct Secret {
    hash: [u8; 32],
    until: Instant,
    owner: Owner,
}

/// Whose browser a link opens or a session is of, a user's id; whoever's has it, where nobody is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) Option<u32>);

/// May read what any user has, so that a link or a session tells him nothing new.
pub(crate) const ROOT: u32 = 0;

impl Owner {
    /// `user` is asked only where somebody is named, and what can not be told is another's.
    pub(crate) fn admits(self, user: impl FnOnce() -> Option<u32>) -> bool {
        self.0.is_none_or(|owner| user().is_some_and(|user| user == owner || user == ROOT))
    }
}

impl Sessions {
    /// A token for a link that is good for one use within [`LINK_LIFE`], by the user with that id where there is one.
    pub(crate) fn issue(&mut self, user: Option<u32>, now: Instant) -> String {
        remember(&mut self.links, Owner(user), now, LINK_LIFE)
    }

    /// Whose a link is that is still good; nobody's use of it.
    pub(crate) fn owner_of_link(&mut self, token: &str, now: Instant) -> Option<Owner> {
        let link = find(&mut self.links, token, now)?;
        Some(self.links[link].owner)
    }

    /// The session's secret, in exchange for a link's token. The caller has looked whether it is [`Sessions::owner_of_link`] who
    /// asks. A link that is nobody's opens a session of the `user` who comes with it.
    pub(crate) fn redeem(&mut self, token: &str, user: Option<u32>, now: Instant) -> Option<String> {
        let link = find(&mut self.links, token, now)?;
        let link = self.links.swap_remove(link);
        Some(remember(&mut self.sessions, Owner(link.owner.0.or(user)), now, SESSION_IDLE))
    }

    /// Whose a session is that goes on: it does for as long again.
    pub(crate) fn owner_of_session(&mut self, secret: &str, now: Instant) -> Option<Owner> {
        let session = find(&mut self.sessions, secret, now)?;
        self.sessions[session].until = now + SESSION_IDLE;
        Some(self.sessions[session].owner)
    }
}

fn remember(among: &mut Vec<Secret>, owner: Owner, now: Instant, life: Duration) -> String {
    let secret = rand::random::<[u8; 32]>();
    let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    if among.len() == MOST {
        among.sort_by_key(|secret| secret.until);
        among.remove(0);
    }
    among.push(Secret { hash: hash(&text), until: now + life, owner });
    text
}

fn find(among: &mut Vec<Secret>, text: &str, now: Instant) -> Option<usize> {
    among.retain(|secret| now < secret.until);
    let wanted = hash(text);
    // all are compared, each to its end: how long it takes tells nothing
    let mut found = None;
    for (place, secret) in among.iter().enumerate() {
        if same(&secret.hash, &wanted) {
            found = Some(place);
        }
    }
    found
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_one_session_once() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let token = sessions.issue(None, now);
        assert_eq!(token.len(), 64);
        assert!(sessions.owner_of_session(&token, now).is_none(), "a link is no session");
        let secret = sessions.redeem(&token, None, now).unwrap();
        assert_ne!(secret, token);
        assert!(sessions.owner_of_session(&secret, now).is_some());
        assert_eq!(sessions.redeem(&token, None, now), None, "used");
        assert_eq!(sessions.redeem(&secret, None, now), None, "a session is no link");
    }

    #[test]
    fn links_and_sessions_end() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let (early, late) = (sessions.issue(None, now), sessions.issue(None, now));
        let secret = sessions.redeem(&early, None, now + LINK_LIFE - Duration::from_millis(1)).unwrap();
        assert_eq!(sessions.redeem(&late, None, now + LINK_LIFE), None, "five minutes are over");
        let used = now + SESSION_IDLE;
        assert!(sessions.owner_of_session(&secret, used).is_some(), "redeemed later than now");
        assert!(
            sessions.owner_of_session(&secret, used + SESSION_IDLE - Duration::from_secs(1)).is_some(),
            "each use prolongs it"
        );
        assert!(sessions.owner_of_session(&secret, used + 2 * SESSION_IDLE).is_none());
    }

    #[test]
    fn what_was_never_issued_opens_nothing() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let token = sessions.issue(None, now);
        let mut forged = token.clone();
        forged.replace_range(63.., if token.ends_with('0') { "1" } else { "0" });
        for wrong in ["", "0", &forged, &token[..63], &token.to_uppercase().replace(char::is_numeric, "A")] {
            assert_eq!(sessions.redeem(wrong, None, now), None, "{wrong:?}");
        }
        assert!(sessions.redeem(&token, None, now).is_some());
    }

    #[test]
    fn a_link_knows_its_user_as_long_as_it_is_good() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let (own, open) = (sessions.issue(Some(1000), now), sessions.issue(None, now));
        assert_eq!(sessions.owner_of_link(&own, now), Some(Owner(Some(1000))));
        assert_eq!(sessions.owner_of_link(&own, now), Some(Owner(Some(1000))), "to look uses nothing up");
        assert_eq!(sessions.owner_of_link(&open, now), Some(Owner(None)));
        assert!(sessions.redeem(&own, None, now).is_some());
        assert_eq!(sessions.owner_of_link(&own, now), None, "used");
    }

    #[test]
    fn the_oldest_link_gives_way() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let tokens: Vec<String> =
            (0..=MOST as u64).map(|i| sessions.issue(None, now + Duration::from_millis(i))).collect();
        let later = now + Duration::from_secs(1);
        assert_eq!(sessions.redeem(&tokens[0], None, later), None);
        assert!(sessions.redeem(&tokens[1], None, later).is_some());
        assert!(sessions.redeem(&tokens[MOST], None, later).is_some());
    }

    #[test]
    fn a_session_is_its_links_users_else_his_who_came_with_it() {
        let now = Instant::now();
        let cases = [
            ("of a user's link", Some(1000), Some(1000), Some(1000)),
            ("opened by root", Some(1000), Some(0), Some(1000)),
            ("of a link that is nobody's", None, Some(1000), Some(1000)),
            ("of somebody who can not be told", None, None, None),
        ];
        for (name, link, caller, want) in cases {
            let mut sessions = Sessions::default();
            let token = sessions.issue(link, now);
            let secret = sessions.redeem(&token, caller, now).unwrap();
            assert_eq!(sessions.owner_of_session(&secret, now), Some(Owner(want)), "{name}");
        }
    }

    #[test]
    fn an_owner_admits_himself_and_root() {
        let owner = Owner(Some(1000));
        for (user, want) in [(Some(1000), true), (Some(0), true), (Some(1001), false), (None, false)] {
            assert_eq!(owner.admits(|| user), want, "{user:?}");
        }
        assert!(Owner(None).admits(|| panic!("nobody needs to be known")));
    }
}

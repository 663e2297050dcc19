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
    /// Of a link: whose browser it opens; whoever's has it, where nobody is named.
    user: Option<u32>,
}

impl Sessions {
    /// A token for a link that is good for one use within [`LINK_LIFE`], by the user with that id where there is one.
    pub(crate) fn issue(&mut self, user: Option<u32>, now: Instant) -> String {
        remember(&mut self.links, user, now, LINK_LIFE)
    }

    /// Whose browser a link opens; nobody's use of it.
    pub(crate) fn user_of(&mut self, token: &str, now: Instant) -> Option<u32> {
        let link = find(&mut self.links, token, now)?;
        self.links[link].user
    }

    /// The session's secret, in exchange for a link's token. The caller has looked whether it is [`Sessions::user_of`] who asks.
    pub(crate) fn redeem(&mut self, token: &str, now: Instant) -> Option<String> {
        let link = find(&mut self.links, token, now)?;
        self.links.swap_remove(link);
        Some(remember(&mut self.sessions, None, now, SESSION_IDLE))
    }

    pub(crate) fn admits(&mut self, secret: &str, now: Instant) -> bool {
        let Some(session) = find(&mut self.sessions, secret, now) else { return false };
        self.sessions[session].until = now + SESSION_IDLE;
        true
    }
}

fn remember(among: &mut Vec<Secret>, user: Option<u32>, now: Instant, life: Duration) -> String {
    let secret = rand::random::<[u8; 32]>();
    let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    if among.len() == MOST {
        among.sort_by_key(|secret| secret.until);
        among.remove(0);
    }
    among.push(Secret { hash: hash(&text), until: now + life, user });
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
        assert!(!sessions.admits(&token, now), "a link is no session");
        let secret = sessions.redeem(&token, now).unwrap();
        assert_ne!(secret, token);
        assert!(sessions.admits(&secret, now));
        assert_eq!(sessions.redeem(&token, now), None, "used");
        assert_eq!(sessions.redeem(&secret, now), None, "a session is no link");
    }

    #[test]
    fn links_and_sessions_end() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let (early, late) = (sessions.issue(None, now), sessions.issue(None, now));
        let secret = sessions.redeem(&early, now + LINK_LIFE - Duration::from_millis(1)).unwrap();
        assert_eq!(sessions.redeem(&late, now + LINK_LIFE), None, "five minutes are over");
        let used = now + SESSION_IDLE;
        assert!(sessions.admits(&secret, used), "redeemed later than now");
        assert!(
            sessions.admits(&secret, used + SESSION_IDLE - Duration::from_secs(1)),
            "each use prolongs it"
        );
        assert!(!sessions.admits(&secret, used + 2 * SESSION_IDLE));
    }

    #[test]
    fn what_was_never_issued_opens_nothing() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let token = sessions.issue(None, now);
        let mut forged = token.clone();
        forged.replace_range(63.., if token.ends_with('0') { "1" } else { "0" });
        for wrong in ["", "0", &forged, &token[..63], &token.to_uppercase().replace(char::is_numeric, "A")] {
            assert_eq!(sessions.redeem(wrong, now), None, "{wrong:?}");
        }
        assert!(sessions.redeem(&token, now).is_some());
    }

    #[test]
    fn a_link_knows_its_user_as_long_as_it_is_good() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let (own, open) = (sessions.issue(Some(1000), now), sessions.issue(None, now));
        assert_eq!(sessions.user_of(&own, now), Some(1000));
        assert_eq!(sessions.user_of(&own, now), Some(1000), "to look uses nothing up");
        assert_eq!(sessions.user_of(&open, now), None);
        assert!(sessions.redeem(&own, now).is_some());
        assert_eq!(sessions.user_of(&own, now), None, "used");
    }

    #[test]
    fn the_oldest_link_gives_way() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let tokens: Vec<String> =
            (0..=MOST as u64).map(|i| sessions.issue(None, now + Duration::from_millis(i))).collect();
        let later = now + Duration::from_secs(1);
        assert_eq!(sessions.redeem(&tokens[0], later), None);
        assert!(sessions.redeem(&tokens[1], later).is_some());
        assert!(sessions.redeem(&tokens[MOST], later).is_some());
    }
}

//! `--chown` and `--chmod`, and whom USER means.

use super::BuildError;
use super::view::{Node, View};
use std::io::Read;
use std::path::Path;

/// In bytes: longer lists of users or groups are something else.
const MAX_ACCOUNTS: u64 = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// As the files have it: what another stage or image holds.
    Kept,
    Given {
        uid: u64,
        gid: u64,
    },
}

pub(super) const ROOT: Owner = Owner::Given { uid: 0, gid: 0 };

/// `user:group`, as numbers or as the image's own files name them.
pub(super) fn owner(view: &View, text: &str) -> Result<Owner, BuildError> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let unknown = |what: &str, name: String, why: String| {
        BuildError::Failed(format!(
            "unable to convert uid/gid chown string to host mapping: can't find {what} for {name}: {why}"
        ))
    };
    let number = |file, text: &str, field| id(view, file, text, field).transpose();
    let uid = number("etc/passwd", user, 2)
        .unwrap_or_else(|| Err(format!("no such user: {user}")))
        .map_err(|why| unknown("uid", format!("user {user}"), why))?;
    let gid = match group {
        // the user's own one, or the same number
        None => number("etc/passwd", user, 3).unwrap_or(Ok(uid)),
        Some(group) => {
            number("etc/group", group, 2).unwrap_or_else(|| Err(format!("no such group: {group}")))
        }
    };
    let gid = gid.map_err(|why| unknown("gid", format!("group {}", group.unwrap_or(user)), why))?;
    Ok(Owner::Given { uid: uid.into(), gid: gid.into() })
}

/// Who makes directories for WORKDIR: the image's USER, whose group is the one that it has in the image.
pub(super) fn of_user(view: &View, user: &str) -> Result<Owner, BuildError> {
    if user.is_empty() { Ok(ROOT) } else { owner(view, user) }
}

/// A number as it is written, or out of the line of this name; `None`: there is no such line.
fn id(view: &View, file: &str, text: &str, field: usize) -> Result<Option<u32>, String> {
    let said = cri::parse_id(text).map_err(|e| e.to_string())?;
    let found = || entry(view, file, text, field).map(cri::checked_id).transpose().map_err(|e| e.to_string());
    said.map_or_else(found, |number| Ok(Some(number)))
}

/// A number out of the line of this name.
fn entry(view: &View, file: &str, name: &str, field: usize) -> Option<i64> {
    let Ok((_, Node::File(real))) = view.resolve(Path::new(file)) else { return None };
    // an image may have a pipe or a device there
    let file = trees::open_regular(&real).ok()??;
    let text = std::io::read_to_string(file.take(MAX_ACCOUNTS)).ok()?;
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.first() == Some(&name)).and_then(|fields| fields.get(field)?.parse().ok())
}

/// What `--chmod` makes of a file's mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Is(u32),
    Changes(Vec<Change>),
}

/// `u+x`, `go=rX`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// The bits of those whom it is for: `u` is 0o700.
    who: u32,
    operator: char,
    permissions: String,
}

impl Mode {
    pub(super) fn parse(text: &str) -> Result<Mode, BuildError> {
        let bad = || {
            BuildError::Failed(format!(
                "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
            ))
        };
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
            return mode.map(Mode::Is).ok_or_else(bad);
        }
        let changes = text.split(',').map(changes).collect::<Option<Vec<_>>>();
        changes.map(|changes| Mode::Changes(changes.concat())).ok_or_else(bad)
    }

    pub(super) fn applied(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Mode::Is(mode) => *mode,
            Mode::Changes(changes) => {
                changes.iter().fold(mode & 0o7777, |mode, change| change.applied(mode, is_directory))
            }
        }
    }
}

/// One clause may change twice: `u+r-w`.
fn changes(clause: &str) -> Option<Vec<Change>> {
    let operators = ['+', '-', '='];
    let (who, mut rest) = clause.split_at(clause.find(operators)?);
    let bits = |c| match c {
        'u' => Some(0o700),
        'g' => Some(0o070),
        'o' => Some(0o007),
        'a' => Some(0o777),
        _ => None,
    };
    let who = who.chars().map(bits).try_fold(0, |all, bits| Some(all | bits?))?;
    let who = if who == 0 { 0o777 } else { who };
    let mut found = Vec::new();
    while let Some(operator) = rest.chars().next() {
        let end = rest[1..].find(operators).map_or(rest.len(), |at| at + 1);
        let permissions = rest[1..end].to_owned();
        if !permissions.chars().all(|c| "rwxXstugo".contains(c)) {
            return None;
        }
        found.push(Change { who, operator, permissions });
        rest = &rest[end..];
    }
    Some(found)
}

impl Change {
    fn applied(&self, mode: u32, is_directory: bool) -> u32 {
        let copied = |shift: u32| {
            let bits = (mode >> shift) & 7;
            bits << 6 | bits << 3 | bits
        };
        let wanted = self.permissions.chars().fold(0, |all, c| {
            all | match c {
                'r' => 0o444 & self.who,
                'w' => 0o222 & self.who,
                'x' => 0o111 & self.who,
                'X' if is_directory || mode & 0o111 != 0 => 0o111 & self.who,
                's' => {
                    (if self.who & 0o700 != 0 { 0o4000 } else { 0 })
                        | (if self.who & 0o070 != 0 { 0o2000 } else { 0 })
                }
                't' => 0o1000,
                'u' => copied(6) & self.who,
                'g' => copied(3) & self.who,
                'o' => copied(0) & self.who,
                _ => 0,
            }
        });
        match self.operator {
            '+' => mode | wanted,
            '-' => mode & !wanted,
            _ => (mode & !self.who) | wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_in_numbers_and_letters() {
        for (text, file, directory) in [
            ("600", 0o600, 0o600),
            ("0755", 0o755, 0o755),
            ("u+x", 0o744, 0o755),
            ("a=rX", 0o444, 0o555),
            ("go-r", 0o600, 0o711),
            ("u=rwX,go=", 0o600, 0o700),
            ("+x", 0o755, 0o755),
            ("g=u", 0o664, 0o775),
            ("u+s,+t", 0o5644, 0o5755),
            ("u-w+x", 0o544, 0o555),
        ] {
            let mode = Mode::parse(text).unwrap();
            let got = (mode.applied(0o100644, false), mode.applied(0o40755, true));
            assert_eq!(got, (file, directory), "{text}: {:o} {:o}", got.0, got.1);
        }
        for text in ["", "8", "10000", "u", "z+x", "u+q", "rwx"] {
            let why = Mode::parse(text).unwrap_err().to_string();
            assert!(why.starts_with(&format!("invalid chmod parameter: '{text}'")), "{why}");
        }
    }
}

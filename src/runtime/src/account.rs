//! Who a process in a container is: names from the image's own /etc/passwd and /etc/group become numbers. Pure.

use cri::CriError;

/// What was asked for, by the pod or by the image.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// `name`, `uid`, `name:group` or `uid:gid`.
    pub user: Option<&'a str>,
    /// Wins over `user`'s first half.
    pub uid: Option<i64>,
    /// Wins over `user`'s second half.
    pub gid: Option<i64>,
    pub supplemental: &'a [i64],
    /// More of them, by name or number.
    pub group_names: &'a [String],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
    /// The primary group first, as containerd gives them (CVE-2022-36109).
    pub groups: Vec<u32>,
    pub home: String,
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// # Errors
/// A user or group by name that the image does not have, a number out of range.
pub fn resolve(wanted: Wanted<'_>, passwd: &str, group: &str) -> Result<Account, CriError> {
    let (user, group_part) = halves(wanted.user);
    let number = wanted.uid.map(id).transpose()?.or(user.and_then(|u| u.parse().ok()));
    let known = users(passwd).find(|u| match (number, user) {
        (Some(uid), _) => u.uid == uid,
        (None, Some(name)) => u.name == name,
        (None, None) => u.uid == 0,
    });
    let uid = match (&known, number, user) {
        (Some(user), ..) => user.uid,
        (None, Some(uid), _) => uid,
        (None, None, None) => 0,
        (None, None, Some(name)) => {
            return Err(CriError::Invalid(format!(
                "unable to find user {name}: no matching entries in passwd file"
            )));
        }
    };
    let gid = match (wanted.gid, group_part) {
        (Some(gid), _) => id(gid)?,
        (None, Some(part)) => group_number(part, group)?,
        (None, None) => known.as_ref().map_or(0, |u| u.gid),
    };
    let mut all = vec![gid];
    for more in wanted.supplemental {
        all.push(id(*more)?);
    }
    for more in wanted.group_names {
        all.push(group_number(more, group)?);
    }
    if let Some(user) = &known {
        all.extend(groups(group).filter(|g| g.members.split(',').any(|m| m == user.name)).map(|g| g.gid));
    }
    let mut seen = std::collections::HashSet::new();
    all.retain(|g| seen.insert(*g));
    let home = known.map(|u| u.home).filter(|h| !h.is_empty()).unwrap_or("/");
    Ok(Account { uid, gid, groups: all, home: home.to_owned() })
}

fn halves(user: Option<&str>) -> (Option<&str>, Option<&str>) {
    let (user, group) = match user.unwrap_or_default().split_once(':') {
        Some((user, group)) => (user, group),
        None => (user.unwrap_or_default(), ""),
    };
    (Some(user).filter(|u| !u.is_empty()), Some(group).filter(|g| !g.is_empty()))
}

fn id(number: i64) -> Result<u32, CriError> {
    // -1 as an unsigned number means "leave it as it is" to setresuid(2)
    u32::try_from(number)
        .ok()
        .filter(|n| *n < u32::MAX)
        .ok_or_else(|| CriError::Invalid(format!("uids and gids must be in range 0-4294967294: {number}")))
}

fn group_number(part: &str, file: &str) -> Result<u32, CriError> {
    if let Ok(number) = part.parse() {
        return Ok(number);
    }
    groups(file).find(|g| g.name == part).map(|g| g.gid).ok_or_else(|| {
        CriError::Invalid(format!("unable to find group {part}: no matching entries in group file"))
    })
}

fn users(file: &str) -> impl Iterator<Item = User<'_>> {
    file.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields.next().filter(|n| !n.is_empty() && !n.starts_with('#'))?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    })
}

fn groups(file: &str) -> impl Iterator<Item = Group<'_>> {
    file.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields.next().filter(|n| !n.is_empty() && !n.starts_with('#'))?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some(Group { name, gid, members: fields.next().unwrap_or_default() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "# comment\nroot:x:0:0:root:/root:/bin/sh\n\nbroken line\nweb:x:101:102:Web:/srv/web:/bin/false\n\
        far:x:99999999999:1::/:\nnohome:x:7:7\n";
    const GROUP: &str =
        "root:x:0:\nweb:x:102:\nlogs:x:200:web,other\nother:x:201:otherweb\nwheel:x:10:root,web\n";

    #[test]
    fn names_become_numbers() {
        let user = |text| Wanted { user: Some(text), ..Default::default() };
        let (more, unknown) = (["other".to_owned(), "77".to_owned()], ["ghosts".to_owned()]);
        let cases: Vec<(&str, Wanted<'_>, Result<(u32, u32, &[u32], &str), &str>)> = vec![
            ("nothing said", Wanted::default(), Ok((0, 0, &[0, 10], "/root"))),
            ("empty", user(""), Ok((0, 0, &[0, 10], "/root"))),
            ("name", user("web"), Ok((101, 102, &[102, 200, 10], "/srv/web"))),
            ("number known", user("101"), Ok((101, 102, &[102, 200, 10], "/srv/web"))),
            ("number unknown", user("4242"), Ok((4242, 0, &[0], "/"))),
            ("name and group", user("web:logs"), Ok((101, 200, &[200, 10], "/srv/web"))),
            ("numbers", user("5:6"), Ok((5, 6, &[6], "/"))),
            ("group only", user(":logs"), Ok((0, 200, &[200, 10], "/root"))),
            ("no home", user("nohome"), Ok((7, 7, &[7], "/"))),
            (
                "unknown name",
                user("ghost"),
                Err("unable to find user ghost: no matching entries in passwd file"),
            ),
            (
                "unknown group",
                user("web:ghosts"),
                Err("unable to find group ghosts: no matching entries in group file"),
            ),
            (
                "a number too large",
                user("far"),
                Err("unable to find user far: no matching entries in passwd file"),
            ),
            (
                "groups by name and number",
                Wanted { group_names: &more, ..user("web") },
                Ok((101, 102, &[102, 201, 77, 200, 10], "/srv/web")),
            ),
            (
                "no such group",
                Wanted { group_names: &unknown, ..user("web") },
                Err("unable to find group ghosts: no matching entries in group file"),
            ),
            (
                "the pod's numbers win",
                Wanted {
                    user: Some("web"),
                    uid: Some(9),
                    gid: Some(8),
                    supplemental: &[8, 3000],
                    group_names: &[],
                },
                Ok((9, 8, &[8, 3000], "/")),
            ),
            (
                "the pod's group with the image's user",
                Wanted { user: Some("web"), gid: Some(8), ..Default::default() },
                Ok((101, 8, &[8, 200, 10], "/srv/web")),
            ),
            (
                "minus one",
                Wanted { uid: Some(4_294_967_295), ..Default::default() },
                Err("uids and gids must be in range 0-4294967294: 4294967295"),
            ),
        ];
        for (name, wanted, want) in cases {
            let got = resolve(wanted, PASSWD, GROUP).map_err(|e| e.to_string());
            let want = want
                .map(|(uid, gid, groups, home)| Account {
                    uid,
                    gid,
                    groups: groups.to_vec(),
                    home: home.into(),
                })
                .map_err(str::to_owned);
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn an_image_without_the_files_has_numbers_only() {
        assert_eq!(resolve(Wanted::default(), "", "").unwrap().home, "/");
        assert!(resolve(Wanted { user: Some("root"), ..Default::default() }, "", "").is_err());
    }
}

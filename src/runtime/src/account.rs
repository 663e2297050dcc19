//! Who a process in a container is: names from the image's own /etc/passwd and /etc/group become numbers. Pure.

use cri::{CriError, checked_id, parse_id};

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

/// As the line has it: the numbers are checked when they are used.
struct User<'a> {
    name: &'a str,
    uid: i64,
    gid: i64,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: i64,
    members: &'a str,
}

/// # Errors
/// A user or group by name that the image does not have, a number out of range, also in the image's own files.
pub fn resolve(wanted: Wanted<'_>, passwd: &str, group: &str) -> Result<Account, CriError> {
    let (user, group_part) = halves(wanted.user);
    let number = match wanted.uid {
        Some(uid) => Some(checked_id(uid)?),
        None => user.map(parse_id).transpose()?.flatten(),
    };
    let known = users(passwd).find(|u| match (number, user) {
        (Some(uid), _) => u.uid == i64::from(uid),
        (None, Some(name)) => u.name == name,
        (None, None) => u.uid == 0,
    });
    let uid = match (&known, number, user) {
        (_, Some(uid), _) => uid,
        (Some(user), ..) => checked_id(user.uid)?,
        (None, None, None) => 0,
        (None, None, Some(name)) => {
            return Err(CriError::Invalid(format!(
                "unable to find user {name}: no matching entries in passwd file"
            )));
        }
    };
    let gid = match (wanted.gid, group_part) {
        (Some(gid), _) => checked_id(gid)?,
        (None, Some(part)) => group_number(part, group)?,
        (None, None) => known.as_ref().map_or(Ok(0), |u| checked_id(u.gid))?,
    };
    let mut all = vec![gid];
    for more in wanted.supplemental {
        all.push(checked_id(*more)?);
    }
    for more in wanted.group_names {
        all.push(group_number(more, group)?);
    }
    if let Some(user) = &known {
        for member in groups(group).filter(|g| g.members.split(',').any(|m| m == user.name)) {
            all.push(checked_id(member.gid)?);
        }
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

fn group_number(part: &str, file: &str) -> Result<u32, CriError> {
    if let Some(number) = parse_id(part)? {
        return Ok(number);
    }
    let found = groups(file).find(|g| g.name == part).ok_or_else(|| {
        CriError::Invalid(format!("unable to find group {part}: no matching entries in group file"))
    })?;
    checked_id(found.gid)
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
        far:x:99999999999:1::/:\nnohome:x:7:7\n\
        all:x:4294967295:0::/:\nstay:x:8:4294967295::/:\nbelow:x:-1:-1::/:\n4294967296:x:0:0::/:\n\
        5000:x:0:0::/:\njoined:x:19:9::/:\n";
    const GROUP: &str = "root:x:0:\nweb:x:102:\nlogs:x:200:web,other\nother:x:201:otherweb\nwheel:x:10:root,web\n\
        leave:x:4294967295:joined\n6000:x:0:\n";

    #[test]
    fn names_become_numbers() {
        const RANGE: &str = "uids and gids must be in range 0-2147483647";
        let user = |text| Wanted { user: Some(text), ..Default::default() };
        let too_large = ["4294967295".to_owned()];
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
            ("a name of a number too large", user("far"), Err(RANGE)),
            ("a name of the number that leaves all as it is", user("all"), Err(RANGE)),
            ("a name of such a group", user("stay"), Err(RANGE)),
            ("with a better group", user("stay:8"), Ok((8, 8, &[8], "/"))),
            ("a number of such a group", user("8"), Err(RANGE)),
            ("a name of negative numbers", user("below"), Err(RANGE)),
            ("member of such a group", user("joined"), Err(RANGE)),
            ("group by such a name", user("5:leave"), Err(RANGE)),
            ("the number that leaves all as it is", user("4294967295"), Err(RANGE)),
            ("below zero", user("-1"), Err(RANGE)),
            ("the last", user("2147483647:2147483647"), Ok((2147483647, 2147483647, &[2147483647], "/"))),
            ("after the last", user("2147483648"), Err(RANGE)),
            ("a group after the last", user("5:2147483648"), Err(RANGE)),
            ("such a group", user("5:4294967295"), Err(RANGE)),
            ("a number that is also root's name", user("5000"), Ok((5000, 0, &[0], "/"))),
            ("a large number that is also root's name", user("4294967296"), Err(RANGE)),
            ("a number that is also a group's name", user("5:6000"), Ok((5, 6000, &[6000], "/"))),
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
            ("the pod's user", Wanted { uid: Some(4_294_967_295), ..Default::default() }, Err(RANGE)),
            ("the pod's user below zero", Wanted { uid: Some(-1), ..Default::default() }, Err(RANGE)),
            ("the pod's group", Wanted { gid: Some(2_147_483_648), ..Default::default() }, Err(RANGE)),
            ("the pod's groups", Wanted { supplemental: &[7, -1], ..Default::default() }, Err(RANGE)),
            ("--group-add", Wanted { group_names: &too_large, ..Default::default() }, Err(RANGE)),
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

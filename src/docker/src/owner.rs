//! Whom a container's `user` means, for what is copied into it: names of its own /etc/passwd and /etc/group become numbers, as
//! the Docker engine reads them. Pure.

/// `user[:group]`; what is not said is root's. `None` where nothing is said at all.
///
/// # Errors
/// A name that the files do not have, a number out of range, in the words of runc's `user` package.
pub(crate) fn resolve(text: &str, passwd: &str, group: &str) -> Result<Option<(u32, u32)>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let (user, wanted_group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let (uid, own_gid) = account(user, passwd)?;
    let gid = match wanted_group {
        None => own_gid,
        Some("") => 0,
        Some(name) => number(name)?
            .or(line(group, name, 2)?)
            .ok_or_else(|| format!("unable to find group {name}: no matching entries in group file"))?,
    };
    Ok(Some((uid, gid)))
}

/// A user and its own group.
fn account(user: &str, passwd: &str) -> Result<(u32, u32), String> {
    if user.is_empty() {
        return Ok((0, 0));
    }
    if let Some(uid) = number(user)? {
        let known = passwd.lines().find(|line| line.split(':').nth(2) == Some(user));
        let name = known.and_then(|line| line.split(':').next());
        return Ok((uid, name.map(|name| line(passwd, name, 3)).transpose()?.flatten().unwrap_or(0)));
    }
    let missing = || format!("unable to find user {user}: no matching entries in passwd file");
    let uid = line(passwd, user, 2)?.ok_or_else(missing)?;
    Ok((uid, line(passwd, user, 3)?.unwrap_or(0)))
}

fn number(text: &str) -> Result<Option<u32>, String> {
    cri::parse_id(text).map_err(|e| e.to_string())
}

/// The number in a field of the line of this name.
fn line(file: &str, name: &str, field: usize) -> Result<Option<u32>, String> {
    let mut lines = file.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.len() > field && fields[0] == name);
    found.map_or(Ok(None), |fields| number(fields[field]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_what_is_copied_is() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\ntest:x:2375:2376::/:/bin/sh\nfar:x:4294967295:1::/:\n";
        let group = "root:x:0:\ngroup:x:2376:\n";
        for (text, want) in [
            ("", Ok(None)),
            ("7777:", Ok(Some((7777, 0)))),
            (":7777", Ok(Some((0, 7777)))),
            ("2375", Ok(Some((2375, 2376)))),
            ("7777", Ok(Some((7777, 0)))),
            ("2375:2376", Ok(Some((2375, 2376)))),
            ("test:group", Ok(Some((2375, 2376)))),
            ("test", Ok(Some((2375, 2376)))),
            ("test:7777", Ok(Some((2375, 7777)))),
            ("7777:group", Ok(Some((7777, 2376)))),
            ("nobody", Err("unable to find user nobody: no matching entries in passwd file")),
            ("test:none", Err("unable to find group none: no matching entries in group file")),
            ("4294967295", Err("uids and gids must be in range 0-2147483647")),
            ("far", Err("uids and gids must be in range 0-2147483647")),
        ] {
            assert_eq!(resolve(text, passwd, group), want.map_err(str::to_owned), "{text}");
        }
    }
}

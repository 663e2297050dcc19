//! `docker top`: the machine's `ps`, reduced to one container's processes.

use crate::error::{ApiError, Result};
use std::collections::{BTreeSet, HashMap};

/// `pid` and all of its descendants, and whoever was given to the container's own init: all in its PID namespace.
pub(crate) fn family(pid: i32) -> BTreeSet<i32> {
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace(pid);
    let host = own == std::fs::read_link("/proc/self/ns/pid").ok();
    let all: Vec<i32> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    if !host && own.is_some() {
        return all.into_iter().filter(|pid| namespace(*pid) == own).collect();
    }
    descendants(pid, &all.into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect())
}

fn parent(pid: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

fn descendants(root: i32, parents: &HashMap<i32, i32>) -> BTreeSet<i32> {
    let mut found = BTreeSet::from([root]);
    loop {
        let more: Vec<i32> = parents
            .iter()
            .filter(|(pid, of)| found.contains(of) && !found.contains(pid))
            .map(|(p, _)| *p)
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// The titles, and the lines of those processes; the last column takes the rest of its line.
pub(crate) fn parse(text: &str, pids: &BTreeSet<i32>) -> Result<(Vec<String>, Vec<Vec<String>>)> {
    let mut lines = text.lines();
    let titles: Vec<String> =
        lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let at = titles.iter().position(|title| title == "PID");
    let at = at.ok_or_else(|| ApiError::bad("Couldn't find PID field in ps output"))?;
    let split = |line: &str| {
        let mut words = line.split_whitespace();
        let mut columns: Vec<String> = words.by_ref().take(titles.len() - 1).map(str::to_owned).collect();
        columns.push(words.collect::<Vec<_>>().join(" "));
        columns
    };
    let is_one = |columns: &Vec<String>| {
        columns.get(at).and_then(|pid| pid.parse().ok()).is_some_and(|pid: i32| pids.contains(&pid))
    };
    Ok((titles.clone(), lines.map(split).filter(is_one).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes() {
        let text = "UID  PID PPID CMD\nroot   1    0 /sbin/init\nroot   7    1 sh -c  sleep\n";
        let (titles, processes) = parse(text, &BTreeSet::from([7])).unwrap();
        assert_eq!(titles, ["UID", "PID", "PPID", "CMD"]);
        assert_eq!(processes, [["root", "7", "1", "sh -c sleep"]]);
        assert!(parse("CMD\n", &BTreeSet::new()).is_err());
        let parents = HashMap::from([(2, 1), (3, 2), (4, 1), (9, 8)]);
        assert_eq!(descendants(2, &parents), BTreeSet::from([2, 3]));
    }
}

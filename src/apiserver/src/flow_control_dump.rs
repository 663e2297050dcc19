//! `/debug/api_priority_and_fairness/…`: levels, queues and waiting requests as upstream tells them to people, in columns.

use crate::request::Request;
use crate::responses;
use crate::server_state::ServerState;
use flowcontrol::{LevelDump, QueueDump, WaitingRequest};
use jiff::Timestamp;
use warp::reply::Response;

const LEVEL: [&str; 6] =
    ["PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests"];
const QUEUE: [&str; 9] = [
    "PriorityLevelName",
    "Index",
    "PendingRequests",
    "ExecutingRequests",
    "SeatsInUse",
    "NextDispatchR",
    "InitialSeatsSum",
    "MaxSeatsSum",
    "TotalWorkSum",
];
/// The fifth is spelt so.
const REQUEST: [&str; 9] = [
    "PriorityLevelName",
    "FlowSchemaName",
    "QueueIndex",
    "RequestIndexInQueue",
    "FlowDistingsher",
    "ArriveTime",
    "InitialSeats",
    "FinalSeats",
    "AdditionalLatency",
];
const DETAILS: [&str; 8] =
    ["UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource"];

/// `None` for a path that is none of these.
pub(crate) fn answer(state: &ServerState, request: &Request, dump: &str) -> Option<Response> {
    let rows: fn(&[LevelDump], bool) -> Vec<Vec<String>> = match dump {
        "dump_priority_levels" => |levels, _| of_levels(levels),
        "dump_queues" => |levels, _| of_queues(levels),
        "dump_requests" => of_requests,
        _ => return None,
    };
    let is_detailed = request.parameter("includeRequestDetails").is_some();
    Some(responses::text(200, in_columns(&rows(&state.flow.dump(), is_detailed))))
}

fn headed(names: &[&str]) -> Vec<Vec<String>> {
    vec![names.iter().map(|name| (*name).to_owned()).collect()]
}

fn of_levels(levels: &[LevelDump]) -> Vec<Vec<String>> {
    let mut rows = headed(&LEVEL);
    rows.extend(levels.iter().map(|level| {
        let active = level.queues.iter().filter(|queue| !queue.requests.is_empty()).count();
        vec![
            level.name.to_string(),
            active.to_string(),
            level.is_idle.to_string(),
            level.is_quiescing.to_string(),
            level.waiting.to_string(),
            level.executing.to_string(),
        ]
    }));
    rows
}

fn of_queues(levels: &[LevelDump]) -> Vec<Vec<String>> {
    let mut rows = headed(&QUEUE);
    let queues = levels.iter().flat_map(|level| level.queues.iter().map(move |queue| (level, queue)));
    rows.extend(queues.map(|(level, queue): (&LevelDump, &QueueDump)| {
        let seats: u64 = queue.requests.iter().map(|request| u64::from(request.seats)).sum();
        vec![
            level.name.to_string(),
            queue.index.to_string(),
            queue.requests.len().to_string(),
            queue.executing.to_string(),
            queue.seats_in_use.to_string(),
            seat_seconds(queue.next_start),
            seats.to_string(),
            seats.to_string(),
            seat_seconds(seats),
        ]
    }));
    rows
}

/// Upstream's form. All requests count as equally long here: a second, say.
fn seat_seconds(seats: u64) -> String {
    format!("{seats}.00000000ss")
}

fn of_requests(levels: &[LevelDump], is_detailed: bool) -> Vec<Vec<String>> {
    let mut rows = headed(&REQUEST);
    if is_detailed {
        rows[0].extend(DETAILS.map(str::to_owned));
    }
    for level in levels {
        for queue in &level.queues {
            for (index, request) in queue.requests.iter().enumerate() {
                let arrived = Timestamp::try_from(request.arrived).unwrap_or_default();
                let mut row = vec![
                    level.name.to_string(),
                    request.schema.to_string(),
                    queue.index.to_string(),
                    index.to_string(),
                    request.distinguisher.clone(),
                    arrived.to_string(),
                    request.seats.to_string(),
                    "0".to_owned(),
                    "0s".to_owned(),
                ];
                if is_detailed {
                    row.extend(details(request));
                }
                rows.push(row);
            }
        }
    }
    rows
}

fn details(request: &WaitingRequest) -> [String; 8] {
    let api_version = match (request.group.as_str(), request.version.as_str()) {
        ("", version) => version.to_owned(),
        (group, version) => format!("{group}/{version}"),
    };
    [
        request.user.clone(),
        request.verb.clone(),
        request.path.clone(),
        request.namespace.clone(),
        request.name.clone(),
        api_version,
        request.resource.clone(),
        request.subresource.clone(),
    ]
}

/// As Go's `tabwriter` writes cells that end with a comma: each column as wide as its widest and one more, eight at least; the last
/// one as it is.
fn in_columns(rows: &[Vec<String>]) -> String {
    const LEAST: usize = 8;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        // the comma, and the space after it
        cells.map(|cell| cell.chars().count() + 2).max().unwrap_or(0).max(LEAST)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match index + 1 < row.len() {
                true => text += &format!("{:<width$}", format!("{cell},")),
                false => text += cell,
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn levels() -> Vec<LevelDump> {
        let request = WaitingRequest {
            schema: "jane".into(),
            distinguisher: "jane".to_owned(),
            arrived: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
            seats: 3,
            user: "jane".to_owned(),
            verb: "list".to_owned(),
            path: "/apis/apps/v1/namespaces/a/deployments".to_owned(),
            namespace: "a".to_owned(),
            name: String::new(),
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            resource: "deployments".to_owned(),
            subresource: String::new(),
        };
        let queue =
            |index, requests| QueueDump { index, requests, executing: index, seats_in_use: 4, next_start: 7 };
        let level = |name: &str, queues: Vec<QueueDump>| LevelDump {
            name: name.into(),
            is_idle: false,
            is_quiescing: false,
            waiting: queues.len(),
            executing: 1,
            queues,
        };
        vec![level("exempt", Vec::new()), level("l", vec![queue(0, Vec::new()), queue(1, vec![request])])]
    }

    #[test]
    fn dumps_have_upstreams_columns() {
        let want = "\
PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, WaitingRequests, ExecutingRequests
exempt,            0,            false,  false,       0,               1
l,                 1,            false,  false,       2,               1
";
        assert_eq!(in_columns(&of_levels(&levels())), want);
        let want = "\
PriorityLevelName, Index,  PendingRequests, ExecutingRequests, SeatsInUse, NextDispatchR, InitialSeatsSum, MaxSeatsSum, TotalWorkSum
l,                 0,      0,               0,                 4,          7.00000000ss,  0,               0,           0.00000000ss
l,                 1,      1,               1,                 4,          7.00000000ss,  3,               3,           3.00000000ss
";
        assert_eq!(in_columns(&of_queues(&levels())), want);
        let want = "\
PriorityLevelName, FlowSchemaName, QueueIndex, RequestIndexInQueue, FlowDistingsher, ArriveTime,             InitialSeats, FinalSeats, AdditionalLatency
l,                 jane,           1,          0,                   jane,            1970-01-01T00:00:01.5Z, 3,            0,          0s
";
        assert_eq!(in_columns(&of_requests(&levels(), false)), want);
        let detailed = of_requests(&levels(), true);
        assert_eq!(detailed[0][9..], DETAILS);
        let path = "/apis/apps/v1/namespaces/a/deployments";
        assert_eq!(detailed[1][9..], ["jane", "list", path, "a", "", "apps/v1", "deployments", ""]);
    }
}

//! What is going on now, level by level: for people who want to know who waits for whom.

use crate::classify::Asked;
use std::sync::Arc;
use std::time::SystemTime;

#[derive(Debug, Clone)]
pub struct LevelDump {
    pub name: Arc<str>,
    /// Nobody waits, and nothing is answered.
    pub is_idle: bool,
    /// Its object has gone, and it goes with the last that is in it.
    pub is_quiescing: bool,
    pub waiting: usize,
    pub executing: usize,
    /// None where nobody waits: of an exempt level, and of one that refuses.
    pub queues: Vec<QueueDump>,
}

#[derive(Debug, Clone)]
pub struct QueueDump {
    pub index: usize,
    /// Those that wait, in their order.
    pub requests: Vec<WaitingRequest>,
    pub executing: usize,
    pub seats_in_use: u32,
    /// When the next of it would begin, in virtual time: seats that were given, each for as long as any other.
    pub next_start: u64,
}

#[derive(Debug, Clone)]
pub struct WaitingRequest {
    /// The name of the FlowSchema.
    pub schema: Arc<str>,
    /// What tells its flow from others of the schema.
    pub distinguisher: String,
    pub arrived: SystemTime,
    pub seats: u32,
    pub user: String,
    pub verb: String,
    pub path: String,
    /// What follows is empty for what is no resource.
    pub namespace: String,
    pub name: String,
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
}

impl WaitingRequest {
    pub(crate) fn of(asked: &Asked<'_>, schema: &Arc<str>, distinguisher: &str, seats: u32) -> Self {
        let of = asked.resource.unwrap_or_default();
        WaitingRequest {
            schema: schema.clone(),
            distinguisher: distinguisher.to_owned(),
            arrived: SystemTime::now(),
            seats,
            user: asked.user.to_owned(),
            verb: asked.verb.to_owned(),
            path: asked.path.to_owned(),
            namespace: of.namespace.unwrap_or_default().to_owned(),
            name: of.name.unwrap_or_default().to_owned(),
            group: of.group.to_owned(),
            version: of.version.to_owned(),
            resource: of.resource.to_owned(),
            subresource: of.subresource.to_owned(),
        }
    }
}

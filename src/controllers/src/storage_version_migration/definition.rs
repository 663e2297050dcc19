//! What the definition of a custom resource is told of a migration: that one runs, and, when it is over, in which version all its
//! objects are stored. Versions that no object is stored in any more may be taken out of a definition, and not before.

use api::{ObjectKey, Reason, Status};
use cluster::{Api, Client, unless_gone};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionCondition,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::GroupResource;
use kinds::{Kind, whole_second};

const MIGRATING: &str = "StorageMigrating";

pub(super) struct Definition {
    definitions: Api<CustomResourceDefinition>,
    key: ObjectKey,
}

impl Definition {
    pub(super) fn of(client: &Client, resource: &GroupResource) -> Self {
        let name = format!("{}.{}", resource.resource, resource.group);
        Definition { definitions: client.api(), key: ObjectKey::cluster(&name) }
    }

    /// To be called before the objects are listed. Of a kind that nobody defined there is nothing to tell.
    ///
    /// # Errors
    /// `Conflict` while the kind is served as it was before a change of its definition: what is written meanwhile is of the version
    /// that was stored then.
    pub(super) async fn begin(&self, kind: &Kind, migration: &str) -> Result<(), Status> {
        let Some(definition) = self.definitions.find(&self.key)? else { return Ok(()) };
        let wanted = stored_in(&definition).map(|version| format!("{}/{version}", definition.spec.group));
        if kind.stored().stored_version() != wanted.as_deref() {
            let why = format!("{} is not served as it is defined yet", self.key);
            return Err(Status::new(Reason::Conflict, why));
        }
        let message = format!("Migration {migration} is running");
        self.tell(&|definition| set(definition, "True", "MigrationRunning", message.clone())).await
    }

    /// # Errors
    /// Those of the write.
    pub(super) async fn end(&self, succeeded: bool) -> Result<(), Status> {
        self.tell(&|definition| finish(definition, succeeded)).await
    }

    async fn tell(
        &self,
        change: &(dyn Fn(&mut CustomResourceDefinition) + Send + Sync),
    ) -> Result<(), Status> {
        let written = self.definitions.modify_status(&self.key, |definition| {
            change(definition);
            Ok(())
        });
        unless_gone(written.await).map(drop)
    }
}

fn stored_in(definition: &CustomResourceDefinition) -> Option<&str> {
    definition.spec.versions.iter().find(|version| version.storage).map(|version| version.name.as_str())
}

/// Only where the definition has stayed what it was at the beginning all objects are stored in its version.
fn finish(definition: &mut CustomResourceDefinition, succeeded: bool) {
    let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let begun =
        conditions.into_iter().find(|condition| condition.type_ == MIGRATING && condition.status == "True");
    let Some(generation) = begun.map(|condition| condition.observed_generation) else { return };
    if !succeeded {
        return set(definition, "False", "MigrationFailed", "The migration has failed".to_owned());
    }
    let stays = generation == definition.metadata.generation;
    let message = match stays {
        true => "The migration has succeeded and the stored versions have been updated",
        false => {
            "The migration has succeeded but the stored versions have not been updated due to a generation mismatch"
        }
    };
    if let (true, Some(version)) = (stays, stored_in(definition).map(str::to_owned)) {
        definition.status.get_or_insert_default().stored_versions = Some(vec![version]);
    }
    set(definition, "False", "MigrationSucceeded", message.to_owned());
}

fn set(definition: &mut CustomResourceDefinition, status: &str, reason: &str, message: String) {
    let generation = definition.metadata.generation;
    let conditions = definition.status.get_or_insert_default().conditions.get_or_insert_default();
    let known = conditions.iter().position(|condition| condition.type_ == MIGRATING);
    let since = known.map(|at| &conditions[at]).filter(|condition| condition.status == status);
    let condition = CustomResourceDefinitionCondition {
        type_: MIGRATING.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        observed_generation: generation,
        last_transition_time: since
            .and_then(|condition| condition.last_transition_time.clone())
            .or_else(|| Some(whole_second(jiff::Timestamp::now()))),
    };
    match known {
        Some(at) => conditions[at] = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn versions_are_forgotten_where_nothing_has_changed_meanwhile() {
        // (name, the generation at the end, whether it succeeded, what is stored then, reason)
        let cases = [
            ("as it was", 3, true, vec!["v2"], "MigrationSucceeded"),
            ("changed", 4, true, vec!["v1", "v2"], "MigrationSucceeded"),
            ("failed", 3, false, vec!["v1", "v2"], "MigrationFailed"),
        ];
        for (name, generation, succeeded, stored, reason) in cases {
            let version =
                |name: &str, storage: bool| json!({"name": name, "served": true, "storage": storage});
            let mut definition: CustomResourceDefinition = serde_json::from_value(json!({
                "metadata": {"name": "widgets.example.com", "generation": 3},
                "spec": {
                    "group": "example.com", "scope": "Cluster", "names": {"kind": "Widget", "plural": "widgets"},
                    "versions": [version("v1", false), version("v2", true)],
                },
                "status": {"storedVersions": ["v1", "v2"]},
            }))
            .unwrap();
            finish(&mut definition, succeeded);
            assert!(definition.status.as_ref().unwrap().conditions.is_none(), "{name}: none has begun");
            set(&mut definition, "True", "MigrationRunning", String::new());
            definition.metadata.generation = Some(generation);
            finish(&mut definition, succeeded);
            let status = definition.status.unwrap();
            assert_eq!(status.stored_versions.unwrap(), stored, "{name}");
            let condition = &status.conditions.unwrap()[0];
            assert_eq!(
                (condition.status.as_str(), condition.reason.as_deref()),
                ("False", Some(reason)),
                "{name}"
            );
        }
    }
}

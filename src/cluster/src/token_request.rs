//! New tokens of service accounts, bound to what they are for: whoever has the token loses it with the pod, the secret or the
//! node that it was made for. Upstream's `TokenREST`.

use crate::admission::{Operation, TOKEN_LIFE_SECONDS, admit_token};
use crate::token_params::{BoundKind, BoundObject, TokenRequestParams};
use crate::tokens::{Claims, KubernetesClaims, NamedObject};
use crate::{Attributes, Client, Cluster, Target, WriteOptions};
use ::api::{GroupResource, Gvk, Object, ObjectKey, Status};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Node, Pod, Secret, ServiceAccount};
use kinds::{ErrorList, Subresource, TypedKind};
use store::Resource;

const LIFE_SECONDS: i64 = 3600; // upstream's default, where nobody asks for another
const SHORTEST_SECONDS: i64 = 600; // upstream refuses less
const LONGEST_SECONDS: i64 = 1 << 32; // and more
/// What every pod is given is good for a year, and says an hour (upstream's `--service-account-extend-token-expiration`): a program that
/// reads its file once goes on, and the kubelet renews the file as ever. It ends with its pod in any case.
const EXTENDED_SECONDS: i64 = 365 * 24 * 3600;

pub struct IssuedToken {
    pub token: String,
    pub expires_at: jiff::Timestamp,
    pub audiences: Vec<String>,
    pub seconds: i64,
}

impl Client {
    /// The request as policies and webhooks have left it: whoever asks for a token from outside goes by here first.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound` for a missing account; `Invalid` for one that names another; what policies and webhooks refuse.
    pub async fn admit_token_request(
        &self,
        namespace: &str,
        name: &str,
        mut request: TokenRequest,
        options: &WriteOptions,
    ) -> Result<TokenRequest, Status> {
        let cluster = self.cluster();
        let account = account_target(cluster, namespace, name)?;
        let part = account.clone().subresource(Subresource::Token);
        cluster.authorize(self.actor(), &Attributes::of("create", &part))?;
        request.spec.get_or_insert_default().expiration_seconds.get_or_insert(LIFE_SECONDS);
        let asked = cluster.admission(self.actor(), &part, Operation::Create, options);
        let judge = |request: &TokenRequest| {
            names_account(request, namespace, name)?;
            cluster.read_stored(&account).map(drop)
        };
        asked.admit_unstored(&gvk(), request, judge).await
    }

    /// # Errors
    /// `Forbidden`, `NotFound` for a missing account or a missing object that it shall be bound to, `Conflict` for another
    /// object of that name, `BadRequest` for a pod of another account, `Invalid` for a life that is too short or too long.
    pub fn create_token(
        &self,
        namespace: &str,
        name: &str,
        params: TokenRequestParams,
    ) -> Result<IssuedToken, Status> {
        let cluster = self.cluster();
        let target = account_target(cluster, namespace, name)?;
        let part = target.clone().subresource(Subresource::Token);
        cluster.authorize(self.actor(), &Attributes::of("create", &part))?;
        admit_token(cluster, self.actor(), &part, &params)?;
        let seconds = checked_life(params.expiration_seconds)?;
        let account = cluster.read_stored(&target)?;
        let mut kubernetes = KubernetesClaims {
            namespace: namespace.to_owned(),
            serviceaccount: NamedObject { name: name.to_owned(), uid: account.meta().uid.clone() },
            pod: None,
            secret: None,
            node: None,
            warnafter: None,
        };
        if let Some(bound) = &params.bound {
            cluster.bind_token(&mut kubernetes, bound)?;
        }
        let now = jiff::Timestamp::now().as_second();
        let own = || vec![cluster.tokens().issuer().to_owned()];
        let audiences = if params.audiences.is_empty() { own() } else { params.audiences };
        let told = now + seconds;
        let is_of_volume = kubernetes.pod.is_some() && seconds == TOKEN_LIFE_SECONDS;
        let exp = match is_of_volume && audiences.iter().all(|audience| audience == cluster.tokens().issuer())
        {
            true => {
                kubernetes.warnafter = Some(told);
                now + EXTENDED_SECONDS
            }
            false => told,
        };
        let claims = Claims {
            iss: cluster.tokens().issuer().to_owned(),
            sub: format!("system:serviceaccount:{namespace}:{name}"),
            aud: audiences.clone(),
            exp,
            iat: now,
            nbf: now,
            jti: uuid::Uuid::new_v4().to_string(),
            kubernetes,
        };
        let expires_at = jiff::Timestamp::from_second(told).map_err(Status::internal)?;
        Ok(IssuedToken { token: cluster.tokens().sign(&claims)?, expires_at, audiences, seconds })
    }
}

fn gvk() -> Gvk {
    Gvk::new("authentication.k8s.io", "v1", "TokenRequest")
}

fn account_target(cluster: &Cluster, namespace: &str, name: &str) -> Result<Target, Status> {
    let version = cluster.registry().by_gvr(&ServiceAccount::info().gvr);
    let version = version.ok_or_else(|| Status::internal("no service accounts"))?;
    Ok(Target::object(&version, Some(namespace), name))
}

/// The request's own metadata may repeat the path, and not contradict it.
fn names_account(request: &TokenRequest, namespace: &str, name: &str) -> Result<(), Status> {
    let mut errors = ErrorList::default();
    for (field, said, known, of) in [
        ("metadata.name", &request.metadata.name, name, "name"),
        ("metadata.namespace", &request.metadata.namespace, namespace, "namespace"),
    ] {
        let said = said.as_deref().unwrap_or_default();
        if !said.is_empty() && said != known {
            errors.invalid(field, said, format!("must match the service account {of} if specified"));
        }
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(&gvk(), name, errors.into_causes())),
    }
}

fn checked_life(asked: Option<i64>) -> Result<i64, Status> {
    let seconds = asked.unwrap_or(LIFE_SECONDS);
    let mut errors = ErrorList::default();
    if seconds < SHORTEST_SECONDS {
        errors.invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > LONGEST_SECONDS {
        let why = "may not specify a duration larger than 2^32 seconds";
        errors.invalid("spec.expirationSeconds", seconds, why);
    }
    match errors.is_empty() {
        true => Ok(seconds),
        false => Err(Status::invalid(&gvk(), "", errors.into_causes())),
    }
}

impl Cluster {
    fn bind_token(&self, claims: &mut KubernetesClaims, bound: &BoundObject) -> Result<(), Status> {
        let namespaced = ObjectKey::namespaced(&claims.namespace, &bound.name);
        match bound.kind {
            BoundKind::Pod => {
                let found = self.there::<Pod>(&namespaced)?;
                let pod: Pod = found.decode().map_err(Status::internal)?;
                let spec = pod.spec.unwrap_or_default();
                if spec.service_account_name.as_deref() != Some(&claims.serviceaccount.name) {
                    return Err(Status::bad_request(format!(
                        "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                        claims.serviceaccount.name
                    )));
                }
                claims.pod = Some(same(&found, bound)?);
                let node =
                    spec.node_name.and_then(|name| self.there::<Node>(&ObjectKey::cluster(&name)).ok());
                claims.node = node.map(|node| named(&node));
            }
            BoundKind::Secret => {
                claims.secret = Some(same(&self.there::<Secret>(&namespaced)?, bound)?);
            }
            BoundKind::Node => {
                claims.node = Some(same(&self.there::<Node>(&ObjectKey::cluster(&bound.name))?, bound)?);
            }
        }
        Ok(())
    }

    fn there<K: TypedKind>(&self, key: &ObjectKey) -> Result<Object, Status> {
        let found = self.store().snapshot().get(&Resource::from(&K::info().storage), key);
        found.ok_or_else(|| Status::not_found(&K::info().gvr.group_resource(), &key.name))
    }
}

fn named(object: &Object) -> NamedObject {
    NamedObject { name: object.meta().name.clone(), uid: object.meta().uid.clone() }
}

fn same(found: &Object, bound: &BoundObject) -> Result<NamedObject, Status> {
    let found = named(found);
    if bound.uid.is_empty() || bound.uid == found.uid {
        return Ok(found);
    }
    let why = format!(
        "the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated",
        bound.uid
    );
    Err(Status::conflict(&GroupResource::new("", bound.kind.name()), &bound.name, why))
}

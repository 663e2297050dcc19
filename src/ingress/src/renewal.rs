//! The table anew, of what a change concerns: routes when an ingress changes, what is behind them when one of their Services does,
//! certificates when one of their Secrets does. What others change costs nothing. It may take its time (patterns are compiled, keys
//! are read), so it runs where nothing waits for the thread.

use crate::backends::permitted;
use crate::certificates::Certificates;
use crate::claims::{Claims, Contents};
use crate::owners::Named;
use crate::patterns::Patterns;
use crate::remarks::Remarks;
use crate::routes::Routes;
use crate::table::{Behind, Services, Table};
use api::ObjectKey;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use kinds::endpoints::service_of;
use std::sync::Arc;

/// What tables are made of.
pub(crate) trait Sources {
    /// Those that are served here.
    fn ingresses(&self) -> Vec<Arc<Ingress>>;
    fn service(&self, key: &ObjectKey) -> Option<Arc<Service>>;
    fn slices(&self) -> Vec<Arc<EndpointSlice>>;
    fn pods(&self) -> Vec<Arc<Pod>>;
    fn secret(&self, key: &ObjectKey) -> Option<Arc<Secret>>;
}

/// What has to be made anew; all that hangs on routes is, with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) routes: bool,
    pub(crate) services: bool,
    pub(crate) certificates: bool,
}

impl Due {
    pub(crate) fn is_any(self) -> bool {
        self.routes || self.services || self.certificates
    }
}

pub(crate) struct Made {
    pub(crate) table: Table,
    pub(crate) remarks: Remarks,
    /// Due at once: so much was left for the sake of others.
    pub(crate) rest: Due,
}

/// What is kept from one table to the next.
#[derive(Default)]
pub(crate) struct Maker {
    ingresses: Vec<Arc<Ingress>>,
    patterns: Patterns,
    claims: Claims,
    contents: Contents,
    routes: Arc<Routes>,
    services: Arc<Services>,
    named: Named,
    certificates: Arc<Certificates>,
}

impl Maker {
    pub(crate) fn ingresses(&self) -> &[Arc<Ingress>] {
        &self.ingresses
    }

    pub(crate) fn leads_to(&self, service: &ObjectKey) -> bool {
        self.services.contains_key(service)
    }

    /// Whether slices of another namespace name an address of the pod.
    pub(crate) fn is_named_by_others(&self, pod: &Pod) -> bool {
        self.named.concerns(pod)
    }

    pub(crate) fn shows(&self, secret: &ObjectKey) -> bool {
        self.contents.is_named(secret)
    }

    pub(crate) fn renew(&mut self, due: Due, sources: &impl Sources) -> Made {
        let mut remarks = Remarks::default();
        let mut rest = Due::default();
        if due.routes {
            self.ingresses = sources.ingresses();
            self.routes = Arc::new(Routes::new(&self.ingresses, &mut self.patterns, &mut remarks));
            self.claims = Claims::new(&self.ingresses);
        }
        if due.routes || due.services {
            let (services, named) = self.behind(sources);
            (self.services, self.named) = (Arc::new(services), named);
        }
        if due.routes || due.certificates {
            rest.certificates = self.contents.read(&self.claims, &mut |key| sources.secret(key));
            self.certificates = Arc::new(self.contents.certificates(&self.claims, &mut remarks));
        }
        let table = Table {
            routes: self.routes.clone(),
            certificates: self.certificates.clone(),
            services: self.services.clone(),
        };
        Made { table, remarks, rest }
    }

    fn behind(&self, sources: &impl Sources) -> (Services, Named) {
        let mut services = Services::new();
        for key in self.routes.services() {
            services
                .entry(key.clone())
                .or_insert_with(|| Behind { service: sources.service(key), slices: Vec::new() });
        }
        let mut named = Named::default();
        for slice in sources.slices() {
            let Some(key) = service_of(&slice) else { continue };
            if let Some(behind) = services.get_mut(&key) {
                key.namespace.iter().for_each(|namespace| named.add(&slice, namespace));
                behind.slices.push(slice);
            }
        }
        let pods = sources.pods();
        let owners = named.owners(&pods);
        for (key, behind) in &mut services {
            let own = key.namespace.as_deref().unwrap_or_default();
            let slices = std::mem::take(&mut behind.slices).into_iter();
            behind.slices = slices.map(|slice| permitted(slice, |at| owners.are_others(at, own))).collect();
        }
        (services, named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::tests::secret;
    use serde_json::json;
    use std::cell::Cell;

    /// One ingress with a service and a Secret, and how often things were asked for.
    struct Counted {
        ingress: Arc<Ingress>,
        secret: Arc<Secret>,
        slice: Arc<EndpointSlice>,
        pods: Cell<Vec<Arc<Pod>>>,
        ingresses: Cell<usize>,
        services: Cell<usize>,
    }

    impl Sources for Counted {
        fn ingresses(&self) -> Vec<Arc<Ingress>> {
            self.ingresses.set(self.ingresses.get() + 1);
            vec![self.ingress.clone()]
        }

        fn service(&self, _: &ObjectKey) -> Option<Arc<Service>> {
            self.services.set(self.services.get() + 1);
            None
        }

        fn slices(&self) -> Vec<Arc<EndpointSlice>> {
            vec![self.slice.clone()]
        }

        fn pods(&self) -> Vec<Arc<Pod>> {
            self.pods.take()
        }

        fn secret(&self, _: &ObjectKey) -> Option<Arc<Secret>> {
            Some(self.secret.clone())
        }
    }

    fn counted() -> Counted {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["a".into()]).unwrap();
        let mut tls = secret(&parameters.self_signed(&key).unwrap().pem(), &key.serialize_pem());
        tls.metadata.resource_version = Some("1".into());
        let spec = json!({"tls": [{"hosts": ["a"], "secretName": "tls"}],
            "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}});
        let ingress = json!({"metadata": {"name": "i", "namespace": "shop"}, "spec": spec});
        let slice = json!({"metadata": {"namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": [{"addresses": ["10.244.0.5"]}]});
        Counted {
            ingress: Arc::new(serde_json::from_value(ingress).unwrap()),
            secret: Arc::new(tls),
            slice: Arc::new(serde_json::from_value(slice).unwrap()),
            pods: Cell::default(),
            ingresses: Cell::default(),
            services: Cell::default(),
        }
    }

    #[test]
    fn a_change_renews_what_it_concerns() {
        let sources = counted();
        let shop = |name: &str| ObjectKey::namespaced("shop", name);
        let mut maker = Maker::default();
        assert!(!maker.leads_to(&shop("web")) && !maker.shows(&shop("tls")));
        let first = maker.renew(Due { routes: true, ..Due::default() }, &sources);
        assert_eq!((sources.ingresses.get(), sources.services.get(), first.rest), (1, 1, Due::default()));
        assert!(maker.leads_to(&shop("web")) && maker.shows(&shop("tls")));
        assert!(!maker.leads_to(&shop("other")) && !maker.shows(&shop("other")));

        let second = maker.renew(Due { services: true, ..Due::default() }, &sources);
        assert_eq!((sources.ingresses.get(), sources.services.get()), (1, 2));
        assert!(Arc::ptr_eq(&first.table.routes, &second.table.routes));
        assert!(Arc::ptr_eq(&first.table.certificates, &second.table.certificates));

        let third = maker.renew(Due { certificates: true, ..Due::default() }, &sources);
        assert_eq!((sources.ingresses.get(), sources.services.get()), (1, 2));
        let shown = |made: &Made| made.table.certificates.find("a").unwrap().clone();
        assert!(Arc::ptr_eq(&shown(&second), &shown(&third)), "the Secret is the same");
    }

    #[test]
    fn a_slice_leads_to_no_pod_of_another_namespace() {
        let pod = |namespace: &str| -> Arc<Pod> {
            let status = json!({"phase": "Running", "podIPs": [{"ip": "10.244.0.5"}]});
            let metadata = json!({"name": "p", "namespace": namespace});
            Arc::new(serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap())
        };
        let sources = counted();
        let mut maker = Maker::default();
        assert!(!maker.is_named_by_others(&pod("bank")), "nothing is named yet");
        for (name, pods, want) in [
            ("of no pod", vec![], 1),
            ("of its own", vec![pod("shop")], 1),
            ("of another's", vec![pod("bank")], 0),
            ("of nobody any more", vec![], 1),
        ] {
            sources.pods.set(pods);
            let made = maker.renew(Due { routes: true, services: true, certificates: false }, &sources);
            let behind = &made.table.services[&ObjectKey::namespaced("shop", "web")];
            let endpoints = behind.slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
            assert_eq!(endpoints.count(), want, "{name}");
            // also while it is not led to: it may go
            assert!(
                maker.is_named_by_others(&pod("bank")) && !maker.is_named_by_others(&pod("shop")),
                "{name}"
            );
        }
    }
}

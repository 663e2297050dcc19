//! `start --extra-config COMPONENT.KEY=VALUE`: what of it there is here.

use super::reason::{self, Exit};
use appliance::MaxPods;

/// What was asked of the components.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ExtraConfig {
    /// `kubelet.max-pods`
    pub(super) max_pods: Option<MaxPods>,
    /// `COMPONENT.KEY` of all others, once each.
    unused: Vec<String>,
}

impl ExtraConfig {
    /// The last value of a key counts, as minikube has it.
    ///
    /// # Errors
    /// A value that is not of that form, or not one for its key.
    pub(super) fn parse(values: &[String]) -> Result<Self, Exit> {
        let mut config = ExtraConfig::default();
        for value in values {
            let invalid = |why: String| {
                reason::USAGE
                    .because(format!("invalid argument \"{value}\" for \"--extra-config\" flag: {why}"))
            };
            let Some((component, rest)) = value.split_once('.') else {
                return Err(invalid(format!("invalid value: must contain at least one period: \"{value}\"")));
            };
            let Some((key, setting)) = rest.split_once('=') else {
                return Err(invalid(format!("invalid value: must contain one equal sign: \"{value}\"")));
            };
            match (component, key) {
                ("kubelet", "max-pods") => {
                    config.max_pods =
                        Some(setting.parse().map_err(|e: appliance::MaxPodsError| invalid(e.to_string()))?);
                }
                _ => {
                    let name = format!("{component}.{key}");
                    if !config.unused.contains(&name) {
                        config.unused.push(name);
                    }
                }
            }
        }
        Ok(config)
    }

    /// What is said of those that do nothing.
    pub(super) fn note(&self) -> Option<String> {
        let have = match self.unused.len() {
            0 => return None,
            1 => "has",
            _ => "have",
        };
        let names = self.unused.join(", ");
        Some(format!(
            "--extra-config: {names} {have} no effect: components find out what they need, and kubelet.max-pods is all that they are told"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> Result<ExtraConfig, String> {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        ExtraConfig::parse(&values).map_err(|exit| exit.what)
    }

    #[test]
    fn the_kubelets_number_of_pods_is_taken_and_the_rest_is_said_to_mean_nothing() {
        let config = parse(&[
            "kubelet.max-pods=150",
            "apiserver.enable-admission-plugins=A,B",
            "kubelet.max-pods=200",
            "etcd.quota-backend-bytes=1",
            "etcd.quota-backend-bytes=2",
        ])
        .unwrap();
        assert_eq!(config.max_pods.map(MaxPods::get), Some(200));
        let said = config.note().unwrap();
        let names = "apiserver.enable-admission-plugins, etcd.quota-backend-bytes have no effect";
        assert!(said.contains(names), "{said}");
        assert_eq!(parse(&["kubelet.max-pods=1"]).unwrap().note(), None);
        assert!(parse(&["kubelet.x=1"]).unwrap().note().unwrap().contains("kubelet.x has no effect"));
    }

    #[test]
    fn what_is_not_of_the_form_is_refused_in_minikubes_words() {
        for (value, want) in [
            ("max-pods", "must contain at least one period: \"max-pods\""),
            ("kubelet.max-pods", "must contain one equal sign: \"kubelet.max-pods\""),
            ("kubelet.max-pods=0", "give a number from 1 to "),
            ("kubelet.max-pods=", "give a number from 1 to "),
        ] {
            let said = parse(&[value]).unwrap_err();
            let begin = format!("invalid argument \"{value}\" for \"--extra-config\" flag: ");
            assert!(said.starts_with(&begin) && said.contains(want), "{said}");
        }
    }
}

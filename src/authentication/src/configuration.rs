//! What an `AuthenticationConfiguration` means.

use crate::claims::Issuer;
use crate::file::{AnonymousFile, ConfigurationError, File, VERSIONS, invalid};
use std::collections::BTreeSet;

/// Upstream's limit.
const MOST_ISSUERS: usize = 64;

/// Who is believed beside the cluster itself.
#[derive(Debug, Default)]
pub struct Configuration {
    pub issuers: Vec<Issuer>,
    pub anonymous: Anonymous,
}

/// Which requests nobody needs to be known for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Anonymous {
    #[default]
    All,
    None,
    /// Of these paths.
    At(Vec<String>),
}

impl Configuration {
    /// From YAML or JSON.
    ///
    /// # Errors
    /// What is no such file, and what can not be meant, by field.
    pub fn parse(text: &str) -> Result<Self, ConfigurationError> {
        let file: File =
            serde_saphyr::from_str(text).map_err(|e| ConfigurationError::Unreadable(e.to_string()))?;
        if !VERSIONS.contains(&file.api_version.as_str()) {
            return Err(ConfigurationError::Version(file.api_version));
        }
        if file.kind != "AuthenticationConfiguration" {
            return Err(ConfigurationError::Kind(file.kind));
        }
        if file.jwt.len() > MOST_ISSUERS {
            return Err(invalid("jwt", format!("must have at most {MOST_ISSUERS} items")));
        }
        let (mut issuers, mut urls) = (Vec::<Issuer>::new(), BTreeSet::new());
        for (index, jwt) in file.jwt.into_iter().enumerate() {
            let issuer = Issuer::new(jwt, &format!("jwt[{index}]"))?;
            if !urls.insert(issuer.url().to_owned()) {
                return Err(invalid(&format!("jwt[{index}].issuer.url"), "Duplicate value"));
            }
            issuers.push(issuer);
        }
        Ok(Configuration { issuers, anonymous: anonymous(file.anonymous)? })
    }
}

fn anonymous(given: Option<AnonymousFile>) -> Result<Anonymous, ConfigurationError> {
    match given {
        None => Ok(Anonymous::All),
        Some(AnonymousFile { enabled: false, conditions }) if !conditions.is_empty() => {
            Err(invalid("anonymous.conditions", "enabled should be set to true when conditions are defined"))
        }
        Some(AnonymousFile { enabled: false, .. }) => Ok(Anonymous::None),
        Some(AnonymousFile { conditions, .. }) if conditions.is_empty() => Ok(Anonymous::All),
        Some(AnonymousFile { conditions, .. }) => {
            Ok(Anonymous::At(conditions.into_iter().map(|condition| condition.path).collect()))
        }
    }
}

impl Anonymous {
    pub fn allows(&self, path: &str) -> bool {
        match self {
            Anonymous::All => true,
            Anonymous::None => false,
            Anonymous::At(paths) => paths.iter().any(|known| known == path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n";

    fn refused(text: &str) -> String {
        Configuration::parse(&format!("{HEAD}{text}")).unwrap_err().to_string()
    }

    fn of_issuer(more: &str) -> String {
        format!(
            "jwt:\n- issuer: {{url: https://a.example, audiences: [k]}}\n  claimMappings: {{username: {{claim: sub, prefix: ''}}}}\n{more}"
        )
    }

    #[test]
    fn what_can_not_be_meant_is_refused_by_field() {
        let jwt = |text: &str| format!("jwt:\n- {text}");
        for (text, want) in [
            (jwt("issuer: {url: 'http://a', audiences: [k]}"), "jwt[0].issuer.url: URL scheme must be https"),
            (
                jwt("issuer: {url: 'https://a?x', audiences: [k]}"),
                "jwt[0].issuer.url: URL must not contain a query or a fragment",
            ),
            (
                jwt("issuer: {url: 'https://a'}"),
                "jwt[0].issuer.audiences: at least one jwt[0].issuer.audiences is required",
            ),
            (
                jwt("issuer: {url: 'https://a', audiences: [k, l]}"),
                "jwt[0].issuer.audienceMatchPolicy: audienceMatchPolicy must be MatchAny for multiple audiences",
            ),
            (
                jwt("issuer: {url: 'https://a', audiences: [k], discoveryURL: 'https://a'}"),
                "jwt[0].issuer.discoveryURL: discoveryURL must be different from URL",
            ),
            (
                jwt("issuer: {url: 'https://a', audiences: [k]}"),
                "jwt[0].claimMappings.username: claim or expression is required",
            ),
            (
                jwt("issuer: {url: 'https://a', audiences: [k]}\n  claimMappings: {username: {claim: sub}}"),
                "jwt[0].claimMappings.username.prefix: prefix is required when claim is set. It can be set to an empty string to disable prefixing",
            ),
            (
                jwt(
                    "issuer: {url: 'https://a', audiences: [k]}\n  claimMappings: {username: {claim: sub, prefix: '', expression: claims.sub}}",
                ),
                "jwt[0].claimMappings.username: claim and expression can't both be set",
            ),
            (
                jwt(
                    "issuer: {url: 'https://a', audiences: [k]}\n  claimMappings: {username: {expression: 'user.name'}}",
                ),
                "jwt[0].claimMappings.username.expression: compilation failed: ",
            ),
            (
                jwt(
                    "issuer: {url: 'https://a', audiences: [k]}\n  claimMappings: {username: {expression: 'claims.email'}}",
                ),
                "jwt[0].claimMappings.username.expression: claims.email_verified must be used in claimMappings.username.expression",
            ),
            (
                of_issuer("  claimValidationRules: [{}]"),
                "jwt[0].claimValidationRules[0]: claim or expression is required",
            ),
            (
                of_issuer("  userValidationRules: [{expression: '1'}]"),
                "jwt[0].userValidationRules[0].expression: ",
            ),
            ("anonymous: {enabled: false, conditions: [{path: /a}]}".to_owned(), "anonymous.conditions: "),
        ] {
            let why = refused(&text);
            assert!(why.starts_with(want), "{text}: {why}");
        }
        let twice = of_issuer("") + &of_issuer("").replace("jwt:\n", "");
        assert_eq!(refused(&twice), "jwt[1].issuer.url: Duplicate value");
        for text in [
            "kind: Pod",
            "apiVersion: v1\nkind: AuthenticationConfiguration",
            &format!("{HEAD}jwts: []"),
            "{",
        ] {
            assert!(Configuration::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn anonymous_requests_are_let_in_where_the_file_says_so() {
        let allows = |text: &str| {
            let anonymous = Configuration::parse(&format!("{HEAD}{text}")).unwrap().anonymous;
            ["/livez", "/api/v1/pods"].map(|path| anonymous.allows(path))
        };
        assert_eq!(allows(""), [true, true]);
        assert_eq!(allows("anonymous: {enabled: true}"), [true, true]);
        assert_eq!(allows("anonymous: {enabled: false}"), [false, false]);
        assert_eq!(allows("anonymous: {enabled: true, conditions: [{path: /livez}]}"), [true, false]);
    }
}

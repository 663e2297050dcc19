//! From what an issuer says of somebody to who that is here.

use crate::file::{ConfigurationError, ExtraMapping, Jwt, Mapping, invalid};
use crate::keys::Keys;
use crate::token::{Token, TokenError};
use expressions::{Budget, Composition, Environment, Evaluation, Outcome, Output, Program, Variables};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const CLAIMS: &str = "claims";
const USER: &str = "user";
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// One that is believed, and how its claims are read.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    discovery_url: Option<String>,
    /// PEM; empty for the machine's own.
    pub certificate_authority: String,
    audiences: Vec<String>,
    rules: Vec<Rule>,
    username: From,
    groups: Option<From>,
    uid: Option<From>,
    extra: Vec<(String, Program)>,
    user_rules: Vec<(Program, String)>,
}

/// Who somebody is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub username: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

#[derive(Debug)]
enum From {
    Claim { name: String, prefix: String },
    Expression(Program),
}

#[derive(Debug)]
enum Rule {
    Claim { name: String, value: String },
    Expression { program: Program, message: String },
}

impl Issuer {
    pub(crate) fn new(jwt: Jwt, at: &str) -> Result<Self, ConfigurationError> {
        let (issuer, mappings) = (jwt.issuer, jwt.claim_mappings);
        url(&issuer.url, &format!("{at}.issuer.url"))?;
        if let Some(discovery) = &issuer.discovery_url {
            let at = format!("{at}.issuer.discoveryURL");
            url(discovery, &at)?;
            if discovery.trim_end_matches('/') == issuer.url.trim_end_matches('/') {
                return Err(invalid(&at, "discoveryURL must be different from URL"));
            }
        }
        let at_audiences = format!("{at}.issuer.audiences");
        if issuer.audiences.is_empty() {
            return Err(invalid(&at_audiences, format!("at least one {at_audiences} is required")));
        }
        let policy = issuer.audience_match_policy.as_deref().unwrap_or_default();
        if !["", "MatchAny"].contains(&policy) || (issuer.audiences.len() > 1 && policy.is_empty()) {
            let why = "audienceMatchPolicy must be MatchAny for multiple audiences";
            return Err(invalid(&format!("{at}.issuer.audienceMatchPolicy"), why));
        }
        let at_mappings = format!("{at}.claimMappings");
        let username = From::of(mappings.username, true, &format!("{at_mappings}.username"))?;
        let username = username
            .ok_or_else(|| invalid(&format!("{at_mappings}.username"), "claim or expression is required"))?;
        let groups = From::of(mappings.groups, true, &format!("{at_mappings}.groups"))?;
        let uid = From::of(mappings.uid, false, &format!("{at_mappings}.uid"))?;
        let extra = extra(mappings.extra, &format!("{at_mappings}.extra"))?;
        let mut rules = Vec::new();
        for (index, rule) in jwt.claim_validation_rules.into_iter().enumerate() {
            let at = format!("{at}.claimValidationRules[{index}]");
            rules.push(match (rule.claim.as_str(), rule.expression.as_str()) {
                ("", "") => return Err(invalid(&at, "claim or expression is required")),
                ("", source) => {
                    let program = compile(source, CLAIMS, Output::Bool, &format!("{at}.expression"))?;
                    Rule::Expression { program, message: rule.message }
                }
                (_, "") => Rule::Claim { name: rule.claim, value: rule.required_value },
                _ => return Err(invalid(&at, "claim and expression can't both be set")),
            });
        }
        let mut user_rules = Vec::new();
        for (index, rule) in jwt.user_validation_rules.into_iter().enumerate() {
            let at = format!("{at}.userValidationRules[{index}].expression");
            user_rules.push((compile(&rule.expression, USER, Output::Bool, &at)?, rule.message));
        }
        let issuer = Issuer {
            url: issuer.url,
            discovery_url: issuer.discovery_url,
            certificate_authority: issuer.certificate_authority.unwrap_or_default(),
            audiences: issuer.audiences,
            rules,
            username,
            groups,
            uid,
            extra,
            user_rules,
        };
        match issuer.trusts_unverified_addresses() {
            true => {
                let why = "claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression";
                Err(invalid(&format!("{at_mappings}.username.expression"), why))
            }
            false => Ok(issuer),
        }
    }

    /// An address that nobody has verified is anybody's: who makes a name of it must look at that somewhere.
    fn trusts_unverified_addresses(&self) -> bool {
        let From::Expression(username) = &self.username else { return false };
        let rules = self.rules.iter().filter_map(|rule| match rule {
            Rule::Expression { program, .. } => Some(program),
            Rule::Claim { .. } => None,
        });
        let all = self.extra.iter().map(|(_, program)| program).chain(rules).chain([username]);
        username.selects(CLAIMS, "email")
            && !all.into_iter().any(|program| program.selects(CLAIMS, "email_verified"))
    }

    /// What its tokens say they are of.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it says where its keys are.
    pub fn discovery_url(&self) -> String {
        self.discovery_url
            .clone()
            .unwrap_or_else(|| format!("{}{WELL_KNOWN}", self.url.trim_end_matches('/')))
    }

    /// Whether both have the same keys, as far as one can know without asking: they are fetched from the same place, by the same trust.
    pub fn has_keys_of(&self, other: &Issuer) -> bool {
        let source = |issuer: &Issuer| (issuer.discovery_url(), issuer.certificate_authority.clone());
        self.url == other.url && source(self) == source(other)
    }

    /// Whose token it is, at this time (seconds since 1970).
    ///
    /// # Errors
    /// Why it is not good.
    pub fn identify(&self, token: &Token<'_>, keys: &Keys, now: f64) -> Result<Identity, TokenError> {
        self.identity(token.verified(keys, &self.audiences, now)?).map_err(TokenError::Claims)
    }

    fn identity(&self, claims: &Map<String, Value>) -> Result<Identity, String> {
        let variables = Variables::default().json(CLAIMS, &Value::Object(claims.clone()));
        let mut budget = Budget::OBJECT;
        for rule in &self.rules {
            rule.holds(claims, &variables, &mut budget)?;
        }
        let username = match &self.username {
            From::Claim { name, prefix } => {
                let value = text(claims, name)?;
                if name == "email" && claims.get("email_verified").is_some_and(|is| *is != Value::Bool(true))
                {
                    return Err("email not verified".to_owned());
                }
                format!("{prefix}{value}")
            }
            From::Expression(program) => one(program, &variables, &mut budget)
                .map_err(|why| format!("error evaluating username claim expression: {why}"))?,
        };
        if username.is_empty() {
            return Err("username is empty".to_owned());
        }
        let groups = match &self.groups {
            None => Vec::new(),
            Some(From::Claim { name, prefix }) => {
                texts(claims, name)?.into_iter().map(|group| format!("{prefix}{group}")).collect()
            }
            Some(From::Expression(program)) => many(program, &variables, &mut budget)
                .map_err(|why| format!("error evaluating group claim expression: {why}"))?,
        };
        let uid = match &self.uid {
            None => String::new(),
            Some(From::Claim { name, .. }) => text(claims, name)?,
            Some(From::Expression(program)) => one(program, &variables, &mut budget)
                .map_err(|why| format!("error evaluating uid claim expression: {why}"))?,
        };
        let mut identity = Identity { username, uid, groups, extra: BTreeMap::new() };
        for (key, program) in &self.extra {
            let values = many(program, &variables, &mut budget);
            let values = values.map_err(|why| format!("error evaluating extra claim expression: {why}"))?;
            if !values.is_empty() {
                identity.extra.insert(key.clone(), values);
            }
        }
        self.check_user(&identity, &mut budget)?;
        Ok(identity)
    }

    fn check_user(&self, identity: &Identity, budget: &mut Budget) -> Result<(), String> {
        let Identity { username, uid, groups, extra } = identity;
        let user = json!({"username": username, "uid": uid, "groups": groups, "extra": extra});
        let variables = Variables::default().json(USER, &user);
        for (program, message) in &self.user_rules {
            if !is_true(program, &variables, budget)? {
                return Err(format!(
                    "error evaluating user info validation rule: validation expression failed: {message}"
                ));
            }
        }
        Ok(())
    }
}

impl From {
    fn of(mapping: Mapping, has_prefix: bool, at: &str) -> Result<Option<Self>, ConfigurationError> {
        match (mapping.claim.as_str(), mapping.expression.as_str()) {
            ("", "") => Ok(None),
            ("", source) => {
                let program = compile(source, CLAIMS, Output::Any, &format!("{at}.expression"))?;
                Ok(Some(From::Expression(program)))
            }
            (_, "") => match (mapping.prefix, has_prefix) {
                (None, true) => {
                    let why = "prefix is required when claim is set. It can be set to an empty string to disable prefixing";
                    Err(invalid(&format!("{at}.prefix"), why))
                }
                (prefix, _) => {
                    Ok(Some(From::Claim { name: mapping.claim, prefix: prefix.unwrap_or_default() }))
                }
            },
            _ => Err(invalid(at, "claim and expression can't both be set")),
        }
    }
}

impl Rule {
    fn holds(
        &self,
        claims: &Map<String, Value>,
        variables: &Variables,
        budget: &mut Budget,
    ) -> Result<(), String> {
        match self {
            Rule::Claim { name, value } => {
                let Some(found) = claims.get(name) else {
                    return Err(format!("required claim {name} not present in ID token"));
                };
                match found.as_str() == Some(value) {
                    true => Ok(()),
                    false => Err(format!(
                        "required claim {name} value does not match. Got = {found}, want = {value}"
                    )),
                }
            }
            Rule::Expression { program, message } => match is_true(program, variables, budget)? {
                true => Ok(()),
                false => Err(format!(
                    "error evaluating claim validation expression: validation expression failed: {message}"
                )),
            },
        }
    }
}

fn extra(mappings: Vec<ExtraMapping>, at: &str) -> Result<Vec<(String, Program)>, ConfigurationError> {
    let mut all: Vec<(String, Program)> = Vec::new();
    for (index, mapping) in mappings.into_iter().enumerate() {
        let at = format!("{at}[{index}]");
        let key = mapping.key;
        // a domain before the slash, so that nobody takes the names of others; ours least of all
        let domain = key.split_once('/').map(|(domain, _)| domain).unwrap_or_default();
        if domain.is_empty() || key != key.to_lowercase() {
            return Err(invalid(&format!("{at}.key"), "must be a domain-prefixed path in lowercase"));
        }
        if ["k8s.io", "kubernetes.io"]
            .iter()
            .any(|own| domain == *own || domain.ends_with(&format!(".{own}")))
        {
            return Err(invalid(
                &format!("{at}.key"),
                "k8s.io, kubernetes.io and their subdomains are reserved",
            ));
        }
        if all.iter().any(|(known, _)| *known == key) {
            return Err(invalid(&format!("{at}.key"), "Duplicate value"));
        }
        let program =
            compile(&mapping.value_expression, CLAIMS, Output::Any, &format!("{at}.valueExpression"))?;
        all.push((key, program));
    }
    Ok(all)
}

fn compile(source: &str, variable: &str, output: Output, at: &str) -> Result<Program, ConfigurationError> {
    let environment = Environment { variables: &[variable], ..Environment::default() };
    environment.compile(source, output).map_err(|why| invalid(at, why))
}

fn url(url: &str, at: &str) -> Result<(), ConfigurationError> {
    let Some(rest) = url.strip_prefix("https://") else {
        return Err(invalid(at, "URL scheme must be https"));
    };
    if rest.contains(['?', '#']) {
        return Err(invalid(at, "URL must not contain a query or a fragment"));
    }
    match rest.split('/').next().is_some_and(|host| !host.is_empty() && !host.contains('@')) {
        true => Ok(()),
        false => Err(invalid(at, "URL must name a host, and no username or password")),
    }
}

fn text(claims: &Map<String, Value>, name: &str) -> Result<String, String> {
    match claims.get(name) {
        Some(Value::String(value)) => Ok(value.clone()),
        Some(_) => Err(format!("parse claims {name:?}: it is no string")),
        None => Err(format!("claim {name:?} not present")),
    }
}

/// One or a list; none where the claim is not there.
fn texts(claims: &Map<String, Value>, name: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("parse groups claim {name:?}: it is neither a string nor a list of strings");
    match claims.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(all)) => {
            all.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn evaluate(program: &Program, variables: &Variables, budget: &mut Budget) -> Result<Outcome, String> {
    let composition = Composition::default();
    let mut evaluation = Evaluation::new(variables.clone(), &composition);
    evaluation.evaluate(program, budget).map_err(|fault| fault.to_string())
}

fn is_true(program: &Program, variables: &Variables, budget: &mut Budget) -> Result<bool, String> {
    Ok(evaluate(program, variables, budget)? == Outcome::Bool(true))
}

fn one(program: &Program, variables: &Variables, budget: &mut Budget) -> Result<String, String> {
    match evaluate(program, variables, budget)? {
        Outcome::Text(text) => Ok(text),
        _ => Err("it is no string".to_owned()),
    }
}

fn many(program: &Program, variables: &Variables, budget: &mut Budget) -> Result<Vec<String>, String> {
    match evaluate(program, variables, budget)? {
        Outcome::Text(text) if text.is_empty() => Ok(Vec::new()),
        Outcome::Text(text) => Ok(vec![text]),
        Outcome::Texts(texts) => Ok(texts.into_iter().filter(|text| !text.is_empty()).collect()),
        Outcome::Null => Ok(Vec::new()),
        _ => Err("it is neither a string nor a list of strings".to_owned()),
    }
}

#[cfg(test)]
mod tests;

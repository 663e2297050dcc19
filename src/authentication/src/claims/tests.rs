use super::*;
use crate::Configuration;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

const NOW: f64 = 1_000_000.0;

/// Signs as an issuer does.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Signer(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).unwrap())
    }

    fn keys(&self, id: &str) -> Keys {
        let point = self.0.public_key().as_ref();
        let coordinate = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
        let (x, y) = (coordinate(1..33), coordinate(33..65));
        let others = json!({"kty": "oct", "k": "c2VjcmV0"});
        let set =
            json!({"keys": [others, {"kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": x, "y": y}]});
        Keys::parse(set.to_string().as_bytes()).unwrap()
    }

    fn token(&self, header: Value, claims: Value) -> String {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn issuer(jwt: &str) -> Issuer {
    let text = format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n- issuer: {{url: 'https://a.example', audiences: [k]}}\n{jwt}"
    );
    Configuration::parse(&text).unwrap().issuers.remove(0)
}

fn claims() -> Value {
    json!({"iss": "https://a.example", "aud": ["other", "k"], "exp": NOW + 60.0, "sub": "jane", "groups": ["dev", "ops"],
        "email": "jane@a.example", "email_verified": true, "roles": {"k": "admin"}})
}

#[test]
fn a_token_is_believed_that_its_issuer_signed_for_us_and_now() {
    let (signer, other) = (Signer::new(), Signer::new());
    let issuer = issuer("  claimMappings: {username: {claim: sub, prefix: 'a:'}}\n");
    let header = || json!({"alg": "ES256", "kid": "1"});
    let with = |field: &str, value: Value| {
        let mut claims = claims();
        claims[field] = value;
        claims
    };
    let identify = |token: &str, keys: &Keys| {
        let token = Token::parse(token).unwrap();
        issuer.identify(&token, keys, NOW).map(|identity| identity.username).map_err(|why| why.to_string())
    };
    let (keys, unknown) = (signer.keys("1"), TokenError::UnknownKey.to_string());
    let starts = |got: Result<String, String>, want: &str| {
        let why = got.unwrap_err();
        assert!(why.starts_with(want), "{why}");
    };
    assert_eq!(identify(&signer.token(header(), claims()), &keys), Ok("a:jane".to_owned()));
    assert_eq!(identify(&signer.token(json!({"alg": "ES256"}), claims()), &keys), Ok("a:jane".to_owned()));
    assert_eq!(identify(&other.token(header(), claims()), &keys), Err(unknown.clone()));
    assert_eq!(identify(&signer.token(header(), claims()), &signer.keys("2")), Err(unknown.clone()));
    for algorithm in ["none", "HS256", "RS256", "ES384"] {
        let token = signer.token(json!({"alg": algorithm, "kid": "1"}), claims());
        assert_eq!(identify(&token, &keys), Err(unknown.clone()), "{algorithm}");
    }
    let changed = {
        let token = signer.token(header(), claims());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (head, _) = signed.split_once('.').unwrap();
        format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(with("sub", "root".into()).to_string()))
    };
    assert_eq!(identify(&changed, &keys), Err(unknown));
    starts(
        identify(&signer.token(header(), with("aud", "x".into())), &keys),
        "oidc: verify token: expected audience",
    );
    starts(
        identify(&signer.token(header(), with("exp", (NOW - 1.0).into())), &keys),
        "oidc: verify token: token is expired",
    );
    starts(
        identify(&signer.token(header(), with("exp", Value::Null)), &keys),
        "oidc: verify token: token has no exp",
    );
    starts(
        identify(&signer.token(header(), with("nbf", (NOW + 400.0).into())), &keys),
        "oidc: verify token: current time before",
    );
    assert!(identify(&signer.token(header(), with("nbf", (NOW + 200.0).into())), &keys).is_ok());
    assert!(
        Token::parse("a.b").is_none() && Token::parse("").is_none() && Token::parse("e30.e30.x").is_none()
    );
}

#[test]
fn claims_become_an_identity() {
    let by_expression = "  claimMappings:
    username: {expression: 'claims.email_verified ? claims.email : \"\"'}
    groups: {expression: 'claims.groups.map(g, \"a:\" + g)'}
    uid: {claim: sub}
    extra: [{key: a.example/role, valueExpression: claims.roles.k}]\n";
    let username = "  claimMappings: {username: {claim: sub, prefix: ''}}\n";
    let rules = |rules: &str| format!("{username}  claimValidationRules: [{rules}]\n");
    let user_rule = format!(
        "{username}  userValidationRules: [{{expression: \"!user.username.startsWith('ja')\", message: not jane}}]\n"
    );
    let cases: [(&str, String, Result<(&str, &[&str]), &str>); 11] = [
        ("claims", "  claimMappings: {username: {claim: sub, prefix: 'a:'}, groups: {claim: groups, prefix: 'a:'}}\n".into(), Ok(("a:jane", &["a:dev", "a:ops"]))),
        ("expressions", by_expression.into(), Ok(("jane@a.example", &["a:dev", "a:ops"]))),
        ("one group", "  claimMappings: {username: {claim: sub, prefix: ''}, groups: {claim: sub, prefix: ''}}\n".into(), Ok(("jane", &["jane"]))),
        ("no groups", "  claimMappings: {username: {claim: sub, prefix: ''}, groups: {claim: none, prefix: ''}}\n".into(), Ok(("jane", &[]))),
        ("no such claim", "  claimMappings: {username: {claim: none, prefix: ''}}\n".into(), Err("claim \"none\" not present")),
        ("a claim that is no text", "  claimMappings: {username: {claim: roles, prefix: ''}}\n".into(), Err("parse claims \"roles\"")),
        ("a required claim", rules("{claim: sub, requiredValue: jane}"), Ok(("jane", &[]))),
        ("a required claim that is another", rules("{claim: sub, requiredValue: joe}"), Err("required claim sub value does not match")),
        ("a rule", rules("{expression: 'claims.sub == \"jane\"'}"), Ok(("jane", &[]))),
        ("a rule that does not hold", rules("{expression: 'claims.sub == \"joe\"', message: only joe}"), Err("error evaluating claim validation expression: validation expression failed: only joe")),
        ("a rule about who it is", user_rule, Err("error evaluating user info validation rule: validation expression failed: not jane")),
    ];
    for (name, jwt, want) in cases {
        let claims = claims();
        let got = issuer(&jwt).identity(claims.as_object().unwrap());
        match (got, want) {
            (Ok(got), Ok((username, groups))) => {
                assert_eq!(
                    (got.username.as_str(), got.groups),
                    (username, groups.iter().map(|g| (*g).to_owned()).collect()),
                    "{name}"
                );
            }
            (Err(got), Err(want)) => assert!(got.starts_with(want), "{name}: {got}"),
            (got, want) => panic!("{name}: {got:?}, and not {want:?}"),
        }
    }
    let claims = claims();
    let all = issuer(by_expression).identity(claims.as_object().unwrap()).unwrap();
    assert_eq!(all.uid, "jane");
    assert_eq!(all.extra, BTreeMap::from([("a.example/role".to_owned(), vec!["admin".to_owned()])]));
}

#[test]
fn an_address_that_nobody_verified_is_nobodys() {
    let of_claim = issuer("  claimMappings: {username: {claim: email, prefix: ''}}\n");
    let mut claims = claims();
    claims["email_verified"] = false.into();
    assert_eq!(of_claim.identity(claims.as_object().unwrap()), Err("email not verified".to_owned()));
    claims.as_object_mut().unwrap().remove("email_verified");
    assert!(of_claim.identity(claims.as_object().unwrap()).is_ok());
}

#[test]
fn keys_are_those_of_where_they_are_fetched() {
    let of = |issuer: &str, claim: &str| {
        let text = format!(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n- issuer: {{{issuer}, audiences: [k]}}\n  claimMappings: {{username: {{claim: {claim}, prefix: ''}}}}\n"
        );
        Configuration::parse(&text).unwrap().issuers.remove(0)
    };
    let known = of("url: 'https://a.example'", "sub");
    let elsewhere =
        "url: 'https://a.example', discoveryURL: 'https://b.example/.well-known/openid-configuration'";
    for (name, issuer, want) in [
        ("the same", of("url: 'https://a.example'", "sub"), true),
        ("with claims that are read in another way", of("url: 'https://a.example'", "email"), true),
        ("another", of("url: 'https://c.example'", "sub"), false),
        ("from elsewhere", of(elsewhere, "sub"), false),
    ] {
        assert_eq!(known.has_keys_of(&issuer), want, "{name}");
    }
}

//! The profile's authorities, and the certificates that they sign. Authorities and the administrator's are kept, for kubeconfigs
//! hold them, until they are about to end; what an authority signs anew at each start is kept nowhere.

use crate::{Paths, Settings};
use jiff::civil::Date;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use x509_parser::error::X509Error;

/// The profile's own authority and what it signed: the API server's certificate and the administrator's.
#[derive(Debug, Clone)]
pub struct Certificates {
    pub ca_pem: String,
    pub server_chain_pem: String,
    pub server_key_pem: String,
    pub admin: AdminCredentials,
    /// Whose the front proxy's certificate is: an authority that signs nothing else, so that no user's certificate can pass for it.
    pub front_proxy_ca_pem: String,
    pub front_proxy: FrontProxyCredentials,
    /// PKCS#8, for service-account tokens.
    pub token_key: Vec<u8>,
}

#[derive(Clone)]
pub struct AdminCredentials {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for AdminCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminCredentials(redacted)")
    }
}

/// What the API server shows to extension API servers.
#[derive(Clone)]
pub struct FrontProxyCredentials {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for FrontProxyCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FrontProxyCredentials(redacted)")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{path}: {why}", path = path.display())]
    File { path: PathBuf, why: String },
    #[error("make certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("make token key: {0}")]
    TokenKey(String),
}

const ADMIN: &str = "monopod-admin";
const CA_YEARS: i32 = 10;
const LEAF_YEARS: i32 = 9; // shorter than the authority's, so that none outlives it
/// What is kept is made anew by a start in its last year: a daemon may run for long, and kubeconfigs that were copied are good meanwhile.
const YEARS_BEFORE_THE_END: i16 = 1;
/// All are valid from this day, which was before any were made: a clock that was ahead and is set right refuses none of them. It is
/// also the least that a clock is believed to show: one that begins in 1970 would make what has long ended when it is set.
const FIRST_DAY: Date = jiff::civil::date(2025, 1, 1);

impl Certificates {
    /// What is there and does not end soon, else new. The authority's key and the token key are made once; the server's certificate is
    /// made anew at every start, because the machine's addresses may have changed.
    ///
    /// # Errors
    /// Files that can not be read or written, or are no certificates.
    pub fn load_or_make(
        paths: &Paths,
        settings: &Settings,
        addresses: &[IpAddr],
    ) -> Result<Self, CertificateError> {
        let directory = paths.certificates();
        std::fs::create_dir_all(&directory).map_err(|e| file(&directory, e))?;
        let today = today();
        let (ca_pem, ca_key) =
            load_or_make_authority(&directory, "ca", &format!("{}-ca", paths.profile.as_str()), today)?;
        let not_read = |name: &str| {
            let path = directory.join(name);
            move |e: rcgen::Error| file(&path, e)
        };
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, &ca_key).map_err(not_read("ca.crt"))?;
        let server_key = KeyPair::generate()?;
        let server = server(settings, addresses, today)?.signed_by(&server_key, &issuer)?;
        let admin = load_or_make_admin(&directory, &ca_pem, &issuer, today)?;
        let (front_proxy_ca_pem, front_proxy_ca_key) =
            load_or_make_authority(&directory, "front-proxy-ca", "front-proxy-ca", today)?;
        let front_proxy_issuer = Issuer::from_ca_cert_pem(&front_proxy_ca_pem, &front_proxy_ca_key)
            .map_err(not_read("front-proxy-ca.crt"))?;
        let front_proxy = front_proxy(&front_proxy_issuer, today)?;
        let token_key = load_or_make_key(&directory.join("sa.key"))?.serialize_der();
        Ok(Certificates {
            server_chain_pem: server.pem(),
            server_key_pem: server_key.serialize_pem(),
            ca_pem,
            admin,
            front_proxy_ca_pem,
            front_proxy,
            token_key,
        })
    }
}

/// Certificate and key of an authority, from `NAME.crt` and `NAME.key`. One that ends gets a new certificate for the same name and key,
/// by which all that it has signed is as good as before.
fn load_or_make_authority(
    directory: &Path,
    name: &str,
    common: &str,
    today: Date,
) -> Result<(String, KeyPair), CertificateError> {
    let (path, key_path) = (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")));
    let known = read(&path)?;
    // who trusts the certificate would not trust what a new key signs
    if known.is_some() && !key_path.exists() {
        let cure = "put it back, or remove the certificate too, and a new authority is made";
        return Err(file(&key_path, format_args!("it is missing, and {} needs it: {cure}", path.display())));
    }
    let key = load_or_make_key(&key_path)?;
    if known.as_deref().is_some_and(|pem| is_of(pem, &key) == Some(false)) {
        return Err(file(&path, format_args!("it is not of the key in {}", key_path.display())));
    }
    let pem = match known {
        Some(pem) if !is_to_be_renewed(&pem, common, today) => pem,
        _ => {
            let pem = authority(common, today)?.self_signed(&key)?.pem();
            write(&path, &pem)?;
            pem
        }
    };
    Ok((pem, key))
}

/// Whether a certificate is of this key; nothing of what is no certificate.
fn is_of(pem: &str, key: &KeyPair) -> Option<bool> {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let certificate = block.parse_x509().ok()?;
    Some(&*certificate.public_key().subject_public_key.data == key.public_key_raw())
}

/// Whether the authority's key has signed a certificate; nothing where that can not be told, as of one that brings those between.
fn is_signed_by(pem: &str, authority: &str) -> Option<bool> {
    let (rest, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    if !rest.trim_ascii().is_empty() {
        return None;
    }
    let certificate = block.parse_x509().ok()?;
    let (_, block) = x509_parser::pem::parse_x509_pem(authority.as_bytes()).ok()?;
    let authority = block.parse_x509().ok()?;
    match certificate.verify_signature(Some(authority.public_key())) {
        Ok(()) => Some(true),
        Err(X509Error::SignatureVerificationError) => Some(false),
        Err(_) => None,
    }
}

/// Whether it is not valid, or not for long, and is one that was made here, for this name: what somebody has put in its place is theirs
/// to renew, and what can not be read is told by whoever uses it.
fn is_to_be_renewed(pem: &str, common: &str, today: Date) -> bool {
    let Ok((_, block)) = x509_parser::pem::parse_x509_pem(pem.as_bytes()) else { return false };
    let Ok(certificate) = block.parse_x509() else { return false };
    let second = |date: Date| date.to_zoned(jiff::tz::TimeZone::UTC).map(|at| at.timestamp().as_second());
    let soon = today.saturating_add(jiff::Span::new().years(YEARS_BEFORE_THE_END));
    let (Ok(now), Ok(soon)) = (second(today), second(soon)) else { return false };
    let validity = certificate.validity();
    let is_ours = certificate.subject().iter_common_name().any(|name| name.as_str() == Ok(common));
    is_ours && (now < validity.not_before.timestamp() || validity.not_after.timestamp() <= soon)
}

/// Anew at every start, and kept nowhere.
fn front_proxy(
    issuer: &Issuer<'_, &KeyPair>,
    today: Date,
) -> Result<FrontProxyCredentials, CertificateError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = name("front-proxy-client", None);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    lasts(&mut params, LEAF_YEARS, today);
    let certificate_pem = params.signed_by(&key, issuer)?.pem();
    Ok(FrontProxyCredentials { certificate_pem, key_pem: key.serialize_pem() })
}

fn authority(common: &str, today: Date) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = name(common, None);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    lasts(&mut params, CA_YEARS, today);
    Ok(params)
}

/// Whether a certificate can hold it: an address, or a DNS name (RFC 1123), of which the first label may be a `*`.
pub fn is_server_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.parse::<IpAddr>().is_ok()
        || (text.len() <= 253 && text.strip_prefix("*.").unwrap_or(text).split('.').all(is_label))
}

fn server(settings: &Settings, addresses: &[IpAddr], today: Date) -> Result<CertificateParams, rcgen::Error> {
    let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let mut names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    names.push(format!("kubernetes.default.svc.{}", crate::settings::CLUSTER_DOMAIN));
    names.extend(settings.api_names.iter().cloned());
    let mut params = CertificateParams::new(names)?;
    let own = [
        IpAddr::from([127, 0, 0, 1]),
        std::net::Ipv6Addr::LOCALHOST.into(),
        settings.api_service_ip().into(),
    ];
    params.subject_alt_names.extend(own.iter().chain(addresses).map(|ip| SanType::IpAddress(*ip)));
    params.distinguished_name = name("kube-apiserver", None);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    lasts(&mut params, LEAF_YEARS, today);
    Ok(params)
}

fn load_or_make_admin(
    directory: &Path,
    ca_pem: &str,
    issuer: &Issuer<'_, &KeyPair>,
    today: Date,
) -> Result<AdminCredentials, CertificateError> {
    let (certificate_path, key_path) = (directory.join("admin.crt"), directory.join("admin.key"));
    let key = load_or_make_key(&key_path)?;
    // a damaged one, or one of a key or an authority that is lost, is of no use to anybody
    if let Some(certificate_pem) = read(&certificate_path)?
        && is_of(&certificate_pem, &key) == Some(true)
        && is_signed_by(&certificate_pem, ca_pem) != Some(false)
        && !is_to_be_renewed(&certificate_pem, ADMIN, today)
    {
        return Ok(AdminCredentials { certificate_pem, key_pem: key.serialize_pem() });
    }
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = name(ADMIN, Some("system:masters"));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    lasts(&mut params, LEAF_YEARS, today);
    let certificate_pem = params.signed_by(&key, issuer)?.pem();
    write(&certificate_path, &certificate_pem)?;
    Ok(AdminCredentials { certificate_pem, key_pem: key.serialize_pem() })
}

fn name(common: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

fn today() -> Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().max(FIRST_DAY)
}

fn lasts(params: &mut CertificateParams, years: i32, today: Date) {
    let first = FIRST_DAY;
    params.not_before = rcgen::date_time_ymd(first.year().into(), first.month() as u8, first.day() as u8);
    params.not_after =
        rcgen::date_time_ymd(i32::from(today.year()) + years, today.month() as u8, 28.min(today.day()) as u8);
}

fn load_or_make_key(path: &Path) -> Result<KeyPair, CertificateError> {
    if let Some(pem) = read(path)? {
        return KeyPair::from_pem(&pem).map_err(|e| file(path, e));
    }
    let key = KeyPair::generate()?;
    write(path, &key.serialize_pem())?;
    Ok(key)
}

fn read(path: &Path) -> Result<Option<String>, CertificateError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(file(path, e)),
    }
}

/// Whole or not at all, and for nobody else to read.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), CertificateError> {
    use std::io::Write;
    let fresh = path.with_extension("new");
    let write = || {
        let mut to =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        to.write_all(text.as_bytes())?;
        to.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().map_err(|e: std::io::Error| file(path, e))
}

fn file(path: &Path, why: impl std::fmt::Display) -> CertificateError {
    CertificateError::File { path: path.to_owned(), why: why.to_string() }
}

/// What `kubectl` needs to be the administrator.
pub(crate) fn kubeconfig(profile: &str, certificates: &Certificates, api: &str) -> String {
    use base64::Engine;
    let encode = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    // JSON is YAML, and needs no other quoting
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": profile,
        "clusters": [{"name": profile, "cluster": {"server": api, "certificate-authority-data": encode(&certificates.ca_pem)}}],
        "users": [{"name": profile, "user": {
            "client-certificate-data": encode(&certificates.admin.certificate_pem),
            "client-key-data": encode(&certificates.admin.key_pem),
        }}],
        "contexts": [{"name": profile, "context": {"cluster": profile, "user": profile, "namespace": "default"}}],
    });
    format!("{config:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_certificate_holds_the_names_that_were_asked_for() {
        let mut settings = Settings::beside("test", &[]);
        settings.api_names = ["cluster.example.com", "*.lan", "192.0.2.7"].map(String::from).into();
        let names = server(&settings, &[], FIRST_DAY).unwrap().subject_alt_names;
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        for want in [dns("cluster.example.com"), dns("*.lan"), SanType::IpAddress([192, 0, 2, 7].into())] {
            assert!(names.contains(&want), "{want:?} is not in {names:?}");
        }
    }

    #[test]
    fn a_damaged_certificate_is_named() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path(), &"test".parse().unwrap());
        let settings = Settings::beside("test", &[]);
        Certificates::load_or_make(&paths, &settings, &[]).unwrap();
        for name in ["ca.crt", "front-proxy-ca.crt"] {
            let path = paths.certificates().join(name);
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, "").unwrap();
            let why = Certificates::load_or_make(&paths, &settings, &[]).err().unwrap().to_string();
            assert!(why.starts_with(&path.display().to_string()), "{why}");
            std::fs::write(&path, whole).unwrap();
        }
    }

    #[test]
    fn an_authority_whose_halves_do_not_fit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let load = || load_or_make_authority(dir.path(), "ca", "a-ca", FIRST_DAY);
        let (pem, _) = load().unwrap();
        let key = dir.path().join("ca.key");
        std::fs::remove_file(&key).unwrap();
        let why = load().err().unwrap().to_string();
        assert!(why.starts_with(&format!("{}: it is missing, and ", key.display())), "{why}");
        std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let why = load().err().unwrap().to_string();
        assert!(why.contains("ca.crt: it is not of the key in "), "{why}");
        std::fs::remove_file(dir.path().join("ca.crt")).unwrap();
        assert_ne!(load().unwrap().0, pem, "a new certificate for the new key");
    }

    #[test]
    fn an_administrators_certificate_that_does_not_work_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (pem, key) = load_or_make_authority(dir.path(), "ca", "a-ca", FIRST_DAY).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&pem, &key).unwrap();
        let load = || load_or_make_admin(dir.path(), &pem, &issuer, FIRST_DAY).unwrap();
        let fits = |admin: &AdminCredentials| {
            is_of(&admin.certificate_pem, &KeyPair::from_pem(&admin.key_pem).unwrap()) == Some(true)
        };
        let first = load().certificate_pem;
        assert_eq!(load().certificate_pem, first, "kept");
        std::fs::write(dir.path().join("admin.crt"), &first[..first.len() / 2]).unwrap();
        assert!(fits(&load()), "it was damaged");
        std::fs::remove_file(dir.path().join("admin.key")).unwrap();
        assert!(fits(&load()), "its key was lost");
        for name in ["ca.crt", "ca.key"] {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        let (pem, key) = load_or_make_authority(dir.path(), "ca", "a-ca", FIRST_DAY).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&pem, &key).unwrap();
        let of_the_old = std::fs::read_to_string(dir.path().join("admin.crt")).unwrap();
        assert_eq!(is_signed_by(&of_the_old, &pem), Some(false));
        let anew = load_or_make_admin(dir.path(), &pem, &issuer, FIRST_DAY).unwrap();
        assert!(fits(&anew), "its authority was lost");
        assert_eq!(is_signed_by(&anew.certificate_pem, &pem), Some(true));
    }

    #[test]
    fn an_authority_is_renewed_with_its_key_before_it_ends() {
        let date = jiff::civil::date;
        let dir = tempfile::tempdir().unwrap();
        let on = |today| {
            let (pem, key) = load_or_make_authority(dir.path(), "ca", "a-ca", today).unwrap();
            (pem, key.serialize_pem())
        };
        // by a clock that is ahead
        let (first, key) = on(date(2030, 6, 15));
        for (name, today, is_as_before) in [
            ("the same day", date(2030, 6, 15), true),
            ("a clock that is set right", date(2026, 1, 1), true),
            ("a clock that begins too early", FIRST_DAY, true),
            ("with more than a year to go", date(2039, 6, 14), true),
            ("in its last year", date(2039, 6, 16), false),
            ("renewed already", date(2040, 1, 1), false),
            ("long after all ends", date(2060, 1, 1), false),
        ] {
            let (pem, same_key) = on(today);
            assert_eq!((pem == first, same_key == key), (is_as_before, true), "{name}");
            assert!(!is_to_be_renewed(&pem, "a-ca", today), "{name}");
        }
    }

    #[test]
    fn what_is_not_valid_yet_or_not_ours_is_told_apart() {
        let (key, today) = (KeyPair::generate().unwrap(), jiff::civil::date(2026, 5, 5));
        let from_to = |from: i32, to: i32| {
            let mut params = authority("a-ca", today).unwrap();
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
            params.self_signed(&key).unwrap().pem()
        };
        for (name, pem, common, want) in [
            ("good", from_to(2025, 2030), "a-ca", false),
            ("over", from_to(2015, 2025), "a-ca", true),
            ("over soon", from_to(2025, 2027), "a-ca", true),
            (
                "not begun, as older versions made it by a clock that was ahead",
                from_to(2028, 2038),
                "a-ca",
                true,
            ),
            ("another's, and over", from_to(2015, 2025), "b-ca", false),
            ("none", "no certificate".to_owned(), "a-ca", false),
        ] {
            assert_eq!(is_to_be_renewed(&pem, common, today), want, "{name}");
        }
    }

    #[test]
    fn what_a_certificate_can_hold() {
        for (name, want) in [
            ("localhost", true),
            ("a.example.com", true),
            ("*.example.com", true),
            ("192.0.2.7", true),
            ("2001:db8::1", true),
            ("a.*.com", false),
            ("", false),
            ("*.", false),
            ("a..b", false),
            ("-a", false),
            ("a_b", false),
            ("https://a", false),
        ] {
            assert_eq!(is_server_name(name), want, "{name:?}");
        }
    }
}

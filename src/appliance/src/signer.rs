//! The profile's authority signs what the controllers approve of.

use crate::Paths;
use controllers::{Asked, Authority};
use rcgen::{
    CertificateSigningRequestParams, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use std::path::PathBuf;
use std::time::Duration;

const BACKDATE: Duration = Duration::from_secs(5 * 60); // for clocks that are behind: upstream's

/// Reads the key anew for each signature: it is in memory for no longer than that.
pub(crate) struct Signer {
    directory: PathBuf,
}

impl Signer {
    pub(crate) fn new(paths: &Paths) -> Self {
        Signer { directory: paths.certificates() }
    }
}

impl Authority for Signer {
    fn read(&self, request: &[u8]) -> Result<Asked, String> {
        let params = parse(request)?.params;
        let mut asked = Asked::default();
        for (kind, value) in params.distinguished_name.iter() {
            let value = text(value)?;
            match kind {
                DnType::CommonName => asked.common_name = value,
                DnType::OrganizationName => asked.organizations.push(value),
                _ => {}
            }
        }
        for name in &params.subject_alt_names {
            match name {
                SanType::DnsName(name) => asked.dns_names.push(name.to_string()),
                SanType::IpAddress(address) => asked.addresses.push(address.to_string()),
                other => asked.other_names.push(format!("{other:?}")),
            }
        }
        Ok(asked)
    }

    fn sign(&self, request: &[u8], usages: &[String], lifetime: Duration) -> Result<Vec<u8>, String> {
        let read = |name: &str| {
            let path = self.directory.join(name);
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
        };
        let wrong = |e: rcgen::Error| e.to_string();
        let key = KeyPair::from_pem(&read("ca.key")?).map_err(wrong)?;
        let issuer = Issuer::from_ca_cert_pem(&read("ca.crt")?, &key).map_err(wrong)?;
        let mut request = parse(request)?;
        let params = &mut request.params;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = usages.iter().filter_map(|usage| key_usage(usage)).collect();
        params.extended_key_usages = usages.iter().filter_map(|usage| extended(usage)).collect();
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from(uuid::Uuid::new_v4().as_bytes().to_vec()));
        let now = std::time::SystemTime::now();
        params.not_before = (now - BACKDATE).into();
        params.not_after = (now + lifetime).into();
        request.signed_by(&issuer).map(|signed| signed.pem().into_bytes()).map_err(wrong)
    }
}

fn parse(request: &[u8]) -> Result<CertificateSigningRequestParams, String> {
    let text = std::str::from_utf8(request).map_err(|e| format!("unable to parse the request: {e}"))?;
    let request = CertificateSigningRequestParams::from_pem(text)
        .map_err(|e| format!("unable to parse the request: {e}"))?;
    // a name has one value of each kind here: what had more would be signed with less than it asked for
    let asked = subject_values(text)?;
    let kept = request.params.distinguished_name.iter().count();
    if asked == kept {
        return Ok(request);
    }
    Err("the request's subject has a kind of name twice (two organizations, say): ask for one, and bind further groups to the user by name".to_owned())
}

/// How many attributes the subject has.
fn subject_values(pem: &str) -> Result<usize, String> {
    use x509_parser::prelude::{FromDer, X509CertificationRequest};
    let wrong = |e: &dyn std::fmt::Display| format!("unable to parse the request: {e}");
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|e| wrong(&e))?;
    let (_, request) = X509CertificationRequest::from_der(&block.contents).map_err(|e| wrong(&e))?;
    Ok(request.certification_request_info.subject.iter_attributes().count())
}

fn text(value: &DnValue) -> Result<String, String> {
    match value {
        DnValue::Utf8String(text) => Ok(text.clone()),
        DnValue::PrintableString(text) => Ok(text.to_string()),
        DnValue::Ia5String(text) => Ok(text.to_string()),
        DnValue::TeletexString(text) => Ok(text.to_string()),
        other => Err(format!("a name of the subject is no plain text: {other:?}")),
    }
}

fn key_usage(usage: &str) -> Option<KeyUsagePurpose> {
    match usage {
        "digital signature" => Some(KeyUsagePurpose::DigitalSignature),
        "key encipherment" => Some(KeyUsagePurpose::KeyEncipherment),
        _ => None,
    }
}

fn extended(usage: &str) -> Option<ExtendedKeyUsagePurpose> {
    match usage {
        "client auth" => Some(ExtendedKeyUsagePurpose::ClientAuth),
        "server auth" => Some(ExtendedKeyUsagePurpose::ServerAuth),
        _ => None,
    }
}

//! Whose certificate a CertificateSigningRequest asks for.

use super::pem;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

/// The names that become a user and his groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateSubject {
    pub common_name: String,
    pub organizations: Vec<String>,
}

/// Of a request in PEM: its first block, as upstream's `ParseCSR` reads it.
///
/// # Errors
/// In words: why it is none.
pub fn read(request: &[u8]) -> Result<CertificateSubject, String> {
    const NONE: &str = "PEM block type must be CERTIFICATE REQUEST";
    let text = std::str::from_utf8(request).map_err(|_| NONE.to_owned())?;
    let block = pem::blocks(text).into_iter().next().ok_or_else(|| NONE.to_owned())?;
    if block.label != "CERTIFICATE REQUEST" && block.label != "NEW CERTIFICATE REQUEST" {
        return Err(NONE.to_owned());
    }
    let (_, request) =
        X509CertificationRequest::from_der(&block.der).map_err(|_| "must be a valid PKCS#10 request")?;
    let subject = &request.certification_request_info.subject;
    let common_name = subject.iter_common_name().last().and_then(|name| name.as_str().ok());
    let organizations = subject.iter_organization().filter_map(|name| name.as_str().ok());
    Ok(CertificateSubject {
        common_name: common_name.unwrap_or_default().to_owned(),
        organizations: organizations.map(str::to_owned).collect(),
    })
}

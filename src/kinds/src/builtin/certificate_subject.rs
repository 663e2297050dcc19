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

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl req -new -newkey ed25519 -nodes -subj /CN=system:node:n/O=system:nodes/O=dev`
    const REQUEST: &str = "\
-----BEGIN CERTIFICATE REQUEST-----
MIG8MHACAQAwPTEWMBQGA1UEAwwNc3lzdGVtOm5vZGU6bjEVMBMGA1UECgwMc3lz
dGVtOm5vZGVzMQwwCgYDVQQKDANkZXYwKjAFBgMrZXADIQDH8nbcpq6Iovi69bP7
qyGmSmuQBExJ6v1kvXYApyYmu6AAMAUGAytlcANBAP8NJDSx+0d320Y/W/UegcOg
PlyU6ChjZZxHl2AbYZ7Xep5gDuGSdIqGsjkZotfVNUfHhXNE4b7+lXiUjaD5PAo=
-----END CERTIFICATE REQUEST-----
";

    #[test]
    fn a_request_says_whose_certificate_it_is_for() {
        let subject = read(REQUEST.as_bytes()).unwrap();
        assert_eq!(subject.common_name, "system:node:n");
        assert_eq!(subject.organizations, ["system:nodes", "dev"]);
        for (case, text, want) in [
            ("nothing", String::new(), "PEM block type must be CERTIFICATE REQUEST"),
            (
                "another block",
                REQUEST.replace(" REQUEST-", "-"),
                "PEM block type must be CERTIFICATE REQUEST",
            ),
            (
                "no request",
                "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n".to_owned(),
                "must be a valid PKCS#10 request",
            ),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err(), want, "{case}");
        }
    }
}

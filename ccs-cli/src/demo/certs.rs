//! A certificate authority for one run. It is never written anywhere.

use anyhow::Context;
use ccs_tokio::{Identity, Trust};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Who the endpoint is, and what the app server has to believe for that.
pub fn make() -> anyhow::Result<(Identity, Trust)> {
    let (chain, key, ca) = pem().context("the demo's certificate cannot be made")?;
    Ok((
        Identity::new(chain.as_bytes(), key.as_bytes())?,
        Trust::only(ca.as_bytes())?,
    ))
}

fn pem() -> Result<(String, String, String), rcgen::Error> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "ccs demo");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok((certificate.pem(), key.serialize_pem(), ca_pem))
}

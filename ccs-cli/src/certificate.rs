//! The certificate that the endpoint makes for itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

/// Names that app servers dial: this machine, and what Google's hosts were called.
const HOSTS: [&str; 7] = [
    "localhost",
    "gcm.googleapis.com",
    "gcm-xmpp.googleapis.com",
    "gcm-staging.googleapis.com",
    "gcm-preprod.googleapis.com",
    "fcm-xmpp.googleapis.com",
    "fcm.googleapis.com",
];
const ADDRESSES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Some TLS libraries believe none that is valid for longer than 825 days.
const VALID: Duration = DAY.saturating_mul(365);

/// What was made, in PEM.
pub struct Made {
    pub ca: String,
    pub cert: String,
    pub cert_key: String,
}

/// A CA that can vouch for these names and no others, and a certificate for exactly these. The CA's key is gone when
/// this returns: whoever gets at the state folder can make no certificate that its users would believe.
pub fn make(now: SystemTime) -> Result<Made, rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut params = validity(CertificateParams::default(), now);
    params.distinguished_name = named("ccs serve, a CA for testing");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted(),
        excluded_subtrees: Vec::new(),
    });
    let ca = params.self_signed(&authority_key)?.pem();
    let authority = Issuer::new(params, authority_key);

    let key = KeyPair::generate()?;
    let mut params = validity(CertificateParams::new(HOSTS.map(str::to_owned))?, now);
    let addresses = ADDRESSES.map(SanType::IpAddress);
    params.subject_alt_names.extend(addresses);
    params.distinguished_name = named("ccs serve");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(Made {
        ca,
        cert: params.signed_by(&key, &authority)?.pem(),
        cert_key: key.serialize_pem(),
    })
}

/// What a client that believes this CA would have against this certificate, or `None`.
pub fn problem(ca: &str, cert: &str, now: SystemTime) -> Option<String> {
    verify(ca, cert, now).err()
}

fn verify(ca: &str, cert: &str, now: SystemTime) -> Result<(), String> {
    let parse =
        |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|why| why.to_string());
    let mut roots = RootCertStore::empty();
    roots.add(parse(ca)?).map_err(|why| why.to_string())?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|why| why.to_string())?;
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let now = UnixTime::since_unix_epoch(since);
    let cert = parse(cert)?;
    for host in HOSTS {
        let name = ServerName::try_from(host).map_err(|why| why.to_string())?;
        verifier
            .verify_server_cert(&cert, &[], &name, &[], now)
            .map_err(|why| why.to_string())?;
    }
    Ok(())
}

fn permitted() -> Vec<GeneralSubtree> {
    let hosts = HOSTS.map(|host| GeneralSubtree::DnsName(host.to_owned()));
    let whole = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
    let addresses = ADDRESSES.map(|address| {
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, whole(address)))
    });
    hosts.into_iter().chain(addresses).collect()
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// From yesterday, for clocks that are behind.
fn validity(mut params: CertificateParams, now: SystemTime) -> CertificateParams {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let now = rcgen::date_time_ymd(1970, 1, 1) + since;
    params.not_before = now - DAY;
    params.not_after = now + VALID;
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_good_for_a_year_and_no_longer() {
        let now = SystemTime::now();
        let made = make(now).unwrap();
        assert_eq!(problem(&made.ca, &made.cert, now), None);
        assert_eq!(problem(&made.ca, &made.cert, now + VALID - DAY), None);
        let expired = problem(&made.ca, &made.cert, now + VALID + DAY).unwrap();
        assert!(expired.contains("xpired"), "{expired}");
        let other = make(now).unwrap();
        assert!(problem(&other.ca, &made.cert, now).is_some());
    }
}

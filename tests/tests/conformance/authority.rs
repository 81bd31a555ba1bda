//! Certificates of all kinds, made for one test.

use ccs_tls::{Identity, Trust};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A certificate authority of one test.
pub struct Authority {
    pub pem: String,
    pub issuer: Issuer<'static, KeyPair>,
}

/// A chain and its key, in PEM.
pub struct Certificate {
    pub chain: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    pub fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(names, change).signed_by(&key, &self.issuer);
        Certificate {
            chain: certificate.expect("signed").pem(),
            key: key.serialize_pem(),
        }
    }

    pub fn trust(&self) -> Trust {
        Trust::only(self.pem.as_bytes()).expect("a certificate")
    }
}

impl Certificate {
    pub fn identity(&self) -> Identity {
        Identity::new(self.chain.as_bytes(), self.key.as_bytes()).expect("an identity")
    }
}

pub fn params(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    change(&mut params);
    params
}

//! Whom a client believes, and who an endpoint is. Verification cannot be switched off.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;

/// A certificate or key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}: {why}")]
pub struct InvalidCertificate {
    what: &'static str,
    why: String,
}

impl InvalidCertificate {
    fn new(what: &'static str, why: impl fmt::Display) -> Self {
        Self {
            what,
            why: why.to_string(),
        }
    }
}

/// Which certificate authorities a client believes. Whichever they are, the endpoint's name is verified.
#[derive(Clone)]
pub struct Trust {
    roots: Arc<RootCertStore>,
}

impl Trust {
    /// The public authorities of the web, as compiled in.
    #[must_use]
    pub fn public() -> Self {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        Self {
            roots: Arc::new(roots),
        }
    }

    /// These authorities and no others: one or more certificates in PEM, such as the one that `ccs serve` makes.
    ///
    /// # Errors
    /// There is no certificate in it, or one that cannot be read.
    pub fn only(pem: &[u8]) -> Result<Self, InvalidCertificate> {
        Self::with(RootCertStore::empty(), pem)
    }

    /// These authorities besides the ones believed already.
    ///
    /// # Errors
    /// There is no certificate in it, or one that cannot be read.
    pub fn and(self, pem: &[u8]) -> Result<Self, InvalidCertificate> {
        Self::with((*self.roots).clone(), pem)
    }

    fn with(mut roots: RootCertStore, pem: &[u8]) -> Result<Self, InvalidCertificate> {
        const WHAT: &str = "the CA certificate cannot be used";
        for certificate in certificates(WHAT, pem)? {
            roots
                .add(certificate)
                .map_err(|why| InvalidCertificate::new(WHAT, why))?;
        }
        Ok(Self {
            roots: Arc::new(roots),
        })
    }

    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(Arc::clone(&self.roots)))
            .map(|builder| builder.with_no_client_auth());
        match config {
            Ok(config) => Arc::new(config),
            // ring has the default protocol versions; there is nothing that could fail.
            Err(_) => unreachable!("ring supports TLS 1.2 and 1.3"),
        }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({} authorities)", self.roots.len())
    }
}

/// An endpoint's certificate chain and key.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
}

impl Identity {
    /// The chain, the endpoint's own certificate first, and its key, both in PEM.
    ///
    /// # Errors
    /// One of them cannot be read, or they do not belong together.
    pub fn new(chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, InvalidCertificate> {
        let chain = certificates("the certificate cannot be used", chain_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|why| InvalidCertificate::new("the certificate's key cannot be read", why))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|why| InvalidCertificate::new("the certificate cannot be used", why))?;
        Ok(Self {
            config: Arc::new(config),
        })
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

fn certificates(
    what: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, InvalidCertificate> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| InvalidCertificate::new(what, why))?;
    if found.is_empty() {
        return Err(InvalidCertificate::new(
            what,
            "there is no certificate in it",
        ));
    }
    Ok(found)
}

/// Set explicitly, so that no other crate of the process decides which one is used.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without random numbers no TLS connection would have come about.
    let _ = ring::default_provider().secure_random.fill(&mut bytes);
    bytes
}

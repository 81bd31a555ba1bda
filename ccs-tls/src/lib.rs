//! Whom a CCS client believes, and who a CCS endpoint is. Verification cannot be switched off.
//!
//! The runtime adapters share this crate, so that what decides about trust exists once. It owns no socket: [`Connect`]
//! and [`Identity::accept`] give the rustls settings that a runtime's TLS stream is made with. Applications use
//! [`Trust`] and [`Identity`], which the adapters re-export.
//!
//! ```
//! use ccs_tls::Trust;
//!
//! let public = Trust::public();
//! assert!(public.connect("push.example.com").is_ok());
//! assert!(public.connect("no host name").is_err());
//! assert!(Trust::only(b"no certificate").is_err());
//! ```
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
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

/// No certificate can be for such a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no host name or address that a certificate could be for")]
pub struct InvalidServerName(pub String);

/// What a TLS client's handshake is made with.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Whom to believe.
    pub config: Arc<ClientConfig>,
    /// The name that the peer's certificate must be for.
    pub name: ServerName<'static>,
}

/// Which certificate authorities a client believes. Whichever they are, the endpoint's name is verified.
///
/// Clones share what was learned of an endpoint: a connection after the first resumes its TLS session, which takes less
/// processor time on both sides.
#[derive(Clone)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    /// One for all connections: it holds the sessions to resume, and would weigh more than a connection.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Trust {
    /// The public authorities of the web, as compiled in.
    #[must_use]
    pub fn public() -> Self {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        Self::in_roots(roots)
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
        Ok(Self::in_roots(roots))
    }

    fn in_roots(roots: RootCertStore) -> Self {
        Self {
            roots: Arc::new(roots),
            config: Arc::default(),
        }
    }

    /// What to connect to a host of this name with, an address in its usual form included.
    ///
    /// # Errors
    /// No certificate can be for such a name.
    pub fn connect(&self, name: &str) -> Result<Connect, InvalidServerName> {
        let invalid = || InvalidServerName(name.to_owned());
        let server_name = ServerName::try_from(name.to_owned()).map_err(|_| invalid())?;
        let config = match self.config.get() {
            Some(config) => Arc::clone(config),
            None => {
                let config = ClientConfig::builder_with_provider(provider())
                    .with_safe_default_protocol_versions()
                    // ring has the default versions, so this does not come about; and nobody would be connected to if it did.
                    .map_err(|_| invalid())?
                    .with_root_certificates(Arc::clone(&self.roots))
                    .with_no_client_auth();
                Arc::clone(self.config.get_or_init(|| Arc::new(config)))
            }
        };
        Ok(Connect {
            config,
            name: server_name,
        })
    }
}

/// The public authorities.
impl Default for Trust {
    fn default() -> Self {
        Self::public()
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

    /// What to accept connections with.
    #[must_use]
    pub fn accept(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

/// Without the key, whatever happens.
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
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without random numbers no TLS connection would have come about.
    let _ = ring::default_provider().secure_random.fill(&mut bytes);
    bytes
}

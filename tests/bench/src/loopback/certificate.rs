//! Who the endpoint is, for the length of a run. Everybody has the TLS settings of `ccs-tls`, so that TLS costs all the same.

use ccs_tls::{Connect, Identity, Trust};
use rcgen::generate_simple_self_signed;
use serde::{Deserialize, Serialize};

/// The name that it is for.
pub const HOST: &str = "localhost";

/// A certificate and its key, in PEM.
#[derive(Clone, Serialize, Deserialize)]
pub struct Certificate {
    pub cert: String,
    key: String,
}

impl Certificate {
    pub fn make() -> Self {
        let issued = generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
        Self {
            cert: issued.cert.pem(),
            key: issued.signing_key.serialize_pem(),
        }
    }

    pub fn identity(&self) -> Identity {
        Identity::new(self.cert.as_bytes(), self.key.as_bytes()).expect("its own")
    }

    pub fn trust(&self) -> Trust {
        Trust::only(self.cert.as_bytes()).expect("its own")
    }

    pub fn connect(&self) -> Connect {
        self.trust().connect(HOST).expect("a name")
    }
}

//! Who is believed, and that nothing of the login goes to anybody else.

use std::future::poll_fn;

use ccs_proto::driver::{ConnectError, Transport, connect};
use ccs_tls::Trust;
use futures_util::future::join;
use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::authority::{Authority, Certificate, params};
use crate::endpoints::{accept, config, listener};
use crate::runtime::Run;

const ADDRESS: &str = "127.0.0.1";
const NAME: Option<&str> = Some("push.example.com");

/// Connects to a server that shows `certificate` and says nothing. Says what the client says of it, and how many bytes
/// the server read that were not TLS' own.
async fn try_connect<R: Run>(
    certificate: &Certificate,
    trust: Trust,
    server_name: Option<&str>,
) -> (Result<(), ConnectError>, usize) {
    let (mut listener, port) = listener::<R>().await;
    let identity = certificate.identity();
    let server = async {
        let socket = accept::<R>(&mut listener).await;
        // Whether the handshake fails here too depends on who speaks last; what is read does not.
        let Ok(mut transport) = R::accept(socket, &identity).await else {
            return 0;
        };
        let mut first = [0; 4096];
        let read = poll_fn(|cx| transport.poll_read(cx, &mut first)).await;
        read.unwrap_or(0)
    };
    let mut config = config(port);
    config.trust = trust;
    config.server_name = server_name.map(str::to_owned);
    let (result, bytes) = join(connect::<R>(config), server).await;
    (result.map(drop), bytes)
}

/// The server reads something only if the client believes it. So a row that expects no bytes says something.
pub async fn a_believed_server_is_spoken_to<R: Run>() {
    let ca = Authority::new("Test CA");
    for (name, server_name) in [
        (ADDRESS, None),
        ("::1", Some("::1")),
        ("push.example.com", NAME),
        ("*.example.com", NAME),
    ] {
        let certificate = ca.sign(&[name], |_| {});
        let (result, bytes) = try_connect::<R>(&certificate, ca.trust(), server_name).await;
        assert!(bytes > 0, "{name}: {result:?}");
        let hung_up = matches!(result, Err(ConnectError::Connection(_)));
        assert!(hung_up, "{name}: {result:?}");
    }
}

/// A certificate that is its own issuer.
fn self_signed() -> Certificate {
    let key = KeyPair::generate().expect("a key");
    let certificate = params(&[ADDRESS], |_| {}).self_signed(&key);
    Certificate {
        chain: certificate.expect("signed").pem(),
        key: key.serialize_pem(),
    }
}

/// One that is issued by another that `ca` issued as `is_ca` says.
fn issued_below(ca: &Authority, is_ca: IsCa) -> Certificate {
    let key = KeyPair::generate().expect("a key");
    let middle = params(&["middle.example.com"], |params| params.is_ca = is_ca);
    let chain = middle.signed_by(&key, &ca.issuer).expect("signed").pem();
    let middle = Issuer::new(middle, key);
    let key = KeyPair::generate().expect("a key");
    let certificate = params(&[ADDRESS], |_| {}).signed_by(&key, &middle);
    Certificate {
        chain: certificate.expect("signed").pem() + &chain,
        key: key.serialize_pem(),
    }
}

pub async fn nothing_is_said_to_a_server_that_is_not_believed<R: Run>() {
    let ca = Authority::new("Test CA");
    let same = |_: &mut CertificateParams| {};
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(2090, 1, 1);
    let common_name = |params: &mut CertificateParams| {
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "push.example.com");
    };
    let unknown = Authority::new("Other CA").sign(&[ADDRESS], same);
    // The same name does not make it the same authority.
    let pretender = Authority::new("Test CA").sign(&[ADDRESS], same);
    let name = "not valid for name";
    #[rustfmt::skip]
    let rows = [
        ("an unknown CA", unknown, None, "UnknownIssuer"),
        ("a CA of the same name", pretender, None, "BadSignature"),
        ("self-signed", self_signed(), None, "UnknownIssuer"),
        ("an issuer without the CA flag", issued_below(&ca, IsCa::NoCa), None, "EndEntityUsedAsCa"),
        ("an issuer that says it is no CA", issued_below(&ca, IsCa::ExplicitNoCa), None, "EndEntityUsedAsCa"),
        ("expired", ca.sign(&[ADDRESS], expired), None, "expired"),
        ("not yet valid", ca.sign(&[ADDRESS], future), None, "not valid yet"),
        ("another name", ca.sign(&["elsewhere.example.com"], same), NAME, name),
        ("a wildcard of a higher level", ca.sign(&["*.com"], same), NAME, name),
        ("a wildcard of a deeper level", ca.sign(&["*.push.example.com"], same), NAME, name),
        ("a common name alone", ca.sign(&[], common_name), NAME, name),
        ("another address", ca.sign(&["127.0.0.2"], same), None, name),
        ("a name for an address", ca.sign(&["localhost"], same), None, name),
        ("an address for a name", ca.sign(&[ADDRESS], same), NAME, name),
    ];
    for (row, certificate, server_name, text) in rows {
        let (result, bytes) = try_connect::<R>(&certificate, ca.trust(), server_name).await;
        let Err(error @ ConnectError::Tls { .. }) = result else {
            panic!("{row}: {result:?}");
        };
        assert_eq!(bytes, 0, "{row}: plaintext reached the server");
        let said = error.to_string();
        assert!(said.contains(text), "{row}: {said}");
        assert!(said.starts_with("TLS with 127.0.0.1:"), "{row}: {said}");
        assert!(said.ends_with("; nothing was sent"), "{row}: {said}");
    }
}

/// The authorities of the web know nothing of a private one, which may be added to them.
pub async fn a_private_authority_is_believed_only_when_it_is_named<R: Run>() {
    let ca = Authority::new("Test CA");
    let certificate = ca.sign(&[ADDRESS], |_| {});
    let (result, bytes) = try_connect::<R>(&certificate, Trust::public(), None).await;
    let refused = matches!(result, Err(ConnectError::Tls { .. }));
    assert!(refused, "{result:?}");
    assert_eq!(bytes, 0);
    let both = Trust::public().and(ca.pem.as_bytes());
    let both = both.expect("a certificate");
    let (_, bytes) = try_connect::<R>(&certificate, both, None).await;
    assert!(bytes > 0);
}

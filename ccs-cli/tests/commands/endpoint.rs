//! An endpoint whose devices do as the start of their token says.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use ccs_tokio::proto::StreamCondition;
use ccs_tokio::proto::message::{NackCode, Receipt};
use ccs_tokio::{
    ApiKey, Arrival, Endpoint, Identity, LoginVerdict, MessageId, Peer, PeerEvents,
    RegistrationToken, ServerConfig, ServerEvent, Upstream,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::sync::mpsc;

pub const SENDER: &str = "123456789012";
pub const KEY: &str = "AIzaSy-canary-0123456789";

/// What the endpoint saw.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Acked(String),
    Closed,
}

/// An endpoint at work, and a state folder like the one that `ccs serve` leaves.
pub struct Running {
    pub port: u16,
    pub state_home: PathBuf,
    pub seen: mpsc::UnboundedReceiver<Seen>,
}

impl Running {
    pub fn state_file(&self, name: &str) -> PathBuf {
        self.state_home.join("ccs").join(name)
    }

    /// What happened up to the end of a connection.
    pub async fn until_closed(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Some(next) = self.seen.recv().await {
            let closed = next == Seen::Closed;
            seen.push(next);
            if closed {
                break;
            }
        }
        seen
    }
}

/// What each connection gets, once it is logged in.
#[derive(Clone, Default)]
pub struct Greeting {
    pub upstream: Vec<Upstream>,
    pub receipts: Vec<Receipt>,
    pub drain: bool,
    /// Cut once so many messages were acked.
    pub cut_after: Option<usize>,
}

pub fn folder() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!(
        "{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

pub fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A CA in PEM, and a certificate of it with its key.
pub fn certificates() -> (String, String, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &Issuer::new(ca, ca_key))
        .unwrap();
    (ca_pem, certificate.pem(), key.serialize_pem())
}

pub async fn start(greeting: Greeting) -> Running {
    let (ca, certificate, key) = certificates();
    let state_home = folder();
    let state = state_home.join("ccs");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("ca.pem"), ca).unwrap();
    fs::write(state.join("sender"), format!("{SENDER}\n")).unwrap();
    write_private(&state.join("key"), &format!("{KEY}\n"));

    let identity = Identity::new(certificate.as_bytes(), key.as_bytes()).unwrap();
    let config = ServerConfig::default();
    let decide = |login: &ccs_tokio::AuthRequest| {
        let known = login.sender().as_str() == SENDER && login.key().matches(&ApiKey::from(KEY));
        async move {
            if known {
                LoginVerdict::Accept
            } else {
                LoginVerdict::Reject
            }
        }
    };
    let mut endpoint = Endpoint::bind("127.0.0.1:0", identity, config, decide)
        .await
        .unwrap();
    let port = endpoint.local_addr().unwrap().port();
    let (tell, seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(arrival) = endpoint.accept().await {
            if let Arrival::Connected { peer, events, .. } = arrival {
                tokio::spawn(serve(peer, events, greeting.clone(), tell.clone()));
            }
        }
    });
    Running {
        port,
        state_home,
        seen,
    }
}

async fn serve(
    peer: Peer,
    mut events: PeerEvents,
    greeting: Greeting,
    tell: mpsc::UnboundedSender<Seen>,
) {
    for message in greeting.upstream {
        peer.try_send(message).unwrap();
    }
    for receipt in greeting.receipts {
        peer.send_receipt(receipt).unwrap();
    }
    if greeting.drain {
        peer.drain();
    }
    let mut acked = 0;
    while let Some(event) = events.next().await {
        let id = match event {
            ServerEvent::Downstream { message, token, .. } => {
                answer(&peer, message.target().as_str(), token);
                continue;
            }
            ServerEvent::Acked(message) => message.message_id().clone(),
            ServerEvent::ReceiptAcked(receipt) => receipt.message_id().clone(),
            ServerEvent::Closed(_) => {
                let _ = tell.send(Seen::Closed);
                continue;
            }
            _ => continue,
        };
        let _ = tell.send(Seen::Acked(id.to_string()));
        acked += 1;
        if greeting.cut_after == Some(acked) {
            peer.cut();
        }
    }
}

fn answer(peer: &Peer, to: &str, token: ccs_tokio::proto::AnswerToken) {
    let kind = to.split('-').next().unwrap_or_default();
    let answered = match kind {
        "bad" => peer.nack(token, &NackCode::BadRegistration, "no such device"),
        "busy" => peer.nack(token, &NackCode::ServiceUnavailable, "try later"),
        "canonical" => peer.ack(token, Some(&RegistrationToken::from("phone-new"))),
        "silent" => return,
        "cut" => return peer.cut(),
        "broken" => return peer.end_with(StreamCondition::InvalidXml, "no comprendo"),
        "drain" => {
            let answered = peer.ack(token, None);
            peer.drain();
            answered
        }
        _ => peer.ack(token, None),
    };
    answered.unwrap();
}

pub fn receipt() -> Receipt {
    Receipt::new(&MessageId::from("m-0"), "phone-1", 1_400_000_000_123)
}

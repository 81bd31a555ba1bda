//! What `ccs serve` keeps in its folder, and what it refuses to use.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ccs_tests::canary;
use ccs_tokio::connect;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::support::{Serve, command};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_is_for_its_owner_alone_and_used_again() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path().join("a/ccs");
    let first = Serve::start_in(&folder, &[]);
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["ca.pem", "cert-key.pem", "cert.pem", "key", "sender"]
    );
    assert_eq!(mode(&folder), 0o700);
    for name in &names {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
    let read = || {
        names
            .iter()
            .map(|name| fs::read(folder.join(name)).unwrap())
            .collect::<Vec<_>>()
    };
    let before = read();
    assert_eq!(
        first.listening["ca"],
        folder.join("ca.pem").to_str().unwrap()
    );
    assert_eq!(
        first.listening["key_file"],
        folder.join("key").to_str().unwrap()
    );
    let second = Serve::start_in(&folder, &[]);
    assert_eq!(read(), before);
    assert_eq!(second.listening["sender"], first.listening["sender"]);
    assert_ne!(second.listening["port"], first.listening["port"]);
}

#[test]
fn two_that_start_at_once_make_one_set_of_files() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path().join("ccs");
    let start = |_| {
        let folder = folder.clone();
        std::thread::spawn(move || Serve::start_in(&folder, &[]).listening["sender"].clone())
    };
    let threads: Vec<_> = (0..4).map(start).collect();
    let senders: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert!(
        senders.iter().all(|sender| *sender == senders[0]),
        "{senders:?}"
    );
}

#[test]
fn the_authority_may_vouch_for_these_names_alone() {
    let serve = Serve::start(&[]);
    let pem = fs::read_to_string(serve.folder.join("ca.pem")).unwrap();
    let der = pem_bytes(&pem);
    // id-ce-nameConstraints, critical.
    let extension = [0x06, 0x03, 0x55, 0x1d, 0x1e, 0x01, 0x01, 0xff];
    assert!(contains(&der, &extension));
    for name in [
        "localhost",
        "gcm-preprod.googleapis.com",
        "fcm.googleapis.com",
    ] {
        assert!(contains(&der, name.as_bytes()), "{name}");
    }
    assert!(contains(&der, &[127, 0, 0, 1, 255, 255, 255, 255]));
    assert!(!pem.contains("PRIVATE"));
}

#[test]
fn an_expired_certificate_is_made_anew() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path().join("ccs");
    drop(Serve::start_in(&folder, &[]));
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    let expired = params.self_signed(&key).unwrap().pem();
    for name in ["ca.pem", "cert.pem"] {
        fs::write(folder.join(name), &expired).unwrap();
    }
    fs::write(folder.join("cert-key.pem"), key.serialize_pem()).unwrap();
    let serve = Serve::start_in(&folder, &[]);
    for name in ["ca.pem", "cert.pem"] {
        assert_ne!(fs::read_to_string(folder.join(name)).unwrap(), expired);
    }
    serve.signal("-TERM");
    let (_, status, said) = serve.end();
    assert!(
        said.contains("xpired") && said.contains("made anew"),
        "{said}"
    );
    assert!(status.success());
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path().join("ccs");
    let key = temporary.path().join("my-key");
    fs::write(&key, "secret-secret\n").unwrap();
    for bits in [0o640, 0o604, 0o644] {
        fs::set_permissions(&key, Permissions::from_mode(bits)).unwrap();
        let output = command(&folder, &["--key-file", key.to_str().unwrap()])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("chmod 600") && !said.contains("secret-secret"),
            "{said}"
        );
        assert!(output.stdout.is_empty());
    }
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let serve = Serve::start_in(
        &folder,
        &["--key-file", key.to_str().unwrap(), "--sender", "42"],
    );
    assert_eq!(serve.listening["key_file"], key.to_str().unwrap());
    assert_eq!(serve.listening["sender"], "42");
    assert!(!folder.join("key").exists() && !folder.join("sender").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_ones_own_is_used() {
    let temporary = TempDir::new().unwrap();
    let made = Serve::start_in(&temporary.path().join("made"), &[]);
    let path = |name: &str| made.folder.join(name).to_str().unwrap().to_owned();
    let (cert, cert_key) = (path("cert.pem"), path("cert-key.pem"));
    let args = ["--cert", &cert, "--cert-key", &cert_key];
    let mut given = Serve::start_in(&temporary.path().join("given"), &args);
    assert!(given.listening.get("ca").is_none());
    given.listening["ca"] = made.listening["ca"].clone();
    given.log_in().await;
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

fn pem_bytes(pem: &str) -> Vec<u8> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes())
        .unwrap()
        .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_in_nothing_that_is_printed() {
    let serve = Serve::start(&["--trace"]);
    let key = fs::read_to_string(serve.folder.join("key")).unwrap();
    let key = key.trim();
    connect(serve.config()).await.unwrap();
    let mut wrong = serve.config();
    wrong.client.key = format!("{key}-but-wrong").as_str().into();
    connect(wrong).await.unwrap_err();
    serve.signal("-TERM");
    let (printed, status, said) = serve.end();
    assert!(status.success(), "{said}");
    assert!(said.contains("[sasl "), "no trace of a login: {said}");
    assert_eq!(canary::found(key, &said), None, "{said}");
    let printed = format!("{printed:?}");
    assert!(printed.contains("the key is wrong"), "{printed}");
    assert_eq!(canary::found(key, &printed), None, "{printed}");
}

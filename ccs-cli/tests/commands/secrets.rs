//! The key shows nowhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::os::unix::fs::PermissionsExt;

use crate::endpoint::{Greeting, KEY, start, write_private};
use crate::run::{ccs, run};

/// The key in clear, and what of it shows in base64 whatever stands before and after it.
fn forms(key: &str) -> Vec<String> {
    let mut forms = vec![key.to_owned()];
    for before in 0..3_usize {
        let text = [vec![0; before], key.as_bytes().to_vec()].concat();
        let encoded = STANDARD_NO_PAD.encode(&text);
        let start = (before * 8).div_ceil(6);
        let end = text.len() * 8 / 6;
        forms.push(encoded[start..end].to_owned());
    }
    forms
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_in_no_output() {
    let endpoint = start(Greeting::default()).await;
    let wrong = endpoint.state_file("wrong");
    let wrong_key = format!("{KEY}-but-wrong");
    write_private(&wrong, &wrong_key);
    let wrong = wrong.to_str().unwrap();
    let refused = ["send", "--to", "x", "--trace", "--key-file", wrong];
    let mut in_environment = ccs(&endpoint, &["send", "--to", "x", "--trace"]);
    in_environment.env("CCS_KEY", &wrong_key);
    let mut shown_help = ccs(&endpoint, &["send", "--help"]);
    shown_help.env("CCS_KEY", KEY);
    for (command, code) in [
        (ccs(&endpoint, &["send", "--to", "phone-1", "--trace"]), 0),
        (ccs(&endpoint, &["send", "--to", "broken-1", "--trace"]), 8),
        (ccs(&endpoint, &["listen", "--timeout", "1", "--trace"]), 6),
        (ccs(&endpoint, &refused), 3),
        (in_environment, 3),
    ] {
        let ran = run(command).await;
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stderr.contains("PLAIN"), "no trace of a login: {ran:?}");
        for form in forms(KEY) {
            assert!(!ran.all.contains(&form), "{form} in {}", ran.all);
        }
    }
    let help = shown_help.output().await.unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains(KEY));
}

#[test]
fn the_search_finds_a_key_in_base64() {
    for before in ["", "x", "xy", "\0user\0"] {
        for after in ["", "z", "zz"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{KEY}{after}"));
            assert!(forms(KEY).iter().any(|form| encoded.contains(form)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_others_can_read_is_refused() {
    let endpoint = start(Greeting::default()).await;
    let key = endpoint.state_file("key");
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
        let ran = run(ccs(&endpoint, &["send", "--to", "x"])).await;
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains("chmod 600"), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_flag_takes_the_key() {
    let endpoint = start(Greeting::default()).await;
    let ran = run(ccs(&endpoint, &["send", "--to", "x", "--key", KEY])).await;
    assert_eq!(ran.code, 2);
}

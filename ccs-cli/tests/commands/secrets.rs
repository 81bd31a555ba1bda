//! The key shows nowhere.

use std::os::unix::fs::PermissionsExt;

use ccs_tests::canary;

use crate::endpoint::{Greeting, KEY, start, write_private};
use crate::run::{ccs, run};

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
        assert_eq!(canary::found(KEY, &ran.all), None, "{}", ran.all);
    }
    let help = shown_help.output().await.unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains(KEY));
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

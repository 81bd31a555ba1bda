//! What the project is built from: T8, D1.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The versions of a crate that the lock file has.
fn locked(name: &str) -> Vec<(u32, u32, u32)> {
    let lock = read("Cargo.lock");
    let of_name = format!("name = \"{name}\"\nversion = \"");
    lock.match_indices(&of_name)
        .map(|(at, found)| {
            let version = lock[at + found.len()..].split('"').next().unwrap();
            let mut numbers = version.split('.').map(|number| number.parse().unwrap());
            let mut next = || numbers.next().unwrap();
            (next(), next(), next())
        })
        .collect()
}

#[test]
fn t8_the_certificate_code_is_newer_than_its_advisories() {
    // RUSTSEC-2026-0098, -0099, -0104; RUSTSEC-2024-0336 and -0399; RUSTSEC-2026-0194 and -0195 for the XML.
    for (name, least) in [
        ("rustls-webpki", (0, 103, 13)),
        ("rustls", (0, 23, 18)),
        ("quick-xml", (0, 41, 0)),
        ("bytes", (1, 11, 1)),
    ] {
        let versions = locked(name);
        assert!(!versions.is_empty(), "{name} is not locked");
        for version in versions {
            assert!(
                version >= least,
                "{name} {version:?} is older than {least:?}"
            );
        }
    }
}

#[test]
fn d1_every_crate_forbids_unsafe_code() {
    let workspace = read("Cargo.toml");
    assert!(workspace.contains("unsafe_code = \"forbid\""));
    let (_, members) = workspace.split_once("members = [").unwrap();
    let members = members.split(']').next().unwrap();
    let members: Vec<_> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() >= 7, "{members:?}");
    for member in members {
        let manifest = read(&format!("{member}/Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member}");
    }
}

#[test]
fn d1_dependencies_are_from_the_registry_alone() {
    let lock = read("Cargo.lock");
    for source in lock.lines().filter(|line| line.starts_with("source = ")) {
        assert!(
            source.contains("registry+https://github.com/rust-lang/crates.io-index"),
            "{source}"
        );
    }
    for forbidden in ["openssl", "openssl-sys", "native-tls", "aws-lc-sys"] {
        assert_eq!(locked(forbidden), [], "{forbidden}");
    }
}

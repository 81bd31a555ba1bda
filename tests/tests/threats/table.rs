//! `docs/threats.md` names every test here, and no test that does not exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROWS: [&str; 29] = [
    "X1", "X2", "X3", "X4", "X5", "X6", "X7", "X8", "X9", "X10", "X11", "X12", "X13", "J1", "T1",
    "T2", "T3", "T4", "T5", "T6", "T7", "T8", "P1", "P2", "P3", "P4", "S1", "S2", "D1",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The tests that the table names, with their rows.
fn named() -> Vec<(String, String)> {
    let table = fs::read_to_string(root().join("docs/threats.md")).unwrap();
    let rows = table.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [row, _, _, tests] = cells[..] else {
            return None;
        };
        Some((row.trim().to_owned(), tests.to_owned()))
    });
    rows.flat_map(|(row, tests)| {
        let names = tests.split('`').skip(1).step_by(2).map(str::to_owned);
        names.map(|name| (row.clone(), name)).collect::<Vec<_>>()
    })
    .collect()
}

/// Every function that is a test in the files below a folder.
fn tests_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let hidden = path.file_name().unwrap().to_string_lossy().starts_with('.');
        if path.is_dir() && !hidden && !path.ends_with("target") && !path.ends_with("node_modules")
        {
            tests_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let mut lines = source.lines().map(str::trim);
            while let Some(line) = lines.next() {
                // The conformance suite makes tests of its cases, on every runtime.
                if let Some(case) = line.strip_prefix("pub async fn ")
                    && path
                        .components()
                        .any(|part| part.as_os_str() == "conformance")
                    && let Some((name, _)) = case.split_once('<')
                {
                    found.insert(name.to_owned());
                }
                if line == "#[test]" || line.starts_with("#[tokio::test") {
                    let head = lines.by_ref().find(|line| line.contains("fn "));
                    let name = head.and_then(|head| head.split("fn ").nth(1));
                    found.extend(
                        name.and_then(|name| name.split('(').next())
                            .map(str::to_owned),
                    );
                }
            }
        }
    }
}

#[test]
fn every_row_has_tests_and_each_of_them_exists() {
    let mut all = BTreeSet::new();
    tests_below(&root(), &mut all);
    let named = named();
    for (row, name) in &named {
        assert!(all.contains(name), "{row}: no test is called {name}");
    }
    for row in ROWS {
        assert!(
            named.iter().any(|(named, _)| named == row),
            "{row} has no test"
        );
    }
}

#[test]
fn every_test_of_a_row_is_in_the_table_under_it() {
    let mut here = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/threats");
    tests_below(&folder, &mut here);
    let named = named();
    for name in here.iter().filter(|name| !name.starts_with("every_")) {
        let row = name.split('_').next().unwrap().to_uppercase();
        assert!(
            named.contains(&(row, name.clone())),
            "{name} is not in its row"
        );
    }
}

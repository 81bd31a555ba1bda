//! What the help says works.

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use crate::Cli;

/// The words of the last `ccs …` of a shell line, without redirections.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '|') => words = vec![String::new()],
            (None, c) if c.is_whitespace() => words.push(String::new()),
            (_, c) => words.last_mut()?.push(c),
        }
    }
    let mut words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    if let Some(end) = words
        .iter()
        .position(|word| matches!(word.as_str(), "<" | ">" | "&"))
    {
        words.truncate(end);
    }
    (words.first()? == "ccs").then_some(words)
}

#[test]
fn the_examples_of_the_help_parse() {
    for command in Cli::command().get_subcommands() {
        if command.is_hide_set() {
            continue;
        }
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        let examples = help.lines().filter(|line| line.starts_with("  "));
        let parsed = examples.filter_map(words).inspect(|words| {
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{words:?}: {error}");
            }
        });
        assert!(parsed.count() > 0, "{} has no example", command.get_name());
    }
}

/// The commands in the pages, told by the fences of their languages.
#[test]
fn the_examples_of_the_pages_parse() {
    let pages = [
        include_str!("../../docs/commands.md"),
        include_str!("../../docs/old-app-servers.md"),
    ];
    let mut parsed = 0;
    for page in pages {
        let blocks = page.split("\n```").skip(1).step_by(2);
        let shell = blocks.filter_map(|block| block.strip_prefix("sh\n"));
        for words in shell.flat_map(str::lines).filter_map(words) {
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{words:?}: {error}");
            }
            parsed += 1;
        }
    }
    assert!(parsed > 1);
}

#[test]
fn a_shell_line_is_taken_apart() {
    let words = words(r#"  echo 'a|b' | ccs send --to "x y" --data k='v w' > file"#);
    assert_eq!(
        words.unwrap(),
        ["ccs", "send", "--to", "x y", "--data", "k=v w"]
    );
}

#[test]
fn the_command_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn each_shell_gets_its_completions() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "ccs", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("broadcast") && script.contains("key-file"));
    }
}

#[test]
fn every_command_has_a_man_page() {
    let folder = std::env::temp_dir().join(format!("ccs-man-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    clap_mangen::generate_to(Cli::command(), &folder).unwrap();
    for command in Cli::command().get_subcommands() {
        let page = folder.join(format!("ccs-{}.1", command.get_name()));
        assert_ne!(page.exists(), command.is_hide_set(), "{page:?}");
    }
    assert!(folder.join("ccs.1").exists());
    std::fs::remove_dir_all(folder).unwrap();
}

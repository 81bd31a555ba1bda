//! What the demo shows: a story for people, or JSON lines.

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::Mutex;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::counts::Lost;

/// Lines that are shown between two notes before they are only counted.
const SHOWN: usize = 3;
/// Lost messages that a story names before it only counts them.
const LOST_SHOWN: usize = 20;

const TITLE: Style = Style::new().bold();
const GOOD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new()
    .fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)))
    .bold();
const FAINT: Style = Style::new().dimmed();

/// stdout, shared by everybody in the story.
#[derive(Debug)]
pub struct Screen {
    format: Format,
    /// Nobody knows what reads a pipe or file, so a story has only ASCII there. JSON is UTF-8 wherever it goes.
    ascii: bool,
    chapter: Mutex<Chapter>,
}

/// For whom it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Story,
    Json,
    /// Nobody.
    Silent,
}

#[derive(Debug, Default)]
struct Chapter {
    number: u32,
    /// Lines that were held back since the chapter or the last note.
    more: usize,
    shown: usize,
}

impl Screen {
    pub fn new(format: Format) -> Self {
        Self {
            format,
            ascii: format != Format::Json && !std::io::stdout().is_terminal(),
            chapter: Mutex::default(),
        }
    }

    /// A line above everything that follows.
    pub fn title(&self, title: &str) {
        if self.is_json() {
            return self.event(&json!({"event": "title", "title": title}));
        }
        self.line(&format!("\n{TITLE}{title}{TITLE:#}"));
    }

    /// A new chapter. What was held back of the one before is counted first.
    pub fn chapter(&self, title: &str) {
        self.end_part();
        let mut chapter = self.lock();
        chapter.number += 1;
        let number = chapter.number;
        drop(chapter);
        if self.is_json() {
            return self.event(&json!({"event": "chapter", "number": number, "title": title}));
        }
        self.line(&format!("\n{TITLE}{number}. {title}{TITLE:#}"));
    }

    pub fn end_part(&self) {
        self.more();
        self.lock().shown = 0;
    }

    /// Counts what was held back so far.
    fn more(&self) {
        let more = std::mem::take(&mut self.lock().more);
        if more > 0 && !self.is_json() {
            let dots = self.sign("\u{2026}", "...");
            self.line(&format!("   {FAINT}{dots} and {more} more{FAINT:#}"));
        }
    }

    fn sign(&self, sign: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { sign }
    }

    /// Somebody said something to somebody: a few between two notes are shown.
    pub fn said(&self, who: &str, whom: &str, what: &str) {
        if self.is_json() {
            return self.event(&json!({"event": "said", "from": who, "to": whom, "what": what}));
        }
        let mut chapter = self.lock();
        if chapter.shown >= SHOWN {
            chapter.more += 1;
            return;
        }
        chapter.shown += 1;
        drop(chapter);
        let arrow = self.sign("\u{2192}", "->");
        self.line(&format!(
            "   {who:>10} {FAINT}{arrow}{FAINT:#} {whom:<10}  {what}"
        ));
    }

    /// Something worth a line of its own.
    pub fn note(&self, what: &str) {
        if self.is_json() {
            return self.event(&json!({"event": "note", "what": what}));
        }
        // It comes after what it is about, so what was held back of that is counted first.
        self.end_part();
        let mark = self.sign("\u{2713}", "ok");
        self.line(&format!("   {GOOD}{mark}{GOOD:#} {what}"));
    }

    /// The counts, name by name, a column for each app server.
    pub fn table(&self, columns: &[&str], rows: &[(String, Vec<String>)]) {
        if self.is_json() {
            return;
        }
        let heads = columns.iter().map(|&head| head.to_owned()).collect();
        for (name, values) in std::iter::once(&(String::new(), heads)).chain(rows) {
            let values: String = values.iter().map(|value| format!("{value:>9}")).collect();
            self.line(&format!("   {name:<44}{values}"));
        }
    }

    /// What did not arrive: all of it for a program, and for people what fits on a screen.
    pub fn lost(&self, app_server: &str, lost: &[Lost]) {
        if self.is_json() {
            for Lost { chapter, who, what } in lost {
                self.event(&json!({
                    "event": "lost", "app_server": app_server, "chapter": chapter, "to": who, "content": what,
                }));
            }
            return;
        }
        for Lost { who, what, .. } in lost.iter().take(LOST_SHOWN) {
            self.line(&format!("   {BAD}lost{BAD:#} {who} never got {what:?}"));
        }
        if let Some(more @ 1..) = lost.len().checked_sub(LOST_SHOWN) {
            self.line(&format!(
                "   {FAINT}{} and {more} more, all named with --json{FAINT:#}",
                self.sign("\u{2026}", "...")
            ));
        }
    }

    /// The last line of a story: how many were lost.
    pub fn verdict(&self, lost: usize) {
        if self.is_json() {
            return;
        }
        let style = if lost == 0 { GOOD } else { BAD };
        self.line(&format!("\n{style}lost {lost}{style:#}"));
    }

    /// One JSON line, or nothing in a story.
    pub fn summary(&self, summary: &Value) {
        if self.is_json() {
            self.event(summary);
        }
    }

    fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Chapter> {
        self.chapter
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn event(&self, event: &Value) {
        self.line(&event.to_string());
    }

    /// Writes a line; colours only where the terminal and the user want them. Without a reader there is nothing left to
    /// tell, so the process ends.
    fn line(&self, text: &str) {
        if self.format == Format::Silent {
            return;
        }
        let text = if self.ascii {
            ascii(text)
        } else {
            Cow::Borrowed(text)
        };
        let mut out = anstream::stdout().lock();
        let written = writeln!(out, "{text}").and_then(|()| out.flush());
        if let Err(error) = written {
            std::process::exit(i32::from(error.kind() != ErrorKind::BrokenPipe));
        }
    }
}

/// Text in ASCII, with escapes for what is not.
fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            plain.push(c);
        } else {
            plain.extend(c.escape_unicode());
        }
    }
    Cow::Owned(plain)
}

//! Runs `ccs serve`, reads what it prints and holds every line against the documentation.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use ccs_tokio::{ApiKey, Client, Config, Incoming, SenderId, Trust, connect};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use tempfile::TempDir;

/// No test waits that long; one that fails does not wait longer.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Serve {
    child: Child,
    lines: Receiver<String>,
    schema: Schema,
    pub folder: PathBuf,
    pub listening: Value,
    _temporary: Option<TempDir>,
}

impl Serve {
    /// In a state folder of its own.
    pub fn start(args: &[&str]) -> Self {
        let temporary = TempDir::new().unwrap();
        let mut serve = Self::start_in(&temporary.path().join("state"), args);
        serve._temporary = Some(temporary);
        serve
    }

    pub fn start_in(folder: &Path, args: &[&str]) -> Self {
        Self::spawn(folder, command(folder, args))
    }

    /// Kills it without a word, and starts it again at the same address.
    #[allow(dead_code, reason = "the flood shares this file")]
    pub fn crash_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let port = self.listening["port"].to_string();
        let again = command_at(&format!("127.0.0.1:{port}"), &self.folder, &[]);
        let temporary = self._temporary.take();
        *self = Self::spawn(&self.folder.clone(), again);
        self._temporary = temporary;
    }

    fn spawn(folder: &Path, mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut serve = Self {
            child,
            lines,
            schema: schema("### Events of `ccs serve`"),
            folder: folder.to_owned(),
            listening: Value::Null,
            _temporary: None,
        };
        serve.listening = serve.next();
        assert_eq!(serve.listening["event"], "listening");
        serve
    }

    /// The next line, which the documentation must know.
    pub fn next(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("no more lines");
        documented(&self.schema, &line)
    }

    /// The next line of an event; others are passed over.
    pub fn until(&mut self, event: &str) -> Value {
        loop {
            let value = self.next();
            if value["event"] == event {
                return value;
            }
        }
    }

    pub fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    pub fn config(&self) -> Config {
        let sender = self.listening["sender"].as_str().unwrap().parse().unwrap();
        let key = ApiKey::from(self.file("key_file").trim());
        self.config_of(sender, key)
    }

    /// What a file holds that the first line names.
    fn file(&self, name: &str) -> String {
        let path = self.listening[name].as_str().unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    pub fn config_of(&self, sender: SenderId, key: ApiKey) -> Config {
        let mut config = Config::new("localhost", sender, key);
        config.host = "127.0.0.1".to_owned();
        config.server_name = Some("localhost".to_owned());
        config.port = u16::try_from(self.listening["port"].as_u64().unwrap()).unwrap();
        config.trust = Trust::only(self.file("ca").as_bytes()).unwrap();
        config
    }

    /// An app server that is logged in, and its connection.
    pub async fn log_in(&mut self) -> (Client, Incoming, u64) {
        let (client, incoming) = connect(self.config()).await.unwrap();
        let connection = self.until("login")["connection"].as_u64().unwrap();
        (client, incoming, connection)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads on, so that nothing is held up, and looks at nothing.
    #[allow(dead_code, reason = "the flood shares this file")]
    pub fn ignore_the_rest(&mut self) {
        let lines = std::mem::replace(&mut self.lines, channel().1);
        thread::spawn(move || lines.into_iter().for_each(drop));
    }

    pub fn signal(&self, name: &str) {
        let id = self.pid().to_string();
        let status = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }

    /// What is printed until the end, how it ended, and what stderr says.
    pub fn end(mut self) -> (Vec<Value>, ExitStatus, String) {
        let mut rest = Vec::new();
        let status = self.child.wait().unwrap();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            rest.push(serde_json::from_str(&line).unwrap());
        }
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        (rest, status, said)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command with nothing of this process's environment that would matter to it.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    command_at("127.0.0.1:0", folder, args)
}

fn command_at(address: &str, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ccs"));
    command
        .args(["serve", "--listen", address, "--state-dir"])
        .arg(folder)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    without_settings(&mut command);
    command
}

/// Takes away what of this process's environment would matter to `ccs`.
pub fn without_settings(command: &mut Command) {
    for name in [
        "CCS_SENDER",
        "CCS_KEY",
        "CCS_KEY_FILE",
        "CCS_CA",
        "CCS_HOST",
        "CCS_PORT",
    ] {
        command.env_remove(name);
    }
}

/// Events and their members; whether a member may be absent.
pub type Schema = BTreeMap<String, BTreeMap<String, bool>>;

/// That of the table below a heading of the documentation.
pub fn schema(heading: &str) -> Schema {
    let document = include_str!("../../../docs/commands.md");
    let (_, section) = document.split_once(heading).unwrap();
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|');
        let event = cells.next().unwrap().trim().trim_matches('`').to_owned();
        let members = cells.next().unwrap().split_whitespace().map(|member| {
            let member = member.trim_matches('`');
            let name = member.trim_end_matches('?');
            (name.to_owned(), name != member)
        });
        (event, members.collect())
    })
    .collect()
}

/// A line, which the documentation must know.
pub fn documented(schema: &Schema, line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap();
    let event = value["event"].as_str().unwrap().to_owned();
    assert!(line.starts_with("{\"event\":"), "{line}");
    let members = schema
        .get(&event)
        .unwrap_or_else(|| panic!("not documented: {line}"));
    for name in value.as_object().unwrap().keys() {
        assert!(
            name == "event" || members.contains_key(name),
            "{name} is not documented: {line}"
        );
    }
    for (name, optional) in members {
        assert!(
            *optional || value.get(name).is_some(),
            "{name} is missing: {line}"
        );
    }
    value
}

/// TLS over a socket, as a test that owns the CA does it by hand.
pub fn over_tls(tcp: TcpStream, ca: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(tls, tcp)
}

/// Reads until the peer has said this.
pub fn read_until(stream: &mut impl Read, what: &str) {
    let mut heard = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&heard).ends_with(what) {
        stream.read_exact(&mut byte).unwrap();
        heard.push(byte[0]);
    }
}

//! Who the endpoint is: given by flag or environment, else kept in the state folder, else made there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ccs_tokio::proto::hub::SenderLimits;
use ccs_tokio::{ApiKey, Identity, SenderId};
use ring::rand::{SecureRandom, SystemRandom};

use super::accounts::Accounts;
use super::{ServeArgs, ServeError};
use crate::certificate;
use crate::state::{self, StateError};
use crate::terminal::note;

/// What an endpoint needs to listen.
pub struct Setup {
    pub identity: Identity,
    /// None with a certificate that was given: who vouches for it is not ours to say.
    pub ca: Option<PathBuf>,
    pub accounts: Accounts,
    /// None with a key out of the environment, and with a file of senders.
    pub key_file: Option<PathBuf>,
}

impl Setup {
    /// `limits` are those of a sender that has none of its own.
    pub fn new(args: &ServeArgs, limits: SenderLimits) -> Result<Self, ServeError> {
        // What is given is read before anything is made.
        let several = args.senders.as_deref();
        let several = several
            .map(|file| Accounts::read(file, limits))
            .transpose()?;
        let given = match several {
            Some(_) => None,
            None => given_key(args)?,
        };
        let mut folder = Folder::new(args);
        let (identity, ca) = identity(args, &mut folder)?;
        if let Some(accounts) = several {
            let key_file = None;
            return Ok(Self {
                identity,
                ca,
                accounts,
                key_file,
            });
        }
        let sender = match &args.sender {
            Some(sender) => sender.clone(),
            None => kept_sender(folder.path()?)?,
        };
        let (key, key_file) = match given {
            Some(given) => given,
            None => kept_key(folder.path()?)?,
        };
        Ok(Self {
            identity,
            ca,
            accounts: Accounts::one(sender, key, limits),
            key_file,
        })
    }
}

/// The state folder, made only if something has to be kept in it.
struct Folder<'a> {
    given: Option<&'a Path>,
    held: Option<(PathBuf, File)>,
}

impl<'a> Folder<'a> {
    fn new(args: &'a ServeArgs) -> Self {
        Self {
            given: args.state_dir.as_deref(),
            held: None,
        }
    }

    fn path(&mut self) -> Result<&Path, StateError> {
        let (path, _) = match self.held.take() {
            Some(held) => self.held.insert(held),
            None => {
                let path = match self.given {
                    Some(path) => {
                        std::path::absolute(path).map_err(|error| StateError::io(path, error))?
                    }
                    None => state::default_dir().ok_or(StateError::NoHome)?,
                };
                let held = state::hold(&path)?;
                self.held.insert((path, held))
            }
        };
        Ok(path)
    }
}

fn identity(
    args: &ServeArgs,
    folder: &mut Folder<'_>,
) -> Result<(Identity, Option<PathBuf>), ServeError> {
    if let (Some(cert), Some(cert_key)) = (&args.cert, &args.cert_key) {
        let chain = std::fs::read(cert).map_err(|error| StateError::io(cert, error))?;
        let secret = state::read_private(cert_key)?;
        return Ok((Identity::new(&chain, secret.as_bytes())?, None));
    }
    let folder = folder.path()?;
    let (ca, cert, cert_key) = (
        folder.join(state::CA),
        folder.join(state::CERT),
        folder.join(state::CERT_KEY),
    );
    let kept = match (state::read(&ca)?, state::read(&cert)?) {
        (Some(ca), Some(chain)) if cert_key.exists() => {
            let secret = state::read_private(&cert_key)?;
            good(&ca, &chain, &secret)
        }
        (None, None) => Err(None),
        _ => Err(Some("a part of it is missing".to_owned())),
    };
    match kept {
        Ok(identity) => return Ok((identity, Some(ca))),
        Err(Some(why)) => note(format!(
            "The certificate in {} cannot be used any more ({why}). It is made anew, with its CA: clients that were \
             given a copy of {} need the new one.",
            folder.display(),
            ca.display()
        )),
        Err(None) => {}
    }
    let made = certificate::make(SystemTime::now())
        .map_err(|why| ServeError::Certificate(why.to_string()))?;
    state::write(&ca, &made.ca)?;
    state::write(&cert, &made.cert)?;
    state::write(&cert_key, &made.cert_key)?;
    let identity = Identity::new(made.cert.as_bytes(), made.cert_key.as_bytes())?;
    Ok((identity, Some(ca)))
}

fn good(ca: &str, cert: &str, secret: &str) -> Result<Identity, Option<String>> {
    if let Some(why) = certificate::problem(ca, cert, SystemTime::now()) {
        return Err(Some(why));
    }
    Identity::new(cert.as_bytes(), secret.as_bytes()).map_err(|why| Some(why.to_string()))
}

fn kept_sender(folder: &Path) -> Result<SenderId, ServeError> {
    let path = folder.join(state::SENDER);
    if let Some(text) = state::read(&path)? {
        let sender = text.trim().parse();
        return sender.map_err(|why| ServeError::Sender { path, why });
    }
    // Twelve digits, as project numbers have.
    let number = 100_000_000_000 + u64::from_be_bytes(random()?) % 900_000_000_000;
    let text = number.to_string();
    state::write(&path, &format!("{text}\n"))?;
    text.parse().map_err(|why| ServeError::Sender { path, why })
}

type Key = (ApiKey, Option<PathBuf>);

fn given_key(args: &ServeArgs) -> Result<Option<Key>, ServeError> {
    if let Some(path) = &args.key_file {
        let path = std::path::absolute(path).map_err(|error| StateError::io(path, error))?;
        return Ok(Some((state::read_secret(&path)?, Some(path))));
    }
    let given = std::env::var("CCS_KEY").ok().filter(|key| !key.is_empty());
    Ok(given.map(|key| (ApiKey::from(key), None)))
}

fn kept_key(folder: &Path) -> Result<Key, ServeError> {
    let path = folder.join(state::KEY);
    if !path.exists() {
        let bytes: [u8; 32] = random()?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        state::write(&path, &format!("{text}\n"))?;
    }
    Ok((state::read_secret(&path)?, Some(path)))
}

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N], ServeError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| ServeError::NoRandom)?;
    Ok(bytes)
}

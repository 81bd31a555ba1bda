//! What both app servers of the story do alike: who is registered, what handlers answer, and what they believe of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ccs_tokio::{Downstream, RegistrationToken, Upstream};

use super::changed::Changed;
use super::phones::{ACTION, Action, CONTENT, RECIPIENT};
use super::screen::Screen;
use crate::dice::Dice;

/// What the app server believes. Nothing is counted as delivered because of it; it has to agree with the phones.
#[derive(Debug, Default)]
pub struct AppSide {
    pub registered: BTreeSet<RegistrationToken>,
    /// How often the handler of each upstream message succeeded.
    pub handled: BTreeMap<String, u32>,
    /// How often handlers were run and failed.
    pub failed: u32,
    /// Ids of upstream messages that were given up and kept.
    pub dead: BTreeSet<String>,
    /// Ids of downstream messages that the endpoint accepted.
    pub accepted: BTreeSet<String>,
    /// Downstream messages that were given up.
    pub given_up: usize,
    /// How often a message was refused for a while, and sent again.
    pub retried: u32,
    /// Upstream messages that came again and were known.
    pub known_copies: u32,
    /// Connections that were opened.
    pub connections: u32,
    /// The last number of a message of the app server's own.
    pub last: u64,
}

/// A handler could not do it.
pub struct Failed;

pub struct Desk {
    side: Mutex<AppSide>,
    screen: Arc<Screen>,
    changed: Changed,
    /// The seed by which handlers fail now and then.
    flaky: Option<u64>,
}

impl Desk {
    pub fn new(screen: Arc<Screen>, changed: Changed, flaky: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            side: Mutex::default(),
            screen,
            changed,
            flaky,
        })
    }

    /// The handler of each kind of message: what it answers.
    pub fn answer(
        &self,
        action: Action,
        message: &Upstream,
        attempt: u32,
    ) -> Result<Downstream, Failed> {
        let failed = || {
            self.with(|side| side.failed += 1);
            Failed
        };
        if self.fails(message, attempt) {
            return Err(failed());
        }
        let phone = message.from();
        let data = message.data().ok_or_else(failed)?;
        let content = data.get(CONTENT).unwrap_or_default();
        let to = match action {
            Action::Register => {
                self.screen.said(phone.as_str(), "app server", "REGISTER");
                self.with(|side| side.registered.insert(phone.clone()));
                phone.clone()
            }
            Action::Echo => {
                self.screen.said("app server", phone.as_str(), "ECHO");
                phone.clone()
            }
            Action::Message => {
                let recipient = data.get(RECIPIENT).ok_or_else(failed)?;
                self.screen.said(phone.as_str(), &recipient, &content);
                RegistrationToken::from(&*recipient)
            }
            Action::Poison => {
                self.screen
                    .said(phone.as_str(), "app server", "the handler fails");
                return Err(failed());
            }
        };
        Ok(Downstream::to(to).data(CONTENT, &*content))
    }

    /// Fewer times in a row than make a message a dead letter.
    fn fails(&self, message: &Upstream, attempt: u32) -> bool {
        self.flaky.is_some_and(|seed| {
            let about = format!("handler {} {attempt}", message.message_id());
            attempt < 3 && Dice::new(seed, &about).falls_within(10)
        })
    }

    /// The action that a message asks for.
    pub fn action(message: &Upstream) -> Option<Action> {
        let wanted = message.data()?.get(ACTION)?;
        Action::ALL
            .into_iter()
            .find(|action| action.as_str() == wanted)
    }

    /// An id for a message of the app server's own.
    pub fn next_id(&self) -> String {
        self.with(|side| {
            side.last += 1;
            format!("down-{}", side.last)
        })
    }

    pub fn handled(&self, message: &Upstream) {
        let id = message.message_id().to_string();
        self.with(|side| *side.handled.entry(id).or_default() += 1);
    }

    pub fn registered(&self) -> Vec<RegistrationToken> {
        self.side().registered.iter().cloned().collect()
    }

    pub fn knows(&self, token: &str) -> bool {
        let token = RegistrationToken::from(token);
        self.side().registered.contains(&token)
    }

    pub fn side(&self) -> MutexGuard<'_, AppSide> {
        self.side.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what it believes, and tells who waits for that.
    pub fn with<T>(&self, change: impl FnOnce(&mut AppSide) -> T) -> T {
        let done = change(&mut self.side());
        self.changed.tell();
        done
    }
}

//! Word that something happened, for whoever waits for it.

use std::time::Duration;

use anyhow::anyhow;
use tokio::sync::watch;
use tokio::time::timeout;

/// Nothing on loopback takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shared by everybody in one story.
#[derive(Debug, Clone)]
pub struct Changed(watch::Sender<()>);

impl Changed {
    pub fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    /// Something happened.
    pub fn tell(&self) {
        self.0.send_replace(());
    }

    /// Whatever happens from now on.
    pub fn news(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, is_so: impl Fn() -> bool) -> anyhow::Result<()> {
        let mut news = self.news();
        // The sender is our own, so it is there.
        let wait = async { while !is_so() && news.changed().await.is_ok() {} };
        timeout(PATIENCE, wait).await.map_err(|_| {
            let patience = PATIENCE.as_secs();
            anyhow!("{what}: it did not come about within {patience} s")
        })
    }
}

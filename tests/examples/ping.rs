//! Logs in and stays silent until the endpoint has answered a ping, for `tests/interop`: the commands ping as well, but
//! only after a minute of silence. Says what happens as JSON lines.
//!
//! Reads `CCS_HOST`, `CCS_PORT`, `CCS_CA` (a PEM file), `CCS_SENDER` and `CCS_KEY`.

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ccs_tokio::proto::Direction;
use ccs_tokio::{Config, Tap, Trust, connect};
use tokio::sync::Notify;
use tokio::time::timeout;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = env::var("CCS_KEY")?.as_str().into();
    let mut config = Config::new(
        &env::var("CCS_HOST")?,
        env::var("CCS_SENDER")?.parse()?,
        key,
    );
    config.port = env::var("CCS_PORT")?.parse()?;
    config.trust = Trust::only(&std::fs::read(env::var("CCS_CA")?)?)?;
    config.client.ping_interval = Duration::from_millis(200);
    let answered = Arc::new(Notify::new());
    let heard = answered.clone();
    config.client.tap = Some(Tap::new(move |_, direction, stanza| {
        let is_result = stanza.starts_with("<iq") && stanza.contains("result");
        if direction == Direction::In && is_result && !stanza.contains("bind") {
            heard.notify_one();
        }
    }));

    let (client, _incoming) = connect(config).await?;
    timeout(Duration::from_secs(20), answered.notified()).await?;
    println!("{{\"event\":\"pong\"}}");
    client.close().await?;
    Ok(())
}

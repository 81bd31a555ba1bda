//! The example of an endpoint, with an app server that comes and goes.

#[path = "../examples/endpoint.rs"]
#[allow(dead_code, reason = "its main")]
mod endpoint;

use ccs_tokio::{Config, Downstream, Event, Identity, Incoming, Trust, connect};
use tokio::sync::mpsc;

async fn words(incoming: &mut Incoming) -> String {
    loop {
        match incoming.next().await.expect("the connection is over") {
            Event::Upstream(message) => {
                let words = message.data().and_then(|data| data.get("words"));
                let words = words.expect("a device said words").into_owned();
                message.ack().unwrap();
                return words;
            }
            Event::Closed(end) => panic!("{end:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn what_a_device_says_waits_for_its_app_server() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
    let identity = Identity::new(cert.as_bytes(), key.as_bytes()).unwrap();
    let listening = endpoint::bind("127.0.0.1:0", identity).await.unwrap();
    let mut config = Config::new("localhost", "123456789012".parse().unwrap(), "KEY".into());
    config.port = listening.local_addr().unwrap().port();
    config.trust = Trust::only(cert.as_bytes()).unwrap();
    let (say, lines) = mpsc::channel(16);
    let serving = async {
        let ended = endpoint::serve(listening, lines).await;
        ended.map_err(|error| error.to_string())
    };
    let using = async {
        say.send("phone-1 hello".to_owned()).await.unwrap();
        let (client, mut incoming) = connect(config.clone()).await.unwrap();
        assert_eq!(words(&mut incoming).await, "hello");
        client.send(Downstream::to("phone-1")).await.unwrap();
        drop((client, incoming));
        say.send("phone-1 again".to_owned()).await.unwrap();
        let (_client, mut incoming) = connect(config).await.unwrap();
        assert_eq!(words(&mut incoming).await, "again");
        drop(say);
    };
    let (ended, ()) = tokio::join!(serving, using);
    ended.unwrap();
}

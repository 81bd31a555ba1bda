//! The examples of the core, which have no runtime, against this project's own other end.

#[path = "../../../ccs-proto/examples/blocking.rs"]
#[allow(dead_code)]
mod blocking;
#[path = "../../../ccs-proto/examples/event_loop.rs"]
#[allow(dead_code)]
mod event_loop;

use std::thread;

use ccs_tokio::{ApiKey, Config, ConnectError, ConnectionError, Downstream, Trust, connect};

use super::support::Serve;

#[test]
fn std_and_a_thread_send_a_message_to_the_endpoint() {
    let mut serve = Serve::start(&[]);
    let text = |name: &str| std::fs::read(serve.listening[name].as_str().unwrap()).unwrap();
    let sender = serve.listening["sender"].as_str().unwrap().parse().unwrap();
    let key = ApiKey::from(String::from_utf8(text("key_file")).unwrap().trim());
    let address = format!("localhost:{}", serve.listening["port"]);
    let mut told = Vec::new();
    blocking::run(&address, &text("ca"), (sender, key), &mut told).unwrap();

    let told = String::from_utf8(told).unwrap();
    let told: Vec<_> = told.lines().collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("Bound"), "{told:?}");
    assert!(told[1].contains("Accepted"), "{told:?}");
    assert_eq!(told[2], "Closed(Ok(()))");
    assert_eq!(serve.until("delivered")["device"], "phone-1");
    assert_eq!(serve.until("closed")["unacked"], 0);
}

#[tokio::test]
async fn an_event_loop_of_ones_own_serves_two_clients_and_refuses_a_third() {
    let (tls, certificate) = event_loop::identity().unwrap();
    let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = thread::spawn(move || {
        event_loop::serve(listener, &tls, &ApiKey::from("KEY"), 3)
            .map_err(|error| error.to_string())
    });
    let config = |key: &str| {
        let mut config = Config::new("localhost", "123456789012".parse().unwrap(), key.into());
        config.port = port;
        config.trust = Trust::only(certificate.as_bytes()).unwrap();
        config
    };
    let (first, _incoming) = connect(config("KEY")).await.unwrap();
    let (second, _incoming) = connect(config("KEY")).await.unwrap();
    let refused = connect(config("another")).await.unwrap_err();
    assert!(
        matches!(
            refused,
            ConnectError::Connection(ConnectionError::LoginRefused { .. })
        ),
        "{refused:?}"
    );
    for client in [first, second] {
        for n in 0..250 {
            let message = Downstream::to("phone-1").id(format!("m-{n}"));
            client.send(message).await.unwrap();
        }
        client.close().await.unwrap();
    }
    serving.join().unwrap().unwrap();
}

//! A client on each runtime against an endpoint on each: one process, a thread for each end, TLS between them.

use std::sync::mpsc::channel;
use std::thread;

use crate::names;
use crate::runtime::{AsyncIo, AsyncStd, Run, Smol, Tokio};

/// Messages each way on each of two connections.
const MESSAGES: usize = 50;

macro_rules! pairs {
    ($($test:ident: $client:ident on $client_runtime:ty, $endpoint:ident on $endpoint_runtime:ty;)*) => {
        $(
            #[test]
            fn $test() {
                let (tell, told) = channel();
                let endpoint = thread::spawn(|| {
                    <$endpoint_runtime as Run>::block_on(names::$endpoint::endpoint(tell, MESSAGES));
                });
                let port = told.recv().expect("it listens");
                <$client_runtime as Run>::block_on(names::$client::app_server(port, MESSAGES));
                endpoint.join().expect("no panic");
            }
        )*
    };
}

pairs! {
    tokio_to_tokio: tokio on Tokio, tokio on Tokio;
    tokio_to_async_std: tokio on Tokio, async_std on AsyncIo<AsyncStd>;
    tokio_to_smol: tokio on Tokio, smol on AsyncIo<Smol>;
    async_std_to_tokio: async_std on AsyncIo<AsyncStd>, tokio on Tokio;
    async_std_to_async_std: async_std on AsyncIo<AsyncStd>, async_std on AsyncIo<AsyncStd>;
    async_std_to_smol: async_std on AsyncIo<AsyncStd>, smol on AsyncIo<Smol>;
    smol_to_tokio: smol on AsyncIo<Smol>, tokio on Tokio;
    smol_to_async_std: smol on AsyncIo<Smol>, async_std on AsyncIo<AsyncStd>;
    smol_to_smol: smol on AsyncIo<Smol>, smol on AsyncIo<Smol>;
}

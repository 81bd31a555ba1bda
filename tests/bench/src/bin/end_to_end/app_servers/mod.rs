//! App servers that are measured, each in a process of its own. All do the same with a message: read it as one would to
//! use it, then ack it; or make it of its parts, send it, and wait for its ack with 100 under way.

mod ccs;
mod naive;
mod raw;
#[cfg(feature = "xmpp-rs")]
mod tokio_xmpp;

use ccs_bench::loopback::program::{Program, on_async_std, on_smol, on_tokio};

/// The first is what all are compared with.
pub const APP_SERVERS: &[Program] = &[
    Program {
        name: "raw",
        raw: "raw",
        run: |setup| on_tokio(raw::on_tokio(setup)),
    },
    Program {
        name: CCS,
        raw: "raw",
        run: |setup| on_tokio(ccs::on_tokio(setup)),
    },
    Program {
        name: "raw async-std",
        raw: "raw async-std",
        run: |setup| on_async_std(raw::on_async_io(setup)),
    },
    Program {
        name: "ccs-async-std",
        raw: "raw async-std",
        run: |setup| on_async_std(ccs::on_async_std(setup)),
    },
    Program {
        name: "raw smol",
        raw: "raw smol",
        run: |setup| on_smol(raw::on_async_io(setup)),
    },
    Program {
        name: "ccs-smol",
        raw: "raw smol",
        run: |setup| on_smol(ccs::on_smol(setup)),
    },
    Program {
        name: "naive",
        raw: "raw",
        run: |setup| on_tokio(naive::run(setup)),
    },
    #[cfg(feature = "xmpp-rs")]
    Program {
        name: "tokio-xmpp",
        raw: "raw",
        run: |setup| on_tokio(tokio_xmpp::run(setup)),
    },
];

/// The one whose peak the fixed rates go by.
pub const CCS: &str = "ccs-tokio";

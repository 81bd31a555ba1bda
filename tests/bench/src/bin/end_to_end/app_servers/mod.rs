//! App servers that are measured, each in a process of its own. All do the same with a message: read it as one would to
//! use it, then ack it; or make it of its parts, send it, and wait for its ack with 100 under way.

mod ccs;
mod naive;
mod raw;
#[cfg(feature = "xmpp-rs")]
mod tokio_xmpp;

use ccs_bench::loopback::child::Setup;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppServer {
    /// The limit.
    Raw,
    CcsTokio,
    CcsAsyncStd,
    CcsSmol,
    Naive,
    #[cfg(feature = "xmpp-rs")]
    TokioXmpp,
}

impl AppServer {
    pub const ALL: &[Self] = &[
        Self::Raw,
        Self::CcsTokio,
        Self::CcsAsyncStd,
        Self::CcsSmol,
        Self::Naive,
        #[cfg(feature = "xmpp-rs")]
        Self::TokioXmpp,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::CcsTokio => "ccs-tokio",
            Self::CcsAsyncStd => "ccs-async-std",
            Self::CcsSmol => "ccs-smol",
            Self::Naive => "naive",
            #[cfg(feature = "xmpp-rs")]
            Self::TokioXmpp => "tokio-xmpp",
        }
    }

    /// Is one, until the endpoint closes the connection.
    pub fn be(self, setup: Setup) {
        match self {
            Self::Raw => on_tokio(raw::run(setup)),
            Self::CcsTokio => on_tokio(ccs::on_tokio(setup)),
            Self::CcsAsyncStd => ccs::on_async_std(setup),
            Self::CcsSmol => ccs::on_smol(setup),
            Self::Naive => on_tokio(naive::run(setup)),
            #[cfg(feature = "xmpp-rs")]
            Self::TokioXmpp => on_tokio(tokio_xmpp::run(setup)),
        }
    }
}

fn on_tokio(app_server: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    runtime.block_on(app_server);
}

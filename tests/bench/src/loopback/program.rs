//! Programs that are measured, and the runtimes that run them.

use std::process::ExitCode;

use super::child::Setup;

/// A peer, by the name that its process is started with.
pub struct Program {
    pub name: &'static str,
    /// The one that moves the same bytes on the same runtime, and looks at none of them.
    pub raw: &'static str,
    /// Is it, until it is ended or the other side closes the connection.
    pub run: fn(Setup),
}

impl Program {
    /// The process of a peer, started by another of these.
    pub fn be<'a>(name: Option<String>, all: impl IntoIterator<Item = &'a Self>) -> ExitCode {
        let name = name.unwrap_or_default();
        let Some(program) = all.into_iter().find(|program| program.name == name) else {
            eprintln!("there is no peer {name:?}");
            return ExitCode::from(2);
        };
        (program.run)(Setup::read());
        ExitCode::SUCCESS
    }
}

// In a task, on the executor's one thread, where the connections are, too.

pub fn on_tokio(main: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    runtime.block_on(runtime.spawn(main)).expect("no panic");
}

pub fn on_async_std(main: impl Future<Output = ()> + Send + 'static) {
    async_std::task::block_on(async_std::task::spawn(main));
}

pub fn on_smol(main: impl Future<Output = ()> + Send + 'static) {
    smol::block_on(smol::spawn(main));
}

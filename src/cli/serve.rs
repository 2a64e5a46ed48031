//! `featgres serve`, and what every serving command shares: the stop signals.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::block_on;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::demo::warehouse::Warehouse;
use crate::error::{Report, SqlState};
use crate::server::Server;

pub(super) fn serve(config: Config) -> Result<ExitCode, Report> {
    create_embedded(&config)?;
    block_on(async move {
        let stop = stop_signal()?;
        let project = config.project.clone();
        let server = Server::open(config).await?;
        tracing::info!(address = %server.address()?, project, "ready for connections");
        server.serve(stop).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The embedded warehouse is there from the first start: an empty catalog that pyiceberg can write to.
pub(super) fn create_embedded(config: &Config) -> Result<(), Report> {
    if let Some(directory) = &config.embedded {
        Warehouse::open("iceberg", &directory.join("catalog.sqlite"), &directory.join("warehouse"), Arc::new(SystemClock))?;
    }
    Ok(())
}

/// Done at SIGTERM or SIGINT. Listening begins here, so a signal that comes while the server opens is not lost.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()> + Send + use<>, Report> {
    let listen = |kind| signal(kind).map_err(|failure| Report::new(SqlState::IO_ERROR, format!("could not listen for signals: {failure}")));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("stopping on SIGTERM"),
            _ = interrupt.recv() => tracing::info!("stopping on SIGINT"),
        }
    })
}

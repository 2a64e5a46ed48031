//! `featgres serve`, and what every serving command shares: the stop signals.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ConfigArguments, block_on};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::demo::warehouse::Warehouse;
use crate::error::{Report, SqlState};
use crate::server::Server;
use crate::session::FeatureGateway;
use crate::wire::tls::ServedTls;

pub(super) fn serve(config: Config, arguments: ConfigArguments) -> Result<ExitCode, Report> {
    create_embedded(&config)?;
    block_on(async move {
        let stop = stop_signal()?;
        let project = config.project.clone();
        let server = Server::open(config).await?;
        let reloading = tokio::spawn(reload_on_hangup(hangup()?, arguments, Arc::clone(server.gateway()), server.tls().cloned()));
        tracing::info!(address = %server.address()?, project, "ready for connections");
        if let Some(address) = server.http_address() {
            tracing::info!(%address, "answering HTTP");
        }
        server.serve(stop).await?;
        reloading.abort();
        Ok(ExitCode::SUCCESS)
    })
}

fn hangup() -> Result<Signal, Report> {
    signal(SignalKind::hangup()).map_err(|failure| Report::new(SqlState::IO_ERROR, format!("could not listen for signals: {failure}")))
}

/// At each SIGHUP, the configuration is read again as it was at the start. One that does not load changes nothing: the gateway
/// goes on with what it has, and says so.
async fn reload_on_hangup(mut hangup: Signal, arguments: ConfigArguments, gateway: Arc<FeatureGateway>, tls: Option<Arc<ServedTls>>) {
    while hangup.recv().await.is_some() {
        match arguments.clone().load() {
            Ok(config) => {
                // The files that it was started with: another [tls] section needs a restart.
                if let Some(Err(failure)) = tls.as_ref().map(|tls| tls.reload()) {
                    tracing::error!("the certificate was not read again on SIGHUP: {failure}");
                }
                crate::telemetry::set_level(&config.telemetry.level);
                let users = config.auth.users.len();
                gateway.set_auth(config.auth);
                tracing::info!(level = config.telemetry.level, users, "configuration read again on SIGHUP");
            }
            Err(report) => {
                let hint = report.hint.unwrap_or_default();
                tracing::error!(hint, "the configuration was not read again on SIGHUP: {}", report.message);
            }
        }
    }
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

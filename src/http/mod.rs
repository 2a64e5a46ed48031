//! What is answered over HTTP: `/metrics` (Prometheus), `/healthz`, `/readyz`, and with `[http] feast_api = true` the three
//! calls of the service that featgres replaces, so that its callers keep working while they move to SQL. Nothing else lives here.
//!
//! - HTTP/1.1, with `tls = true` over TLS only, by the certificate of `[tls]`. Without it, passwords (HTTP Basic) are refused beyond
//!   loopback unless the configuration says that something else guards them.
//! - Everything is bounded: connections, how long one may be silent, a body's size and the time it may take, calls at a time.
//! - Metrics and health ask for no password and show no data: counts, times, names of catalogs and why they are down.
//! - While the gateway stops, `/readyz` is 503 until the last statement is done, so that a balancer sends clients elsewhere.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

mod authorization;
mod error;
mod feast;
mod health;
mod listener;

use error::Refusal;
pub use listener::Tls;
use listener::{BoundedListener, Peer};

use crate::config::HttpConfig;
use crate::error::{Report, SqlState};
use crate::session::{FeatureGateway, SharedGateway};
use crate::telemetry::{Exposition, exposition};

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    gateway: SharedGateway,
    /// Calls at a time: as many as connections of the wire.
    calls: Arc<Semaphore>,
    /// Passwords checked at a time: each costs a core for milliseconds.
    passwords: Arc<Semaphore>,
    max_body_size: usize,
    max_entity_rows: usize,
}

/// Password checks at a time.
const PASSWORD_CHECKS: usize = 4;

/// Serves until `stop`; requests that run then are finished by whoever stops their sessions.
/// `tls` gives the certificate to be served; without it, connections are in the clear.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, gateway: Arc<FeatureGateway>, stop: impl Future<Output = ()> + Send + 'static) {
    let config = gateway.config.http.clone();
    let shared = Shared {
        calls: Arc::new(Semaphore::new(gateway.config.limits.max_connections.min(Semaphore::MAX_PERMITS))),
        passwords: Arc::new(Semaphore::new(PASSWORD_CHECKS)),
        max_body_size: usize::try_from(config.max_body_size).unwrap_or(usize::MAX),
        max_entity_rows: config.max_entity_rows,
        gateway: SharedGateway(gateway),
    };
    let service = router(shared, &config).into_make_service_with_connect_info::<Peer>();
    let served = axum::serve(BoundedListener::new(listener, tls), service).with_graceful_shutdown(stop);
    if let Err(error) = served.await {
        tracing::error!(%error, "the HTTP listener ended");
    }
}

fn router(shared: Shared, config: &HttpConfig) -> Router {
    let mut router =
        Router::new().route("/metrics", get(metrics)).route("/healthz", get(health::healthz)).route("/readyz", get(health::readyz));
    if config.feast_api {
        router = router
            .route("/feast/features", post(feast::create_feature_view))
            .route("/feast/predictions/batch", post(feast::predict_batch))
            .route("/feast/status", get(feast::status));
    }
    router
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .layer(axum::middleware::from_fn(listener::busy))
        // The handlers read bodies themselves, with a limit of the configuration's and one of time.
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let how = Exposition::of(accept);
    let gateway = &shared.gateway.0;
    ([(CONTENT_TYPE, how.content_type())], exposition(&gateway.counters, &gateway.gauges(), how)).into_response()
}

async fn not_found(uri: Uri) -> Refusal {
    let report = Report::new(SqlState::UNDEFINED_OBJECT, format!("there is no \"{}\" here", uri.path()));
    let hint = if uri.path().starts_with("/feast") {
        "[http] feast_api = true serves POST /feast/features, POST /feast/predictions/batch and GET /feast/status; everything else is SQL."
    } else {
        "There are /metrics, /healthz and /readyz."
    };
    Refusal::with_status(StatusCode::NOT_FOUND, report.hint(hint))
}

async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    let report = Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("\"{}\" does not take {method}", uri.path()));
    Refusal::with_status(StatusCode::METHOD_NOT_ALLOWED, report)
}

#[cfg(test)]
mod tests;

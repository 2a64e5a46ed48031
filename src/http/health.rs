//! `/healthz`: the process lives. `/readyz`: clients can be sent here, and which catalogs are down, with reasons.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::Shared;
use crate::error::Report;

/// Always 200: a process that cannot say so is not there.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 if the gateway serves, else 503. A catalog that is down does not make it 503: the others are served.
pub(super) async fn readyz(State(shared): State<Shared>) -> Response {
    let readiness = shared.gateway.0.readiness().await;
    let catalogs: Map<String, Value> = readiness
        .catalogs
        .iter()
        .map(|catalog| {
            let mut state = json!({ "type": catalog.kind, "status": if catalog.down.is_some() { "down" } else { "up" } });
            if let (Some(report), Some(state)) = (&catalog.down, state.as_object_mut()) {
                state.insert("error".to_owned(), shown(report));
            }
            (catalog.name.clone(), state)
        })
        .collect();
    let registry = match &readiness.registry {
        Ok(version) => json!({ "status": "up", "version": version }),
        Err(report) => json!({ "status": "down", "error": shown(report) }),
    };
    let status = if readiness.stopping {
        "stopping"
    } else if readiness.is_ready() {
        "ready"
    } else {
        "not ready"
    };
    let code = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "status": status, "registry": registry, "catalogs": catalogs }))).into_response()
}

fn shown(report: &Report) -> Value {
    json!({ "sqlstate": report.sqlstate.code(), "message": report.message, "detail": report.detail, "hint": report.hint })
}

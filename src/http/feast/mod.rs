//! The calls of the service that featgres replaces: `POST /feast/features`, `POST /feast/predictions/batch`, `GET /feast/status`.
//!
//! Each is read (`request`), handed to a session as what SQL would have made of it, and its answer written as JSON (`values`).
//! Roles, limits and errors are SQL's; see `error` for which status a SQLSTATE has.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::SemaphorePermit;

mod request;
mod values;

use super::error::Refusal;
use super::listener::Peer;
use super::{Shared, authorization};
use crate::error::{Report, SqlState};

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(60);

/// `CREATE FEATURE VIEW`.
pub(super) async fn create_feature_view(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (role, _place) = admit(&shared, &headers).await?;
    let request = request::feature_view(&read(&shared, body).await?)?;
    let online = request.online;
    let created = shared.gateway.create_feature_view(&role, Some(peer.address), request.definition).await?;
    let mut message = format!("feature view \"{}\" is registered with {} features", created.name, created.features.len());
    if online {
        message
            .push_str("; online serving is disabled: POST /feast/predictions/batch answers with the newest values from the table itself");
    }
    for notice in &created.notices {
        message.push_str("; ");
        message.push_str(&notice.message);
    }
    let answer = json!({
        "name": created.name,
        "entities": created.entities,
        "features": created.features,
        "source_table": created.source,
        "path": created.path,
        "online_enabled": false,
        "created_at": values::instant(created.created_at),
        "status": "registered",
        "message": message,
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `get_latest_features`: an array with one object per entity row, in their order.
pub(super) async fn predict_batch(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (role, _place) = admit(&shared, &headers).await?;
    let question = request::batch(&read(&shared, body).await?, shared.max_entity_rows)?;
    let answer = shared.gateway.latest_features(&role, Some(peer.address), question).await?;
    let text = values::objects(&answer)?;
    Ok(([(CONTENT_TYPE, "application/json")], text).into_response())
}

/// The status row.
pub(super) async fn status(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (role, _place) = admit(&shared, &headers).await?;
    let status = shared.gateway.store_status(&role, Some(peer.address)).await?;
    let answer = json!({
        "registry_type": status.registry_type,
        "online_store_type": status.online_store_type,
        "offline_store_type": status.offline_store_type,
        "num_feature_views": status.feature_views.len(),
        "num_entities": status.entities.len(),
        "num_feature_services": status.num_feature_services,
        "feature_views": status.feature_views,
        "entities": status.entities,
    });
    Ok(Json(answer).into_response())
}

/// A place among the calls, and the caller's role. One call too many is told at once, before its body is read.
async fn admit<'a>(shared: &'a Shared, headers: &HeaderMap) -> Result<(String, SemaphorePermit<'a>), Refusal> {
    let Ok(place) = shared.calls.try_acquire() else {
        let report = Report::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many calls already")
            .hint("limits.max_connections says how many are served at a time.");
        shared.gateway.0.counters.error(report.sqlstate);
        return Err(report.into());
    };
    Ok((authorization::role(shared, headers).await?, place))
}

async fn read(shared: &Shared, body: Body) -> Result<Bytes, Refusal> {
    whole(body, shared.max_body_size, BODY_WITHIN).await
}

/// All of a body, if it is no longer than that and there in time.
pub(super) async fn whole(body: Body, max_body_size: usize, within: Duration) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(within, to_bytes(body, max_body_size)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            // The limit's error is not a type of its own that could be named; the other one is a broken connection.
            if std::error::Error::source(&error).is_some_and(|source| source.to_string().contains("length limit")) {
                let message = format!("the body is longer than {max_body_size} bytes");
                let report = Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
                    .hint("[http] max_body_size sets the limit; COPY FROM STDIN takes entity rows of any number.");
                return Err(Refusal::with_status(StatusCode::PAYLOAD_TOO_LARGE, report));
            }
            Err(Report::new(SqlState::PROTOCOL_VIOLATION, "the body could not be read").into())
        }
        Err(_) => {
            let report = Report::new(SqlState::PROTOCOL_VIOLATION, format!("the body did not arrive within {} s", within.as_secs()));
            Err(Refusal::with_status(StatusCode::REQUEST_TIMEOUT, report))
        }
    }
}

//! [`Refusal`]: a report as HTTP has it, a status and `{"error": {"sqlstate", "message", "detail", "hint"}}`.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::{Report, SqlState};

/// An error on its way to a caller.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    report: Report,
}

impl Refusal {
    /// With another status than the report's code would give.
    pub(super) fn with_status(status: StatusCode, report: Report) -> Self {
        Self { status, report }
    }
}

impl From<Report> for Refusal {
    fn from(report: Report) -> Self {
        Self { status: status(report.sqlstate), report }
    }
}

/// The status of a code. Who did it wrong decides: the caller (4xx), this server (500), or something that may be back soon (503).
fn status(sqlstate: SqlState) -> StatusCode {
    match sqlstate {
        SqlState::INVALID_AUTHORIZATION | SqlState::INVALID_PASSWORD => StatusCode::UNAUTHORIZED,
        SqlState::INSUFFICIENT_PRIVILEGE => StatusCode::FORBIDDEN,
        SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME | SqlState::INVALID_CATALOG_NAME => StatusCode::NOT_FOUND,
        SqlState::DUPLICATE_TABLE
        | SqlState::DUPLICATE_OBJECT
        | SqlState::SERIALIZATION_FAILURE
        | SqlState::DEPENDENT_OBJECTS_STILL_EXIST
        | SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => StatusCode::CONFLICT,
        SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION
        | SqlState::FDW_ERROR
        | SqlState::IO_ERROR
        | SqlState::TOO_MANY_CONNECTIONS
        | SqlState::OUT_OF_MEMORY
        | SqlState::QUERY_CANCELED
        | SqlState::ADMIN_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW => StatusCode::SERVICE_UNAVAILABLE,
        SqlState::INTERNAL_ERROR | SqlState::DATA_CORRUPTED | SqlState::CONFIG_FILE_ERROR => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Report { sqlstate, message, detail, hint, .. } = self.report;
        let body = json!({ "error": { "sqlstate": sqlstate.code(), "message": message, "detail": detail, "hint": hint } });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"featgres\", charset=\"UTF-8\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // What is left of a body that was too long is not read.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

//! Which status each kind of error has.

use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::error::Refusal;
use crate::error::{Report, SqlState};

#[test]
fn statuses_follow_the_sqlstate() {
    for (sqlstate, status) in [
        (SqlState::INVALID_PARAMETER_VALUE, StatusCode::BAD_REQUEST),
        (SqlState::UNDEFINED_COLUMN, StatusCode::BAD_REQUEST),
        (SqlState::DATATYPE_MISMATCH, StatusCode::BAD_REQUEST),
        (SqlState::INVALID_PASSWORD, StatusCode::UNAUTHORIZED),
        (SqlState::INSUFFICIENT_PRIVILEGE, StatusCode::FORBIDDEN),
        (SqlState::UNDEFINED_TABLE, StatusCode::NOT_FOUND),
        (SqlState::INVALID_SCHEMA_NAME, StatusCode::NOT_FOUND),
        (SqlState::DUPLICATE_TABLE, StatusCode::CONFLICT),
        (SqlState::SERIALIZATION_FAILURE, StatusCode::CONFLICT),
        (SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION, StatusCode::SERVICE_UNAVAILABLE),
        (SqlState::TOO_MANY_CONNECTIONS, StatusCode::SERVICE_UNAVAILABLE),
        (SqlState::INTERNAL_ERROR, StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let response = Refusal::from(Report::new(sqlstate, "no")).into_response();
        assert_eq!(response.status(), status, "{sqlstate}");
        assert_eq!(response.headers().contains_key("www-authenticate"), status == StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn bodies_are_there_in_time_and_not_too_long() {
    use std::time::Duration;

    use axum::body::{Body, Bytes};
    use futures::StreamExt;

    let read = async |body: Body| super::feast::whole(body, 10, Duration::from_millis(50)).await;
    assert_eq!(read(Body::from("{}")).await.unwrap(), "{}");
    let status = |refusal: Refusal| refusal.into_response().status();
    assert_eq!(status(read(Body::from("more than ten bytes")).await.unwrap_err()), StatusCode::PAYLOAD_TOO_LARGE);
    // A first byte, and then nothing.
    let begun = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]).chain(futures::stream::pending());
    assert_eq!(status(read(Body::from_stream(begun)).await.unwrap_err()), StatusCode::REQUEST_TIMEOUT);
    let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
    assert_eq!(status(read(Body::from_stream(broken)).await.unwrap_err()), StatusCode::BAD_REQUEST);
}

//! Reading bodies: how large, of which type, and whether they are JSON at all. What they mean is the operation's to say.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use dealwright::refuse_control;
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// The largest body, uploads aside.
pub const LIMIT: usize = 1 << 20;
/// How much of a body that is too large is read, so that its sender gets the answer instead of a broken connection.
pub const DRAINED: usize = 8 << 20;

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// 413 for a larger one, after draining what is reasonable; 400 if the sender breaks off.
pub async fn read(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    let drained = limit.max(DRAINED);
    let expects = headers.contains_key(header::EXPECT);
    if announced.is_some_and(|length| length > drained || (expects && length > limit)) {
        return Err(too_large(limit));
    }
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or_default().min(limit).min(64 << 10));
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|e| Problem::new(StatusCode::BAD_REQUEST, "malformed", format!("the body broke off: {e}")))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > drained {
            break;
        }
        if seen <= limit {
            bytes.extend_from_slice(&data);
        } else {
            bytes.clear();
        }
    }
    if seen > limit { Err(too_large(limit)) } else { Ok(bytes.freeze()) }
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is larger than {limit} bytes: send less at a time");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
}

/// The media type without its parameters, lower-cased.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Reads a JSON object; `None` if there is no body at all. Texts below the pointer `each_alone` are not looked at.
///
/// # Errors
/// 415 for another media type, 413, 400 for what is no JSON, 422 for JSON that is no object or holds control characters.
pub async fn read_object(
    headers: &HeaderMap,
    body: Body,
    types: &[&str],
    each_alone: Option<&str>,
) -> Result<Option<Map<String, Value>>, Problem> {
    let bytes = read(headers, body, LIMIT).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let given = media_type(headers);
    if !given.as_deref().is_some_and(|given| types.contains(&given)) {
        let given = given.unwrap_or_else(|| "nothing".to_owned());
        let detail = format!("the Content-Type says {given}: send {}", types.join(" or "));
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    let value = serde_json::from_slice::<Value>(&bytes)
        .map_err(|e| Problem::new(StatusCode::BAD_REQUEST, "malformed_json", format!("the body is no JSON: {e}")))?;
    refuse_control(&value, each_alone)?;
    match value {
        Value::Object(object) => Ok(Some(object)),
        _ => Err(Problem::member("", "invalid", "the body must be a JSON object")),
    }
}

/// What reads JSON bodies.
pub const JSON: &[&str] = &["application/json"];
/// What reads merge patches (RFC 7396).
pub const MERGE_PATCH: &[&str] = &["application/merge-patch+json", "application/json"];

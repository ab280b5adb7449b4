//! Files: uploads raw or as multipart/form-data (RFC 7578), downloads whole or in part (RFC 9110, 14). What strangers sent
//! is never shown as part of our own pages.

use std::ops::Range;

use axum::{
    body::Body,
    extract::{FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dealwright::{
    id::MediaId,
    operation,
    services::media::{MAX_BYTES, MediaView, NewMedia},
};
use futures::TryStreamExt;
use serde_json::json;

use super::{ShellRoute, schema};
use crate::{body, in_flight, problem::Problem, query, route::Verb, state::Shared};

/// The operation behind uploads.
const NAME: &str = "media.upload";
/// What a multipart body may have beside the file itself: boundaries and headers.
const WRAPPING: usize = 64 << 10;

/// Types that browsers show without running anything; all others are saved.
const SHOWN: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp", "audio/mpeg", "video/mp4"];

const POLICY: &str = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox";

pub(super) const UPLOAD: ShellRoute = ShellRoute {
    method: Verb::Post,
    path: "/api/media",
    name: NAME,
    doc: "Keeps a file of at most 25 MiB, to be sent with messages: raw (its name in `?name=`) or as multipart/form-data.",
    stands_for: &["media.upload"],
    status: 201,
    cost: 5,
    signed_in: true,
    query: &[("name", "string", "The file's name, for a raw upload")],
    input: None,
    output: schema!(MediaView),
    media_type: None,
    uploads: &["application/octet-stream", "multipart/form-data"],
    problems: &[400, 401, 403, 409, 413, 415, 422, 429, 500, 503],
    handler: |shared, request| Box::pin(upload(shared, request)),
};

pub(super) const DOWNLOAD: ShellRoute = ShellRoute {
    method: Verb::Get,
    path: "/api/media/{id}",
    name: "media.download",
    doc: "Answers a file's bytes, or those of a `Range`.",
    stands_for: &["media.download"],
    status: 200,
    cost: 1,
    signed_in: true,
    query: &[],
    input: None,
    output: None,
    media_type: Some("*/*"),
    uploads: &[],
    problems: &[401, 403, 404, 416, 429, 500, 503],
    handler: |shared, request| Box::pin(download(shared, request)),
};

async fn upload(shared: Shared, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let scope = shared.scope(&parts.extensions)?;
    let key = in_flight::key(&parts.headers)?;
    let new = match body::media_type(&parts.headers).as_deref() {
        Some("multipart/form-data") => multipart(&parts, body).await?,
        _ => raw(&parts, body).await?,
    };
    let handle = shared.crm().with_scope(scope);
    let (view, replayed) = match (key, operation(NAME)) {
        (Some(key), Some(upload)) => {
            let _place = shared.in_flight().enter(handle.scope(), NAME, &key)?;
            let answer = handle.with_idempotency_key(key).answer(upload, json!(new)).await?;
            (answer.value, answer.replayed)
        }
        _ => (json!(handle.media().upload(new).await?), false),
    };
    let location = format!("/api/media/{}", view.get("id").and_then(|id| id.as_str()).unwrap_or_default());
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.insert(header::LOCATION, location);
    }
    if replayed {
        headers.insert(in_flight::REPLAYED, HeaderValue::from_static("true"));
    }
    Ok((StatusCode::CREATED, headers, view.to_string()).into_response())
}

async fn raw(parts: &Parts, body: Body) -> Result<NewMedia, Problem> {
    let mut name = None;
    for (parameter, value) in query::pairs(parts.uri.query().unwrap_or_default())? {
        match parameter.as_str() {
            "name" if name.is_none() => name = Some(value),
            "name" => return Err(Problem::parameter("name", "name stands twice: give it once")),
            other => return Err(Problem::parameter(other, format!("{other} is no parameter here; known: name"))),
        }
    }
    let data = body::read(&parts.headers, body, MAX_BYTES).await?;
    Ok(NewMedia { name: name.unwrap_or_else(|| "file".to_owned()), media_type: body::media_type(&parts.headers), data })
}

async fn multipart(parts: &Parts, body: Body) -> Result<NewMedia, Problem> {
    let malformed =
        |e: multer::Error| Problem::new(StatusCode::BAD_REQUEST, "malformed", format!("the form cannot be read: {e}"));
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(content_type).map_err(malformed)?;
    let bytes = body::read(&parts.headers, body, MAX_BYTES + WRAPPING).await?;
    let stream = futures::stream::once(async move { Ok::<Bytes, std::io::Error>(bytes) });
    let mut form = multer::Multipart::new(stream, boundary);
    let mut found = None;
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        let name = field.file_name().map(str::to_owned);
        let (Some(name), None) = (name, &found) else {
            let detail = "the form must hold one file and nothing else";
            return Err(Problem::member("", "invalid", detail));
        };
        let media_type = field.content_type().map(ToString::to_string);
        found = Some(NewMedia { name, media_type, data: field.bytes().await.map_err(malformed)? });
    }
    found.ok_or_else(|| Problem::member("/file", "required", "the form holds no file"))
}

async fn download(shared: Shared, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let scope = shared.scope(&parts.extensions)?;
    let path = RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| Problem::not_found())?;
    let id = path.iter().find_map(|(_, value)| value.parse::<MediaId>().ok()).ok_or_else(Problem::not_found)?;
    let file = shared.crm().with_scope(scope).media().open(id).await?;
    let size = u64::try_from(file.info().size).unwrap_or_default();
    let tag = format!("\"{id}\"");

    let mut headers = HeaderMap::new();
    let mut put = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    put(header::ACCEPT_RANGES, "bytes".to_owned());
    put(header::CONTENT_TYPE, file.info().media_type.clone());
    put(header::CONTENT_DISPOSITION, disposition(&file.info().media_type, &file.info().name));
    // Even where a browser shows it: nothing in it runs, nothing is fetched, no page frames it.
    put(header::CONTENT_SECURITY_POLICY, POLICY.to_owned());
    // A file never changes; who may see it does, so it is asked for anew each time. Signing out has a browser forget it.
    put(header::CACHE_CONTROL, "private, no-cache".to_owned());
    put(header::ETAG, tag.clone());
    if parts.headers.get(header::IF_NONE_MATCH).is_some_and(|it| it.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let same = parts.headers.get(header::IF_RANGE).is_none_or(|it| it.as_bytes() == tag.as_bytes());
    let wanted = parts.headers.get(header::RANGE).filter(|_| same).and_then(|it| it.to_str().ok());
    let range = match wanted.map(|text| range(text, size)) {
        None | Some(Asked::Whole) => None,
        Some(Asked::Part(range)) => Some(range),
        Some(Asked::Nothing) => {
            let detail = format!("the file has {size} bytes: ask for some of these");
            let mut response =
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail).into_response();
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{size}")) {
                response.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            return Ok(response);
        }
    };
    let mut put = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    let status = match &range {
        Some(range) => {
            put(header::CONTENT_LENGTH, (range.end - range.start).to_string());
            put(header::CONTENT_RANGE, format!("bytes {}-{}/{size}", range.start, range.end - 1));
            StatusCode::PARTIAL_CONTENT
        }
        None => {
            put(header::CONTENT_LENGTH, size.to_string());
            StatusCode::OK
        }
    };
    let stream = file.stream(range).await?;
    Ok((status, headers, Body::from_stream(stream.map_err(std::io::Error::other))).into_response())
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// The file: no range of bytes, or several, which nobody needs to answer (RFC 9110, 14.2).
    Whole,
    /// A part.
    Part(Range<u64>),
    /// Bytes that the file does not have.
    Nothing,
}

fn range(text: &str, size: u64) -> Asked {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|it| it.trim().split_once('-')) else {
        return Asked::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let asked = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Asked::Whole,
    };
    if asked.start < asked.end { Asked::Part(asked) } else { Asked::Nothing }
}

/// How the file is offered: its name in ASCII and, if that is not all of it, as RFC 8187 writes it.
fn disposition(media_type: &str, name: &str) -> String {
    let kind = if SHOWN.contains(&media_type) { "inline" } else { "attachment" };
    let plain =
        |c: char| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%' | ';') || c == ' ' { c } else { '_' };
    let ascii: String = name.chars().map(plain).collect();
    if ascii == name {
        return format!("{kind}; filename=\"{ascii}\"");
    }
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
    let encoded: String = name
        .bytes()
        .map(|byte| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_has_them() {
        for (text, expected) in [
            ("bytes=0-4", Asked::Part(0..5)),
            ("bytes=5-", Asked::Part(5..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-30", Asked::Part(0..10)),
            ("bytes=8-99", Asked::Part(8..10)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=4-2", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("lines=1-2", Asked::Whole),
        ] {
            assert_eq!(range(text, 10), expected, "{text}");
        }
    }

    /// ASVS 1.2.1 and 5.4.2.
    #[test]
    fn a_files_name_cannot_break_out_of_its_header() {
        assert_eq!(disposition("image/png", "a.png"), "inline; filename=\"a.png\"");
        assert_eq!(
            disposition("text/html", "Ä\"\r\n;x.html"),
            "attachment; filename=\"_____x.html\"; filename*=UTF-8''%C3%84%22%0D%0A%3Bx.html"
        );
    }
}

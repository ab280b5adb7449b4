//! The audit log as a file: every entry that a filter finds, newest first, page by page, never as a whole in memory.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dealwright::{
    Handle, read_input,
    services::audit::{AuditView, ListAudit},
};
use futures::stream;
use serde::Serialize;
use serde_json::{Map, Value};

use super::ShellRoute;
use crate::{problem::Problem, query, route::Verb, state::Shared};

/// Entries read at once.
const AT_ONCE: u32 = 200;
/// How many calls an export counts as.
const COST: u32 = 10;
/// The columns of the CSV form: members of an entry.
const COLUMNS: &[&str] = &[
    "id",
    "at",
    "actor_kind",
    "actor_id",
    "acts_for",
    "run_id",
    "action",
    "object_kind",
    "object_id",
    "address",
    "user_agent",
    "before",
    "after",
    "details",
    "cleared",
    "seq",
];

pub(super) const EXPORT: ShellRoute = ShellRoute {
    method: Verb::Get,
    path: "/api/audit/export",
    name: "audit.export",
    doc: "Streams the audit log, newest first: one JSON object a line (`format=ndjson`), or `format=csv`, whose cells begin with \
          no character that a spreadsheet takes for a formula's. Needs `audit:read`.",
    stands_for: &["audit.list"],
    status: 200,
    cost: COST,
    signed_in: true,
    query: &[
        ("format", "string", "`ndjson`, which counts if left out, or `csv`"),
        ("actor_id", "string", "by this user, API key, rule or account"),
        ("action", "string", "of this operation"),
        ("object_kind", "string", "about this kind of thing"),
        ("object_id", "string", "about this thing"),
        ("from", "string", "at this instant or later"),
        ("to", "string", "before this instant"),
    ],
    input: None,
    output: None,
    media_type: Some("application/x-ndjson, text/csv; charset=utf-8"),
    uploads: &[],
    problems: &[400, 401, 403, 422, 429, 500, 503],
    handler: |shared, request| Box::pin(export(shared, request)),
};

/// How entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Ndjson,
    Csv,
}

impl Format {
    const fn media_type(self) -> HeaderValue {
        match self {
            Self::Ndjson => HeaderValue::from_static("application/x-ndjson"),
            Self::Csv => HeaderValue::from_static("text/csv; charset=utf-8"),
        }
    }

    const fn disposition(self) -> HeaderValue {
        match self {
            Self::Ndjson => HeaderValue::from_static("attachment; filename=\"audit.ndjson\""),
            Self::Csv => HeaderValue::from_static("attachment; filename=\"audit.csv\""),
        }
    }

    /// What stands before the entries.
    fn head(self) -> String {
        match self {
            Self::Ndjson => String::new(),
            Self::Csv => format!("{}\r\n", COLUMNS.join(",")),
        }
    }

    fn write(self, entries: &[AuditView]) -> serde_json::Result<String> {
        entries.iter().map(|entry| if self == Self::Csv { csv(entry) } else { line(entry) }).collect()
    }
}

async fn export(shared: Shared, request: Request) -> Result<Response, Problem> {
    let scope = shared.scope(request.extensions())?;
    let (format, filter) = asked(request.uri().query().unwrap_or_default())?;
    let handle = shared.crm().with_scope(scope);
    // The first page before the answer begins: what is wrong is told by its status.
    let (first, next) = page(&handle, format, filter).await?;
    let first = Ok::<_, std::io::Error>(Bytes::from(format.head() + &first));
    let rest = stream::try_unfold(next, move |next| {
        let handle = handle.clone();
        async move {
            let Some(filter) = next else { return Ok(None) };
            // Too late for a status: the answer ends before its time, which every client notices.
            let found = page(&handle, format, filter).await;
            found.map(|(text, next)| Some((Bytes::from(text), next))).map_err(|error| {
                tracing::warn!(%error, "an export of the audit log has ended too early");
                std::io::Error::other(error)
            })
        }
    });
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, format.media_type());
    headers.insert(header::CONTENT_DISPOSITION, format.disposition());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let body = Body::from_stream(futures::StreamExt::chain(stream::iter([first]), rest));
    Ok((StatusCode::OK, headers, body).into_response())
}

/// A page as text, and what asks for the next one.
async fn page(
    handle: &Handle,
    format: Format,
    filter: ListAudit,
) -> Result<(String, Option<ListAudit>), dealwright::Error> {
    let found = handle.audit().list(filter.clone()).await?;
    let text = format
        .write(&found.data)
        .map_err(|e| dealwright::Error::internal("an audit entry is no JSON").with_source(e))?;
    let next = found.next_cursor.map(|cursor| ListAudit { cursor: Some(cursor), ..filter });
    Ok((text, next))
}

/// The format and the filter of a query string.
fn asked(text: &str) -> Result<(Format, ListAudit), Problem> {
    let (mut format, mut filter) = (None, Map::new());
    for (name, value) in query::pairs(text)? {
        if format.is_some() && name == "format" || filter.contains_key(&name) {
            return Err(Problem::parameter(&name, format!("{name} stands twice: give it once")));
        }
        if !EXPORT.query.iter().any(|(known, ..)| *known == name) {
            let known = EXPORT.query.iter().map(|(known, ..)| *known).collect::<Vec<_>>().join(", ");
            return Err(Problem::parameter(&name, format!("{name} is no parameter here; known: {known}")));
        }
        match (name.as_str(), value.as_str()) {
            ("format", "ndjson") => format = Some(Format::Ndjson),
            ("format", "csv") => format = Some(Format::Csv),
            ("format", other) => {
                return Err(Problem::parameter("format", format!("format is {other:?}: ndjson or csv is expected")));
            }
            _ => drop(filter.insert(name, Value::from(value))),
        }
    }
    filter.insert("limit".to_owned(), Value::from(AT_ONCE));
    let filter = read_input(Value::Object(filter)).map_err(|error| {
        let pointer = error.fields().first().map(|field| field.pointer.trim_start_matches('/').to_owned());
        Problem::parameter(&pointer.unwrap_or_default(), error.message().to_owned())
    })?;
    Ok((format.unwrap_or(Format::Ndjson), filter))
}

fn line(entry: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string(entry)? + "\n")
}

fn csv(entry: &impl Serialize) -> serde_json::Result<String> {
    let entry = serde_json::to_value(entry)?;
    let cells = COLUMNS.iter().map(|column| match entry.get(column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => cell(text),
        Some(other) => cell(&other.to_string()),
    });
    Ok(cells.collect::<Vec<_>>().join(",") + "\r\n")
}

/// A cell (RFC 4180). An apostrophe before what a spreadsheet would take for a formula makes a text of it (OWASP, CSV
/// Injection; ASVS 5.0, 1.2.10).
fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\0']) { "'" } else { "" };
    if guard.is_empty() && !text.contains(['"', ',', '\r', '\n']) {
        return text.to_owned();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 1.2.10.
    #[test]
    fn no_cell_is_a_formula_or_breaks_out() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("=1+1", "\"'=1+1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("-1", "\"'-1\""),
            ("a,b", "\"a,b\""),
            ("a\"b\r\nc", "\"a\"\"b\r\nc\""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn every_member_of_an_entry_is_a_column() {
        let schema = schemars::schema_for!(AuditView).to_value();
        let mut members: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut columns = COLUMNS.to_vec();
        members.sort_unstable();
        columns.sort_unstable();
        assert_eq!(members, columns);
    }

    #[test]
    fn a_wrong_filter_is_named() {
        for (query, name) in [
            ("format=xml", "format"),
            ("limit=1", "limit"),
            ("actor_id=una", "actor_id"),
            ("from=yesterday", "from"),
            ("object_kind=rocket", "object_kind"),
            ("action=a&action=b", "action"),
        ] {
            let problem = asked(query).unwrap_err();
            assert!(format!("{problem:?}").contains(name), "{query}: {problem:?}");
        }
        let (format, filter) = asked("format=csv&action=auth.sign_in&from=2026-11-22T00:00:00Z").unwrap();
        assert_eq!((format, filter.action.as_deref(), filter.limit), (Format::Csv, Some("auth.sign_in"), Some(200)));
    }
}

//! Everything that is held about one person, as one JSON document: written part by part, never as a whole in memory.

use axum::{
    body::Body,
    extract::{FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dealwright::{
    Error, Handle,
    id::ContactId,
    services::privacy::{ContactExport, ExportContact, Section},
};
use futures::{StreamExt, stream};
use serde_json::json;

use super::ShellRoute;
use crate::{problem::Problem, route::Verb, state::Shared};

/// How many calls an export counts as.
const COST: u32 = 20;

pub(super) const EXPORT: ShellRoute = ShellRoute {
    method: Verb::Get,
    path: "/api/crm/clients/{id}/export",
    name: "contacts.download",
    doc: "Streams everything that is held about a contact and their deals, deleted or not, as one JSON document: a member for \
          each section, of which `contact` is an object and every other one a list; messages of private accounts too. The \
          audit log tells who asked. Needs `privacy:read`.",
    stands_for: &["contacts.export"],
    status: 200,
    cost: COST,
    signed_in: true,
    query: &[],
    input: None,
    output: None,
    media_type: Some("application/json"),
    uploads: &[],
    problems: &[400, 401, 403, 404, 429, 500, 503],
    handler: |shared, request| Box::pin(export(shared, request)),
};

/// The document so far: which of its members is open.
#[derive(Debug, Clone, Copy)]
struct Document {
    open: Option<Section>,
    /// Whether the open list has an item.
    items: bool,
}

impl Document {
    /// What a part adds, and what ends the document after the last one.
    fn write(&mut self, part: &ContactExport) -> serde_json::Result<String> {
        let mut text = String::new();
        if self.open != Some(part.section) {
            text.push_str(if self.open.is_some_and(is_list) { "]," } else { "," });
            text.push_str(&format!("\n\"{}\":", part.section));
            if is_list(part.section) {
                text.push('[');
            }
            *self = Self { open: Some(part.section), items: false };
        }
        for item in &part.data {
            text.push_str(match (is_list(part.section), std::mem::replace(&mut self.items, true)) {
                (false, _) => "",
                (true, false) => "\n",
                (true, true) => ",\n",
            });
            text.push_str(&serde_json::to_string(item)?);
        }
        if part.next_cursor.is_none() {
            text.push_str(if is_list(part.section) { "]}\n" } else { "}\n" });
        }
        Ok(text)
    }
}

fn is_list(section: Section) -> bool {
    section != Section::Contact
}

async fn export(shared: Shared, request: Request) -> Result<Response, Problem> {
    let scope = shared.scope(request.extensions())?;
    let (mut parts, _) = request.into_parts();
    let path = RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| Problem::not_found())?;
    let id = path.iter().find_map(|(_, value)| value.parse::<ContactId>().ok()).ok_or_else(Problem::not_found)?;
    let handle = shared.crm().with_scope(scope);
    let at = shared.crm().env().now();
    let mut document = Document { open: None, items: false };
    // The first part before the answer begins: what is wrong is told by its status.
    let first = handle.contacts().export(ExportContact { id, cursor: None }).await?;
    let text = document.write(&first).map_err(no_json)?;
    let head = format!("{{\"format\":\"dealwright person 1\",\"exported_at\":{}", json!(at));
    let first_text = Ok::<_, std::io::Error>(Bytes::from(head + &text));
    let rest = stream::try_unfold((first.next_cursor, document), move |(cursor, document)| {
        let handle = handle.clone();
        async move {
            let Some(cursor) = cursor else { return Ok(None) };
            // Too late for a status: the answer ends before its time, which every client notices.
            let found = next(&handle, ExportContact { id, cursor: Some(cursor) }, document).await;
            found.map(Some).map_err(|error| {
                tracing::warn!(%error, "an export of a person has ended too early");
                std::io::Error::other(error)
            })
        }
    });
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"person.json\""));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let body = Body::from_stream(stream::iter([first_text]).chain(rest));
    Ok((StatusCode::OK, headers, body).into_response())
}

type Rest = (Option<String>, Document);

async fn next(handle: &Handle, wanted: ExportContact, mut document: Document) -> Result<(Bytes, Rest), Error> {
    let part = handle.contacts().export(wanted).await?;
    let text = document.write(&part).map_err(no_json)?;
    Ok((Bytes::from(text), (part.next_cursor, document)))
}

fn no_json(error: serde_json::Error) -> Error {
    Error::internal("what is held about somebody is no JSON").with_source(error)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    fn part(section: Section, items: &[i64], more: bool) -> ContactExport {
        let item = |n: &i64| Map::from_iter([("n".to_owned(), Value::from(*n))]);
        let next_cursor = more.then(|| "x".to_owned());
        ContactExport { section, data: items.iter().map(item).collect(), next_cursor }
    }

    #[test]
    fn the_parts_make_one_document() {
        let parts = [
            part(Section::Contact, &[1], true),
            part(Section::Deals, &[], true),
            part(Section::Notes, &[], true),
            part(Section::Notes, &[2, 3], true),
            part(Section::Notes, &[4], true),
            part(Section::Audit, &[], false),
        ];
        let mut document = Document { open: None, items: false };
        let text: String = parts.iter().map(|part| document.write(part).unwrap()).collect();
        let found: Value = serde_json::from_str(&format!("{{\"format\":0{text}")).unwrap();
        let notes = json!([{ "n": 2 }, { "n": 3 }, { "n": 4 }]);
        assert_eq!(found, json!({ "format": 0, "contact": { "n": 1 }, "deals": [], "notes": notes, "audit": [] }));
    }
}

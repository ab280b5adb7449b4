//! The OpenAPI 3.1 document.

use std::sync::Arc;

use dealwright::{
    OutputKind,
    page::{DEFAULT_LIMIT, MAX_LIMIT},
};
use serde_json::{Map, Value, json};

use super::{Catalogue, example::example, links};
use crate::{
    door::Bound,
    parameters::{self, Kind, Schemas},
    route::{Body, IF_VERSION, Verb},
    shell::{SHELL_ROUTES, ShellRoute},
};

const ABOUT: &str = "An embeddable CRM for business development.\n\n\
Lists answer `{data, next_cursor}`; `cursor` asks for the next page. `PATCH` is JSON Merge Patch (RFC 7396). \
Every `POST` but those under `/api/auth` accepts `Idempotency-Key`: the same key and body within 24 hours get the first \
good answer again (of a search too, however the rows have changed since), with `Idempotency-Replayed: true`. Errors are problem documents (RFC 9457) whose `code` is stable. \
Every answer carries `X-Request-Id`; a request may bring its own.\n\n\
Calls are counted: by user and organisation where a credential counts, else by address. `RateLimit` tells what is left \
(`r`) and in how many seconds at most all of it is back (`t`), `RateLimit-Policy` how much comes back (`q`) in which window \
(`w`). Who asks more often gets 429 `rate_limited`, with `Retry-After`.";

/// `*` or one entity tag (RFC 9110, 8.8.3).
const ENTITY_TAG: &str = r#"^(\*|(W/)?"[!#-~]*")$"#;

/// Makes the document.
pub fn document(catalogue: &Catalogue, bound: &[Arc<Bound>]) -> Value {
    let mut paths = Map::new();
    for bound in bound {
        put(&mut paths, bound.route().path, bound.route().method, operation(catalogue, bound));
    }
    for route in SHELL_ROUTES {
        put(&mut paths, route.path, route.method, shell(catalogue, route));
    }
    links::add(&mut paths, catalogue.schemas());
    let mut schemas = catalogue.components.clone();
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Dealwright", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"access_token": []}, {"api_key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "access_token": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "The access token of a sign-in. It counts for 15 minutes.",
                },
                "api_key": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "dw_…",
                    "description": "The secret of an API key. It may do what its scopes say.",
                },
            },
            "responses": {"Problem": {
                "description": "What went wrong",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }},
        },
    })
}

fn put(paths: &mut Map<String, Value>, path: &str, verb: Verb, operation: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    if let Some(item) = item.as_object_mut() {
        item.insert(verb.method().as_str().to_ascii_lowercase(), operation);
    }
}

fn problem() -> Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457). Some codes carry further members, for example `candidates`.",
        "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
        "properties": {
            "type": text("Always `about:blank`"),
            "title": text("The name of the status"),
            "status": {"type": "integer", "description": "The status"},
            "detail": text("What went wrong and what to do"),
            "code": text("Stable and machine-readable"),
            "request_id": text("The id under which the log knows this call"),
            "errors": {"type": "array", "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": text("JSON pointer (RFC 6901) to the wrong member, or the name of the wrong parameter"),
                    "code": text("Stable and machine-readable"),
                    "detail": text("What is wrong with the value and what to do"),
                },
            }},
        },
    })
}

fn operation(catalogue: &Catalogue, bound: &Bound) -> Value {
    let (route, operation) = (bound.route(), bound.operation());
    let schemas = catalogue.schemas();
    let input = catalogue.inputs.get(operation.name).unwrap_or(&Value::Null);
    let mut parameters: Vec<Value> = route
        .path_members()
        .map(|name| {
            let schema = match parameters::is_text(input, name, schemas) {
                true => json!({"type": "string", "minLength": 1}),
                false => json!({"type": "string", "format": "uuid"}),
            };
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect();
    // Parameters of any name (`custom.size`) cannot be declared; the operation's description tells of them.
    parameters.extend(bound.parameters().iter().filter(|it| it.kind != Kind::Open).map(|it| {
        let about = it.schema.get("description").cloned().unwrap_or_default();
        let mut schema = without_null(schemas.resolve(&it.schema).clone());
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("description");
            if it.name == "limit" {
                // The bounds of every list (dealwright::page).
                schema.extend([
                    ("minimum".to_owned(), json!(1)),
                    ("maximum".to_owned(), json!(MAX_LIMIT)),
                    ("default".to_owned(), json!(DEFAULT_LIMIT)),
                ]);
            }
        }
        json!({"name": it.name, "in": "query", "required": it.required, "description": about, "schema": schema})
    }));
    let header = |name: &str, about: &str, schema: Value| json!({"name": name, "in": "header", "description": about, "schema": schema});
    if route.if_match {
        let about = "The `ETag` of the state that was edited; another state is refused with 412";
        parameters.push(header("If-Match", about, json!({"type": "string", "pattern": ENTITY_TAG})));
    }
    if route.method == Verb::Post {
        parameters.push(idempotency_key());
    }

    let output = catalogue.outputs.get(operation.name).cloned().unwrap_or_default();
    let mut good = json!({"description": "Done"});
    let status = if operation.output_kind == OutputKind::Empty { 204 } else { route.status };
    if status != 204 {
        good = json!({"description": "The answer", "content": {"application/json": {"schema": output}}});
        let versioned = schemas.members(catalogue.outputs.get(operation.name).unwrap_or(&Value::Null));
        let mut headers = Map::new();
        if versioned.into_iter().any(|(name, _)| name == "version") {
            headers.insert("ETag".to_owned(), json!({"schema": {"type": "string"}, "description": "The version"}));
        }
        if route.location.is_some() {
            let about = "Where the new object is found";
            headers.insert("Location".to_owned(), json!({"schema": {"type": "string"}, "description": about}));
        }
        if let Some(good) = good.as_object_mut()
            && !headers.is_empty()
        {
            good.insert("headers".to_owned(), Value::Object(headers));
        }
    }
    let has_body = route.body != Body::None;
    let mut statuses = vec![400, 401, 403, 404, 413, 415, 422, 429, 500, 503];
    if route.method != Verb::Get {
        statuses.push(409);
    }
    if route.if_match {
        statuses.push(412);
    }
    let (summary, description) = operation.doc.trim().split_once('\n').unwrap_or((operation.doc.trim(), ""));
    let mut document = json!({
        "operationId": route.also.unwrap_or(operation.name),
        "tags": [operation.name.split('.').next()],
        "summary": summary.trim(),
        "description": format!("{}\n\nNeeds the permission `{}`.{}", description.trim(), operation.permission, counts_as(route.cost)).trim(),
        "parameters": parameters,
        "responses": responses(status, good, &statuses),
    });
    if has_body && let Some(document) = document.as_object_mut() {
        document.insert("requestBody".to_owned(), request_body(bound, input, schemas));
    }
    document
}

/// What a call costs of its caller's rate limit, where that is not one.
fn counts_as(cost: u32) -> String {
    if cost == 1 { String::new() } else { format!(" Counts as {cost} calls.") }
}

/// A parameter is there or not; it is never `null`.
fn without_null(mut schema: Value) -> Value {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|it| it != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("type".to_owned(), only);
            }
        }
    }
    schema
}

fn request_body(bound: &Bound, input: &Value, schemas: Schemas<'_>) -> Value {
    let route = bound.route();
    let (schema, required) = match route.body {
        Body::Under(member) => {
            let found = schemas.members(input).find(|(name, _)| *name == member);
            (found.map(|(_, schema)| schema.clone()).unwrap_or_default(), true)
        }
        Body::Whole | Body::None => whole_body(bound, input, schemas),
    };
    let mut media = json!({"schema": schema});
    if let (Some(media), Some(example)) = (media.as_object_mut(), example(&schema, schemas)) {
        media.insert("example".to_owned(), example);
    }
    let mut content = Map::new();
    if route.method == Verb::Patch {
        content.insert("application/merge-patch+json".to_owned(), media.clone());
    }
    content.insert("application/json".to_owned(), media);
    json!({"required": required, "content": content})
}

/// The input without what comes from elsewhere; whether anything of it is needed.
fn whole_body(bound: &Bound, input: &Value, schemas: Schemas<'_>) -> (Value, bool) {
    let route = bound.route();
    let elsewhere = |name: &str| {
        (route.if_match && name == IF_VERSION)
            || route.path_members().any(|it| it == name)
            || (route.in_query.contains(&name) && !route.anywhere)
    };
    let object = schemas.resolve(input);
    let required: Vec<&str> = object
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|name| !elsewhere(name))
        .collect();
    if !schemas.members(input).any(|(name, _)| elsewhere(name)) {
        return (input.clone(), !required.is_empty());
    }
    let mut object = object.clone();
    if let Some(object) = object.as_object_mut() {
        if let Some(Value::Object(properties)) = object.get_mut("properties") {
            properties.retain(|name, _| !elsewhere(name));
        }
        object.insert("required".to_owned(), json!(required));
    }
    (object, !required.is_empty())
}

fn responses(status: u16, good: Value, problems: &[u16]) -> Value {
    let mut all = Map::new();
    all.insert(status.to_string(), good);
    for status in problems {
        all.insert(status.to_string(), json!({"$ref": "#/components/responses/Problem"}));
    }
    Value::Object(all)
}

fn idempotency_key() -> Value {
    let schema = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
    let about = "Makes a repeated call the same call, for 24 hours";
    json!({"name": "Idempotency-Key", "in": "header", "description": about, "schema": schema})
}

fn shell(catalogue: &Catalogue, route: &ShellRoute) -> Value {
    let mut parameters = route.parameters();
    if route.method == Verb::Post && !route.path.starts_with("/api/auth/") {
        parameters.push(idempotency_key());
    }
    let mut document = json!({
        "operationId": route.name,
        "tags": [route.name.split('.').next()],
        "summary": route.doc,
        "parameters": parameters,
    });
    let Some(object) = document.as_object_mut() else { return document };
    if !route.signed_in {
        object.insert("security".to_owned(), json!([]));
    }
    let schemas = catalogue.schemas();
    if let Some(schema) = catalogue.inputs.get(route.name).filter(|_| route.input.is_some()) {
        let mut media = json!({"schema": schema});
        if let (Some(media), Some(example)) = (media.as_object_mut(), example(schema, schemas)) {
            media.insert("example".to_owned(), example);
        }
        object.insert("requestBody".to_owned(), json!({"required": true, "content": {"application/json": media}}));
    } else if let Some(content) = route.upload() {
        object.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    let output = catalogue.outputs.get(route.name).filter(|_| route.output.is_some());
    let good = match (output, route.media_type) {
        (Some(schema), _) => json!({"description": "The answer", "content": {"application/json": {"schema": schema}}}),
        (None, Some(media_types)) => {
            let content: Map<String, Value> =
                media_types.split(", ").map(|media_type| (media_type.to_owned(), json!({}))).collect();
            json!({"description": "The answer", "content": content})
        }
        (None, None) => json!({"description": "Done"}),
    };
    object.insert("responses".to_owned(), responses(route.status, good, route.problems));
    document
}

//! The handler of every route of the table: gathers the operation's input from path, query, headers and body, calls, and
//! puts the answer into HTTP. Decides nothing about what it carries.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dealwright::{Effect, Operation, OutputKind, operation};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    body::{JSON, MERGE_PATCH, read_object},
    in_flight,
    openapi::Catalogue,
    parameters::{self, Parameter},
    problem::Problem,
    query,
    route::{Body, IF_VERSION, Route, Verb},
    state::Shared,
};

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A route with the operation that it reaches.
#[derive(Debug)]
pub struct Bound {
    route: &'static Route,
    operation: &'static Operation,
    parameters: Vec<Parameter>,
    input: Input,
    /// Members of the path that are no ids.
    texts: Vec<&'static str>,
}

/// What an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// Nothing at all.
    Nothing,
    /// The one thing that the path names.
    PathMember,
    /// An object.
    Object,
}

impl Bound {
    /// Binds a route, unless there is no such operation.
    pub fn new(route: &'static Route, catalogue: &Catalogue) -> Option<Self> {
        let operation = operation(route.operation)?;
        let input = catalogue.inputs.get(operation.name)?;
        let parameters = parameters::of(route, input, catalogue.schemas());
        let texts = route.path_members().filter(|name| parameters::is_text(input, name, catalogue.schemas())).collect();
        let input = match input.get("type").and_then(Value::as_str) {
            Some("null") => Input::Nothing,
            Some("string") => Input::PathMember,
            _ => Input::Object,
        };
        Some(Self { route, operation, parameters, input, texts })
    }

    /// The line of the table.
    pub fn route(&self) -> &'static Route {
        self.route
    }

    /// The operation.
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// The parameters of its query.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Answers a request.
    pub async fn answer(self: Arc<Self>, shared: Shared, request: Request) -> Response {
        self.try_answer(shared, request).await.unwrap_or_else(IntoResponse::into_response)
    }

    async fn try_answer(&self, shared: Shared, request: Request) -> Result<Response, Problem> {
        let (mut parts, body) = request.into_parts();
        let scope = shared.scope(&parts.extensions)?;

        let mut input = Map::new();
        let path = RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| Problem::not_found())?;
        for (name, value) in &path {
            if self.texts.contains(&name) {
                input.insert(name.to_owned(), Value::from(value));
                continue;
            }
            // Every id is a UUID: what is none names nothing.
            let id = Uuid::try_parse(value).map_err(|_| Problem::not_found())?;
            input.insert(name.to_owned(), Value::from(id.to_string()));
        }
        parameters::read(&self.parameters, query::pairs(parts.uri.query().unwrap_or_default())?, &mut input)?;
        if self.route.if_match
            && let Some(version) = if_version(&parts.headers)?
        {
            input.insert(IF_VERSION.to_owned(), Value::from(version));
        }
        let types = if self.route.method == Verb::Patch { MERGE_PATCH } else { JSON };
        let body = read_object(&parts.headers, body, types, self.route.each_alone.then_some("/items")).await?;
        if body.is_none() && matches!(self.route.body, Body::Under(_)) {
            let detail = "the body is empty: send a JSON object";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail));
        }
        self.take_body(body.unwrap_or_default(), &mut input)?;
        let input = match self.input {
            Input::Nothing => Value::Null,
            Input::PathMember => input.into_iter().next().map(|(_, id)| id).unwrap_or_default(),
            Input::Object => Value::Object(input),
        };

        let mut handle = shared.crm().with_scope(scope);
        let mut _place = None;
        if self.route.method == Verb::Post
            && let Some(key) = in_flight::key(&parts.headers)?
        {
            _place = Some(shared.in_flight().enter(handle.scope(), self.operation.name, &key)?);
            handle = handle.with_idempotency_key(key);
        }
        let problem = |error| Problem::from(error).relocate(|pointer| self.relocate(pointer));
        // A page has neither a place nor a version: it goes out as it is written.
        let kept = handle.scope().idempotency_key.is_some();
        if self.operation.effect == Effect::Query && self.operation.output_kind == OutputKind::Page && !kept {
            let text = handle.text(self.operation, input).await.map_err(problem)?;
            return Ok((self.status(), [(header::CONTENT_TYPE, APPLICATION_JSON)], text).into_response());
        }
        let answer = handle.answer(self.operation, input).await.map_err(problem)?;
        Ok(self.respond(&parts.headers, answer.value, answer.replayed))
    }

    fn take_body(&self, body: Map<String, Value>, input: &mut Map<String, Value>) -> Result<(), Problem> {
        match self.route.body {
            Body::Under(member) => {
                input.insert(member.to_owned(), Value::Object(body));
            }
            Body::Whole | Body::None => {
                for (name, value) in body {
                    let elsewhere = self.route.body == Body::None
                        || name == IF_VERSION
                        || self.route.path_members().any(|it| it == name)
                        // What may stand in either stands in one.
                        || (input.contains_key(&name) || !self.route.anywhere)
                            && self.parameters.iter().any(|it| it.path.first() == Some(&name));
                    if elsewhere || self.input != Input::Object {
                        let detail = format!("unknown field `{name}`");
                        return Err(Problem::member(format!("/{name}"), "unknown", detail));
                    }
                    input.insert(name, value);
                }
            }
        }
        Ok(())
    }

    /// Where the caller put the member that an error points to, and whether that is the query.
    fn relocate(&self, pointer: &str) -> Option<(String, bool)> {
        if let Body::Under(member) = self.route.body {
            let rest = pointer.strip_prefix('/')?.strip_prefix(member)?;
            return (rest.is_empty() || rest.starts_with('/')).then(|| (rest.to_owned(), false));
        }
        if self.route.anywhere {
            return None;
        }
        let steps: Vec<&str> = pointer.split('/').skip(1).collect();
        let parameter = self
            .parameters
            .iter()
            .find(|it| steps.starts_with(&it.path.iter().map(String::as_str).collect::<Vec<_>>()))?;
        let name = parameter.name_of(steps.get(parameter.path.len()..).unwrap_or_default());
        Some((format!("/{name}"), true))
    }

    fn respond(&self, request: &HeaderMap, value: Value, replayed: bool) -> Response {
        let mut headers = HeaderMap::new();
        if replayed {
            headers.insert(in_flight::REPLAYED, HeaderValue::from_static("true"));
        }
        if self.operation.output_kind == OutputKind::Empty {
            return (StatusCode::NO_CONTENT, headers).into_response();
        }
        if let Some(location) = self.location(&value) {
            headers.insert(header::LOCATION, location);
        }
        if let Some(tag) = entity_tag(&value) {
            if self.route.method == Verb::Get && request.get(header::IF_NONE_MATCH) == Some(&tag) {
                headers.insert(header::ETAG, tag);
                return (StatusCode::NOT_MODIFIED, headers).into_response();
            }
            headers.insert(header::ETAG, tag);
        }
        headers.insert(header::CONTENT_TYPE, APPLICATION_JSON);
        (self.status(), headers, value.to_string()).into_response()
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.route.status).unwrap_or(StatusCode::OK)
    }

    fn location(&self, value: &Value) -> Option<HeaderValue> {
        let template = self.route.location?;
        // An answer that wraps what it made (`{account, next}`) names it first.
        let id = value.get("id").or_else(|| value.as_object()?.values().find_map(|it| it.get("id")))?;
        HeaderValue::from_str(&template.replace("{id}", id.as_str()?)).ok()
    }
}

/// The entity tag of a single object with a version.
fn entity_tag(value: &Value) -> Option<HeaderValue> {
    let version = value.get("version")?.as_i64()?;
    HeaderValue::from_str(&format!("\"{version}\"")).ok()
}

/// The version that `If-Match` wants (RFC 9110, 13.1.1).
fn if_version(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let mut all = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if all.next().is_some() || text.contains(',') {
        let detail = "If-Match names several entity tags: send the one of the state that you have seen";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_header", detail));
    }
    if text == "*" {
        return Ok(None);
    }
    let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    if !opaque.is_some_and(|it| it.bytes().all(|byte| byte == b'!' || matches!(byte, b'#'..=b'~'))) {
        let detail =
            format!("If-Match is {text}, which is no entity tag: send the `ETag` of the state that you have seen");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_header", detail));
    }
    // Whether it matches is for the operation to say, after it has looked at the rest of the request (RFC 9110, 13.2.1).
    // A weak tag never does (8.8.3.2), nor does a text that is no number: no version is 0.
    Ok(Some(opaque.filter(|_| !text.starts_with('W')).and_then(|it| it.parse().ok()).unwrap_or_default()))
}

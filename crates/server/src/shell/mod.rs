//! Shell routes: what is no operation of the engine. Signing in, health, the OpenAPI document. A second small table, with
//! its own schemas.

mod audit;
mod auth;
mod contacts;
mod landing;
mod media;
mod oauth;
mod public;

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::{openapi::SchemaOf, problem::Problem, route::Verb, state::Shared};

/// What answers a shell route.
pub type Handler = fn(Shared, Request) -> BoxFuture<'static, Result<Response, Problem>>;

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct ShellRoute {
    /// The method.
    pub method: Verb,
    /// The path.
    pub path: &'static str,
    /// Its name: the operation id in OpenAPI.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub doc: &'static str,
    /// The operations that it stands for.
    pub stands_for: &'static [&'static str],
    /// The status of a good answer.
    pub status: u16,
    /// How many calls it counts as.
    pub cost: u32,
    /// Whether an access token is needed.
    pub signed_in: bool,
    /// Name, type and meaning of its query's parameters.
    pub query: &'static [(&'static str, &'static str, &'static str)],
    /// The JSON that it reads.
    pub input: Option<SchemaOf>,
    /// The JSON that it answers.
    pub output: Option<SchemaOf>,
    /// The media types of an answer that is not JSON, with a comma between.
    pub media_type: Option<&'static str>,
    /// What it reads that is not JSON: media types.
    pub uploads: &'static [&'static str],
    /// The statuses of its problems.
    pub problems: &'static [u16],
    /// What answers.
    pub handler: Handler,
}

/// Every shell route.
pub const SHELL_ROUTES: &[ShellRoute] = &[
    auth::SIGN_UP,
    auth::SIGN_IN,
    auth::REFRESH,
    auth::VERIFY,
    auth::SIGN_OUT,
    auth::VERIFY_EMAIL,
    auth::SEND_VERIFICATION,
    auth::FORGOT,
    auth::RESET,
    auth::CHANGE,
    auth::SET_UP_2FA,
    auth::ENABLE_2FA,
    auth::DISABLE_2FA,
    auth::STEP_UP,
    auth::SWITCH,
    auth::ACCEPT,
    auth::TRANSFER,
    oauth::START,
    oauth::CALLBACK,
    oauth::LANDING,
    oauth::SIGN_IN,
    oauth::LINK,
    media::UPLOAD,
    media::DOWNLOAD,
    audit::EXPORT,
    contacts::EXPORT,
    public::HEALTH,
    public::READY,
    public::KEYS,
    public::OPENAPI,
    public::DOCS,
];

impl ShellRoute {
    /// Its parameters, for the OpenAPI document.
    pub fn parameters(&self) -> Vec<Value> {
        let names = self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        let in_path = names.map(|name| {
            let schema = match name {
                "id" => json!({"type": "string", "format": "uuid"}),
                _ => json!({"type": "string", "minLength": 1}),
            };
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        });
        let in_query = self.query.iter().map(|(name, kind, about)| {
            json!({"name": name, "in": "query", "required": false, "description": about, "schema": {"type": kind}})
        });
        in_path.chain(in_query).collect()
    }

    /// What it reads that is not JSON, for the OpenAPI document.
    pub fn upload(&self) -> Option<Value> {
        let media = |name: &&str| ((*name).to_owned(), json!({"schema": {"type": "string", "format": "binary"}}));
        (!self.uploads.is_empty()).then(|| Value::Object(self.uploads.iter().map(media).collect()))
    }

    /// Answers a request.
    pub async fn answer(&'static self, shared: Shared, request: Request) -> Response {
        (self.handler)(shared, request).await.unwrap_or_else(IntoResponse::into_response)
    }
}

/// The schema of a type, for the table.
macro_rules! schema {
    ($type:ty) => {
        Some(|generator| generator.subschema_for::<$type>())
    };
}
use schema;

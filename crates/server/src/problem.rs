//! Errors as RFC 9457 problem documents. A 5xx never carries internals: they go to the log under the request's id.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dealwright::{Error, ErrorKind, error::FieldError};
use serde_json::{Map, Value, json};

/// An answer that says what went wrong. The frame around all routes writes its body, with the request's id.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    fields: Vec<FieldError>,
    details: Map<String, Value>,
    retry_after: Option<u64>,
    headers: Vec<(HeaderName, HeaderValue)>,
    challenge: bool,
    /// For the log only.
    internal: Option<String>,
}

impl Problem {
    /// A problem that only the door knows.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status,
            code: Cow::Borrowed(code),
            detail: detail.into(),
            fields: Vec::new(),
            details: Map::new(),
            retry_after: None,
            headers: Vec::new(),
            challenge: status == StatusCode::UNAUTHORIZED,
            internal: None,
        }))
    }

    /// A wrong parameter of the query.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", detail.clone());
        let pointer = format!("/{name}");
        problem.0.fields.push(FieldError { pointer, code: Cow::Borrowed("invalid"), detail });
        problem
    }

    /// A wrong member of the body.
    pub fn member(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Error::invalid(pointer, code, detail).into()
    }

    /// No such thing, whatever it is.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address")
    }

    /// A defect.
    pub fn internal(why: impl Into<String>) -> Self {
        Error::internal(why).into()
    }

    /// Moves each pointer to where the caller has put the member; `None` leaves it. The second half of the answer says
    /// that the member is a parameter of the query: if all are, the problem is a wrong parameter.
    #[must_use]
    pub fn relocate(mut self, place: impl Fn(&str) -> Option<(String, bool)>) -> Self {
        let mut parameters = 0;
        for field in &mut self.0.fields {
            if let Some((pointer, is_parameter)) = place(&field.pointer) {
                field.pointer = pointer;
                parameters += usize::from(is_parameter);
            }
        }
        let all = parameters > 0 && parameters == self.0.fields.len();
        if all && self.0.status == StatusCode::UNPROCESSABLE_ENTITY {
            self.0.status = StatusCode::BAD_REQUEST;
            if self.0.code == ErrorKind::Invalid.code() {
                self.0.code = Cow::Borrowed("invalid_parameter");
            }
        }
        self
    }

    /// Says in how many seconds a new try makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Adds headers to its answer.
    #[must_use]
    pub fn with_headers(mut self, headers: impl IntoIterator<Item = (HeaderName, Option<HeaderValue>)>) -> Self {
        self.0.headers.extend(headers.into_iter().filter_map(|(name, value)| Some((name, value?))));
        self
    }

    /// Whether it says that the caller shows nothing that counts.
    pub fn is_of_the_caller(&self) -> bool {
        self.0.status.is_client_error()
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The sentence for the reader who must act.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What only the log may know.
    pub fn for_the_log(&self) -> Option<&str> {
        self.0.internal.as_deref()
    }

    /// The document.
    pub fn document(&self, request_id: &str) -> Value {
        let Inner { status, code, detail, fields, details, .. } = &*self.0;
        let mut document = details.clone();
        document.extend([
            ("type".to_owned(), json!("about:blank")),
            ("title".to_owned(), json!(status.canonical_reason().unwrap_or("Error"))),
            ("status".to_owned(), json!(status.as_u16())),
            ("detail".to_owned(), json!(detail)),
            ("code".to_owned(), json!(code)),
            ("request_id".to_owned(), json!(request_id)),
            ("errors".to_owned(), json!(fields)),
        ]);
        Value::Object(document)
    }

    /// Writes the document into an answer that carries this problem; its headers stay.
    pub fn write(&self, request_id: &str, response: &mut Response) {
        let Inner { status, retry_after, headers: own, challenge, .. } = &*self.0;
        let text = self.document(request_id).to_string();
        *response.status_mut() = *status;
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
        }
        for (name, value) in own {
            headers.append(name, value.clone());
        }
        if *challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        *response.body_mut() = Body::from(text);
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = StatusCode::from_u16(error.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let internal = matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable);
        let detail = match error.kind() {
            ErrorKind::Internal => "something went wrong on our side; the request id helps to find out what".to_owned(),
            ErrorKind::Unavailable => "this cannot be answered at the moment: try again a little later".to_owned(),
            _ => error.message().to_owned(),
        };
        let details = match error.details() {
            Some(Value::Object(details)) if !internal => details.clone(),
            _ => Map::new(),
        };
        let retry_after = match (error.retry_after(), error.kind()) {
            (Some(after), _) => Some(after.as_secs().max(1)),
            (None, ErrorKind::Unavailable | ErrorKind::RateLimited) => Some(1),
            (None, _) => None,
        };
        Self(Box::new(Inner {
            status,
            code: Cow::Owned(error.code().to_owned()),
            detail,
            fields: if internal { Vec::new() } else { error.fields().to_vec() },
            details,
            retry_after,
            headers: Vec::new(),
            challenge: error.kind() == ErrorKind::Unauthenticated,
            internal: internal.then(|| error.to_string()),
        }))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 16.3.4 and 16.5.1.
    #[test]
    fn a_defect_is_logged_and_not_told() {
        let problem = Problem::from(Error::internal("password of the database is hunter2"));
        assert!(problem.for_the_log().unwrap().contains("hunter2"));
        let document = problem.document("r1").to_string();
        assert!(!document.contains("hunter2"), "{document}");
        assert!(document.contains("\"request_id\":\"r1\""), "{document}");
    }

    #[test]
    fn wrong_members_that_stand_in_the_query_are_wrong_parameters() {
        let problem = Problem::from(Error::invalid("/filter/tag", "invalid", "no"))
            .relocate(|pointer| Some((pointer.replace("/filter", ""), true)));
        assert_eq!((problem.status().as_u16(), problem.code()), (400, "invalid_parameter"));
        assert_eq!(problem.document("r1")["errors"][0]["pointer"], "/tag");
    }
}

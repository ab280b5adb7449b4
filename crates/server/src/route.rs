//! What a line of the route table says: which call reaches which operation, and where each member of its input comes
//! from. Says nothing about deals.

use axum::{http::Method, routing::MethodFilter};

/// The methods of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Looks.
    Get,
    /// Makes or does.
    Post,
    /// Replaces.
    Put,
    /// Edits.
    Patch,
    /// Removes.
    Delete,
}

impl Verb {
    /// As HTTP has it.
    pub const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// As the router has it.
    pub const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// Where the body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// Its members are the input's members.
    Whole,
    /// It is this one member of the input.
    Under(&'static str),
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method.
    pub method: Verb,
    /// The path; `{id}` is the input's member `id`.
    pub path: &'static str,
    /// The operation's name.
    pub operation: &'static str,
    /// The status of a good answer.
    pub status: u16,
    /// How many calls it counts as.
    pub cost: u32,
    /// Where the body goes.
    pub body: Body,
    /// Members that come from the query although there is a body. Without a body, every member that is not in the path
    /// comes from the query.
    pub in_query: &'static [&'static str],
    /// Whether those members may stand in the body instead.
    pub anywhere: bool,
    /// Members whose own members stand in the query by their bare names: `filter.tag` is `?tag=`.
    pub flat: &'static [&'static str],
    /// Whether `If-Match` becomes `if_version`.
    pub if_match: bool,
    /// Whether the body's `items` stand each for itself: the operation tells what is wrong with one.
    pub each_alone: bool,
    /// Where a new object is found: `{id}` is its id.
    pub location: Option<&'static str>,
    /// Its id in the OpenAPI document, for a second address of an operation.
    pub also: Option<&'static str>,
}

/// The member that carries `If-Match`.
pub const IF_VERSION: &str = "if_version";

const fn route(method: Verb, path: &'static str, operation: &'static str, status: u16, body: Body) -> Route {
    Route {
        method,
        path,
        operation,
        status,
        cost: 1,
        body,
        in_query: &[],
        anywhere: false,
        flat: &["filter", "page"],
        if_match: false,
        each_alone: false,
        location: None,
        also: None,
    }
}

/// Looks at something.
pub const fn get(path: &'static str, operation: &'static str) -> Route {
    route(Verb::Get, path, operation, 200, Body::None)
}

/// Makes something: 201, and where it is found.
pub const fn create(path: &'static str, operation: &'static str, location: &'static str) -> Route {
    let mut route = route(Verb::Post, path, operation, 201, Body::Whole);
    route.location = Some(location);
    route
}

/// Does something with a body.
pub const fn post(path: &'static str, operation: &'static str) -> Route {
    route(Verb::Post, path, operation, 200, Body::Whole)
}

/// Makes several things, each by itself.
pub const fn batch(path: &'static str, operation: &'static str) -> Route {
    let mut route = post(path, operation);
    route.each_alone = true;
    route
}

/// Replaces something named.
pub const fn put(path: &'static str, operation: &'static str) -> Route {
    route(Verb::Put, path, operation, 200, Body::Whole)
}

/// Edits an object by a merge patch (RFC 7396).
pub const fn patch(path: &'static str, operation: &'static str) -> Route {
    let mut route = route(Verb::Patch, path, operation, 200, Body::Under("patch"));
    route.if_match = true;
    route
}

/// Removes something.
pub const fn delete(path: &'static str, operation: &'static str) -> Route {
    route(Verb::Delete, path, operation, 204, Body::None)
}

impl Route {
    /// Another status of a good answer.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Counts as several calls.
    #[must_use]
    pub const fn cost(mut self, cost: u32) -> Self {
        self.cost = cost;
        self
    }

    /// Puts the body elsewhere.
    #[must_use]
    pub const fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Takes these members from the query although there is a body.
    #[must_use]
    pub const fn query(mut self, members: &'static [&'static str]) -> Self {
        self.in_query = members;
        self
    }

    /// Takes these members from the query or from the body, whichever the caller can send: not everybody's `DELETE` has a
    /// body.
    #[must_use]
    pub const fn query_or_body(mut self, members: &'static [&'static str]) -> Self {
        self.body = Body::Whole;
        self.in_query = members;
        self.anywhere = true;
        self
    }

    /// Says whether `If-Match` becomes `if_version`.
    #[must_use]
    pub const fn if_match(mut self, yes: bool) -> Self {
        self.if_match = yes;
        self
    }

    /// Says that it is a second address of its operation, under this id in the OpenAPI document.
    #[must_use]
    pub const fn also(mut self, id: &'static str) -> Self {
        self.also = Some(id);
        self
    }

    /// The names in the path, in order.
    pub fn path_members(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}

//! An operation's input as a request: the way back through the table of routes.

use dealwright_server::route::{Body, Route};
use serde_json::{Map, Value};

/// Path with its query, and the body.
pub fn call(route: &Route, input: &Value) -> (String, Option<Value>) {
    let mut rest = match input {
        Value::Object(members) => members.clone(),
        Value::Null => Map::new(),
        // The one thing that the path names.
        whole => route.path_members().map(|name| (name.to_owned(), whole.clone())).collect(),
    };
    let mut path = String::new();
    for step in route.path.split('/').skip(1) {
        path.push('/');
        match step.strip_prefix('{').and_then(|step| step.strip_suffix('}')) {
            Some(name) => path.push_str(rest.remove(name).unwrap().as_str().unwrap()),
            None => path.push_str(step),
        }
    }
    let body = match route.body {
        Body::Under(member) => rest.remove(member),
        Body::Whole => {
            let in_query = |name: &String| route.in_query.contains(&name.as_str()) && !route.anywhere;
            let (query, body) = rest.into_iter().partition(|(name, _)| in_query(name));
            rest = query;
            Some(Value::Object(body))
        }
        Body::None => None,
    };
    for (place, (name, value)) in rest.iter().enumerate() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let sign = if place == 0 { '?' } else { '&' };
        path.push_str(&format!("{sign}{name}={text}"));
    }
    (path, body)
}

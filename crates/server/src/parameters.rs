//! Parameters of the query, told from the JSON schema of the operation's input: their names, where they go in the input,
//! and how their text is read.

use serde_json::{Map, Value};

use crate::{
    problem::Problem,
    route::{Body, IF_VERSION, Route},
};

/// How a parameter's text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As it is.
    Text,
    /// As a whole number.
    Integer,
    /// As a number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Each repetition is one item.
    Texts,
    /// Members of any name: `custom.size=5`, `custom.size[gte]=5`.
    Open,
}

/// One parameter of the query.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name: `limit`, `created_at[gte]`.
    pub name: String,
    /// Where it goes in the input: `["filter", "created_at", "gte"]`.
    pub path: Vec<String>,
    /// How its text is read.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// Its schema.
    pub schema: Value,
}

/// Schemas with the definitions that they refer to.
#[derive(Debug, Clone, Copy)]
pub struct Schemas<'s>(pub &'s Map<String, Value>);

impl<'s> Schemas<'s> {
    /// The schema behind references, and behind the choice between something and `null`.
    pub fn resolve(self, schema: &'s Value) -> &'s Value {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let name = reference.rsplit('/').next().unwrap_or_default();
            return self.0.get(name).map_or(schema, |schema| self.resolve(schema));
        }
        let null = |it: &Value| it.get("type").and_then(Value::as_str) == Some("null");
        for word in ["anyOf", "oneOf", "allOf"] {
            if let Some(choices) = schema.get(word).and_then(Value::as_array) {
                let mut others = choices.iter().filter(|it| !null(it));
                if let (Some(only), None) = (others.next(), others.next()) {
                    return self.resolve(only);
                }
            }
        }
        schema
    }

    /// Name and schema of each member of an object.
    pub fn members(self, schema: &'s Value) -> impl Iterator<Item = (&'s String, &'s Value)> {
        self.resolve(schema).get("properties").and_then(Value::as_object).into_iter().flatten()
    }

    fn kind(self, schema: &'s Value) -> Kind {
        let schema = self.resolve(schema);
        let is = |word: &str| match schema.get("type") {
            Some(Value::String(it)) => it == word,
            Some(Value::Array(all)) => all.iter().any(|it| it == word),
            _ => false,
        };
        match () {
            () if is("integer") => Kind::Integer,
            () if is("number") => Kind::Number,
            () if is("boolean") => Kind::Boolean,
            () if is("array") => Kind::Texts,
            () if is("object") => Kind::Open,
            () => Kind::Text,
        }
    }
}

/// The parameters of a route's query.
pub fn of(route: &Route, input: &Value, schemas: Schemas<'_>) -> Vec<Parameter> {
    let in_path: Vec<&str> = route.path_members().collect();
    let mut all = Vec::new();
    for (name, schema) in schemas.members(input) {
        let elsewhere = in_path.contains(&name.as_str()) || (route.if_match && name == IF_VERSION);
        if elsewhere || (route.body != Body::None && !route.in_query.contains(&name.as_str())) {
            continue;
        }
        let required = is_required(schemas.resolve(input), name);
        add(&mut all, schemas, route.flat, vec![name.clone()], schema, required);
    }
    all
}

/// Whether a member of the path is any text, and no id.
pub fn is_text(input: &Value, name: &str, schemas: Schemas<'_>) -> bool {
    let found = schemas.members(input).find(|(member, _)| *member == name);
    found.is_some_and(|(_, schema)| schemas.resolve(schema).get("format").and_then(Value::as_str) != Some("uuid"))
}

fn is_required(object: &Value, name: &str) -> bool {
    object.get("required").and_then(Value::as_array).is_some_and(|all| all.iter().any(|it| it == name))
}

fn add(
    all: &mut Vec<Parameter>,
    schemas: Schemas<'_>,
    flat: &[&str],
    path: Vec<String>,
    schema: &Value,
    required: bool,
) {
    let members: Vec<_> = schemas.members(schema).collect();
    if members.is_empty() {
        let shown = path.iter().skip_while(|step| flat.contains(&step.as_str()));
        let mut name = String::new();
        for step in shown {
            if name.is_empty() { name.push_str(step) } else { name.push_str(&format!("[{step}]")) }
        }
        all.push(Parameter { name, path, kind: schemas.kind(schema), required, schema: schema.clone() });
        return;
    }
    let object = schemas.resolve(schema);
    for (name, member) in members {
        let mut path = path.clone();
        path.push(name.clone());
        add(all, schemas, flat, path, member, required && is_required(object, name));
    }
}

/// Puts the pairs of a query string into the input.
///
/// # Errors
/// 400 for a parameter that is unknown, repeated or of the wrong type.
pub fn read(known: &[Parameter], pairs: Vec<(String, String)>, input: &mut Map<String, Value>) -> Result<(), Problem> {
    let mut seen: Vec<&str> = Vec::new();
    for (name, text) in pairs {
        if let Some(path) = known.iter().find_map(|it| it.open_path(&name)) {
            if !insert_new(input, &path, Value::from(text)) {
                return Err(Problem::parameter(&name, format!("{name} stands twice: give it once")));
            }
            continue;
        }
        let Some(parameter) = known.iter().find(|it| it.name == name && it.kind != Kind::Open) else {
            let names: Vec<&str> = known.iter().map(|it| it.name.as_str()).collect();
            let known = if names.is_empty() { "there is none".to_owned() } else { names.join(", ") };
            return Err(Problem::parameter(&name, format!("{name} is no parameter here; known: {known}")));
        };
        if seen.contains(&parameter.name.as_str()) && parameter.kind != Kind::Texts {
            return Err(Problem::parameter(&name, format!("{name} stands twice: give it once")));
        }
        seen.push(&parameter.name);
        let value = parameter.value(&text)?;
        put(input, &parameter.path, value);
    }
    Ok(())
}

impl Parameter {
    /// Where `custom.size` or `custom.size[gte]` goes, if this is the member `custom`.
    fn open_path(&self, name: &str) -> Option<Vec<String>> {
        if self.kind != Kind::Open {
            return None;
        }
        let rest = name.strip_prefix(self.name.as_str())?.strip_prefix('.')?;
        let mut path = self.path.clone();
        match rest.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
            Some((member, operator)) => path.extend([member.to_owned(), operator.to_owned()]),
            None => path.push(rest.to_owned()),
        }
        Some(path)
    }

    /// The name in the query of what lies at these steps below the member: `custom.size`, `custom.size[gte]`.
    pub fn name_of(&self, below: &[&str]) -> String {
        match (self.kind, below) {
            (Kind::Open, [member]) => format!("{}.{member}", self.name),
            (Kind::Open, [member, operator, ..]) => format!("{}.{member}[{operator}]", self.name),
            _ => self.name.clone(),
        }
    }

    fn value(&self, text: &str) -> Result<Value, Problem> {
        let wrong = |expected: &str| {
            Problem::parameter(&self.name, format!("{} is {text:?}: {expected} is expected", self.name))
        };
        match self.kind {
            Kind::Text | Kind::Open => Ok(Value::from(text)),
            Kind::Texts => Ok(Value::from(vec![text])),
            Kind::Integer => text.parse::<i64>().map(Value::from).map_err(|_| wrong("a whole number")),
            Kind::Number => {
                let number = text.parse::<f64>().ok().filter(|it| it.is_finite());
                number.map(Value::from).ok_or_else(|| wrong("a number"))
            }
            Kind::Boolean => text.parse::<bool>().map(Value::from).map_err(|_| wrong("true or false")),
        }
    }
}

/// Puts a value where none is yet; false: there is one.
fn insert_new(input: &mut Map<String, Value>, path: &[String], value: Value) -> bool {
    match path {
        [] => false,
        [name] => !input.contains_key(name) && input.insert(name.clone(), value).is_none(),
        [name, rest @ ..] => {
            let member = input.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            member.as_object_mut().is_some_and(|member| insert_new(member, rest, value))
        }
    }
}

fn put(input: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => match (input.get_mut(name), value) {
            (Some(Value::Array(items)), Value::Array(more)) => items.extend(more),
            (_, value) => {
                input.insert(name.clone(), value);
            }
        },
        [name, rest @ ..] => {
            let member = input.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(member) = member {
                put(member, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::route;

    fn known() -> Vec<Parameter> {
        let definitions = json!({
            "Filter": {"type": "object", "properties": {
                "tag": {"type": ["string", "null"]},
                "created_at": {"anyOf": [{"$ref": "#/x/Range"}, {"type": "null"}]},
            }},
            "Range": {"type": "object", "properties": {"gte": {"type": ["string", "null"]}}},
        });
        let input = json!({"type": "object", "properties": {
            "filter": {"$ref": "#/x/Filter"}, "limit": {"type": ["integer", "null"]}, "unread": {"type": "boolean"},
        }});
        let definitions = definitions.as_object().unwrap();
        of(&route::get("/x", "x.list"), &input, Schemas(definitions))
    }

    fn read_into(query: &str) -> Result<Value, Problem> {
        let mut input = Map::new();
        read(&known(), crate::query::pairs(query)?, &mut input)?;
        Ok(Value::Object(input))
    }

    /// ASVS 15.3.5.
    #[test]
    fn parameters_are_typed_by_the_schema_and_put_in_their_place() {
        let input = read_into("limit=5&tag=7&created_at[gte]=2026-01-01&unread=true").unwrap();
        let expected = json!({"limit": 5, "unread": true, "filter": {"tag": "7", "created_at": {"gte": "2026-01-01"}}});
        assert_eq!(input, expected);
    }

    /// ASVS 15.3.7.
    #[test]
    fn unknown_repeated_and_mistyped_parameters_are_refused() {
        for query in ["x=1", "limit=1&limit=2", "limit=a", "unread=1", "created_at[x]=1", "created_at=1", "limit="] {
            assert_eq!(read_into(query).unwrap_err().code(), "invalid_parameter", "{query}");
        }
    }
}

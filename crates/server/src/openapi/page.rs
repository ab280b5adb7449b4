//! The OpenAPI document as one page of plain HTML: no script, nothing fetched from elsewhere.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::parameters::Schemas;

const STYLE: &str = "
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#2f6feb}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:62rem;padding:1.5rem}
nav{columns:14rem;font-size:.9rem}nav a{display:block}a{color:var(--accent);text-decoration:none}
h2{border-bottom:1px solid var(--line);margin-top:2.5rem}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer}summary b{display:inline-block;font:600 .8rem ui-monospace,monospace;min-width:4.2rem}
code,pre{background:var(--soft);border-radius:4px;font:.85rem ui-monospace,monospace;padding:.1rem .3rem}
pre{overflow:auto;padding:.6rem}table{border-collapse:collapse;font-size:.9rem;width:100%}
td,th{border-bottom:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}
";

/// Makes the page.
pub fn page(document: &Value) -> String {
    let empty = Map::new();
    let object = |pointer: &str| document.pointer(pointer).and_then(Value::as_object).unwrap_or(&empty);
    let components = object("/components/schemas");
    let mut tags: Vec<(String, String)> = Vec::new();
    for (path, item) in object("/paths") {
        for (method, operation) in item.as_object().unwrap_or(&empty) {
            let tag = text(operation.pointer("/tags/0"));
            let shown = show(path, method, operation, Schemas(components));
            match tags.iter_mut().find(|(name, _)| *name == tag) {
                Some((_, html)) => html.push_str(&shown),
                None => tags.push((tag, shown)),
            }
        }
    }
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Dealwright API</title><style>{STYLE}</style></head><body>\
         <h1>Dealwright API</h1>"
    );
    for paragraph in text(document.pointer("/info/description")).split("\n\n") {
        let _ = write!(html, "<p>{}</p>", marked(paragraph));
    }
    html.push_str("<p>For programs: <a href=\"api/openapi.json\">the OpenAPI document</a>.</p><nav>");
    for (tag, _) in &tags {
        let _ = write!(html, "<a href=\"#{0}\">{0}</a>", escape(tag));
    }
    html.push_str("<a href=\"#schemas\">Schemas</a></nav>");
    for (tag, operations) in &tags {
        let _ = write!(html, "<h2 id=\"{0}\">{0}</h2>{operations}", escape(tag));
    }
    html.push_str("<h2 id=\"schemas\">Schemas</h2>");
    for (name, schema) in components {
        let _ = write!(html, "<details id=\"schema-{0}\"><summary><code>{0}</code> ", escape(name));
        let _ = write!(html, "{}</summary>{}</details>", marked(&text(schema.get("description"))), members(schema));
    }
    html.push_str("</body></html>");
    html
}

fn show(path: &str, method: &str, operation: &Value, schemas: Schemas<'_>) -> String {
    let mut html = format!(
        "<details id=\"{}\"><summary><b>{}</b> <code>{}</code> {}</summary>",
        escape(&text(operation.get("operationId"))),
        escape(&method.to_uppercase()),
        escape(path),
        marked(&text(operation.get("summary"))),
    );
    let _ = write!(html, "<p>{}</p>", marked(&text(operation.get("description"))));
    let parameters = operation.get("parameters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        html.push_str("<table><tr><th>Parameter</th><th>In</th><th>Type</th><th></th></tr>");
        for it in parameters {
            let _ = write!(
                html,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&text(it.get("name"))),
                escape(&text(it.get("in"))),
                kind(it.get("schema").unwrap_or(&Value::Null)),
                marked(&text(it.get("description"))),
            );
        }
        html.push_str("</table>");
    }
    let json = |content: Option<&Value>| content?.pointer("/content/application~1json").cloned();
    if let Some(media) = json(operation.get("requestBody")) {
        let schema = media.get("schema").unwrap_or(&Value::Null);
        let _ = write!(html, "<h4>Body: {}</h4>", kind(schema));
        if schema.get("$ref").is_none() {
            html.push_str(&members(schemas.resolve(schema)));
        }
        if let Some(example) = media.get("example") {
            let _ = write!(html, "<pre>{}</pre>", escape(&format!("{example:#}")));
        }
    }
    for (status, response) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
        if status.starts_with('2') {
            let schema = json(Some(response)).and_then(|it| it.get("schema").cloned()).unwrap_or_default();
            let _ = write!(html, "<h4>{status}: {}</h4>", kind(&schema));
        }
    }
    html.push_str("</details>");
    html
}

fn members(schema: &Value) -> String {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return format!("<p>{}</p>", kind(schema));
    };
    let mut html = "<table>".to_owned();
    for (name, member) in properties {
        let _ = write!(
            html,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            escape(name),
            kind(member),
            marked(&text(member.get("description"))),
        );
    }
    html + "</table>"
}

/// A type in a few words, with a link where it has a name.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|it| it.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escape(name));
    }
    let any = ["anyOf", "oneOf"].iter().find_map(|word| schema.get(*word)?.as_array());
    if let Some(choices) = any {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(value) = schema.get("const") {
        return format!("<code>{}</code>", escape(&text(Some(value))));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values
            .iter()
            .map(|it| format!("<code>{}</code>", escape(&text(Some(it)))))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let word = |word: &str| match word {
        "array" => format!("list of {}", schema.get("items").map_or_else(|| "anything".to_owned(), kind)),
        word => {
            let format = schema.get("format").and_then(Value::as_str).map(|it| format!(" ({})", escape(it)));
            format!("{}{}", escape(word), format.unwrap_or_default())
        }
    };
    match schema.get("type") {
        Some(Value::String(it)) => word(it),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(word).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Escaped text whose `code` is set as code.
fn marked(text: &str) -> String {
    let mut html = String::new();
    for (place, part) in escape(text).split('`').enumerate() {
        if place % 2 == 1 {
            let _ = write!(html, "<code>{part}</code>");
        } else {
            html.push_str(part);
        }
    }
    html
}

//! Links of the OpenAPI document: which operations take the id that an answer has just told. Read off the paths: what is
//! made at `/x` or listed there is found at `/x/{id}`, and everything below that is about it.

use serde_json::{Map, Value, json};

use crate::parameters::Schemas;

/// Where ids are told at another address than their own: operation, the address, where its answer has the id.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("messages.send", "/api/messaging/messages/{id}", "/id"),
    ("chats.list", "/api/messaging/chats/{id}", "/data/0/chat_id"),
    ("invitations.create", "/api/team/invitations/{id}", "/id"),
    ("invitations.invite", "/api/team/invitations/{id}", "/id"),
    ("accounts.connect", "/api/bd-accounts/{id}", "/account/id"),
    ("notes.create_on_contact", "/api/crm/notes/{id}", "/id"),
    ("notes.create_on_deal", "/api/crm/notes/{id}", "/id"),
    ("tasks.create_for_contact", "/api/crm/tasks/{id}", "/id"),
    ("tasks.create_for_deal", "/api/crm/tasks/{id}", "/id"),
];

/// An operation that needs one id.
struct Target {
    path: String,
    parameter: String,
    id: String,
}

/// Adds them to the good answers of all operations.
pub fn add(paths: &mut Map<String, Value>, schemas: Schemas<'_>) {
    let targets: Vec<Target> = paths.iter().flat_map(|(path, item)| targets(path, item)).collect();
    for (path, item) in paths.iter_mut() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let name = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
            let elsewhere = ELSEWHERE.iter().find(|(known, ..)| *known == name);
            let place = elsewhere.map(|(_, address, pointer)| ((*address).to_owned(), (*pointer).to_owned()));
            let responses = operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten();
            let Some((_, good)) = responses.into_iter().find(|(status, _)| status.starts_with('2')) else { continue };
            let own = || {
                let pointer = pointer(method, good.pointer("/content/application~1json/schema")?, schemas)?;
                Some((format!("{path}/{{id}}"), pointer.to_owned()))
            };
            let Some((address, pointer)) = place.or_else(own) else { continue };
            let links: Map<String, Value> = targets
                .iter()
                .filter(|target| target.is_at(&address))
                .map(|target| {
                    let parameters = json!({&target.parameter: format!("$response.body#{pointer}")});
                    (target.id.clone(), json!({"operationId": target.id, "parameters": parameters}))
                })
                .collect();
            if let (Some(good), false) = (good.as_object_mut(), links.is_empty()) {
                good.insert("links".to_owned(), Value::Object(links));
            }
        }
    }
}

fn targets(path: &str, item: &Value) -> Vec<Target> {
    let mut names = path.split('/').filter_map(|step| step.strip_prefix('{')?.strip_suffix('}'));
    let (Some(name), None) = (names.next(), names.next()) else { return Vec::new() };
    let operations = item.as_object().into_iter().flatten().map(|(_, operation)| operation);
    let ids = operations.filter_map(|operation| operation.get("operationId")?.as_str());
    ids.map(|id| Target { path: path.to_owned(), parameter: name.to_owned(), id: id.to_owned() }).collect()
}

impl Target {
    /// Whether it stands at the address or below, whatever its parameter is called.
    fn is_at(&self, address: &str) -> bool {
        let path = self.path.replace(&format!("{{{}}}", self.parameter), "{id}");
        path.strip_prefix(address).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Where an answer tells the id of what was made, or of the first that is listed.
fn pointer(method: &str, schema: &Value, schemas: Schemas<'_>) -> Option<&'static str> {
    let member = |schema, name: &str| schemas.members(schema).find(|(member, _)| *member == name).map(|it| it.1);
    if method == "post" {
        return member(schema, "id").map(|_| "/id");
    }
    let items = schemas.resolve(member(schema, "data")?).get("items")?;
    member(items, "id").filter(|_| method == "get").map(|_| "/data/0/id")
}

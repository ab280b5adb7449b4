//! What cannot be read off a schema. `"$stage"` stands for the id of a stage of ours, `"@stage"` for the one that is put to
//! the test, `#` in a text for a number that nothing else has.

/// What a member names: noun and members. `id`, and an input that is an id as a whole, name the operation's own noun.
pub const MEMBERS: &[(&str, &[&str])] = &[
    ("user", &["user_id", "assigned_to", "acts_for", "actor_id"]),
    ("other user", &["reassign_to"]),
    ("team", &["team_id", "object_id"]),
    ("company", &["company_id"]),
    ("contact", &["contact_id", "contact_ids"]),
    ("deal", &["deal_id"]),
    ("pipeline", &["pipeline_id"]),
    ("stage", &["stage_id"]),
    ("other stage", &["move_to"]),
    ("account", &["account_id"]),
    ("chat", &["chat_id"]),
    ("message", &["reply_to"]),
    ("rule", &["rule_id"]),
];

/// The own noun of the operations of a room, or of one operation.
pub const ROOMS: &[(&str, &str)] = &[
    ("messages.cancel", "outgoing"),
    ("jobs.cancel", "own job"),
    ("members", "user"),
    ("sessions", "session"),
    ("identities", "identity"),
    ("invitations", "invitation"),
    ("api_keys", "api key"),
    ("roles", "role"),
    ("teams", "team"),
    ("contacts", "contact"),
    ("companies", "company"),
    ("fields", "field"),
    ("deals", "deal"),
    ("notes", "note"),
    ("tasks", "task"),
    ("pipelines", "pipeline"),
    ("stages", "stage"),
    ("rules", "rule"),
    ("notifications", "notification"),
    ("jobs", "job"),
    ("accounts", "account"),
    ("chats", "chat"),
    ("messages", "message"),
    ("media", "media"),
];

/// Members that are called like an id and name nothing that has one of ours.
pub const NO_IDS: &[&str] = &["external_id", "external_ids", "plugin_id"];

/// The same for one operation alone: a rule's `id` is the slug that it is given.
pub const NO_IDS_OF: &[(&str, &str)] = &[("rules.create", "id")];

/// What whoever manages no team is refused, whosever id it is: they make keys for themselves alone.
pub const OF_MANAGERS: &[(&str, &str)] = &[("api_keys.create", "user")];

/// Inputs that count, where more is needed than the ids that the schema requires: each with a member that a further one
/// may be put beside.
pub const INPUTS: &[(&str, &str)] = &[
    ("profile.replace", r#"{"name": "Owner acme"}"#),
    ("organizations.update", r#"{"patch": {"name": "The acme"}}"#),
    ("retention.replace", r#"{"messages": 400, "runs": 300, "deleted": 30}"#),
    ("members.set_role", r#"{"id": "$user", "role": "admin"}"#),
    ("invitations.create", r#"{"email": "guest-#@acme.example", "role": "member"}"#),
    ("roles.create", r#"{"name": "Role #", "permissions": ["contacts:read"]}"#),
    ("roles.delete", r#"{"id": "$role", "members_to": "member"}"#),
    ("api_keys.create", r#"{"name": "Key #", "scopes": ["contacts:read"], "acts_for": "$me"}"#),
    ("teams.create", r#"{"name": "Team #"}"#),
    ("teams.remove_member", r#"{"id": "$team", "user_id": "$user"}"#),
    ("contacts.create", r#"{"name": "Contact #"}"#),
    ("contacts.batch", r#"{"items": [{"name": "Contact #"}]}"#),
    ("contacts.upsert", r#"{"system": "erp", "external_id": "upsert-#", "patch": {"name": "Contact #"}}"#),
    ("contacts.assign", r#"{"contact_ids": ["$contact"], "user_id": "$user"}"#),
    ("contacts.assign", r#"{"contact_ids": ["$contact"], "team_id": "$team"}"#),
    ("companies.create", r#"{"name": "Company #"}"#),
    ("companies.batch", r#"{"items": [{"name": "Company #"}]}"#),
    ("companies.upsert", r#"{"system": "erp", "external_id": "upsert-#", "patch": {"name": "Company #"}}"#),
    ("fields.create", r#"{"object": "deal", "key": "f#", "type": "text"}"#),
    ("deals.create", r#"{"name": "Deal #"}"#),
    ("deals.batch", r#"{"items": [{"name": "Deal #"}]}"#),
    ("deals.upsert", r#"{"system": "erp", "external_id": "upsert-#", "patch": {"name": "Deal #"}}"#),
    ("deals.move", r#"{"id": "$deal", "patch": {"stage_id": "$other stage"}}"#),
    ("notes.create_on_contact", r#"{"contact_id": "$contact", "text": "Note #"}"#),
    ("notes.create_on_deal", r#"{"deal_id": "$deal", "text": "Note #"}"#),
    ("tasks.create_for_contact", r#"{"contact_id": "$contact", "title": "Task #"}"#),
    ("tasks.create_for_deal", r#"{"deal_id": "$deal", "title": "Task #"}"#),
    ("pipelines.create", r#"{"name": "Pipeline #"}"#),
    ("stages.create", r#"{"name": "Stage #"}"#),
    ("stages.delete", r#"{"id": "$stage", "move_to": "$other stage"}"#),
    ("rules.create", r#"{"name": "Rule #", "trigger": "contact.created", "action": {"stop": true}}"#),
    ("analytics.pipeline_value", "{}"),
    ("analytics.pipeline_value", r#"{"pipeline_id": "$pipeline"}"#),
    ("analytics.conversion_rates", "{}"),
    ("analytics.conversion_rates", r#"{"pipeline_id": "$pipeline"}"#),
    ("rules.explain", r#"{"contact_id": "$contact"}"#),
    ("rules.explain", r#"{"deal_id": "$deal"}"#),
    ("notifications.update", r#"{"id": "$notification", "patch": {"read": true}}"#),
    ("accounts.connect", r#"{"platform": "email", "handle": "connect-#@acme.example", "password": "secret"}"#),
    ("messages.send", r#"{"chat_id": "$chat", "text": "Text #"}"#),
    ("messages.send", r#"{"account_id": "$account", "contact_id": "$contact", "text": "Text #"}"#),
    ("media.upload", r#"{"name": "file.txt", "data": "YWNtZQ=="}"#),
];

/// The key of the custom field of each noun that names a member.
pub const KEEPER: &str = "keeper";

/// What a rule does or waits for that names something: its trigger, and the member with the id. Conditions are read off
/// the table of facts.
pub const RULES: &[(&str, &str)] = &[
    (r#""contact.created""#, r#""action": {"move_to_stage": "@stage"}"#),
    (r#""contact.created""#, r#""action": {"move_to_stage": {"stage": "$stage", "pipeline": "@pipeline"}}"#),
    (r#""contact.created""#, r#""action": {"create_deal": {"stage": "@stage"}}"#),
    (r#""contact.created""#, r#""action": {"create_deal": {"stage": "@stage", "pipeline": "$pipeline"}}"#),
    (r#""contact.created""#, r#""action": {"create_deal": {"pipeline": "@pipeline"}}"#),
    (r#""contact.created""#, r#""action": {"create_task": {"title": "Call", "assign_to": "@user"}}"#),
    (r#""contact.created""#, r#""action": {"assign_to": "@user"}"#),
    (r#""contact.created""#, r#""action": {"assign_to": "@team"}"#),
    (r#""contact.created""#, r#""action": {"assign_to": {"user": "@user"}}"#),
    (r#""contact.created""#, r#""action": {"assign_to": {"team": "@team"}}"#),
    (r#""contact.created""#, r#""action": {"assign_to": {"strategy": "round_robin", "team": "@team"}}"#),
    (r#""contact.created""#, r#""action": {"set_field": {"custom.keeper": "@user"}}"#),
    (r#""deal.updated""#, r#""action": {"set_field": {"assigned_to": "@user"}}"#),
    (r#""deal.updated""#, r#""action": {"set_field": {"custom.keeper": "@user"}}"#),
    (r#""deal.updated""#, r#""action": {"set_field": {"contact.custom.keeper": "@user"}}"#),
    (r#""deal.updated""#, r#""action": {"set_field": {"contact_id": "@contact"}}"#),
    (r#""deal.updated""#, r#""action": {"set_field": {"company_id": "@company"}}"#),
    (r#""deal.updated""#, r#""action": {"set_field": {"team_id": "@team"}}"#),
    (r#""contact.created""#, r#""action": {"set_field": {"company_id": "@company"}}"#),
    (r#""contact.created""#, r#""action": {"set_field": {"team_id": "@team"}}"#),
    (r#"{"on": "time_elapsed", "stage": "@stage", "elapsed_hours": 2}"#, r#""action": {"add_tag": "late"}"#),
];

/// Where a role is named, by its id as well as by its word.
pub const ROLES: &[(&str, &str)] = &[
    ("members.set_role", r#"{"id": "$user", "role": "@role"}"#),
    ("invitations.create", r#"{"email": "guest-#@acme.example", "role": "@role"}"#),
    ("roles.delete", r#"{"id": "$role", "members_to": "@other role"}"#),
];

/// What is asked for by what the other organisation's rows are called, not by their ids: each of our own rows may be called
/// the same, and none of theirs is found. `{contact /emails/0}` stands for what their contact has there.
pub const NAMES: &[(&str, &str)] = &[
    ("contacts.create", r#"{"name": "Twin", "emails": ["{contact /emails/0}"]}"#),
    ("contacts.list", r#"{"email": "{contact /emails/0}", "tag": "{contact /tags/0}"}"#),
    ("contacts.search", r#"{"filter": {"external_ids.erp": "{contact /external_ids/erp}"}}"#),
    ("contacts.search", r#"{"filter": {"name": {"contains": "{contact /name}"}}, "sort": "name"}"#),
    (
        "contacts.upsert",
        r#"{"system": "erp", "external_id": "{contact /external_ids/erp}", "patch": {"name": "Twin"}}"#,
    ),
    (
        "companies.upsert",
        r#"{"system": "erp", "external_id": "{company /external_ids/erp}", "patch": {"name": "Twin"}}"#,
    ),
    ("deals.upsert", r#"{"system": "erp", "external_id": "{deal /external_ids/erp}", "patch": {"name": "Twin"}}"#),
    ("deals.search", r#"{"filter": {"name": {"contains": "{deal /name}"}}, "sort": "name"}"#),
    ("companies.list", r#"{"domain": "{company /domain}"}"#),
    ("companies.search", r#"{"filter": {"name": {"contains": "{company /name}"}}}"#),
    ("teams.create", r#"{"name": "{team /name}"}"#),
    // Before a role of our own is called so.
    ("invitations.create", r#"{"email": "named@acme.example", "role": "{role /name}"}"#),
    ("roles.create", r#"{"name": "{role /name}", "permissions": []}"#),
    ("fields.create", r#"{"object": "contact", "key": "{field /key}", "type": "text"}"#),
    ("invitations.create", r#"{"email": "{user /email}", "role": "member"}"#),
    ("rules.create", r#"{"id": "{rule /slug}", "trigger": "contact.created", "action": {"stop": true}}"#),
    ("accounts.connect", r#"{"platform": "email", "handle": "{account /handle}", "password": "secret"}"#),
];

//! What cannot be read off a schema. `"$stage"` stands for the id of a stage of ours, `"@stage"` for the one that is put to
//! the test, `#` in a text for a number that nothing else has.

/// What a member names: noun and members. `id`, and an input that is an id as a whole, name the operation's own noun.
pub const MEMBERS: &[(&str, &[&str])] = &[
    ("user", &["user_id", "assigned_to", "acts_for"]),
    ("other user", &["reassign_to"]),
    ("team", &["team_id"]),
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
    ("invitations", "invitation"),
    ("api_keys", "api key"),
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
    ("members.set_role", r#"{"id": "$user", "role": "admin"}"#),
    ("invitations.create", r#"{"email": "guest-#@acme.example", "role": "member"}"#),
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
    ("rules.explain", r#"{"contact_id": "$contact"}"#),
    ("rules.explain", r#"{"deal_id": "$deal"}"#),
    ("notifications.update", r#"{"id": "$notification", "patch": {"read": true}}"#),
    ("accounts.connect", r#"{"platform": "email", "handle": "connect-#@acme.example", "password": "secret"}"#),
    ("messages.send", r#"{"chat_id": "$chat", "text": "Text #"}"#),
    ("messages.send", r#"{"account_id": "$account", "contact_id": "$contact", "text": "Text #"}"#),
    ("media.upload", r#"{"name": "file.txt", "data": "YWNtZQ=="}"#),
];

/// Ids where the schema says nothing of any: in batches, condition trees and rules.
pub const SPOTS: &[(&str, &str)] = &[
    ("contacts.batch", r#"{"items": [{"name": "Contact #", "company_id": "@company"}]}"#),
    ("contacts.batch", r#"{"items": [{"name": "Contact #", "assigned_to": "@user"}]}"#),
    ("contacts.batch", r#"{"items": [{"name": "Contact #", "team_id": "@team"}]}"#),
    ("contacts.search", r#"{"filter": {"company_id": "@company"}}"#),
    ("contacts.search", r#"{"filter": {"assigned_to": "@user"}}"#),
    ("contacts.search", r#"{"filter": {"team_id": "@team"}}"#),
    ("contacts.search", r#"{"filter": {"stage": "@stage"}}"#),
    ("contacts.search", r#"{"filter": {"stage_id": "@stage"}}"#),
    ("contacts.search", r#"{"filter": {"pipeline": "@pipeline"}}"#),
    ("contacts.search", r#"{"filter": {"pipeline_id": "@pipeline"}}"#),
    ("contacts.search", r#"{"filter": {"any": [{"team_id": ["@team"]}, {"all": [{"not": {"team_id": "$team"}}]}]}}"#),
    ("contacts.search", r#"{"filter": {"all": [{"company_id": {"in": ["@company", "$company"]}}]}}"#),
    ("deals.batch", r#"{"items": [{"name": "Deal #", "company_id": "@company"}]}"#),
    ("deals.batch", r#"{"items": [{"name": "Deal #", "contact_id": "@contact"}]}"#),
    ("deals.search", r#"{"filter": {"company_id": "@company"}}"#),
    ("deals.search", r#"{"filter": {"contact_id": "@contact"}}"#),
    ("deals.search", r#"{"filter": {"assigned_to": "@user"}}"#),
    ("deals.search", r#"{"filter": {"stage_id": "@stage"}}"#),
    ("deals.search", r#"{"filter": {"pipeline_id": "@pipeline"}}"#),
    ("stages.create", r#"{"name": "Stage #", "pipeline_id": "@pipeline"}"#),
    (
        "rules.create",
        r##"{"name": "Rule #", "trigger": "contact.created", "condition": {"stage": "@stage"}, "action": {"stop": true}}"##,
    ),
    (
        "rules.create",
        r#"{"name": "Rule #", "trigger": "contact.created", "condition": {"any": [{"not": {"pipeline": "@pipeline"}}]}, "action": {"stop": true}}"#,
    ),
    ("rules.create", r#"{"name": "Rule #", "trigger": "contact.created", "action": {"move_to_stage": "@stage"}}"#),
    (
        "rules.create",
        r#"{"name": "Rule #", "trigger": "contact.created", "actions": [{"move_to_stage": {"stage": "$stage", "pipeline": "@pipeline"}}]}"#,
    ),
    (
        "rules.create",
        r#"{"name": "Rule #", "trigger": "contact.created", "actions": [{"create_deal": {"stage": "@stage", "pipeline": "$pipeline"}}]}"#,
    ),
    (
        "rules.create",
        r#"{"name": "Rule #", "trigger": "contact.created", "actions": [{"create_deal": {"pipeline": "@pipeline"}}]}"#,
    ),
    ("rules.create", r#"{"name": "Rule #", "trigger": "contact.created", "action": {"assign_to": "@user"}}"#),
    ("rules.create", r#"{"name": "Rule #", "trigger": "contact.created", "action": {"assign_to": {"team": "@team"}}}"#),
    (
        "rules.create",
        r#"{"name": "Rule #", "trigger": "contact.created", "action": {"assign_to": {"strategy": "round_robin", "team": "@team"}}}"#,
    ),
    (
        "rules.create",
        r#"{"name": "Rule #", "trigger": "deal.updated", "action": {"set_field": {"assigned_to": "@user"}}}"#,
    ),
    (
        "rules.create",
        r#"{"name": "Rule #", "trigger": "deal.updated", "action": {"set_field": {"contact_id": "@contact"}}}"#,
    ),
    (
        "rules.create",
        r#"{"name": "Rule #", "trigger": "deal.updated", "action": {"set_field": {"company_id": "@company"}}}"#,
    ),
    ("rules.create", r#"{"name": "Rule #", "trigger": "deal.updated", "action": {"set_field": {"team_id": "@team"}}}"#),
    (
        "rules.create",
        r#"{"name": "Rule #", "trigger": "contact.created", "action": {"set_field": {"company_id": "@company"}}}"#,
    ),
    (
        "rules.create",
        r#"{"name": "Rule #", "trigger": "contact.created", "action": {"set_field": {"team_id": "@team"}}}"#,
    ),
    ("rules.update", r#"{"id": "$rule", "patch": {"action": {"set_field": {"company_id": "@company"}}}}"#),
    ("rules.update", r#"{"id": "$rule", "patch": {"action": {"move_to_stage": "@stage"}}}"#),
    ("rules.update", r#"{"id": "$rule", "patch": {"action": {"assign_to": "@user"}}}"#),
    ("rules.update", r#"{"id": "$rule", "patch": {"condition": {"stage": "@stage"}}}"#),
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
    ("fields.create", r#"{"object": "contact", "key": "{field /key}", "type": "text"}"#),
    ("invitations.create", r#"{"email": "{user /email}", "role": "member"}"#),
    ("rules.create", r#"{"id": "{rule /slug}", "trigger": "contact.created", "action": {"stop": true}}"#),
    ("accounts.connect", r#"{"platform": "email", "handle": "{account /handle}", "password": "secret"}"#),
];

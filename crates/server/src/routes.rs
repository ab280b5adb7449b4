//! The table of routes: every operation's address. What is not an operation (signing in, media, health) is in
//! `shell/`.

use crate::route::{Route, batch, create, delete, get, patch, post, put};

/// Every route of an operation, room by room.
pub const ROUTES: &[&[Route]] = &[
    PROFILE, API_KEYS, TEAM, CONTACTS, COMPANIES, DEALS, FIELDS, ACTIVITIES, PIPELINES, ACCOUNTS, MESSAGING,
    AUTOMATION, REST,
];

const PROFILE: &[Route] = &[
    get("/api/users/profile", "profile.get"),
    put("/api/users/profile", "profile.replace").if_match(true),
    get("/api/auth/sessions", "sessions.list"),
    delete("/api/auth/sessions/{id}", "sessions.revoke"),
    delete("/api/auth/sessions", "sessions.revoke_others"),
    get("/api/auth/identities", "identities.list"),
    delete("/api/auth/identities/{id}", "identities.unlink"),
    get("/api/users/organizations", "organizations.list"),
    get("/api/organization", "organizations.get"),
    patch("/api/organization", "organizations.update"),
    get("/api/organization/retention", "retention.get"),
    put("/api/organization/retention", "retention.replace"),
];

const API_KEYS: &[Route] = &[
    get("/api/auth/api-keys", "api_keys.list"),
    create("/api/auth/api-keys", "api_keys.create", "/api/auth/api-keys/{id}"),
    get("/api/auth/api-keys/{id}", "api_keys.get"),
    delete("/api/auth/api-keys/{id}", "api_keys.revoke"),
];

const TEAM: &[Route] = &[
    get("/api/team/members", "members.list"),
    get("/api/team/members/{id}", "members.get"),
    put("/api/team/members/{id}/role", "members.set_role"),
    delete("/api/team/members/{id}", "members.remove").query_or_body(&["reassign_to"]),
    get("/api/team/members/{id}/sessions", "members.sessions"),
    delete("/api/team/members/{id}/sessions", "members.sign_out"),
    create("/api/team/members/invite", "invitations.create", "/api/team/invitations/{id}"),
    create("/api/users/team/invite", "invitations.create", "/api/team/invitations/{id}").also("invitations.invite"),
    get("/api/team/invitations", "invitations.list"),
    get("/api/team/invitations/{id}", "invitations.get"),
    delete("/api/team/invitations/{id}", "invitations.revoke"),
    get("/api/team/teams", "teams.list"),
    create("/api/team/teams", "teams.create", "/api/team/teams/{id}"),
    get("/api/team/teams/{id}", "teams.get"),
    patch("/api/team/teams/{id}", "teams.update"),
    delete("/api/team/teams/{id}", "teams.delete").if_match(true),
    get("/api/team/teams/{id}/members", "teams.members"),
    post("/api/team/teams/{id}/members", "teams.add_member").status(201),
    delete("/api/team/teams/{id}/members/{user_id}", "teams.remove_member"),
    get("/api/team/roles", "roles.list"),
    create("/api/team/roles", "roles.create", "/api/team/roles/{id}"),
    get("/api/team/roles/{id}", "roles.get"),
    patch("/api/team/roles/{id}", "roles.update"),
    delete("/api/team/roles/{id}", "roles.delete").query_or_body(&["members_to"]).if_match(true),
    post("/api/team/clients/assign", "contacts.assign").cost(BATCH),
    get("/api/team/clients/shared", "contacts.shared"),
];

const CONTACTS: &[Route] = &[
    get("/api/crm/clients", "contacts.list"),
    create("/api/crm/clients", "contacts.create", "/api/crm/clients/{id}").query(&["allow_duplicate"]),
    get("/api/crm/clients/{id}", "contacts.get"),
    patch("/api/crm/clients/{id}", "contacts.update"),
    delete("/api/crm/clients/{id}", "contacts.delete").if_match(true),
    post("/api/crm/clients/{id}/restore", "contacts.restore").body(NO_BODY).if_match(true),
    post("/api/crm/clients/{id}/erase", "contacts.erase").body(NO_BODY).status(202).cost(BATCH),
    post("/api/crm/clients/search", "contacts.search").cost(SEARCH),
    batch("/api/crm/clients/batch", "contacts.batch").cost(BATCH),
    put("/api/crm/clients/by-external-id/{system}/{external_id}", "contacts.upsert")
        .body(UNDER_PATCH)
        .query(&["allow_duplicate"])
        .if_match(true),
    put("/api/pipeline/clients/{contact_id}/stage", "contacts.move").if_match(true),
    get("/api/pipeline/clients/{contact_id}/history", "contacts.history"),
];

const COMPANIES: &[Route] = &[
    get("/api/crm/companies", "companies.list"),
    create("/api/crm/companies", "companies.create", "/api/crm/companies/{id}"),
    get("/api/crm/companies/{id}", "companies.get"),
    patch("/api/crm/companies/{id}", "companies.update"),
    delete("/api/crm/companies/{id}", "companies.delete").if_match(true),
    post("/api/crm/companies/{id}/restore", "companies.restore").body(NO_BODY).if_match(true),
    post("/api/crm/companies/search", "companies.search").cost(SEARCH),
    batch("/api/crm/companies/batch", "companies.batch").cost(BATCH),
    put("/api/crm/companies/by-external-id/{system}/{external_id}", "companies.upsert")
        .body(UNDER_PATCH)
        .if_match(true),
];

const FIELDS: &[Route] = &[
    get("/api/crm/fields", "fields.list"),
    create("/api/crm/fields", "fields.create", "/api/crm/fields/{id}"),
    get("/api/crm/fields/{id}", "fields.get"),
    patch("/api/crm/fields/{id}", "fields.update"),
    delete("/api/crm/fields/{id}", "fields.delete").if_match(true),
];

const DEALS: &[Route] = &[
    get("/api/crm/deals", "deals.list"),
    create("/api/crm/deals", "deals.create", "/api/crm/deals/{id}"),
    get("/api/crm/deals/{id}", "deals.get"),
    patch("/api/crm/deals/{id}", "deals.update"),
    delete("/api/crm/deals/{id}", "deals.delete").if_match(true),
    post("/api/crm/deals/{id}/restore", "deals.restore").body(NO_BODY).if_match(true),
    post("/api/crm/deals/search", "deals.search").cost(SEARCH),
    batch("/api/crm/deals/batch", "deals.batch").cost(BATCH),
    put("/api/crm/deals/by-external-id/{system}/{external_id}", "deals.upsert").body(UNDER_PATCH).if_match(true),
    patch("/api/crm/deals/{id}/stage", "deals.move"),
    get("/api/crm/deals/{id}/history", "deals.history"),
];

const ACTIVITIES: &[Route] = &[
    get("/api/crm/clients/{contact_id}/notes", "notes.list_of_contact"),
    create("/api/crm/clients/{contact_id}/notes", "notes.create_on_contact", "/api/crm/notes/{id}"),
    get("/api/crm/deals/{deal_id}/notes", "notes.list_of_deal"),
    create("/api/crm/deals/{deal_id}/notes", "notes.create_on_deal", "/api/crm/notes/{id}"),
    get("/api/crm/notes/{id}", "notes.get"),
    patch("/api/crm/notes/{id}", "notes.update"),
    delete("/api/crm/notes/{id}", "notes.delete").if_match(true),
    get("/api/crm/clients/{contact_id}/tasks", "tasks.list_of_contact"),
    create("/api/crm/clients/{contact_id}/tasks", "tasks.create_for_contact", "/api/crm/tasks/{id}"),
    get("/api/crm/deals/{deal_id}/tasks", "tasks.list_of_deal"),
    create("/api/crm/deals/{deal_id}/tasks", "tasks.create_for_deal", "/api/crm/tasks/{id}"),
    get("/api/crm/tasks", "tasks.list"),
    get("/api/crm/tasks/{id}", "tasks.get"),
    patch("/api/crm/tasks/{id}", "tasks.update"),
    delete("/api/crm/tasks/{id}", "tasks.delete").if_match(true),
    get("/api/crm/clients/{contact_id}/timeline", "timelines.of_contact"),
    get("/api/crm/deals/{deal_id}/timeline", "timelines.of_deal"),
];

const PIPELINES: &[Route] = &[
    get("/api/pipeline", "pipelines.list"),
    create("/api/pipeline", "pipelines.create", "/api/pipeline/{id}"),
    get("/api/pipeline/{id}", "pipelines.get"),
    patch("/api/pipeline/{id}", "pipelines.update"),
    delete("/api/pipeline/{id}", "pipelines.delete").if_match(true),
    get("/api/pipeline/{pipeline_id}/board", "pipelines.board").cost(SEARCH),
    get("/api/pipeline/stages", "stages.list"),
    create("/api/pipeline/stages", "stages.create", "/api/pipeline/stages/{id}"),
    patch("/api/pipeline/stages/{id}", "stages.update"),
    delete("/api/pipeline/stages/{id}", "stages.delete").if_match(true),
];

const ACCOUNTS: &[Route] = &[
    get("/api/bd-accounts", "accounts.list"),
    create("/api/bd-accounts/connect", "accounts.connect", "/api/bd-accounts/{id}"),
    get("/api/bd-accounts/{id}", "accounts.get"),
    patch("/api/bd-accounts/{id}", "accounts.update"),
    delete("/api/bd-accounts/{id}", "accounts.delete").if_match(true),
    get("/api/bd-accounts/{id}/status", "accounts.status"),
    post("/api/bd-accounts/{id}/reconnect", "accounts.reconnect").body(NO_BODY),
];

const MESSAGING: &[Route] = &[
    get("/api/messaging/inbox", "chats.list"),
    get("/api/messaging/chats/{id}", "chats.get"),
    patch("/api/messaging/chats/{id}", "chats.update"),
    get("/api/messaging/messages", "messages.list"),
    get("/api/messaging/messages/{id}", "messages.get"),
    delete("/api/messaging/messages/{id}", "messages.cancel"),
    get("/api/messaging/messages/{id}/explain", "messages.explain"),
    patch("/api/messaging/messages/{id}/read", "messages.read").body(NO_BODY).if_match(false),
    post("/api/messaging/send", "messages.send").status(202),
    get("/api/media/{id}/info", "media.get"),
];

const AUTOMATION: &[Route] = &[
    get("/api/automation/rules", "rules.list"),
    create("/api/automation/rules", "rules.create", "/api/automation/rules/{id}"),
    get("/api/automation/rules/{id}", "rules.get"),
    patch("/api/automation/rules/{id}", "rules.update"),
    delete("/api/automation/rules/{id}", "rules.delete").if_match(true),
    get("/api/automation/rules/{id}/versions", "rules.versions"),
    get("/api/automation/explain", "rules.explain"),
    get("/api/automation/runs", "runs.list"),
];

const REST: &[Route] = &[
    get("/api/notifications", "notifications.list"),
    get("/api/notifications/{id}", "notifications.get"),
    patch("/api/notifications/{id}", "notifications.update").if_match(false),
    get("/api/analytics/conversion-rates", "analytics.conversion_rates").cost(ANALYTICS),
    get("/api/analytics/pipeline-value", "analytics.pipeline_value").cost(ANALYTICS),
    get("/api/analytics/team-performance", "analytics.team_performance").cost(ANALYTICS),
    get("/api/jobs", "jobs.list"),
    get("/api/jobs/{id}", "jobs.get"),
    delete("/api/jobs/{id}", "jobs.cancel"),
    get("/api/audit", "audit.list"),
    get("/api/audit/verification", "audit.verify").cost(BATCH),
];

/// What calls count as that are more than one row's work.
const SEARCH: u32 = 2;
const ANALYTICS: u32 = 5;
const BATCH: u32 = 10;

const NO_BODY: crate::route::Body = crate::route::Body::None;
const UNDER_PATCH: crate::route::Body = crate::route::Body::Under("patch");

/// Every route of an operation, in order.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().copied().flatten()
}

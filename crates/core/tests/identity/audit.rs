//! The audit log: what is told of whom, and that nobody changes it unseen (OWASP ASVS 5.0, 16.2.1, 16.3.1, 16.3.3, 16.4.2).

use std::{sync::Arc, time::Duration};

use dealwright::{
    Crm, Handle,
    domain::audit::{AuditEntry, AuditObject},
    id::Id,
    ports::store::{AuditReads, Batch, Store, Update, Write},
    scope::{Role, RoleKey},
    services::{
        audit::{AuditActor, AuditFaultKind, AuditVerification, AuditView, ListAudit},
        contacts::{DeleteContact, UpdateContact},
        identity::{ChangePassword, EnableTwoFactor, NewApiKey, NewInvitation, Origin, SignIn, SignUp},
        team::{NewRole, NewTeam, SetRole, TeamPatch, UpdateTeam},
    },
    testkit::totp_code,
};
use serde_json::{Value, json};

use crate::{PASSWORD, World, address, harness::cases};

cases!(
    a_change_is_told_with_who_what_and_before_and_after,
    what_people_edit_all_day_is_not_told,
    keys_are_named,
    sign_ins_are_told_with_where_from,
    sign_ins_are_told_with_their_factors,
    a_failed_sign_in_is_told_where_its_user_is,
    secrets_are_not_told,
    only_admins_may_look,
    filters_find_what_they_say,
    a_refused_change_is_not_told,
    an_untouched_chain_is_sound_and_says_how_far,
    an_edited_entry_is_named,
    a_removed_entry_is_named,
    an_entry_put_in_between_is_named,
    what_is_cleared_without_an_erasure_is_named,
    two_replicas_never_fork_the_chain,
);

async fn listed(by: &Handle, filter: ListAudit) -> Vec<AuditView> {
    by.audit().list(ListAudit { limit: Some(200), ..filter }).await.unwrap().data
}

async fn of_action(by: &Handle, action: &str) -> Vec<AuditView> {
    listed(by, ListAudit { action: Some(action.to_owned()), ..Default::default() }).await
}

async fn team(by: &Handle, name: &str) -> dealwright::domain::team::Team {
    by.teams().create(NewTeam { name: name.to_owned() }).await.unwrap()
}

async fn a_change_is_told_with_who_what_and_before_and_after(world: World) {
    let (max, _) = world.member("max", Role::Member).await;
    world.me.members().set_role(SetRole { id: max, role: Role::Admin.into() }).await.unwrap();
    let team = team(&world.me, "North").await;
    let patch = TeamPatch { name: dealwright::patch::Patch::Value("South".into()) };
    world.me.teams().update(UpdateTeam { id: team.id, patch, if_version: None }).await.unwrap();

    let told = of_action(&world.me, "members.set_role").await;
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((told.actor_kind, told.actor_id), (AuditActor::User, Some(id(world.una))));
    assert_eq!((told.object_kind, told.object_id), (AuditObject::Member, id(max)));
    assert_eq!(json!([told.before, told.after]), json!([{"role": "member"}, {"role": "admin"}]));
    assert_eq!((told.at, told.cleared), (world.env.now(), false));

    let told = of_action(&world.me, "teams.create").await.remove(0);
    assert_eq!(json!([told.before, told.after]), json!([null, {"name": "North"}]));
    let told = of_action(&world.me, "teams.update").await.remove(0);
    assert_eq!(json!([told.before, told.after]), json!([{"name": "North"}, {"name": "South"}]));

    let new = NewRole { name: "Closer".into(), permissions: vec!["deals:read".into()], ..NewRole::default() };
    let role = world.me.roles().create(new).await.unwrap();
    world.me.members().set_role(SetRole { id: max, role: RoleKey::Own(role.id.unwrap()).into() }).await.unwrap();
    world.me.call("roles.update", json!({"id": role.id, "patch": {"permissions": ["deals:write"]}})).await.unwrap();
    world.me.call("roles.delete", json!({"id": role.id, "members_to": "viewer"})).await.unwrap();
    let told = of_action(&world.me, "roles.update").await;
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(told.object_kind, AuditObject::Role);
    let (read, write) = (json!(["deals:read"]), json!(["deals:write"]));
    assert_eq!(json!([told.before, told.after]), json!([{"permissions": read}, {"permissions": write}]));
    let told = of_action(&world.me, "roles.delete").await;
    let seen: Vec<_> = told.iter().map(|it| json!([it.object_kind, it.before, it.after])).collect();
    let gone = json!(["role",
        {"name": "Closer", "permissions": write, "record_visibility": "organization", "fields": {}}, null]);
    let moved = json!(["member", {"role": role.id}, {"role": "viewer"}]);
    assert!(seen.len() == 2 && seen.contains(&gone) && seen.contains(&moved), "{seen:?}");
    // What the process that embeds the engine does is the system's.
    let told = of_action(&world.me, "organizations.add_member").await;
    assert!(told.iter().all(|it| it.actor_kind == AuditActor::System && it.actor_id.is_none()), "{told:?}");
    assert!(told.iter().any(|it| it.object_kind == AuditObject::Member && it.object_id == id(max)), "{told:?}");
}

async fn what_people_edit_all_day_is_not_told(world: World) {
    let before = listed(&world.me, ListAudit::default()).await.len();
    let ada = world.contact("Ada").await;
    let change = json!({"id": ada.id, "patch": {"name": "Ada L"}});
    world.me.contacts().update(serde_json::from_value::<UpdateContact>(change).unwrap()).await.unwrap();
    assert_eq!(listed(&world.me, ListAudit::default()).await.len(), before);
    world.me.contacts().delete(serde_json::from_value::<DeleteContact>(json!({"id": ada.id})).unwrap()).await.unwrap();
    world.me.contacts().restore(ada.id.into()).await.unwrap();
    let told = listed(&world.me, ListAudit { object_id: Some(id(ada.id)), ..Default::default() }).await;
    let actions: Vec<_> = told.iter().map(|it| it.action.as_str()).collect();
    assert_eq!(actions.len(), 2);
    assert!(actions.contains(&"contacts.delete") && actions.contains(&"contacts.restore"), "{actions:?}");
}

async fn keys_are_named(world: World) {
    let new = NewApiKey {
        name: "Sync".into(),
        scopes: vec!["team:write".into(), "team:read".into()],
        expires_at: None,
        acts_for: Some(world.una),
    };
    let key = world.me.api_keys().create(new).await.unwrap();
    let scope = world.crm.identity().authenticate(key.secret.as_deref().unwrap()).await.unwrap();
    team(&world.crm.with_scope(scope), "North").await;
    let told = of_action(&world.me, "teams.create").await.remove(0);
    assert_eq!((told.actor_kind, told.actor_id), (AuditActor::ApiKey, Some(id(key.id))));
    assert_eq!(told.acts_for, Some(world.una));
}

async fn sign_ins_are_told_with_where_from(world: World) {
    let signed_up = world.sign_up("una").await;
    let una = world.crm.as_user(signed_up.organization.id, signed_up.user.id).await.unwrap();
    let origin = Origin { address: Some("203.0.113.7".parse().unwrap()), user_agent: Some("Browser\u{7}/1".into()) };
    let given = || SignIn { email: address("una"), password: PASSWORD.into(), totp_code: None };
    let identity = || world.crm.identity().from_origin(&origin);
    let signed_in = identity().sign_in(given()).await.unwrap();
    let told = of_action(&una, "auth.sign_in").await.remove(0);
    assert_eq!((told.actor_id, told.object_kind), (Some(id(signed_up.user.id)), AuditObject::Session));
    assert_eq!((told.address.as_deref(), told.user_agent.as_deref()), (Some("203.0.113.7"), Some("Browser /1")));
    assert_eq!(told.after.unwrap()["factors"], json!(["password"]));

    let scope = world.crm.identity().authenticate(&signed_in.access_token).await.unwrap();
    let change = ChangePassword { current_password: PASSWORD.into(), password: "another horse battery".into() };
    identity().change_password(&scope, change).await.unwrap();
    let told = of_action(&una, "auth.change_password").await;
    let kinds: Vec<_> = told.iter().map(|it| it.object_kind).collect();
    // The password, and the session of the sign-up, which ended with it.
    assert!(kinds.contains(&AuditObject::Password) && kinds.contains(&AuditObject::Session), "{told:?}");
    identity().sign_out(scope.session_id.unwrap()).await.unwrap();
    let told = of_action(&una, "auth.sign_out").await.remove(0);
    assert_eq!((told.actor_kind, told.object_id), (AuditActor::User, id(scope.session_id.unwrap())));
    assert!(told.before.is_some_and(|it| it["revoked_at"].is_null()));
    assert!(told.after.is_some_and(|it| it["revoked_at"].is_string()));
}

/// ASVS 16.3.1.
async fn sign_ins_are_told_with_their_factors(world: World) {
    let una = world.sign_up("una").await;
    let scope = world.crm.identity().authenticate(&una.access_token).await.unwrap();
    let identity = world.crm.identity();
    let setup = identity.set_up_two_factor(&scope).await.unwrap();
    let code = |later: i64| totp_code(&setup.secret, world.env.now() + chrono::Duration::seconds(later)).unwrap();
    let codes = identity.enable_two_factor(&scope, EnableTwoFactor { code: code(0) }).await.unwrap().recovery_codes;
    for totp_code in [code(30), codes[0].clone()] {
        let given = SignIn { email: address("una"), password: PASSWORD.into(), totp_code: Some(totp_code) };
        identity.sign_in(given).await.unwrap();
    }
    let una = world.crm.with_scope(scope);
    let factors = async |action: &str| -> Vec<Value> {
        let told = of_action(&una, action).await.into_iter().filter(|it| it.object_kind == AuditObject::Session);
        told.map(|it| it.after.unwrap()["factors"].clone()).collect()
    };
    let told = factors("auth.sign_in").await;
    assert!(told.len() == 2 && told.contains(&json!(["password", "totp"])), "{told:?}");
    assert!(told.contains(&json!(["password", "recovery_code"])), "{told:?}");
    assert_eq!(factors("auth.sign_up").await, [json!(["password"])]);
    assert_eq!(factors("auth.enable_two_factor").await, [json!(["password", "totp"])]);
}

async fn a_failed_sign_in_is_told_where_its_user_is(world: World) {
    let signed_up = world.sign_up("una").await;
    let una = world.crm.as_user(signed_up.organization.id, signed_up.user.id).await.unwrap();
    let origin = Origin { address: Some("203.0.113.9".parse().unwrap()), user_agent: None };
    for name in ["nobody", "una"] {
        let given = SignIn { email: address(name), password: "wrong horse".into(), totp_code: None };
        world.crm.identity().from_origin(&origin).sign_in(given).await.unwrap_err();
    }
    // It is written beside the answer.
    let told = loop {
        let told = of_action(&una, "auth.sign_in_failed").await;
        match told.is_empty() {
            true => tokio::time::sleep(Duration::from_millis(2)).await,
            false => break told,
        }
    };
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].object_kind, told[0].object_id), (AuditObject::User, id(signed_up.user.id)));
    assert_eq!((told[0].actor_kind, told[0].address.as_deref()), (AuditActor::System, Some("203.0.113.9")));
    assert_eq!(Value::Object(told[0].details.clone()), json!({"code": "invalid_credentials"}));
}

/// ASVS 15.3.1.
async fn secrets_are_not_told(world: World) {
    let new = NewApiKey { name: "K".into(), scopes: vec!["contacts:read".into()], expires_at: None, acts_for: None };
    let key = world.me.api_keys().create(new).await.unwrap();
    let new = NewInvitation { email: "max@acme.example".into(), role: Role::Member.into(), team_id: None };
    let invitation = world.me.invitations().create(new).await.unwrap();
    let new = SignUp {
        email: "max@acme.example".into(),
        password: PASSWORD.into(),
        name: "Max".into(),
        organization_name: None,
        invite_token: invitation.token.clone(),
    };
    let signed_in = world.crm.identity().sign_up(new).await.unwrap();
    world.me.api_keys().revoke(key.id).await.unwrap();
    let all = listed(&world.me, ListAudit::default()).await;
    let text = serde_json::to_string(&all).unwrap();
    let secrets = [key.secret, invitation.token, Some(signed_in.refresh_token), Some(PASSWORD.to_owned())];
    for secret in secrets.into_iter().flatten().chain(["hash".to_owned(), "argon2".to_owned(), "sealed".to_owned()]) {
        assert!(!text.contains(&secret), "{secret} in {text}");
    }
    for action in ["api_keys.create", "api_keys.revoke", "invitations.create", "auth.sign_up"] {
        assert!(all.iter().any(|it| it.action == action), "{action} is not told");
    }
}

async fn only_admins_may_look(world: World) {
    for (name, role) in [("max", Role::Manager), ("ida", Role::Member), ("ole", Role::Viewer)] {
        let (_, handle) = world.member(name, role).await;
        for code in
            [handle.audit().list(ListAudit::default()).await.unwrap_err(), handle.audit().verify(()).await.unwrap_err()]
        {
            assert_eq!(code.code(), "forbidden");
        }
    }
    let (_, admin) = world.member("eva", Role::Admin).await;
    assert!(!listed(&admin, ListAudit::default()).await.is_empty());
    let (_, other) = world.other_organization().await;
    let ours: Vec<_> = listed(&world.me, ListAudit::default()).await.into_iter().map(|it| it.id).collect();
    assert!(listed(&other, ListAudit::default()).await.iter().all(|it| !ours.contains(&it.id)));
}

/// What the entries that a filter finds are about.
async fn objects(world: &World, filter: ListAudit) -> Vec<uuid::Uuid> {
    listed(&world.me, filter).await.into_iter().map(|it| it.object_id).collect()
}

async fn filters_find_what_they_say(world: World) {
    world.later(60);
    let from = world.env.now();
    let mut teams = Vec::new();
    for number in 0..5 {
        teams.push(team(&world.me, &format!("Team {number}")).await);
        world.later(60);
    }
    let all: Vec<_> = teams.iter().rev().map(|team| id(team.id)).collect();
    assert_eq!(objects(&world, ListAudit { action: Some("teams.create".into()), ..Default::default() }).await, all);
    assert_eq!(objects(&world, ListAudit { object_kind: Some(AuditObject::Team), ..Default::default() }).await, all);
    assert_eq!(objects(&world, ListAudit { actor_id: Some(id(world.una)), ..Default::default() }).await, all);
    assert_eq!(objects(&world, ListAudit { object_id: Some(all[2]), ..Default::default() }).await, [all[2]]);
    let to = from + chrono::Duration::seconds(120);
    assert_eq!(objects(&world, ListAudit { from: Some(from), to: Some(to), ..Default::default() }).await, all[3..]);
    assert!(objects(&world, ListAudit { action: Some("teams.delete".into()), ..Default::default() }).await.is_empty());
    // Page by page.
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let input = ListAudit { object_kind: Some(AuditObject::Team), limit: Some(2), cursor, ..Default::default() };
        let page = world.me.audit().list(input).await.unwrap();
        found.extend(page.data.iter().map(|it| it.object_id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, all);
}

async fn a_refused_change_is_not_told(world: World) {
    team(&world.me, "North").await;
    world.me.teams().create(NewTeam { name: "north".into() }).await.unwrap_err();
    assert_eq!(of_action(&world.me, "teams.create").await.len(), 1);
}

fn id(id: impl Id) -> uuid::Uuid {
    id.uuid()
}

/// Ten changes, sealed.
async fn sealed(world: &World) -> Vec<AuditEntry> {
    for number in 0..10 {
        team(&world.me, &format!("Team {number}")).await;
    }
    world.crm.runtime().drain().await.unwrap();
    let entries = world.store.sealed_entries(world.organization, 0, 500).await.unwrap();
    assert!(verified(world).await.sound && entries.len() > 10);
    entries
}

async fn verified(world: &World) -> AuditVerification {
    world.me.audit().verify(()).await.unwrap()
}

/// As somebody does who can write the database.
async fn tamper(world: &World, writes: impl IntoIterator<Item = Write>) {
    world.let_log_be_rewritten();
    let mut batch = Batch::default();
    for write in writes {
        batch.note(write).unwrap();
    }
    world.store.commit(world.organization, batch).await.unwrap();
}

/// What the verifier names; and that all before it is sound.
async fn fault(world: &World) -> (AuditFaultKind, i64, Option<dealwright::id::AuditEntryId>) {
    let found = verified(world).await;
    let fault = found.fault.clone().unwrap_or_else(|| panic!("nothing was found: {found:?}"));
    assert!(!found.sound && fault.detail.contains(&fault.seq.to_string()), "{found:?}");
    (fault.kind, fault.seq, fault.entry_id)
}

async fn an_untouched_chain_is_sound_and_says_how_far(world: World) {
    let waiting = verified(&world).await;
    assert_eq!((waiting.sound, waiting.sealed, waiting.head), (true, 0, None));
    assert!(waiting.waiting > 0);
    let entries = sealed(&world).await;
    team(&world.me, "Late").await;
    let found = verified(&world).await;
    let count = entries.len() as i64;
    assert_eq!((found.sound, found.sealed, found.sound_to, found.waiting), (true, count, count, 1), "{found:?}");
    assert_eq!(entries.iter().map(|it| it.seq).collect::<Vec<_>>(), (1..=count).map(Some).collect::<Vec<_>>());
    // Each behind the one before it, in the order of time.
    assert!(entries.windows(2).all(|pair| (pair[0].at, pair[0].id) < (pair[1].at, pair[1].id)));
    world.crm.runtime().drain().await.unwrap();
    let later = verified(&world).await;
    assert_eq!((later.sealed, later.waiting), (count + 1, 0));
    assert_ne!(later.head, found.head);
}

async fn an_edited_entry_is_named(world: World) {
    let entries = sealed(&world).await;
    let last = entries.len() - 1;
    for place in [0, 4, last] {
        let entry = &entries[place];
        let seq = entry.seq.unwrap();
        let update = || Update::of(entry);
        let edits = [
            update().set("action", &"teams.delete".to_owned()),
            update().set("at", &(entry.at + chrono::Duration::seconds(1))),
            update().set("actor_id", &Some(uuid::Uuid::from_u128(1))),
            update().set("object_id", &uuid::Uuid::from_u128(1)),
            update().set("payload", &Some(r#"{"salt":"0"}"#.to_owned())),
            update().set("payload_digest", &vec![0_u8; 32]),
        ];
        for edit in edits {
            let columns: Vec<_> = edit.set.iter().map(|(column, _)| *column).collect();
            tamper(&world, [Write::Update(edit)]).await;
            assert_eq!(fault(&world).await, (AuditFaultKind::Edited, seq, Some(entry.id)), "{columns:?} of {seq}");
            tamper(&world, [Write::put(entry)]).await;
            assert!(verified(&world).await.sound);
        }
    }
}

async fn a_removed_entry_is_named(world: World) {
    let entries = sealed(&world).await;
    let last = entries.len() - 1;
    for place in [0, 4, last] {
        let entry = &entries[place];
        tamper(&world, [Write::delete(entry)]).await;
        assert_eq!(fault(&world).await, (AuditFaultKind::Removed, entry.seq.unwrap(), None));
        tamper(&world, [Write::insert(entry)]).await;
        assert!(verified(&world).await.sound);
    }
    tamper(&world, entries.iter().map(Write::delete)).await;
    assert_eq!(fault(&world).await, (AuditFaultKind::Removed, 1, None));
}

/// Makes room for another entry as number `seq`.
fn moved_up(entries: &[AuditEntry], seq: i64) -> Vec<Write> {
    let later = entries.iter().rev().filter(|entry| entry.seq >= Some(seq));
    later.map(|entry| Write::Update(Update::of(entry).set("seq", &entry.seq.map(|seq| seq + 1)))).collect()
}

async fn an_entry_put_in_between_is_named(world: World) {
    let entries = sealed(&world).await;
    let count = entries.len() as i64;
    let put_back = |forged: &AuditEntry| -> Vec<Write> {
        let back = entries.iter().map(|entry| Write::Update(Update::of(entry).set("seq", &entry.seq)));
        [Write::delete(forged)].into_iter().chain(back).collect()
    };
    for seq in [1, 5, count, count + 1] {
        let previous = match seq {
            1 => vec![0; 32],
            seq => entries[seq as usize - 2].seal.clone().unwrap(),
        };
        let forged = AuditEntry { id: uuid::Uuid::from_u128(7).into(), seq: Some(seq), ..entries[3].clone() };
        let fitting = Some(forged.seal_behind(&previous, seq));
        // With a seal out of the air, and with one that fits, which anybody can make.
        for seal in [Some(vec![7; 32]), fitting] {
            let forged = AuditEntry { seal, ..forged.clone() };
            let writes = moved_up(&entries, seq).into_iter().chain([Write::insert(&forged)]);
            tamper(&world, writes).await;
            assert_eq!(fault(&world).await, (AuditFaultKind::Inserted, seq, Some(forged.id)));
            tamper(&world, put_back(&forged)).await;
            assert!(verified(&world).await.sound);
        }
    }
}

/// What is cleared by an erasure still verifies; that somebody cleared it otherwise is found (ASVS 16.4.2).
async fn what_is_cleared_without_an_erasure_is_named(world: World) {
    let contact = world.contact("Ada").await;
    world.me.contacts().delete(DeleteContact { id: contact.id, if_version: None }).await.unwrap();
    let entries = sealed(&world).await;
    let team = entries.iter().find(|it| it.object_kind == AuditObject::Team).unwrap();
    let of_contact = entries.iter().find(|it| it.object_kind == AuditObject::Contact).unwrap();
    let cleared = |entry: &AuditEntry| {
        let update = Update::of(entry).set("payload", &None::<String>).set("sealed", &None::<Vec<u8>>);
        Write::Update(update)
    };
    for entry in [team, of_contact] {
        tamper(&world, [cleared(entry)]).await;
        assert_eq!(fault(&world).await, (AuditFaultKind::Cleared, entry.seq.unwrap(), Some(entry.id)));
        assert_eq!(verified(&world).await.sound_to, entry.seq.unwrap() - 1);
        tamper(&world, [Write::put(entry)]).await;
        assert!(verified(&world).await.sound);
    }
    world.me.contacts().erase(contact.id).await.unwrap();
    // Before the erasure is sealed, and since.
    tamper(&world, [cleared(of_contact)]).await;
    assert_eq!((verified(&world).await.sound, verified(&world).await.cleared), (true, 1));
    world.crm.runtime().drain().await.unwrap();
    let found = verified(&world).await;
    assert_eq!((found.sound, found.cleared, found.waiting, found.fault), (true, 1, 0, None));
    let told = listed(&world.me, ListAudit { object_id: Some(contact.id.uuid()), ..Default::default() }).await;
    let (erasure, deletion) = (&told[0], told.last().unwrap());
    assert_eq!((erasure.action.as_str(), erasure.object_kind), ("contacts.erase", AuditObject::Erasure));
    assert!(deletion.cleared && deletion.after.is_none() && deletion.action == "contacts.delete", "{told:?}");
    // Nobody else's.
    tamper(&world, [cleared(team)]).await;
    assert_eq!(fault(&world).await.0, AuditFaultKind::Cleared);
    // The salt that made its digest is gone with it: what it was cannot be tried out.
    let guess = r#"{"after":{"name":"Team 0"}}"#;
    assert_ne!(dealwright::domain::audit::payload_digest(guess), team.payload_digest);
}

async fn two_replicas_never_fork_the_chain(world: World) {
    let replica = || async {
        let store: Arc<dyn Store> = world.store.clone();
        Crm::builder().store(store).env(world.env.clone()).build().await.unwrap()
    };
    let replicas = [replica().await, replica().await, replica().await];
    for round in 0..4 {
        let changes = (0..10).map(|number| {
            let me = replicas[number % 3].with_scope(world.me.scope().clone());
            async move { team(&me, &format!("Team {round}.{number}")).await }
        });
        let seals = replicas.iter().map(|crm| async { crm.runtime().drain().await.unwrap() });
        futures::join!(futures::future::join_all(changes), futures::future::join_all(seals));
    }
    // Whoever was too slow comes again.
    world.later(30);
    let seals = replicas.iter().map(|crm| async { crm.runtime().drain().await.unwrap() });
    futures::future::join_all(seals).await;
    let found = verified(&world).await;
    let all = world.store.sealed_entries(world.organization, 0, 500).await.unwrap();
    assert_eq!((found.sound, found.waiting, found.sealed), (true, 0, all.len() as i64), "{found:?}");
    assert_eq!(all.iter().filter(|it| it.action == "teams.create").count(), 40);
}

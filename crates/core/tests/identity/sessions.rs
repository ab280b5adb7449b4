//! Sessions (OWASP ASVS 5.0, 7.4 and 7.5): who sees them and who ends them.

use dealwright::{
    Handle,
    id::{Id, OrganizationId, SessionId, UserId},
    page::PageRequest,
    scope::Role,
    services::{
        audit::ListAudit,
        identity::{ListMemberSessions, NewUser, Origin, Refresh, SessionView, SignIn, SignedIn, Switch},
    },
};
use serde_json::json;

use crate::{
    PASSWORD, World, address,
    harness::{cases, world::refused},
};

cases!(
    a_person_sees_where_they_are_signed_in,
    sessions_are_paged_newest_first,
    a_session_that_is_ended_is_refused_at_the_next_call,
    somebody_elses_session_is_none,
    ending_the_others_leaves_this_one,
    an_admin_ends_the_sessions_of_a_member_here_alone,
    nobody_looks_at_sessions_of_those_above_them,
    what_a_client_calls_itself_is_kept_as_one_short_line,
);

async fn sign_in(world: &World, name: &str, origin: &Origin) -> SignedIn {
    let given = SignIn { email: address(name), password: PASSWORD.to_owned(), totp_code: None };
    world.later(1);
    world.crm.identity().from_origin(origin).sign_in(given).await.unwrap()
}

fn origin(address: &str, user_agent: &str) -> Origin {
    Origin { address: Some(address.parse().unwrap()), user_agent: Some(user_agent.to_owned()) }
}

/// The handle of somebody's session, as a door makes it at each call.
async fn handle(world: &World, signed_in: &SignedIn) -> Handle {
    world.crm.with_scope(world.crm.identity().authenticate(&signed_in.access_token).await.unwrap())
}

async fn sessions(handle: &Handle) -> Vec<SessionView> {
    handle.sessions().list(PageRequest { limit: Some(200), cursor: None }).await.unwrap().data
}

async fn current(handle: &Handle) -> SessionId {
    sessions(handle).await.iter().find(|it| it.current).unwrap().id
}

async fn a_person_sees_where_they_are_signed_in(world: World) {
    let begun = world.env.now();
    let first = world.sign_up("una").await;
    let second = sign_in(&world, "una", &origin("203.0.113.7", "Firefox/145")).await;
    sign_in(&world, "una", &Origin::default()).await;
    world.sign_up("max").await;
    world.later(600);
    let second = world.crm.identity().refresh(Refresh { refresh_token: second.refresh_token.clone() }).await.unwrap();

    let una = handle(&world, &second).await;
    let all = sessions(&una).await;
    let shown: Vec<_> = all.iter().map(|it| (it.current, it.address.as_deref(), it.user_agent.as_deref())).collect();
    assert_eq!(shown, [(false, None, None), (true, Some("203.0.113.7"), Some("Firefox/145")), (false, None, None)]);
    assert_eq!((all[2].created_at, all[2].refreshed_at, all[2].organization_id), (begun, begun, first.organization.id));
    assert_eq!((all[1].refreshed_at, all[1].created_at < all[1].refreshed_at), (world.env.now(), true));
    // A process that embeds the engine is nobody's session.
    let embedded = world.crm.as_user(first.organization.id, first.user.id).await.unwrap();
    assert!(sessions(&embedded).await.iter().all(|it| !it.current));
    // Neither one that was ended is shown, nor one that has run out.
    una.sessions().revoke(all[0].id).await.unwrap();
    assert_eq!(sessions(&una).await.len(), 2);
    world.later(30 * 86_400 - 600);
    let again = sign_in(&world, "una", &Origin::default()).await;
    let left: Vec<_> = sessions(&handle(&world, &again).await).await.iter().map(|it| it.id).collect();
    assert_eq!((left.len(), left[1]), (2, all[1].id));
}

async fn sessions_are_paged_newest_first(world: World) {
    let una = world.sign_up("una").await;
    for _ in 0..4 {
        sign_in(&world, "una", &Origin::default()).await;
    }
    let una = handle(&world, &una).await;
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = una.sessions().list(PageRequest { limit: Some(2), cursor }).await.unwrap();
        found.extend(page.data.into_iter().map(|it| it.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, sessions(&una).await.iter().map(|it| it.id).collect::<Vec<_>>());
    assert!(found.len() == 5 && found.is_sorted_by(|a, b| a > b));
}

async fn a_session_that_is_ended_is_refused_at_the_next_call(world: World) {
    let here = world.sign_up("una").await;
    let there = sign_in(&world, "una", &Origin::default()).await;
    let id = current(&handle(&world, &there).await).await;
    let una = handle(&world, &here).await;
    una.sessions().revoke(id).await.unwrap();
    let identity = world.crm.identity();
    refused(identity.authenticate(&there.access_token).await, 401, "session_ended");
    let refreshed = identity.refresh(Refresh { refresh_token: there.refresh_token }).await;
    refused(refreshed, 401, "invalid_refresh_token");
    refused(una.sessions().revoke(id).await, 404, "not_found");
    // One's own too: it is signing out.
    una.sessions().revoke(current(&una).await).await.unwrap();
    refused(identity.authenticate(&here.access_token).await, 401, "session_ended");
}

async fn somebody_elses_session_is_none(world: World) {
    let una = world.sign_up("una").await;
    let max = NewUser { email: address("max"), name: "Max".to_owned(), password: Some(PASSWORD.to_owned()) };
    world.crm.organizations().add_member(una.organization.id, max, Role::Admin).await.unwrap();
    let max = sign_in(&world, "max", &Origin::default()).await;
    let (una_now, max_now) = (handle(&world, &una).await, handle(&world, &max).await);
    refused(max_now.sessions().revoke(current(&una_now).await).await, 404, "not_found");
    max_now.sessions().revoke_others(()).await.unwrap();
    world.crm.identity().authenticate(&una.access_token).await.unwrap();
    // Nor has the organisation itself any.
    let organization = world.crm.as_system(una.organization.id);
    refused(organization.sessions().list(PageRequest::default()).await, 403, "forbidden");
}

async fn ending_the_others_leaves_this_one(world: World) {
    let una = world.sign_up("una").await;
    let (other, owner) = world.other_organization().await;
    let joined = NewUser { email: address("una"), name: "Una".to_owned(), password: None };
    world.crm.organizations().add_member(other, joined, Role::Member).await.unwrap();
    drop(owner);
    let here = sign_in(&world, "una", &Origin::default()).await;
    let scope = world.crm.identity().authenticate(&una.access_token).await.unwrap();
    let elsewhere = world.crm.identity().switch(&scope, Switch { organization_id: other }).await.unwrap();

    let una_here = handle(&world, &here).await;
    una_here.sessions().revoke_others(()).await.unwrap();
    for ended in [&una, &elsewhere] {
        refused(world.crm.identity().authenticate(&ended.access_token).await, 401, "session_ended");
    }
    assert!(sessions(&una_here).await.iter().map(|it| it.current).eq([true]));
    world.crm.identity().authenticate(&here.access_token).await.unwrap();
}

async fn joining(world: &World, organization: OrganizationId, name: &str, role: Role) -> SignedIn {
    let new = NewUser { email: address(name), name: name.to_owned(), password: Some(PASSWORD.to_owned()) };
    world.crm.organizations().add_member(organization, new, role).await.unwrap();
    sign_in(world, name, &origin("203.0.113.7", "Firefox/145")).await
}

fn of(id: UserId) -> ListMemberSessions {
    ListMemberSessions { id, limit: None, cursor: None }
}

/// ASVS 7.4.5.
async fn an_admin_ends_the_sessions_of_a_member_here_alone(world: World) {
    let una = world.sign_up("una").await;
    let bo = joining(&world, una.organization.id, "bo", Role::Member).await;
    let ann = joining(&world, una.organization.id, "ann", Role::Admin).await;
    let again = sign_in(&world, "bo", &Origin::default()).await;
    let (other, _) = world.other_organization().await;
    let joined = NewUser { email: address("bo"), name: "Bo".to_owned(), password: None };
    world.crm.organizations().add_member(other, joined, Role::Member).await.unwrap();
    let scope = handle(&world, &bo).await.scope().clone();
    let elsewhere = world.crm.identity().switch(&scope, Switch { organization_id: other }).await.unwrap();

    let admin = handle(&world, &ann).await;
    let first = admin.members().sessions(ListMemberSessions { limit: Some(1), ..of(bo.user.id) }).await.unwrap();
    let second = ListMemberSessions { limit: Some(1), cursor: first.next_cursor.clone(), ..of(bo.user.id) };
    let second = admin.members().sessions(second).await.unwrap();
    let shown: Vec<_> = first.data.iter().chain(&second.data).map(|it| (it.current, it.address.as_deref())).collect();
    assert_eq!((shown, second.next_cursor), (vec![(false, None), (false, Some("203.0.113.7"))], None));

    let mut bus = world.crm.events();
    admin.members().sign_out(bo.user.id).await.unwrap();
    for ended in [&bo, &again] {
        refused(world.crm.identity().authenticate(&ended.access_token).await, 401, "session_ended");
        let refreshed = world.crm.identity().refresh(Refresh { refresh_token: ended.refresh_token.clone() }).await;
        refused(refreshed, 401, "invalid_refresh_token");
    }
    for goes_on in [&una, &ann, &elsewhere] {
        world.crm.identity().authenticate(&goes_on.access_token).await.unwrap();
    }
    assert_eq!(admin.members().sessions(of(bo.user.id)).await.unwrap().data, []);
    // The log tells who it was; listeners are told as of somebody who leaves.
    let told = admin.audit().list(ListAudit { action: Some("members.sign_out".into()), ..Default::default() }).await;
    let told = told.unwrap().data;
    assert_eq!((told.len(), told[0].actor_id), (2, Some(ann.user.id.uuid())));
    // What ends nothing tells nothing.
    admin.members().sign_out(bo.user.id).await.unwrap();
    world.crm.runtime().drain().await.unwrap();
    let heard: Vec<_> = std::iter::from_fn(|| bus.try_recv().ok()).collect();
    let heard: Vec<_> = heard.iter().filter(|it| it.data.get("what") == Some(&json!("member.signed_out"))).collect();
    assert_eq!((heard.len(), &heard[0].data["user_id"]), (1, &json!(bo.user.id)));
    // Whoever was only signed out comes back.
    let back = sign_in(&world, "bo", &Origin::default()).await;
    world.crm.identity().authenticate(&back.access_token).await.unwrap();
}

/// ASVS 7.4.5 and 8.2.2.
async fn nobody_looks_at_sessions_of_those_above_them(world: World) {
    let una = world.sign_up("una").await;
    let ann = joining(&world, una.organization.id, "ann", Role::Admin).await;
    let bo = joining(&world, una.organization.id, "bo", Role::Manager).await;
    let eve = world.sign_up("eve").await;
    let (admin, manager) = (handle(&world, &ann).await, handle(&world, &bo).await);
    refused(admin.members().sessions(of(una.user.id)).await, 403, "forbidden");
    refused(admin.members().sign_out(una.user.id).await, 403, "forbidden");
    refused(manager.members().sessions(of(bo.user.id)).await, 403, "forbidden");
    refused(manager.members().sign_out(ann.user.id).await, 403, "forbidden");
    refused(admin.members().sessions(of(eve.user.id)).await, 404, "not_found");
    refused(admin.members().sign_out(eve.user.id).await, 404, "not_found");
    for stands in [&una, &ann, &bo, &eve] {
        world.crm.identity().authenticate(&stands.access_token).await.unwrap();
    }
    let owner = handle(&world, &una).await;
    assert_eq!(owner.members().sessions(of(ann.user.id)).await.unwrap().data.len(), 1);
    owner.members().sign_out(ann.user.id).await.unwrap();
    refused(world.crm.identity().authenticate(&ann.access_token).await, 401, "session_ended");
}

/// OWASP ASVS 16.4.1: nothing that a client sends begins a line of its own.
async fn what_a_client_calls_itself_is_kept_as_one_short_line(world: World) {
    world.sign_up("una").await;
    let odd = format!("A\r\nSet-Cookie: x=1\u{202e}\u{0}{}", "z".repeat(1_000));
    let una = sign_in(&world, "una", &origin("2001:db8::7", &odd)).await;
    let session = sessions(&handle(&world, &una).await).await.remove(0);
    let kept = session.user_agent.unwrap();
    assert!(kept.starts_with("A  Set-Cookie: x=1 zzz") && kept.chars().count() == 300, "{kept:?}");
    assert_eq!(session.address.as_deref(), Some("2001:db8::7"));
}

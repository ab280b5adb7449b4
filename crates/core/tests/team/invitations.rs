//! Inviting, accepting, taking back.

use dealwright::{
    Error, Result,
    domain::job::JobState,
    id::OrganizationId,
    page::PageRequest,
    ports::store::{Batch, JobReads, Store, Update, Write},
    scope::{Role, Scope},
    services::{
        identity::{AcceptInvitation, InvitationView, NewInvitation, NewUser, SignUp, SignedIn, Switch},
        organization::Belonging,
    },
};
use serde_json::{Value, json};

use crate::{
    World, cases,
    world::{pointers, refused},
};

cases![
    an_invitation_is_mailed_and_its_token_shown_once,
    a_replay_does_not_show_the_token_again,
    whoever_is_invited_signs_up_as_a_member_of_the_team,
    somebody_with_an_account_accepts_and_switches,
    of_two_who_accept_at_once_one_does,
    a_token_counts_for_its_address_alone,
    an_invitation_runs_out,
    an_invitation_is_taken_back_and_replaced,
    nobody_gives_more_than_they_have,
    an_inviter_who_left_invites_nobody,
    a_member_is_not_invited,
    invitations_are_listed_by_what_became_of_them,
    signing_up_needs_one_of_the_two,
    a_mail_that_fails_is_tried_again,
    a_mail_copied_into_another_job_goes_to_nobody,
];

fn to(email: &str, role: Role) -> NewInvitation {
    NewInvitation { email: email.to_owned(), role: role.into(), team_id: None }
}

async fn invite(world: &World, email: &str) -> InvitationView {
    world.me.invitations().create(to(email, Role::Member)).await.unwrap()
}

fn token(invitation: &InvitationView) -> String {
    invitation.token.clone().unwrap()
}

async fn sign_up(world: &World, email: &str, token: &str) -> Result<SignedIn> {
    let new = SignUp {
        email: email.to_owned(),
        password: "correct horse".to_owned(),
        name: "Max".to_owned(),
        organization_name: None,
        invite_token: Some(token.to_owned()),
    };
    world.crm.identity().sign_up(new).await
}

/// Somebody in an organisation of their own: `max@people.example`.
async fn stranger(world: &World) -> Scope {
    let (organization, _) = world.other_organization().await;
    let new = NewUser { email: "max@people.example".into(), name: "Max".into(), password: None };
    let max = world.crm.organizations().add_member(organization, new, Role::Member).await.unwrap();
    Scope::user(organization, max.user_id, Role::Member)
}

async fn accept(world: &World, by: &Scope, token: &str) -> Result<Belonging, Error> {
    world.crm.identity().accept_invitation(by, AcceptInvitation { token: token.to_owned() }).await
}

/// ASVS 6.4.1.
async fn an_invitation_is_mailed_and_its_token_shown_once(world: World) {
    let made = world.ask("invitations.create", json!({ "email": " Max@People.example", "role": "member" })).await;
    let secret = made["token"].as_str().unwrap().to_owned();
    assert_eq!((&made["email"], &made["status"]), (&json!("max@people.example"), &json!("pending")));
    assert_eq!(made["expires_at"], "2026-11-29T12:00:00Z");
    assert!(secret.len() >= 43, "256 bits");
    for shown in [
        world.ask("invitations.get", made["id"].clone()).await,
        world.ask("invitations.list", json!({})).await["data"][0].clone(),
    ] {
        assert_eq!((&shown["id"], &shown["token"]), (&made["id"], &Value::Null));
    }
    assert!(!format!("{:?}", world.events(world.organization).await).contains(&secret));
    world.settle().await;
    let mails = world.outbox.to("max@people.example");
    assert_eq!(mails.len(), 1);
    assert!(mails[0].text.contains(&format!("https://crm.acme.example/#/invitation/{secret}")), "{}", mails[0].text);
    assert!(mails[0].subject.contains("Acme"));
}

async fn a_replay_does_not_show_the_token_again(world: World) {
    let input = json!({ "email": "max@people.example", "role": "member" });
    let mut answers = Vec::new();
    for _ in 0..2 {
        let handle = world.me.clone().with_idempotency_key("k");
        answers.push(handle.call("invitations.create", input.clone()).await.unwrap());
    }
    assert!(answers[0]["token"].is_string());
    assert_eq!((&answers[1]["id"], &answers[1]["token"]), (&answers[0]["id"], &Value::Null));
}

async fn whoever_is_invited_signs_up_as_a_member_of_the_team(world: World) {
    let team = world.team("Closers", &[]).await;
    let input = json!({ "email": "max@people.example", "role": "manager", "team_id": team });
    let made = world.ask("invitations.create", input).await;
    let signed_in = sign_up(&world, "Max@people.example", made["token"].as_str().unwrap()).await.unwrap();
    assert_eq!(signed_in.organization.id, world.organization);
    let scope = world.crm.identity().authenticate(&signed_in.access_token).await.unwrap();
    assert_eq!((scope.organization_id, scope.role), (world.organization, Some(Role::Manager.into())));
    let member = world.ask("members.get", json!(signed_in.user.id)).await;
    assert_eq!((&member["role"], &member["team_ids"]), (&json!("manager"), &json!([team])));
    assert_eq!(world.ask("invitations.get", made["id"].clone()).await["status"], "accepted");
    let again = sign_up(&world, "max@people.example", made["token"].as_str().unwrap()).await;
    refused(again, 409, "invitation_accepted");
}

async fn somebody_with_an_account_accepts_and_switches(world: World) {
    let max = stranger(&world).await;
    let made = invite(&world, "max@people.example").await;
    refused(sign_up(&world, "max@people.example", &token(&made)).await, 409, "email_taken");
    let switch =
        async |organization_id: OrganizationId| world.crm.identity().switch(&max, Switch { organization_id }).await;
    refused(switch(world.organization).await, 404, "not_found");
    world.later(1);
    let joined = accept(&world, &max, &token(&made)).await.unwrap();
    assert_eq!((joined.organization.id, joined.role), (world.organization, Role::Member.into()));
    refused(accept(&world, &max, &token(&made)).await, 409, "invitation_accepted");

    let here = world.crm.as_user(max.organization_id, max.user_id().unwrap()).await.unwrap();
    let all = here.call("organizations.list", Value::Null).await.unwrap();
    let all: Vec<_> = all["data"].as_array().unwrap().iter().map(|it| (it["id"].clone(), it["role"].clone())).collect();
    let member = json!("member");
    assert_eq!(all, [(json!(max.organization_id), member.clone()), (json!(world.organization), member)]);

    let there = switch(world.organization).await.unwrap();
    let scope = world.crm.identity().authenticate(&there.access_token).await.unwrap();
    assert_eq!(scope.organization_id, world.organization);
    refused(switch(world.env.id().unwrap()).await, 404, "not_found");
}

/// ASVS 2.3.4.
async fn of_two_who_accept_at_once_one_does(world: World) {
    let made = invite(&world, "max@people.example").await;
    let secret = token(&made);
    let (one, two) =
        tokio::join!(sign_up(&world, "max@people.example", &secret), sign_up(&world, "max@people.example", &secret));
    let codes: Vec<_> = [one, two].into_iter().filter_map(Result::err).map(|it| it.code().to_owned()).collect();
    assert_eq!(codes.len(), 1);
    assert!(["invitation_accepted", "email_taken"].contains(&codes[0].as_str()), "{codes:?}");
    assert_eq!(world.me.members().list(Default::default()).await.unwrap().data.len(), 2);
}

/// ASVS 6.4.1.
async fn a_token_counts_for_its_address_alone(world: World) {
    let max = stranger(&world).await;
    let made = invite(&world, "eve@people.example").await;
    refused(accept(&world, &max, &token(&made)).await, 403, "wrong_address");
    refused(sign_up(&world, "mallory@people.example", &token(&made)).await, 403, "wrong_address");
    let unknown = pointers(accept(&world, &max, "made-up").await);
    assert_eq!(unknown, [("/token".to_owned(), "unknown".to_owned())]);
    let unknown = pointers(sign_up(&world, "eve@people.example", "made-up").await);
    assert_eq!(unknown, [("/invite_token".to_owned(), "unknown".to_owned())]);
    assert_eq!(world.me.members().list(Default::default()).await.unwrap().data.len(), 1);
}

/// ASVS 6.4.1.
async fn an_invitation_runs_out(world: World) {
    let made = invite(&world, "max@people.example").await;
    world.later(7 * 24 * 3600 - 1);
    assert_eq!(world.me.invitations().get(made.id).await.unwrap().status.as_str(), "pending");
    world.later(1);
    assert_eq!(world.me.invitations().get(made.id).await.unwrap().status.as_str(), "expired");
    refused(sign_up(&world, "max@people.example", &token(&made)).await, 409, "invitation_expired");
    // The address may be invited anew.
    let again = invite(&world, "max@people.example").await;
    sign_up(&world, "max@people.example", &token(&again)).await.unwrap();
}

async fn an_invitation_is_taken_back_and_replaced(world: World) {
    let first = invite(&world, "max@people.example").await;
    world.me.invitations().revoke(first.id).await.unwrap();
    world.me.invitations().revoke(first.id).await.unwrap();
    refused(sign_up(&world, "max@people.example", &token(&first)).await, 409, "invitation_revoked");
    let second = invite(&world, "max@people.example").await;
    let third = invite(&world, "MAX@people.example").await;
    refused(sign_up(&world, "max@people.example", &token(&second)).await, 409, "invitation_revoked");
    sign_up(&world, "max@people.example", &token(&third)).await.unwrap();
    refused(world.me.invitations().revoke(third.id).await, 409, "invitation_accepted");
    let (_, them) = world.other_organization().await;
    refused(them.invitations().revoke(first.id).await, 404, "not_found");
    refused(them.invitations().get(first.id).await, 404, "not_found");
}

async fn nobody_gives_more_than_they_have(world: World) {
    let (_, admin) = world.member("ann", Role::Admin).await;
    refused(admin.invitations().create(to("max@people.example", Role::Owner)).await, 403, "forbidden");
    admin.invitations().create(to("max@people.example", Role::Admin)).await.unwrap();
    let (_, manager) = world.member("mo", Role::Manager).await;
    refused(manager.invitations().create(to("eve@people.example", Role::Viewer)).await, 403, "forbidden");
    let (_, them) = world.other_organization().await;
    let theirs = them.call("teams.create", json!({ "name": "Theirs" })).await.unwrap()["id"].clone();
    let input = json!({ "email": "nobody", "role": "member", "team_id": theirs });
    let wrong = pointers(world.me.call("invitations.create", input).await);
    assert_eq!(wrong, [("/email".to_owned(), "invalid".to_owned()), ("/team_id".to_owned(), "unknown".to_owned())]);
}

async fn an_inviter_who_left_invites_nobody(world: World) {
    let (ann, admin) = world.member("ann", Role::Admin).await;
    let made = admin.invitations().create(to("max@people.example", Role::Admin)).await.unwrap();
    world.ask("members.set_role", json!({ "id": ann, "role": "member" })).await;
    refused(sign_up(&world, "max@people.example", &token(&made)).await, 409, "invitation_revoked");
    world.ask("members.remove", json!({ "id": ann })).await;
    refused(sign_up(&world, "max@people.example", &token(&made)).await, 409, "invitation_revoked");
}

async fn a_member_is_not_invited(world: World) {
    world.member("bo", Role::Member).await;
    refused(world.me.invitations().create(to("bo@people.example", Role::Admin)).await, 409, "already_member");
}

async fn invitations_are_listed_by_what_became_of_them(world: World) {
    let mut made = Vec::new();
    for n in 0..5 {
        world.later(1);
        made.push(invite(&world, &format!("guest{n}@people.example")).await);
    }
    world.later(6 * 24 * 3600);
    world.me.invitations().revoke(made[0].id).await.unwrap();
    sign_up(&world, "guest1@people.example", &token(&made[1])).await.unwrap();
    let late = invite(&world, "late@people.example").await;
    world.later(2 * 24 * 3600);
    for (status, expected) in [
        (json!("revoked"), vec![made[0].id]),
        (json!("accepted"), vec![made[1].id]),
        (json!("expired"), vec![made[4].id, made[3].id, made[2].id]),
        (json!("pending"), vec![late.id]),
        (Value::Null, vec![late.id, made[4].id, made[3].id, made[2].id, made[1].id, made[0].id]),
    ] {
        let (mut found, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let input = json!({ "status": status, "limit": 2, "cursor": cursor });
            let page = world.ask("invitations.list", input).await;
            found.extend(page["data"].as_array().unwrap().iter().map(|it| it["id"].clone()));
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(found, expected.iter().map(|id| json!(id)).collect::<Vec<_>>(), "{status}");
    }
}

/// ASVS 2.2.3.
async fn signing_up_needs_one_of_the_two(world: World) {
    let new = |organization_name: Option<&str>, invite_token: Option<&str>| SignUp {
        email: "max@people.example".to_owned(),
        password: "correct horse".to_owned(),
        name: "Max".to_owned(),
        organization_name: organization_name.map(str::to_owned),
        invite_token: invite_token.map(str::to_owned),
    };
    for (wrong, code) in [(new(None, None), "required"), (new(Some("Mine"), Some("token")), "invalid")] {
        let pointers = pointers(world.crm.identity().sign_up(wrong).await);
        assert_eq!(pointers, [("/organization_name".to_owned(), code.to_owned())]);
    }
}

async fn a_mail_copied_into_another_job_goes_to_nobody(world: World) {
    for address in ["max@people.example", "eve@people.example"] {
        invite(&world, address).await;
    }
    let jobs = world.store.jobs(world.organization, None, &PageRequest::default()).await.unwrap().data;
    let [of_eve, of_max] = <[_; 2]>::try_from(jobs).unwrap();
    // Whoever can write to the database would have max's token sent a second time, in place of eve's.
    let mut batch = Batch::default();
    batch
        .note(Write::Update(Update::of(&of_eve).set("payload", &of_max.payload).set("key_id", &of_max.key_id)))
        .unwrap();
    world.store.commit(world.organization, batch).await.unwrap();
    world.settle().await;
    assert_eq!(["max@people.example", "eve@people.example"].map(|it| world.outbox.to(it).len()), [1, 0]);
    let kept = world.store.job(world.organization, of_eve.id).await.unwrap().unwrap();
    assert_eq!(kept.state, JobState::Failed);
    assert!(kept.last_error.unwrap().contains("belongs elsewhere"));
}

async fn a_mail_that_fails_is_tried_again(world: World) {
    *world.outbox.refusals.lock().unwrap() = vec![Error::unavailable("away"), Error::unavailable("away")];
    let made = invite(&world, "max@people.example").await;
    for (wait, sent) in [(0, 0), (30, 0), (59, 0), (1, 1), (3_600, 1)] {
        world.later(wait);
        world.settle().await;
        assert_eq!(world.outbox.to("max@people.example").len(), sent, "after {wait} s more");
    }
    let job = world.ask("jobs.list", json!({})).await["data"][0].clone();
    assert_eq!((&job["kind"], &job["state"], &job["attempts"]), (&json!("send_mail"), &json!("done"), &json!(3)));
    // What it said is forgotten, and was never kept as it was.
    let kept = JobReads::job(&*world.store, world.organization, job["id"].as_str().unwrap().parse().unwrap());
    assert_eq!(kept.await.unwrap().unwrap().payload, json!({}));
    drop(made);

    // One that never will go is given up.
    *world.outbox.refusals.lock().unwrap() = vec![Error::invalid("/to", "invalid", "no such mailbox")];
    invite(&world, "eve@people.example").await;
    world.settle().await;
    let job = world.ask("jobs.list", json!({})).await["data"][0].clone();
    assert_eq!((&job["state"], &job["last_error"]), (&json!("failed"), &json!("no such mailbox")));
}

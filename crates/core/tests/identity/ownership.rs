//! Handing an organisation on (OWASP ASVS 5.0, 7.5.3 and 8.3.2): by its owner alone, with proof given afresh, never without one.

use dealwright::{
    Error, Handle,
    domain::event::EventKind,
    id::UserId,
    page::PageRequest,
    ports::store::AutomationReads,
    scope::{Actor, Role, Scope},
    services::{
        audit::ListAudit,
        identity::{NewInvitation, NewUser, SignedIn, StepUp, TransferOrganization},
        team::{MemberView, RemoveMember, SetRole},
    },
};
use serde_json::json;

use crate::{
    PASSWORD, World, address,
    harness::{
        cases,
        world::{pointers, refused},
    },
};

cases!(
    an_owner_hands_the_organisation_on_and_both_are_told,
    it_takes_proof_given_afresh,
    an_owner_is_made_by_whoever_has_just_shown_who_they_are,
    only_an_owner_does,
    it_goes_to_a_member_alone,
    where_a_second_factor_is_required_who_lacks_it_may_not,
    of_two_at_once_one_comes_too_late,
    whoever_is_removed_meanwhile_leaves_no_organisation_without_owner,
);

/// Una with an organisation of her own.
struct Owned {
    una: SignedIn,
    scope: Scope,
    handle: Handle,
}

impl World {
    async fn owned(&self) -> Owned {
        let una = self.sign_up("una").await;
        let scope = self.crm.identity().authenticate(&una.access_token).await.unwrap();
        let handle = self.crm.with_scope(scope.clone());
        Owned { una, scope, handle }
    }

    async fn joining(&self, owned: &Owned, name: &str, role: Role) -> UserId {
        let new = NewUser { email: address(name), name: name.to_owned(), password: Some(PASSWORD.to_owned()) };
        self.crm.organizations().add_member(owned.scope.organization_id, new, role).await.unwrap().user_id
    }

    async fn hand_on(&self, scope: &Scope, to: UserId, password: Option<&str>) -> Result<MemberView, Error> {
        let given = TransferOrganization { user_id: to, code: None, password: password.map(str::to_owned) };
        self.crm.identity().transfer_organization(scope, given).await.map(|(owner, _)| owner)
    }
}

async fn owners(by: &Handle) -> Vec<UserId> {
    let members = by.members().list(PageRequest::default()).await.unwrap().data;
    members.into_iter().filter(|it| it.role == Role::Owner).map(|it| it.user_id).collect()
}

async fn an_owner_hands_the_organisation_on_and_both_are_told(world: World) {
    let owned = world.owned().await;
    let bo = world.joining(&owned, "bo", Role::Viewer).await;
    let owner = world.hand_on(&owned.scope, bo, Some(PASSWORD)).await.unwrap();
    assert_eq!((owner.user_id, owner.role), (bo, Role::Owner.into()));
    assert_eq!(owners(&owned.handle).await, [bo]);
    let una = owned.una.user.id;
    assert_eq!(owned.handle.members().get(una).await.unwrap().role, Role::Admin);

    let organization = owned.scope.organization_id;
    let events = world.store.events_of(organization, organization.into(), &PageRequest::default()).await.unwrap().data;
    let event = events.into_iter().find(|it| it.data.get("what") == Some(&json!("organization.transferred"))).unwrap();
    assert_eq!(event.kind, EventKind::OrganizationUpdated);
    let change = &event.changes["owner"];
    assert_eq!((&change.before, &change.after), (&json!(una), &json!(bo)));
    let bos = world.crm.as_user(organization, bo).await.unwrap();
    let told = bos.notifications().list(PageRequest::default()).await.unwrap().data;
    assert_eq!(told.iter().map(|it| it.kind.as_str()).collect::<Vec<_>>(), ["organization.transferred"]);
    let filter = ListAudit { action: Some("organizations.transfer".to_owned()), ..Default::default() };
    let mut told: Vec<_> = (bos.audit().list(filter).await.unwrap().data.iter())
        .map(|it| json!([it.object_id, it.before, it.after]))
        .collect();
    told.sort_by_key(ToString::to_string);
    let mut expected =
        [json!([una, {"role": "owner"}, {"role": "admin"}]), json!([bo, {"role": "viewer"}, {"role": "owner"}])];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(told, expected);
    world.crm.runtime().drain().await.unwrap();
    for (name, subject) in [("una", "You have handed una's on"), ("bo", "You own una's")] {
        let told: Vec<_> = world.outbox.to(&address(name)).into_iter().map(|mail| mail.subject).collect();
        assert!(told.iter().any(|it| it == subject), "{told:?}");
    }

    // The new one is the last one, and the former one takes nothing back.
    let demote = |id: UserId| SetRole { id, role: Role::Member.into() };
    refused(bos.members().set_role(demote(bo)).await, 409, "last_owner");
    let now = world.crm.as_user(organization, una).await.unwrap();
    refused(now.members().set_role(demote(bo)).await, 403, "forbidden");
    refused(world.hand_on(&owned.scope, bo, Some(PASSWORD)).await, 403, "forbidden");
}

async fn it_takes_proof_given_afresh(world: World) {
    let owned = world.owned().await;
    let bo = world.joining(&owned, "bo", Role::Admin).await;
    refused(world.hand_on(&owned.scope, bo, None).await, 403, "step_up_required");
    let wrong = world.hand_on(&owned.scope, bo, Some("wrong horse battery")).await;
    assert_eq!(pointers(wrong), [("/password".to_owned(), "wrong".to_owned())]);
    let given = TransferOrganization { user_id: bo, code: Some("000000".to_owned()), password: None };
    let wrong = world.crm.identity().transfer_organization(&owned.scope, given).await;
    assert_eq!(pointers(wrong), [("/code".to_owned(), "invalid_totp".to_owned())]);
    assert_eq!(owners(&owned.handle).await, [owned.una.user.id]);
}

/// ASVS 7.5.3.
async fn an_owner_is_made_by_whoever_has_just_shown_who_they_are(world: World) {
    let owned = world.owned().await;
    let bo = world.joining(&owned, "bo", Role::Admin).await;
    world.later(601);
    let made = SetRole { id: bo, role: Role::Owner.into() };
    refused(owned.handle.members().set_role(made.clone()).await, 403, "step_up_required");
    let invitation = |role: Role| NewInvitation { email: address("cy"), role: role.into(), team_id: None };
    refused(owned.handle.invitations().create(invitation(Role::Owner)).await, 403, "step_up_required");
    // Anything less is an ordinary change.
    owned.handle.members().set_role(SetRole { id: bo, role: Role::Manager.into() }).await.unwrap();
    owned.handle.invitations().create(invitation(Role::Admin)).await.unwrap();

    let proof = StepUp { code: None, password: Some(PASSWORD.to_owned()) };
    let renewed = world.crm.identity().renew_session(&owned.scope, proof).await.unwrap();
    let scope = world.crm.identity().authenticate(&renewed.access_token).await.unwrap();
    let fresh = world.crm.with_scope(scope);
    fresh.invitations().create(invitation(Role::Owner)).await.unwrap();
    assert_eq!(fresh.members().set_role(made).await.unwrap().role, Role::Owner);
}

async fn only_an_owner_does(world: World) {
    let owned = world.owned().await;
    let bo = world.joining(&owned, "bo", Role::Admin).await;
    let cy = world.joining(&owned, "cy", Role::Member).await;
    let bos = world.crm.as_user(owned.scope.organization_id, bo).await.unwrap();
    // Their own password does not make them one, and is not even looked at.
    for password in [Some(PASSWORD), None] {
        refused(world.hand_on(bos.scope(), cy, password).await, 403, "forbidden");
        refused(world.hand_on(bos.scope(), bo, password).await, 403, "forbidden");
    }
    let una = owned.una.user.id;
    let actor = Actor::ApiKey { id: uuid::Uuid::nil().into(), acts_for: Some(una) };
    let key = Scope { actor, ..owned.scope.clone() };
    refused(world.hand_on(&key, cy, Some(PASSWORD)).await, 403, "forbidden");
    assert_eq!(owners(&owned.handle).await, [una]);
}

async fn it_goes_to_a_member_alone(world: World) {
    let owned = world.owned().await;
    let stranger = world.sign_up("max").await.user.id;
    for (to, code) in [(owned.una.user.id, "invalid"), (stranger, "unknown"), (world.una, "unknown")] {
        let refused = world.hand_on(&owned.scope, to, Some(PASSWORD)).await;
        assert_eq!(pointers(refused), [("/user_id".to_owned(), code.to_owned())]);
    }
    assert_eq!(owners(&owned.handle).await, [owned.una.user.id]);
}

async fn where_a_second_factor_is_required_who_lacks_it_may_not(world: World) {
    let owned = world.owned().await;
    let bo = world.joining(&owned, "bo", Role::Admin).await;
    owned.handle.call("organizations.update", json!({ "patch": { "require_two_factor": true } })).await.unwrap();
    let scope = world.crm.identity().authenticate(&owned.una.access_token).await.unwrap();
    refused(world.hand_on(&scope, bo, Some(PASSWORD)).await, 403, "two_factor_required");
}

async fn of_two_at_once_one_comes_too_late(world: World) {
    let owned = world.owned().await;
    let (bo, cy) = (world.joining(&owned, "bo", Role::Admin).await, world.joining(&owned, "cy", Role::Admin).await);
    let (one, other) =
        tokio::join!(world.hand_on(&owned.scope, bo, Some(PASSWORD)), world.hand_on(&owned.scope, cy, Some(PASSWORD)),);
    let (won, lost) = if one.is_ok() { (one, other) } else { (other, one) };
    refused(lost, 403, "forbidden");
    let won = won.unwrap().user_id;
    let handle = world.crm.as_user(owned.scope.organization_id, won).await.unwrap();
    assert_eq!(owners(&handle).await, [won]);
}

async fn whoever_is_removed_meanwhile_leaves_no_organisation_without_owner(world: World) {
    let owned = world.owned().await;
    for round in 0..4 {
        let name = format!("bo{round}");
        let bo = world.joining(&owned, &name, Role::Member).await;
        let members = owned.handle.members();
        let (handed, removed) = tokio::join!(
            world.hand_on(&owned.scope, bo, Some(PASSWORD)),
            members.remove(RemoveMember { id: bo, reassign_to: None }),
        );
        assert_ne!(handed.is_ok(), removed.is_ok(), "{handed:?} {removed:?}");
        let now = world.crm.as_user(owned.scope.organization_id, owned.una.user.id).await.unwrap();
        if handed.is_ok() {
            refused(removed, 409, "last_owner");
            assert_eq!(owners(&now).await, [bo]);
            return;
        }
        assert_eq!(pointers(handed), [("/user_id".to_owned(), "unknown".to_owned())]);
        assert_eq!(owners(&now).await, [owned.una.user.id]);
    }
}

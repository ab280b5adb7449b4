//! Organisations and people as a process that embeds the engine makes them: no HTTP, no token.

use dealwright::{
    Crm,
    id::{OrganizationId, UserId},
    scope::Role,
    services::identity::{NewOrganization, NewUser, OrganizationWithOwner, SignIn},
};
use serde_json::json;

use crate::{World, harness::cases};

cases!(
    an_organisation_comes_with_its_owner_and_a_default_pipeline,
    what_is_wrong_with_a_new_organisation_is_named_in_its_place,
    a_person_without_a_password_cannot_sign_in_by_one,
    one_person_may_belong_to_several_organisations,
    secrets_are_not_printed,
);

fn user(name: &str, password: Option<&str>) -> NewUser {
    let password = password.map(str::to_owned);
    NewUser { email: format!("{name}@acme.example"), name: name.to_owned(), password }
}

async fn acme(crm: &Crm) -> OrganizationWithOwner {
    let new = NewOrganization { name: "Acme".to_owned(), owner: user("una", None) };
    crm.organizations().create(new).await.unwrap()
}

async fn an_organisation_comes_with_its_owner_and_a_default_pipeline(world: World) {
    let crm = &world.crm;
    let acme = acme(crm).await;
    let me = crm.as_user(acme.organization.id, acme.owner.id).await.unwrap();
    let profile = me.call("profile.get", json!(null)).await.unwrap();
    assert_eq!((&profile["role"], &profile["organization"]["name"]), (&json!("owner"), &json!("Acme")));
    let stages = me.call("stages.list", json!({})).await.unwrap();
    assert_eq!(stages["data"].as_array().unwrap().len(), 6);
    assert_eq!(crm.organizations().get(acme.organization.id).await.unwrap(), acme.organization);
    assert_eq!(crm.organizations().list_for(acme.owner.id).await.unwrap(), [acme.organization]);
}

async fn what_is_wrong_with_a_new_organisation_is_named_in_its_place(world: World) {
    let crm = &world.crm;
    let owner = NewUser { email: "una".to_owned(), name: String::new(), password: Some("short".to_owned()) };
    let new = NewOrganization { name: " ".to_owned(), owner };
    let error = crm.organizations().create(new).await.unwrap_err();
    let pointers: Vec<_> = error.fields().iter().map(|it| it.pointer.as_str()).collect();
    assert_eq!(pointers, ["/name", "/owner/email", "/owner/name", "/owner/password"]);
}

async fn a_person_without_a_password_cannot_sign_in_by_one(world: World) {
    let crm = &world.crm;
    acme(crm).await;
    for password in ["", "correct horse"] {
        let given = SignIn { email: "una@acme.example".to_owned(), password: password.to_owned(), totp_code: None };
        assert_eq!(crm.identity().sign_in(given).await.unwrap_err().code(), "invalid_credentials");
    }
}

async fn one_person_may_belong_to_several_organisations(world: World) {
    let crm = &world.crm;
    let first = acme(crm).await;
    let other = NewOrganization { name: "Other".to_owned(), owner: user("eve", Some("correct horse")) };
    let other = crm.organizations().create(other).await.unwrap();

    world.later(1);
    let joined = crm.organizations().add_member(first.organization.id, user("eve", None), Role::Viewer).await.unwrap();
    assert_eq!((joined.user_id, joined.role), (other.owner.id, Role::Viewer.into()));
    let names: Vec<_> =
        crm.organizations().list_for(other.owner.id).await.unwrap().into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["Other", "Acme"]);

    let again = crm.organizations().add_member(first.organization.id, user("eve", None), Role::Admin).await;
    assert_eq!(again.unwrap_err().code(), "already_member");
    // Nobody is given a password by somebody else's organisation.
    let taken =
        crm.organizations().add_member(first.organization.id, user("eve", Some("another one")), Role::Admin).await;
    assert_eq!(taken.unwrap_err().code(), "email_taken");
    let nowhere = crm.organizations().add_member(uuid_of(first.owner.id), user("max", None), Role::Member).await;
    assert_eq!(nowhere.unwrap_err().code(), "not_found");
}

/// An id that names no organisation.
fn uuid_of(id: UserId) -> OrganizationId {
    id.to_string().parse().unwrap()
}

/// ASVS 16.2.5.
async fn secrets_are_not_printed(_: World) {
    let printed = format!("{:?} {:?}", user("una", Some("correct horse")), {
        SignIn { email: "una@acme.example".to_owned(), password: "correct horse".to_owned(), totp_code: None }
    });
    assert!(!printed.contains("horse"), "{printed}");
}

//! Passwords (OWASP ASVS 5.0, 6.2 and 11.4): which are taken, how they are kept, and what a wrong one costs.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use dealwright::{
    Error,
    domain::organization::Credential,
    id::UserId,
    ports::store::{Batch, IdentityReads, Store, Update, Write},
    scope::Role,
    services::identity::{NewOrganization, NewUser, SignIn, SignUp, SignedIn},
};

use crate::{
    PASSWORD, World, address,
    harness::{
        cases,
        world::{pointers, refused},
    },
};

cases!(
    common_passwords_are_refused_wherever_one_is_chosen,
    a_hash_under_weaker_parameters_is_renewed_when_its_owner_signs_in,
    many_who_sign_in_at_once_renew_it_once,
    a_wrong_password_renews_nothing,
    an_unknown_address_costs_what_a_wrong_password_costs,
    an_oversized_password_is_never_hashed,
);

async fn sign_in(world: &World, name: &str, password: &str) -> Result<SignedIn, Error> {
    world.crm.identity().sign_in(SignIn { email: address(name), password: password.to_owned(), totp_code: None }).await
}

fn sign_up(password: &str) -> SignUp {
    SignUp {
        email: address("una.ortega"),
        password: password.to_owned(),
        name: "Una Ortega".to_owned(),
        organization_name: Some("Acme Holding".to_owned()),
        invite_token: None,
    }
}

/// ASVS 6.2.1.
async fn common_passwords_are_refused_wherever_one_is_chosen(world: World) {
    let flaw = |pointer: &str, code: &str| vec![(pointer.to_owned(), code.to_owned())];
    let organizations = world.crm.organizations();
    for (password, code) in [
        ("password123", "too_common"),
        ("Una.Ortega@acme.example", "too_common"),
        ("una-ortega", "too_common"),
        ("AcmeHolding", "too_common"),
        ("seven77", "too_short"),
    ] {
        let refused = world.crm.identity().sign_up(sign_up(password)).await;
        assert_eq!(pointers(refused), flaw("/password", code), "{password}");
        let person = || NewUser {
            email: address("una.ortega"),
            name: "Una Ortega".to_owned(),
            password: Some(password.to_owned()),
        };
        let new = NewOrganization { name: "Acme Holding".to_owned(), owner: person() };
        assert_eq!(pointers(organizations.create(new).await), flaw("/owner/password", code), "{password}");
        if password != "AcmeHolding" {
            let added = organizations.add_member(world.organization, person(), Role::Member).await;
            assert_eq!(pointers(added), flaw("/password", code), "{password}");
        }
    }
    assert_eq!(world.crm.identity().password_computations(), 0);
    world.crm.identity().sign_up(sign_up(PASSWORD)).await.unwrap();
}

/// Gives somebody a hash of their password as an older release would have made it.
async fn weaken(world: &World, of: &SignedIn) -> Credential {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8_192, 1, 1, None).unwrap());
    let hash = argon2.hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16]).unwrap().to_string();
    let mut batch = Batch::default();
    let before = credential(world, of.user.id).await;
    batch.note(Write::Update(Update::of(&before).set("password_hash", &hash))).unwrap();
    world.store.commit(of.organization.id, batch).await.unwrap();
    credential(world, of.user.id).await
}

async fn credential(world: &World, user: UserId) -> Credential {
    world.store.credential(user).await.unwrap().unwrap()
}

/// ASVS 11.2.2.
async fn a_hash_under_weaker_parameters_is_renewed_when_its_owner_signs_in(world: World) {
    let una = world.sign_up("una").await;
    let of_today = credential(&world, una.user.id).await;
    assert!(of_today.password_hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", of_today.password_hash);
    sign_in(&world, "una", PASSWORD).await.unwrap();
    assert!(credential(&world, una.user.id).await == of_today, "nothing was to be renewed");

    let weak = weaken(&world, &una).await;
    assert!(weak.password_hash.contains("m=8192,t=1"));
    world.later(60);
    sign_in(&world, "una", PASSWORD).await.unwrap();
    let renewed = credential(&world, una.user.id).await;
    assert!(renewed.password_hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", renewed.password_hash);
    // It is still the password that was chosen then.
    assert_eq!(renewed.updated_at, of_today.updated_at);
    let before = world.crm.identity().password_computations();
    sign_in(&world, "una", PASSWORD).await.unwrap();
    assert_eq!(world.crm.identity().password_computations() - before, 1);
}

async fn many_who_sign_in_at_once_renew_it_once(world: World) {
    let una = world.sign_up("una").await;
    weaken(&world, &una).await;
    for signed_in in futures::future::join_all((0..5).map(|_| sign_in(&world, "una", PASSWORD))).await {
        world.crm.identity().authenticate(&signed_in.unwrap().access_token).await.unwrap();
    }
    assert!(credential(&world, una.user.id).await.password_hash.contains("m=19456,t=2"));
}

async fn a_wrong_password_renews_nothing(world: World) {
    let una = world.sign_up("una").await;
    let weak = weaken(&world, &una).await;
    refused(sign_in(&world, "una", "wrong horse battery").await, 401, "invalid_credentials");
    assert!(credential(&world, una.user.id).await == weak);
}

/// ASVS 6.3.8: whether an address has signed up cannot be told by how long the refusal takes. The computations are counted;
/// a clock would measure the machine.
async fn an_unknown_address_costs_what_a_wrong_password_costs(world: World) {
    world.sign_up("una").await;
    world.member("max", Role::Member).await;
    let identity = world.crm.identity();
    let mut answers = Vec::new();
    let without_password =
        SignIn { email: "max@people.example".to_owned(), password: PASSWORD.to_owned(), totp_code: None };
    let wrong =
        |name: &str| SignIn { email: address(name), password: "wrong horse battery".to_owned(), totp_code: None };
    for given in [wrong("una"), wrong("nobody"), wrong("no address"), without_password] {
        let before = identity.password_computations();
        let error = refused(identity.sign_in(given).await, 401, "invalid_credentials");
        answers.push((error.to_string(), identity.password_computations() - before));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.1 == 1), "{answers:?}");
}

async fn an_oversized_password_is_never_hashed(world: World) {
    let una = world.sign_up("una").await;
    let identity = world.crm.identity();
    let before = identity.password_computations();
    for length in [201, 1_000_000] {
        let long = "x y ".repeat(length / 4 + 1);
        let too_long = vec![("/password".to_owned(), "too_long".to_owned())];
        assert_eq!(pointers(identity.sign_up(sign_up(&long)).await), too_long);
        refused(sign_in(&world, "una", &long).await, 401, "invalid_credentials");
        refused(sign_in(&world, "nobody", &long).await, 401, "invalid_credentials");
    }
    assert_eq!(identity.password_computations(), before);
    assert!(world.store.user(una.user.id).await.unwrap().is_some());
}

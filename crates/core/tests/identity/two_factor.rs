//! The second factor (OWASP ASVS 5.0, 6.3.3, 6.5 and 7.5): set up, asked for, spent once, required, given up.

use dealwright::{
    Error, Handle,
    domain::organization::{Factor, SecondFactor},
    ports::store::{Batch, SecretReads, Store, Update, Write},
    scope::{Role, Scope},
    services::identity::{EnableTwoFactor, NewUser, Refresh, SignIn, SignedIn, StepUp, Switch},
    testkit::totp_code,
};
use serde_json::{Value, json};

use crate::{
    PASSWORD, World, address,
    harness::{
        cases,
        world::{pointers, refused},
    },
};

cases!(
    a_code_is_asked_for_once_it_was_shown_to_be_known,
    a_code_counts_once_and_a_step_early_or_late,
    of_two_who_show_the_same_code_one_is_let_in,
    a_recovery_code_counts_once,
    what_was_only_set_up_is_not_asked_for,
    a_seed_lies_sealed_and_opens_for_its_person_alone,
    setting_it_up_takes_a_session_that_is_fresh,
    giving_it_up_takes_proof_given_afresh,
    a_password_alone_proves_nothing_where_the_session_lacks_the_second_factor,
    proof_given_afresh_ends_the_session_before,
    an_organisation_may_require_it,
    where_it_is_required_a_session_without_it_is_outside,
);

/// Somebody with a second factor.
struct Armed {
    signed_in: SignedIn,
    scope: Scope,
    secret: String,
    recovery: Vec<String>,
}

impl World {
    async fn armed(&self, name: &str) -> Armed {
        let signed_in = self.sign_up(name).await;
        self.arm(signed_in).await
    }

    async fn arm(&self, signed_in: SignedIn) -> Armed {
        let identity = self.crm.identity();
        let scope = identity.authenticate(&signed_in.access_token).await.unwrap();
        let setup = identity.set_up_two_factor(&scope).await.unwrap();
        let code = totp_code(&setup.secret, self.env.now()).unwrap();
        let recovery = identity.enable_two_factor(&scope, EnableTwoFactor { code }).await.unwrap().recovery_codes;
        self.later(30);
        Armed { signed_in, scope, secret: setup.secret, recovery }
    }

    /// The session that takes the place of one whose user proves afresh who they are.
    async fn renewed(&self, scope: &Scope, proof: StepUp) -> Scope {
        let signed_in = self.crm.identity().renew_session(scope, proof).await.unwrap();
        self.crm.identity().authenticate(&signed_in.access_token).await.unwrap()
    }

    fn code(&self, armed: &Armed) -> String {
        totp_code(&armed.secret, self.env.now()).unwrap()
    }

    async fn enter(&self, name: &str, code: Option<&str>) -> Result<SignedIn, Error> {
        let totp_code = code.map(str::to_owned);
        let given = SignIn { email: address(name), password: PASSWORD.to_owned(), totp_code };
        self.crm.identity().sign_in(given).await
    }

    async fn factor(&self, armed: &Armed) -> Option<SecondFactor> {
        self.store.second_factor(armed.signed_in.user.id).await.unwrap().map(|(factor, _)| factor)
    }

    async fn profile(&self, scope: &Scope) -> bool {
        self.crm.with_scope(scope.clone()).profile().get(()).await.unwrap().two_factor_enabled
    }

    async fn disable(&self, scope: &Scope, code: Option<&str>, password: Option<&str>) -> Result<(), Error> {
        let proof = StepUp { code: code.map(str::to_owned), password: password.map(str::to_owned) };
        self.crm.identity().disable_two_factor(scope, proof).await
    }
}

fn by_password() -> StepUp {
    StepUp { code: None, password: Some(PASSWORD.to_owned()) }
}

fn at(pointer: &str, code: &str) -> Vec<(String, String)> {
    vec![(pointer.to_owned(), code.to_owned())]
}

async fn a_code_is_asked_for_once_it_was_shown_to_be_known(world: World) {
    let una = world.armed("una").await;
    assert_eq!((una.secret.len(), una.recovery.len()), (32, 10));
    assert!(world.profile(&una.scope).await);
    refused(world.enter("una", None).await, 401, "two_factor_required");
    for wrong in ["000000", "", "abcdef", "1234567", &una.recovery[0][1..]] {
        refused(world.enter("una", Some(wrong)).await, 401, "invalid_totp");
    }
    // They were as many failures as an account may have in a row.
    world.later(900);
    // Not before the password: it would tell who has one.
    let given = SignIn { email: address("una"), password: "wrong horse battery".to_owned(), totp_code: None };
    refused(world.crm.identity().sign_in(given).await, 401, "invalid_credentials");
    world.enter("una", Some(&world.code(&una))).await.unwrap();

    refused(world.crm.identity().set_up_two_factor(&una.scope).await, 409, "two_factor_enabled");
    let again = EnableTwoFactor { code: world.code(&una) };
    refused(world.crm.identity().enable_two_factor(&una.scope, again).await, 409, "two_factor_enabled");
    world.crm.runtime().drain().await.unwrap();
    let told: Vec<_> = world.outbox.to(&address("una")).into_iter().map(|mail| mail.subject).collect();
    assert!(told.iter().any(|it| it == "Two-factor authentication was switched on"), "{told:?}");
}

/// ASVS 6.5.1.
async fn a_code_counts_once_and_a_step_early_or_late(world: World) {
    let una = world.armed("una").await;
    let code = world.code(&una);
    world.enter("una", Some(&code)).await.unwrap();
    refused(world.enter("una", Some(&code)).await, 401, "invalid_totp");
    // Not even a moment later, while it is still shown.
    world.later(20);
    refused(world.enter("una", Some(&code)).await, 401, "invalid_totp");
    world.later(60);
    let (late, early) =
        (world.env.now() - chrono::Duration::seconds(30), world.env.now() + chrono::Duration::seconds(30));
    world.enter("una", Some(&totp_code(&una.secret, late).unwrap())).await.unwrap();
    world.enter("una", Some(&totp_code(&una.secret, early).unwrap())).await.unwrap();
    // What is older than the newest that was used was seen by whoever looked on.
    refused(world.enter("una", Some(&world.code(&una))).await, 401, "invalid_totp");
    world.later(300);
    let stale = world.env.now() - chrono::Duration::seconds(61);
    refused(world.enter("una", Some(&totp_code(&una.secret, stale).unwrap())).await, 401, "invalid_totp");
}

/// ASVS 6.5.1.
async fn of_two_who_show_the_same_code_one_is_let_in(world: World) {
    let una = world.armed("una").await;
    for code in [world.code(&una), una.recovery[0].clone()] {
        let answers = futures::future::join_all((0..4).map(|_| world.enter("una", Some(&code)))).await;
        assert_eq!(answers.iter().filter(|it| it.is_ok()).count(), 1, "{answers:?}");
        for answer in answers.into_iter().filter(|it| it.is_err()) {
            refused(answer, 401, "invalid_totp");
        }
    }
}

/// ASVS 6.4.4 and 6.5.2.
async fn a_recovery_code_counts_once(world: World) {
    let una = world.armed("una").await;
    let kept = world.factor(&una).await.unwrap().recovery;
    assert!(kept.len() == 10 && una.recovery.iter().all(|code| !kept.contains(code)));
    // As it stands on paper, and as people type it.
    world.enter("una", Some(&una.recovery[0])).await.unwrap();
    world.enter("una", Some(&una.recovery[1].to_lowercase().replace('-', " "))).await.unwrap();
    for used in &una.recovery[..2] {
        refused(world.enter("una", Some(used)).await, 401, "invalid_totp");
    }
    assert_eq!(world.factor(&una).await.unwrap().recovery.len(), 8);
    // The application goes on working.
    world.enter("una", Some(&world.code(&una))).await.unwrap();
}

/// ASVS 2.3.1.
async fn what_was_only_set_up_is_not_asked_for(world: World) {
    let una = world.sign_up("una").await;
    let identity = world.crm.identity();
    let scope = identity.authenticate(&una.access_token).await.unwrap();
    let code = |text: &str| EnableTwoFactor { code: text.to_owned() };
    refused(identity.enable_two_factor(&scope, code("123456")).await, 409, "two_factor_not_set_up");
    let first = identity.set_up_two_factor(&scope).await.unwrap();
    let second = identity.set_up_two_factor(&scope).await.unwrap();
    assert!(first.secret != second.secret);
    let link = format!("otpauth://totp/Dealwright:una%40acme.example?secret={}&issuer=Dealwright", second.secret);
    assert!(second.otpauth_url.starts_with(&link), "{}", second.otpauth_url);
    assert!(second.qr.starts_with("data:image/svg+xml;base64,"));
    assert!(!format!("{first:?} {second:?}").contains(&second.secret));

    assert!(!world.profile(&scope).await);
    world.enter("una", None).await.unwrap();
    // A code of the one that was replaced does not count.
    let older = totp_code(&first.secret, world.env.now()).unwrap();
    assert_eq!(pointers(identity.enable_two_factor(&scope, code(&older)).await), at("/code", "invalid_totp"));
    refused(world.disable(&scope, None, Some(PASSWORD)).await, 409, "two_factor_not_enabled");
    world.enter("una", None).await.unwrap();
}

/// ASVS 11.3.3.
async fn a_seed_lies_sealed_and_opens_for_its_person_alone(world: World) {
    let (una, max) = (world.armed("una").await, world.armed("max").await);
    let (of_una, of_max) = (world.factor(&una).await.unwrap(), world.factor(&max).await.unwrap());
    assert!(!String::from_utf8_lossy(&of_una.sealed).contains(&una.secret));
    // Whoever can write to the database moves a seed of their own into another's row.
    let mut batch = Batch::default();
    let moved = Update::of(&of_una).set("sealed", &of_max.sealed).set("key_id", &of_max.key_id);
    batch.note(Write::Update(moved)).unwrap();
    world.store.commit(una.signed_in.organization.id, batch).await.unwrap();
    refused(world.enter("una", Some(&world.code(&max))).await, 500, "internal");
    world.enter("max", Some(&world.code(&max))).await.unwrap();
}

/// ASVS 7.5.1.
async fn setting_it_up_takes_a_session_that_is_fresh(world: World) {
    let una = world.sign_up("una").await;
    let identity = world.crm.identity();
    let stale = identity.authenticate(&una.access_token).await.unwrap();
    world.later(601);
    refused(identity.set_up_two_factor(&stale).await, 403, "step_up_required");
    // Nor does a session that was begun from this one make it fresh.
    let elsewhere = identity.switch(&stale, Switch { organization_id: una.organization.id }).await.unwrap();
    let elsewhere = identity.authenticate(&elsewhere.access_token).await.unwrap();
    refused(identity.set_up_two_factor(&elsewhere).await, 403, "step_up_required");

    let fresh = world.renewed(&stale, by_password()).await;
    let setup = identity.set_up_two_factor(&fresh).await.unwrap();
    world.later(601);
    let code = || EnableTwoFactor { code: totp_code(&setup.secret, world.env.now()).unwrap() };
    refused(identity.enable_two_factor(&fresh, code()).await, 403, "step_up_required");
    world.enter("una", None).await.unwrap();
    let fresh = world.renewed(&fresh, by_password()).await;
    identity.enable_two_factor(&fresh, code()).await.unwrap();
    refused(world.enter("una", None).await, 401, "two_factor_required");
}

/// ASVS 7.5.1.
async fn giving_it_up_takes_proof_given_afresh(world: World) {
    let una = world.armed("una").await;
    refused(world.disable(&una.scope, None, None).await, 403, "step_up_required");
    assert_eq!(pointers(world.disable(&una.scope, Some("000000"), None).await), at("/code", "invalid_totp"));
    let wrong = world.disable(&una.scope, None, Some("wrong horse battery")).await;
    assert_eq!(pointers(wrong), at("/password", "wrong"));
    // A wrong code is not made up for by a password.
    assert_eq!(pointers(world.disable(&una.scope, Some("000000"), Some(PASSWORD)).await), at("/code", "invalid_totp"));
    assert!(world.profile(&una.scope).await);

    let code = world.code(&una);
    world.disable(&una.scope, Some(&code), None).await.unwrap();
    assert!(!world.profile(&una.scope).await);
    world.enter("una", None).await.unwrap();
    refused(world.disable(&una.scope, Some(&code), None).await, 409, "two_factor_not_enabled");
    let max = world.armed("max").await;
    world.disable(&max.scope, None, Some(PASSWORD)).await.unwrap();
    let ada = world.armed("ada").await;
    world.disable(&ada.scope, Some(&ada.recovery[3]), None).await.unwrap();
}

/// ASVS 7.5.1: both factors.
async fn a_password_alone_proves_nothing_where_the_session_lacks_the_second_factor(world: World) {
    let una = world.sign_up("una").await;
    let before = world.crm.identity().authenticate(&una.access_token).await.unwrap();
    let signed_in = world.enter("una", None).await.unwrap();
    let una = world.arm(signed_in).await;
    for password in [PASSWORD, "wrong horse battery"] {
        refused(world.disable(&before, None, Some(password)).await, 403, "step_up_required");
    }
    let code = world.code(&una);
    world.later(30);
    let now = world.renewed(&before, StepUp { code: Some(code), password: None }).await;
    world.disable(&now, None, Some(PASSWORD)).await.unwrap();
}

/// ASVS 7.2.4.
async fn proof_given_afresh_ends_the_session_before(world: World) {
    let una = world.armed("una").await;
    let identity = world.crm.identity();
    refused(identity.renew_session(&una.scope, StepUp::default()).await, 403, "step_up_required");
    let wrong = StepUp { code: None, password: Some("wrong horse battery".to_owned()) };
    assert_eq!(pointers(identity.renew_session(&una.scope, wrong).await), at("/password", "wrong"));
    identity.authenticate(&una.signed_in.access_token).await.unwrap();

    world.later(601);
    let now = world.renewed(&una.scope, by_password()).await;
    refused(identity.authenticate(&una.signed_in.access_token).await, 401, "session_ended");
    let refreshed = Refresh { refresh_token: una.signed_in.refresh_token.clone() };
    refused(identity.refresh(refreshed).await, 401, "invalid_refresh_token");
    refused(identity.renew_session(&una.scope, by_password()).await, 401, "session_ended");
    // What was shown before was shown by the same person.
    let sessions = world.crm.with_scope(now).sessions().list(Default::default()).await.unwrap().data;
    assert_eq!((sessions.len(), sessions[0].proven_at), (1, world.env.now()));
    assert_eq!(sessions[0].factors, [Factor::Password, Factor::Totp]);
}

async fn an_organisation_may_require_it(world: World) {
    let una = world.armed("una").await;
    let organization = una.signed_in.organization.id;
    let bo = NewUser { email: address("bo"), name: "Bo".to_owned(), password: Some(PASSWORD.to_owned()) };
    world.crm.organizations().add_member(organization, bo, Role::Admin).await.unwrap();
    let bo = world.enter("bo", None).await.unwrap();
    let identity = world.crm.identity();
    let handle = async |signed_in: &SignedIn| -> Handle {
        world.crm.with_scope(world.crm.identity().authenticate(&signed_in.access_token).await.unwrap())
    };
    let require = |value: Value| json!({ "patch": { "require_two_factor": value } });
    // A key that acts for somebody goes as far as they do; one of the organisation's own is nobody's way round.
    let key = async |by: &Handle, acts_for: Value| -> String {
        let input = json!({ "name": "ERP", "scopes": ["contacts:read"], "acts_for": acts_for });
        by.call("api_keys.create", input).await.unwrap()["secret"].as_str().unwrap().to_owned()
    };
    let by_key = async |secret: &str| {
        let scope = world.crm.identity().authenticate(secret).await.unwrap();
        world.crm.with_scope(scope).call("contacts.list", json!({})).await
    };
    let for_bo = key(&handle(&bo).await, json!(bo.user.id)).await;
    let for_all = key(&handle(&una.signed_in).await, json!(null)).await;
    by_key(&for_bo).await.unwrap();

    let owner = handle(&una.signed_in).await;
    assert_eq!(owner.call("organizations.get", json!(null)).await.unwrap()["require_two_factor"], json!(false));
    let cleared = pointers(owner.call("organizations.update", require(Value::Null)).await);
    assert_eq!(cleared, at("/require_two_factor", "required"));
    let changed = owner.call("organizations.update", require(json!(true))).await.unwrap();
    assert_eq!(changed["require_two_factor"], json!(true));

    // From the next call on: everything is refused but one's own profile, one's sessions, and setting it up.
    let without = handle(&bo).await;
    for operation in ["contacts.list", "members.list", "organizations.get", "notifications.list", "jobs.list"] {
        let input = if operation == "organizations.get" { json!(null) } else { json!({}) };
        refused(without.call(operation, input.clone()).await, 403, "two_factor_required");
        owner.call(operation, input).await.unwrap();
    }
    refused(without.call("organizations.update", require(json!(false))).await, 403, "two_factor_required");
    refused(by_key(&for_bo).await, 403, "two_factor_required");
    by_key(&for_all).await.unwrap();
    without.profile().get(()).await.unwrap();
    without.sessions().list(Default::default()).await.unwrap();
    let setup = identity.set_up_two_factor(without.scope()).await.unwrap();
    let code = totp_code(&setup.secret, world.env.now()).unwrap();
    identity.enable_two_factor(without.scope(), EnableTwoFactor { code }).await.unwrap();
    handle(&bo).await.call("contacts.list", json!({})).await.unwrap();

    // It is the organisation's to ask: elsewhere nobody does.
    let ada = world.sign_up("ada").await;
    handle(&ada).await.call("contacts.list", json!({})).await.unwrap();
    // Whoever gives it up is outside again.
    world.disable(handle(&bo).await.scope(), None, Some(PASSWORD)).await.unwrap();
    refused(handle(&bo).await.call("contacts.list", json!({})).await, 403, "two_factor_required");
}

/// ASVS 10.3.4.
async fn where_it_is_required_a_session_without_it_is_outside(world: World) {
    let before = world.sign_up("una").await;
    let identity = world.crm.identity();
    let before = identity.authenticate(&before.access_token).await.unwrap();
    let una = world.enter("una", None).await.unwrap();
    let una = world.arm(una).await;
    let fresh = async |token: &str| world.crm.with_scope(world.crm.identity().authenticate(token).await.unwrap());
    let owner = fresh(&una.signed_in.access_token).await;
    owner.call("organizations.update", json!({ "patch": { "require_two_factor": true } })).await.unwrap();

    // Begun before there was one; so is what is begun from it.
    let of_before = async |scope: &Scope| {
        let id = Switch { organization_id: scope.organization_id };
        let begun = world.crm.identity().switch(scope, id).await.unwrap();
        fresh(&begun.access_token).await.call("contacts.list", json!({})).await
    };
    refused(of_before(&before).await, 403, "two_factor_required");
    owner.call("contacts.list", json!({})).await.unwrap();
    of_before(&una.scope).await.unwrap();
    let shown = world.renewed(&before, StepUp { code: Some(world.code(&una)), password: None }).await;
    world.crm.with_scope(shown).call("contacts.list", json!({})).await.unwrap();
    world.later(30);
    let signed_in = world.enter("una", Some(&una.recovery[0])).await.unwrap();
    fresh(&signed_in.access_token).await.call("contacts.list", json!({})).await.unwrap();
}

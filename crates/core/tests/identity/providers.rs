//! Signing in by a provider (OWASP ASVS 5.0, 6.8, 7.5.1 and 10.1): who is let in, what is linked, what counts once.

use std::collections::BTreeMap;

use dealwright::{
    Error,
    domain::linked_identity::LinkedIdentity,
    ports::store::{IdentityReads, SecretReads},
    scope::{Role, Scope},
    services::identity::{
        CameBack, EnableTwoFactor, IdentityView, LinkIdentity, NewApiKey, NewInvitation, ProviderSignIn, SentAway,
        SignIn, SignedIn, StepUp, VerifyEmail,
    },
    testkit::{totp_code, voucher::code_for},
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
    somebody_new_signs_up_and_is_known_from_then_on,
    who_is_invited_joins_by_their_address,
    an_address_alone_opens_no_account,
    an_address_that_is_nobodys_lets_nobody_in,
    what_a_browser_is_sent_away_with_counts_once_and_there,
    a_code_counts_once_and_in_its_browser,
    what_is_bound_to_no_attempt_counts_once,
    of_two_who_show_the_same_code_one_is_let_in,
    linking_takes_a_fresh_sign_in_or_proof,
    unlinking_takes_a_session_that_is_fresh,
    an_account_of_an_unshown_address_links_that_address_alone,
    an_identity_belongs_to_one_person,
    the_last_way_in_stays,
    of_two_ways_in_given_up_at_once_one_stays,
    the_second_factor_is_asked_for_too,
    what_waits_is_sealed,
    a_key_is_nobody_elsewhere,
);

const CALLBACK: &str = "https://crm.acme.example/api/auth/oauth/google/callback";

fn answer(state: &str, code: &str) -> BTreeMap<String, String> {
    [("state", state), ("code", code)].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn state_of(sent: &SentAway) -> &str {
    sent.location.split_once("state=").unwrap().1
}

impl World {
    async fn away(&self) -> SentAway {
        self.crm.identity().begin_at_provider("google", CALLBACK, "/inbox", None).await.unwrap()
    }

    async fn back(&self, sent: &SentAway, code: &str) -> Result<CameBack, Error> {
        let answer = answer(state_of(sent), code);
        self.crm.identity().back_from_provider("google", CALLBACK, &answer, Some(&sent.browser)).await
    }

    /// What somebody's browser has once it is back: itself, and a code.
    async fn proof(&self, subject: &str, email: Option<&str>) -> (String, String) {
        let sent = self.away().await;
        let back = self.back(&sent, &code_for(subject, email, true)).await.unwrap();
        assert_eq!(back.return_to, "/inbox");
        (sent.browser, back.outcome.unwrap())
    }

    async fn trade(&self, browser: &str, given: ProviderSignIn) -> Result<SignedIn, Error> {
        self.crm.identity().sign_in_by_provider(given, Some(browser)).await
    }

    async fn found(&self, name: &str, subject: &str) -> SignedIn {
        let (browser, code) = self.proof(subject, Some(&address(name))).await;
        let given = ProviderSignIn { organization_name: Some(format!("{name}'s")), ..trading(&code) };
        self.trade(&browser, given).await.unwrap()
    }

    async fn link(&self, scope: &Scope, subject: &str, email: Option<&str>) -> Result<IdentityView, Error> {
        let (browser, code) = self.proof(subject, email).await;
        self.crm.identity().link_identity(scope, linking(&code), Some(&browser)).await
    }

    async fn scope(&self, signed_in: &SignedIn) -> Scope {
        self.crm.identity().authenticate(&signed_in.access_token).await.unwrap()
    }

    async fn enter_by_password(&self, name: &str) -> Scope {
        let given = SignIn { email: address(name), password: PASSWORD.to_owned(), totp_code: None };
        self.scope(&self.crm.identity().sign_in(given).await.unwrap()).await
    }

    async fn linked(&self, subject: &str) -> Option<LinkedIdentity> {
        self.store.identity("google", subject).await.unwrap()
    }

    /// Somebody whose address was shown to be theirs.
    async fn confirmed(&self, name: &str) -> SignedIn {
        let signed_in = self.sign_up(name).await;
        self.crm.runtime().drain().await.unwrap();
        let mail = self.outbox.to(&address(name)).pop().unwrap();
        let token = mail.text.split("/verify-email/").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        self.crm.identity().verify_email(VerifyEmail { token }).await.unwrap();
        signed_in
    }
}

fn trading(code: &str) -> ProviderSignIn {
    ProviderSignIn { code: code.to_owned(), organization_name: None, invite_token: None, name: None, totp_code: None }
}

fn linking(code: &str) -> LinkIdentity {
    LinkIdentity { code: code.to_owned(), password: None, totp_code: None }
}

/// ASVS 10.5.2.
async fn somebody_new_signs_up_and_is_known_from_then_on(world: World) {
    let (browser, code) = world.proof("g-1", Some("Una@Acme.Example")).await;
    // What is missing beside the code does not spend it.
    let missing = world.trade(&browser, trading(&code)).await;
    assert_eq!(pointers(missing), [("/organization_name".to_owned(), "required".to_owned())]);
    let given = ProviderSignIn { organization_name: Some("Acme".into()), ..trading(&code) };
    let una = world.trade(&browser, given).await.unwrap();
    assert_eq!((una.user.email.as_str(), una.user.name.as_str()), ("una@acme.example", "una"));
    assert_eq!(una.organization.name, "Acme");
    // The provider has said that the address is theirs: nobody asks again.
    assert!(world.store.user(una.user.id).await.unwrap().unwrap().email_verified);
    world.crm.runtime().drain().await.unwrap();
    assert!(world.outbox.to("una@acme.example").is_empty());

    world.later(60);
    // By what the provider calls them, whatever has become of their address there.
    let (browser, code) = world.proof("g-1", Some("elsewhere@acme.example")).await;
    let again = world.trade(&browser, trading(&code)).await.unwrap();
    assert_eq!((again.user.id, again.organization.id), (una.user.id, una.organization.id));
    let scope = world.scope(&again).await;
    let all = world.crm.with_scope(scope).identities().list(()).await.unwrap().data;
    let [google] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((google.provider.as_str(), google.email.as_deref()), ("google", Some("una@acme.example")));
    assert_eq!(google.last_used_at, Some(world.env.now()));
}

async fn who_is_invited_joins_by_their_address(world: World) {
    let team = world.me.invitations();
    let invite = |email: String| NewInvitation { email, role: Role::Manager.into(), team_id: None };
    let token = team.create(invite(address("max"))).await.unwrap().token;
    let theirs = |code: &str| ProviderSignIn { invite_token: token.clone(), ..trading(code) };

    let (browser, code) = world.proof("g-2", Some(&address("eve"))).await;
    refused(world.trade(&browser, theirs(&code)).await, 403, "wrong_address");
    let (browser, code) = world.proof("g-1", Some(&address("max"))).await;
    let max = world.trade(&browser, theirs(&code)).await.unwrap();
    assert_eq!(max.organization.id, world.organization);
    assert_eq!(world.scope(&max).await.role, Some(Role::Manager.into()));
    assert!(world.linked("g-1").await.is_some() && world.linked("g-2").await.is_none());
}

/// ASVS 6.8.1: an address that a provider knows is no account of ours.
async fn an_address_alone_opens_no_account(world: World) {
    let una = world.confirmed("una").await;
    let (browser, code) = world.proof("g-1", Some(&address("una"))).await;
    let given = ProviderSignIn { organization_name: Some("Acme".into()), ..trading(&code) };
    refused(world.trade(&browser, given).await, 409, "link_required");
    assert_eq!(world.linked("g-1").await, None);

    // Whoever owns both signs in as ever and links, by the same code.
    let scope = world.enter_by_password("una").await;
    world.crm.identity().link_identity(&scope, linking(&code), Some(&browser)).await.unwrap();
    assert_eq!(world.linked("g-1").await.unwrap().user_id, una.user.id);
    let (browser, code) = world.proof("g-1", Some(&address("una"))).await;
    assert_eq!(world.trade(&browser, trading(&code)).await.unwrap().user.id, una.user.id);
    // They are told (ASVS 6.3.7).
    world.crm.runtime().drain().await.unwrap();
    let told = world.outbox.to(&address("una"));
    assert!(told.iter().any(|mail| mail.subject.contains("google") && mail.text.contains("linked")), "{told:?}");
}

/// ASVS 6.8.1.
async fn an_address_that_is_nobodys_lets_nobody_in(world: World) {
    let sent = world.away().await;
    let back = world.back(&sent, &code_for("g-1", Some(&address("una")), false)).await.unwrap();
    refused(back.outcome, 403, "email_unverified");
    // Without any, nobody new can be made; who is known by it is let in.
    let (browser, code) = world.proof("g-2", None).await;
    let given = ProviderSignIn { organization_name: Some("Acme".into()), ..trading(&code) };
    refused(world.trade(&browser, given).await, 409, "link_required");
    let una = world.found("una", "g-3").await;
    let sent = world.away().await;
    let code = world.back(&sent, &code_for("g-3", Some("new@acme.example"), false)).await.unwrap().outcome.unwrap();
    assert_eq!(world.trade(&sent.browser, trading(&code)).await.unwrap().user.id, una.user.id);
}

/// ASVS 10.1.2: what comes back was begun in this browser, just now, with this provider, and comes back once.
/// ASVS 10.2.2.
async fn what_a_browser_is_sent_away_with_counts_once_and_there(world: World) {
    let identity = world.crm.identity();
    let code = code_for("g-1", Some(&address("una")), true);
    let sent = world.away().await;
    let here = answer(state_of(&sent), &code);
    let other = world.away().await;
    for (provider, given, browser) in [
        ("google", &here, None),
        ("google", &here, Some(&other.browser)),
        ("google", &answer("forged", &code), Some(&sent.browser)),
        ("google", &BTreeMap::new(), Some(&sent.browser)),
        ("github", &here, Some(&sent.browser)),
    ] {
        let back = identity.back_from_provider(provider, CALLBACK, given, browser.map(String::as_str)).await;
        assert_eq!(
            back.err().map(|error| error.code().to_owned()).as_deref(),
            Some("invalid_oauth_state"),
            "{given:?}"
        );
    }
    assert!(world.back(&sent, &code).await.unwrap().outcome.is_ok());
    assert_eq!(world.back(&sent, &code).await.err().unwrap().code(), "invalid_oauth_state");
    // What the provider's answer is worth does not matter: it came.
    assert!(world.back(&other, "nonsense").await.unwrap().outcome.is_err());
    assert_eq!(world.back(&other, &code).await.err().unwrap().code(), "invalid_oauth_state");

    let late = world.away().await;
    world.later(600);
    assert_eq!(world.back(&late, &code).await.err().unwrap().code(), "invalid_oauth_state");
    // In one browser several may be under way.
    let first = world.away().await;
    let second = identity.begin_at_provider("google", CALLBACK, "/", Some(&first.browser)).await.unwrap();
    assert_eq!(second.browser, first.browser);
    assert!(world.back(&first, &code).await.unwrap().outcome.is_ok());
    // What a browser makes up is none of ours.
    let odd = identity.begin_at_provider("google", CALLBACK, "/", Some("1")).await.unwrap();
    assert_ne!(odd.browser, "1");
    let unknown = identity.begin_at_provider("gogle", CALLBACK, "/", None).await;
    assert_eq!(unknown.err().unwrap().code(), "unknown_provider");
}

/// ASVS 2.3.1.
async fn a_code_counts_once_and_in_its_browser(world: World) {
    world.found("una", "g-1").await;
    let identity = world.crm.identity();
    let (browser, code) = world.proof("g-1", None).await;
    let other = world.away().await.browser;
    for (code, browser) in [(code.as_str(), Some(other.as_str())), (&code, None), ("forged", Some(&browser))] {
        refused(identity.sign_in_by_provider(trading(code), browser).await, 401, "invalid_oauth_code");
    }
    world.trade(&browser, trading(&code)).await.unwrap();
    refused(world.trade(&browser, trading(&code)).await, 401, "invalid_oauth_code");
    let (browser, code) = world.proof("g-1", None).await;
    world.later(600);
    refused(world.trade(&browser, trading(&code)).await, 401, "invalid_oauth_code");
}

/// Whoever reads a proof that the provider bound to nothing (Telegram's) cannot show it again from a browser of their own.
async fn what_is_bound_to_no_attempt_counts_once(world: World) {
    let code = |once: &str| json!({ "subject": "g-1", "once": once }).to_string();
    let (mine, theirs) = (world.away().await, world.away().await);
    assert!(world.back(&mine, &code("a")).await.unwrap().outcome.is_ok());
    refused(world.back(&theirs, &code("a")).await.unwrap().outcome, 401, "invalid_provider_answer");
    // As long as it counts, whatever was begun and forgotten meanwhile.
    world.later(299);
    let late = world.away().await;
    refused(world.back(&late, &code("a")).await.unwrap().outcome, 401, "invalid_provider_answer");
    let other = world.away().await;
    assert!(world.back(&other, &code("b")).await.unwrap().outcome.is_ok());

    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(world.away().await);
    }
    let proof = code("c");
    let all = futures::future::join_all(sent.iter().map(|sent| world.back(sent, &proof))).await;
    let let_in = all.iter().filter(|it| it.as_ref().is_ok_and(|back| back.outcome.is_ok())).count();
    assert_eq!(let_in, 1);
}

async fn of_two_who_show_the_same_code_one_is_let_in(world: World) {
    world.found("una", "g-1").await;
    let (browser, code) = world.proof("g-1", None).await;
    let all = (0..4).map(|_| world.trade(&browser, trading(&code)));
    let all = futures::future::join_all(all).await;
    assert_eq!(all.iter().filter(|it| it.is_ok()).count(), 1, "{all:?}");
    // And of two who sign up by it.
    let (browser, code) = world.proof("g-2", Some(&address("max"))).await;
    let given = || ProviderSignIn { organization_name: Some("Max".into()), ..trading(&code) };
    let all = futures::future::join_all((0..4).map(|_| world.trade(&browser, given()))).await;
    assert_eq!(all.iter().filter(|it| it.is_ok()).count(), 1, "{all:?}");
}

/// ASVS 7.5.1.
async fn linking_takes_a_fresh_sign_in_or_proof(world: World) {
    let una = world.confirmed("una").await;
    let scope = world.scope(&una).await;
    world.later(601);
    let (browser, code) = world.proof("g-1", None).await;
    let identity = world.crm.identity();
    let link = |password: Option<&str>| {
        let given = LinkIdentity { password: password.map(str::to_owned), ..linking(&code) };
        identity.link_identity(&scope, given, Some(&browser))
    };
    refused(link(None).await, 403, "step_up_required");
    assert_eq!(pointers(link(Some("wrong horse battery")).await), [("/password".to_owned(), "wrong".to_owned())]);
    assert_eq!(world.linked("g-1").await, None);
    link(Some(PASSWORD)).await.unwrap();
    let fresh = world.enter_by_password("una").await;
    world.link(&fresh, "g-2", None).await.unwrap();
    // A process that embeds the engine has no session that could be fresh.
    let embedded = world.crm.as_user(una.organization.id, una.user.id).await.unwrap();
    refused(world.link(embedded.scope(), "g-3", None).await, 403, "step_up_required");
}

/// ASVS 7.5.1.
async fn unlinking_takes_a_session_that_is_fresh(world: World) {
    let una = world.confirmed("una").await;
    let scope = world.scope(&una).await;
    let linked = world.link(&scope, "g-1", None).await.unwrap();
    world.later(601);
    let stale = world.crm.with_scope(scope.clone());
    refused(stale.identities().unlink(linked.id).await, 403, "step_up_required");
    assert!(world.linked("g-1").await.is_some());
    let proof = StepUp { code: None, password: Some(PASSWORD.to_owned()) };
    let renewed = world.crm.identity().renew_session(&scope, proof).await.unwrap();
    let fresh = world.crm.with_scope(world.scope(&renewed).await);
    fresh.identities().unlink(linked.id).await.unwrap();
    assert_eq!(world.linked("g-1").await, None);
}

/// Else whoever signs up with somebody else's address first would keep a way in when its owner comes.
async fn an_account_of_an_unshown_address_links_that_address_alone(world: World) {
    let una = world.sign_up("una").await;
    let scope = world.scope(&una).await;
    refused(world.link(&scope, "g-eve", Some(&address("eve"))).await, 403, "email_unverified");
    refused(world.link(&scope, "g-none", None).await, 403, "email_unverified");
    assert!(world.linked("g-eve").await.is_none() && world.linked("g-none").await.is_none());
    world.link(&scope, "g-una", Some(&address("una"))).await.unwrap();
    // Which shows whose it is.
    assert!(world.store.user(una.user.id).await.unwrap().unwrap().email_verified);
    world.link(&scope, "g-eve", Some(&address("eve"))).await.unwrap();
}

/// ASVS 6.8.1.
async fn an_identity_belongs_to_one_person(world: World) {
    world.found("una", "g-1").await;
    let max = world.confirmed("max").await;
    let scope = world.scope(&max).await;
    refused(world.link(&scope, "g-1", None).await, 409, "identity_taken");
    let first = world.link(&scope, "g-2", None).await.unwrap();
    assert_eq!(world.link(&scope, "g-2", None).await.unwrap().id, first.id);
    // It is nobody else's to see or to give up.
    let una = world.enter_by("g-1").await;
    refused(world.crm.with_scope(una.clone()).identities().unlink(first.id).await, 404, "not_found");
    assert_eq!(world.crm.with_scope(una).identities().list(()).await.unwrap().data.len(), 1);
    let identities = world.crm.with_scope(scope);
    identities.identities().unlink(first.id).await.unwrap();
    assert_eq!(world.linked("g-2").await, None);
    let (browser, code) = world.proof("g-2", Some(&address("max"))).await;
    refused(world.trade(&browser, trading(&code)).await, 409, "link_required");
}

impl World {
    async fn enter_by(&self, subject: &str) -> Scope {
        let (browser, code) = self.proof(subject, None).await;
        self.scope(&self.trade(&browser, trading(&code)).await.unwrap()).await
    }
}

async fn the_last_way_in_stays(world: World) {
    world.found("una", "g-1").await;
    let scope = world.enter_by("g-1").await;
    let una = world.crm.with_scope(scope.clone());
    let first = una.identities().list(()).await.unwrap().data.remove(0);
    refused(una.identities().unlink(first.id).await, 409, "last_way_in");
    let second = world.link(&scope, "g-2", None).await.unwrap();
    una.identities().unlink(first.id).await.unwrap();
    refused(una.identities().unlink(second.id).await, 409, "last_way_in");
    // A password is a way in too.
    let max = world.confirmed("max").await;
    let scope = world.scope(&max).await;
    let only = world.link(&scope, "g-3", None).await.unwrap();
    world.crm.with_scope(scope).identities().unlink(only.id).await.unwrap();
}

async fn of_two_ways_in_given_up_at_once_one_stays(world: World) {
    world.found("una", "g-1").await;
    let scope = world.enter_by("g-1").await;
    world.link(&scope, "g-2", None).await.unwrap();
    let una = world.crm.with_scope(scope);
    let all = una.identities().list(()).await.unwrap().data;
    let given_up = all.iter().map(|it| async { una.identities().unlink(it.id).await });
    let given_up = futures::future::join_all(given_up).await;
    let refusals: Vec<_> = given_up.iter().filter_map(|it| it.as_ref().err()).map(Error::code).collect();
    assert_eq!(refusals, ["last_way_in"]);
    assert_eq!(una.identities().list(()).await.unwrap().data.len(), 1);
}

/// ASVS 6.3.3.
/// ASVS 6.3.4 and 6.8.4.
async fn the_second_factor_is_asked_for_too(world: World) {
    let una = world.found("una", "g-1").await;
    let identity = world.crm.identity();
    let scope = world.scope(&una).await;
    let setup = identity.set_up_two_factor(&scope).await.unwrap();
    let shown = || totp_code(&setup.secret, world.env.now()).unwrap();
    identity.enable_two_factor(&scope, EnableTwoFactor { code: shown() }).await.unwrap();
    world.later(30);
    let (browser, code) = world.proof("g-1", None).await;
    refused(world.trade(&browser, trading(&code)).await, 401, "two_factor_required");
    let with = |totp: &str| ProviderSignIn { totp_code: Some(totp.to_owned()), ..trading(&code) };
    refused(world.trade(&browser, with("000000")).await, 401, "invalid_totp");
    world.trade(&browser, with(&shown())).await.unwrap();
    // Guessing is held up as it is behind a password.
    let (browser, code) = world.proof("g-1", None).await;
    for _ in 0..5 {
        let given = ProviderSignIn { totp_code: Some("000000".to_owned()), ..trading(&code) };
        refused(world.trade(&browser, given).await, 401, "invalid_totp");
    }
    let given = ProviderSignIn { totp_code: Some("000000".to_owned()), ..trading(&code) };
    refused(world.trade(&browser, given).await, 429, "rate_limited");
}

async fn what_waits_is_sealed(world: World) {
    let (browser, code) = world.proof("subject-of-una", Some(&address("una"))).await;
    let hash = {
        use sha2::{Digest, Sha256};
        Sha256::new().chain_update("code").chain_update([0]).chain_update(&code).finalize().to_vec()
    };
    let (kept, _) = world.store.login_state(&hash).await.unwrap().unwrap();
    let holds = |text: &str| kept.sealed.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(!holds("subject-of-una") && !holds("acme") && !holds(&code) && !holds(&browser));
    // What counts no more is forgotten when the next one begins.
    world.later(600);
    world.away().await;
    assert!(world.store.login_state(&hash).await.unwrap().is_none());
}

async fn a_key_is_nobody_elsewhere(world: World) {
    let una = world.found("una", "g-1").await;
    let handle = world.crm.with_scope(world.scope(&una).await);
    let scopes = vec!["profile:read".to_owned(), "profile:write".to_owned()];
    let new = NewApiKey { name: "Key".into(), scopes, expires_at: None, acts_for: Some(una.user.id) };
    let secret = handle.api_keys().create(new).await.unwrap().secret.unwrap();
    let key = world.crm.identity().authenticate(&secret).await.unwrap();
    refused(world.link(&key, "g-2", None).await, 403, "forbidden");
    let key = world.crm.with_scope(key);
    refused(key.identities().list(()).await, 403, "forbidden");
    let id = handle.identities().list(()).await.unwrap().data.remove(0).id;
    refused(key.identities().unlink(id).await, 403, "forbidden");
}

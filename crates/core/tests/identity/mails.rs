//! What is done by mail (OWASP ASVS 5.0, 6.3.7, 6.4 and 6.5): confirming an address, choosing a new password.

use dealwright::{
    Crm, Error,
    domain::{
        mail_token::{MailPurpose, MailToken},
        organization::User,
    },
    id::UserId,
    ports::{mailer::Mail, store::IdentityReads},
    scope::Role,
    services::identity::{
        AcceptInvitation, ChangePassword, EnableTwoFactor, ForgotPassword, NewInvitation, NewOrganization, NewUser,
        Origin, ResetPassword, SignIn, SignUp, SignedIn, VerifyEmail,
    },
    testkit::totp_code,
};

use crate::{
    PASSWORD, PUBLIC_URL, World, address,
    harness::{
        cases,
        world::{pointers, refused},
    },
};

cases!(
    signing_up_asks_by_mail_whether_the_address_is_ones_own,
    the_mail_is_sent_again_when_it_is_asked_for,
    an_invitations_token_shows_no_address_to_be_ones_own,
    a_forgotten_password_is_replaced_once_within_ten_minutes,
    a_new_password_by_mail_leaves_the_second_factor_as_it_is,
    one_of_two_who_show_the_same_token_succeeds,
    nobody_is_written_to_twice_in_a_minute_or_where_nobody_has_signed_up,
    a_new_password_ends_what_the_old_one_began,
    who_has_no_password_gets_one_by_mail,
    a_wrong_present_password_changes_nothing,
    without_a_console_the_mail_has_the_token_itself,
    a_name_adds_no_header_to_a_mail,
    an_address_that_looks_like_another_is_nobodys,
);

const CONFIRM: &str = "Confirm your e-mail address";
const CHOOSE: &str = "Choose a new password";
const CHANGED: &str = "Your password was changed";

impl World {
    async fn mails(&self, name: &str, subject: &str) -> Vec<Mail> {
        self.crm.runtime().drain().await.unwrap();
        self.outbox.to(&address(name)).into_iter().filter(|mail| mail.subject == subject).collect()
    }

    /// Waits until somebody was sent so many of these.
    async fn sent(&self, name: &str, subject: &str, count: usize) -> Vec<Mail> {
        loop {
            let mails = self.mails(name, subject).await;
            if mails.len() >= count {
                assert_eq!(mails.len(), count);
                return mails;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    fn forgot(&self, name: &str) {
        self.crm.identity().forgot_password(&ForgotPassword { email: address(name) });
    }

    /// The token of somebody who has forgotten their password.
    async fn reset_token(&self, name: &str, count: usize) -> String {
        self.forgot(name);
        token(self.sent(name, CHOOSE, count).await.last().unwrap(), "reset-password")
    }

    async fn reset(&self, token: &str, password: &str) -> Result<(), Error> {
        let given = ResetPassword { token: token.to_owned(), password: password.to_owned() };
        self.crm.identity().reset_password(given).await
    }

    async fn verify_email(&self, token: &str) -> Result<(), Error> {
        self.crm.identity().verify_email(VerifyEmail { token: token.to_owned() }).await
    }

    async fn sign_in(&self, name: &str, password: &str) -> Result<SignedIn, Error> {
        self.crm
            .identity()
            .sign_in(SignIn { email: address(name), password: password.to_owned(), totp_code: None })
            .await
    }

    async fn user(&self, id: UserId) -> User {
        self.store.user(id).await.unwrap().unwrap()
    }
}

/// The token in a mail's link.
fn token(mail: &Mail, page: &str) -> String {
    let begin = format!("{PUBLIC_URL}/#/{page}/");
    mail.text.lines().find_map(|line| line.strip_prefix(&begin)).unwrap().to_owned()
}

fn at_token(code: &str) -> Vec<(String, String)> {
    vec![("/token".to_owned(), code.to_owned())]
}

/// ASVS 6.6.2.
async fn signing_up_asks_by_mail_whether_the_address_is_ones_own(world: World) {
    let una = world.sign_up("una").await;
    assert!(!una.user.email_verified);
    // It blocks no work.
    let me = world.crm.with_scope(world.crm.identity().authenticate(&una.access_token).await.unwrap());
    assert!(!me.profile().get(()).await.unwrap().email_verified);
    let token = token(&world.sent("una", CONFIRM, 1).await[0], "verify-email");
    let kept = world.store.mail_token(una.user.id, MailPurpose::VerifyEmail).await.unwrap().unwrap();
    assert_eq!(kept.token_hash, MailToken::hash(&token));

    // Neither another token, nor one for another purpose.
    assert_eq!(pointers(world.verify_email("made-up").await), at_token("unknown"));
    assert_eq!(pointers(world.reset(&token, "another horse").await), at_token("unknown"));
    world.verify_email(&token).await.unwrap();
    assert!(world.user(una.user.id).await.email_verified && me.profile().get(()).await.unwrap().email_verified);
    // A mail program that looks at links first spoils nothing.
    world.verify_email(&token).await.unwrap();
    world.later(3 * 86_400);
    assert_eq!(pointers(world.verify_email(&token).await), at_token("expired"));
}

/// ASVS 6.6.2.
async fn the_mail_is_sent_again_when_it_is_asked_for(world: World) {
    let una = world.sign_up("una").await;
    let first = token(&world.sent("una", CONFIRM, 1).await[0], "verify-email");
    let scope = world.crm.identity().authenticate(&una.access_token).await.unwrap();
    let again = async || world.crm.identity().send_verification(&scope).await.unwrap();
    again().await;
    assert_eq!(world.mails("una", CONFIRM).await.len(), 1, "it was sent just now");
    world.later(61);
    again().await;
    let second = token(&world.sent("una", CONFIRM, 2).await[1], "verify-email");
    assert_eq!(pointers(world.verify_email(&first).await), at_token("unknown"));
    world.verify_email(&second).await.unwrap();
    world.later(61);
    again().await;
    assert_eq!(world.mails("una", CONFIRM).await.len(), 2, "there is nothing left to confirm");
}

async fn an_invitations_token_shows_no_address_to_be_ones_own(world: World) {
    let invite = async |name: &str| {
        let new = NewInvitation { email: address(name), role: Role::Member.into(), team_id: None };
        world.me.invitations().create(new).await.unwrap().token.unwrap()
    };
    let new = SignUp {
        email: address("max"),
        password: PASSWORD.to_owned(),
        name: "Max".to_owned(),
        organization_name: None,
        invite_token: Some(invite("max").await),
    };
    let max = world.crm.identity().sign_up(new).await.unwrap();
    // Whoever invited has seen the token too.
    assert!(!max.user.email_verified && !world.user(max.user.id).await.email_verified);
    assert_eq!(world.sent("max", CONFIRM, 1).await.len(), 1);

    let una = world.sign_up("una").await;
    let scope = world.crm.identity().authenticate(&una.access_token).await.unwrap();
    let given = AcceptInvitation { token: invite("una").await };
    world.crm.identity().accept_invitation(&scope, given).await.unwrap();
    assert!(!world.user(una.user.id).await.email_verified);
}

/// ASVS 6.4.3 and 6.5.5.
async fn a_forgotten_password_is_replaced_once_within_ten_minutes(world: World) {
    let una = world.sign_up("una").await;
    world.later(120);
    let late = world.reset_token("una", 1).await;
    world.later(600);
    assert_eq!(pointers(world.reset(&late, "another horse").await), at_token("expired"));
    let token = world.reset_token("una", 2).await;
    world.later(599);
    assert_eq!(pointers(world.reset(&late, "another horse").await), at_token("unknown"));
    let before = world.crm.identity().password_computations();
    let common = pointers(world.reset(&token, "una@acme.example").await);
    assert_eq!(common, [("/password".to_owned(), "too_common".to_owned())]);
    assert_eq!(world.crm.identity().password_computations(), before);

    world.reset(&token, "another horse").await.unwrap();
    assert_eq!(pointers(world.reset(&token, "a third horse").await), at_token("used"));
    refused(world.sign_in("una", PASSWORD).await, 401, "invalid_credentials");
    world.sign_in("una", "another horse").await.unwrap();
    // Whoever reads the mail has the address.
    assert!(world.user(una.user.id).await.email_verified);
    let told = world.sent("una", CHANGED, 1).await.remove(0);
    assert!(told.text.contains("2026-11-22") && !told.text.contains("horse"), "{}", told.text);
}

/// ASVS 6.4.3.
async fn a_new_password_by_mail_leaves_the_second_factor_as_it_is(world: World) {
    let una = world.sign_up("una").await;
    let identity = world.crm.identity();
    let scope = identity.authenticate(&una.access_token).await.unwrap();
    let setup = identity.set_up_two_factor(&scope).await.unwrap();
    let code = totp_code(&setup.secret, world.env.now()).unwrap();
    let codes = identity.enable_two_factor(&scope, EnableTwoFactor { code }).await.unwrap().recovery_codes;
    let token = world.reset_token("una", 1).await;
    world.reset(&token, "another horse").await.unwrap();
    refused(identity.authenticate(&una.access_token).await, 401, "session_ended");
    refused(world.sign_in("una", "another horse").await, 401, "two_factor_required");
    let totp_code = Some(codes[0].clone());
    let given = SignIn { email: address("una"), password: "another horse".to_owned(), totp_code };
    identity.sign_in(given).await.unwrap();
}

/// ASVS 6.5.1.
async fn one_of_two_who_show_the_same_token_succeeds(world: World) {
    world.sign_up("una").await;
    let token = world.reset_token("una", 1).await;
    let passwords = ["another horse", "a third horse", "a fourth horse"];
    let answers = futures::future::join_all(passwords.map(|password| world.reset(&token, password))).await;
    let won: Vec<_> = passwords.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()).map(|it| *it.0).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    for password in passwords {
        assert_eq!(world.sign_in("una", password).await.is_ok(), password == won[0]);
    }
}

async fn nobody_is_written_to_twice_in_a_minute_or_where_nobody_has_signed_up(world: World) {
    world.sign_up("una").await;
    world.sign_up("max").await;
    for name in ["nobody", "una", "una"] {
        world.forgot(name);
    }
    let first = world.sent("una", CHOOSE, 1).await;
    world.later(30);
    world.forgot("una");
    // Once this one's mail is there, so would be that one's.
    world.reset_token("max", 1).await;
    assert_eq!(world.mails("una", CHOOSE).await, first);
    assert!(world.mails("nobody", CHOOSE).await.is_empty());
    world.later(31);
    world.reset_token("una", 2).await;
}

/// ASVS 7.4.3.
async fn a_new_password_ends_what_the_old_one_began(world: World) {
    let identity = world.crm.identity();
    let here = world.sign_up("una").await;
    let there = world.sign_in("una", PASSWORD).await.unwrap();
    let scope = identity.authenticate(&here.access_token).await.unwrap();
    let change = |current: &str, new: &str| {
        let origin = Origin { address: Some("203.0.113.7".parse().unwrap()), user_agent: None };
        let given = ChangePassword { current_password: current.to_owned(), password: new.to_owned() };
        let (scope, world) = (scope.clone(), &world);
        async move { world.crm.identity().from_origin(&origin).change_password(&scope, given).await }
    };
    change(PASSWORD, "another horse").await.unwrap();
    refused(identity.authenticate(&there.access_token).await, 401, "session_ended");
    identity.authenticate(&here.access_token).await.unwrap();
    assert!(world.sent("una", CHANGED, 1).await[0].text.contains("from 203.0.113.7"));

    // By mail all of them end, this one too; and none that is begun meanwhile with the old one stays.
    let token = world.reset_token("una", 1).await;
    let (reset, begun) = futures::join!(world.reset(&token, "a third horse"), world.sign_in("una", "another horse"));
    reset.unwrap();
    refused(identity.authenticate(&here.access_token).await, 401, "session_ended");
    if let Ok(begun) = begun {
        refused(identity.authenticate(&begun.access_token).await, 401, "session_ended");
    }
}

async fn who_has_no_password_gets_one_by_mail(world: World) {
    let owner = NewUser { email: address("ada"), name: "Ada".to_owned(), password: None };
    let made = world.crm.organizations().create(NewOrganization { name: "Lace".to_owned(), owner }).await.unwrap();
    let me = world.crm.as_user(made.organization.id, made.owner.id).await.unwrap();
    let given = ChangePassword { current_password: String::new(), password: PASSWORD.to_owned() };
    refused(world.crm.identity().change_password(me.scope(), given).await, 409, "no_password");
    assert!(world.mails("ada", CONFIRM).await.is_empty(), "who embeds the engine answers for the addresses");
    let token = world.reset_token("ada", 1).await;
    world.reset(&token, PASSWORD).await.unwrap();
    world.sign_in("ada", PASSWORD).await.unwrap();
}

/// ASVS 6.2.2 and 6.2.3.
async fn a_wrong_present_password_changes_nothing(world: World) {
    let una = world.sign_up("una").await;
    let scope = world.crm.identity().authenticate(&una.access_token).await.unwrap();
    let before = world.store.credential(una.user.id).await.unwrap().unwrap();
    for current in ["", "wrong horse battery", &"x".repeat(100_000)] {
        let given = ChangePassword { current_password: current.to_owned(), password: "another horse".to_owned() };
        let wrong = pointers(world.crm.identity().change_password(&scope, given).await);
        assert_eq!(wrong, [("/current_password".to_owned(), "wrong".to_owned())]);
    }
    assert!(world.store.credential(una.user.id).await.unwrap().unwrap() == before);
    world.crm.identity().authenticate(&una.access_token).await.unwrap();
}

async fn without_a_console_the_mail_has_the_token_itself(world: World) {
    world.sign_up("una").await;
    let builder = Crm::builder().store(world.store.clone()).env(world.env.clone()).mailer(world.outbox.clone());
    let plain = builder.build().await.unwrap();
    plain.identity().forgot_password(&ForgotPassword { email: address("una") });
    let mut mail = None;
    for _ in 0..2_000 {
        plain.runtime().drain().await.unwrap();
        mail = world.outbox.to(&address("una")).into_iter().find(|mail| mail.subject == CHOOSE);
        if mail.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let mail = mail.unwrap();
    assert!(!mail.text.contains("://"), "{}", mail.text);
    let token = mail.text.lines().find(|line| line.len() == 43).unwrap();
    world.reset(token, "another horse").await.unwrap();
}

/// OWASP ASVS 1.3.11: what people call themselves begins no header of a mail, and turns no text round.
async fn a_name_adds_no_header_to_a_mail(world: World) {
    let with = |name: &str, organization: &str| SignUp {
        email: address("eve"),
        password: PASSWORD.to_owned(),
        name: name.to_owned(),
        organization_name: Some(organization.to_owned()),
        invite_token: None,
    };
    for line in ["Eve\r\nBcc: all@acme.example", "Eve\nX: y", "Eve\u{0}", "Eve\u{85}Bcc"] {
        for (new, pointer) in [(with(line, "Evil"), "/name"), (with("Eve", line), "/organization_name")] {
            let flaws = pointers(world.crm.identity().sign_up(new).await);
            assert_eq!(flaws, [(pointer.to_owned(), "control_character".to_owned())], "{line:?}");
        }
    }
    let eve = world.crm.identity().sign_up(with("E\u{202e}ve", "Acme\u{2066} Sons")).await.unwrap();
    let me = world.crm.with_scope(world.crm.identity().authenticate(&eve.access_token).await.unwrap());
    let new = NewInvitation { email: address("max"), role: Role::Member.into(), team_id: None };
    me.invitations().create(new).await.unwrap();
    world.crm.runtime().drain().await.unwrap();
    let invited = world.outbox.to(&address("max")).remove(0);
    assert_eq!(invited.subject, "Eve invites you to join Acme Sons");
    assert_eq!(world.sent("eve", CONFIRM, 1).await[0].to_name.as_deref(), Some("Eve"));
}

/// Accounts are known by their addresses: none can be had that looks like another's.
async fn an_address_that_looks_like_another_is_nobodys(world: World) {
    let una = world.sign_up("una").await;
    let with = |email: &str| SignUp {
        email: email.to_owned(),
        password: PASSWORD.to_owned(),
        name: "Una".to_owned(),
        organization_name: Some("Acme".to_owned()),
        invite_token: None,
    };
    for (email, code) in [
        ("un\u{430}@acme.example", "look_alike"),
        ("una@\u{430}cme.example", "look_alike"),
        ("u\u{200b}na@acme.example", "invalid"),
        ("una@acme.example\r\nBcc: all@acme.example", "control_character"),
    ] {
        let flaw = vec![("/email".to_owned(), code.to_owned())];
        assert_eq!(pointers(world.crm.identity().sign_up(with(email)).await), flaw, "{email:?}");
        let new = NewInvitation { email: email.to_owned(), role: Role::Member.into(), team_id: None };
        assert_eq!(pointers(world.me.invitations().create(new).await), flaw, "{email:?}");
    }
    // What is the same address in other letters is that address, at every door.
    let wide = "ＵＮＡ@ａｃｍｅ.example";
    refused(world.crm.identity().sign_up(with(wide)).await, 409, "email_taken");
    let given = SignIn { email: wide.to_owned(), password: PASSWORD.to_owned(), totp_code: None };
    assert_eq!(world.crm.identity().sign_in(given).await.unwrap().user.id, una.user.id);
}

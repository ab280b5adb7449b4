//! What happens to rows.

use std::sync::Arc;

use chrono::Duration;

use super::{Ground, Samples};
use crate::{
    cipher::Key,
    domain::{
        account::{SealedSecret, SyncCursor},
        chat::ChatState,
        contact::{ContactIdentity, IdentityKind},
        data_key::{CommonKey, DataKey},
        job::Job,
        linked_identity::LoginState,
        organization::SecondFactor,
        payload::{ContactKey, Personal},
        pipeline::StageKind,
        role::Grant,
    },
    env::Env,
    ports::store::{RuleVersion, Seat, Store, Update, Write},
    testkit::{Failure, Outcome, ensure, ensure_code, ensure_eq},
};

pub(super) async fn a_stale_version_is_a_write_conflict(store: Arc<dyn Store>) -> Outcome {
    let ground = Ground::make(&*store, 1).await?;
    let before = &ground.contact;
    let ours = crate::domain::contact::Contact { name: "Ours".into(), version: 2, ..before.clone() };
    let theirs = crate::domain::contact::Contact { name: "Theirs".into(), version: 2, ..before.clone() };
    ground.write(&*store, [Write::Update(Update::between(before, &ours))]).await?;
    ensure_code!(ground.write(&*store, [Write::Update(Update::between(before, &theirs))]).await, "write_conflict");
    ensure_eq!(ground.contact_now(&*store).await?, ours);
    Ok(())
}

pub(super) async fn a_change_of_a_missing_row_is_a_write_conflict(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let stranger = ground.samples.contact(&ground.stage);
    ensure_code!(ground.write(&*store, [Write::Update(Update::of(&stranger).add("score", 1))]).await, "write_conflict");
    // Nothing to change, only to check.
    ensure_code!(ground.write(&*store, [Write::Update(Update::of(&stranger))]).await, "write_conflict");
    ground.write(&*store, [Write::Update(Update::of(&ground.contact).expect("version", &1i64))]).await?;
    ensure_code!(
        ground.write(&*store, [Write::Update(Update::of(&ground.contact).expect("version", &2i64))]).await,
        "write_conflict"
    );
    Ok(())
}

pub(super) async fn a_second_row_in_a_unique_index_is_a_write_conflict(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let namesake = crate::domain::organization::User { email: ground.user.email.clone(), ..ground.samples.user() };
    ensure_code!(ground.write(&*store, [Write::insert(&namesake)]).await, "write_conflict");

    let other = ground.samples.contact(&ground.stage);
    let identity = |claimed| ContactIdentity {
        organization_id: ground.id,
        kind: IdentityKind::Email,
        value: ground.contact.emails.first().cloned().unwrap_or_default(),
        contact_id: other.id,
        claimed,
    };
    let claimed = [Write::insert(&other), Write::insert(&identity(true))];
    ensure_code!(ground.write(&*store, claimed).await, "write_conflict");
    // Several may hold it, one claims it.
    ground.write(&*store, [Write::insert(&other), Write::insert(&identity(false))]).await?;
    let holders = store.holders(ground.id, &[(IdentityKind::Email, identity(false).value)]).await?;
    ensure_eq!(holders.len(), 2);

    let rule = ground.samples.rule();
    ground.write(&*store, [Write::insert(&rule)]).await?;
    let event = ground.samples.event(crate::domain::event::EventKind::ContactUpdated, ground.contact.id);
    let (first, second) = (ground.samples.run(&rule, &event, None), ground.samples.run(&rule, &event, None));
    ground.write(&*store, [Write::insert(&first)]).await?;
    ensure_code!(ground.write(&*store, [Write::insert(&second)]).await, "write_conflict");
    Ok(())
}

pub(super) async fn an_expectation_of_null_holds_while_it_is_null(store: Arc<dyn Store>) -> Outcome {
    let ground = Ground::make(&*store, 1).await?;
    let at = Samples::epoch();
    let none: Option<chrono::DateTime<chrono::Utc>> = None;
    let first = |hours| {
        let update = Update::of(&ground.contact).set("first_response_at", &Some(at + Duration::hours(hours)));
        [Write::Update(update.expect("first_response_at", &none))]
    };
    ground.write(&*store, first(1)).await?;
    ensure_code!(ground.write(&*store, first(2)).await, "write_conflict");
    ensure_eq!(ground.contact_now(&*store).await?.first_response_at, Some(at + Duration::hours(1)));
    let expect = Update::of(&ground.contact).expect("first_response_at", &Some(at + Duration::hours(1)));
    ground.write(&*store, [Write::Update(expect.add("score", 1))]).await?;
    Ok(())
}

pub(super) async fn counters_add_up_whoever_adds(store: Arc<dyn Store>) -> Outcome {
    let ground = Ground::make(&*store, 1).await?;
    let adds = (1..=32).map(|by| ground.write(&*store, [Write::Update(Update::of(&ground.contact).add("score", by))]));
    for added in futures::future::join_all(adds).await {
        added?;
    }
    ensure_eq!(ground.contact_now(&*store).await?.score, ground.contact.score + (1..=32).sum::<i64>());
    Ok(())
}

pub(super) async fn the_larger_time_stays_and_null_is_the_smallest(store: Arc<dyn Store>) -> Outcome {
    let ground = Ground::make(&*store, 1).await?;
    let at = Samples::epoch();
    for (hours, stays) in [(Some(5), Some(5)), (Some(3), Some(5)), (None, Some(5)), (Some(9), Some(9))] {
        let time = |hours: Option<i64>| hours.map(|hours| at + Duration::hours(hours));
        let update = Update::of(&ground.contact).max("last_response_at", &time(hours));
        ground.write(&*store, [Write::Update(update)]).await?;
        ensure_eq!(ground.contact_now(&*store).await?.last_response_at, time(stays));
    }
    Ok(())
}

pub(super) async fn a_skipped_insert_keeps_the_first_row(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let first = Job { dedup_key: Some("once".into()), ..ground.samples.job() };
    let again = Job { dedup_key: Some("once".into()), ..ground.samples.job() };
    let other = Job { dedup_key: None, ..ground.samples.job() };
    let rows = [Write::insert_or_skip(&first), Write::insert_or_skip(&again), Write::insert_or_skip(&other)];
    ground.write(&*store, rows).await?;
    ground.write(&*store, [Write::insert_or_skip(&again), Write::insert_or_skip(&first)]).await?;
    ensure_eq!(store.job_by_dedup_key(ground.id, "once").await?, Some(first));
    ensure_eq!(store.job(ground.id, again.id).await?, None);
    ensure_eq!(store.job(ground.id, other.id).await?, Some(other));
    Ok(())
}

pub(super) async fn a_put_row_is_made_or_replaced(store: Arc<dyn Store>) -> Outcome {
    let ground = Ground::make(&*store, 1).await?;
    for at in [1, 2] {
        let cursor = SyncCursor {
            account_id: ground.account.id,
            organization_id: ground.id,
            cursor: serde_json::json!({ "at": at }),
        };
        ground.write(&*store, [Write::put(&cursor)]).await?;
        ensure_eq!(store.account_cursor(ground.id, ground.account.id).await?, Some(cursor));
    }
    // A row that is nothing but its key.
    let tag = crate::domain::contact::ContactTag {
        organization_id: ground.id,
        tag: "put".into(),
        contact_id: ground.contact.id,
    };
    ground.write(&*store, [Write::put(&tag), Write::put(&tag)]).await?;
    Ok(())
}

pub(super) async fn a_row_can_be_removed_and_made_again_in_one_batch(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let heir = ground.samples.contact(&ground.stage);
    let value = ground.contact.emails.first().cloned().unwrap_or_default();
    let identity = |contact_id| ContactIdentity {
        organization_id: ground.id,
        kind: IdentityKind::Email,
        value: value.clone(),
        contact_id,
        claimed: true,
    };
    let writes = [Write::delete(&identity(ground.contact.id)), Write::insert(&identity(heir.id)), Write::insert(&heir)];
    ground.write(&*store, writes).await?;
    let holders = store.holders(ground.id, &[(IdentityKind::Email, value.clone())]).await?;
    ensure_eq!(holders.iter().map(|it| it.contact_id).collect::<Vec<_>>(), [heir.id]);
    Ok(())
}

/// What a key sealed is found by it, and by no other.
async fn found_under_keys(
    store: &dyn Store,
    key: &DataKey,
    common: &CommonKey,
    job: &Job,
    secret: &SealedSecret,
    factor: &SecondFactor,
    login: &LoginState,
) -> Outcome {
    let id = key.organization_id;
    ensure!(store.job_to_do(id, job.id).await? == Some((job.clone(), Some(key.clone()))), "the job's key differs");
    ensure!(store.secrets_under(id, key.id, None, 9).await? == [secret.clone()], "another secret is found");
    ensure!(store.jobs_under(id, key.id, None, 9).await? == [job.clone()], "another job is found");
    ensure!(store.second_factors_under(common.id, None, 9).await? == [factor.clone()], "another factor is found");
    ensure!(store.login_states_under(common.id, None, 9).await? == [login.clone()], "another step is found");
    ensure!(store.secrets_under(id, key.id, Some(secret.account_id), 9).await?.is_empty(), "a page begins too early");
    ensure!(store.jobs_under(id, key.id, Some(job.id), 9).await?.is_empty(), "a page begins too early");
    ensure!(
        store.second_factors_under(common.id, Some(factor.user_id), 9).await?.is_empty(),
        "a page begins too early"
    );
    ensure!(store.login_states_under(common.id, Some(login.id), 9).await?.is_empty(), "a page begins too early");
    ensure!(store.secrets_under(id, common.id, None, 9).await?.is_empty(), "a secret is found by another key");
    ensure!(store.jobs_under(id, common.id, None, 9).await?.is_empty(), "a job is found by another key");
    ensure!(store.second_factors_under(key.id, None, 9).await?.is_empty(), "a factor is found by another key");
    Ok(())
}

pub(super) async fn every_record_reads_back_as_it_was_written(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let id = ground.id;
    let samples = &mut ground.samples;
    let at = Samples::epoch();
    let (rule, job, media) = (samples.rule(), samples.job(), samples.media());
    let event = samples.event(crate::domain::event::EventKind::ContactUpdated, ground.contact.id);
    let (run, timer) = (samples.run(&rule, &event, Some(ground.contact.id)), samples.timer(&rule, &ground.contact));
    let (message, notification) = (samples.message(&ground.chat), samples.notification(ground.user.id));
    let (credential, mut membership) = (samples.credential(&ground.user), samples.membership(&ground.user));
    let role = samples.own_role();
    membership.role = crate::scope::RoleKey::Own(role.id);
    let (session, key) = (samples.session(&ground.user), samples.api_key(&ground.user));
    let master = samples.master_key();
    let (master_key, wrapped) = (Some(master.id.clone()), Some(vec![7; 72]));
    let key_of_job = DataKey { master_key: master_key.clone(), wrapped: wrapped.clone(), ..samples.data_key() };
    let common = CommonKey { master_key, wrapped, retired_at: Some(at), ..samples.common_key() };
    let job = Job { key_id: Some(key_of_job.id), ..job };
    let (token, factor) = (samples.mail_token(&ground.user), samples.second_factor(&ground.user, &common));
    let (linked, login) = (samples.linked_identity(&ground.user), samples.login_state(&common));
    let lost = samples.stage(&ground.pipeline, 1, StageKind::Lost);
    let moved = samples.stage_move(&ground.contact, Some(&ground.stage), &lost, at);
    let (secret, skipped) = (samples.secret(&ground.account, &key_of_job), samples.skipped(&ground.account));
    let (entry, chain) = (samples.audit_entry(), samples.audit_chain());
    let erasure = samples.erasure(&ground.contact);
    let (retention, mark) = (samples.retention(), samples.retention_mark());
    // A personal row is kept without what is personal, and read with it as long as there is the key.
    let contact_key = samples.contact_key(&ground.contact);
    let sealing =
        contact_key.key.as_deref().map(Key::new).transpose()?.ok_or_else(|| Failure::new("a sample has no key"))?;
    let part = sealing.seal(&Env::system(), &run.place(), &run.part()?)?;
    let sealed = run.erased().sealed_by(ground.contact.id, part.clone());
    let run = run.sealed_by(ground.contact.id, part);
    let writes = [
        Write::insert(&master),
        Write::insert(&common),
        Write::insert(&key_of_job),
        Write::insert(&rule),
        Write::insert(&RuleVersion(rule.clone())),
        Write::insert(&job),
        Write::insert(&media),
        Write::insert(&sealed),
        Write::insert(&contact_key),
        Write::insert(&timer),
        Write::insert(&message),
        Write::insert(&notification),
        Write::insert(&credential),
        Write::insert(&role),
        Write::insert(&membership),
        Write::insert(&session),
        Write::insert(&key),
        Write::insert(&linked),
        Write::insert(&login),
        Write::insert(&token),
        Write::insert(&factor),
        Write::insert(&lost),
        Write::insert(&moved),
        Write::insert(&secret),
        Write::insert(&skipped),
        Write::insert(&entry),
        Write::insert(&chain),
        Write::insert(&erasure),
        Write::insert(&retention),
        Write::insert(&mark),
    ];
    ground.write(&*store, writes).await?;
    ensure_eq!(store.organization(id).await?, Some(ground.organization));
    ensure_eq!(store.user(ground.user.id).await?, Some(ground.user.clone()));
    ensure!(store.credential(ground.user.id).await? == Some(credential), "the credential differs");
    ensure_eq!(store.membership(id, ground.user.id).await?, Some(membership.clone()));
    ensure_eq!(store.api_key(id, key.id).await?, Some(key.clone()));
    let grant =
        Grant { permissions: role.permissions, record_visibility: role.record_visibility, fields: role.fields.clone() };
    let seat = Seat { membership: membership.clone(), grant, needs_two_factor: false, lacks_two_factor: false };
    ensure_eq!(store.seat(id, ground.user.id).await?, Some(seat.clone()));
    ensure_eq!(store.api_key_by_hash(&key.secret_hash).await?, Some((key, Some(seat.clone()))));
    ensure_eq!(store.signed_in(session.id).await?, Some((session.clone(), Some(seat))));
    ensure_eq!(store.holders_of(id, role.id).await?, (vec![membership], vec![]));
    ensure_eq!(store.own_roles(id).await?, [role]);
    let found = store.second_factor(ground.user.id).await?;
    ensure!(found == Some((factor.clone(), common.clone())), "the second factor or its key differs");
    ensure!(store.mail_token_by_hash(&token.token_hash).await?.as_ref() == Some(&token), "the mailed token differs");
    ensure!(store.mail_token(ground.user.id, token.purpose).await? == Some(token), "the mailed token differs");
    let from = async |email: &str, network: &str| store.has_signed_in_from(email, network).await;
    ensure!(from(&ground.user.email, "2001:db8::").await?, "where the session began is not found");
    ensure!(!from(&ground.user.email, "2001:db8::7").await?, "a session is found where none began");
    ensure!(!from("nobody@acme.example", "2001:db8::").await?, "somebody else's session is found");
    ensure_eq!(store.session(session.id).await?, Some(session));
    ensure_eq!(store.identity(&linked.provider, &linked.subject).await?, Some(linked.clone()));
    ensure_eq!(store.identity("github", &linked.subject).await?, None);
    ensure_eq!(store.identities(ground.user.id).await?, [linked]);
    ensure!(
        store.login_state(&login.token_hash).await? == Some((login.clone(), common.clone())),
        "the step of a sign-in differs"
    );
    found_under_keys(&*store, &key_of_job, &common, &job, &secret, &factor, &login).await?;
    ensure_eq!(store.master_keys().await?, std::slice::from_ref(&master));
    ensure!(store.data_keys(id).await? == [key_of_job.clone()], "the data key differs");
    ensure!(store.common_keys().await? == [common.clone()], "the common key differs");
    // A key that something names cannot go.
    for referred in [Write::delete(&master), Write::delete(&common), Write::delete(&key_of_job)] {
        ensure_code!(store.commit(id, Ground::quiet([referred])).await, "write_conflict");
    }
    store.forget_login_states(login.expires_at - Duration::microseconds(1)).await?;
    ensure!(store.login_state(&login.token_hash).await?.is_some(), "a step that still counts was forgotten");
    store.forget_login_states(login.expires_at).await?;
    ensure!(store.login_state(&login.token_hash).await?.is_none(), "a step that counts no more was kept");
    ensure_eq!(store.pipelines(id).await?, [ground.pipeline]);
    ensure_eq!(store.stages(id).await?, [ground.stage, lost]);
    ensure_eq!(store.erasure(id, ground.contact.id).await?, Some(erasure));
    ensure_eq!(store.retention(id).await?, Some(retention));
    // Later than any id that there can be.
    let (begin, end) = (uuid::Uuid::nil(), Samples::epoch() + Duration::days(365 * 8_000));
    ensure!(store.retention_marks(id, mark.walk, begin, end, 9).await? == [mark.clone()], "the mark differs");
    ensure!(store.retention_marks(id, mark.walk, mark.id, end, 9).await?.is_empty(), "a mark is found behind itself");
    ensure_eq!(store.contact(id, ground.contact.id).await?, Some(ground.contact.clone()));
    ensure_eq!(store.stage_move(id, moved.id).await?, Some(moved));
    ensure_eq!(store.account(id, ground.account.id).await?, Some(ground.account.clone()));
    ensure!(
        store.account_secret(id, ground.account.id).await? == Some((secret, key_of_job.clone())),
        "the secret or its key differs"
    );
    ensure_eq!(store.skipped_messages(id, ground.account.id, 9).await?, [skipped]);
    ensure_eq!(store.chat(id, ground.chat.id).await?, Some(ground.chat.clone()));
    ensure_eq!(store.message(id, message.id).await?, Some(message));
    ensure_eq!(store.media(id, media.id).await?, Some(media));
    ensure_eq!(store.rule(id, rule.id).await?, Some(rule));
    ensure_eq!(store.run(id, run.id).await?, Some(run));
    ensure!(store.contact_keys(id, &[ground.contact.id]).await? == [contact_key.clone()], "the contact's key differs");
    store.commit(id, Ground::quiet([Write::put(&ContactKey { key: None, ..contact_key })])).await?;
    ensure_eq!(store.run(id, sealed.id).await?, Some(sealed));
    ensure_eq!(store.timer(id, timer.id).await?, Some(timer));
    ensure_eq!(store.job(id, job.id).await?, Some(job));
    ensure_eq!(store.notification(id, notification.id).await?, Some(notification));
    ensure_eq!(store.audit_entry(id, entry.id).await?, Some(entry));
    ensure_eq!(store.audit_chain(id).await?, Some(chain));

    let snoozed = Update::of(&ground.chat).set("state", &ChatState::Snoozed).set("snoozed_until", &Some(at));
    store.commit(id, Ground::quiet([Write::Update(snoozed)])).await?;
    let chat = store.chat(id, ground.chat.id).await?;
    ensure_eq!(chat.map(|it| (it.state, it.snoozed_until)), Some((ChatState::Snoozed, Some(at))));
    Ok(())
}

//! What keeps organisations apart.

use std::{collections::BTreeSet, sync::Arc};

use uuid::Uuid;

use super::Ground;
use crate::{
    domain::{
        company::CompanyTag,
        contact::{ContactIdentity, ContactTag, IdentityKind},
        custom_field::{CustomValue, Noun},
        event::EventKind,
        external_id::ExternalId,
        job::{Claim, Lane},
        pipeline::StageKind,
    },
    error::Result,
    id::{Id, OrganizationId},
    ports::store::{
        Batch, Column, Guard, Must, Record, Row, RuleVersion, Store, TABLES, Table, Update, Value, WorkEnd, WorkItem,
        Write, idempotency::IdempotencyRecord,
    },
    testkit::{Outcome, ensure, ensure_code, ensure_eq, samples::Samples},
};

type Sample = (&'static Table, Row);

fn sample<T: Record>(record: &T) -> Sample {
    (T::TABLE, record.to_row())
}

/// A row of every table that belongs to organisations, in an order in which they can be written.
fn one_of_each(ground: &mut Ground) -> Vec<Sample> {
    let id = ground.id;
    let samples = &mut ground.samples;
    let stage = samples.stage(&ground.pipeline, 5, StageKind::Open);
    let contact = samples.contact(&stage);
    let tag = ContactTag { organization_id: id, tag: "walled".into(), contact_id: contact.id };
    let identity = ContactIdentity {
        organization_id: id,
        kind: IdentityKind::Email,
        value: "walled@example.org".into(),
        contact_id: contact.id,
        claimed: true,
    };
    let company = samples.company();
    let field = samples.custom_field();
    let value =
        CustomValue { organization_id: id, field_id: field.id, value: "walled".into(), record_id: contact.id.uuid() };
    let external = ExternalId {
        organization_id: id,
        object: Noun::Contact,
        system: "erp".into(),
        external_id: "walled".into(),
        record_id: contact.id.uuid(),
    };
    let moved = samples.stage_move(&contact, None, &stage, Samples::epoch());
    let deal = samples.deal(&stage, Some(&contact));
    let account = samples.account();
    let chat = samples.chat(&account, Some(&contact));
    let message = samples.message(&chat);
    let rule = samples.rule();
    let team = samples.team();
    let data_key = samples.data_key();
    let (place, turn) = (samples.team_member(&team, ground.user.id), samples.turn(&team, ground.user.id));
    let event = crate::domain::event::Event { subject_seq: 77, ..samples.event(EventKind::ContactCreated, contact.id) };
    let key = IdempotencyRecord {
        organization_id: id,
        actor: "system".into(),
        operation: "contacts.create".into(),
        key: "walled".into(),
        body_hash: vec![1],
        answer: serde_json::Value::Null,
        created_at: Samples::epoch(),
    };
    vec![
        sample(&place),
        sample(&team),
        sample(&turn),
        sample(&samples.pipeline()),
        sample(&stage),
        sample(&contact),
        sample(&identity),
        sample(&tag),
        sample(&samples.contact_key(&contact)),
        sample(&samples.erasure(&contact)),
        sample(&samples.retention()),
        sample(&samples.retention_mark()),
        sample(&company),
        sample(&CompanyTag { organization_id: id, tag: "walled".into(), company_id: company.id }),
        sample(&value),
        sample(&field),
        sample(&external),
        sample(&deal),
        sample(&samples.note(&contact)),
        sample(&samples.task(&contact)),
        sample(&moved),
        sample(&samples.secret(&account, &data_key)),
        sample(&samples.cursor(&account)),
        sample(&samples.skipped(&account)),
        sample(&account),
        sample(&samples.credit(&message, ground.user.id)),
        sample(&message),
        sample(&chat),
        sample(&samples.media()),
        sample(&samples.run(&rule, &event, Some(contact.id))),
        sample(&samples.timer(&rule, &contact)),
        sample(&samples.job()),
        sample(&samples.notification(ground.user.id)),
        sample(&RuleVersion(rule.clone())),
        sample(&rule),
        sample(&event),
        sample(&key),
        sample(&samples.audit_entry()),
        sample(&samples.audit_chain()),
        sample(&data_key),
    ]
}

fn key_of(table: &'static Table, row: &Row) -> Result<Row> {
    table.key.iter().map(|column| Ok(row.get(table.position(column)?).cloned().unwrap_or(Value::Null))).collect()
}

/// The same row or key, as if it were another organisation's.
fn as_of(organization: OrganizationId, columns: &[&'static str], values: &Row) -> Row {
    let own = |(column, value): (&&str, &Value)| {
        if *column == "organization_id" { organization.to_value() } else { value.clone() }
    };
    columns.iter().zip(values).map(own).collect()
}

/// A change of the row that fails unless every column is as it was.
fn unchanged(table: &'static Table, row: &Row) -> Result<Write> {
    let expect = table.columns.iter().copied().zip(row.iter().cloned()).collect();
    let update =
        Update { table, key: key_of(table, row)?, set: vec![], add: vec![], max: vec![], expect, before: None };
    Ok(Write::Update(update))
}

/// ASVS 8.4.1.
pub(super) async fn rows_of_another_organisation_cannot_be_written(store: Arc<dyn Store>) -> Outcome {
    let mut ours = Ground::make(&*store, 1).await?;
    let theirs = Ground::make(&*store, 2).await?;
    let rows = one_of_each(&mut ours);
    let covered: BTreeSet<_> = rows.iter().map(|(table, _)| table.name).collect();
    let all: BTreeSet<_> = TABLES.iter().filter(|table| !table.global).map(|table| table.name).collect();
    ensure_eq!(covered, all);
    let mut stranger = Batch::default();
    stranger.fact([], ours.samples.event(EventKind::ContactUpdated, ours.contact.id));
    ensure_code!(store.commit(theirs.id, stranger).await, "internal");
    // Not one of them gets in under another organisation's name …
    for (table, row) in &rows {
        let refused = theirs.write(&*store, [Write::Insert { table, row: row.clone() }]).await;
        ensure!(refused.is_err(), "a row of {} got in under another organisation", table.name);
    }
    ours.write(&*store, rows.iter().map(|(table, row)| Write::Insert { table, row: row.clone() })).await?;
    for (table, row) in &rows {
        // … nor is it changed, replaced, guarded or removed by one, in whichever way it is named.
        let key = key_of(table, row)?;
        for key in [key.clone(), as_of(theirs.id, table.key, &key)] {
            let column = *table.columns.last().unwrap_or(&"id");
            let value = row.last().cloned().unwrap_or(Value::Null);
            let set = vec![(column, value)];
            let filter: Vec<_> = table.key.iter().copied().zip(key.clone()).collect();
            let update = Update { table, key, set, add: vec![], max: vec![], expect: vec![], before: None };
            let changed = theirs.write(&*store, [Write::Update(update)]).await;
            ensure!(changed.is_err(), "a row of {} was changed by another organisation", table.name);
            // Removing nothing is fine.
            let _ = theirs.write(&*store, [Write::Delete { table, filter: filter.clone(), before: None }]).await;
            let guard = Guard { table, filter, must: Must::BeLocked, otherwise: ("unseen", String::new()) };
            let locked = store.commit(theirs.id, Batch { guards: vec![guard], ..Batch::default() }).await;
            ensure!(locked.is_err(), "a row of {} is seen by another organisation", table.name);
        }
        let put = theirs.write(&*store, [Write::Put { table, row: row.clone() }]).await;
        ensure!(put.is_err(), "a row of {} was replaced by another organisation", table.name);
        let all = vec![("organization_id", theirs.id.to_value())];
        let _ = theirs.write(&*store, [Write::Delete { table, filter: all, before: None }]).await;
        ensure!(
            theirs.write(&*store, [Write::Delete { table, filter: vec![], before: None }]).await.is_err(),
            "rows of {} can be removed without naming an organisation",
            table.name
        );
        ours.write(&*store, [unchanged(table, row)?]).await?;
        // A row cannot change its organisation either.
        let mut gift = Update {
            table,
            key: key_of(table, row)?,
            set: vec![],
            add: vec![],
            max: vec![],
            expect: vec![],
            before: None,
        };
        gift.set.push(("organization_id", theirs.id.to_value()));
        ensure!(ours.write(&*store, [Write::Update(gift)]).await.is_err(), "a row of {} was given away", table.name);
    }
    Ok(())
}

/// ASVS 8.4.1.
pub(super) async fn rows_of_another_organisation_cannot_be_read(store: Arc<dyn Store>) -> Outcome {
    let mut ours = Ground::make(&*store, 1).await?;
    let theirs = Ground::make(&*store, 2).await?.id;
    let samples = &mut ours.samples;
    let (rule, job, media) = (samples.rule(), samples.job(), samples.media());
    let message = samples.message(&ours.chat);
    let event = samples.event(EventKind::ContactCreated, ours.contact.id);
    let mut batch = Batch::default();
    let rows = [Write::insert(&rule), Write::insert(&job), Write::insert(&media), Write::insert(&message)];
    batch.fact(rows, event.clone());
    store.commit(ours.id, batch).await?;
    let email = ours.contact.emails.first().cloned().unwrap_or_default();
    let kept = |organization| {
        let (store, event, identity) = (store.clone(), event.clone(), [(IdentityKind::Email, email.clone())]);
        let ids = (ours.contact.id, ours.account.id, ours.chat.id, message.id, media.id, rule.id, job.id);
        async move {
            Ok::<_, crate::Error>([
                store.contact(organization, ids.0).await?.is_some(),
                !store.contacts_by_ids(organization, &[ids.0]).await?.is_empty(),
                store.account(organization, ids.1).await?.is_some(),
                store.chat(organization, ids.2).await?.is_some(),
                store.message(organization, ids.3).await?.is_some(),
                store.media(organization, ids.4).await?.is_some(),
                store.rule(organization, ids.5).await?.is_some(),
                store.job(organization, ids.6).await?.is_some(),
                store.event(organization, event.id).await?.is_some(),
                !store.pending_events(organization, &[event.subject.id], 9).await?.is_empty(),
                store.holders(organization, &identity).await?.iter().any(|it| it.contact_id == ids.0),
            ])
        }
    };
    ensure_eq!(kept(ours.id).await?, [true; 11]);
    ensure_eq!(kept(theirs).await?, [false; 11]);
    ensure_eq!(store.rules(theirs).await?.len(), 0);
    ensure_eq!(store.stages(theirs).await?.iter().filter(|stage| stage.id == ours.stage.id).count(), 0);
    Ok(())
}

pub(super) async fn work_of_another_organisation_cannot_be_touched(store: Arc<dyn Store>) -> Outcome {
    let ours = Ground::make(&*store, 1).await?;
    let theirs = Ground::make(&*store, 2).await?;
    let (id, now) = (ours.contact.id.uuid(), Samples::epoch());
    let item = |organization_id, due_at| WorkItem { lane: Lane::Job, id, organization_id, due_at };
    let plant = |organization: OrganizationId, item| {
        let mut batch = Batch::default();
        batch.plant(item);
        store.commit(organization, batch)
    };
    plant(ours.id, item(ours.id, now)).await?;
    let later = now + chrono::Duration::days(9);
    ensure_code!(plant(theirs.id, item(ours.id, later)).await, "internal");
    ensure_code!(plant(theirs.id, item(theirs.id, later)).await, "internal");
    let mut batch = Batch::default();
    batch.uproot(Lane::Job, id);
    store.commit(theirs.id, batch).await?;
    ensure_eq!(store.next_due(&[Lane::Job]).await?, Some(now));
    let claims = store.claim(&[Lane::Job], Uuid::nil(), now, chrono::Duration::seconds(15), 9).await?;
    ensure_eq!(claims.iter().map(|claim| claim.organization_id).collect::<Vec<_>>(), [ours.id]);
    for claim in claims {
        let mut batch = Batch::default();
        batch.end(WorkEnd::Done(claim.clone()));
        ensure_code!(store.commit(theirs.id, batch).await, "internal");
        let mut batch = Batch::default();
        batch.end(WorkEnd::Done(Claim { organization_id: theirs.id, ..claim }));
        // It knows the item's id and token, and still it is not theirs.
        ensure!(store.commit(theirs.id, batch).await.is_err(), "another organisation's work was ended");
    }
    Ok(())
}

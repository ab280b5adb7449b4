//! Where a live connection delivers to: cleans what came, stores its files, and takes it in under the connection's claim,
//! so that who has lost the lease writes nothing more.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    domain::{
        account::{Account, AccountStatus},
        erasure::unlinked,
        job::Claim,
    },
    engine::Engine,
    error::{Error, ErrorKind, Result},
    ports::{
        connector::{Delivery, Inbox, Incoming},
        store::WorkEnd,
    },
    runtime::commit,
    scope::{Actor, Cause, Scope},
    services::{
        accounts, media,
        messaging::{self, Arrival},
    },
};

/// Messages of one commit: a durable commit costs a sync of the disk, however much it holds.
const GROUP: usize = 50;
/// Bytes of bodies of one commit.
const GROUP_BYTES: usize = 4 << 20;

/// The inbox of one account. A connection that the supervisor holds writes under its claim; a caller that brings messages
/// of its own has none.
pub(crate) struct AccountInbox {
    engine: Arc<Engine>,
    claim: Option<Claim>,
    account: Account,
    reported: Mutex<Option<AccountStatus>>,
}

/// Messages that are taken in by one commit: all history, or none.
struct Group {
    is_quiet: bool,
    bytes: usize,
    arrivals: Vec<Arrival>,
}

impl AccountInbox {
    pub(crate) fn new(engine: Arc<Engine>, claim: Option<Claim>, account: Account) -> Self {
        Self { engine, claim, account, reported: Mutex::new(None) }
    }

    /// The last status that the connector told.
    pub(super) fn reported(&self) -> Option<AccountStatus> {
        *self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scope(&self, cause: Cause) -> Scope {
        Scope::system(self.account.organization_id).acting(Actor::Account { id: self.account.id }, cause)
    }

    /// The groups of a step, in its order.
    async fn groups(&self, deliveries: Vec<Delivery>) -> Result<Vec<Group>> {
        let now = self.engine.env.now();
        let mut cleaned = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            cleaned.push(match delivery {
                Delivery::Message(incoming) => Delivery::Message(Box::new(messaging::clean(*incoming, now))),
                skipped => skipped,
            });
        }
        let known = self.known_with_files(&cleaned).await?;
        let mut groups: Vec<Group> = Vec::new();
        for delivery in cleaned {
            let (arrival, is_quiet, bytes) = match delivery {
                Delivery::Skipped { provider_id, reason } => (Arrival::Skipped { provider_id, reason }, None, 0),
                Delivery::Message(incoming) => {
                    let is_quiet = messaging::is_quiet(&self.account, &incoming);
                    let bytes = incoming.text.len();
                    (self.arrival(*incoming, &known).await?, Some(is_quiet), bytes)
                }
            };
            match groups.last_mut() {
                Some(group)
                    if is_quiet.is_none_or(|it| it == group.is_quiet)
                        && group.arrivals.len() < GROUP
                        && group.bytes + bytes <= GROUP_BYTES =>
                {
                    group.bytes += bytes;
                    group.arrivals.push(arrival);
                }
                _ => groups.push(Group { is_quiet: is_quiet.unwrap_or_default(), bytes, arrivals: vec![arrival] }),
            }
        }
        Ok(groups)
    }

    /// The messages with files that are known already: their files need not be stored again.
    async fn known_with_files(&self, deliveries: &[Delivery]) -> Result<HashSet<String>> {
        let mut ids = Vec::new();
        for delivery in deliveries {
            if let Delivery::Message(incoming) = delivery
                && !incoming.media.is_empty()
            {
                // Of an erased person's mail what its id has become.
                ids.extend([incoming.provider_id.clone(), unlinked(&incoming.provider_id)]);
            }
        }
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let account = &self.account;
        let known = self.engine.store.known_provider_ids(account.organization_id, account.id, &ids).await?;
        Ok(known.into_iter().collect())
    }

    /// A message whose files lie where they stay.
    async fn arrival(&self, mut incoming: Incoming, known: &HashSet<String>) -> Result<Arrival> {
        let files = std::mem::take(&mut incoming.media);
        let mut media = Vec::with_capacity(files.len());
        if !known.contains(&incoming.provider_id) && !known.contains(&unlinked(&incoming.provider_id)) {
            for file in files {
                let account = &self.account;
                media.push(media::keep_incoming(&self.engine, account.organization_id, account.id, file).await?);
            }
        }
        Ok(Arrival::Message { incoming: Box::new(incoming), media })
    }

    /// Takes in a group. A message that cannot be taken in whatever is done must not keep the others out for ever: it is
    /// recorded with the reason.
    async fn take_in(&self, group: Group, cursor: Option<Arc<Value>>) -> Result<()> {
        let cause = if group.is_quiet { Cause::quiet("backfill") } else { Cause::default() };
        let scope = self.scope(cause);
        let arrivals: Vec<_> = group.arrivals.into_iter().map(Arc::new).collect();
        match self.ingest(&scope, arrivals.clone(), cursor.clone()).await {
            Err(error) if is_the_messages_fault(&error) => {}
            outcome => return outcome,
        }
        for arrival in arrivals {
            match self.ingest(&scope, vec![arrival.clone()], None).await {
                Err(error) if is_the_messages_fault(&error) => {
                    let Arrival::Message { incoming, .. } = &*arrival else { return Err(error) };
                    tracing::warn!(account = %self.account.id, provider_id = incoming.provider_id, %error, "a message is not taken in");
                    let skipped = Arrival::Skipped {
                        provider_id: incoming.provider_id.clone(),
                        reason: format!("it could not be taken in: {}", error.message()),
                    };
                    self.ingest(&scope, vec![Arc::new(skipped)], None).await?;
                }
                outcome => outcome?,
            }
        }
        self.ingest(&scope, Vec::new(), cursor).await
    }

    async fn ingest(&self, scope: &Scope, arrivals: Vec<Arc<Arrival>>, cursor: Option<Arc<Value>>) -> Result<()> {
        let (account, claim, arrivals) = (self.account.id, self.claim.clone(), Arc::new(arrivals));
        commit(&self.engine, scope, move |unit| {
            let (claim, arrivals, cursor) = (claim.clone(), arrivals.clone(), cursor.clone());
            Box::pin(async move {
                messaging::ingest(unit, account, &arrivals, cursor.as_deref()).await?;
                claim.into_iter().for_each(|claim| unit.batch.end(WorkEnd::Held(claim)));
                Ok(())
            })
        })
        .await
    }
}

/// Whether it is this message that cannot be written, and not the moment.
fn is_the_messages_fault(error: &Error) -> bool {
    let refused = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Malformed | ErrorKind::TooLarge);
    refused || (error.kind() == ErrorKind::Conflict && !error.is_write_conflict() && error.code() != "lease_lost")
}

#[async_trait]
impl Inbox for AccountInbox {
    async fn deliver(&self, deliveries: Vec<Delivery>, cursor: Value) -> Result<()> {
        let cursor = Arc::new(cursor);
        let mut groups = self.groups(deliveries).await?;
        let last = groups.pop();
        for group in groups {
            self.take_in(group, None).await?;
        }
        match last {
            Some(group) => self.take_in(group, Some(cursor)).await,
            None => self.ingest(&self.scope(Cause::default()), Vec::new(), Some(cursor)).await,
        }
    }

    async fn status(&self, status: AccountStatus, reason: Option<String>) -> Result<()> {
        let (account, claim) = (self.account.id, self.claim.clone());
        commit(&self.engine, &self.scope(Cause::default()), move |unit| {
            let (claim, reason) = (claim.clone(), reason.clone());
            Box::pin(async move {
                accounts::report(unit, account, status, reason).await?;
                claim.into_iter().for_each(|claim| unit.batch.end(WorkEnd::Held(claim)));
                Ok(())
            })
        })
        .await?;
        *self.reported.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        Ok(())
    }
}

//! What a store must keep to.

mod commits;
mod events;
mod queue;
mod rows;
mod walls;

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{
    Outcome,
    samples::{Samples, contact_rows},
};
use crate::{
    domain::{
        account::Account,
        chat::Chat,
        contact::Contact,
        organization::{Organization, User},
        pipeline::{Pipeline, Stage, StageKind},
    },
    id::OrganizationId,
    ports::store::{Batch, Store, Write},
};

/// One thing that a store must keep to. It is given an empty store of its own.
#[derive(Debug, Clone, Copy)]
pub struct StoreCase {
    /// What it is, as a sentence in `snake_case`.
    pub name: &'static str,
    /// Holds a store to it.
    pub run: fn(Arc<dyn Store>) -> BoxFuture<'static, Outcome>,
}

macro_rules! cases {
    ($($room:ident { $($name:ident,)+ })+) => {
        &[$($(StoreCase { name: stringify!($name), run: |store| Box::pin($room::$name(store)) },)+)+]
    };
}

/// Everything that a store must keep to.
pub fn store_cases() -> &'static [StoreCase] {
    cases! {
        commits {
            a_batch_is_written_whole_or_not_at_all,
            a_guard_names_its_own_conflict,
            units_that_lock_the_same_row_take_turns,
            one_bad_commit_of_many_spoils_none_of_the_others,
            a_bad_batch_of_many_spoils_none_of_the_others,
            what_was_handed_over_is_written_though_its_caller_is_gone,
            rows_that_are_referred_to_are_written_first_and_removed_last,
            a_reference_to_a_missing_row_is_a_write_conflict,
            hundreds_of_rows_go_in_at_once,
            a_text_that_cannot_be_kept_is_refused,
            idempotency_keys_are_forgotten_up_to_a_time,
        }
        rows {
            a_stale_version_is_a_write_conflict,
            a_change_of_a_missing_row_is_a_write_conflict,
            a_second_row_in_a_unique_index_is_a_write_conflict,
            an_expectation_of_null_holds_while_it_is_null,
            counters_add_up_whoever_adds,
            the_larger_time_stays_and_null_is_the_smallest,
            a_skipped_insert_keeps_the_first_row,
            a_put_row_is_made_or_replaced,
            a_row_can_be_removed_and_made_again_in_one_batch,
            every_record_reads_back_as_it_was_written,
        }
        events {
            events_of_a_subject_are_numbered_without_holes,
            pending_events_come_in_order_until_they_are_consumed,
            what_was_consumed_stays_consumed,
            events_that_were_never_stated_cannot_be_consumed,
            a_subject_with_events_comes_up_for_dispatch_once,
        }
        queue {
            due_items_are_claimed_oldest_first_and_once,
            what_is_not_due_waits,
            the_work_of_a_dead_owner_is_claimed_by_another,
            a_clock_set_back_holds_nothing_up,
            a_commit_under_a_lost_claim_writes_nothing,
            a_renewed_claim_stays_ones_own,
            a_released_claim_is_due_when_it_was_said,
            what_is_planted_again_while_claimed_is_not_done,
            what_is_put_off_keeps_its_claim_until_then,
            planting_again_moves_the_time_and_uprooting_removes,
            a_claim_of_what_was_removed_and_planted_again_is_lost,
            many_claimers_share_out_all_work,
        }
        walls {
            rows_of_another_organisation_cannot_be_written,
            rows_of_another_organisation_cannot_be_read,
            work_of_another_organisation_cannot_be_touched,
        }
    }
}

/// An organisation with one of most things.
struct Ground {
    samples: Samples,
    id: OrganizationId,
    organization: Organization,
    user: User,
    pipeline: Pipeline,
    stage: Stage,
    contact: Contact,
    account: Account,
    chat: Chat,
}

impl Ground {
    /// Its records, not written yet.
    fn plan(seed: u64) -> Self {
        let mut samples = Samples::new(seed);
        let organization = samples.organization();
        let user = samples.user();
        let pipeline = samples.pipeline();
        let stage = samples.stage(&pipeline, 0, StageKind::Open);
        let contact = samples.contact(&stage);
        let account = samples.account();
        let chat = samples.chat(&account, Some(&contact));
        Self { id: samples.organization_id, samples, organization, user, pipeline, stage, contact, account, chat }
    }

    /// The same, written.
    async fn make(store: &dyn Store, seed: u64) -> Outcome<Self> {
        let mut ground = Self::plan(seed);
        let mut writes = vec![
            Write::insert(&ground.organization),
            Write::insert(&ground.user),
            Write::insert(&ground.pipeline),
            Write::insert(&ground.stage),
            Write::insert(&ground.account),
            Write::insert(&ground.chat),
        ];
        writes.extend(contact_rows(&ground.contact));
        let batch = ground.samples.batch(writes);
        store.commit(ground.id, batch).await?;
        Ok(ground)
    }

    /// A batch of these writes alone.
    fn quiet(writes: impl IntoIterator<Item = Write>) -> Batch {
        Batch { writes: writes.into_iter().collect(), ..Batch::default() }
    }

    async fn write(&self, store: &dyn Store, writes: impl IntoIterator<Item = Write>) -> crate::Result<()> {
        store.commit(self.id, Self::quiet(writes)).await
    }

    /// The contact as the store has it now.
    async fn contact_now(&self, store: &dyn Store) -> Outcome<Contact> {
        let found = store.contact(self.id, self.contact.id).await?;
        found.ok_or_else(|| super::Failure::new("the contact is gone"))
    }
}

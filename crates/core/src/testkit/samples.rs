//! Records to fill a store with. The same seed makes the same records, so that two databases can be given the same and
//! compared. It makes plain rows: what they mean to each other is the test's business.

mod people;

use chrono::{DateTime, Duration, TimeZone, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    domain::{
        account::{Account, AccountSource, AccountStatus, SealedSecret, SkippedMessage, SyncCursor, Visibility},
        chat::{Chat, ChatState, LastMessage},
        contact::{Contact, ContactIdentity, ContactTag, Handles},
        currency::Currency,
        data_key::DataKey,
        deal::Deal,
        event::{Event, EventKind, Subject, SubjectKind},
        job::{Job, JobKind, JobState},
        media::Media,
        message::{Content, Direction, Message, MessageStatus, Sender, SenderType},
        money::Money,
        notification::Notification,
        pipeline::{Pipeline, Stage, StageKind, StageMove},
        rule::{Rule, RulePlan, RuleSubject, Trigger},
        run::{Run, RunOutcome, Timer},
    },
    id::*,
    ports::store::{Batch, Write},
    scope::{Actor, Cause},
};

/// Makes records of one organisation.
#[derive(Debug, Clone)]
pub struct Samples {
    /// The organisation.
    pub organization_id: OrganizationId,
    state: u64,
    made: u64,
}

impl Samples {
    /// A maker whose records depend on `seed` alone.
    pub fn new(seed: u64) -> Self {
        let mut samples = Self { organization_id: OrganizationId::from_uuid(Uuid::nil()), state: seed, made: 0 };
        samples.organization_id = samples.id();
        samples
    }

    /// The next number of the sequence (splitmix64, <https://prng.di.unimi.it/splitmix64.c>).
    #[expect(clippy::should_implement_trait, reason = "records are made here; an iterator of numbers is nobody's need")]
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `below`, exclusive.
    pub fn below(&mut self, below: u64) -> u64 {
        self.next() % below.max(1)
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// If there are none.
    #[expect(clippy::indexing_slicing, reason = "for tests: there is nothing to choose from an empty list")]
    pub fn choose<T: Clone>(&mut self, choices: &[T]) -> T {
        let place = usize::try_from(self.below(choices.len() as u64)).unwrap_or_default();
        choices[place].clone()
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// An id that nothing else has; in no order, so that nothing can rely on one.
    pub fn id<T: Id>(&mut self) -> T {
        let (high, low) = (self.next(), self.next());
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(high.to_be_bytes().into_iter().chain(low.to_be_bytes())) {
            *to = from;
        }
        T::from_uuid(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// When samples begin: everything they tell of happens after this.
    pub fn epoch() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).single().unwrap_or_default()
    }

    /// A whole number of hours, below `hours`, after the epoch: repeats are likely, as ties are what sorts stumble over.
    pub fn hour(&mut self, hours: u64) -> DateTime<Utc> {
        Self::epoch() + Duration::hours(i64::try_from(self.below(hours)).unwrap_or_default())
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// A pipeline that is not the default one.
    pub fn pipeline(&mut self) -> Pipeline {
        let at = self.hour(9);
        Pipeline {
            id: self.id(),
            organization_id: self.organization_id,
            name: format!("Pipeline {}", self.number()),
            is_default: false,
            created_at: at,
            updated_at: at,
            version: 1,
        }
    }

    /// A stage of it.
    pub fn stage(&mut self, pipeline: &Pipeline, order_index: i64, kind: StageKind) -> Stage {
        Stage {
            id: self.id(),
            organization_id: self.organization_id,
            pipeline_id: pipeline.id,
            name: format!("Stage {order_index}"),
            order_index,
            color: None,
            kind,
            probability: Some(0.5),
            automation_rules: json!([]),
            created_at: pipeline.created_at,
            updated_at: pipeline.created_at,
            version: 1,
        }
    }

    /// A contact in it, with few different values in each field.
    pub fn contact(&mut self, stage: &Stage) -> Contact {
        let number = self.number();
        let name = self.choose(&["Ada", "ada", "Äda", "Émile", "Zoë", "李雷", "bob", "Bob 2", "_", "ß"]).to_owned();
        let mut tags: Vec<String> =
            ["vip", "eu", "cold", "beta"].into_iter().filter(|_| self.one_in(3)).map(str::to_owned).collect();
        tags.sort();
        let created_at = self.hour(40);
        let later =
            |samples: &mut Self| created_at + Duration::hours(i64::try_from(samples.below(30)).unwrap_or_default());
        Contact {
            id: self.id(),
            organization_id: self.organization_id,
            name_key: name.to_lowercase(),
            name,
            emails: vec![format!("contact{number}@example.org")],
            phones: if self.one_in(2) { vec![format!("+49301{number:06}")] } else { Vec::new() },
            handles: Handles { telegram: self.one_in(4).then(|| format!("contact{number}")), ..Handles::default() },
            company_id: None,
            assigned_to: None,
            team_id: None,
            source: self.choose(&[None, Some("email"), Some("import")]).map(str::to_owned),
            tags,
            custom: Map::new(),
            external_ids: std::collections::BTreeMap::new(),
            stage_id: stage.id,
            pipeline_id: stage.pipeline_id,
            stage_entry_id: self.id(),
            stage_entered_at: later(self),
            score: i64::try_from(self.below(7)).unwrap_or_default() - 3,
            first_response_at: None,
            last_response_at: None,
            last_message_at: self.one_in(2).then(|| later(self)),
            created_at,
            updated_at: later(self),
            deleted_at: None,
            version: 1,
        }
    }

    /// A contact's move from one stage to another.
    pub fn stage_move(&mut self, contact: &Contact, from: Option<&Stage>, to: &Stage, at: DateTime<Utc>) -> StageMove {
        StageMove {
            id: self.id(),
            organization_id: self.organization_id,
            contact_id: Some(contact.id),
            deal_id: None,
            pipeline_id: to.pipeline_id,
            from_stage_id: from.map(|it| it.id),
            to_stage_id: to.id,
            moved_by: None,
            moved_at: at,
            left_at: None,
            left_to: None,
            auto_moved: false,
            rule_id: None,
            run_id: None,
            reason: None,
            sealed_by: None,
            sealed: None,
        }
    }

    /// A deal in a stage, with this contact.
    pub fn deal(&mut self, stage: &Stage, contact: Option<&Contact>) -> Deal {
        let created_at = self.hour(40);
        let amount = i64::try_from(self.below(1_000_000)).unwrap_or_default() * 100;
        let number = self.number();
        let currency = self.choose(&["EUR", "USD", "JPY"]).parse::<Currency>().unwrap_or_default();
        Deal {
            id: self.id(),
            organization_id: self.organization_id,
            name: format!("Deal {number}"),
            name_key: format!("deal {number}"),
            contact_id: contact.map(|it| it.id),
            company_id: None,
            pipeline_id: stage.pipeline_id,
            stage_id: stage.id,
            stage_entry_id: self.id(),
            stage_entered_at: created_at,
            value: (!self.one_in(4)).then_some(Money { amount, currency }),
            probability: self.choose(&[None, Some(0.25), Some(0.9)]),
            expected_close_on: self.one_in(2).then(|| self.hour(4000).date_naive()),
            assigned_to: None,
            team_id: None,
            lost_reason: None,
            status: stage.kind,
            closed_at: (stage.kind != StageKind::Open).then_some(created_at),
            custom: Map::new(),
            external_ids: std::collections::BTreeMap::new(),
            created_at,
            updated_at: created_at,
            deleted_at: None,
            version: 1,
        }
    }

    /// An account.
    pub fn account(&mut self) -> Account {
        let number = self.number();
        let at = self.hour(9);
        Account {
            id: self.id(),
            organization_id: self.organization_id,
            platform: self.choose(&["email", "telegram"]).to_owned(),
            display_name: format!("Account {number}"),
            handle: format!("account{number}@acme.example"),
            owner_id: Some(self.id()),
            visibility: self.choose(Visibility::ALL),
            status: AccountStatus::Active,
            status_since: at,
            status_reason: None,
            last_sync_at: None,
            flood_wait_until: None,
            source: AccountSource::Own,
            lease_expires_at: None,
            created_at: at,
            updated_at: at,
            deleted_at: None,
            version: 1,
        }
    }

    /// An account's secrets.
    pub fn secret(&self, account: &Account, key: &DataKey) -> SealedSecret {
        SealedSecret {
            account_id: account.id,
            organization_id: self.organization_id,
            key_id: key.id,
            sealed: vec![0, 1, 2, 255],
        }
    }

    /// How far an account has synchronised.
    pub fn cursor(&self, account: &Account) -> SyncCursor {
        SyncCursor { account_id: account.id, organization_id: self.organization_id, cursor: json!({ "uid": 7 }) }
    }

    /// A message that an account did not take in.
    pub fn skipped(&mut self, account: &Account) -> SkippedMessage {
        SkippedMessage {
            account_id: account.id,
            organization_id: self.organization_id,
            provider_id: format!("skipped-{}", self.number()),
            reason: "too large".to_owned(),
            skipped_at: self.hour(9),
        }
    }

    /// A chat on an account.
    pub fn chat(&mut self, account: &Account, contact: Option<&Contact>) -> Chat {
        let last_message_at = self.hour(40);
        let number = self.number();
        Chat {
            id: self.id(),
            organization_id: self.organization_id,
            account_id: account.id,
            platform: account.platform.clone(),
            chat_key: format!("chat-{number}"),
            title: Some(format!("Chat {number}")),
            contact_id: contact.map(|it| it.id),
            last_message: Some(LastMessage {
                id: self.id(),
                direction: Direction::Incoming,
                text: Some("Hello".to_owned()),
                timestamp: last_message_at,
            }),
            last_message_at,
            unread_count: i64::try_from(self.below(3)).unwrap_or_default(),
            assigned_to: None,
            state: self.choose(ChatState::ALL),
            snoozed_until: None,
            waiting_since: None,
            sent_at: None,
            sent_by: None,
            labels: Vec::new(),
            created_at: Self::epoch(),
            version: 1,
        }
    }

    /// A message of a chat.
    pub fn message(&mut self, chat: &Chat) -> Message {
        let number = self.number();
        let direction = self.choose(Direction::ALL);
        let incoming = direction == Direction::Incoming;
        Message {
            id: self.id(),
            organization_id: self.organization_id,
            account_id: chat.account_id,
            chat_id: chat.id,
            platform: chat.platform.clone(),
            direction,
            sender: Sender {
                id: "ada@example.org".to_owned(),
                name: "Ada".to_owned(),
                sender_type: if incoming { SenderType::Client } else { SenderType::Bd },
            },
            content: Some(Content { text: format!("Message {number}"), media: Vec::new() }),
            contact_id: chat.contact_id,
            timestamp: self.hour(40),
            read: self.one_in(2),
            status: if incoming { MessageStatus::Delivered } else { self.choose(MessageStatus::ALL) },
            error: None,
            send_at: None,
            metadata: Map::new(),
            provider_id: Some(format!("provider-{number}")),
            reference: (!self.one_in(4)).then(|| format!("<{number}@example.org>")),
            sent_by: None,
            created_at: Self::epoch(),
        }
    }

    /// A stored file.
    pub fn media(&mut self) -> Media {
        Media {
            id: self.id(),
            organization_id: self.organization_id,
            name: "offer.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: 12,
            account_id: None,
            contact_id: None,
            created_at: Self::epoch(),
            used_at: Self::epoch(),
        }
    }

    /// A rule.
    pub fn rule(&mut self) -> Rule {
        let number = self.number();
        Rule {
            id: self.id(),
            organization_id: self.organization_id,
            slug: format!("rule-{number}"),
            name: format!("Rule {number}"),
            enabled: true,
            engine: "declarative".to_owned(),
            position: i64::try_from(self.below(3)).unwrap_or_default(),
            definition: Map::from_iter([("trigger".to_owned(), Value::from("stage.changed"))]),
            compiled: json!({ "n": number }),
            plan: RulePlan {
                trigger: Trigger::StageChanged,
                subject: RuleSubject::Contact,
                stages: None,
                elapsed: None,
                schedule: None,
                fields: Vec::new(),
                options: Vec::new(),
                causes: Vec::new(),
            },
            failures: 0,
            paused_reason: None,
            updated_by: None,
            created_at: Self::epoch(),
            updated_at: Self::epoch(),
            version: 1,
        }
    }

    /// A run of a rule on an event.
    pub fn run(&mut self, rule: &Rule, event: &Event, contact: Option<ContactId>) -> Run {
        Run {
            id: self.id(),
            organization_id: self.organization_id,
            rule_id: rule.id,
            rule_version: rule.version,
            event_id: event.id,
            event_kind: event.kind.to_string(),
            contact_id: contact,
            deal_id: None,
            outcome: self.choose(RunOutcome::ALL),
            facts: json!({ "score": 1 }),
            actions: json!([]),
            duration_us: 12,
            error: None,
            stopped: false,
            created_at: self.hour(40),
            sealed_by: None,
            sealed: None,
        }
    }

    /// A timer of a rule with a contact.
    pub fn timer(&mut self, rule: &Rule, contact: &Contact) -> Timer {
        Timer {
            id: self.id(),
            organization_id: self.organization_id,
            rule_id: rule.id,
            subject_kind: SubjectKind::Contact,
            subject_id: contact.id.uuid(),
            stage_entry_id: contact.stage_entry_id,
            due_at: self.hour(40),
            ripe: false,
        }
    }

    /// A job.
    pub fn job(&mut self) -> Job {
        let at = self.hour(40);
        Job {
            id: self.id(),
            organization_id: self.organization_id,
            kind: JobKind::SendMessage,
            payload: json!({ "n": 1 }),
            key_id: None,
            state: self.choose(JobState::ALL),
            progress: 0,
            attempts: 0,
            run_at: at,
            dedup_key: self.one_in(2).then(|| format!("job-{}", self.number())),
            last_error: None,
            created_by: None,
            created_at: at,
            updated_at: at,
        }
    }

    /// A notification to a user.
    pub fn notification(&mut self, user: UserId) -> Notification {
        Notification {
            id: self.id(),
            organization_id: self.organization_id,
            user_id: user,
            kind: "rule.notify_team".to_owned(),
            title: format!("Notification {}", self.number()),
            body: None,
            contact_id: None,
            deal_id: Some(self.id()),
            task_id: Some(self.id()),
            rule_id: None,
            data: Map::new(),
            read: self.one_in(2),
            created_at: self.hour(40),
        }
    }

    /// A fact about a subject.
    pub fn event(&mut self, kind: EventKind, subject: impl Into<Subject>) -> Event {
        Event {
            id: self.id(),
            organization_id: self.organization_id,
            kind,
            subject: subject.into(),
            subject_seq: 0,
            occurred_at: self.hour(40),
            actor: Actor::System,
            cause: Cause::default(),
            changes: std::collections::BTreeMap::new(),
            data: Map::new(),
            sealed_by: None,
            sealed: None,
        }
    }

    /// A batch of these writes with one event about the organisation, which lets it change any table.
    pub fn batch(&mut self, writes: impl IntoIterator<Item = Write>) -> Batch {
        let mut batch = Batch::default();
        let event = self.event(EventKind::OrganizationUpdated, self.organization_id);
        batch.fact(writes, event);
        batch
    }
}

/// The rows of a contact: its own, those of its identities, which it claims, and those of its tags.
pub fn contact_rows(contact: &Contact) -> Vec<Write> {
    let organization_id = contact.organization_id;
    let identities = contact.identities().into_iter().map(|(kind, value)| {
        Write::insert(&ContactIdentity { organization_id, kind, value, contact_id: contact.id, claimed: true })
    });
    let tags = contact
        .tags
        .iter()
        .map(|tag| Write::insert(&ContactTag { organization_id, tag: tag.clone(), contact_id: contact.id }));
    std::iter::once(Write::insert(contact)).chain(identities).chain(tags).collect()
}

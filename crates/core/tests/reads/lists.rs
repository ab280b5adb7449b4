//! The lists that have one order: inbox, messages, runs, jobs, notifications, versions, events, accounts.

use std::cmp::Reverse;

use dealwright::{
    domain::{
        account::{Account, Visibility},
        chat::{Chat, ChatState},
        contact::Contact,
        event::{EventKind, Subject},
        job::{Job, JobState},
        message::Message,
        notification::Notification,
        pipeline::StageKind,
        rule::Rule,
        run::{Run, RunOutcome},
    },
    id::*,
    page::PageRequest,
    ports::store::{
        AccountReads, AutomationReads, Batch, ChatFilter, JobReads, MessageReads, RuleVersion, RulesState, RunFilter,
        Store, Write,
    },
    testkit::samples::{Samples, contact_rows},
};

use crate::support::{assert_bounds, assert_distinct, everywhere, fill, walk};

struct Inbox {
    samples: Samples,
    accounts: Vec<Account>,
    contacts: Vec<Contact>,
    user: UserId,
    chats: Vec<Chat>,
    frame: Vec<Write>,
}

impl Inbox {
    fn new(seed: u64, chats: usize) -> Self {
        let mut samples = Samples::new(seed);
        let pipeline = samples.pipeline();
        let stage = samples.stage(&pipeline, 0, StageKind::Open);
        let accounts = vec![samples.account(), samples.account()];
        let contacts: Vec<Contact> = (0..3).map(|_| samples.contact(&stage)).collect();
        let user = samples.id();
        let mut frame = vec![Write::insert(&pipeline), Write::insert(&stage)];
        frame.extend(accounts.iter().map(Write::insert).chain(contacts.iter().flat_map(contact_rows)));
        let mut inbox = Self { samples, accounts, contacts, user, chats: Vec::new(), frame };
        for _ in 0..chats {
            let chat = inbox.chat();
            inbox.chats.push(chat);
        }
        inbox
    }

    fn chat(&mut self) -> Chat {
        let account = self.samples.choose(&self.accounts);
        let contact = self.samples.choose(&self.contacts);
        let known = !self.samples.one_in(3);
        let mut chat = self.samples.chat(&account, known.then_some(&contact));
        chat.assigned_to = self.samples.one_in(3).then_some(self.user);
        chat
    }

    fn rows(&self) -> Vec<Write> {
        self.frame.iter().cloned().chain(self.chats.iter().map(Write::insert)).collect()
    }

    fn expected(&self, filter: &ChatFilter) -> Vec<ChatId> {
        let matches = |it: &&Chat| {
            filter.account_id.is_none_or(|id| it.account_id == id)
                && filter.contact_id.is_none_or(|id| it.contact_id == Some(id))
                && filter.assigned_to.is_none_or(|id| it.assigned_to == Some(id))
                && filter.state.is_none_or(|state| it.state == state)
                && filter.unread.is_none_or(|unread| (it.unread_count > 0) == unread)
        };
        let mut all: Vec<&Chat> = self.chats.iter().filter(matches).collect();
        all.sort_by_key(|it| Reverse((it.last_message_at, it.id)));
        all.into_iter().map(|it| it.id).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_shows_chats_with_their_contact_and_account() {
    let inbox = Inbox::new(1, 80);
    let organization = inbox.samples.organization_id;
    for place in everywhere().await {
        fill(&place.store, &mut inbox.samples.clone(), inbox.rows()).await;
        let accounts = [None, Some(inbox.accounts[0].id)];
        let contacts = [None, Some(inbox.contacts[0].id)];
        let users = [None, Some(inbox.user)];
        let states = [None, Some(ChatState::Closed), Some(ChatState::Snoozed)];
        let unread = [None, Some(true), Some(false)];
        for account_id in accounts {
            for contact_id in contacts {
                for (assigned_to, state, unread) in users.iter().flat_map(|user| {
                    states.iter().flat_map(move |state| unread.map(move |unread| (*user, *state, unread)))
                }) {
                    let filter = ChatFilter { account_id, contact_id, assigned_to, state, unread };
                    let found = walk(7, async |page| place.store.inbox(organization, &filter, &page).await).await;
                    let ids: Vec<ChatId> = found.iter().map(|it| it.chat.id).collect();
                    assert_eq!(ids, inbox.expected(&filter), "{} {filter:?}", place.name);
                    for row in found {
                        assert_eq!(Some(&row.chat), inbox.chats.iter().find(|it| it.id == row.chat.id));
                        let contact = inbox.contacts.iter().find(|it| Some(it.id) == row.chat.contact_id);
                        assert_eq!(row.contact_name, contact.map(|it| it.name.clone()));
                        let account = inbox.accounts.iter().find(|it| it.id == row.chat.account_id).unwrap();
                        assert_eq!((row.account_owner, row.visibility), (account.owner_id, account.visibility));
                    }
                }
            }
        }
        assert!(inbox.accounts.iter().any(|it| it.visibility != Visibility::Owner));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_walks_all_chats_once_while_others_begin() {
    for place in everywhere().await {
        let mut inbox = Inbox::new(2, 60);
        let organization = inbox.samples.organization_id;
        fill(&place.store, &mut inbox.samples.clone(), inbox.rows()).await;
        inbox.samples.next();
        let expected = inbox.expected(&ChatFilter::default());
        let newcomers: Vec<Chat> = (0..20).map(|_| inbox.chat()).collect();
        let mut samples = inbox.samples.clone();
        let add = async {
            for chat in &newcomers {
                fill(&place.store, &mut samples, [Write::insert(chat)]).await;
            }
        };
        let none = ChatFilter::default();
        let (found, ()) = tokio::join!(walk(7, async |page| place.store.inbox(organization, &none, &page).await), add);
        let ids: Vec<ChatId> = found.iter().map(|it| it.chat.id).collect();
        assert_distinct(&ids);
        assert_eq!(ids.into_iter().filter(|it| expected.contains(it)).collect::<Vec<_>>(), expected, "{}", place.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_newest_first() {
    let mut inbox = Inbox::new(3, 2);
    let messages: Vec<Message> = (0..60).map(|n| inbox.samples.message(&inbox.chats[n % 2])).collect();
    let organization = inbox.samples.organization_id;
    for place in everywhere().await {
        let rows = inbox.rows().into_iter().chain(messages.iter().map(Write::insert)).collect::<Vec<_>>();
        fill(&place.store, &mut inbox.samples.clone(), rows).await;
        for chat in &inbox.chats {
            let mut expected: Vec<&Message> = messages.iter().filter(|it| it.chat_id == chat.id).collect();
            expected.sort_by_key(|it| Reverse((it.timestamp, it.id)));
            let found = walk(7, async |page| place.store.messages(organization, chat.id, &page).await).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{}", place.name);
        }
        let first = PageRequest { limit: Some(1), cursor: None };
        let page = place.store.messages(organization, inbox.chats[0].id, &first).await.unwrap();
        let (cursor, other) = (page.next_cursor.unwrap(), inbox.chats[1].id);
        assert_bounds(&cursor, async |page| place.store.messages(organization, other, &page).await).await;
        let none = ChatFilter::default();
        assert_bounds(&cursor, async |page| place.store.inbox(organization, &none, &page).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_come_newest_first_by_any_filter() {
    let mut samples = Samples::new(4);
    let rules: Vec<Rule> = (0..2).map(|_| samples.rule()).collect();
    let contacts: Vec<ContactId> = (0..2).map(|_| samples.id()).collect();
    let runs: Vec<Run> = (0..70)
        .map(|_| {
            let rule = samples.choose(&rules);
            let event = samples.event(EventKind::StageChanged, samples.organization_id);
            let contact = samples.choose(&[None, Some(contacts[0]), Some(contacts[1])]);
            samples.run(&rule, &event, contact)
        })
        .collect();
    let organization = samples.organization_id;
    for place in everywhere().await {
        let rows = rules.iter().map(Write::insert).chain(runs.iter().map(Write::insert)).collect::<Vec<_>>();
        fill(&place.store, &mut samples.clone(), rows).await;
        for rule_id in [None, Some(rules[0].id)] {
            for contact_id in [None, Some(contacts[0])] {
                for outcome in [None, Some(RunOutcome::Failed)] {
                    let filter = RunFilter { rule_id, contact_id, deal_id: None, outcome };
                    let matches = |it: &&Run| {
                        rule_id.is_none_or(|id| it.rule_id == id)
                            && contact_id.is_none_or(|id| it.contact_id == Some(id))
                            && outcome.is_none_or(|outcome| it.outcome == outcome)
                    };
                    let mut expected: Vec<&Run> = runs.iter().filter(matches).collect();
                    expected.sort_by_key(|it| Reverse((it.created_at, it.id)));
                    let found = walk(7, async |page| place.store.runs(organization, &filter, &page).await).await;
                    assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{} {filter:?}", place.name);
                }
            }
        }
        let (one, other) = (&runs[0], runs.iter().find(|run| run.event_id != runs[0].event_id).unwrap());
        let mut both = [one.clone(), other.clone()];
        both.sort_by_key(|run| (run.created_at, run.id));
        let events = [one.event_id, other.event_id, one.event_id];
        assert_eq!(place.store.runs_of_events(organization, &events).await.unwrap(), both);
        assert_eq!(place.store.runs_of_events(organization, &[]).await.unwrap(), []);
        assert_eq!(place.store.run(organization, runs[0].id).await.unwrap().as_ref(), Some(&runs[0]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_come_newest_first() {
    let mut samples = Samples::new(5);
    let jobs: Vec<Job> = (0..50).map(|_| samples.job()).collect();
    let organization = samples.organization_id;
    for place in everywhere().await {
        fill(&place.store, &mut samples.clone(), jobs.iter().map(Write::insert)).await;
        for state in [None, Some(JobState::Queued), Some(JobState::Failed)] {
            let mut expected: Vec<&Job> =
                jobs.iter().filter(|it| state.is_none_or(|state| it.state == state)).collect();
            expected.sort_by_key(|it| Reverse((it.created_at, it.id)));
            let found = walk(7, async |page| place.store.jobs(organization, state, &page).await).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{} {state:?}", place.name);
        }
        let keyed = jobs.iter().find(|it| it.dedup_key.is_some()).unwrap();
        let key = keyed.dedup_key.as_deref().unwrap();
        assert_eq!(place.store.job_by_dedup_key(organization, key).await.unwrap().as_ref(), Some(keyed));
        assert_eq!(place.store.job_by_dedup_key(organization, "nobody's").await.unwrap(), None);
        assert_eq!(place.store.job(organization, keyed.id).await.unwrap().as_ref(), Some(keyed));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_come_unread_first_then_newest() {
    let mut samples = Samples::new(6);
    let users: Vec<UserId> = vec![samples.id(), samples.id()];
    let notifications: Vec<Notification> = (0..80).map(|n| samples.notification(users[n % 2])).collect();
    let organization = samples.organization_id;
    for place in everywhere().await {
        fill(&place.store, &mut samples.clone(), notifications.iter().map(Write::insert)).await;
        for user in &users {
            let mut expected: Vec<&Notification> = notifications.iter().filter(|it| it.user_id == *user).collect();
            expected.sort_by_key(|it| (it.read, Reverse((it.created_at, it.id))));
            let found = walk(7, async |page| place.store.notifications(organization, *user, &page).await).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{}", place.name);
        }
        let one = &notifications[0];
        assert_eq!(place.store.notification(organization, one.id).await.unwrap().as_ref(), Some(one));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_come_newest_first_without_removed_ones() {
    let mut samples = Samples::new(7);
    let mut accounts: Vec<Account> = (0..40).map(|_| samples.account()).collect();
    accounts[3].deleted_at = Some(Samples::epoch());
    let organization = samples.organization_id;
    for place in everywhere().await {
        fill(&place.store, &mut samples.clone(), accounts.iter().map(Write::insert)).await;
        for platform in [None, Some("email"), Some("nothing")] {
            let mut expected: Vec<&Account> = (accounts.iter())
                .filter(|it| it.deleted_at.is_none() && platform.is_none_or(|platform| it.platform == platform))
                .collect();
            expected.sort_by_key(|it| Reverse((it.created_at, it.id)));
            let found = walk(7, async |page| place.store.accounts(organization, platform, &page).await).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{} {platform:?}", place.name);
        }
        let removed = &accounts[3];
        let found = place.store.account_by_handle(organization, &removed.platform, &removed.handle).await.unwrap();
        assert_eq!(found.as_ref(), Some(removed), "a removed account can be revived");
        assert_eq!(place.store.account(organization, removed.id).await.unwrap().as_ref(), Some(removed));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_a_rule_comes_once_newest_first() {
    let mut samples = Samples::new(8);
    let organization = samples.organization_id;
    let states: Vec<Rule> = {
        let first = samples.rule();
        (1..=20).map(|version| Rule { version, name: format!("v{version}"), ..first.clone() }).collect()
    };
    let newest = states.last().unwrap();
    for kept in [states.len() - 1, states.len()] {
        for place in everywhere().await {
            let rows = states[..kept].iter().map(|it| Write::insert(&RuleVersion(it.clone())));
            let rows = rows.chain([Write::insert(newest)]).collect::<Vec<_>>();
            fill(&place.store, &mut samples.clone(), rows).await;
            let found = walk(7, async |page| place.store.rule_versions(organization, newest.id, &page).await).await;
            assert!(found.iter().eq(states.iter().rev()), "{} with {kept} states kept", place.name);
            assert_eq!(place.store.rules(organization).await.unwrap(), std::slice::from_ref(newest));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_s_events_come_newest_first_and_pending_ones_in_order() {
    let mut samples = Samples::new(9);
    let organization = samples.organization_id;
    let (contact, other): (ContactId, ContactId) = (samples.id(), samples.id());
    let events: Vec<_> = (0..25)
        .flat_map(|_| [contact, other].map(|subject| samples.event(EventKind::ContactUpdated, subject)))
        .collect();
    for place in everywhere().await {
        for events in events.chunks(10) {
            let mut batch = Batch::default();
            events.iter().for_each(|event| batch.fact([], event.clone()));
            place.store.commit(organization, batch).await.unwrap();
        }
        let subject = Subject::from(contact);
        let mut expected: Vec<EventId> = events.iter().filter(|it| it.subject == subject).map(|it| it.id).collect();
        let uuid = subject.id;
        let ids = async |limit| {
            let pending = place.store.pending_events(organization, &[uuid], limit).await.unwrap();
            pending.iter().map(|it| it.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(100).await, expected, "{}", place.name);
        let mut batch = Batch::default();
        batch.consume(uuid, 5);
        place.store.commit(organization, batch).await.unwrap();
        assert_eq!(ids(3).await, expected[5..8], "{}", place.name);
        let found = walk(7, async |page| place.store.events_of(organization, subject, &page).await).await;
        expected.reverse();
        assert_eq!(found.iter().map(|it| it.id).collect::<Vec<_>>(), expected, "{}", place.name);
        assert!(found.iter().map(|it| it.subject_seq).eq((1..=25).rev()));
        let one = place.store.event(organization, expected[0]).await.unwrap();
        assert_eq!(one.as_ref(), Some(&found[0]));
        let before = place.store.rules_state(organization).await.unwrap();
        assert_eq!((before.epoch, &before.failing), (0, &Vec::new()));
        let mut more = samples.clone();
        let media = Write::insert(&more.media());
        fill(&place.store, &mut more, [media]).await;
        let state = place.store.rules_state(organization).await.unwrap();
        assert_eq!(state, RulesState { epoch: 1, ..before });
        let pipeline = Write::insert(&more.pipeline());
        fill(&place.store, &mut more, [pipeline]).await;
        let after = place.store.rules_state(organization).await.unwrap();
        assert_ne!(after.pipelines, state.pipelines, "{}", place.name);
        let stranger = Samples::new(10).organization_id;
        assert!(place.store.pending_events(stranger, &[uuid], 9).await.unwrap().is_empty());
        assert_eq!(place.store.event(stranger, expected[0]).await.unwrap(), None);
    }
}

//! Reads of single rows and of rows by many keys.

use std::collections::BTreeSet;

use dealwright::{
    domain::{
        account::Account,
        chat::Chat,
        message::{Direction, Message, MessageStatus},
        organization::User,
        pipeline::StageKind,
    },
    id::*,
    ports::store::{
        AccountReads, AutomationReads, IdentityReads, JobReads, MessageReads, SecretReads, Write,
        idempotency::IdempotencyRecord,
    },
    testkit::samples::Samples,
};

use crate::support::{everywhere, fill};

struct Mailbox {
    samples: Samples,
    accounts: Vec<Account>,
    chats: Vec<Chat>,
    messages: Vec<Message>,
    rows: Vec<Write>,
}

impl Mailbox {
    fn new(seed: u64, messages: usize) -> Self {
        let mut samples = Samples::new(seed);
        let pipeline = samples.pipeline();
        let stage = samples.stage(&pipeline, 0, StageKind::Open);
        let contact = samples.contact(&stage);
        let accounts = vec![samples.account(), samples.account()];
        let chats: Vec<Chat> = accounts
            .iter()
            .flat_map(|it| [it.clone(), it.clone()])
            .map(|it| samples.chat(&it, Some(&contact)))
            .collect();
        let mut messages: Vec<Message> = (0..messages)
            .map(|_| {
                let chat = samples.choose(&chats);
                samples.message(&chat)
            })
            .collect();
        // Two messages of one chat carry the same reference.
        let twin = (messages[1..].iter()).position(|it| it.chat_id == messages[0].chat_id).unwrap() + 1;
        messages[0].reference = Some("<twin@example.org>".to_owned());
        messages[twin].reference = messages[0].reference.clone();
        let rows = [Write::insert(&pipeline), Write::insert(&stage), Write::insert(&contact)];
        let rows = rows.into_iter().chain(accounts.iter().map(Write::insert)).chain(chats.iter().map(Write::insert));
        let rows = rows.chain(messages.iter().map(Write::insert)).collect();
        Self { samples, accounts, chats, messages, rows }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_and_messages_are_found_by_what_mails_refer_to() {
    let mailbox = Mailbox::new(1, 900);
    let organization = mailbox.samples.organization_id;
    let (account, stranger) = (mailbox.accounts[0].id, Samples::new(2).organization_id);
    let mine = || mailbox.messages.iter().filter(|it| it.account_id == account);
    for place in everywhere().await {
        let store = &place.store;
        fill(store, &mut mailbox.samples.clone(), mailbox.rows.clone()).await;
        // Every reference there is, and more than one statement takes.
        let asked: Vec<String> = (mailbox.messages.iter().filter_map(|it| it.reference.clone()))
            .chain((0..600).map(|n| format!("<unknown{n}@example.org>")))
            .collect();
        let expected: BTreeSet<(String, ChatId)> =
            mine().filter_map(|it| Some((it.reference.clone()?, it.chat_id))).collect();
        let found = store.chats_by_references(organization, account, &asked).await.unwrap();
        assert_eq!(found.len(), expected.len(), "each pair once");
        for (_, chat) in &found {
            assert!(mailbox.chats.contains(chat));
        }
        assert_eq!(
            found.into_iter().map(|(it, chat)| (it, chat.id)).collect::<BTreeSet<_>>(),
            expected,
            "{}",
            place.name
        );

        let found = store.messages_by_references(organization, account, &asked).await.unwrap();
        let ids: BTreeSet<MessageId> = found.iter().map(|it| it.id).collect();
        let outgoing = mine().filter(|it| it.reference.is_some() && it.direction == Direction::Outgoing);
        assert_eq!(ids, outgoing.map(|it| it.id).collect(), "{}", place.name);

        let asked: Vec<String> = (0..1_500).map(|n| format!("provider-{n}")).collect();
        let found = store.known_provider_ids(organization, account, &asked).await.unwrap();
        let expected: BTreeSet<String> = mine().filter_map(|it| it.provider_id.clone()).collect();
        assert_eq!(found.len(), expected.len());
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{}", place.name);

        let keys: Vec<String> = mailbox.chats.iter().map(|it| it.chat_key.clone()).collect();
        let found = store.chats_by_keys(organization, account, &keys).await.unwrap();
        assert_eq!(found.len(), 2, "the other account's chats are not found");

        assert!(store.chats_by_references(stranger, account, &asked).await.unwrap().is_empty());
        assert!(store.known_provider_ids(stranger, account, &asked).await.unwrap().is_empty());
        assert!(store.chats_by_keys(stranger, account, &keys).await.unwrap().is_empty());
        assert!(store.known_provider_ids(organization, account, &[]).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_tells_its_references_and_what_is_unread() {
    let mailbox = Mailbox::new(3, 200);
    let organization = mailbox.samples.organization_id;
    for place in everywhere().await {
        fill(&place.store, &mut mailbox.samples.clone(), mailbox.rows.clone()).await;
        for chat in &mailbox.chats {
            let mut messages: Vec<&Message> = mailbox.messages.iter().filter(|it| it.chat_id == chat.id).collect();
            messages.sort_by_key(|it| (it.timestamp, it.id));
            let went = |it: &&Message| {
                it.direction == Direction::Incoming
                    || matches!(it.status, MessageStatus::Sent | MessageStatus::Delivered | MessageStatus::Read)
            };
            let all: Vec<String> =
                messages.iter().copied().filter(went).filter_map(|it| it.reference.clone()).collect();
            for limit in [1, 5, 1_000] {
                let found = place.store.references(organization, chat.id, limit).await.unwrap();
                assert_eq!(found, all[all.len().saturating_sub(limit as usize)..], "{}", place.name);
            }
            let until = messages[messages.len() / 2].timestamp;
            let unread: Vec<MessageId> = (messages.iter())
                .filter(|it| it.direction == Direction::Incoming && !it.read && it.timestamp <= until)
                .map(|it| it.id)
                .collect();
            assert_eq!(place.store.unread_messages(organization, chat.id, until).await.unwrap(), unread);
            assert_eq!(place.store.chat(organization, chat.id).await.unwrap().as_ref(), Some(chat));
            let message = messages[0];
            assert_eq!(place.store.message(organization, message.id).await.unwrap().as_ref(), Some(message));
        }
        for account in [None, Some(mailbox.accounts[1].id)] {
            let chats = mailbox.chats.iter().filter(|it| account.is_none_or(|id| it.account_id == id));
            let latest = chats.max_by_key(|it| (it.last_message_at, it.id));
            let contact = mailbox.chats[0].contact_id.unwrap();
            assert_eq!(place.store.latest_chat(organization, contact, account).await.unwrap().as_ref(), latest);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_s_belongings_are_found() {
    let mut samples = Samples::new(4);
    let organization = samples.organization_id;
    let account = samples.account();
    let key = samples.data_key();
    let (secret, cursor, media) = (samples.secret(&account, &key), samples.cursor(&account), samples.media());
    let mut skipped: Vec<_> = (0..9).map(|_| samples.skipped(&account)).collect();
    let mut rows = vec![Write::insert(&account), Write::insert(&cursor), Write::insert(&media)];
    rows.extend([Write::insert(&key), Write::insert(&secret)]);
    rows.extend(skipped.iter().map(Write::insert));
    skipped.sort_by(|a, b| (b.skipped_at, &b.provider_id).cmp(&(a.skipped_at, &a.provider_id)));
    let stranger = Samples::new(5).organization_id;
    for place in everywhere().await {
        let store = &place.store;
        fill(store, &mut samples.clone(), rows.clone()).await;
        assert!(store.account_secret(organization, account.id).await.unwrap() == Some((secret.clone(), key.clone())));
        assert_eq!(store.account_cursor(organization, account.id).await.unwrap(), Some(cursor.clone()));
        assert_eq!(store.skipped_messages(organization, account.id, 4).await.unwrap(), skipped[..4], "{}", place.name);
        assert_eq!(store.media(organization, media.id).await.unwrap(), Some(media.clone()));
        assert!(store.account_secret(stranger, account.id).await.unwrap().is_none());
        assert!(store.account_cursor(stranger, account.id).await.unwrap().is_none());
        assert!(store.media(stranger, media.id).await.unwrap().is_none());
        assert!(store.account_by_handle(stranger, &account.platform, &account.handle).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_and_answers_are_found() {
    let mut samples = Samples::new(6);
    let organization = samples.organization_id;
    let pipeline = samples.pipeline();
    let stage = samples.stage(&pipeline, 0, StageKind::Open);
    let rules = [samples.rule(), samples.rule()];
    let contacts: Vec<_> = (0..20).map(|_| samples.contact(&stage)).collect();
    let mut timers: Vec<_> = rules
        .iter()
        .flat_map(|rule| contacts.iter().map(move |it| (rule, it)))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|(rule, contact)| samples.timer(rule, contact))
        .collect();
    timers.sort_by_key(|it| it.id);
    let answer = IdempotencyRecord {
        organization_id: organization,
        actor: "user:1".to_owned(),
        operation: "contacts.create".to_owned(),
        key: "k".to_owned(),
        body_hash: vec![1, 2],
        answer: serde_json::json!({ "id": 1 }),
        created_at: Samples::epoch(),
    };
    let rows = timers.iter().map(Write::insert).chain([Write::insert(&answer)]).collect::<Vec<_>>();
    for place in everywhere().await {
        let store = &place.store;
        fill(store, &mut samples.clone(), rows.clone()).await;
        let of_rule: Vec<_> = timers.iter().filter(|it| it.rule_id == rules[0].id).cloned().collect();
        let first = store.timers_of_rule(organization, rules[0].id, None, 7).await.unwrap();
        assert_eq!(first, of_rule[..7], "{}", place.name);
        let rest = store.timers_of_rule(organization, rules[0].id, Some(first[6].id), 99).await.unwrap();
        assert_eq!(rest, of_rule[7..], "{}", place.name);
        let of_contact: Vec<_> = timers.iter().filter(|it| it.subject_id == contacts[0].id.uuid()).cloned().collect();
        assert_eq!(store.timers_of(organization, contacts[0].id.into()).await.unwrap(), of_contact);
        assert_eq!(store.timer(organization, timers[0].id).await.unwrap().as_ref(), Some(&timers[0]));
        let ask = async |key: &str| store.idempotency(organization, "user:1", "contacts.create", key).await.unwrap();
        assert_eq!(ask("k").await, Some(answer.clone()));
        assert_eq!(ask("other").await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_across_organisations() {
    let (mut here, mut there) = (Samples::new(7), Samples::new(8));
    let users: Vec<User> = (0..4).map(|_| here.user()).collect();
    let at_home: Vec<_> = users.iter().map(|it| here.membership(it)).collect();
    let abroad = there.membership(&users[0]);
    let (session, credential) = (here.session(&users[0]), here.credential(&users[0]));
    let rows: Vec<Write> = [Write::insert(&here.organization()), Write::insert(&there.organization())]
        .into_iter()
        .chain(users.iter().map(Write::insert))
        .chain(at_home.iter().map(Write::insert))
        .chain([Write::insert(&abroad), Write::insert(&session), Write::insert(&credential)])
        .collect();
    for place in everywhere().await {
        let store = &place.store;
        fill(store, &mut here.clone(), rows.clone()).await;
        let user = &users[0];
        assert_eq!(store.user_by_email(&user.email).await.unwrap().as_ref(), Some(user));
        assert_eq!(store.user_by_email(&user.email.to_uppercase()).await.unwrap(), None);
        assert_eq!(store.user(user.id).await.unwrap().as_ref(), Some(user));
        assert!(store.credential(user.id).await.unwrap() == Some(credential.clone()));
        let mut expected = vec![at_home[0].clone(), abroad.clone()];
        expected.sort_by_key(|it| (it.created_at, it.organization_id));
        assert_eq!(store.memberships(user.id).await.unwrap(), expected, "{}", place.name);
        assert_eq!(store.membership(abroad.organization_id, user.id).await.unwrap(), Some(abroad.clone()));
        assert_eq!(store.membership(abroad.organization_id, users[1].id).await.unwrap(), None);
        let mut expected: Vec<_> = at_home.iter().map(|it| (it.created_at, it.user_id, it.role)).collect();
        expected.sort();
        let members = store.members(here.organization_id).await.unwrap();
        assert_eq!(members.iter().map(|it| (it.created_at, it.user_id, it.role)).collect::<Vec<_>>(), expected);
        assert!(members.iter().all(|it| {
            users.iter().any(|user| (user.id, &user.email, &user.name) == (it.user_id, &it.email, &it.name))
        }));
        assert_eq!(store.organization(here.organization_id).await.unwrap(), Some(here.organization()));
        let mut ids = vec![here.organization_id, there.organization_id];
        ids.sort();
        assert_eq!(store.organization_ids().await.unwrap(), ids);
        assert_eq!(store.session(session.id).await.unwrap().as_ref(), Some(&session));
        for hash in [&session.refresh_hash, session.previous_hash.as_ref().unwrap()] {
            assert_eq!(store.session_by_refresh_hash(hash).await.unwrap().as_ref(), Some(&session));
        }
        assert_eq!(store.session_by_refresh_hash(b"other").await.unwrap(), None);
    }
}

//! Lists that have filters and sorts of their own, and look-ups.

use super::*;

fn audited(
    object: Option<u128>,
    actor: Option<u128>,
    action: Option<&str>,
    kind: Option<AuditObject>,
) -> (Statement, Order) {
    let filter = AuditFilter {
        object_id: object.map(Uuid::from_u128),
        actor_id: actor.map(Uuid::from_u128),
        action: action.map(str::to_owned),
        object_kind: kind,
        ..AuditFilter::default()
    };
    audit::entries(n(1), &filter)
}

#[tokio::test]
async fn lists_walk_an_index() {
    let stores = stores().await;
    let chats = ChatFilter::default;
    let runs = RunFilter::default;
    let lists = [
        ("inbox", messages::inbox(n(1), &chats()), "chats_inbox"),
        ("inbox of account", messages::inbox(n(1), &ChatFilter { account_id: Some(n(3)), ..chats() }), "chats_account"),
        ("inbox of contact", messages::inbox(n(1), &ChatFilter { contact_id: Some(n(3)), ..chats() }), "chats_contact"),
        ("inbox of user", messages::inbox(n(1), &ChatFilter { assigned_to: Some(n(3)), ..chats() }), "chats_assigned"),
        ("open inbox", messages::inbox(n(1), &ChatFilter { state: Some(ChatState::Open), ..chats() }), "chats_state"),
        ("unread inbox", messages::inbox(n(1), &ChatFilter { unread: Some(true), ..chats() }), "chats_unread"),
        ("messages", messages::of_chat(n(1), n(3)), "messages_chat"),
        ("history", pipelines::history(n(1), Subject::from(n::<ContactId>(3))), "stage_history_contact"),
        ("history of deal", pipelines::history(n(1), Subject::from(n::<DealId>(3))), "stage_history_deal"),
        ("notes", activities_of::<Note>(), "notes_contact"),
        ("tasks of contact", activities_of::<Task>(), "tasks_contact"),
        ("tasks", tasks(None, None, TaskSort::CreatedAt), "tasks_created"),
        ("tasks of user", tasks(Some(3), None, TaskSort::CreatedAt), "tasks_assigned_created"),
        ("tasks on contact", tasks_on(false, Some(3), TaskSort::CreatedAt), "tasks_contact"),
        ("tasks on contact by date", tasks_on(false, Some(3), TaskSort::DueAt), "tasks_contact_due"),
        ("tasks on deal", tasks_on(true, None, TaskSort::CreatedAt), "tasks_deal"),
        ("tasks on deal by date", tasks_on(true, None, TaskSort::DueAt), "tasks_deal_due"),
        ("tasks by date", tasks(None, Some(false), TaskSort::DueAt), "tasks_due"),
        ("done ones of user by date", tasks(Some(3), Some(true), TaskSort::DueAt), "tasks_assigned_due"),
        ("runs of deal", automation::runs(n(1), &RunFilter { deal_id: Some(n(3)), ..runs() }), "runs_deal"),
        ("runs", automation::runs(n(1), &runs()), "runs_created"),
        ("runs of rule", automation::runs(n(1), &RunFilter { rule_id: Some(n(3)), ..runs() }), "runs_rule"),
        ("runs of contact", automation::runs(n(1), &RunFilter { contact_id: Some(n(3)), ..runs() }), "runs_contact"),
        ("failed", automation::runs(n(1), &RunFilter { outcome: Some(RunOutcome::Failed), ..runs() }), "runs_outcome"),
        ("events", automation::events_of(n(1), Subject::from(n::<ContactId>(3))), "events_subject"),
        ("jobs", jobs::jobs(n(1), None), "jobs_created"),
        ("queued jobs", jobs::jobs(n(1), Some(JobState::Queued)), "jobs_state"),
        ("notifications", jobs::notifications(n(1), n(3)), "notifications_user"),
        ("messages with contact", privacy::with(n(1), n(3)), "messages_contact"),
        ("files of contact", privacy::of::<Media>(n(1), Subject::from(n::<ContactId>(3))), "media_contact"),
        ("deals of contact", privacy::of::<Deal>(n(1), Subject::from(n::<ContactId>(3))), "deals_contact"),
        ("all tasks for contact", privacy::of::<Task>(n(1), Subject::from(n::<ContactId>(3))), "tasks_contact"),
        (
            "notifications about contact",
            privacy::of::<Notification>(n(1), Subject::from(n::<ContactId>(3))),
            "notifications_contact",
        ),
        (
            "notifications about deal",
            privacy::of::<Notification>(n(1), Subject::from(n::<DealId>(3))),
            "notifications_deal",
        ),
        ("members", people::members(n(1)), "memberships_created"),
        ("sessions", identity::sessions(n(3), None, at(2_500)), "sessions_user"),
        ("sessions of a member", identity::sessions(n(3), Some(n(1)), at(2_500)), "sessions_user"),
        ("members of team", people::team_members(n(1), n(3)), "team_members_created"),
        ("invitations", people::invitations(n(1), None, at(2_500)), "invitations_created"),
        ("open ones", people::invitations(n(1), Some(InvitationStatus::Pending), at(2_500)), "invitations_status"),
        ("API keys", people::api_keys(n(1), None), "api_keys_created"),
        ("API keys of user", people::api_keys(n(1), Some(n(3))), "api_keys_acts_for"),
        ("late ones", people::invitations(n(1), Some(InvitationStatus::Expired), at(2_500)), "invitations_status"),
        ("audit", audit::entries(n(1), &AuditFilter::default()), "audit_entries_at"),
        ("audit of object", audited(Some(3), None, None, None), "audit_entries_object"),
        ("audit of actor", audited(None, Some(3), None, None), "audit_entries_actor"),
        ("audit of action", audited(None, None, Some("members.set_role"), None), "audit_entries_action"),
        ("audit of kind", audited(None, None, None, Some(AuditObject::Member)), "audit_entries_kind"),
        (
            "all of an object",
            audited(Some(3), Some(3), Some("auth.sign_in"), Some(AuditObject::Session)),
            "audit_entries_object",
        ),
        (
            "acts of actor",
            audited(None, Some(3), Some("auth.sign_in"), Some(AuditObject::Session)),
            "audit_entries_actor",
        ),
    ];
    for (what, list, index) in lists {
        for statement in pages(list) {
            assert_plan(&stores, what, &statement, index).await;
        }
    }
    for actor_id in [None, Some(Uuid::from_u128(3))] {
        let filter = AuditFilter { actor_id, from: Some(at(5_000)), to: Some(at(6_000)), ..AuditFilter::default() };
        // The period bounds what is walked, whichever of the two a planner takes.
        for statement in pages(audit::entries(n(1), &filter)) {
            let indexes = ["audit_entries_at", "audit_entries_actor"];
            assert_no_scan(&stores, "audit of a period", &statement, &indexes).await;
        }
    }
    let after: Option<ContactId> = Some(n(500));
    let lookups = [
        ("in a stage", in_stages::in_stages::<Contact, _>(n(1), &[n(3)], after, 100), "contacts_stage"),
        ("in a stage", in_stages::in_stages::<Deal, DealId>(n(1), &[n(3)], Some(n(500)), 100), "deals_stage"),
        ("deleted", in_stages::deleted_in_stages::<Contact>(n(1), &[n(3), n(4)], 100), "contacts_stage_updated"),
        ("deleted", in_stages::deleted_in_stages::<Deal>(n(1), &[n(3), n(4)], 100), "deals_stage_updated"),
        ("timers of subject", automation::timers_of(n(1), Subject::from(n::<ContactId>(3))), "timers_subject"),
        ("runs of events", automation::runs_of_events(n(1), &[n(3), n(4)]), "runs_event"),
        ("timers of rule", automation::timers_of_rule(n(1), n(3), None, 100), "timers_rule"),
        ("timers of rule", automation::timers_of_rule(n(1), n(3), Some(n(500)), 100), "timers_rule"),
        ("failing rules", automation::rules_state(n(1)), "rules_failing"),
        ("pending events", automation::pending(n(1), &[Uuid::from_u128(3), Uuid::from_u128(4)], 10), "events_subject"),
        ("unread messages", messages::unread(n(1), n(3), at(20_000)), "messages_unread"),
        ("references", messages::references(n(1), n(3), 20), "messages_chat"),
        (
            "contacts of user",
            people::looked_after::<Contact>(n(1), "assigned_to", n::<UserId>(6), 200),
            "contacts_assigned",
        ),
        ("deals of user", people::looked_after::<Deal>(n(1), "assigned_to", n::<UserId>(6), 200), "deals_assigned"),
        ("deals of team", people::looked_after::<Deal>(n(1), "team_id", n::<TeamId>(6), 200), "deals_team"),
        ("tasks to do", people::open_tasks_of(n(1), n(3), 200), "tasks_assigned_due"),
        ("all tasks by date", tasks_by_date(None), "tasks_due"),
        ("all tasks of user by date", tasks_by_date(Some(3)), "tasks_assigned_due"),
        (
            "untold tasks",
            activities::untold_tasks(n(1), Subject::from(n::<ContactId>(3)), Some((at(5), n(5))), 100),
            "tasks_contact",
        ),
        ("accounts of user", people::accounts_of(n(1), n(3), 200), "accounts_owner"),
        ("chats of user", people::chats_assigned_to(n(1), n(3), 200), "chats_assigned"),
        ("open invitation", people::open_invitation(n(1), "20@example.org"), "invitations_pending"),
        ("own roles", people::own_roles(n(1)), "roles_name"),
        ("identity", identity::identity("google", "20"), "identities_subject"),
        ("identities of user", identity::identities(n(3)), "identities_user"),
        ("secrets under a key", secrets::secrets_under(n(1), n(3), None, 100), "account_secrets_key"),
        ("secrets under a key", secrets::secrets_under(n(1), n(3), Some(n(7)), 100), "account_secrets_key"),
        ("jobs under a key", secrets::jobs_under(n(1), n(11), Some(n(7)), 100), "jobs_key"),
        ("second factors under a key", secrets::second_factors_under(n(3), Some(n(7)), 100), "second_factors_key"),
        ("steps under a key", secrets::login_states_under(n(3), Some(n(7)), 100), "login_states_key"),
        ("unsealed entries", audit::unsealed(n(1), 500), "audit_entries_unsealed"),
        ("sealed entries", audit::sealed(n(1), 500, 500), "audit_entries_seq"),
        ("session in a network", identity::signed_in_from("7@example.org", "7"), "sessions_network"),
        ("session", identity::by_refresh_hash(&[1]), "sessions_previous_hash"),
        ("session", identity::by_refresh_hash(&[1]), "sessions_refresh_hash"),
    ];
    for (what, statement, index) in lookups {
        assert_plan(&stores, what, &statement, index).await;
    }
    let (_, invited) = people::holders_of(n(1), n(9));
    assert_no_scan(&stores, "invited to a role", &invited, &["invitations_status", "invitations_pending"]).await;
}

#[tokio::test]
async fn who_somebody_is_and_what_they_may_do_is_found_by_keys() {
    let stores = stores().await;
    for (what, keys) in [
        ("seat", ["memberships_pkey", "SEARCH m USING PRIMARY KEY (organization_id=? AND user_id=?)"]),
        ("role", ["roles_pkey", "SEARCH r USING INDEX sqlite_autoindex_roles_1 (organization_id=? AND id=?)"]),
    ] {
        for statement in [identity::seat(n(1), n(9)), identity::signed_in(n(9)), identity::api_key_by_hash(&[1])] {
            assert_no_scan(&stores, what, &statement, &keys).await;
        }
    }
    let keys = ["sessions_pkey", "SEARCH t USING INDEX sqlite_autoindex_sessions_1 (id=?)"];
    assert_no_scan(&stores, "session", &identity::signed_in(n(9)), &keys).await;
    assert_no_scan(&stores, "step of a sign-in", &secrets::login_state(&[1]), &["login_states_token"]).await;
    assert_no_scan(&stores, "API key", &identity::api_key_by_hash(&[1]), &["api_keys_secret"]).await;
}

#[tokio::test]
async fn tasks_that_fall_due_are_counted_and_collected_by_their_date() {
    let stores = stores().await;
    for (user, index) in [(None, "tasks_due"), (Some(n(3)), "tasks_assigned_due")] {
        for done in [None, Some(false)] {
            let (from, to) = (Some(at(100)), Some(at(300)));
            let filter =
                TaskFilter { assigned_to: user, done, due_after: from, due_before: to, ..TaskFilter::default() };
            assert_no_scan(&stores, "how many fall due", &activities::count_due(n(1), &filter), &[index]).await;
            let (collected, order) =
                (activities::tasks_collected(n(1), &filter), activities::task_order(TaskSort::CreatedAt, true));
            for statement in pages((collected, order)) {
                assert_no_scan(&stores, "tasks that fall due", &statement, &[index]).await;
            }
        }
    }
}

#[tokio::test]
async fn of_several_conditions_the_most_telling_one_leads() {
    let stores = stores().await;
    let mut lists = vec![(
        "latest chat",
        [messages::latest(n(1), n(3), None), messages::latest(n(1), n(3), Some(n(3)))],
        "chats_contact",
    )];
    for bits in 0_u32..32 {
        let has = |bit: u32| (bits >> bit) % 2 == 1;
        let filter = ChatFilter {
            contact_id: has(4).then(|| n(3)),
            unread: has(3).then_some(true),
            assigned_to: has(2).then(|| n(3)),
            account_id: has(1).then(|| n(3)),
            state: has(0).then_some(ChatState::Open),
        };
        let index = match 31 - bits.leading_zeros().min(31) {
            4 => "chats_contact",
            3 => "chats_unread",
            2 => "chats_assigned",
            1 => "chats_account",
            _ if bits == 1 => "chats_state",
            _ => "chats_inbox",
        };
        lists.push(("inbox", pages(messages::inbox(n(1), &filter)), index));
    }
    for (contact, rule, outcome, index) in [
        (true, true, Some(RunOutcome::Failed), "runs_contact"),
        (false, true, Some(RunOutcome::Failed), "runs_outcome"),
        (false, true, Some(RunOutcome::Applied), "runs_rule"),
        (true, false, Some(RunOutcome::Applied), "runs_contact"),
    ] {
        let (contact_id, rule_id) = (contact.then(|| n(3)), rule.then(|| n(3)));
        let filter = RunFilter { contact_id, deal_id: None, rule_id, outcome };
        lists.push(("runs", pages(automation::runs(n(1), &filter)), index));
    }
    for (what, statements, index) in lists {
        for statement in statements {
            assert_plan(&stores, what, &statement, index).await;
        }
    }
}

#[tokio::test]
async fn a_plan_that_sees_no_values_is_as_good() {
    let mut flaws = Vec::new();
    let mut check = |what: &str, statement: &Statement, index: &str| {
        flaws.extend(flaw(Db::Postgres, what, statement, index, &generic(filled(), statement)));
    };
    for (what, list, index) in [
        ("inbox", messages::inbox(n(1), &ChatFilter::default()), "chats_inbox"),
        ("messages", messages::of_chat(n(1), n(3)), "messages_chat"),
        ("notes", activities_of::<Note>(), "notes_contact"),
        ("tasks", tasks(None, None, TaskSort::CreatedAt), "tasks_created"),
        ("tasks by date", tasks(None, Some(false), TaskSort::DueAt), "tasks_due"),
        ("tasks of user by date", tasks(Some(3), Some(false), TaskSort::DueAt), "tasks_assigned_due"),
        ("runs", automation::runs(n(1), &RunFilter::default()), "runs_created"),
        ("jobs", jobs::jobs(n(1), None), "jobs_created"),
        ("notifications", jobs::notifications(n(1), n(3)), "notifications_user"),
    ] {
        for statement in pages(list) {
            check(what, &statement, index);
        }
    }
    for (sort, name) in SORTS {
        let stage = equal(Noun::Contact, "stage_id", &n::<StageId>(3));
        for (filter, index) in
            [(Filter::default(), format!("contacts_{name}")), (stage, format!("contacts_stage_{name}"))]
        {
            for statement in listed::<Contact>(&filter, &place(Noun::Contact, sort), None) {
                check(&format!("contacts by {name}"), &statement, &index);
            }
        }
    }
    assert!(flaws.is_empty(), "{} flaws:\n{}", flaws.len(), flaws.join("\n"));
}

/// What is too old is found by its id, without an index for it alone, and what is in the trash by when it came there.
#[tokio::test]
async fn what_is_kept_no_longer_is_found_by_its_age() {
    fn behind<T: Record>(walk: Walk) -> Statement {
        privacy::old::<T>(
            n(1),
            walk,
            &Old::Behind { at: at(9), id: Uuid::from_u128(9), before: at(15_000), limit: 100 },
        )
    }
    let walks = [
        (behind::<Message>(Walk::Messages), "messages"),
        (behind::<Media>(Walk::Files), "media"),
        (behind::<Run>(Walk::Runs), "runs"),
        (behind::<Event>(Walk::Events), "events"),
        (behind::<StageMove>(Walk::Moves), "stage_history"),
        (behind::<Notification>(Walk::Notifications), "notifications"),
        (behind::<Job>(Walk::Jobs), "jobs"),
        (behind::<AuditEntry>(Walk::Audit), "audit_entries"),
    ];
    let mut statements: Vec<_> = walks.into_iter().map(|(statement, table)| (statement, table, "id")).collect();
    for (statement, table) in [
        (behind::<Contact>(Walk::Contacts), "contacts"),
        (behind::<Deal>(Walk::Deals), "deals"),
        (behind::<Company>(Walk::Companies), "companies"),
    ] {
        statements.push((statement, table, "deleted_at"));
    }
    statements.push((privacy::marks(n(1), Walk::Jobs, Uuid::nil(), at(15_000), 100), "retention_marks", "id"));
    for store in &stores().await {
        for (statement, table, key) in &statements {
            let plan = explain(store, statement).await;
            println!("plan: {:?}: old {table}", store.db());
            let index = match (store.db(), *key) {
                (_, "deleted_at") => format!("{table}_deleted"),
                (Db::Sqlite, _) if *table == "retention_marks" => "PRIMARY KEY".to_owned(),
                (Db::Sqlite, _) => format!("sqlite_autoindex_{table}_1"),
                (Db::Postgres, _) => format!("{table}_pkey"),
            };
            let good = faults(store.db(), &plan).is_empty() && plan.contains(&index) && seeks(store.db(), &plan, key);
            assert!(good, "old {table} on {:?}, wanted by {index}:\n{}\n{plan}", store.db(), statement.text);
        }
    }
}

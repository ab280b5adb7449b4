//! The table itself, room by room. A new operation is one line here, one verb in `services/`, one line in the server's
//! route table and one scenario.

use crate::{
    domain::{
        company::Company,
        contact::Contact,
        custom_field::CustomField,
        deal::Deal,
        job::Job,
        message::Message,
        note::Note,
        notification::Notification,
        organization::Organization,
        pipeline::{Stage, StageMove},
        retention::RetentionDays,
        run::Run,
        task::Task,
        team::Team,
    },
    doors::operation::{Operation, Output, json_outputs, room},
    id::{
        AccountId, ApiKeyId, ChatId, CompanyId, ContactId, DealId, FieldId, IdentityId, InvitationId, JobId, MediaId,
        MessageId, NoteId, NotificationId, PipelineId, RoleId, RuleId, SessionId, TaskId, TeamId, UserId,
    },
    page::{Page, PageRequest},
    scope::Scope,
    services::{
        accounts::{
            self, AccountStatusView, AccountView, ConnectAccount, ConnectedAccount, ListAccounts, UpdateAccount,
        },
        activities::{
            ContactNote, ContactTask, ContactTimeline, DealNote, DealTask, DealTimeline, DeleteNote, DeleteTask,
            ListContactNotes, ListContactTasks, ListDealNotes, ListDealTasks, ListTasks, TimelineItem, UpdateNote,
            UpdateTask, notes, tasks, timeline,
        },
        analytics::{
            self, ConversionQuery, ConversionRates, PerformanceQuery, PipelineValue, TeamPerformance, ValueQuery,
        },
        audit::{self, AuditVerification, AuditView, ListAudit},
        automation::{self, Explain, Explanation, ListRuns, NewRule, RuleVersions, RuleView, UpdateRule},
        batch::BatchOutcome,
        companies::{self, CompanyBatch, DeleteCompany, ListCompanies, NewCompany, UpdateCompany, UpsertCompany},
        contacts::{
            self, ContactBatch, DeleteContact, ListContacts, ListHistory, MoveContact, NewContact, UpdateContact,
            UpsertContact,
        },
        deals::{self, DealBatch, DeleteDeal, ListDealHistory, ListDeals, MoveDeal, NewDeal, UpdateDeal, UpsertDeal},
        fields::{self, DeleteField, ListFields, NewField, UpdateField},
        identity::{
            self, ApiKeyView, IdentityView, InvitationView, ListInvitations, ListMemberSessions, NewApiKey,
            NewInvitation, SessionView,
        },
        jobs::{self, ListJobs},
        listing::Search,
        media::{self, MediaContent, MediaFile, MediaView, NewMedia},
        messaging::{
            self, InboxChat, ListChats, ListMessages, LiveMessage, MessageExplanation, ReadAnswer, SendMessage,
            UpdateChat,
        },
        notifications::{self, UpdateNotification},
        organization::{self, Belonging, UpdateOrganization},
        pipeline::{
            self, Board, BoardView, DeletePipeline, DeleteStage, ListStages, NewPipeline, NewStage, PipelineView,
            UpdatePipeline, UpdateStage,
        },
        privacy::{self, ContactExport, ExportContact, RetentionView},
        profile::{self, ReplaceProfile},
        team::{
            self, AddTeamMember, AssignContacts, Assigned, DeleteRole, DeleteTeam, ListTeamMembers, MemberView,
            NewRole, NewTeam, RemoveMember, RemoveTeamMember, RoleView, SetRole, UpdateRole, UpdateTeam,
        },
        unit::Versioned,
    },
};

/// Every operation, room by room.
pub(crate) const OPERATIONS: &[&[Operation]] = &[
    PROFILE,
    SESSIONS,
    IDENTITIES,
    ORGANIZATIONS,
    RETENTION,
    MEMBERS,
    INVITATIONS,
    API_KEYS,
    TEAMS,
    ROLES,
    CONTACTS,
    COMPANIES,
    FIELDS,
    DEALS,
    NOTES,
    TASKS,
    TIMELINES,
    PIPELINES,
    STAGES,
    ANALYTICS,
    RULES,
    RUNS,
    NOTIFICATIONS,
    JOBS,
    ACCOUNTS,
    CHATS,
    MESSAGES,
    MEDIA,
    AUDIT,
];

json_outputs!(
    profile::Profile,
    Organization,
    RetentionView,
    MemberView,
    RoleView,
    Team,
    Assigned,
    ContactExport,
    CustomField,
    BatchOutcome,
    Note,
    Task,
    PipelineView,
    Stage,
    ConversionRates,
    PipelineValue,
    TeamPerformance,
    RuleView,
    Explanation,
    Notification,
    Job,
    ConnectedAccount,
    AccountView,
    AccountStatusView,
    InboxChat,
    Message,
    MessageExplanation,
    ReadAnswer,
    MediaView,
    MediaContent,
    AuditVerification,
    AuditView,
    Belonging,
    IdentityView,
    Run,
    SessionView,
    StageMove
);

room! {
    /// Who one is.
    profile ProfileHandle (PROFILE);

    /// Answers the caller's own profile.
    Query get(()) -> profile::Profile [read Profile] profile::get;
    /// Replaces what the caller says of themselves: name, picture, time zone, language, and what they want to be told.
    Command replace(ReplaceProfile) -> profile::Profile [write Profile] profile::replace;
}

room! {
    /// Where one is signed in.
    sessions Sessions (SESSIONS);

    /// Lists the caller's own sessions, in whichever organisation, newest first.
    Query list(PageRequest) -> Page<SessionView> [read Profile] identity::list_sessions;
    /// Ends one of the caller's own sessions: its tokens count no more.
    Command revoke(SessionId) -> () [write Profile] identity::revoke_session;
    /// Ends all of the caller's own sessions but this one.
    Command revoke_others(()) -> () [write Profile] identity::revoke_other_sessions;
}

room! {
    /// What lets one in beside a password.
    identities Identities (IDENTITIES);

    /// Lists the caller's own identities at those who vouch for people (Google, GitHub, Telegram), oldest first.
    Query list(()) -> Page<IdentityView> [read Profile] identity::list_identities;
    /// Unlinks one of the caller's own identities: it lets them in no more. `last_way_in` if nothing else would;
    /// `step_up_required` more than ten minutes after they have shown who they are.
    Command unlink(IdentityId) -> () [write Profile] identity::unlink_identity;
}

room! {
    /// The organisation's settings.
    organizations OrganizationsHandle (ORGANIZATIONS);

    /// Answers the organisation with its settings.
    Query get(()) -> Organization [read Organization] organization::get;
    /// Changes the organisation by a merge patch. With its time zone the schedules that name none go by another one.
    Command update(UpdateOrganization) -> Organization [write Organization] organization::update;
    /// Lists the organisations that the caller belongs to, oldest membership first, each with their role in it.
    Query list(()) -> Page<Belonging> [read Profile] organization::list;
}

room! {
    /// How long things are kept.
    retention RetentionHandle (RETENTION);

    /// Tells how many days each kind of thing is kept, when what was older was last cleared, and how much.
    Query get(()) -> RetentionView [read Organization] privacy::retention::get;
    /// Says how many days each kind of thing is kept; what is left out is kept for ever. What is older is cleared for good,
    /// from at once on and then every day.
    Command replace(RetentionDays) -> RetentionView [write Privacy] privacy::retention::replace;
}

room! {
    /// Members of the organisation.
    members Members (MEMBERS);

    /// Lists the members, oldest first.
    Query list(PageRequest) -> Page<MemberView> [read Team] team::list_members;
    /// Answers one member.
    Query get(UserId) -> MemberView [read Team] team::get_member;
    /// Gives a member another role. Only owners make and unmake owners; `last_owner` for the last one. Making one takes an
    /// owner who has shown within ten minutes who they are: `step_up_required`.
    Command set_role(SetRole) -> MemberView [write Team] team::set_role;
    /// Removes a member: they are signed out at once, and what they looked after goes to `reassign_to` or to nobody.
    /// `last_owner` for the last owner.
    Command remove(RemoveMember) -> () [write Team] team::remove_member;
    /// Lists where a member is signed in to the organisation, newest first. `forbidden` for those who may do more than the
    /// caller.
    Query sessions(ListMemberSessions) -> Page<SessionView> [write Team] identity::list_member_sessions;
    /// Signs a member out of the organisation everywhere: the tokens of all their sessions in it count no more. `forbidden`
    /// for those who may do more than the caller.
    Command sign_out(UserId) -> () [write Team] identity::revoke_member_sessions;
}

room! {
    /// Invitations to become a member.
    invitations Invitations (INVITATIONS);

    /// Invites somebody by e-mail for seven days. The token is answered once. One that is pending for the same address is
    /// replaced; `already_member` if they are.
    Command create(NewInvitation) -> InvitationView [write Team] identity::invite;
    /// Lists invitations, newest first.
    Query list(ListInvitations) -> Page<InvitationView> [read Team] identity::list_invitations;
    /// Answers one invitation.
    Query get(InvitationId) -> InvitationView [read Team] identity::get_invitation;
    /// Takes an invitation back; `invitation_accepted` if it is too late.
    Command revoke(InvitationId) -> () [write Team] identity::revoke_invitation;
}

impl Output for InvitationView {
    const SECRETS: &'static [&'static str] = &["token"];
}

room! {
    /// API keys.
    api_keys ApiKeys (API_KEYS);

    /// Makes an API key, for a member or for the organisation. Its secret is answered once.
    Command create(NewApiKey) -> ApiKeyView [write ApiKeys] identity::create_api_key;
    /// Lists API keys, newest first: one's own, and with `team:write` everybody's.
    Query list(PageRequest) -> Page<ApiKeyView> [read ApiKeys] identity::list_api_keys;
    /// Answers one API key.
    Query get(ApiKeyId) -> ApiKeyView [read ApiKeys] identity::get_api_key;
    /// Ends an API key: it counts no more at the very next call.
    Command revoke(ApiKeyId) -> () [write ApiKeys] identity::revoke_api_key;
}

impl Output for ApiKeyView {
    const SECRETS: &'static [&'static str] = &["secret"];
}

room! {
    /// Teams.
    teams Teams (TEAMS);

    /// Lists the teams, newest first.
    Query list(PageRequest) -> Page<Team> [read Team] team::list_teams;
    /// Makes a team; `name_taken` if another one is called so.
    Command create(NewTeam) -> Team [write Team] team::create_team;
    /// Answers one team.
    Query get(TeamId) -> Team [read Team] team::get_team;
    /// Changes a team by a merge patch.
    Command update(UpdateTeam) -> Team [write Team] team::update_team;
    /// Removes a team. Its contacts and deals belong to no team from then on.
    Command delete(DeleteTeam) -> () [write Team] team::delete_team;
    /// Lists who is in a team, those first who have been longest; `created_at` is since when.
    Query members(ListTeamMembers) -> Page<MemberView> [read Team] team::list_team_members;
    /// Puts a member into a team. Who is in it already stays as they are.
    Command add_member(AddTeamMember) -> MemberView [write Team] team::add_member;
    /// Takes a member out of a team.
    Command remove_member(RemoveTeamMember) -> () [write Team] team::remove_team_member;
}

impl Teams<'_> {
    /// Whether the caller may listen to what happens to a team's contacts: who is in it may, and admins.
    ///
    /// # Errors
    /// `not_found` for anybody else's team.
    pub async fn listen(&self, id: TeamId) -> crate::error::Result<()> {
        let permission = crate::scope::Permission::read(crate::scope::Resource::Team);
        self.0.run("teams.listen", permission, move |unit| Box::pin(team::listen(unit, id))).await
    }
}

room! {
    /// Roles.
    roles Roles (ROLES);

    /// Lists the roles, each with what it may do: the built-in ones, strongest first, then the organisation's own by name.
    Query list(()) -> Page<RoleView> [read Team] team::list_roles;
    /// Makes a role of the organisation's own; `name_taken` if another one is called so.
    Command create(NewRole) -> RoleView [write Team] team::create_role;
    /// Answers one of the organisation's own roles.
    Query get(RoleId) -> RoleView [read Team] team::get_role;
    /// Changes a role of the organisation's own by a merge patch. What its members may do follows at their next call.
    Command update(UpdateRole) -> RoleView [write Team] team::update_role;
    /// Removes a role of the organisation's own. Its members are given the role `members_to`: `role_in_use` while there are
    /// any and it is not said.
    Command delete(DeleteRole) -> () [write Team] team::delete_role;
}

room! {
    /// Contacts.
    contacts Contacts (CONTACTS);

    /// Makes a contact, in the first stage of the default pipeline. `duplicate` with its candidates if another one has
    /// the same e-mail address, phone number or handle, unless `allow_duplicate` is sent.
    Command create(NewContact) -> Contact [write Contacts] contacts::create;
    /// Answers one contact.
    Query get(ContactId) -> Contact [read Contacts] contacts::get;
    /// Lists contacts by filters, newest first unless `sort` says otherwise. Custom fields filter too: `custom.KEY=value`,
    /// `custom.KEY[gte]=value`.
    Query list(ListContacts) -> Page<Contact> [read Contacts] contacts::list;
    /// Lists contacts by a condition tree.
    Query search(Search) -> Page<Contact> [read Contacts] contacts::search;
    /// Makes up to 500 contacts, each by itself: one that is refused spoils none of the others.
    Command create_batch as "batch" (ContactBatch) -> BatchOutcome [write Contacts] contacts::create_batch;
    /// Makes the contact with this id in another system, or changes the one that has it.
    Command upsert(UpsertContact) -> Contact [write Contacts] contacts::upsert;
    /// Lists the contacts of the caller's teams and those of no team, by the same filters.
    Query shared(ListContacts) -> Page<Contact> [read Contacts] contacts::list_shared;
    /// Gives up to 500 contacts to a member or a team, or to members by turns or by how little they have to do: all of
    /// them or none.
    Command assign(AssignContacts) -> Assigned [write Contacts] team::assign;
    /// Changes a contact by a merge patch.
    Command update(UpdateContact) -> Contact [write Contacts] contacts::update;
    /// Deletes a contact. It can be restored; other contacts may claim its addresses meanwhile.
    Command delete(DeleteContact) -> () [write Contacts] contacts::delete;
    /// Brings a deleted contact back; it retakes those of its addresses that nobody claims.
    Command restore(Versioned<ContactId>) -> Contact [write Contacts] contacts::restore;
    /// Tells everything that is held about a contact and their deals, deleted or not, part by part; messages of private
    /// accounts too. The audit log tells who asked.
    Query export(ExportContact) -> ContactExport [read Privacy] privacy::export;
    /// Erases a contact, deleted or not, for good: it is gone at once, and a job, which is answered, takes what is personal
    /// out of every row about it and its deals. Counts stay. Asked again, the same job is answered.
    Command erase(ContactId) -> Job [write Privacy] privacy::erase;
    /// Moves a contact into a stage. One that is there already stays as it is and gets no history.
    Command move_to as "move" (MoveContact) -> Contact [write Contacts] contacts::move_to;
    /// Lists a contact's moves, newest first.
    Query history(ListHistory) -> Page<StageMove> [read Contacts] contacts::history;
}

room! {
    /// Companies.
    companies Companies (COMPANIES);

    /// Makes a company.
    Command create(NewCompany) -> Company [write Companies] companies::create;
    /// Answers one company.
    Query get(CompanyId) -> Company [read Companies] companies::get;
    /// Lists companies by filters, newest first unless `sort` says otherwise. Custom fields filter too: `custom.KEY=value`,
    /// `custom.KEY[gte]=value`.
    Query list(ListCompanies) -> Page<Company> [read Companies] companies::list;
    /// Lists companies by a condition tree.
    Query search(Search) -> Page<Company> [read Companies] companies::search;
    /// Makes up to 500 companies, each by itself: one that is refused spoils none of the others.
    Command create_batch as "batch" (CompanyBatch) -> BatchOutcome [write Companies] companies::create_batch;
    /// Makes the company with this id in another system, or changes the one that has it.
    Command upsert(UpsertCompany) -> Company [write Companies] companies::upsert;
    /// Changes a company by a merge patch.
    Command update(UpdateCompany) -> Company [write Companies] companies::update;
    /// Deletes a company. It can be restored; contacts keep its id.
    Command delete(DeleteCompany) -> () [write Companies] companies::delete;
    /// Brings a deleted company back.
    Command restore(Versioned<CompanyId>) -> Company [write Companies] companies::restore;
}

room! {
    /// Custom fields of contacts, companies and deals.
    fields Fields (FIELDS);

    /// Lists the custom fields, newest first.
    Query list(ListFields) -> Page<CustomField> [read Fields] fields::list;
    /// Defines a custom field.
    Command create(NewField) -> CustomField [write Fields] fields::create;
    /// Answers one custom field.
    Query get(FieldId) -> CustomField [read Fields] fields::get;
    /// Changes a custom field's label or options by a merge patch; `option_in_use` for an option that is
    /// chosen or that a rule names.
    Command update(UpdateField) -> CustomField [write Fields] fields::update;
    /// Removes a custom field: `field_in_use` while it has a value.
    Command delete(DeleteField) -> () [write Fields] fields::delete;
}

room! {
    /// Deals.
    deals Deals (DEALS);

    /// Makes a deal. Without a stage it starts in the first one of the named pipeline, else of the default one.
    Command create(NewDeal) -> Deal [write Deals] deals::create;
    /// Answers one deal.
    Query get(DealId) -> Deal [read Deals] deals::get;
    /// Lists deals by filters, newest first unless `sort` says otherwise. Custom fields filter too: `custom.KEY=value`,
    /// `custom.KEY[gte]=value`.
    Query list(ListDeals) -> Page<Deal> [read Deals] deals::list;
    /// Lists deals by a condition tree.
    Query search(Search) -> Page<Deal> [read Deals] deals::search;
    /// Makes up to 500 deals, each by itself: one that is refused spoils none of the others.
    Command create_batch as "batch" (DealBatch) -> BatchOutcome [write Deals] deals::create_batch;
    /// Makes the deal with this id in another system, or changes the one that has it.
    Command upsert(UpsertDeal) -> Deal [write Deals] deals::upsert;
    /// Changes a deal by a merge patch; its stage is changed by the move.
    Command update(UpdateDeal) -> Deal [write Deals] deals::update;
    /// Deletes a deal. It can be restored.
    Command delete(DeleteDeal) -> () [write Deals] deals::delete;
    /// Brings a deleted deal back, in the stage that it was in.
    Command restore(Versioned<DealId>) -> Deal [write Deals] deals::restore;
    /// Moves a deal into a stage, whose kind becomes its status; its contact stays where they are. One that is there
    /// already stays as it is and gets no history.
    Command move_to as "move" (MoveDeal) -> Deal [write Deals] deals::move_to;
    /// Lists a deal's moves, newest first.
    Query history(ListDealHistory) -> Page<StageMove> [read Deals] deals::history;
}

room! {
    /// Notes on contacts and deals.
    notes Notes (NOTES);

    /// Writes a note on a contact.
    Command create_on_contact(ContactNote) -> Note [write Contacts] notes::on_contact;
    /// Lists the notes on a contact, newest first.
    Query list_of_contact(ListContactNotes) -> Page<Note> [read Contacts] notes::of_contact;
    /// Writes a note on a deal.
    Command create_on_deal(DealNote) -> Note [write Deals] notes::on_deal;
    /// Lists the notes on a deal, newest first.
    Query list_of_deal(ListDealNotes) -> Page<Note> [read Deals] notes::of_deal;
    /// Answers one note.
    Query get(NoteId) -> Note [read Contacts] notes::get;
    /// Changes a note by a merge patch.
    Command update(UpdateNote) -> Note [write Contacts] notes::update;
    /// Removes a note.
    Command delete(DeleteNote) -> () [write Contacts] notes::delete;
}

room! {
    /// Tasks for contacts and deals.
    tasks Tasks (TASKS);

    /// Makes a task for a contact.
    Command create_for_contact(ContactTask) -> Task [write Contacts] tasks::for_contact;
    /// Lists a contact's tasks, newest first.
    Query list_of_contact(ListContactTasks) -> Page<Task> [read Contacts] tasks::of_contact;
    /// Makes a task for a deal.
    Command create_for_deal(DealTask) -> Task [write Deals] tasks::for_deal;
    /// Lists a deal's tasks, newest first.
    Query list_of_deal(ListDealTasks) -> Page<Task> [read Deals] tasks::of_deal;
    /// Lists tasks by filters, newest first unless `sort` says otherwise.
    Query list(ListTasks) -> Page<Task> [read Contacts] tasks::list;
    /// Answers one task.
    Query get(TaskId) -> Task [read Contacts] tasks::get;
    /// Changes a task by a merge patch; `done` ends it.
    Command update(UpdateTask) -> Task [write Contacts] tasks::update;
    /// Removes a task.
    Command delete(DeleteTask) -> () [write Contacts] tasks::delete;
}

room! {
    /// Timelines of contacts and deals.
    timelines Timelines (TIMELINES);

    /// Answers a contact's notes, tasks, messages, moves and deals, merged, newest first.
    Query of_contact(ContactTimeline) -> Page<TimelineItem> [read Contacts] timeline::of_contact;
    /// Answers a deal's notes, tasks and moves, merged, newest first.
    Query of_deal(DealTimeline) -> Page<TimelineItem> [read Deals] timeline::of_deal;
}

room! {
    /// Pipelines.
    pipelines Pipelines (PIPELINES);

    /// Lists the pipelines with their stages, newest first.
    Query list(PageRequest) -> Page<PipelineView> [read Pipeline] pipeline::list;
    /// Makes a pipeline. As the default one it takes that from the one that has it.
    Command create(NewPipeline) -> PipelineView [write Pipeline] pipeline::create;
    /// Answers one pipeline with its stages.
    Query get(PipelineId) -> PipelineView [read Pipeline] pipeline::get;
    /// Changes a pipeline by a merge patch.
    Command update(UpdatePipeline) -> PipelineView [write Pipeline] pipeline::update;
    /// Removes a pipeline with its stages: `default_pipeline` for the default one, `pipeline_in_use` while contacts or
    /// deals are in it.
    Command delete(DeletePipeline) -> () [write Pipeline] pipeline::delete;
    /// Answers the Kanban board: each stage with its count, first cards, and what its deals are worth.
    Query board(Board) -> BoardView [read Pipeline] pipeline::board;
}

room! {
    /// Stages of pipelines.
    stages Stages (STAGES);

    /// Lists stages by `order_index`.
    Query list(ListStages) -> Page<Stage> [read Pipeline] pipeline::list_stages;
    /// Makes a stage; those behind it move up.
    Command create(NewStage) -> Stage [write Pipeline] pipeline::create_stage;
    /// Changes a stage by a merge patch. The status of its deals follows its kind, at most 1,000 of them at once:
    /// `stage_in_use` otherwise.
    Command update(UpdateStage) -> Stage [write Pipeline] pipeline::update_stage;
    /// Removes a stage. Its contacts and deals go to `move_to`, at most 1,000 of each: `stage_in_use` otherwise.
    Command delete(DeleteStage) -> () [write Pipeline] pipeline::delete_stage;
}

room! {
    /// Analytics.
    analytics Analytics (ANALYTICS);

    /// Tells per stage how many entered, moved on or were lost, and how long they stayed.
    Query conversion_rates(ConversionQuery) -> ConversionRates [read Analytics] analytics::conversion_rates;
    /// Tells per stage and currency what the deals of a pipeline are worth, also by the chance to win them.
    Query pipeline_value(ValueQuery) -> PipelineValue [read Analytics] analytics::pipeline_value;
    /// Tells per member how many messages they sent, what replies came, how long contacts waited for their answers, and
    /// which deals they won.
    Query team_performance(PerformanceQuery) -> TeamPerformance [read Analytics] analytics::team_performance;
}

room! {
    /// Automation rules.
    rules Rules (RULES);

    /// Lists the rules, by position, then id.
    Query list(PageRequest) -> Page<RuleView> [read Automation] automation::list;
    /// Saves a new rule. A faulty one is refused with a pointer to the fault.
    Command create(NewRule) -> RuleView [write Automation] automation::create;
    /// Answers one rule.
    Query get(RuleId) -> RuleView [read Automation] automation::get;
    /// Changes a rule by a merge patch; the whole rule is checked again.
    Command update(UpdateRule) -> RuleView [write Automation] automation::update;
    /// Removes a rule. Its runs stay.
    Command delete(Versioned<RuleId>) -> () [write Automation] automation::delete;
    /// Lists the saved states of a rule, newest first.
    Query versions(RuleVersions) -> Page<RuleView> [read Automation] automation::versions;
    /// Explains why a contact or a deal is in its present stage: the chain of rules and events that led there.
    Query explain(Explain) -> Explanation [read Automation] automation::explain;
}

room! {
    /// What rules did.
    runs Runs (RUNS);

    /// Lists runs, newest first.
    Query list(ListRuns) -> Page<Run> [read Automation] automation::list_runs;
}

room! {
    /// The caller's own notifications.
    notifications Notifications (NOTIFICATIONS);

    /// Lists one's own notifications, unread first, then newest first.
    Query list(PageRequest) -> Page<Notification> [read Notifications] notifications::list;
    /// Answers one of one's own notifications.
    Query get(NotificationId) -> Notification [read Notifications] notifications::get;
    /// Marks a notification as read or unread.
    Command update(UpdateNotification) -> Notification [write Notifications] notifications::update;
}

room! {
    /// Background jobs.
    jobs Jobs (JOBS);

    /// Lists jobs, newest first.
    Query list(ListJobs) -> Page<Job> [read Jobs] jobs::list;
    /// Answers one job with its progress.
    Query get(JobId) -> Job [read Jobs] jobs::get;
    /// Takes back a job that has not ended.
    Command cancel(JobId) -> () [write Jobs] jobs::cancel;
}

room! {
    /// Messenger accounts.
    accounts Accounts (ACCOUNTS);

    /// Connects an account: what was entered is checked live, then kept. `account_exists` if the handle is connected
    /// already; one that is cut off or was removed comes back with its history.
    Command connect(ConnectAccount) -> ConnectedAccount [write Accounts] accounts::connect, after accounts::check;
    /// Lists the accounts, newest first.
    Query list(ListAccounts) -> Page<AccountView> [read Accounts] accounts::list;
    /// Answers one account.
    Query get(AccountId) -> AccountView [read Accounts] accounts::get;
    /// Tells how an account is doing, with the latest messages that it did not take in.
    Query status(AccountId) -> AccountStatusView [read Accounts] accounts::status;
    /// Changes an account by a merge patch; its owner and admins may.
    Command update(UpdateAccount) -> AccountView [write Accounts] accounts::update;
    /// Makes the connection anew with the credentials that the account has.
    Command reconnect(AccountId) -> AccountView [write Accounts] accounts::reconnect;
    /// Removes an account: its connection ends and its secrets go, its chats stay. Its owner and admins may.
    Command delete(Versioned<AccountId>) -> () [write Accounts] accounts::delete;
}

room! {
    /// The inbox.
    chats Chats (CHATS);

    /// Lists chats, newest message first.
    Query list(ListChats) -> Page<InboxChat> [read Messages] messaging::list_chats;
    /// Answers one chat.
    Query get(ChatId) -> InboxChat [read Messages] messaging::get_chat;
    /// Changes who looks after a chat, its state and its labels by a merge patch.
    Command update(UpdateChat) -> InboxChat [write Messages] messaging::update_chat;
}

room! {
    /// Messages.
    messages Messages (MESSAGES);

    /// Lists a chat's messages, newest first.
    Query list(ListMessages) -> Page<Message> [read Messages] messaging::list;
    /// Answers one message.
    Query get(MessageId) -> Message [read Messages] messaging::get;
    /// Asks a message to go out, at once or at a time to come: into a chat, or from an account to a contact, which begins
    /// one. The message answered is queued; it is sent in the background.
    Command send(SendMessage) -> Message [write Messages] messaging::send;
    /// Takes back a message that has not gone yet; `already_sent` if it has.
    Command cancel(MessageId) -> () [write Messages] messaging::cancel;
    /// Says why a message waits, and until when.
    Query explain(MessageId) -> MessageExplanation [read Messages] messaging::explain;
    /// Marks a message and all before it as read.
    Command read(MessageId) -> ReadAnswer [write Messages] messaging::read;
}

impl Messages<'_> {
    /// A message for those who listen to its account, read once for all of them, with what each may see of it; `None` if
    /// it is gone. For live views, which ask as the system.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn live(&self, id: MessageId, listeners: &[Scope]) -> crate::error::Result<Option<LiveMessage>> {
        let permission = crate::scope::Permission::read(crate::scope::Resource::Messages);
        let listeners = std::sync::Arc::new(listeners.to_vec());
        self.0
            .run("messages.live", permission, move |unit| {
                let listeners = listeners.clone();
                Box::pin(async move { messaging::live(unit, id, &listeners).await })
            })
            .await
    }
}

room! {
    /// Files that travel with messages.
    media MediaHandle (MEDIA);

    /// Keeps a file of at most 25 MiB, to be sent with messages.
    Command upload(NewMedia) -> MediaView [write Messages] media::upload, after media::keep;
    /// Answers what a file is.
    Query get(MediaId) -> MediaView [read Messages] media::get;
    /// Answers a file with its bytes.
    Query download(MediaId) -> MediaContent [read Messages] media::download;
}

impl MediaHandle<'_> {
    /// Opens a file, to be read whole or in part without being held in memory.
    ///
    /// # Errors
    /// `not_found`, or `forbidden` if it belongs to a private account's messages.
    pub async fn open(&self, id: MediaId) -> crate::error::Result<MediaFile> {
        let permission = crate::scope::Permission::read(crate::scope::Resource::Messages);
        self.0.run("media.open", permission, move |unit| Box::pin(media::open(unit, id))).await
    }
}

room! {
    /// The audit log.
    audit AuditHandle (AUDIT);

    /// Lists who did what to what, when and from where, newest first.
    Query list(ListAudit) -> Page<AuditView> [read Audit] audit::list;
    /// Walks the chain of seals, and tells how far the log is sealed and sound; the first entry that was edited, removed or
    /// put in since is named.
    Query verify(()) -> AuditVerification [read Audit] audit::verify;
}

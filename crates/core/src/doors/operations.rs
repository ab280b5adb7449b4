//! The table itself, room by room. A new operation is one line here, one verb in `services/`, one line in the server's
//! route table and one scenario.

use crate::{
    domain::{job::Job, notification::Notification, run::Run},
    doors::operation::{Operation, json_outputs, room},
    id::{JobId, RuleId},
    page::{Page, PageRequest},
    services::{
        automation::{self, Explain, Explanation, ListRuns, NewRule, RuleVersions, RuleView, UpdateRule},
        jobs::{self, ListJobs},
        notifications::{self, UpdateNotification},
        profile,
    },
};

/// Every operation, room by room.
pub(crate) const OPERATIONS: &[&[Operation]] = &[PROFILE, RULES, RUNS, NOTIFICATIONS, JOBS];

json_outputs!(profile::Profile, RuleView, Explanation, Notification, Job);

room! {
    /// Who one is.
    profile ProfileHandle (PROFILE);

    /// Answers the caller's own profile.
    Query get(()) -> profile::Profile [read Profile] profile::get;
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
    Command delete(RuleId) -> () [write Automation] automation::delete;
    /// Lists the saved states of a rule, newest first.
    Query versions(RuleVersions) -> Page<RuleView> [read Automation] automation::versions;
    /// Explains why a contact is in its present stage: the chain of rules and events that led there.
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

//! Carrying out what a rule wants: through the same verbs as everybody else, all in the run's one unit.

use serde_json::{Value, json};

use crate::{
    domain::{
        contact::Contact,
        notification::NotificationKind,
        organization::Member,
        rule::{Action, Assignee, Facts},
        template,
    },
    error::{Error, Result},
    id::{ContactId, RuleId, StageId, UserId},
    scope::Role,
    services::{
        contacts, messaging, notifications, pipeline,
        team::{self, Strategy},
        unit::Unit,
    },
};

/// Applies the actions of one run, in order. Answers whether one of them was `stop`.
///
/// # Errors
/// What the first action that cannot be carried out says; then none of them is.
pub(crate) async fn apply(
    unit: &mut Unit,
    rule: (RuleId, &str),
    contact: Option<&Contact>,
    facts: &Facts,
    actions: &[Action],
) -> Result<bool> {
    let mut stopped = false;
    for action in actions {
        let needed = || {
            contact.map(|contact| contact.id).ok_or_else(|| {
                Error::conflict("no_contact", format!("{} needs a contact, and this event has none", action.name()))
            })
        };
        match action {
            Action::MoveToStage { name, stages, pipeline_id } => {
                move_to_stage(unit, rule.1, needed()?, name, stages, pipeline_id.as_ref()).await?
            }
            Action::NotifyTeam { text } => notify_team(unit, rule, contact, facts, text.as_deref()).await?,
            Action::AssignTo(assignee) => assign_to(unit, needed()?, assignee).await?,
            Action::AddTag(tag) => {
                contacts::change(unit, needed()?, |contact| {
                    contact.tags.push(tag.clone());
                    Ok(())
                })
                .await?;
            }
            Action::RemoveTag(tag) => {
                contacts::change(unit, needed()?, |contact| {
                    contact.tags.retain(|it| it != tag);
                    Ok(())
                })
                .await?;
            }
            Action::SetField(fields) => set_fields(unit, needed()?, fields).await?,
            Action::SendMessage { text } => {
                messaging::send_to_contact(unit, needed()?, template::render(text, facts)).await?;
            }
            Action::Stop => stopped = true,
        }
    }
    Ok(stopped)
}

async fn move_to_stage(
    unit: &mut Unit,
    rule: &str,
    contact: ContactId,
    name: &str,
    stages: &[StageId],
    pipeline: Option<&crate::id::PipelineId>,
) -> Result<()> {
    let subject = contacts::contact(unit, contact).await?;
    let wanted = pipeline.copied().unwrap_or(subject.pipeline_id);
    let all = unit.store().stages(unit.organization_id()).await?;
    let stage =
        all.iter().find(|stage| stage.pipeline_id == wanted && stages.contains(&stage.id)).ok_or_else(|| {
            Error::conflict("no_such_stage", format!("there is no stage {name:?} in the contact's pipeline {wanted}"))
        })?;
    pipeline::move_contact(unit, contact, stage.id, Some(format!("rule {rule}"))).await?;
    Ok(())
}

async fn assign_to(unit: &mut Unit, contact: ContactId, assignee: &Assignee) -> Result<()> {
    let (strategy, team) = match assignee {
        Assignee::User(user) => {
            let user = *user;
            return give(unit, contact, |contact| contact.assigned_to = Some(user)).await;
        }
        Assignee::Team(team) => {
            let team = *team;
            return give(unit, contact, |contact| contact.team_id = Some(team)).await;
        }
        Assignee::RoundRobin(team) => (Strategy::RoundRobin, *team),
        Assignee::LeastBusy(team) => (Strategy::LeastBusy, *team),
    };
    let own = contacts::contact(unit, contact).await?.team_id;
    let pool = team::candidates(unit, team.or(own)).await?;
    let chosen = team::choose(unit, &pool, strategy, 1).await?.into_iter().next();
    give(unit, contact, |contact| contact.assigned_to = chosen).await
}

async fn give(unit: &mut Unit, contact: ContactId, change: impl FnOnce(&mut Contact)) -> Result<()> {
    contacts::change(unit, contact, |contact| {
        change(contact);
        Ok(())
    })
    .await?;
    Ok(())
}

/// Tells the contact's team; without one its assignee and the owners and admins, each once.
async fn notify_team(
    unit: &mut Unit,
    rule: (RuleId, &str),
    contact: Option<&Contact>,
    facts: &Facts,
    text: Option<&str>,
) -> Result<()> {
    let title = match (text, contact) {
        (Some(text), _) => template::render(text, facts),
        (None, Some(contact)) => format!("{}: rule {} asks for your attention", contact.name, rule.1),
        (None, None) => format!("Rule {} asks for your attention", rule.1),
    };
    // As the run's earlier actions leave it: a rule that gives it to a team tells that team.
    let present = match contact {
        Some(contact) => contacts::find(unit, contact.id).await?,
        None => None,
    };
    let organization = unit.organization_id();
    let of_team = match present.as_ref().and_then(|contact| contact.team_id) {
        Some(team) => unit.store().all_team_members(organization, team).await?,
        None => Vec::new(),
    };
    let told: Vec<UserId> = if of_team.is_empty() {
        let assignee = present.as_ref().and_then(|contact| contact.assigned_to);
        let members = unit.store().members(organization).await?;
        let concerned = |it: &Member| assignee == Some(it.user_id) || matches!(it.role, Role::Owner | Role::Admin);
        members.into_iter().filter(concerned).map(|it| it.user_id).collect()
    } else {
        of_team.into_iter().map(|it| it.user_id).collect()
    };
    notifications::meet_users(unit, &told).await?;
    for user_id in told {
        let new = notifications::NewNotification {
            user_id,
            kind: NotificationKind::RuleNotifyTeam,
            title: title.clone(),
            body: None,
            contact_id: contact.map(|contact| contact.id),
            rule_id: Some(rule.0),
        };
        notifications::notify(unit, new).await?;
    }
    Ok(())
}

async fn set_fields(
    unit: &mut Unit,
    contact: ContactId,
    fields: &std::collections::BTreeMap<String, Value>,
) -> Result<()> {
    let mut patch = serde_json::Map::new();
    for (name, value) in fields {
        if name == "score" {
            let score = value
                .as_i64()
                .ok_or_else(|| Error::invalid("/score", "invalid", format!("{value} is no whole number")))?;
            contacts::set_score(unit, contact, score).await?;
        } else {
            patch.insert(name.clone(), value.clone());
        }
    }
    if !patch.is_empty() {
        let input = json!({ "id": contact, "patch": patch });
        let input: contacts::UpdateContact = serde_json::from_value(input)
            .map_err(|e| Error::invalid("/set_field", "invalid", "a field cannot have this value").with_source(e))?;
        contacts::update(unit, input).await?;
    }
    Ok(())
}

//! Carrying out what a rule wants: through the same verbs as everybody else, all in the run's one unit.

use serde_json::{Value, json};

use crate::{
    domain::{
        contact::Contact,
        rule::{Action, Facts},
        template,
    },
    error::{Error, Result},
    id::{ContactId, RuleId, StageId},
    scope::Role,
    services::{contacts, messaging, notifications, pipeline, unit::Unit},
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
            Action::AssignTo(user) => {
                let user = *user;
                contacts::change(unit, needed()?, |contact| {
                    contact.assigned_to = Some(user);
                    Ok(())
                })
                .await?;
            }
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

/// Tells the contact's assignee and the owners and admins, each once.
async fn notify_team(
    unit: &mut Unit,
    rule: (RuleId, &str),
    contact: Option<&Contact>,
    facts: &Facts,
    text: Option<&str>,
) -> Result<()> {
    let members = unit.store().members(unit.organization_id()).await?;
    let title = match (text, contact) {
        (Some(text), _) => template::render(text, facts),
        (None, Some(contact)) => format!("{}: rule {} asks for your attention", contact.name, rule.1),
        (None, None) => format!("Rule {} asks for your attention", rule.1),
    };
    for member in members {
        let assigned = contact.is_some_and(|contact| contact.assigned_to == Some(member.user_id));
        if assigned || matches!(member.role, Role::Owner | Role::Admin) {
            notifications::notify(
                unit,
                notifications::NewNotification {
                    user_id: member.user_id,
                    kind: "rule.notify_team",
                    title: title.clone(),
                    body: None,
                    contact_id: contact.map(|contact| contact.id),
                    rule_id: Some(rule.0),
                },
            )?;
        }
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

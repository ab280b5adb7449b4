//! Carrying out what a rule wants: through the same verbs as everybody else, all in the run's one unit.

use serde_json::{Value, json};

use crate::{
    domain::{money::NewMoney, rule::Action, template, text},
    error::{Error, Result},
    id::{ContactId, DealId, PipelineId, RuleId, StageId, UserId},
    scope::Role,
    services::{
        automation::Circumstances,
        contacts,
        deals::{self, NewDeal},
        messaging, notifications, pipeline,
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
    circumstances: &Circumstances,
    actions: &[Action],
) -> Result<bool> {
    let Circumstances { contact, deal, facts } = circumstances;
    let deal = deal.as_ref().map(|deal| deal.id);
    let mut stopped = false;
    for action in actions {
        let needed = || {
            contact.as_ref().map(|contact| contact.id).ok_or_else(|| {
                let lacking = if deal.is_some() { "the deal has none" } else { "this event has none" };
                Error::conflict("no_contact", format!("{} needs a contact, and {lacking}", action.name()))
            })
        };
        match action {
            Action::MoveToStage { name, stages, pipeline_id } => {
                let wanted = (name.as_str(), stages.as_slice(), *pipeline_id);
                match deal {
                    Some(deal) => move_deal(unit, rule.1, deal, wanted).await?,
                    None => move_contact(unit, rule.1, needed()?, wanted).await?,
                }
            }
            Action::NotifyTeam { text } => notify_team(unit, rule, circumstances, text.as_deref()).await?,
            Action::AssignTo(user) => assign(unit, deal, needed, *user).await?,
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
            Action::SetField(fields) => match deal {
                Some(deal) => set_deal_fields(unit, deal, fields).await?,
                None => set_fields(unit, needed()?, fields).await?,
            },
            Action::CreateDeal { name, value, stage, stages, pipeline_id } => {
                let id = needed()?;
                let contact = contacts::contact(unit, id).await?;
                let name = name.as_ref().map(|name| template::render(name, facts));
                let name = name.and_then(|name| text::salvage_name(&name)).unwrap_or(contact.name);
                let stage_id = match stage {
                    Some(stage) => Some(named_stage(unit, stage, stages, *pipeline_id).await?),
                    None => None,
                };
                let value = value.map(NewMoney::from);
                let new = NewDeal {
                    name,
                    contact_id: Some(id),
                    pipeline_id: *pipeline_id,
                    stage_id,
                    value,
                    ..NewDeal::default()
                };
                deals::create(unit, new).await?;
            }
            Action::SendMessage { text } => {
                messaging::send_to_contact(unit, needed()?, template::render(text, facts)).await?;
            }
            Action::Stop => stopped = true,
        }
    }
    Ok(stopped)
}

/// What a rule calls a stage: its name, every stage of that name, and the pipeline if it is not the subject's own.
type Wanted<'a> = (&'a str, &'a [StageId], Option<PipelineId>);

/// The stage that is meant, in the wanted pipeline or else in the subject's own.
async fn meant(unit: &Unit, (name, stages, pipeline): Wanted<'_>, own: PipelineId, whose: &str) -> Result<StageId> {
    let wanted = pipeline.unwrap_or(own);
    let all = unit.store().stages(unit.organization_id()).await?;
    let found = all.iter().find(|stage| stage.pipeline_id == wanted && stages.contains(&stage.id));
    found.map(|stage| stage.id).ok_or_else(|| {
        Error::conflict("no_such_stage", format!("there is no stage {name:?} in {whose} pipeline {wanted}"))
    })
}

async fn move_contact(unit: &mut Unit, rule: &str, contact: ContactId, wanted: Wanted<'_>) -> Result<()> {
    let own = contacts::contact(unit, contact).await?.pipeline_id;
    let stage = meant(unit, wanted, own, "the contact's").await?;
    pipeline::move_contact(unit, contact, stage, Some(format!("rule {rule}"))).await?;
    Ok(())
}

async fn move_deal(unit: &mut Unit, rule: &str, deal: DealId, wanted: Wanted<'_>) -> Result<()> {
    let deal = deals::deal(unit, deal).await?;
    let stage = meant(unit, wanted, deal.pipeline_id, "the deal's").await?;
    pipeline::move_deal(unit, &deal, stage, Some(format!("rule {rule}"))).await?;
    Ok(())
}

/// The stage in which a new deal begins: in the named pipeline, else in the default one.
async fn named_stage(unit: &mut Unit, name: &str, stages: &[StageId], pipeline: Option<PipelineId>) -> Result<StageId> {
    let own = pipeline::named_or_default(unit, pipeline).await?.pipeline.id;
    meant(unit, (name, stages, pipeline), own, "the").await
}

async fn assign(
    unit: &mut Unit,
    deal: Option<DealId>,
    contact: impl FnOnce() -> Result<ContactId>,
    user: UserId,
) -> Result<()> {
    match deal {
        Some(deal) => {
            deals::change(unit, deal, |deal, _| deal.assigned_to = Some(user)).await?;
        }
        None => {
            contacts::change(unit, contact()?, |contact| {
                contact.assigned_to = Some(user);
                Ok(())
            })
            .await?;
        }
    }
    Ok(())
}

/// Tells the assignee of the deal and of the contact, and the owners and admins, each once.
async fn notify_team(
    unit: &mut Unit,
    rule: (RuleId, &str),
    Circumstances { contact, deal, facts }: &Circumstances,
    text: Option<&str>,
) -> Result<()> {
    let (contact, deal) = (contact.as_ref(), deal.as_ref());
    let name = deal.map(|deal| &deal.name).or_else(|| contact.map(|contact| &contact.name));
    let members = unit.store().members(unit.organization_id()).await?;
    let title = match (text, name) {
        (Some(text), _) => template::render(text, facts),
        (None, Some(name)) => format!("{name}: rule {} asks for your attention", rule.1),
        (None, None) => format!("Rule {} asks for your attention", rule.1),
    };
    for member in members {
        let assignees = [deal.and_then(|deal| deal.assigned_to), contact.and_then(|contact| contact.assigned_to)];
        let assigned = assignees.contains(&Some(member.user_id));
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

async fn set_deal_fields(
    unit: &mut Unit,
    deal: DealId,
    fields: &std::collections::BTreeMap<String, Value>,
) -> Result<()> {
    let input = json!({ "id": deal, "patch": fields });
    let input: deals::UpdateDeal = serde_json::from_value(input)
        .map_err(|e| Error::invalid("/set_field", "invalid", "a field cannot have this value").with_source(e))?;
    deals::update(unit, input).await?;
    Ok(())
}

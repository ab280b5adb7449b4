//! Carrying out what a rule wants: through the same verbs as everybody else, all in the run's one unit.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    domain::{
        contact::Contact,
        deal::Deal,
        fact_path::FactPath,
        money::NewMoney,
        notification::NotificationKind,
        organization::Member,
        rule::{Action, Assignee},
        template,
        text::{self, Flaws},
    },
    error::{Error, Result},
    id::{ContactId, DealId, PipelineId, RuleId, StageId, TeamId, UserId},
    scope::Role,
    services::{
        activities::{
            On,
            tasks::{self, Draft},
        },
        automation::{Circumstances, timers::span},
        contacts,
        deals::{self, NewDeal},
        messaging, notifications, pipeline,
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
            Action::AssignTo(assignee) => match deal {
                Some(deal) => assign_to(unit, Given::Deal(deal), assignee).await?,
                None => assign_to(unit, Given::Contact(needed()?), assignee).await?,
            },
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
                Some(deal) => {
                    let (of_contact, own) = of_contact(fields);
                    if !own.is_empty() {
                        set_deal_fields(unit, deal, &own).await?;
                    }
                    if !of_contact.is_empty() {
                        set_fields(unit, needed()?, &of_contact).await?;
                    }
                }
                None => set_fields(unit, needed()?, fields).await?,
            },
            Action::CreateTask { title, due_in_hours, remind_in_hours, assigned_to } => {
                let title = template::render(title, facts);
                let title = text::salvage_name(&title).unwrap_or_else(|| format!("Task of rule {}", rule.1));
                let now = unit.now();
                let after = |hours: &Option<f64>| hours.map(|hours| now + span(hours));
                let (on, assignee) = match deal {
                    Some(id) => (On::Deal(id), deals::deal(unit, id).await?.assigned_to),
                    None => {
                        let id = needed()?;
                        (On::Contact(id), contacts::contact(unit, id).await?.assigned_to)
                    }
                };
                let (due_at, remind_at) = (after(due_in_hours), after(remind_in_hours));
                let assigned_to = assigned_to.or(assignee);
                let draft = Draft { title, due_at, remind_at, assigned_to, done: false };
                tasks::create(unit, on, draft).await?;
            }
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

/// What a rule gives to somebody.
#[derive(Clone, Copy)]
enum Given {
    Contact(ContactId),
    Deal(DealId),
}

async fn assign_to(unit: &mut Unit, given: Given, assignee: &Assignee) -> Result<()> {
    let (strategy, team) = match assignee {
        Assignee::User(user) => return give(unit, given, Some(Some(*user)), None).await,
        Assignee::Team(team) => return give(unit, given, None, Some(*team)).await,
        Assignee::RoundRobin(team) => (Strategy::RoundRobin, *team),
        Assignee::LeastBusy(team) => (Strategy::LeastBusy, *team),
    };
    let own = match given {
        Given::Contact(id) => contacts::contact(unit, id).await?.team_id,
        Given::Deal(id) => deals::deal(unit, id).await?.team_id,
    };
    let pool = team::candidates(unit, team.or(own)).await?;
    let chosen = team::choose(unit, &pool, strategy, 1).await?.into_iter().next();
    give(unit, given, Some(chosen), None).await
}

/// Sets the assignee, or the team.
async fn give(unit: &mut Unit, given: Given, user: Option<Option<UserId>>, team: Option<TeamId>) -> Result<()> {
    match given {
        Given::Contact(id) => {
            let set = |contact: &mut Contact| {
                contact.assigned_to = user.unwrap_or(contact.assigned_to);
                contact.team_id = team.or(contact.team_id);
                Ok(())
            };
            contacts::change(unit, id, set).await.map(drop)
        }
        Given::Deal(id) => {
            let set = |deal: &mut Deal, _: &mut Flaws| {
                deal.assigned_to = user.unwrap_or(deal.assigned_to);
                deal.team_id = team.or(deal.team_id);
            };
            deals::change(unit, id, set).await.map(drop)
        }
    }
}

/// Tells the team of the deal, else that of the contact; without one their assignees and the owners and admins, each once.
async fn notify_team(
    unit: &mut Unit,
    rule: (RuleId, &str),
    Circumstances { contact, deal, facts }: &Circumstances,
    text: Option<&str>,
) -> Result<()> {
    let (contact, deal) = (contact.as_ref(), deal.as_ref());
    let name = deal.map(|deal| &deal.name).or_else(|| contact.map(|contact| &contact.name));
    let title = match (text, name) {
        (Some(text), _) => template::render(text, facts),
        (None, Some(name)) => format!("{name}: rule {} asks for your attention", rule.1),
        (None, None) => format!("Rule {} asks for your attention", rule.1),
    };
    // As the run's earlier actions leave them: a rule that gives a contact to a team tells that team.
    let contact = match contact {
        Some(contact) => contacts::find(unit, contact.id).await?,
        None => None,
    };
    let deal = match deal {
        Some(deal) => deals::find(unit, deal.id).await?,
        None => None,
    };
    let (contact, deal) = (contact.as_ref(), deal.as_ref());
    let organization = unit.organization_id();
    let team = deal.and_then(|deal| deal.team_id).or_else(|| contact.and_then(|contact| contact.team_id));
    let of_team = match team {
        Some(team) => unit.store().all_team_members(organization, team).await?,
        None => Vec::new(),
    };
    let told: Vec<UserId> = if of_team.is_empty() {
        let assignees = [deal.and_then(|deal| deal.assigned_to), contact.and_then(|contact| contact.assigned_to)];
        let members = unit.store().members(organization).await?;
        let concerned =
            |it: &Member| assignees.contains(&Some(it.user_id)) || it.role == Role::Owner || it.role == Role::Admin;
        members.into_iter().filter(concerned).map(|it| it.user_id).collect()
    } else {
        of_team.into_iter().map(|it| it.user_id).collect()
    };
    notifications::meet_users(unit, &told).await?;
    for user_id in told {
        let new = notifications::NewNotification {
            contact_id: contact.map(|contact| contact.id),
            deal_id: deal.map(|deal| deal.id),
            rule_id: Some(rule.0),
            ..notifications::NewNotification::new(user_id, NotificationKind::RuleNotifyTeam, title.clone())
        };
        notifications::notify(unit, new).await?;
    }
    Ok(())
}

/// Fields and what they are set to.
type Fields = BTreeMap<String, Value>;

/// The custom fields of the deal's contact, and what is the deal's own.
fn of_contact(fields: &Fields) -> (Fields, Fields) {
    fields.clone().into_iter().partition(|(name, _)| name.starts_with("contact.custom."))
}

/// The fields as a patch of their owner, in which custom fields stand under `custom`.
fn patch_of(fields: &Fields) -> Map<String, Value> {
    let (mut patch, mut custom) = (Map::new(), Map::new());
    for (name, value) in fields {
        match FactPath::parse(name).as_ref().ok().and_then(FactPath::field) {
            Some((_, key)) => custom.insert(key.to_owned(), value.clone()),
            None => patch.insert(name.clone(), value.clone()),
        };
    }
    if !custom.is_empty() {
        patch.insert("custom".to_owned(), Value::Object(custom));
    }
    patch
}

async fn set_fields(unit: &mut Unit, contact: ContactId, fields: &Fields) -> Result<()> {
    let mut patch = patch_of(fields);
    if let Some(value) = patch.remove("score") {
        let score =
            value.as_i64().ok_or_else(|| Error::invalid("/score", "invalid", format!("{value} is no whole number")))?;
        contacts::set_score(unit, contact, score).await?;
    }
    if !patch.is_empty() {
        let input = json!({ "id": contact, "patch": patch });
        let input: contacts::UpdateContact = serde_json::from_value(input)
            .map_err(|e| Error::invalid("/set_field", "invalid", "a field cannot have this value").with_source(e))?;
        contacts::update(unit, input).await?;
    }
    Ok(())
}

async fn set_deal_fields(unit: &mut Unit, deal: DealId, fields: &Fields) -> Result<()> {
    let input = json!({ "id": deal, "patch": patch_of(fields) });
    let input: deals::UpdateDeal = serde_json::from_value(input)
        .map_err(|e| Error::invalid("/set_field", "invalid", "a field cannot have this value").with_source(e))?;
    deals::update(unit, input).await?;
    Ok(())
}

//! What a rule may know of an event and its subject. What the event settles is read from the event; the rest is read when
//! the run starts.

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde_json::{Map, Value, json};

use crate::{
    domain::{
        contact::Contact,
        deal::Deal,
        event::{Event, EventKind, Subject},
        message::Message,
        pipeline::{Pipeline, Stage, Staged, Standing},
        rule::{Facts, NowFact, StageFact},
    },
    error::Result,
    id::{AccountId, Id, MessageId, OrganizationId},
    ports::store::Store,
    services::{contacts, deals, unit::Unit},
};

/// An event and what is read around it.
pub(crate) struct Circumstances {
    /// The contact it is about; that of the deal, if it is about one.
    pub(crate) contact: Option<Contact>,
    pub(crate) deal: Option<Deal>,
    pub(crate) facts: Facts,
}

impl Circumstances {
    /// Where the subject stands.
    pub(crate) fn standing(&self) -> Option<Standing> {
        standing(self.contact.as_ref(), self.deal.as_ref())
    }
}

fn standing(contact: Option<&Contact>, deal: Option<&Deal>) -> Option<Standing> {
    deal.map(Staged::standing).or_else(|| contact.map(Staged::standing))
}

/// Reads an id that was stamped into an event.
fn stamped<T: Id>(event: &Event, name: &str) -> Option<T> {
    event.data.get(name)?.as_str()?.parse::<uuid::Uuid>().ok().map(T::from_uuid)
}

fn hours_since(now: DateTime<Utc>, then: DateTime<Utc>) -> f64 {
    (now - then).num_microseconds().unwrap_or(i64::MAX) as f64 / 3_600_000_000.0
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// What facts need that is the same for every subject of the organisation: held ready with its rules.
#[derive(Default)]
pub(crate) struct Surroundings {
    stages: Vec<Stage>,
    pipelines: Vec<Pipeline>,
    zone: chrono_tz::Tz,
}

impl Surroundings {
    pub(super) async fn read(store: &dyn Store, organization: OrganizationId) -> Result<Self> {
        let (pipelines, stages) = store.pipelines_with_stages(organization).await?;
        let organization = store.organization(organization).await?;
        let zone = organization.and_then(|it| it.time_zone.parse().ok()).unwrap_or(chrono_tz::UTC);
        Ok(Self { stages, pipelines, zone })
    }

    fn stage(&self, standing: Standing) -> Option<StageFact> {
        let stage = self.stages.iter().find(|stage| stage.id == standing.stage_id)?;
        let pipeline = self.pipelines.iter().find(|pipeline| pipeline.id == standing.pipeline_id)?;
        Some(StageFact {
            id: stage.id,
            name: stage.name.clone(),
            pipeline_id: pipeline.id,
            pipeline: pipeline.name.clone(),
        })
    }

    fn now(&self, now: DateTime<Utc>) -> NowFact {
        let local = now.with_timezone(&self.zone);
        NowFact { at: now, hour: local.hour(), weekday: local.weekday().to_string().to_lowercase() }
    }
}

/// Gathers the facts of `event` for its subject as it is now. A deleted subject gives none: `None`.
pub(crate) async fn gather(
    unit: &mut Unit,
    event: &Event,
    surroundings: &Surroundings,
) -> Result<Option<Circumstances>> {
    let now = unit.now();
    let (mut contact, mut deal) = (None, None);
    if let Some(id) = event.subject.contact() {
        let Some(found) = contacts::find(unit, id).await? else { return Ok(None) };
        contact = Some(found);
    } else if let Some(id) = event.subject.deal() {
        let Some(found) = deals::find(unit, id).await? else { return Ok(None) };
        if let Some(id) = found.contact_id {
            contact = contacts::find(unit, id).await?;
        }
        deal = Some(found);
    }
    let standing = standing(contact.as_ref(), deal.as_ref());
    let message = match stamped::<MessageId>(event, "message_id") {
        Some(id) => unit.store().message(unit.organization_id(), id).await?,
        None => None,
    };
    let account = match stamped::<AccountId>(event, "account_id").or_else(|| account_of(event)) {
        Some(id) => unit.store().account(unit.organization_id(), id).await?,
        None => None,
    };
    let facts = Facts {
        stage: standing.and_then(|standing| surroundings.stage(standing)),
        elapsed_hours: standing.map(|standing| hours_since(now, standing.stage_entered_at)),
        has_response: contact.as_ref().is_some_and(|contact| contact.first_response_at.is_some()),
        is_first_response: event.data.get("is_first_response").and_then(Value::as_bool).unwrap_or(false),
        hours_since_last_message: contact
            .as_ref()
            .and_then(|contact| contact.last_message_at)
            .map(|then| hours_since(now, then)),
        hours_since_last_response: contact
            .as_ref()
            .and_then(|contact| contact.last_response_at)
            .map(|then| hours_since(now, then)),
        message: message.as_ref().map(message_fact).unwrap_or_default(),
        contact: contact.as_ref().map(|contact| object(json!(contact))).unwrap_or_default(),
        deal: deal.as_ref().map(|deal| object(json!(deal))).unwrap_or_default(),
        account: account.map(|account| object(json!(account))).unwrap_or_default(),
        event: event_fact(event),
        now: surroundings.now(now),
    };
    Ok(Some(Circumstances { contact, deal, facts }))
}

fn account_of(event: &Event) -> Option<AccountId> {
    (event.subject.kind == crate::domain::event::SubjectKind::Account).then(|| AccountId::from_uuid(event.subject.id))
}

fn message_fact(message: &Message) -> Map<String, Value> {
    let mut fact = message.metadata.clone();
    fact.insert("id".to_owned(), json!(message.id));
    fact.insert("text".to_owned(), json!(message.content.as_ref().map(|content| &content.text)));
    fact.insert("platform".to_owned(), json!(message.platform));
    fact.insert("direction".to_owned(), json!(message.direction));
    fact.insert("sender".to_owned(), json!(message.sender));
    fact.insert("timestamp".to_owned(), json!(message.timestamp));
    fact
}

fn event_fact(event: &Event) -> Map<String, Value> {
    let mut fact = event.data.clone();
    for (from, to) in [("from_stage_id", "from_stage"), ("to_stage_id", "to_stage")] {
        if let Some(stage) = fact.remove(from) {
            fact.insert(to.to_owned(), stage);
        }
    }
    fact.insert("id".to_owned(), json!(event.id));
    fact.insert("kind".to_owned(), json!(event.kind));
    fact.insert("cause".to_owned(), json!(event.cause.quiet));
    fact.insert("at".to_owned(), json!(event.occurred_at));
    if matches!(event.kind, EventKind::ContactUpdated | EventKind::DealUpdated) {
        fact.insert("changed".to_owned(), json!(event.changes.keys().collect::<Vec<_>>()));
    }
    fact
}

/// Whether a schedule's condition holds for a subject now; asks with the facts that its event would have.
pub(crate) async fn would_hold(
    unit: &mut Unit,
    subject: Subject,
    surroundings: &Surroundings,
    holds: impl FnOnce(&Facts) -> bool,
) -> Result<bool> {
    let event = Event {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        kind: EventKind::ScheduleDue,
        subject,
        subject_seq: 0,
        occurred_at: unit.now(),
        actor: unit.scope().actor,
        cause: unit.scope().cause.clone(),
        changes: std::collections::BTreeMap::new(),
        data: Map::new(),
        sealed_by: None,
        sealed: None,
    };
    Ok(gather(unit, &event, surroundings).await?.is_some_and(|circumstances| holds(&circumstances.facts)))
}

//! Making, editing and removing stages. Their places in a pipeline are numbered from 0 without holes; each change of a
//! stage edits its pipeline too, so that two changes of one pipeline never miss each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    domain::{
        event::EventKind,
        pipeline::{Pipeline, Stage, StageKind},
        text::{self, Flaws},
    },
    error::{Error, Result},
    id::{Id, PipelineId, StageId},
    page::{ListKey, Page, PageRequest},
    patch::Patch,
    services::{
        pipeline::{
            self, MAX_STAGES,
            moves::{self, Inside, MOVED_AT_ONCE},
        },
        unit::{Fact, Unit, check_version},
    },
};

/// The most bytes that a client may keep in `automation_rules`.
const MAX_HINTS: usize = 16 * 1024;

/// A stage of a new pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageDraft {
    /// What people call it; unique in its pipeline, whatever the case.
    pub name: String,
    /// `#rrggbb`.
    #[serde(default)]
    pub color: Option<String>,
    /// `open` if left out.
    #[serde(default = "open")]
    pub kind: StageKind,
    /// The chance to win from here, 0…1.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Kept for clients that store their own hints here; at most 16 KiB.
    #[serde(default)]
    pub automation_rules: Option<Value>,
}

/// A stage to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStage {
    /// Its pipeline; the default one if left out.
    #[serde(default)]
    pub pipeline_id: Option<PipelineId>,
    /// What people call it; unique in its pipeline, whatever the case.
    pub name: String,
    /// Its place from 0; those behind it move up. Last if left out, or if there are fewer stages.
    #[serde(default)]
    pub order_index: Option<i64>,
    /// `#rrggbb`.
    #[serde(default)]
    pub color: Option<String>,
    /// `open` if left out.
    #[serde(default = "open")]
    pub kind: StageKind,
    /// The chance to win from here, 0…1.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Kept for clients that store their own hints here; at most 16 KiB.
    #[serde(default)]
    pub automation_rules: Option<Value>,
}

const fn open() -> StageKind {
    StageKind::Open
}

/// A change of a stage: a merge patch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StagePatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    /// Its place from 0; the others make room.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub order_index: Patch<i64>,
    /// `#rrggbb`.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub color: Patch<String>,
    /// What being in it means.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub kind: Patch<StageKind>,
    /// The chance to win from here, 0…1.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub probability: Patch<f64>,
    /// The clients' own hints, as a whole.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub automation_rules: Patch<Value>,
}

/// Which stage, and its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateStage {
    /// Which one.
    pub id: StageId,
    /// Its change.
    pub patch: StagePatch,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which stage is to be removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteStage {
    /// Which one.
    pub id: StageId,
    /// Where its contacts go; needed if there are any, at most 1,000.
    #[serde(default)]
    pub move_to: Option<StageId>,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which stages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListStages {
    /// Of this pipeline; of all of them, one after the other, if left out.
    pub pipeline_id: Option<PipelineId>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

pub(crate) async fn list(unit: &mut Unit, input: ListStages) -> Result<Page<Stage>> {
    let pipelines = match input.pipeline_id {
        Some(id) => vec![pipeline::pipeline(unit, id).await?],
        None => pipeline::pipelines(unit).await?,
    };
    // The stages of older pipelines first; a place in the whole list is a pipeline's place and the stage's own in it.
    let place = |stage: &Stage| {
        let before = pipelines.iter().position(|pipeline| pipeline.id == stage.pipeline_id).unwrap_or_default();
        (i64::try_from(before).unwrap_or_default() << 32 | stage.order_index, stage.id.uuid())
    };
    let mut stages = pipeline::stages(unit).await?;
    stages.retain(|stage| input.pipeline_id.is_none_or(|id| id == stage.pipeline_id));
    stages.sort_by_key(place);
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    pipeline::page_of(stages, &page, ListKey::of(&("stages", input.pipeline_id)), place)
}

/// The stage that a draft makes, if nothing is wrong with it.
pub(super) fn checked(
    unit: &Unit,
    flaws: &mut Flaws,
    pointer: &str,
    pipeline: PipelineId,
    draft: StageDraft,
    order_index: i64,
) -> Result<Option<Stage>> {
    let now = unit.now();
    let mut stage = Stage {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        pipeline_id: pipeline,
        name: draft.name,
        order_index,
        color: draft.color,
        kind: draft.kind,
        probability: draft.probability,
        automation_rules: draft.automation_rules.unwrap_or_else(|| json!([])),
        created_at: now,
        updated_at: now,
        version: 1,
    };
    Ok(tidy(flaws, pointer, &mut stage).then_some(stage))
}

/// Brings what people entered to the form in which it is kept; false: something is wrong, and noted.
fn tidy(flaws: &mut Flaws, pointer: &str, stage: &mut Stage) -> bool {
    let name = flaws.take(format!("{pointer}/name"), text::name(&stage.name));
    let color = match &stage.color {
        Some(color) => flaws.take(format!("{pointer}/color"), text::color(color)).map(Some),
        None => Some(None),
    };
    let mut right = true;
    if let Some(probability) = stage.probability.filter(|it| !(0.0..=1.0).contains(it)) {
        let detail = format!("{probability} is no probability: 0 to 1 is expected");
        flaws.add(format!("{pointer}/probability"), "out_of_range", detail);
        right = false;
    }
    if stage.automation_rules.to_string().len() > MAX_HINTS {
        let detail = format!("at most {MAX_HINTS} bytes of JSON are kept here");
        flaws.add(format!("{pointer}/automation_rules"), "too_long", detail);
        right = false;
    }
    match (name, color) {
        (Some(name), Some(color)) => {
            stage.name = name;
            stage.color = color;
            right
        }
        _ => false,
    }
}

/// Fails if another stage of the pipeline has the same name, whatever the case.
fn refuse_taken_name(stage: &Stage, others: &[Stage]) -> Result<()> {
    let key = text::name_key(&stage.name);
    match others.iter().find(|other| other.id != stage.id && text::name_key(&other.name) == key) {
        Some(other) => {
            let message = format!("the pipeline has a stage {:?} already: choose another name", other.name);
            Err(Error::conflict("name_taken", message.clone()).field("/name", "taken", message))
        }
        None => Ok(()),
    }
}

/// Where `wanted` is in a list of `length` places.
fn place(flaws: &mut Flaws, wanted: i64, length: usize) -> usize {
    match usize::try_from(wanted) {
        Ok(place) => place.min(length),
        Err(_) => {
            flaws.add("/order_index", "out_of_range", format!("{wanted} is no place: 0 or more is expected"));
            length
        }
    }
}

pub(crate) async fn create(unit: &mut Unit, input: NewStage) -> Result<Stage> {
    let view = match pipeline::named_or_default(unit, input.pipeline_id).await {
        Err(error) if error.code() == "not_found" => {
            return Err(Error::invalid("/pipeline_id", "unknown", error.message()));
        }
        view => view?,
    };
    let mut stages = view.stages;
    if stages.len() >= MAX_STAGES {
        let message = format!("the pipeline has {MAX_STAGES} stages: remove one before another is made");
        return Err(Error::conflict("too_many_stages", message));
    }
    let mut flaws = Flaws::default();
    let place = input.order_index.map_or(stages.len(), |wanted| place(&mut flaws, wanted, stages.len()));
    let draft = StageDraft {
        name: input.name,
        color: input.color,
        kind: input.kind,
        probability: input.probability,
        automation_rules: input.automation_rules,
    };
    let order_index = i64::try_from(place).unwrap_or_default();
    let stage = checked(unit, &mut flaws, "", view.pipeline.id, draft, order_index)?;
    flaws.end()?;
    let stage = stage.ok_or_else(|| Error::internal("a faulty stage has no flaw"))?;
    refuse_taken_name(&stage, &stages)?;
    stages.insert(place, stage.clone());
    let fact = change(unit, &view.pipeline, "stage.created", stage.id)?.changes(None, &stage).insert(&stage);
    number(fact, stages)?;
    Ok(stage)
}

/// Begins the fact that a stage of a pipeline changes: the pipeline is edited with it.
fn change<'u>(unit: &'u mut Unit, pipeline: &Pipeline, what: &str, stage: StageId) -> Result<Fact<'u>> {
    let after = Pipeline { updated_at: unit.now(), ..pipeline.clone() };
    let (fact, _) = unit.fact(EventKind::PipelineChanged, pipeline.id)?.edit(pipeline, &after)?;
    Ok(fact.data("what", what).data("stage_id", stage))
}

/// Numbers stages in the order in which they stand.
fn number(mut fact: Fact<'_>, stages: Vec<Stage>) -> Result<()> {
    for (order_index, before) in (0_i64..).zip(stages) {
        if before.order_index != order_index {
            let after = Stage { order_index, ..before.clone() };
            (fact, _) = fact.edit(&before, &after)?;
        }
    }
    Ok(())
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateStage) -> Result<Stage> {
    let (before, pipeline, mut stages) = found(unit, input.id).await?;
    check_version("stage", input.if_version, before.version)?;
    let mut after = before.clone();
    let mut flaws = Flaws::default();
    let patch = input.patch;
    if let Some(name) = needed(&mut flaws, "/name", patch.name) {
        after.name = name;
    }
    if let Some(kind) = needed(&mut flaws, "/kind", patch.kind) {
        after.kind = kind;
    }
    if let Some(wanted) = needed(&mut flaws, "/order_index", patch.order_index) {
        let place = place(&mut flaws, wanted, stages.len().saturating_sub(1));
        after.order_index = i64::try_from(place).unwrap_or_default();
    }
    patch.color.apply(&mut after.color);
    patch.probability.apply(&mut after.probability);
    match patch.automation_rules {
        Patch::Absent => {}
        Patch::Null => after.automation_rules = json!([]),
        Patch::Value(hints) => after.automation_rules = hints,
    }
    tidy(&mut flaws, "", &mut after);
    flaws.end()?;
    if after == before {
        return Ok(before);
    }
    refuse_taken_name(&after, &stages)?;
    stages.retain(|stage| stage.id != after.id);
    if before.kind == StageKind::Open && after.kind != StageKind::Open {
        keep_open_stage(&stages, &before)?;
    }
    after.updated_at = unit.now();
    let (fact, after) = change(unit, &pipeline, "stage.updated", before.id)?.edit(&before, &after)?;
    let fact = fact.changes(Some(&before), &after);
    stages.insert(usize::try_from(after.order_index).unwrap_or_default().min(stages.len()), after.clone());
    number(fact, stages)?;
    if before.kind != after.kind {
        moves::follow(unit, &after).await?;
    }
    Ok(after)
}

/// The value of a member that cannot be cleared.
fn needed<T>(flaws: &mut Flaws, pointer: &str, patch: Patch<T>) -> Option<T> {
    match patch {
        Patch::Absent => None,
        Patch::Null => {
            flaws.add(pointer, "required", "it cannot be cleared");
            None
        }
        Patch::Value(value) => Some(value),
    }
}

/// A stage, its pipeline, and all stages of that, in their order.
async fn found(unit: &mut Unit, id: StageId) -> Result<(Stage, Pipeline, Vec<Stage>)> {
    let mut stages = pipeline::stages(unit).await?;
    let stage = stages.iter().find(|stage| stage.id == id).cloned().ok_or_else(|| Error::not_found("stage", id))?;
    stages.retain(|other| other.pipeline_id == stage.pipeline_id);
    let pipeline = pipeline::pipeline(unit, stage.pipeline_id).await?;
    Ok((stage, pipeline, stages))
}

/// Fails if `others` have no open stage once `stage` is none any more.
fn keep_open_stage(others: &[Stage], stage: &Stage) -> Result<()> {
    if others.iter().any(|other| other.kind == StageKind::Open) {
        return Ok(());
    }
    let message = format!("{:?} is the last open stage of its pipeline: make another one first", stage.name);
    Err(Error::conflict("last_open_stage", message))
}

pub(crate) async fn delete(unit: &mut Unit, input: DeleteStage) -> Result<()> {
    let (stage, pipeline, mut others) = found(unit, input.id).await?;
    check_version("stage", input.if_version, stage.version)?;
    others.retain(|other| other.id != stage.id);
    if stage.kind == StageKind::Open {
        keep_open_stage(&others, &stage)?;
    }
    let target = match input.move_to {
        Some(id) if id == stage.id => {
            return Err(Error::invalid("/move_to", "invalid", "this is the stage to be removed: name another one"));
        }
        Some(id) => Some(pipeline::referred_stage(unit, "/move_to", id).await?),
        None => None,
    };
    empty(unit, &stage, target.as_ref(), others.first()).await?;
    let fact = change(unit, &pipeline, "stage.deleted", stage.id)?.change("name", &stage.name, ()).delete(&stage);
    number(fact, others)
}

/// Moves the contacts and deals of a stage away. One that enters it meanwhile makes the commit a write conflict, by its
/// foreign key, and the stage is looked at again.
async fn empty(unit: &mut Unit, stage: &Stage, target: Option<&Stage>, refuge: Option<&Stage>) -> Result<()> {
    let inside = Inside::present(unit, &[stage.id], MOVED_AT_ONCE + 1).await?;
    for (count, nouns) in [(inside.contacts.len(), "contacts"), (inside.deals.len(), "deals")] {
        if count > MOVED_AT_ONCE as usize {
            let message = format!(
                "more than {MOVED_AT_ONCE} {nouns} are in the stage {:?}: move them first, no more are moved at once",
                stage.name
            );
            return Err(Error::conflict("stage_in_use", message));
        }
    }
    let reason = format!("the stage {:?} was removed", stage.name);
    match (inside.nouns(), target) {
        (None, _) => {}
        (Some(_), Some(target)) => inside.place(unit, target, &reason)?,
        (Some(nouns), None) => {
            let message = format!("{nouns} are in the stage {:?}: name another one in move_to", stage.name);
            return Err(Error::conflict("stage_in_use", message));
        }
    }
    let deleted = Inside::deleted(unit, &[stage.id]).await?;
    match (deleted.nouns(), target.or(refuge)) {
        (None, _) => Ok(()),
        (Some(_), Some(refuge)) => deleted.place(unit, refuge, &reason),
        (Some(nouns), None) => {
            let message = format!("deleted {nouns} are in the stage {:?}: name another one in move_to", stage.name);
            Err(Error::conflict("stage_in_use", message))
        }
    }
}

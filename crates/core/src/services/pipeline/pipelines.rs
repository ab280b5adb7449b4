//! Making, editing and removing pipelines. One of them is the default one, always.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        event::EventKind,
        pipeline::{Pipeline, Stage, StageKind},
        text::{self, Flaws},
    },
    error::{Error, Result},
    id::PipelineId,
    page::{ListKey, Page, PageRequest},
    patch::Patch,
    ports::store::{Column, Guard, Must, Record},
    services::{
        pipeline::{
            self, MAX_PIPELINES, MAX_STAGES, PipelineView,
            moves::Inside,
            stages::{self, StageDraft},
        },
        unit::{Unit, check_version},
    },
};

/// The stages of a new organisation's pipeline, and of a default pipeline that is made without any.
const STANDARD_STAGES: &[(&str, StageKind, f64, &str)] = &[
    ("lead", StageKind::Open, 0.1, "#64748b"),
    ("qualified", StageKind::Open, 0.25, "#3b82f6"),
    ("proposal", StageKind::Open, 0.5, "#8b5cf6"),
    ("negotiation", StageKind::Open, 0.75, "#f59e0b"),
    ("won", StageKind::Won, 1.0, "#22c55e"),
    ("lost", StageKind::Lost, 0.0, "#ef4444"),
];

/// A pipeline to be made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPipeline {
    /// What people call it.
    pub name: String,
    /// Whether new contacts go here from now on. The first pipeline is the default one in any case.
    #[serde(default)]
    pub is_default: bool,
    /// Its stages, in their order. Left out, a default pipeline gets the six of a new organisation, because new contacts
    /// need a stage; any other one begins empty.
    #[serde(default)]
    pub stages: Option<Vec<StageDraft>>,
}

/// A change of a pipeline: a merge patch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PipelinePatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    /// `true` makes it the default one; the one that was it no longer is.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub is_default: Patch<bool>,
}

/// Which pipeline, and its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdatePipeline {
    /// Which one.
    pub id: PipelineId,
    /// Its change.
    pub patch: PipelinePatch,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which pipeline is to be removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeletePipeline {
    /// Which one.
    pub id: PipelineId,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

pub(crate) async fn list(unit: &mut Unit, page: PageRequest) -> Result<Page<PipelineView>> {
    let mut pipelines = pipeline::pipelines(unit).await?;
    pipelines.sort_by_key(pipeline::newest_first);
    let page = pipeline::page_of(pipelines, &page, ListKey::of(&"pipelines"), pipeline::newest_first)?;
    let all = pipeline::stages(unit).await?;
    Ok(page.map(|pipeline| {
        let stages = all.iter().filter(|stage| stage.pipeline_id == pipeline.id).cloned().collect();
        PipelineView { pipeline, stages }
    }))
}

pub(crate) async fn get(unit: &mut Unit, id: PipelineId) -> Result<PipelineView> {
    pipeline::named_or_default(unit, Some(id)).await
}

/// The pipeline of a new organisation.
pub(crate) async fn create_default(unit: &mut Unit) -> Result<Pipeline> {
    let new = NewPipeline { name: "Sales".to_owned(), is_default: true, stages: None };
    Ok(create(unit, new).await?.pipeline)
}

pub(crate) async fn create(unit: &mut Unit, input: NewPipeline) -> Result<PipelineView> {
    let others = pipeline::pipelines(unit).await?;
    if others.len() >= MAX_PIPELINES {
        let message = format!("there are {MAX_PIPELINES} pipelines: remove one before another is made");
        return Err(Error::conflict("too_many_pipelines", message));
    }
    let is_default = input.is_default || others.is_empty();
    let drafts = match input.stages {
        Some(drafts) => drafts,
        None if is_default => standard_stages(),
        None => Vec::new(),
    };
    let now = unit.now();
    let pipeline = Pipeline {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        name: input.name,
        is_default,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let mut flaws = Flaws::default();
    let name = flaws.take("/name", text::name(&pipeline.name));
    let stages = made(unit, &mut flaws, &pipeline, drafts)?;
    if is_default && !stages.iter().any(|stage| stage.kind == StageKind::Open) {
        flaws.add("/stages", "required", "new contacts go into the default pipeline: it needs an open stage");
    }
    flaws.end()?;
    let pipeline = Pipeline { name: name.unwrap_or_default(), ..pipeline };
    if is_default {
        demote_default(unit, &others)?;
    }
    let mut fact = unit
        .fact(EventKind::PipelineChanged, pipeline.id)?
        .data("what", "pipeline.created")
        .changes(None, &pipeline)
        .insert(&pipeline);
    for stage in &stages {
        fact = fact.insert(stage);
    }
    Ok(PipelineView { pipeline, stages })
}

fn standard_stages() -> Vec<StageDraft> {
    let draft = |(name, kind, probability, color): &(&str, StageKind, f64, &str)| StageDraft {
        name: (*name).to_owned(),
        color: Some((*color).to_owned()),
        kind: *kind,
        probability: Some(*probability),
        automation_rules: None,
    };
    STANDARD_STAGES.iter().map(draft).collect()
}

/// The checked stages of a new pipeline.
fn made(unit: &Unit, flaws: &mut Flaws, pipeline: &Pipeline, drafts: Vec<StageDraft>) -> Result<Vec<Stage>> {
    if drafts.len() > MAX_STAGES {
        flaws.add("/stages", "too_many", format!("a pipeline has at most {MAX_STAGES} stages"));
        return Ok(Vec::new());
    }
    let mut stages: Vec<Stage> = Vec::with_capacity(drafts.len());
    for (place, draft) in (0_i64..).zip(drafts) {
        let pointer = format!("/stages/{place}");
        let Some(stage) = stages::checked(unit, flaws, &pointer, pipeline.id, draft, place)? else { continue };
        if stages.iter().any(|other| text::name_key(&other.name) == text::name_key(&stage.name)) {
            flaws.add(format!("{pointer}/name"), "taken", format!("{:?} stands here twice", stage.name));
        }
        stages.push(stage);
    }
    Ok(stages)
}

/// Takes away what makes a pipeline the default one, before another becomes it: the store allows one at a time.
fn demote_default(unit: &mut Unit, pipelines: &[Pipeline]) -> Result<()> {
    for before in pipelines.iter().filter(|pipeline| pipeline.is_default) {
        let after = Pipeline { is_default: false, updated_at: unit.now(), ..before.clone() };
        let (fact, after) = unit.fact(EventKind::PipelineChanged, before.id)?.edit(before, &after)?;
        fact.data("what", "pipeline.updated").changes(Some(before), &after);
    }
    Ok(())
}

pub(crate) async fn update(unit: &mut Unit, input: UpdatePipeline) -> Result<PipelineView> {
    let PipelineView { pipeline: before, stages } = get(unit, input.id).await?;
    check_version("pipeline", input.if_version, before.version)?;
    let mut after = before.clone();
    let mut flaws = Flaws::default();
    match input.patch.name {
        Patch::Absent => {}
        Patch::Null => {
            flaws.add("/name", "required", "a pipeline has a name: it cannot be cleared");
        }
        Patch::Value(name) => after.name = flaws.take("/name", text::name(&name)).unwrap_or_default(),
    }
    match input.patch.is_default {
        Patch::Absent => {}
        Patch::Null => {
            flaws.add("/is_default", "required", "true or false is expected");
        }
        Patch::Value(is_default) => after.is_default = is_default,
    }
    flaws.end()?;
    if before.is_default && !after.is_default {
        let message = format!("{:?} is the default pipeline: make another one the default instead", before.name);
        return Err(Error::conflict("default_pipeline", message));
    }
    if after.is_default && !before.is_default {
        if !stages.iter().any(|stage| stage.kind == StageKind::Open) {
            let message = format!("{:?} has no open stage for new contacts: create one first", before.name);
            return Err(Error::conflict("pipeline_without_stages", message));
        }
        let others = pipeline::pipelines(unit).await?;
        demote_default(unit, &others)?;
    }
    if after == before {
        return Ok(PipelineView { pipeline: before, stages });
    }
    after.updated_at = unit.now();
    let (fact, after) = unit.fact(EventKind::PipelineChanged, before.id)?.edit(&before, &after)?;
    fact.data("what", "pipeline.updated").changes(Some(&before), &after);
    Ok(PipelineView { pipeline: after, stages })
}

pub(crate) async fn delete(unit: &mut Unit, input: DeletePipeline) -> Result<()> {
    let PipelineView { pipeline, stages } = get(unit, input.id).await?;
    check_version("pipeline", input.if_version, pipeline.version)?;
    if pipeline.is_default {
        let message = format!("{:?} is the default pipeline: make another one the default first", pipeline.name);
        return Err(Error::conflict("default_pipeline", message));
    }
    let ids: Vec<_> = stages.iter().map(|stage| stage.id).collect();
    if !ids.is_empty() {
        if let Some(nouns) = Inside::present(unit, &ids, 1).await?.nouns() {
            let message = format!("{nouns} are in the pipeline {:?}: move them to another one first", pipeline.name);
            return Err(Error::conflict("pipeline_in_use", message));
        }
        let deleted = Inside::deleted(unit, &ids).await?;
        let entry = pipeline::entry_stage(unit).await?;
        deleted.place(unit, &entry, &format!("the pipeline {:?} was removed", pipeline.name))?;
    }
    // Whoever makes it the default one meanwhile, or changes a stage of it, changes its version.
    unit.batch.guard(Guard {
        table: Pipeline::TABLE,
        filter: vec![
            ("organization_id", pipeline.organization_id.to_value()),
            ("id", pipeline.id.to_value()),
            ("version", pipeline.version.to_value()),
        ],
        must: Must::BeLocked,
        otherwise: ("write_conflict", "the pipeline was changed meanwhile".to_owned()),
    });
    let mut fact = unit.fact(EventKind::PipelineChanged, pipeline.id)?.data("what", "pipeline.deleted");
    for stage in &stages {
        fact = fact.delete(stage);
    }
    fact.change("name", &pipeline.name, ()).delete(&pipeline);
    Ok(())
}

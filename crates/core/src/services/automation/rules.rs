//! Saving and showing rules. A rule is compiled when it is saved; a faulty one is refused with a pointer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    domain::{
        custom_field::Noun,
        event::{EventKind, Subject},
        job::{JobKind, Lane},
        notification::NotificationKind,
        organization::Member,
        rule::{Rule, Trigger},
        text::Flaws,
    },
    error::{Error, Result},
    id::{Id, RuleId},
    page::{Page, PageRequest},
    patch::Patch,
    ports::{
        rule_engine::{CompiledSource, Directory, Reference},
        store::{RuleVersion, Write},
    },
    scope::Role,
    services::{
        automation::timers,
        notifications::{self, NewNotification},
        unit::{Unit, Versioned, check_version},
    },
};

/// The most rules an organisation may have.
const MAX_RULES: usize = 2_000;
/// The length of names and slugs.
const MAX_NAME: usize = 200;

/// A rule to be saved. The form of the source design is taken as it stands: `id` (a text, the slug), `action` beside
/// `actions`; `engine` left out is `declarative`, `name` left out is the slug, `enabled` left out is true.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewRule {
    /// The rule's slug: unique in the organisation. Made from the name if left out.
    pub id: Option<String>,
    /// What people call it.
    pub name: Option<String>,
    /// Whether it runs.
    pub enabled: Option<bool>,
    /// `declarative` (default), or another engine of this build.
    pub engine: Option<String>,
    /// Several rules on one event go by position, then id.
    pub position: Option<i64>,
    /// What makes it look, and everything else of the source.
    #[serde(flatten)]
    pub definition: Definition,
}

/// The members that belong to the source of a rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Definition {
    /// What makes it look: a name, or an object for schedules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Value>,
    /// What must hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Value>,
    /// What is to be done: a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Value>,
    /// What is to be done: one object with several keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Value>,
    /// Whom it acts on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Value>,
    /// `new`: a time rule leaves out those already in the stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apply_to: Option<Value>,
    /// Quiet causes that the rule asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causes: Option<Value>,
    /// The script, for engines that take one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Value>,
    /// The plugin, for engines that take one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_id: Option<Value>,
    /// The plugin's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
}

impl Definition {
    fn into_map(self) -> Map<String, Value> {
        match json!(self) {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

/// A change of a rule: a merge patch of the members of [`NewRule`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RulePatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    /// Whether it runs.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub enabled: Patch<bool>,
    /// Its place among the rules on one event.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub position: Patch<i64>,
    /// What makes it look.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub trigger: Patch<Value>,
    /// What must hold; `null` removes the condition.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub condition: Patch<Value>,
    /// What is to be done: a list.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub actions: Patch<Value>,
    /// What is to be done: one object.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub action: Patch<Value>,
    /// Whom it acts on.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub subject: Patch<Value>,
    /// `new`: a time rule leaves out those already in the stage.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub apply_to: Patch<Value>,
    /// Quiet causes that the rule asks for.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub causes: Patch<Value>,
    /// The script.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub source: Patch<Value>,
    /// The plugin's configuration.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub config: Patch<Value>,
}

/// Which rule, and its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRule {
    /// Which rule.
    pub id: RuleId,
    /// Its change.
    pub patch: RulePatch,
    /// Refused with `precondition_failed` unless the rule has this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Whose versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleVersions {
    /// Of which rule.
    pub id: RuleId,
    /// Items a page, 1…200.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// A rule as clients see it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RuleView {
    /// Its id.
    pub id: RuleId,
    /// Its slug.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// Whether it runs.
    pub enabled: bool,
    /// The engine it is written for.
    pub engine: String,
    /// Its place among the rules on one event.
    pub position: i64,
    /// What makes it look.
    pub trigger: Value,
    /// What must hold.
    pub condition: Value,
    /// What is to be done, as it was written: the list of `actions` or the object of `action`.
    pub actions: Value,
    /// Whom it acts on.
    pub subject: String,
    /// The rest of the source: `apply_to`, `causes`, `source`, `config`.
    pub options: Map<String, Value>,
    /// Failed runs in a row.
    pub failures: i64,
    /// Why the engine paused it.
    pub paused_reason: Option<String>,
    /// When it was made.
    pub created_at: chrono::DateTime<chrono::Utc>,
    /// When it was last saved.
    pub updated_at: chrono::DateTime<chrono::Utc>,
    /// Counts saves, from 1.
    pub version: i64,
}

impl From<Rule> for RuleView {
    fn from(rule: Rule) -> Self {
        let mut options = rule.definition;
        let mut take = |name: &str| options.remove(name).unwrap_or(Value::Null);
        let (trigger, condition, list, object) = (take("trigger"), take("condition"), take("actions"), take("action"));
        take("subject");
        Self {
            id: rule.id,
            slug: rule.slug,
            name: rule.name,
            enabled: rule.enabled,
            engine: rule.engine,
            position: rule.position,
            trigger,
            condition,
            actions: if list.is_null() { object } else { list },
            subject: rule.plan.subject.to_string(),
            options,
            failures: rule.failures,
            paused_reason: rule.paused_reason,
            created_at: rule.created_at,
            updated_at: rule.updated_at,
            version: rule.version,
        }
    }
}

async fn directory(unit: &Unit) -> Result<Directory> {
    let organization = unit.organization_id();
    let store = unit.store();
    Ok(Directory {
        pipelines: store.pipelines(organization).await?.into_iter().map(|it| (it.id, it.name)).collect(),
        stages: store.stages(organization).await?.into_iter().map(|it| (it.id, it.pipeline_id, it.name)).collect(),
        teams: store.all_teams(organization).await?.into_iter().map(|it| (it.id, it.name)).collect(),
        users: store.members(organization).await?.into_iter().map(|it| (it.user_id, it.email, it.name)).collect(),
        fields: store.custom_fields(organization).await?,
        currency: store.organization(organization).await?.map(|it| it.currency).unwrap_or_default(),
    })
}

async fn compile(unit: &Unit, engine: &str, definition: &Map<String, Value>) -> Result<CompiledSource> {
    let source = unit.engine().rule_engine(engine)?.compile(definition, &directory(unit).await?)?;
    for reference in &source.references {
        if !exists(unit, reference).await? {
            let detail = format!("{} {} does not exist", reference.noun, reference.id);
            return Err(Error::invalid(&reference.pointer, "unknown", detail));
        }
    }
    Ok(source)
}

/// Whether what a source names is there and not deleted.
async fn exists(unit: &Unit, reference: &Reference) -> Result<bool> {
    let (store, organization, id) = (unit.store(), unit.organization_id(), reference.id);
    Ok(match reference.noun {
        Noun::Contact => {
            store.contact(organization, id.into()).await?.is_some_and(|contact| contact.deleted_at.is_none())
        }
        Noun::Company => {
            store.company(organization, id.into()).await?.is_some_and(|company| company.deleted_at.is_none())
        }
        Noun::Deal => store.deal(organization, id.into()).await?.is_some_and(|deal| deal.deleted_at.is_none()),
    })
}

async fn find(unit: &Unit, id: RuleId) -> Result<Rule> {
    unit.store().rule(unit.organization_id(), id).await?.ok_or_else(|| Error::not_found("rule", id))
}

/// A slug from a name: lower case, what is no letter or digit becomes one hyphen.
fn slug_of(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for letter in name.chars().flat_map(char::to_lowercase) {
        if letter.is_alphanumeric() {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

fn checked_text(pointer: &str, text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_NAME || text.chars().any(char::is_control) {
        return Err(Error::invalid(
            pointer,
            "invalid",
            format!("1 to {MAX_NAME} characters without control characters are expected"),
        ));
    }
    Ok(text.to_owned())
}

pub(crate) async fn list(unit: &mut Unit, page: PageRequest) -> Result<Page<RuleView>> {
    // An organisation's rules are few and always read as a whole; the page is cut from them in their own order.
    let limit = page.checked_limit()? as usize;
    let key = crate::page::ListKey::of(&"rules");
    let rules = unit.store().rules(unit.organization_id()).await?;
    let from = match &page.cursor {
        None => 0,
        Some(cursor) => {
            let after = crate::page::Position::decode(cursor, key)?;
            rules
                .iter()
                .position(|rule| {
                    (crate::page::SortValue::Int(rule.position), rule.id.uuid()) == (after.value.clone(), after.id)
                })
                .map_or(rules.len(), |it| it + 1)
        }
    };
    let more = rules.len() > from + limit;
    let data: Vec<_> = rules.into_iter().skip(from).take(limit).collect();
    let next_cursor = data.last().filter(|_| more).map(|last| {
        crate::page::Position { value: crate::page::SortValue::Int(last.position), id: last.id.uuid() }.encode(key)
    });
    Ok(Page { data: data.into_iter().map(RuleView::from).collect(), next_cursor })
}

pub(crate) async fn get(unit: &mut Unit, id: RuleId) -> Result<RuleView> {
    find(unit, id).await.map(RuleView::from)
}

pub(crate) async fn versions(unit: &mut Unit, input: RuleVersions) -> Result<Page<RuleView>> {
    find(unit, input.id).await?;
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    Ok(unit.store().rule_versions(unit.organization_id(), input.id, &page).await?.map(RuleView::from))
}

pub(crate) async fn create(unit: &mut Unit, input: NewRule) -> Result<RuleView> {
    let slug = match (&input.id, &input.name) {
        (Some(slug), _) => checked_text("/id", slug)?,
        (None, Some(name)) => slug_of(&checked_text("/name", name)?),
        (None, None) => return Err(Error::invalid("/name", "required", "a rule needs a name, or a text id")),
    };
    let slug = if slug.is_empty() { unit.id::<RuleId>()?.to_string() } else { slug };
    let rules = unit.store().rules(unit.organization_id()).await?;
    if rules.iter().any(|rule| rule.slug == slug) {
        return Err(Error::conflict(
            "slug_taken",
            format!("the organisation has a rule {slug:?}: choose another id, or change that rule"),
        )
        .field(if input.id.is_some() { "/id" } else { "/name" }, "taken", format!("{slug:?} is taken")));
    }
    if rules.len() >= MAX_RULES {
        return Err(Error::conflict(
            "too_many_rules",
            format!("an organisation may have {MAX_RULES} rules: remove some first"),
        ));
    }
    let name =
        input.name.as_deref().map(|name| checked_text("/name", name)).transpose()?.unwrap_or_else(|| slug.clone());
    let engine = input.engine.unwrap_or_else(|| "declarative".to_owned());
    let definition = input.definition.into_map();
    let source = compile(unit, &engine, &definition).await?;
    let rule = Rule {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        slug,
        name,
        enabled: input.enabled.unwrap_or(true),
        engine,
        position: input.position.unwrap_or(0),
        definition,
        compiled: source.compiled,
        plan: source.plan,
        failures: 0,
        paused_reason: None,
        updated_by: unit.scope().user_id(),
        created_at: unit.now(),
        updated_at: unit.now(),
        version: 1,
    };
    let view = RuleView::from(rule.clone());
    let organization = Subject::from(unit.organization_id());
    unit.fact(EventKind::RuleChanged, organization)?
        .changes(None, &view)
        .data("rule_id", rule.id)
        .insert(&rule)
        .write(Write::insert(&RuleVersion(rule.clone())));
    begin(unit, &rule).await?;
    Ok(view)
}

/// Plants what a saved rule waits for.
async fn begin(unit: &mut Unit, rule: &Rule) -> Result<()> {
    if !rule.enabled {
        return Ok(());
    }
    match rule.plan.trigger {
        Trigger::TimeElapsed if rule.definition.get("apply_to").and_then(Value::as_str) != Some("new") => {
            let now = unit.now();
            unit.queue_job(JobKind::PlantTimers, json!({ "rule_id": rule.id, "version": rule.version }), now, None)?;
        }
        Trigger::Schedule => {
            if let Some(next) = timers::next_schedule(unit, &rule.plan, unit.now()).await? {
                unit.plant(Lane::Schedule, rule.id, next);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Plants anew the schedules that go by the organisation's time zone, which has changed.
pub(crate) async fn replan_schedules(unit: &mut Unit) -> Result<()> {
    for rule in unit.store().rules(unit.organization_id()).await? {
        let zoneless = rule.plan.schedule.as_ref().is_some_and(|schedule| schedule.time_zone.is_none());
        if rule.enabled && zoneless {
            unit.batch.uproot(Lane::Schedule, rule.id.uuid());
            begin(unit, &rule).await?;
        }
    }
    Ok(())
}

/// Forgets what a rule waited for. Work items whose timer is gone are dropped when they come due.
fn end(unit: &mut Unit, rule: &Rule) -> Result<()> {
    use crate::ports::store::Column;
    let filter = vec![("organization_id", rule.organization_id.to_value()), ("rule_id", rule.id.to_value())];
    unit.note(Write::delete_all::<crate::domain::run::Timer>(filter))?;
    unit.batch.uproot(Lane::Schedule, rule.id.uuid());
    Ok(())
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateRule) -> Result<RuleView> {
    let before = find(unit, input.id).await?;
    check_version("rule", input.if_version, before.version)?;
    let mut after = before.clone();
    let patch = input.patch;
    let mut flaws = Flaws::default();
    let name = flaws.given("/name", patch.name);
    after.enabled = flaws.given("/enabled", patch.enabled).unwrap_or(after.enabled);
    after.position = flaws.given("/position", patch.position).unwrap_or(after.position);
    flaws.end()?;
    if let Some(name) = name {
        after.name = checked_text("/name", &name)?;
    }
    // The two spellings of the actions replace each other.
    if matches!(patch.actions, Patch::Value(_)) {
        after.definition.remove("action");
    } else if matches!(patch.action, Patch::Value(_)) {
        after.definition.remove("actions");
    }
    let members = [
        ("trigger", patch.trigger),
        ("condition", patch.condition),
        ("actions", patch.actions),
        ("action", patch.action),
        ("subject", patch.subject),
        ("apply_to", patch.apply_to),
        ("causes", patch.causes),
        ("source", patch.source),
        ("config", patch.config),
    ];
    for (name, member) in members {
        match member {
            Patch::Absent => {}
            Patch::Null => drop(after.definition.remove(name)),
            Patch::Value(value) => drop(after.definition.insert(name.to_owned(), value)),
        }
    }
    let source = compile(unit, &after.engine, &after.definition).await?;
    (after.compiled, after.plan) = (source.compiled, source.plan);
    if after == before {
        return Ok(RuleView::from(after));
    }
    if after.enabled {
        (after.failures, after.paused_reason) = (0, None);
    }
    (after.updated_at, after.updated_by) = (unit.now(), unit.scope().user_id());
    save(unit, &before, after).await.map(RuleView::from)
}

async fn save(unit: &mut Unit, before: &Rule, after: Rule) -> Result<Rule> {
    let organization = Subject::from(unit.organization_id());
    let (fact, after) =
        unit.fact(EventKind::RuleChanged, organization)?.data("rule_id", after.id).edit(before, &after)?;
    fact.changes(Some(&RuleView::from(before.clone())), &RuleView::from(after.clone()))
        .write(Write::insert(&RuleVersion(after.clone())));
    let waits = |rule: &Rule| (rule.enabled, rule.compiled.clone(), rule.plan.clone());
    if waits(before) != waits(&after) {
        end(unit, &after)?;
        begin(unit, &after).await?;
    }
    Ok(after)
}

pub(crate) async fn delete(unit: &mut Unit, input: Versioned<RuleId>) -> Result<()> {
    let rule = find(unit, input.id).await?;
    check_version("rule", input.if_version, rule.version)?;
    let organization = Subject::from(unit.organization_id());
    unit.fact(EventKind::RuleChanged, organization)?.data("rule_id", rule.id).data("deleted", true).delete(&rule);
    end(unit, &rule)
}

/// Pauses a rule that keeps failing, and tells who saved it.
pub(crate) async fn pause(unit: &mut Unit, id: RuleId, reason: String) -> Result<()> {
    let before = find(unit, id).await?;
    if !before.enabled {
        return Ok(());
    }
    let after = Rule { enabled: false, paused_reason: Some(reason.clone()), updated_at: unit.now(), ..before.clone() };
    let after = save(unit, &before, after).await?;
    let members = unit.store().members(unit.organization_id()).await?;
    let saved_by = |it: &Member| after.updated_by == Some(it.user_id);
    // Of a rule whose author has left, or that nobody in particular has saved, those hear who can mend it: by their role,
    // not by `automation:write`, which an own role may give to many. An owner is always among them.
    let orphaned = !members.iter().any(saved_by);
    let concerned = |it: &Member| saved_by(it) || orphaned && (it.role == Role::Owner || it.role == Role::Admin);
    let told: Vec<_> = members.iter().filter(|it| concerned(it)).map(|it| it.user_id).collect();
    notifications::meet_users(unit, &told).await?;
    for user_id in told {
        let title = format!("Rule {} was paused", after.name);
        let new = NewNotification {
            body: Some(reason.clone()),
            rule_id: Some(id),
            ..NewNotification::new(user_id, NotificationKind::RulePaused, title)
        };
        notifications::notify(unit, new).await?;
    }
    Ok(())
}

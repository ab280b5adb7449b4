//! Rules held ready, by organisation, indexed by trigger and stage: an event asks the rules that could hold, not all.
//! With them goes what their facts need of the organisation. Both are true as long as [`RulesState`] stays the same.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    domain::{
        event::{Event, EventKind, SubjectKind},
        rule::{Action, Facts, Rule, RuleSubject, Trigger},
    },
    engine::Engine,
    error::{Error, Result},
    id::{OrganizationId, RuleId, StageId},
    ports::{rule_engine::CompiledRule, store::RulesState},
    services::automation::facts::Surroundings,
};

/// A rule, ready to be asked.
pub(crate) struct LoadedRule {
    pub(crate) rule: Rule,
    pub(crate) compiled: Box<dyn CompiledRule>,
    /// Held while a failure is counted, so that failures on many subjects at once are counted one after the other.
    pub(crate) failing: tokio::sync::Mutex<()>,
}

/// The enabled rules of one organisation.
#[derive(Default)]
pub(crate) struct RuleSet {
    state: RulesState,
    by_id: HashMap<RuleId, Arc<LoadedRule>>,
    /// By trigger and stage; `None` holds those that may hold in any stage. Each in order of position, then id.
    index: HashMap<(Trigger, Option<StageId>), Vec<Arc<LoadedRule>>>,
    /// The triggers that some rule has; and those that some rule has in certain stages alone.
    triggers: HashSet<Trigger>,
    staged: HashSet<Trigger>,
    surroundings: Arc<Surroundings>,
}

impl RuleSet {
    fn new(state: RulesState, rules: Vec<Arc<LoadedRule>>, surroundings: Arc<Surroundings>) -> Self {
        let mut set = Self { state, surroundings, ..Self::default() };
        for rule in rules {
            let plan = &rule.rule.plan;
            set.triggers.insert(plan.trigger);
            let stages = match (&plan.stages, &plan.elapsed) {
                (_, Some(elapsed)) => Some(&elapsed.stages),
                (stages, None) => stages.as_ref(),
            };
            match stages {
                Some(stages) => {
                    set.staged.insert(plan.trigger);
                    for stage in stages {
                        set.index.entry((plan.trigger, Some(*stage))).or_default().push(rule.clone());
                    }
                }
                None => set.index.entry((plan.trigger, None)).or_default().push(rule.clone()),
            }
            set.by_id.insert(rule.rule.id, rule);
        }
        set
    }

    /// The rules that `trigger` may make hold for a subject of this kind in `stage`, in their order.
    pub(crate) fn candidates(
        &self,
        trigger: Trigger,
        subject: SubjectKind,
        stage: Option<StageId>,
    ) -> Vec<Arc<LoadedRule>> {
        let of = |stage| self.index.get(&(trigger, stage)).into_iter().flatten();
        let here = stage.map(Some).into_iter().flat_map(of);
        // A deal's events are for the rules of deals, all others for the others.
        let deals = subject == SubjectKind::Deal;
        let meant = |rule: &&Arc<LoadedRule>| (rule.rule.plan.subject == RuleSubject::Deal) == deals;
        let mut rules: Vec<_> = of(None).chain(here).filter(meant).cloned().collect();
        rules.sort_by_key(|rule| (rule.rule.position, rule.rule.id));
        rules
    }

    /// An enabled rule.
    pub(crate) fn get(&self, id: RuleId) -> Option<&Arc<LoadedRule>> {
        self.by_id.get(&id)
    }

    /// Whether a rule's last run failed.
    pub(crate) fn is_failing(&self, id: RuleId) -> bool {
        self.state.failing.binary_search(&id).is_ok()
    }

    /// Whether any rule waits for time to pass.
    pub(crate) fn has_time_rules(&self) -> bool {
        self.triggers.contains(&Trigger::TimeElapsed)
    }

    /// Whether which rules there are for a trigger depends on the subject's stage.
    pub(crate) fn depend_on_stage(&self, trigger: Option<Trigger>) -> bool {
        self.has_time_rules() || trigger.is_some_and(|trigger| self.staged.contains(&trigger))
    }

    /// Whether any rule could be for an event, wherever its subject stands.
    pub(crate) fn concern(&self, event: &Event) -> bool {
        match event.kind {
            EventKind::TimeElapsed | EventKind::ScheduleDue => true,
            kind => {
                let moves = matches!(event.subject.kind, SubjectKind::Contact | SubjectKind::Deal);
                moves && self.has_time_rules()
                    || Trigger::of(kind).is_some_and(|trigger| self.triggers.contains(&trigger))
            }
        }
    }

    /// What facts need of the organisation.
    pub(crate) fn surroundings(&self) -> &Arc<Surroundings> {
        &self.surroundings
    }
}

/// Rules held ready, by organisation.
#[derive(Default)]
pub(crate) struct RuleCache(Mutex<HashMap<OrganizationId, Arc<RuleSet>>>);

/// Organisations whose rules are held at once; past it, all are let go and read again as they are needed.
const HELD: usize = 10_000;

impl RuleCache {
    /// The enabled rules of an organisation, as they are now.
    pub(crate) async fn of(&self, engine: &Engine, organization: OrganizationId) -> Result<Arc<RuleSet>> {
        let state = engine.store.rules_state(organization).await?;
        let held = self.lock().get(&organization).filter(|set| set.state.epoch == state.epoch).cloned();
        let (rules, surroundings) = match held {
            Some(set) if set.state == state => return Ok(set),
            Some(set) => {
                let same = set.state.pipelines == state.pipelines;
                (set.by_id.values().cloned().collect(), same.then(|| set.surroundings.clone()))
            }
            None => (load(engine, organization).await?, None),
        };
        let surroundings = match surroundings {
            Some(held) => held,
            None => Arc::new(Surroundings::read(&*engine.store, organization).await?),
        };
        // The state was read before the rest: a change in between makes the set older than it is, never newer.
        let set = Arc::new(RuleSet::new(state, rules, surroundings));
        let mut held = self.lock();
        if held.len() >= HELD {
            held.clear();
        }
        held.insert(organization, set.clone());
        Ok(set)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<OrganizationId, Arc<RuleSet>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A rule that this build cannot ask, because its engine is missing or refuses it. Its runs fail, which shows in them and
/// pauses it in time; other rules go on.
struct Unloadable(String);

impl CompiledRule for Unloadable {
    fn evaluate(&self, _: &Facts) -> Result<Vec<Action>> {
        Err(Error::conflict("rule_not_loaded", format!("the rule cannot be loaded: {}", self.0)))
    }
}

async fn load(engine: &Engine, organization: OrganizationId) -> Result<Vec<Arc<LoadedRule>>> {
    let mut loaded = Vec::new();
    for rule in engine.store.rules(organization).await? {
        if rule.enabled {
            let compiled = engine
                .rule_engine(&rule.engine)
                .and_then(|it| it.load(&rule.compiled))
                .unwrap_or_else(|error| Box::new(Unloadable(error.to_string())));
            loaded.push(Arc::new(LoadedRule { rule, compiled, failing: tokio::sync::Mutex::default() }));
        }
    }
    Ok(loaded)
}

impl fmt::Debug for RuleCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleCache").field("organizations", &self.lock().len()).finish()
    }
}

//! A rule engine whose rules do what a test says: for what a declarative rule cannot be made to do.

use std::sync::{Arc, Mutex};

use dealwright::{
    Result,
    domain::rule::{Action, Facts, RulePlan, RuleSubject, Trigger},
    ports::rule_engine::{CompiledRule, CompiledSource, Directory, RuleEngine},
};
use serde_json::{Map, Value, json};

type Does = Box<dyn FnMut(&Facts) -> Result<Vec<Action>> + Send>;

/// The engine `scripted`; its rules are asked when a contact is made, or on the trigger that they name.
#[derive(Clone)]
pub struct Script(Arc<Mutex<Does>>);

impl Default for Script {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Box::new(|_| Ok(Vec::new())))))
    }
}

impl Script {
    pub fn does(&self, what: impl FnMut(&Facts) -> Result<Vec<Action>> + Send + 'static) {
        *self.0.lock().unwrap() = Box::new(what);
    }
}

impl RuleEngine for Script {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn compile(&self, definition: &Map<String, Value>, _: &Directory) -> Result<CompiledSource> {
        let trigger = definition.get("trigger").and_then(Value::as_str);
        let plan = RulePlan {
            trigger: trigger.map_or(Trigger::ContactCreated, |word| word.parse().unwrap()),
            subject: RuleSubject::Contact,
            stages: None,
            elapsed: None,
            schedule: None,
            fields: Vec::new(),
            options: Vec::new(),
            causes: Vec::new(),
        };
        Ok(CompiledSource { compiled: json!({}), plan, references: Vec::new() })
    }

    fn load(&self, _: &Value) -> Result<Box<dyn CompiledRule>> {
        Ok(Box::new(self.clone()))
    }
}

impl CompiledRule for Script {
    fn evaluate(&self, facts: &Facts) -> Result<Vec<Action>> {
        (self.0.lock().unwrap())(facts)
    }
}

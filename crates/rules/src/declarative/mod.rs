//! Declarative rules: a trigger, a condition and actions as JSON. Compiling checks everything that can be wrong and replaces
//! names by ids, so that a rule that was saved never fails for its form; evaluating looks at facts and at nothing else.
//!
//! What comparisons mean where the contract leaves room:
//! - A fact that there is none of (absent, `null`) holds in no comparison, not even in `ne`; `{"exists": false}` holds. An
//!   empty list does not exist either, but `ne` holds for it: it has no such item. `not` is plain negation.
//! - A bare value, `in` and `ne` compare texts exactly; `contains` and `starts_with` ignore letter case; `matches` is a
//!   regular expression, found anywhere, and ignores case if it says `(?i)`.
//! - A list compares item by item, and one that holds is enough: `contains` means the item itself, in any letter case.
//! - A list of values means any of them for every operator that takes texts; for `ne` none of them.
//! - A bare number of hours means at least so many, for every fact that counts hours.
//! - Names (stages, pipelines, users), words (weekdays, statuses) and options of custom fields are found in any letter case.
//! - A custom field of several options compares item by item; `contains` means an option as a whole.

mod actions;
mod complaint;
mod condition;
mod contacts;
mod deals;
mod limits;
mod names;
mod operand;
mod pattern;
mod plan;
mod program;
mod ready;
mod search;
mod trigger;
mod waiting;

use dealwright::{
    Error, Result,
    ports::rule_engine::{CompiledRule, CompiledSource, Directory, RuleEngine},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use self::{
    names::{Names, Noted},
    program::Program,
};

/// The members of a declarative rule that are this engine's.
const MEMBERS: &[&str] = &["trigger", "condition", "actions", "action", "subject", "apply_to", "causes"];

/// The engine of declarative rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct Declarative;

impl RuleEngine for Declarative {
    fn name(&self) -> &'static str {
        "declarative"
    }

    fn compile(&self, definition: &Map<String, Value>, directory: &Directory) -> Result<CompiledSource> {
        complaint::only(definition, "", MEMBERS)?;
        let noted = Noted::default();
        let names = Names::new(directory, &noted);
        let when = trigger::read(definition)?;
        let mut reader = condition::Reader::new(names, when.subject, when.is_time_rule());
        let mut conditions = Vec::new();
        if let Some(stage) = when.stage {
            conditions.push(reader.comparison("stage", stage, "/trigger/stage")?);
        }
        if let Some(hours) = when.elapsed_hours {
            conditions.push(reader.comparison("elapsed_hours", hours, "/trigger/elapsed_hours")?);
        }
        if let Some(condition) = definition.get("condition").filter(|condition| !condition.is_null()) {
            conditions.push(reader.condition(condition, "/condition")?);
        }
        let condition = program::Node::all(conditions);
        let actions = actions::Reader { names, subject: when.subject }.read(definition)?;
        let plan = plan::plan(&condition, when, noted.named.take())?;
        let program = Program { v: program::VERSION, condition, actions };
        let compiled = serde_json::to_value(&program)
            .map_err(|error| Error::internal("a compiled rule cannot be written as JSON").with_source(error))?;
        Ok(CompiledSource { compiled, plan, references: noted.references.take() })
    }

    fn load(&self, compiled: &Value) -> Result<Box<dyn CompiledRule>> {
        let version = compiled.get("v").and_then(Value::as_u64);
        if version != Some(u64::from(program::VERSION)) {
            return Err(Error::internal(format!(
                "a compiled declarative rule has version {version:?}; save the rule again"
            )));
        }
        let program = Program::deserialize(compiled)
            .map_err(|error| Error::internal("a compiled declarative rule cannot be read").with_source(error))?;
        Ok(Box::new(ready::Ready::new(program)?))
    }
}

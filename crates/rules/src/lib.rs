//! Rule engines: each turns a source into a pure function from facts to actions. Nothing here waits, fetches or stores; what
//! an engine may see and answer is `dealwright::ports::rule_engine`.

pub mod declarative;

use std::sync::Arc;

use dealwright::ports::rule_engine::RuleEngine;

/// Every engine of this build.
pub fn engines() -> Vec<Arc<dyn RuleEngine>> {
    vec![Arc::new(declarative::Declarative)]
}

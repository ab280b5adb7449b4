//! Floor 4: what waits. The loops that claim due work and carry it out.

use std::sync::Arc;

use crate::engine::Engine;

/// The loops that wait: rules, timers, jobs, live connections.
#[derive(Debug, Clone)]
pub struct Runtime {
    engine: Arc<Engine>,
}

impl Runtime {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

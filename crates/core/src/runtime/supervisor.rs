use crate::engine::Engine;
use std::sync::Arc;
pub(super) struct Supervisor;
impl Supervisor {
    pub(super) fn new(_e: Arc<Engine>, _o: uuid::Uuid) -> Self {
        Self
    }
    pub(super) async fn run(self, _s: tokio_util::sync::CancellationToken) {}
}

//! Another replica that can die without a word.

use dealwright::Crm;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

use crate::world::World;

/// A replica whose tasks are a runtime's of their own.
pub struct Process {
    crm: Crm,
    runtime: Option<Runtime>,
}

impl Process {
    /// A replica that does nothing yet.
    pub async fn idle(world: &World) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Its connections to the database are its own tasks', which die with it.
        let crm = runtime.spawn(world.parts().replica()).await.unwrap();
        Self { crm, runtime: Some(runtime) }
    }

    /// A replica that carries out what is due and holds connections.
    pub async fn start(world: &World) -> Self {
        let process = Self::idle(world).await;
        let crm = process.crm.clone();
        process.spawn(async move { std::mem::forget(crm.runtime().start().await.unwrap()) }).await.unwrap();
        process
    }

    /// Lets it carry out what is due.
    pub fn drain(&self) -> JoinHandle<()> {
        let crm = self.crm.clone();
        self.spawn(async move { drop(crm.runtime().drain().await) })
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.runtime.as_ref().unwrap().spawn(work)
    }

    /// Its tasks are gone where they stand. Nothing is stopped and nothing given back.
    pub fn die(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A runtime must not be dropped inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

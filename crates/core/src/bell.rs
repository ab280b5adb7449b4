//! What wakes the loops of the runtime: rung for the lanes in which a commit left work, heard by the loops of those lanes.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::domain::job::Lane;

/// How often each lane was rung for.
type Rung = BTreeMap<Lane, u64>;

#[derive(Debug, Default)]
pub(crate) struct Bell(watch::Sender<Rung>);

impl Bell {
    /// Wakes whoever listens for one of these lanes.
    pub(crate) fn ring(&self, lanes: impl IntoIterator<Item = Lane>) {
        let mut lanes = lanes.into_iter().peekable();
        if lanes.peek().is_some() {
            self.0.send_modify(|rung| lanes.for_each(|lane| *rung.entry(lane).or_default() += 1));
        }
    }

    /// Listens for some lanes, from now on.
    pub(crate) fn listen(&self, lanes: &'static [Lane]) -> Listener {
        let mut listener = Listener { rung: self.0.subscribe(), lanes, heard: 0 };
        listener.hush();
        listener
    }
}

/// Hears the bell, also what it rang before anybody waited.
#[derive(Debug)]
pub(crate) struct Listener {
    rung: watch::Receiver<Rung>,
    lanes: &'static [Lane],
    heard: u64,
}

impl Listener {
    /// Forgets what has rung so far.
    pub(crate) fn hush(&mut self) {
        self.heard = count(&self.rung.borrow_and_update(), self.lanes);
    }

    /// Waits until the bell has rung since [`Listener::hush`].
    pub(crate) async fn rung(&mut self) {
        let (lanes, heard) = (self.lanes, self.heard);
        // The bell ends with the engine, and with it whoever could wait here.
        let _ = self.rung.wait_for(|rung| count(rung, lanes) != heard).await;
    }
}

fn count(rung: &Rung, lanes: &[Lane]) -> u64 {
    lanes.iter().filter_map(|lane| rung.get(lane)).sum()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn who_listens_hears_what_rang_for_it_alone() {
        let bell = Bell::default();
        let mut jobs = bell.listen(&[Lane::Job, Lane::Task]);
        bell.ring([Lane::Dispatch]);
        bell.ring([]);
        assert_eq!(jobs.rung().now_or_never(), None);
        bell.ring([Lane::Dispatch, Lane::Task]);
        bell.ring([Lane::Dispatch]);
        assert_eq!(jobs.rung().now_or_never(), Some(()));
        // Until it is hushed, whoever waits anew hears it too.
        assert_eq!(jobs.rung().now_or_never(), Some(()));
        jobs.hush();
        assert_eq!(jobs.rung().now_or_never(), None);
    }
}

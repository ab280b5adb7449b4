//! Serving until somebody says stop: binds, starts the loops, and ends in order.

use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use dealwright::Crm;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{Options, app, client::Peer, config::Config, metrics, tls::TlsListener};

/// How long calls that have begun may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until the process is told to end (SIGTERM, SIGINT).
///
/// # Errors
/// If an address cannot be bound, or the store does not answer at the start.
pub async fn serve(crm: Crm, config: &Config, recorded: Option<PrometheusHandle>) -> Result<()> {
    // Before anything says that the server runs: whoever reads that may end it at once.
    let told_to_end = told_to_end()?;
    let listener = bind(&config.listen.to_string()).await?;
    let measured = match (config.metrics_listen, recorded) {
        (Some(address), Some(handle)) => {
            tokio::spawn(metrics::keep_small(handle.clone()));
            Some((bind(&address.to_string()).await?, metrics::router(handle)))
        }
        _ => None,
    };
    let running = crm.runtime().start().await?;
    let stop = CancellationToken::new();
    tokio::spawn(stop.clone().run_until_cancelled_owned(told_to_rotate(crm.clone())?));
    let options = Options::default()
        .shutdown(stop.clone())
        .trusted_proxies(config.trusted_proxies.clone())
        .limits(config.limits.clone())
        .origins(config.origins.clone())
        .hsts_subdomains(config.hsts_subdomains);
    let router = app(crm, options);

    let address = listener.local_addr()?;
    let mut tasks = vec![match config.tls.clone() {
        Some(files) => answer_over_tls(TlsListener::new(listener, files)?, router, stop.clone()),
        None => answer(listener, router, stop.clone()),
    }];
    info!(%address, tls = config.tls.is_some(), "listening");
    if let Some((listener, router)) = measured {
        info!(address = %listener.local_addr()?, "metrics are listening");
        tasks.push(answer(listener, router, stop.clone()));
    }
    told_to_end.await;
    info!("ending: what has begun is finished, nothing new is taken");
    stop.cancel();
    let ended = tokio::time::timeout(GRACE, async {
        for task in &mut tasks {
            if let Err(error) = task.await {
                warn!(%error, "a listener ended badly");
            }
        }
        running.stop().await;
    });
    if ended.await.is_err() {
        warn!(seconds = GRACE.as_secs(), "some calls did not end in time and are dropped");
    }
    Ok(())
}

async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{address} cannot be bound"))
}

fn answer(listener: TcpListener, router: Router, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let router = router.into_make_service_with_connect_info::<Peer>();
        ended(axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await);
    })
}

fn answer_over_tls(listener: TlsListener, router: Router, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let router = router.into_make_service_with_connect_info::<Peer>();
        ended(axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await);
    })
}

fn ended(served: std::io::Result<()>) {
    if let Err(error) = served {
        warn!(%error, "a listener ended");
    }
}

/// Rotates keys of secrets whenever told to, from the call on: SIGHUP wraps them by the newest line of the key file, SIGUSR1
/// replaces data keys too. What is broken off by the end of the process is gone on with next time.
fn told_to_rotate(crm: Crm) -> Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut user = signal(SignalKind::user_defined1())?;
    Ok(async move {
        loop {
            let data = tokio::select! {
                _ = hangup.recv() => false,
                _ = user.recv() => true,
            };
            match crm.secrets().rotate(data, |_| {}).await {
                Ok(done) if done.left.is_empty() => info!(%done, free = ?done.free, "keys of secrets were rotated"),
                Ok(done) => warn!(%done, left = ?done.left, "not all keys of secrets were rotated"),
                Err(error) => error!(%error, "keys of secrets could not be rotated: the present ones go on"),
            }
        }
    })
}

/// Listens for the signals that end the process, from the call on; the answer comes with the first of them.
fn told_to_end() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

//! Counters for Prometheus: what is counted, and where it is read.

use std::{sync::Arc, time::Duration};

use axum::{Router, http::header, routing::get};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of durations, in seconds.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Installs the recorder of this process.
///
/// # Errors
/// If there is one already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), SECONDS)?
        .install_recorder()?;
    describe_counter!("http_requests_total", "Answered requests by method, route and status");
    describe_histogram!("http_request_duration_seconds", "Time to the answer's head by method and route");
    describe_counter!("dealwright_events_total", "Events that the dispatcher has reached, by kind");
    describe_counter!("dealwright_live_events_missed_total", "Events that live views missed because they fell behind");
    describe_gauge!("dealwright_sockets", "Connected Socket.IO clients");
    describe_gauge!("process_resident_memory_bytes", "Resident memory");
    describe_gauge!("tokio_alive_tasks", "Tasks of the asynchronous runtime");
    describe_gauge!("tokio_workers", "Threads of the asynchronous runtime");
    Ok(handle)
}

/// How often what was measured is summed up, whether or not somebody reads it: until then each measurement takes memory.
const SUMMED_UP: Duration = Duration::from_secs(5);

/// Sums up what was measured, for ever.
pub async fn keep_small(handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(SUMMED_UP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}

/// Counts an event.
pub(crate) fn event(kind: &'static str) {
    counter!("dealwright_events_total", "kind" => kind).increment(1);
}

/// Counts events that live views missed.
pub(crate) fn missed(count: u64) {
    counter!("dealwright_live_events_missed_total").increment(count);
}

/// Tells how many sockets are connected.
pub(crate) fn sockets(count: usize) {
    gauge!("dealwright_sockets").set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

/// Answers `/metrics`.
pub fn router(handle: PrometheusHandle) -> Router {
    let handle = Arc::new(handle);
    Router::new().route(
        "/metrics",
        get(move || {
            let handle = handle.clone();
            async move {
                measure();
                ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
            }
        }),
    )
}

fn measure() {
    let runtime = tokio::runtime::Handle::current().metrics();
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    gauge!("tokio_alive_tasks").set(number(runtime.num_alive_tasks()));
    gauge!("tokio_workers").set(number(runtime.num_workers()));
    if let Some(bytes) = resident_bytes() {
        gauge!("process_resident_memory_bytes").set(bytes);
    }
}

/// Resident memory, where the machine tells (Linux, proc(5)).
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

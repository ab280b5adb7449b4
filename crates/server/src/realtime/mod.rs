//! Live views over Socket.IO: who may listen where (`rooms`), and what is said (`bridge`). Carries facts that were
//! committed; decides nothing, and loses nothing that matters: clients read again when they come back.

mod bridge;
mod client;
mod rooms;

use std::time::Duration;

use dealwright::ErrorKind;
use socketioxide::{
    SocketIo,
    extract::{SocketRef, TryData},
    handler::ConnectHandler,
    layer::SocketIoLayer,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use self::client::{Client, Handshake};
use crate::{metrics, state::Shared};

/// Where sockets connect.
const PATH: &str = "/socket.io";

/// The live side of a router: ends with it.
#[derive(Debug)]
pub struct Live {
    _guard: DropGuard,
}

/// Opens the default namespace and starts what feeds it.
pub fn open(shared: &Shared) -> (SocketIoLayer, Live) {
    let (layer, io) = SocketIo::builder().req_path(PATH).build_layer();
    let admit = {
        let shared = shared.clone();
        move |socket: SocketRef, given: TryData<Handshake>| {
            let shared = shared.clone();
            async move {
                client::admit(&shared, &socket, given.0).await?;
                // Before the client is told that it is connected: what it says at once, and what happens at once, would
                // find nobody listening until a connect handler had its turn.
                rooms::greet(shared, &socket);
                Ok::<_, client::Refused>(())
            }
        }
    };
    io.ns("/", (async || ()).with(admit));

    let stop = shared.options().shutdown.child_token();
    tokio::spawn(bridge::run(shared.crm().clone(), io.clone(), stop.clone()));
    tokio::spawn(watch(shared.clone(), io, stop.clone()));
    (layer, Live { _guard: stop.drop_guard() })
}

/// Closes the sockets of those whose token has expired, whose session was ended, whose key was revoked, or who lack a second
/// factor that was asked for meanwhile.
async fn watch(shared: Shared, io: SocketIo, stop: CancellationToken) {
    let mut round = tokio::time::interval(shared.options().session_check);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.cancelled() => break,
            _ = round.tick() => {}
        }
        let sockets = io.sockets();
        metrics::sockets(sockets.len());
        for socket in sockets {
            let Some(client) = socket.extensions.get::<Client>() else { continue };
            let scope = shared.crm().identity().authenticate(&client.token()).await;
            match scope.and_then(|scope| scope.require_two_factor().map(|()| scope)) {
                Ok(scope) => {
                    if client.renew(scope.clone()) {
                        rooms::tune(&socket, &scope);
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden) => {
                    debug!(socket = %socket.id, code = error.code(), "closed");
                    // It may have gone by itself meanwhile.
                    let _ = socket.disconnect();
                }
                // The store does not answer: that is no reason to send everybody away.
                Err(_) => break,
            }
        }
    }
    io.close().await;
}

/// How often sessions are looked at, unless told otherwise.
pub const SESSION_CHECK: Duration = Duration::from_secs(10);

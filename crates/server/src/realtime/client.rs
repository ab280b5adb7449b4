//! Who is behind a socket.

use std::sync::{Arc, Mutex, PoisonError};

use dealwright::{Error, scope::Scope};
use serde::Deserialize;
use socketioxide::extract::SocketRef;

use crate::{cookies, origins, state::Shared};

/// What a client sends when it connects: `auth: {token}`, an access token or an API key.
#[derive(Debug, Clone, Deserialize)]
pub struct Handshake {
    token: String,
}

impl Handshake {
    /// The access token.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// Who is behind a socket; kept in its extensions.
#[derive(Clone)]
pub struct Client(Arc<Mutex<Signed>>);

struct Signed {
    token: String,
    scope: Scope,
}

impl Client {
    /// The token that was shown last.
    pub fn token(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).token.clone()
    }

    /// What the client may do, as it was last looked up.
    pub fn scope(&self) -> Scope {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).scope.clone()
    }

    /// Takes over what was looked up again; whether the client may do or see more or less by it.
    pub fn renew(&self, scope: Scope) -> bool {
        let mut signed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reach = |scope: &Scope| (scope.permissions, scope.sight.clone(), scope.fields.clone());
        let changed = reach(&signed.scope) != reach(&scope);
        signed.scope = scope;
        changed
    }

    /// Takes over a newer token of the same person in the same organisation.
    pub fn show(&self, token: String, scope: Scope) -> bool {
        let mut signed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = signed.scope.organization_id == scope.organization_id && signed.scope.actor == scope.actor;
        if same {
            *signed = Signed { token, scope };
        }
        same
    }
}

/// Why a client was not let in: the stable code, which clients see as the message of `connect_error`.
#[derive(Debug)]
pub struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The token of a browser's cookie, if it is one of our pages that connects: other sites' pages could too.
fn from_cookie(shared: &Shared, socket: &SocketRef) -> Result<String, Refused> {
    let parts = socket.req_parts();
    let token = cookies::access(&parts.headers).ok_or_else(|| Refused("unauthenticated".to_owned()))?;
    origins::accept_cookie_always(shared, parts).map_err(|problem| Refused(problem.code().to_owned()))?;
    Ok(token.to_owned())
}

/// Lets a client in if its token counts.
pub async fn admit<E>(shared: &Shared, socket: &SocketRef, given: Result<Handshake, E>) -> Result<(), Refused> {
    let token = match given {
        Ok(Handshake { token }) => token,
        // A page of ours shows no token: its browser sends the cookie.
        Err(_) => from_cookie(shared, socket)?,
    };
    let scope = shared.crm().identity().authenticate(&token).await;
    let scope = scope.and_then(|scope| scope.require_two_factor().map(|()| scope));
    let scope = scope.map_err(|error: Error| Refused(error.code().to_owned()))?;
    socket.extensions.insert(Client(Arc::new(Mutex::new(Signed { token, scope }))));
    Ok(())
}

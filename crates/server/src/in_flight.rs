//! Idempotency keys on their way: how one looks, and that two calls with the same one do not run side by side. That the
//! second gets the first one's answer is the engine's doing.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::{HeaderMap, StatusCode};
use dealwright::scope::Scope;

use crate::problem::Problem;

/// The header of the request.
pub const HEADER: &str = "idempotency-key";
/// The header of an answer that was given before.
pub const REPLAYED: &str = "idempotency-replayed";
/// The longest key.
const LONGEST: usize = 255;

type Keys = Arc<Mutex<HashSet<String>>>;

/// The keys whose calls are being answered by this process.
#[derive(Debug, Default)]
pub struct InFlight(Keys);

/// A key's place; given back when the call ends.
#[derive(Debug)]
pub struct Place {
    keys: Keys,
    key: String,
}

impl InFlight {
    /// Takes the place of a key.
    ///
    /// # Errors
    /// 409 if another call with it is being answered.
    pub fn enter(&self, scope: &Scope, operation: &str, key: &str) -> Result<Place, Problem> {
        let key = format!("{} {:?} {operation} {key}", scope.organization_id, scope.actor);
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            return Ok(Place { keys: self.0.clone(), key });
        }
        let detail = "a call with this idempotency key is being answered: try again when it is";
        Err(Problem::new(StatusCode::CONFLICT, "idempotency_in_flight", detail))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// The key of a request.
///
/// # Errors
/// 400 for one that is not 1 to 255 visible characters, or that stands twice.
pub fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut all = headers.get_all(HEADER).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let bytes = value.as_bytes();
    let fits = (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    match (fits, all.next()) {
        (true, None) => Ok(value.to_str().ok().map(str::to_owned)),
        _ => {
            let detail = format!("an Idempotency-Key has 1 to {LONGEST} visible ASCII characters and stands once");
            Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail))
        }
    }
}

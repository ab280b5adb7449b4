//! What makes a repeated call the same call: the key is part of the scope, and its answer is written in the batch of its
//! effect; a search, which has none, writes its answer alone. A race loses by the unique key, rolls back and answers what
//! the winner answered.

use chrono::Duration;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    cipher::FINGERPRINT,
    engine::Engine,
    error::{Error, Result},
    ports::store::{Update, Write, idempotency::IdempotencyRecord},
    scope::{Actor, Scope},
    services::unit::Unit,
};

/// How long an answer is kept.
pub(crate) const KEPT: Duration = Duration::hours(24);

/// The fingerprints of an input, members in a stable order; nothing for a call without a key, which is never compared. No
/// plain hash: an input may hold a password, and all else of it be known.
pub(crate) fn digest(engine: &Engine, scope: &Scope, input: &Value) -> Result<Vec<u8>> {
    if scope.idempotency_key.is_none() {
        return Ok(Vec::new());
    }
    // serde_json keeps objects sorted by key, so equal inputs have equal texts.
    engine.vault.fingerprints(input.to_string().as_bytes())
}

fn actor(scope: &Scope) -> String {
    match scope.actor {
        Actor::User { id } => format!("user:{id}"),
        Actor::ApiKey { id, .. } => format!("api_key:{id}"),
        Actor::Rule { id, .. } => format!("rule:{id}"),
        Actor::Account { id } => format!("account:{id}"),
        Actor::System => "system".to_owned(),
    }
}

/// The answer that was given to this key, if it was used within the last 24 hours.
pub(crate) async fn replay(unit: &Unit, operation: &str, digest: &[u8]) -> Result<Option<Value>> {
    let scope = unit.scope();
    let Some(key) = &scope.idempotency_key else { return Ok(None) };
    let Some(record) = unit.store().idempotency(scope.organization_id, &actor(scope), operation, key).await? else {
        return Ok(None);
    };
    if record.created_at + KEPT <= unit.now() {
        unit.store().forget_idempotency(scope.organization_id, unit.now() - KEPT).await?;
        return Ok(None);
    }
    // It may have been kept under a master key that was replaced since.
    if !digest.chunks(FINGERPRINT).any(|it| it == record.body_hash) {
        return Err(Error::invalid(
            "",
            "idempotency_key_reused",
            "this idempotency key was used with another body: send a new key with a new request",
        )
        .code_of("idempotency_key_reused"));
    }
    if record.answer == erased() {
        let message = "what was answered to this idempotency key named somebody who has been erased since";
        return Err(Error::conflict("answer_erased", message));
    }
    Ok(Some(record.answer))
}

/// An answer without what is shown once: each of these members is `null`.
pub(crate) fn masked(answer: &Value, secrets: &[&str]) -> Value {
    let mut answer = answer.clone();
    for secret in secrets {
        if let Some(member) = answer.get_mut(secret) {
            *member = Value::Null;
        }
    }
    answer
}

/// Remembers an answer, in the unit whose effect it tells.
pub(crate) fn remember(unit: &mut Unit, operation: &str, digest: Vec<u8>, answer: Value) -> Result<()> {
    let scope = unit.scope();
    let Some(key) = scope.idempotency_key.clone() else { return Ok(()) };
    let record = IdempotencyRecord {
        organization_id: scope.organization_id,
        actor: actor(scope),
        operation: operation.to_owned(),
        key,
        body_hash: digest.into_iter().take(FINGERPRINT).collect(),
        answer,
        created_at: unit.now(),
    };
    unit.note(Write::insert(&record))
}

/// What stands in the place of an answer that named somebody who was erased.
fn erased() -> Value {
    json!({ "$erased": true })
}

/// So many answers are forgotten at once.
const AT_ONCE: u32 = 200;

/// Forgets the answers that name one of these ids, and that they were given stays known; answers how many.
pub(crate) async fn forget_answers(unit: &mut Unit, ids: &[Uuid]) -> Result<i64> {
    let found = unit.store().answers_naming(unit.organization_id(), ids, AT_ONCE).await?;
    for record in &found {
        unit.note(Write::Update(Update::of(record).set("answer", &erased())))?;
    }
    Ok(i64::try_from(found.len()).unwrap_or(i64::MAX))
}

//! Handing an organisation on: one of its owners makes another member the owner, and stays as an admin. It takes proof given
//! afresh of who they are; both roles change in one commit, so there is an owner at every moment.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{
    error::{Error, Result},
    id::UserId,
    input::read_input,
    scope::Scope,
    services::{
        commit::commit,
        idempotency,
        identity::{Identity, StepUp, mail_tokens::write_to},
        team::{self, MemberView},
        unit::Unit,
    },
};

/// The operation, as the audit log and what is kept of its answers call it.
const TRANSFER: &str = "organizations.transfer";

/// To whom the organisation goes, with proof given afresh that an owner says so: one of the two.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferOrganization {
    /// The member who owns it from then on.
    pub user_id: UserId,
    /// A code of the caller's application, or a recovery code.
    #[serde(default)]
    pub code: Option<String>,
    /// The caller's password.
    #[serde(default)]
    pub password: Option<String>,
}

impl fmt::Debug for TransferOrganization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferOrganization").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

impl Identity<'_> {
    /// Hands the caller's organisation to another member. The answer is remembered for 24 hours under the caller's
    /// idempotency key, if there is one; beside it stands whether it was given before.
    ///
    /// # Errors
    /// `forbidden` for whoever is no owner, and for keys; `two_factor_required` (forbidden); `validation_failed` at
    /// `/user_id` for the caller and for strangers; otherwise as [`Identity::step_up`].
    pub async fn transfer_organization(
        &self,
        caller: &Scope,
        given: TransferOrganization,
    ) -> Result<(MemberView, bool)> {
        let from = caller.require_user()?;
        caller.require_two_factor()?;
        let scope = Scope { idempotency_key: caller.idempotency_key.clone(), ..self.doing(caller, TRANSFER) };
        let to = given.user_id;
        let digest = idempotency::digest(self.0, &scope, &json!({ "user_id": to }))?;
        // Before proof is asked for: a code counts once, and who repeats the call is no owner any more.
        let body = digest.clone();
        let answered = commit(self.0, &scope, move |unit| {
            let digest = body.clone();
            Box::pin(async move {
                let answer = idempotency::replay(unit, TRANSFER, &digest).await?;
                if answer.is_none() {
                    team::handing_on(unit, from, to).await?;
                }
                Ok(answer)
            })
        });
        if let Some(answer) = answered.await? {
            return Ok((read_input(answer)?, true));
        }
        self.step_up(caller, StepUp { code: given.code, password: given.password }).await?;
        commit(self.0, &scope, move |unit| {
            let digest = digest.clone();
            Box::pin(async move {
                if let Some(answer) = idempotency::replay(unit, TRANSFER, &digest).await? {
                    return Ok((read_input(answer)?, true));
                }
                let owner = team::hand_on(unit, from, to).await?;
                tell(unit, from, &owner).await?;
                idempotency::remember(unit, TRANSFER, digest, json!(owner))?;
                Ok((owner, false))
            })
        })
        .await
    }
}

/// Tells both by mail: who lost an organisation that way without wanting to must hear of it.
async fn tell(unit: &mut Unit, from: UserId, owner: &MemberView) -> Result<()> {
    let name = unit.organization().await?.name;
    let user = async |unit: &Unit, id: UserId| unit.store().user(id).await?.ok_or_else(|| Error::not_found("user", id));
    let (former, heir) = (user(unit, from).await?, user(unit, owner.user_id).await?);
    let text = format!(
        "{} owns {name} from now on, and you are an admin.\n\nIf it was not you, ask for a new password at once, and ask {} \
         to hand it back.\n",
        owner.name, owner.email
    );
    write_to(unit, &former, "transfer", &format!("You have handed {name} on"), &text).await?;
    let text = format!("{} has handed {name} to you: you own it from now on.\n", former.name);
    write_to(unit, &heir, "transfer", &format!("You own {name}"), &text).await
}

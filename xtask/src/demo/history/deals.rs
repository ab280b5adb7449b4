//! The business side of the story: whoever gets a proposal has a company, a deal and something to be done; the deal goes
//! where the contact goes.
#![expect(clippy::indexing_slicing, reason = "a JSON value answers null for what it does not have")]

use anyhow::{Context, Result};
use chrono::Duration;
use dealwright::Handle;
use serde_json::{Value, json};

use super::Story;

/// Where a proposal is made, among the stages.
const PROPOSAL: usize = 2;
const NOTES: &[&str] = &[
    "Spoke on the phone: they decide together with their head of sales.",
    "Wants the contract in English.",
    "Compared us with two others; price is not the point, self-hosting is.",
];

impl Story {
    /// A contact has been moved: its deal is made, or goes with it.
    pub(super) async fn deal(&mut self, person: &Handle, contact: &Value, to: usize, reason: &str) -> Result<()> {
        let of = json!({ "filter": { "contact_id": contact["id"] }, "limit": 1 });
        let found = person.call("deals.search", of).await?;
        let stage = self.stages.get(to).context("no stage")?.clone();
        if let Some(deal) = found["data"].get(0) {
            let patch = json!({ "stage_id": stage, "reason": reason });
            person.call("deals.move", json!({ "id": deal["id"], "patch": patch })).await?;
            return Ok(());
        }
        if to != PROPOSAL {
            return Ok(());
        }
        let company = self.company(person, contact).await?;
        let (value, days) = (10 * (20 + self.dice.below(400)), 20 + self.dice.below(60));
        let closing = (self.clock_now() + Duration::days(days.into())).date_naive();
        let name = contact["name"].as_str().unwrap_or_default();
        let deal = person
            .call(
                "deals.create",
                json!({ "name": format!("Licences for {name}"), "contact_id": contact["id"], "company_id": company,
                    "stage_id": stage, "assigned_to": person.scope().user_id(), "expected_close_on": closing,
                    "value": { "amount": format!("{value}.00"), "currency": "EUR" } }),
            )
            .await?;
        let due = self.clock_now() + Duration::days(i64::from(1 + self.dice.below(9)));
        let task = json!({ "deal_id": deal["id"], "title": "Ask what they think of the proposal", "due_at": due,
            "assigned_to": person.scope().user_id() });
        let task = person.call("tasks.create_for_deal", task).await?;
        if self.dice.below(3) == 0 {
            person.call("tasks.update", json!({ "id": task["id"], "patch": { "done": true } })).await?;
        }
        if self.dice.below(2) == 0 {
            let text = self.dice.pick(NOTES)?;
            person.call("notes.create_on_deal", json!({ "deal_id": deal["id"], "text": text })).await?;
        }
        Ok(())
    }

    /// The company of a contact, by the domain that they write from.
    async fn company(&mut self, person: &Handle, contact: &Value) -> Result<Value> {
        let address = contact["emails"][0].as_str().unwrap_or_default();
        let (_, domain) = address.rsplit_once('@').context("a stranger has an address")?;
        let found = person.call("companies.list", json!({ "domain": domain, "limit": 1 })).await?;
        let company = match found["data"].get(0) {
            Some(company) => company["id"].clone(),
            None => {
                let name = domain.split('.').next().unwrap_or(domain);
                person.call("companies.create", json!({ "name": name, "domain": domain })).await?["id"].clone()
            }
        };
        let patch = json!({ "company_id": company });
        person.call("contacts.update", json!({ "id": contact["id"], "patch": patch })).await?;
        Ok(company)
    }
}

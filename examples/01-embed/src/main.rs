#![doc = "A CRM in your own process: SQLite, a pipeline and a rule, no server."]

use dealwright::{
    Crm, Registry, Result,
    services::{
        automation::Explain,
        contacts::NewContact,
        identity::{NewOrganization, NewUser},
    },
};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let mut registry = Registry::new();
    registry.rule_engine(dealwright_rules::declarative::Declarative);
    // sqlite://crm.db keeps it in a file, postgres://… in PostgreSQL.
    let crm = Crm::builder().database("sqlite::memory:").registry(registry).build().await?;

    // A new organisation has a pipeline: lead, qualified, proposal, negotiation, won, lost.
    let owner = NewUser { email: "una@acme.example".into(), name: "Una".into(), password: None };
    let acme = crm.organizations().create(NewOrganization { name: "Acme".into(), owner }).await?;
    let una = crm.as_user(acme.organization.id, acme.owner.id).await?;
    let rule = json!({
        "name": "met-at-the-fair", "trigger": "contact.created", "condition": { "contact.source": "fair" },
        "actions": [{ "move_to_stage": "qualified" }, { "add_tag": "met" }],
    });
    una.call("rules.create", rule).await?;

    let ada = NewContact { name: "Ada".into(), source: Some("fair".into()), ..Default::default() };
    let ada = una.contacts().create(ada).await?;
    // An application would hold `crm.runtime().start()`; this does what is due and returns.
    crm.runtime().drain().await?;

    let ada = una.contacts().get(ada.id).await?;
    println!("{} is tagged {:?}", ada.name, ada.tags);
    println!("{}", una.rules().explain(Explain { contact_id: Some(ada.id), deal_id: None }).await?.summary);
    Ok(())
}

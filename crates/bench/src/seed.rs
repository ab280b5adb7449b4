//! Many contacts, quickly: each has the rows that the engine writes for it, but they state no events, since what is
//! measured afterwards is not how events are worked off.

use anyhow::{Context, Result};
use chrono::Duration;
use dealwright::{
    domain::{
        contact::Contact,
        custom_field::CustomValue,
        pipeline::{Stage, StageMove},
    },
    id::{CompanyId, Id, TeamId},
    page::PageRequest,
    ports::store::{Store, Write},
    testkit::samples::{Samples, contact_rows},
};
use serde_json::json;

use crate::place::{Clock, Place, World};

/// Contacts a commit.
const COMMIT: usize = 500;

/// A world with contacts in it.
pub struct Seeded {
    pub place: Place,
    pub world: World,
    pub contacts: usize,
    pub stages: Vec<Stage>,
    pub team: Option<TeamId>,
    pub company: Option<CompanyId>,
}

/// Fills a place. Every value that lists are filtered by is there in several shares: tags of half, of a twentieth (a full
/// page of a thousand) and of ten contacts, four sources, a hundred companies, a team of half, a custom field
/// of twenty values, three open stages.
pub async fn seeded(place: Place, contacts: usize) -> Result<Seeded> {
    let world = World::over(&place, Clock::Manual).await?;
    let start = std::time::Instant::now();
    let stages = world.me.pipelines().list(PageRequest::default()).await?.data.remove(0).stages;
    let mut companies = Vec::new();
    for number in 0..100 {
        let made = world.me.call("companies.create", json!({ "name": format!("Company {number}") })).await?;
        companies.push(serde_json::from_value(made["id"].clone())?);
    }
    let field = json!({ "object": "contact", "key": "size", "type": "number", "label": "Size" });
    let size = world.me.fields().create(serde_json::from_value(field)?).await?;
    let team = world.me.call("teams.create", json!({ "name": "Half of all" })).await?;
    let team: Option<TeamId> = Some(serde_json::from_value(team["id"].clone())?);
    let template = json!({ "name": "Template", "tags": ["vip"], "assigned_to": world.owner });
    let made = world.me.call("contacts.create", template).await?;
    let template = world.me.contacts().get(serde_json::from_value(made["id"].clone())?).await?;
    world.crm.runtime().drain().await?;
    let (began, mut samples) = (world.env.now(), Samples::new(1));
    samples.organization_id = world.organization;
    let mut number = 0;
    while number < contacts {
        let mut writes = Vec::with_capacity(COMMIT * 5);
        for _ in 0..COMMIT.min(contacts - number) {
            let stage = stages.get(number % 3).context("a pipeline has three stages")?;
            let mut contact = Contact {
                id: world.env.id()?,
                stage_entry_id: world.env.id()?,
                name: format!("{} {number}", ["Ada", "Bob", "Émile", "Zoë", "李雷"][number % 5]),
                emails: vec![format!("person{number}@acme.example")],
                source: Some(["web", "referral", "event", "mail"][number % 4].to_owned()),
                company_id: companies.get(number % 100).copied(),
                assigned_to: (number % 2 == 0).then_some(world.owner),
                team_id: team.filter(|_| number % 2 == 1),
                phones: vec![format!("+1415{number:07}")],
                custom: serde_json::Map::from_iter([("size".to_owned(), json!(number % 20))]),
                // By a prime, so that it tells nothing of what else goes by the number, such as tags.
                score: (number * 7919 % 1_000_003 % 1000) as i64,
                stage_id: stage.id,
                ..template.clone()
            };
            contact.name_key = contact.name.to_lowercase();
            contact.tags = tags(number, contacts);
            contact.created_at = began - Duration::seconds((contacts - number) as i64);
            contact.updated_at = began - Duration::seconds((number * 104_729 % contacts) as i64);
            contact.stage_entered_at = contact.created_at;
            contact.last_message_at = (number % 3 == 0).then_some(contact.updated_at);
            let entry = samples.stage_move(&contact, None, stage, contact.created_at);
            writes.extend(contact_rows(&contact));
            writes.extend(size.keys(&json!(number % 20)).into_iter().map(|value| {
                let (organization_id, field_id, record_id) = (world.organization, size.id, contact.id.uuid());
                Write::insert(&CustomValue { organization_id, field_id, value, record_id })
            }));
            writes.push(Write::insert(&StageMove { id: contact.stage_entry_id, ..entry }));
            number += 1;
        }
        world.store.commit(world.organization, samples.batch(writes)).await?;
    }
    place.analyze()?;
    world.crm.runtime().drain().await?;
    eprintln!("{contacts} contacts on {} in {:.0} s", place.database, start.elapsed().as_secs_f64());
    let company = companies.first().copied();
    Ok(Seeded { place, world, contacts, stages, team, company })
}

fn tags(number: usize, contacts: usize) -> Vec<String> {
    let mut tags = vec![["cold", "vip"][number % 2].to_owned()];
    if number.is_multiple_of(20) {
        tags.push("partner".to_owned());
    }
    if number.is_multiple_of(contacts / 10) {
        tags.push("rare".to_owned());
    }
    tags.sort();
    tags
}

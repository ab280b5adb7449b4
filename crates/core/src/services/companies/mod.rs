//! Companies: making, editing, deleting and finding them.

mod input;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Map;

pub use self::input::{
    CompanyBatch, CompanyPatch, DeleteCompany, ListCompanies, NewCompany, UpdateCompany, UpsertCompany,
};
use crate::{
    domain::{
        company::{Company, CompanyTag},
        custom_field::Noun,
        erasure::ERASED,
        event::EventKind,
        restricted,
        retention::Walk,
    },
    error::{Error, Result},
    id::{CompanyId, Id},
    page::Page,
    services::{
        batch::{self, BatchOutcome, Outcomes},
        fields::{self, Rows, Side, external_key},
        listing::Search,
        unit::{Fact, Unit, Versioned, check_version, keyed, require_none},
    },
};

/// A company, deleted or not.
async fn stored(unit: &mut Unit, id: CompanyId) -> Result<Option<Company>> {
    let organization = unit.organization_id();
    match unit.known::<Company>(&keyed(organization, id))? {
        Some(known) => Ok(known),
        None if unit.kept.absent.contains(&id.uuid()) => Ok(None),
        None => match unit.store().company(organization, id).await? {
            Some(found) => unit.meet(found),
            None => Ok(None),
        },
    }
}

/// A company, unless it is deleted.
pub(crate) async fn find(unit: &mut Unit, id: CompanyId) -> Result<Option<Company>> {
    Ok(stored(unit, id).await?.filter(|company| company.deleted_at.is_none()))
}

/// Reads several companies at once, so that finding each asks the store nothing more.
pub(crate) async fn look_up(unit: &mut Unit, ids: &[CompanyId]) -> Result<()> {
    unit.kept.absent.extend(ids.iter().map(|id| id.uuid()));
    for company in unit.store().companies_by_ids(unit.organization_id(), ids).await? {
        unit.kept.absent.remove(&company.id.uuid());
        unit.meet(company)?;
    }
    Ok(())
}

pub(crate) async fn get(unit: &mut Unit, id: CompanyId) -> Result<Company> {
    find(unit, id).await?.ok_or_else(|| Error::not_found("company", id))
}

pub(crate) async fn list(unit: &mut Unit, input: ListCompanies) -> Result<Page<Company>> {
    let (filter, sort, page) = input.parts(unit).await?;
    unit.store().companies(unit.organization_id(), &filter, &sort, &page).await
}

pub(crate) async fn search(unit: &mut Unit, input: Search) -> Result<Page<Company>> {
    let (filter, sort, page) = input.parts(unit, Noun::Company).await?;
    unit.store().companies(unit.organization_id(), &filter, &sort, &page).await
}

/// A nameless company.
fn blank(unit: &Unit) -> Result<Company> {
    Ok(Company {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        name: String::new(),
        name_key: String::new(),
        domain: None,
        industry: None,
        size: None,
        website: None,
        tags: Vec::new(),
        custom: Map::new(),
        external_ids: BTreeMap::new(),
        created_at: unit.now(),
        updated_at: unit.now(),
        deleted_at: None,
        version: 1,
    })
}

pub(crate) async fn create(unit: &mut Unit, input: NewCompany) -> Result<Company> {
    let draft = Company {
        name: input.name,
        domain: input.domain,
        industry: input.industry,
        size: input.size,
        website: input.website,
        tags: input.tags,
        custom: input.custom,
        external_ids: input.external_ids,
        ..blank(unit)?
    };
    insert(unit, draft).await
}

/// Makes several companies, each by itself.
pub(crate) async fn create_batch(unit: &mut Unit, input: CompanyBatch) -> Result<BatchOutcome> {
    let mut outcome = Outcomes::new(input.items.len())?;
    let items = batch::read::<NewCompany>(input.items);
    // At once, so that making each asks the store nothing more.
    let external: Vec<_> = (items.iter().filter_map(|(_, new)| new.as_ref().ok()))
        .flat_map(|new| &new.external_ids)
        .filter_map(|(system, id)| external_key(system, id).ok())
        .collect();
    fields::holders(unit, Noun::Company, &external).await?;
    for (reference, new) in items {
        let made = match new {
            Ok(new) => create(unit, new).await.map(|company| company.id.uuid()),
            Err(error) => Err(error),
        };
        outcome.add(reference, made)?;
    }
    Ok(outcome.end())
}

/// Makes or changes the company with this id in another system.
pub(crate) async fn upsert(unit: &mut Unit, input: UpsertCompany) -> Result<Company> {
    let (system, id) = external_key(&input.system, &input.external_id)?;
    let before = match fields::holder(unit, Noun::Company, &system, &id).await? {
        Some(found) => find(unit, CompanyId::from_uuid(found)).await?,
        None => None,
    };
    let mut after = match &before {
        Some(before) => {
            check_version("company", input.if_version, before.version)?;
            before.clone()
        }
        None => {
            require_none("company", input.if_version)?;
            blank(unit)?
        }
    };
    input.patch.apply(&mut after);
    after.external_ids.insert(system.clone(), id);
    match before {
        Some(before) => change(unit, before, after).await,
        None => insert(unit, after).await.map_err(|error| fields::raced(error, &system)),
    }
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateCompany) -> Result<Company> {
    let before = get(unit, input.id).await?;
    check_version("company", input.if_version, before.version)?;
    let mut after = before.clone();
    input.patch.apply(&mut after);
    change(unit, before, after).await
}

pub(crate) async fn delete(unit: &mut Unit, input: DeleteCompany) -> Result<()> {
    let before = get(unit, input.id).await?;
    check_version("company", input.if_version, before.version)?;
    let after = Company { deleted_at: Some(unit.now()), ..before.clone() };
    replace(unit, EventKind::CompanyDeleted, &before, after).await?;
    Ok(())
}

pub(crate) async fn restore(unit: &mut Unit, input: Versioned<CompanyId>) -> Result<Company> {
    let Versioned { id, if_version } = input;
    let before = stored(unit, id).await?.ok_or_else(|| Error::not_found("company", id))?;
    check_version("company", if_version, before.version)?;
    if before.deleted_at.is_none() {
        return Ok(before);
    }
    if unit.store().is_purged(before.organization_id, Walk::Companies, id.uuid()).await? {
        return Err(Error::not_found("company", id));
    }
    let mut after = Company { deleted_at: None, ..before.clone() };
    fields::drop_misfits(unit, Noun::Company, &mut after.custom).await?;
    replace(unit, EventKind::CompanyRestored, &before, after).await
}

/// Empties a deleted company for good.
pub(crate) async fn purge(unit: &mut Unit, before: &Company) -> Result<()> {
    let after = Company {
        name: ERASED.to_owned(),
        name_key: ERASED.to_owned(),
        domain: None,
        industry: None,
        size: None,
        website: None,
        tags: Vec::new(),
        custom: Map::new(),
        external_ids: BTreeMap::new(),
        updated_at: unit.now(),
        ..before.clone()
    };
    let rows = Rows::between(unit, Noun::Company, side(before), side(&after)).await?;
    let (fact, after) = unit.fact(EventKind::CompanyUpdated, after.id)?.edit(before, &after)?;
    rows.write(tag_rows(fact, Some(before), &after).data("erased", true));
    Ok(())
}

/// A company with its members in the form in which they are kept; fails naming all that is wrong.
async fn checked(unit: &mut Unit, before: Option<&Company>, mut company: Company) -> Result<Company> {
    let mut flaws = company.tidy();
    let custom = before.map(|before| &before.custom);
    fields::check_custom(unit, Noun::Company, custom, &mut company.custom, &mut flaws).await?;
    flaws.end()?;
    Ok(company)
}

async fn insert(unit: &mut Unit, draft: Company) -> Result<Company> {
    let company = checked(unit, None, draft).await?;
    restricted::check(&unit.scope().fields, None, &company)?;
    let rows = Rows::between(unit, Noun::Company, None, side(&company)).await?;
    let fact = unit.fact(EventKind::CompanyCreated, company.id)?.changes(None, &company).insert(&company);
    rows.write(tag_rows(fact, None, &company));
    Ok(company)
}

/// Changes a company. What changes nothing writes nothing.
async fn change(unit: &mut Unit, before: Company, after: Company) -> Result<Company> {
    let after = checked(unit, Some(&before), after).await?;
    if after == before {
        return Ok(before);
    }
    replace(unit, EventKind::CompanyUpdated, &before, after).await
}

/// Changes what companies say of members. Those for which nothing changes are not written.
pub(crate) async fn give(unit: &mut Unit, companies: Vec<Company>, change: impl Fn(&mut Company)) -> Result<()> {
    for company in companies {
        let Some(before) = unit.meet(company)? else { continue };
        let mut after = before.clone();
        change(&mut after);
        if after != before {
            replace(unit, EventKind::CompanyUpdated, &before, after).await?;
        }
    }
    Ok(())
}

async fn replace(unit: &mut Unit, kind: EventKind, before: &Company, mut after: Company) -> Result<Company> {
    if kind == EventKind::CompanyUpdated {
        restricted::check(&unit.scope().fields, Some(before), &after)?;
    }
    after.updated_at = unit.now();
    let rows = Rows::between(unit, Noun::Company, side(before), side(&after)).await?;
    let (fact, after) = unit.fact(kind, after.id)?.edit(before, &after)?;
    rows.write(tag_rows(fact.changes(Some(before), &after), Some(before), &after));
    Ok(after)
}

fn side(company: &Company) -> Option<Side<'_>> {
    company.deleted_at.is_none().then_some(Side {
        id: company.id.uuid(),
        custom: &company.custom,
        external_ids: &company.external_ids,
    })
}

/// Writes how the rows by which a company is found by its tags change.
fn tag_rows<'u>(mut fact: Fact<'u>, before: Option<&Company>, after: &Company) -> Fact<'u> {
    let tags = |company: &Company| match company.deleted_at {
        None => company.tags.iter().cloned().collect::<BTreeSet<_>>(),
        Some(_) => BTreeSet::new(),
    };
    let (old, new) = (before.map(tags).unwrap_or_default(), tags(after));
    let row =
        |tag: &String| CompanyTag { organization_id: after.organization_id, tag: tag.clone(), company_id: after.id };
    fact = old.difference(&new).fold(fact, |fact, tag| fact.delete(&row(tag)));
    new.difference(&old).fold(fact, |fact, tag| fact.insert(&row(tag)))
}

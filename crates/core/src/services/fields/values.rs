//! Values of custom fields and external ids: checking them, and the rows by which their owner is found. A deleted owner
//! has no such rows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::definitions;
use crate::{
    domain::{
        custom_field::{CustomField, CustomKind, CustomValue, Noun},
        external_id::{self, ExternalId, ExternalIds},
        text::{self, Flaws},
    },
    error::{Error, Result},
    id::{FieldId, Id, UserId},
    patch::Patch,
    ports::store::Column,
    services::unit::{Fact, Unit},
};

/// Which external ids change: each by itself, `null` removes one.
type IdsPatch = BTreeMap<String, Option<String>>;

/// Applies the member `custom` of a merge patch.
pub(crate) fn apply_custom(patch: Patch<Map<String, Value>>, custom: &mut Map<String, Value>) {
    match patch {
        Patch::Absent => {}
        Patch::Null => custom.clear(),
        Patch::Value(patch) => {
            for (field, value) in patch {
                match value {
                    Value::Null => custom.remove(&field),
                    value => custom.insert(field, value),
                };
            }
        }
    }
}

/// Applies the member `external_ids` of a merge patch.
pub(crate) fn apply_external_ids(patch: Patch<IdsPatch>, ids: &mut ExternalIds) {
    match patch {
        Patch::Absent => {}
        Patch::Null => ids.clear(),
        Patch::Value(patch) => {
            for (system, id) in patch {
                match id {
                    // Letter case does not tell systems apart.
                    None => ids.remove(&system.trim().to_lowercase()),
                    Some(id) => ids.insert(system.trim().to_lowercase(), id),
                };
            }
        }
    }
}

/// Brings the values that differ from `before` to the form in which they are kept, and notes what is wrong with them.
pub(crate) async fn check_custom(
    unit: &mut Unit,
    noun: Noun,
    before: Option<&Map<String, Value>>,
    custom: &mut Map<String, Value>,
    flaws: &mut Flaws,
) -> Result<()> {
    custom.retain(|_, value| !value.is_null());
    let is_new = |key: &str, value: &Value| before.is_none_or(|before| before.get(key) != Some(value));
    if !custom.iter().any(|(key, value)| is_new(key, value)) {
        return Ok(());
    }
    let fields = definitions::of(unit, noun).await?;
    for (key, value) in custom.iter_mut() {
        if !is_new(key, value) {
            continue;
        }
        let pointer = text::pointer("/custom", key);
        let Some(field) = fields.iter().find(|field| field.key == *key) else {
            let known = fields.iter().map(|it| it.key.as_str()).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none is defined".to_owned() } else { format!("known: {known}") };
            flaws.add(pointer, "unknown", format!("{key:?} is no custom field of a {noun}; {known}"));
            continue;
        };
        if let Some(checked) = flaws.take(pointer.clone(), field.check(value)) {
            if field.kind == CustomKind::User
                && let Some(user) = checked.as_str().and_then(|id| id.parse::<UserId>().ok())
                && !unit.is_member(user).await?
            {
                flaws.add(pointer, "unknown", format!("{user} is no member of the organisation"));
            }
            *value = checked;
        }
    }
    // An empty list of options is no value.
    custom.retain(|_, value| value.as_array().is_none_or(|chosen| !chosen.is_empty()));
    Ok(())
}

/// Takes away the values that the definitions of today have no place for: of one who comes back after they have changed,
/// or after a member whom it names has left.
pub(crate) async fn drop_misfits(unit: &mut Unit, noun: Noun, custom: &mut Map<String, Value>) -> Result<()> {
    if custom.is_empty() {
        return Ok(());
    }
    let fields = definitions::of(unit, noun).await?;
    let mut fitting = Map::new();
    for (key, value) in std::mem::take(custom) {
        let Some(field) = fields.iter().find(|field| field.key == key) else { continue };
        let value = match value {
            // Of several options those stay that there are.
            Value::Array(chosen) => chosen.into_iter().filter(|one| field.has_option(one)).collect(),
            value => value,
        };
        let Ok(value) = field.check(&value) else { continue };
        let user = value.as_str().filter(|_| field.kind == CustomKind::User).and_then(|id| id.parse::<UserId>().ok());
        let gone = match user {
            Some(user) => !unit.is_member(user).await?,
            None => value.as_array().is_some_and(Vec::is_empty),
        };
        if !gone {
            fitting.insert(key, value);
        }
    }
    *custom = fitting;
    Ok(())
}

/// Where custom fields name a user.
pub(crate) struct Naming {
    user: UserId,
    fields: Vec<CustomField>,
    values: Vec<CustomValue>,
}

/// Where custom fields name a user: at most `limit` places, none of them in what is deleted.
pub(crate) async fn naming(unit: &mut Unit, user: UserId, limit: u32) -> Result<Naming> {
    let mut fields = definitions::all(unit).await?;
    fields.retain(|field| field.kind == CustomKind::User);
    let ids: Vec<_> = fields.iter().map(|field| field.id).collect();
    let values = unit.store().custom_values(unit.organization_id(), &ids, &user.to_string(), limit).await?;
    Ok(Naming { user, fields, values })
}

impl Naming {
    /// How many places there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// What has such a place.
    pub(crate) fn records<T: Id>(&self, noun: Noun) -> Vec<T> {
        let of_noun = |field: FieldId| self.fields.iter().any(|it| it.id == field && it.object == noun);
        self.values.iter().filter(|it| of_noun(it.field_id)).map(|it| T::from_uuid(it.record_id)).collect()
    }

    /// Names somebody else, or nobody, in the custom fields of one that has such places.
    pub(crate) fn put(&self, noun: Noun, custom: &mut Map<String, Value>, to: Option<UserId>) {
        let user = Value::from(self.user.to_string());
        for field in self.fields.iter().filter(|field| field.object == noun) {
            if custom.get(&field.key) != Some(&user) {
                continue;
            }
            match to {
                Some(to) => custom.insert(field.key.clone(), Value::from(to.to_string())),
                None => custom.remove(&field.key),
            };
        }
    }
}

/// One state of an owner of values, unless it is deleted.
pub(crate) struct Side<'a> {
    pub(crate) id: Uuid,
    pub(crate) custom: &'a Map<String, Value>,
    pub(crate) external_ids: &'a ExternalIds,
}

/// How the rows by which an owner is found change.
#[derive(Default)]
pub(crate) struct Rows {
    gone_values: Vec<CustomValue>,
    new_values: Vec<CustomValue>,
    gone_ids: Vec<ExternalId>,
    new_ids: Vec<ExternalId>,
}

/// A system and an id in it, as they are kept.
///
/// # Errors
/// `validation_failed` naming `/system` or `/external_id`.
pub(crate) fn external_key(system: &str, id: &str) -> Result<(String, String)> {
    let mut flaws = Flaws::default();
    let system = flaws.take("/system", external_id::system(system));
    let id = flaws.take("/external_id", external_id::external_id(id));
    flaws.end()?;
    Ok((system.unwrap_or_default(), id.unwrap_or_default()))
}

/// The error of an upsert that found nobody with the id: if somebody has got it since, the upsert begins anew.
pub(crate) fn raced(error: Error, system: &str) -> Error {
    let pointer = text::pointer("/external_ids", system);
    let taken = error.code() == "external_id_taken" && error.fields().iter().any(|it| it.pointer == pointer);
    if taken { Error::write_conflict("the external id was given to somebody meanwhile") } else { error }
}

/// Who has these external ids, as this unit leaves it; those that nobody has are left out.
pub(crate) async fn holders(unit: &mut Unit, object: Noun, wanted: &[(String, String)]) -> Result<Vec<ExternalId>> {
    let organization = unit.organization_id();
    let key = |(system, id): &(String, String)| (object, system.clone(), id.clone());
    let unknown: Vec<_> = wanted.iter().filter(|it| !unit.kept.external_ids.contains(&key(it))).cloned().collect();
    if !unknown.is_empty() {
        for row in unit.store().external_ids(organization, object, &unknown).await? {
            unit.meet(row)?;
        }
        unit.kept.external_ids.extend(unknown.iter().map(key));
    }
    let mut held = Vec::new();
    for (system, id) in wanted {
        let key = [organization.to_value(), object.to_value(), system.to_value(), id.to_value()];
        held.extend(unit.known::<ExternalId>(&key)?.flatten());
    }
    Ok(held)
}

/// Who has this external id, as this unit leaves it.
pub(crate) async fn holder(unit: &mut Unit, object: Noun, system: &str, id: &str) -> Result<Option<Uuid>> {
    let wanted = [(system.to_owned(), id.to_owned())];
    Ok(holders(unit, object, &wanted).await?.first().map(|it| it.record_id))
}

impl Rows {
    /// From one state of an owner to the next; `None` is one that does not exist or is deleted.
    ///
    /// # Errors
    /// `external_id_taken`.
    pub(crate) async fn between(
        unit: &mut Unit,
        noun: Noun,
        before: Option<Side<'_>>,
        after: Option<Side<'_>>,
    ) -> Result<Self> {
        let mut rows = Self::default();
        let custom = |side: &Option<Side<'_>>| side.as_ref().map(|side| side.custom.clone()).unwrap_or_default();
        if custom(&before) != custom(&after) {
            let fields = definitions::of(unit, noun).await?;
            let (old, new) = (values(unit, &fields, before.as_ref()), values(unit, &fields, after.as_ref()));
            rows.gone_values = old.difference(&new).cloned().collect();
            rows.new_values = new.difference(&old).cloned().collect();
        }
        let (old, new) = (ids(unit, noun, before.as_ref()), ids(unit, noun, after.as_ref()));
        rows.gone_ids = old.difference(&new).cloned().collect();
        rows.new_ids = new.difference(&old).cloned().collect();
        if !rows.new_ids.is_empty() {
            refuse_taken(unit, noun, &rows.new_ids).await?;
        }
        Ok(rows)
    }

    /// Writes the changes as part of a fact.
    pub(crate) fn write<'u>(&self, mut fact: Fact<'u>) -> Fact<'u> {
        fact = self.gone_values.iter().fold(fact, |fact, row| fact.delete(row));
        fact = self.gone_ids.iter().fold(fact, |fact, row| fact.delete(row));
        fact = self.new_values.iter().fold(fact, |fact, row| fact.insert(row));
        self.new_ids.iter().fold(fact, |fact, row| fact.insert(row))
    }
}

fn values(unit: &Unit, fields: &[CustomField], side: Option<&Side<'_>>) -> BTreeSet<CustomValue> {
    let organization_id = unit.organization_id();
    let Some(side) = side else { return BTreeSet::new() };
    let row =
        |field: &CustomField, value| CustomValue { organization_id, field_id: field.id, value, record_id: side.id };
    let of = |(key, value): (&String, &Value)| {
        let field = fields.iter().find(|field| field.key == *key);
        field.map(|field| field.keys(value).into_iter().map(|key| row(field, key)).collect::<Vec<_>>())
    };
    side.custom.iter().filter_map(of).flatten().collect()
}

fn ids(unit: &Unit, object: Noun, side: Option<&Side<'_>>) -> BTreeSet<ExternalId> {
    let organization_id = unit.organization_id();
    let Some(side) = side else { return BTreeSet::new() };
    let row = |(system, id): (&String, &String)| ExternalId {
        organization_id,
        object,
        system: system.clone(),
        external_id: id.clone(),
        record_id: side.id,
    };
    side.external_ids.iter().map(row).collect()
}

async fn refuse_taken(unit: &mut Unit, noun: Noun, new: &[ExternalId]) -> Result<()> {
    let wanted: Vec<_> = new.iter().map(|it| (it.system.clone(), it.external_id.clone())).collect();
    let held = holders(unit, noun, &wanted).await?;
    for row in new {
        let same = |it: &&ExternalId| (it.object, &it.system, &it.external_id) == (noun, &row.system, &row.external_id);
        if let Some(other) = held.iter().find(same) {
            let message = format!(
                "the {noun} {} has the id {:?} in {} already: change that one, or give another id",
                other.record_id, row.external_id, row.system
            );
            let pointer = text::pointer("/external_ids", &row.system);
            return Err(Error::conflict("external_id_taken", message.clone()).field(pointer, "taken", message));
        }
    }
    Ok(())
}

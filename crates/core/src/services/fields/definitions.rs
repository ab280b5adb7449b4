//! Defining custom fields.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        custom_field::{self, CustomField, CustomKind, MAX_FIELDS, MAX_OPTIONS, Noun},
        event::EventKind,
        text::{self, Flaws},
    },
    error::{Error, Result},
    id::FieldId,
    page::{ListKey, Page, PageRequest, Position, SortValue},
    patch::Patch,
    services::unit::{Unit, check_version},
};

/// A custom field to be defined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewField {
    /// What gets it.
    pub object: Noun,
    /// The name of its member in `custom`: a small letter, then small letters, digits and `_`; at most 63 characters.
    /// Unique for the object, and final.
    pub key: String,
    /// What people call it, 1…200 characters; the key if left out.
    #[serde(default)]
    pub label: Option<String>,
    /// What it holds; final.
    #[serde(rename = "type")]
    pub kind: CustomKind,
    /// What may be chosen, for `choice` and `multi_choice`: 1…200 texts of at most 100 characters.
    #[serde(default)]
    pub options: Vec<String>,
}

/// A change of a custom field: a merge patch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FieldPatch {
    /// What people call it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub label: Patch<String>,
    /// What may be chosen: the whole list. One that is chosen somewhere, or that a rule
    /// names, cannot be left out.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub options: Patch<Vec<String>>,
}

/// Which custom field, and its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateField {
    /// Which one.
    pub id: FieldId,
    /// Its change.
    pub patch: FieldPatch,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which custom field is to be removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteField {
    /// Which one.
    pub id: FieldId,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

/// Which custom fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListFields {
    /// Of this object alone.
    pub object: Option<Noun>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// The definitions for one noun, as this unit leaves them.
pub(crate) async fn of(unit: &mut Unit, object: Noun) -> Result<Vec<CustomField>> {
    let mut fields = all(unit).await?;
    fields.retain(|field| field.object == object);
    Ok(fields)
}

pub(super) async fn all(unit: &mut Unit) -> Result<Vec<CustomField>> {
    let stored = match unit.kept.custom_fields.clone() {
        Some(kept) => kept,
        None => unit.store().custom_fields(unit.organization_id()).await?,
    };
    unit.kept.custom_fields = Some(stored.clone());
    unit.overlay(stored)
}

async fn found(unit: &mut Unit, id: FieldId) -> Result<CustomField> {
    let fields = all(unit).await?;
    fields.into_iter().find(|field| field.id == id).ok_or_else(|| Error::not_found("custom field", id))
}

pub(crate) async fn list(unit: &mut Unit, input: ListFields) -> Result<Page<CustomField>> {
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    let list = ListKey::of(&("fields", input.object));
    let limit = page.checked_limit()? as usize;
    let after = match &page.cursor {
        Some(cursor) => Some(Position::decode(cursor, list)?.id),
        None => None,
    };
    let mut fields = unit.store().custom_fields(unit.organization_id()).await?;
    fields.retain(|field| input.object.is_none_or(|object| object == field.object));
    // Newest first; ids grow with time.
    fields.sort_by_key(|field| std::cmp::Reverse(field.id));
    fields.retain(|field| after.is_none_or(|after| crate::id::Id::uuid(field.id) < after));
    let more = fields.len() > limit;
    fields.truncate(limit);
    let place = |field: &CustomField| Position { value: SortValue::Int(0), id: crate::id::Id::uuid(field.id) };
    let next_cursor = fields.last().filter(|_| more).map(|last| place(last).encode(list));
    Ok(Page { data: fields, next_cursor })
}

pub(crate) async fn get(unit: &mut Unit, id: FieldId) -> Result<CustomField> {
    found(unit, id).await
}

fn check_options(flaws: &mut Flaws, kind: CustomKind, options: &mut Vec<String>) {
    flaws.each("/options", MAX_OPTIONS, options, text::tag);
    match kind {
        CustomKind::Choice | CustomKind::MultiChoice if options.is_empty() => {
            flaws.add("/options", "required", "name at least one option to choose");
        }
        CustomKind::Choice | CustomKind::MultiChoice => {
            let mut keys: Vec<String> = options.iter().map(|it| custom_field::text_key(it)).collect();
            keys.sort();
            keys.dedup();
            if keys.len() < options.len() {
                flaws.add("/options", "repeated", "two options differ in letter case alone");
            }
        }
        _ if options.is_empty() => {}
        _ => {
            flaws.add("/options", "invalid", format!("a {kind} field has no options: leave them out"));
        }
    }
}

pub(crate) async fn create(unit: &mut Unit, input: NewField) -> Result<CustomField> {
    let mut flaws = Flaws::default();
    let key = flaws.take("/key", custom_field::key(&input.key)).unwrap_or_default();
    let label = match &input.label {
        Some(label) => flaws.take("/label", text::name(label)).unwrap_or_default(),
        None => key.clone(),
    };
    let mut options = input.options;
    check_options(&mut flaws, input.kind, &mut options);
    flaws.end()?;
    let others = of(unit, input.object).await?;
    if others.len() >= MAX_FIELDS {
        let message = format!("a {} has {MAX_FIELDS} custom fields: remove one first", input.object);
        return Err(Error::conflict("too_many_fields", message));
    }
    if others.iter().any(|other| other.key == key) {
        let message = format!("a {} has a custom field {key:?} already: choose another key", input.object);
        return Err(Error::conflict("key_taken", message.clone()).field("/key", "taken", message));
    }
    let now = unit.now();
    let field = CustomField {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        object: input.object,
        key,
        label,
        kind: input.kind,
        options,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let organization = unit.organization_id();
    let fact = unit.fact(EventKind::FieldChanged, organization)?;
    fact.changes(None, &field).data("what", "field.created").data("field_id", field.id).insert(&field);
    Ok(field)
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateField) -> Result<CustomField> {
    let before = found(unit, input.id).await?;
    check_version("custom field", input.if_version, before.version)?;
    let mut after = before.clone();
    let mut flaws = Flaws::default();
    match input.patch.label {
        Patch::Absent => {}
        Patch::Null => after.label = before.key.clone(),
        Patch::Value(label) => after.label = flaws.take("/label", text::name(&label)).unwrap_or_default(),
    }
    match input.patch.options {
        Patch::Absent => {}
        Patch::Null => after.options = Vec::new(),
        Patch::Value(options) => after.options = options,
    }
    if after.options != before.options {
        check_options(&mut flaws, after.kind, &mut after.options);
    }
    flaws.end()?;
    if after == before {
        return Ok(before);
    }
    let gone: Vec<_> = before.options.iter().filter(|option| !after.options.contains(option)).collect();
    if !gone.is_empty() {
        refuse_named_options(unit, &before, &gone).await?;
    }
    for option in gone {
        refuse_in_use(unit, &before, Some(option)).await?;
    }
    after.updated_at = unit.now();
    let organization = unit.organization_id();
    let (fact, after) = unit.fact(EventKind::FieldChanged, organization)?.edit(&before, &after)?;
    fact.changes(Some(&before), &after).data("what", "field.updated").data("field_id", after.id);
    Ok(after)
}

/// Fails if the field, or one option of it, has a value somewhere.
async fn refuse_in_use(unit: &Unit, field: &CustomField, option: Option<&str>) -> Result<()> {
    let key = option.map(custom_field::text_key);
    let found = unit.store().any_custom_value(unit.organization_id(), field.id, key.as_deref()).await?;
    let Some(found) = found else { return Ok(()) };
    let (code, what) = match option {
        Some(option) => ("option_in_use", format!("the option {option:?} of {}", field.key)),
        None => ("field_in_use", format!("the custom field {:?}", field.key)),
    };
    let message = format!(
        "{what} has a value, for example in the {} {}: clear them first (search for custom.{})",
        field.object, found.record_id, field.key
    );
    Err(Error::conflict(code, message))
}

/// Fails if a rule, enabled or not, names the field.
async fn refuse_named(unit: &Unit, field: &CustomField) -> Result<()> {
    let rules = unit.store().rules(unit.organization_id()).await?;
    let Some(rule) = rules.iter().find(|rule| rule.plan.fields.contains(&field.id)) else { return Ok(()) };
    let message = format!(
        "the rule {:?} names the custom field {:?} of a {}: change or remove the rule first",
        rule.slug, field.key, field.object
    );
    Err(Error::conflict("field_in_use", message))
}

/// Fails if a rule, enabled or not, names one of these options of the field.
async fn refuse_named_options(unit: &Unit, field: &CustomField, options: &[&String]) -> Result<()> {
    let rules = unit.store().rules(unit.organization_id()).await?;
    for rule in &rules {
        let named = |(id, option): &&(FieldId, String)| *id == field.id && options.contains(&option);
        if let Some((_, option)) = rule.plan.options.iter().find(named) {
            let message = format!(
                "the rule {:?} names the option {option:?} of {}: change or remove the rule first",
                rule.slug, field.key
            );
            return Err(Error::conflict("option_in_use", message));
        }
    }
    Ok(())
}

pub(crate) async fn delete(unit: &mut Unit, input: DeleteField) -> Result<()> {
    let field = found(unit, input.id).await?;
    check_version("custom field", input.if_version, field.version)?;
    refuse_named(unit, &field).await?;
    refuse_in_use(unit, &field, None).await?;
    let organization = unit.organization_id();
    let fact = unit.fact(EventKind::FieldChanged, organization)?;
    fact.change("key", &field.key, ()).data("what", "field.deleted").data("field_id", field.id).delete(&field);
    Ok(())
}

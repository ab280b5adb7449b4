//! Reading what lists are asked for: the condition tree of searches, the simple filters of lists, and sorts. One language
//! for all nouns; names of stages, pipelines, members and custom fields become ids here.

mod operand;

use serde_json::{Map, Value, json};

pub(crate) use self::operand::Names;
use crate::{
    domain::{
        custom_field::{CustomField, CustomKind, Noun},
        external_id, text,
    },
    error::{Error, Result},
    id::{Id, UserId},
    page::PageRequest,
    ports::store::{
        self, Bounds, CONDITION_DEPTH as DEPTH, Column, FieldKind, Filter, Is, Place, Range, SortBy, TimeRange,
    },
    services::unit::Unit,
};

/// How many values a condition compares with.
const COMPARISONS: usize = 200;
/// The most characters of a text that is searched for.
const PATTERN: usize = 200;

/// A search: a condition tree, a sort, a page.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Search {
    /// What must hold: an object of `field: value`, all of which must hold; a list of values means any of them;
    /// `{"gt|gte|lt|lte|ne|in|contains|starts_with|exists": x}` compares; `{"all": […]}`, `{"any": […]}` and
    /// `{"not": …}` nest, at most 16 deep. Fields are the object's own: `name`, `tags`, `stage`, `custom.size`,
    /// `external_ids.erp`. `contains` and `starts_with` take no notice of letter case, in any alphabet. `matches` is known
    /// in rules alone: no index serves a regular expression, and the databases do not agree on what one means.
    pub filter: Map<String, Value>,
    /// A field to sort by, with a leading `-` for largest first; newest first if left out. Sorted by a custom field the
    /// answer has those that have a value there.
    pub sort: Option<String>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// What a list goes by.
pub(crate) type Asked = (Filter, SortBy, PageRequest);

impl Search {
    /// The parts that the store goes by.
    pub(crate) async fn parts(self, unit: &Unit, noun: Noun) -> Result<Asked> {
        let names = Names::read(unit, noun, true).await?;
        let mut reader = Reader { names: &names, comparisons: 0, lenient: false };
        let filter = reader.node(&Value::Object(self.filter), "/filter", 1)?;
        let sort = names.sort(self.sort.as_deref())?;
        refuse_hidden(unit, noun, &filter, &sort)?;
        Ok((filter, sort, PageRequest { limit: self.limit, cursor: self.cursor }))
    }
}

/// Fails if a list goes by a field that the caller does not see: it would tell of it all the same.
fn refuse_hidden(unit: &Unit, noun: Noun, filter: &Filter, sort: &SortBy) -> Result<()> {
    let rules = &unit.scope().fields;
    if rules.is_empty() {
        return Ok(());
    }
    let hidden = |place: &Place| {
        let field = match place {
            // The member that the column belongs to.
            Place::Field(field) => field.name.split('.').next().unwrap_or(field.name).to_owned(),
            Place::Custom { key, .. } => format!("custom.{key}"),
            Place::ExternalId(_) => "external_ids".to_owned(),
        };
        rules.hides(noun.as_str(), &field).then_some(field)
    };
    match filter.places().into_iter().chain([&sort.place]).find_map(hidden) {
        Some(field) => {
            let message =
                format!("your role does not see {field} of a {noun}: leave it out of filter and sort, or ask an admin");
            Err(Error::forbidden(message))
        }
        None => Ok(()),
    }
}

/// The simple filters of a list, gathered.
#[derive(Debug, Default)]
pub(crate) struct Simple(Vec<Filter>, Vec<(&'static str, Value)>);

impl Simple {
    /// A field has this value, if one is given.
    pub(crate) fn equal(mut self, noun: Noun, name: &str, value: Option<&impl Column>) -> Self {
        if let (Some(field), Some(value)) = (store::field_named(noun, name), value) {
            self.0.push(Filter::Test(Place::Field(field), Is::AnyOf(vec![value.to_value()])));
        }
        self
    }

    /// An instant lies within bounds, if any are given.
    pub(crate) fn within(mut self, noun: Noun, name: &str, range: Option<TimeRange>) -> Self {
        let range = range.filter(|range| *range != TimeRange::default());
        if let (Some(field), Some(range)) = (store::field_named(noun, name), range) {
            let bound = |at: Option<chrono::DateTime<chrono::Utc>>| at.map(|at| at.to_value());
            let bounds =
                Bounds { gte: bound(range.gte), gt: bound(range.gt), lte: bound(range.lte), lt: bound(range.lt) };
            self.0.push(Filter::Test(Place::Field(field), Is::Within(bounds)));
        }
        self
    }

    /// A field has this value, still to be read as a condition's, if one is given.
    pub(crate) fn asked(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.1.extend(value.map(|value| (name, Value::from(value))));
        self
    }

    /// A field lies within bounds, still to be read as a condition's, if any are given.
    pub(crate) fn bounded<T: serde::Serialize>(mut self, name: &'static str, range: Option<&Range<T>>) -> Self {
        let bounds = range.map(|range| json!(range)).filter(|bounds| *bounds != json!({}));
        self.1.extend(bounds.map(|bounds| (name, bounds)));
        self
    }

    /// What a list goes by: these filters, those by custom fields, as query parameters have them, and the sort.
    pub(crate) async fn parts(
        mut self,
        unit: &Unit,
        noun: Noun,
        custom: &Map<String, Value>,
        sort: Option<&str>,
        page: PageRequest,
    ) -> Result<Asked> {
        let plain = custom.is_empty() && !sort.is_some_and(|sort| sort.contains('.'));
        let names = if plain { Names::none(noun) } else { Names::read(unit, noun, false).await? };
        let mut reader = Reader { names: &names, comparisons: 0, lenient: true };
        for (name, value) in &self.1 {
            self.0.push(reader.field(name, value, &text::pointer("", name)).map_err(as_parameter)?);
        }
        for (key, value) in custom {
            let at = text::pointer("/custom", key);
            self.0.push(reader.field(&format!("custom.{key}"), value, &at).map_err(as_parameter)?);
        }
        let filter = match <[Filter; 1]>::try_from(self.0) {
            Ok([only]) => only,
            Err(several) => Filter::All(several),
        };
        let sort = names.sort(sort)?;
        refuse_hidden(unit, noun, &filter, &sort)?;
        Ok((filter, sort, page))
    }
}

/// In a query a wrong value is a malformed request.
fn as_parameter(error: Error) -> Error {
    let mut malformed = Error::malformed(error.message().to_owned()).code_of("invalid_parameter");
    for field in error.fields() {
        malformed = malformed.field(field.pointer.clone(), field.code.clone(), field.detail.clone());
    }
    malformed
}

/// Reads one condition tree.
struct Reader<'n> {
    names: &'n Names,
    comparisons: usize,
    /// Whether texts may stand for numbers and truth values, as they do in a query.
    lenient: bool,
}

const OPERATORS: &[&str] = &["gt", "gte", "lt", "lte", "ne", "in", "contains", "starts_with", "exists"];

fn expected(at: &str, what: &str, value: &Value) -> Error {
    let shown: String = value.to_string().chars().take(60).collect();
    Error::invalid(at, "invalid", format!("{shown} stands here: {what} is expected"))
}

impl Reader<'_> {
    fn node(&mut self, value: &Value, at: &str, depth: usize) -> Result<Filter> {
        if depth > DEPTH {
            return Err(Error::invalid(at, "too_deep", format!("conditions nest at most {DEPTH} deep")));
        }
        let Value::Object(members) = value else {
            return Err(expected(at, "an object such as {\"stage\": \"lead\"}", value));
        };
        let mut all = Vec::with_capacity(members.len());
        for (key, value) in members {
            let at = text::pointer(at, key);
            all.push(match key.as_str() {
                "all" => Filter::All(self.list(value, &at, depth + 1)?),
                "any" => Filter::Any(self.list(value, &at, depth + 1)?),
                "not" => Filter::Not(Box::new(self.node(value, &at, depth + 1)?)),
                name => self.field(name, value, &at)?,
            });
        }
        Ok(Filter::All(all))
    }

    fn list(&mut self, value: &Value, at: &str, depth: usize) -> Result<Vec<Filter>> {
        match value {
            Value::Array(list) if list.is_empty() => {
                Err(Error::invalid(at, "empty", "name at least one condition, or leave it out"))
            }
            Value::Array(list) => {
                list.iter().enumerate().map(|(i, value)| self.node(value, &format!("{at}/{i}"), depth)).collect()
            }
            other => Err(expected(at, "a list of conditions", other)),
        }
    }

    /// One field with what it is compared with.
    fn field(&mut self, name: &str, value: &Value, at: &str) -> Result<Filter> {
        let place = self.names.place(name, at)?;
        let Value::Object(operators) = value else {
            if value.is_null() {
                let detail = format!("nothing equals null: write {{\"{name}\": {{\"exists\": false}}}}");
                return Err(Error::invalid(at, "invalid", detail));
            }
            let values = self.values(&place, value, at)?;
            return Ok(Filter::Test(place, Is::AnyOf(values)));
        };
        if operators.is_empty() {
            return Err(Error::invalid(at, "empty", "compare with a value or by an operator such as \"gte\""));
        }
        let (mut tests, mut bounds) = (Vec::new(), Bounds::default());
        for (operator, value) in operators {
            let at = text::pointer(at, operator);
            if !applicable(&place).contains(&operator.as_str()) {
                return Err(match operator.as_str() {
                    "matches" => Error::invalid(
                        &at,
                        "not_available",
                        "only rules know regular expressions: contains and starts_with search in texts",
                    ),
                    known if OPERATORS.contains(&known) => {
                        let detail = format!("{known} does not apply to {name}; {} do", applicable(&place).join(", "));
                        Error::invalid(&at, "invalid", detail)
                    }
                    _ => {
                        let detail = format!("{operator:?} is no operator: {} are", OPERATORS.join(", "));
                        Error::invalid(&at, "unknown", detail)
                    }
                });
            }
            match operator.as_str() {
                "in" if !value.is_array() => return Err(expected(&at, "a list of values", value)),
                "in" => tests.push(Is::AnyOf(self.values(&place, value, &at)?)),
                "ne" => tests.push(Is::NoneOf(self.values(&place, value, &at)?)),
                "exists" => tests.push(Is::Exists(self.flag(value, &at)?)),
                "contains" => tests.push(Is::Contains(self.texts(&place, value, &at)?)),
                "starts_with" => tests.push(Is::StartsWith(self.texts(&place, value, &at)?)),
                bound => {
                    let value = Some(self.value(&place, value, &at)?);
                    match bound {
                        "gte" => bounds.gte = value,
                        "gt" => bounds.gt = value,
                        "lte" => bounds.lte = value,
                        _ => bounds.lt = value,
                    }
                }
            }
        }
        if bounds != Bounds::default() {
            tests.push(Is::Within(bounds));
        }
        let mut tests: Vec<Filter> = tests.into_iter().map(|is| Filter::Test(place.clone(), is)).collect();
        Ok(if tests.len() == 1 { tests.swap_remove(0) } else { Filter::All(tests) })
    }

    fn count(&mut self, more: usize, at: &str) -> Result<()> {
        self.comparisons += more;
        if self.comparisons > COMPARISONS {
            let detail = format!("a condition compares with at most {COMPARISONS} values");
            return Err(Error::invalid(at, "too_many", detail));
        }
        Ok(())
    }

    fn flag(&mut self, value: &Value, at: &str) -> Result<bool> {
        self.count(1, at)?;
        match value {
            Value::Bool(flag) => Ok(*flag),
            Value::String(text) if self.lenient && (text == "true" || text == "false") => Ok(text == "true"),
            other => Err(expected(at, "true or false", other)),
        }
    }

    /// One value or a list of them.
    fn values(&mut self, place: &Place, value: &Value, at: &str) -> Result<Vec<store::Value>> {
        match value {
            Value::Array(list) if list.is_empty() => {
                Err(Error::invalid(at, "empty", "an empty list never holds: name at least one value"))
            }
            Value::Array(list) => {
                self.count(list.len(), at)?;
                let mut all = Vec::with_capacity(list.len());
                for (place_in_list, value) in list.iter().enumerate() {
                    all.extend(self.names.operands(place, value, &format!("{at}/{place_in_list}"), self.lenient)?);
                }
                Ok(all)
            }
            value => {
                self.count(1, at)?;
                self.names.operands(place, value, at, self.lenient)
            }
        }
    }

    fn value(&mut self, place: &Place, value: &Value, at: &str) -> Result<store::Value> {
        self.count(1, at)?;
        let mut values = self.names.operands(place, value, at, self.lenient)?;
        values.pop().ok_or_else(|| expected(at, "one value", value))
    }

    /// Texts to search for, in the letter case in which they are looked for.
    fn texts(&mut self, place: &Place, value: &Value, at: &str) -> Result<Vec<String>> {
        let list = match value {
            Value::Array(list) => list.iter().collect(),
            value => vec![value],
        };
        self.count(list.len(), at)?;
        let mut texts = Vec::with_capacity(list.len());
        for value in list {
            match value {
                Value::String(text) if text.is_empty() || text.chars().count() > PATTERN || text.contains('\0') => {
                    return Err(expected(at, &format!("a text of 1 to {PATTERN} characters"), value));
                }
                Value::String(text) => texts.push(match place {
                    Place::Field(field) if field.kind == FieldKind::Name => text::name_key(text),
                    _ => text::folded(text),
                }),
                other => return Err(expected(at, "a text", other)),
            }
        }
        if texts.is_empty() {
            return Err(Error::invalid(at, "empty", "name at least one text"));
        }
        Ok(texts)
    }
}

/// The operators that make sense for a field.
fn applicable(place: &Place) -> &'static [&'static str] {
    const IDS: &[&str] = &["ne", "in", "exists"];
    const NUMBERS: &[&str] = &["gt", "gte", "lt", "lte", "ne", "in", "exists"];
    const TEXTS: &[&str] = &["ne", "in", "contains", "starts_with", "exists"];
    match place {
        Place::Field(field) => match field.kind {
            FieldKind::Stage | FieldKind::Pipeline | FieldKind::User | FieldKind::Id | FieldKind::Word(_) => IDS,
            FieldKind::Integer | FieldKind::Real | FieldKind::Amount | FieldKind::Time | FieldKind::Date => NUMBERS,
            FieldKind::Name | FieldKind::Text | FieldKind::Tags | FieldKind::Addresses(_) | FieldKind::Handle(_) => {
                TEXTS
            }
        },
        Place::Custom { kind, .. } => match kind {
            CustomKind::Number | CustomKind::Date => NUMBERS,
            CustomKind::Boolean | CustomKind::User => IDS,
            CustomKind::Text | CustomKind::Choice | CustomKind::MultiChoice => TEXTS,
        },
        Place::ExternalId(_) => IDS,
    }
}

impl Names {
    /// The field of this name.
    fn place(&self, name: &str, at: &str) -> Result<Place> {
        if let Some(field) = store::field_named(self.noun, name) {
            return Ok(Place::Field(field));
        }
        if let Some(key) = name.strip_prefix("custom.") {
            let found = self.custom.iter().find(|field| field.key == key);
            return found.map(Place::custom).ok_or_else(|| {
                let known = self.custom.iter().map(|it| it.key.as_str()).collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() { "none is defined".to_owned() } else { format!("known: {known}") };
                Error::invalid(at, "unknown", format!("{key:?} is no custom field of a {}; {known}", self.noun))
            });
        }
        if let Some(system) = name.strip_prefix("external_ids.") {
            let system = external_id::system(system).map_err(|flaw| Error::invalid(at, flaw.code, flaw.detail))?;
            return Ok(Place::ExternalId(system));
        }
        let known = store::fields(self.noun).iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
        let detail = format!("{name:?} is no field of a {}; known: {known}, custom.…, external_ids.…", self.noun);
        Err(Error::invalid(at, "unknown", detail))
    }

    /// What a list is sorted by; newest first if nothing is said.
    fn sort(&self, text: Option<&str>) -> Result<SortBy> {
        let text = text.unwrap_or("-created_at");
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let sortable = |place: &Place| match place {
            Place::Field(field) => field.key.is_some(),
            Place::Custom { kind, .. } => *kind != CustomKind::MultiChoice,
            Place::ExternalId(_) => false,
        };
        let place = self.place(name, "/sort").ok().filter(sortable);
        place.map(|place| SortBy { place, descending }).ok_or_else(|| {
            let keys = store::fields(self.noun).iter().filter(|it| it.key.is_some()).map(|it| it.name);
            let known = keys.collect::<Vec<_>>().join(", ");
            let detail = format!("a list cannot be sorted by {name:?}: {known} or custom.… with one value is expected");
            Error::malformed(detail.clone()).code_of("invalid_parameter").field("/sort", "unknown", detail)
        })
    }

    fn custom_field(&self, id: crate::id::FieldId) -> Option<&CustomField> {
        self.custom.iter().find(|it| it.id == id)
    }

    fn me(&self) -> Option<UserId> {
        self.me
    }
}

/// Ids, told apart from names.
fn id<T: Id>(text: &str) -> Option<T> {
    uuid::Uuid::try_parse(text).ok().map(T::from_uuid)
}

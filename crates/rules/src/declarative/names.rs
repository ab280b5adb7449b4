//! Names in a rule become ids when it is saved. Letter case does not tell names apart, unless two of them differ in nothing
//! else: then the exact one is meant.

use std::{cell::RefCell, collections::BTreeSet};

use dealwright::{
    Error, Result,
    domain::{
        currency::Currency,
        custom_field::{CustomField, CustomKind, Noun},
        fact_path::FactPath,
        rule::RuleSubject,
    },
    id::{FieldId, Id, PipelineId, StageId, TeamId, UserId},
    ports::rule_engine::{Directory, Reference},
};
use serde_json::Value;
use uuid::Uuid;

use super::complaint::{expected, invalid, quoted, unknown, unknown_in};

/// What of the organisation's own a rule names, and must stay as long as the rule does.
#[derive(Default)]
pub(super) struct Named {
    /// Custom fields.
    pub(super) fields: BTreeSet<FieldId>,
    /// Options of custom fields.
    pub(super) options: BTreeSet<(FieldId, String)>,
}

#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    directory: &'a Directory,
    noted: &'a Noted,
}

/// What a rule was found to name.
#[derive(Default)]
pub(super) struct Noted {
    /// What must stay as long as the rule does.
    pub named: RefCell<Named>,
    /// The contacts and companies, which no directory lists.
    pub references: RefCell<Vec<Reference>>,
}

impl<'a> Names<'a> {
    /// The names of a directory; notes which custom fields are asked for, and what it does not list.
    pub(super) const fn new(directory: &'a Directory, noted: &'a Noted) -> Self {
        Self { directory, noted }
    }

    /// The organisation's currency.
    pub(super) const fn currency(self) -> Currency {
        self.directory.currency
    }

    /// A fact that exists, with what it holds if it is a custom field.
    pub(super) fn fact(self, fact: FactPath, at: &str) -> Result<FactPath> {
        let Some((noun, key)) = fact.field() else { return Ok(fact) };
        let field = self.field(noun, key, at)?;
        FactPath::of_field(field).ok_or_else(|| Error::internal(format!("{fact} is of nothing that rules know")))
    }

    /// A custom field by its key.
    pub(super) fn field(self, noun: Noun, key: &str, at: &str) -> Result<&'a CustomField> {
        let of_noun = || self.directory.fields.iter().filter(|field| field.object == noun);
        let Some(field) = of_noun().find(|field| field.key == key) else {
            let known = of_noun().map(|field| field.key.as_str());
            return Err(unknown(at, &format!("custom field of a {noun}"), key, known));
        };
        self.noted.named.borrow_mut().fields.insert(field.id);
        Ok(field)
    }

    /// The custom field of a fact that [`Names::fact`] has found.
    fn found(self, fact: &FactPath) -> Option<&'a CustomField> {
        let (noun, key) = fact.field()?;
        self.directory.fields.iter().find(|field| field.object == noun && field.key == key)
    }

    /// The options of a custom field.
    pub(super) fn options(self, fact: &FactPath) -> &'a [String] {
        self.found(fact).map_or(&[], |field| &field.options)
    }

    /// Notes which options of a custom field are meant.
    pub(super) fn note_options(self, fact: &FactPath, options: &[String]) {
        if let Some(field) = self.found(fact) {
            self.noted.named.borrow_mut().options.extend(options.iter().map(|option| (field.id, option.clone())));
        }
    }

    /// The value of a custom field in the form in which it is kept; `null` clears it.
    pub(super) fn field_value(self, noun: Noun, key: &str, value: &Value, at: &str) -> Result<Value> {
        let field = self.field(noun, key, at)?;
        match (field.kind, value) {
            (_, Value::Null) => Ok(Value::Null),
            (CustomKind::User, Value::String(user)) => Ok(Value::from(self.user(user, at)?.to_string())),
            _ => {
                let value = field.check(value).map_err(|flaw| Error::invalid(at, flaw.code, flaw.detail))?;
                let chosen = value.as_array().map_or(std::slice::from_ref(&value), Vec::as_slice);
                let options = chosen.iter().filter(|one| field.has_option(one)).filter_map(Value::as_str);
                self.noted.named.borrow_mut().options.extend(options.map(|option| (field.id, option.to_owned())));
                Ok(value)
            }
        }
    }

    /// Every stage of that name, in any pipeline; or the one with that id.
    pub(super) fn stages(self, given: &str, at: &str) -> Result<Vec<StageId>> {
        let found: Vec<_> = (self.directory.pipelines.iter())
            .flat_map(|(pipeline, _)| self.stages_named(given, *pipeline))
            .chain(self.stage_by_id(given).map(|(stage, _)| stage))
            .collect();
        if found.is_empty() { Err(self.no_stage(given, at, None)) } else { Ok(found) }
    }

    /// The stages of that name in one pipeline; or the one with that id, if it is there.
    pub(super) fn stages_in(self, given: &str, pipeline: PipelineId, at: &str) -> Result<Vec<StageId>> {
        let by_id = self.stage_by_id(given).filter(|(_, there)| *there == pipeline).map(|(stage, _)| stage);
        let found: Vec<_> = self.stages_named(given, pipeline).into_iter().chain(by_id).collect();
        if found.is_empty() { Err(self.no_stage(given, at, Some(pipeline))) } else { Ok(found) }
    }

    /// The stage with that id, and its pipeline.
    pub(super) fn stage_by_id(self, given: &str) -> Option<(StageId, PipelineId)> {
        let id = id(given)?;
        let (stage, pipeline, _) = self.directory.stages.iter().find(|(stage, ..)| *stage == id)?;
        Some((*stage, *pipeline))
    }

    /// The name of a stage.
    pub(super) fn stage_name(self, id: StageId) -> Option<String> {
        self.directory.stages.iter().find(|(stage, ..)| *stage == id).map(|(.., name)| name.clone())
    }

    /// Every pipeline of that name, or the one with that id.
    pub(super) fn pipelines(self, given: &str, at: &str) -> Result<Vec<PipelineId>> {
        let by_id = self
            .directory
            .pipelines
            .iter()
            .map(|(pipeline, _)| *pipeline)
            .find(|pipeline| id(given) == Some(*pipeline));
        let named = named(given, self.directory.pipelines.iter().map(|(pipeline, name)| (*pipeline, name.as_str())));
        let found: Vec<_> = named.into_iter().chain(by_id).collect();
        if found.is_empty() {
            return Err(unknown(at, "pipeline", given, self.directory.pipelines.iter().map(|(_, name)| name.as_str())));
        }
        Ok(found)
    }

    /// Exactly one pipeline.
    pub(super) fn pipeline(self, given: &str, at: &str) -> Result<PipelineId> {
        match self.pipelines(given, at)?.as_slice() {
            [only] => Ok(*only),
            several => Err(ambiguous(at, "pipelines", given, several.len(), "its id")),
        }
    }

    /// Every user with that e-mail address, name or id.
    pub(super) fn users(self, given: &str, at: &str) -> Result<Vec<UserId>> {
        let users = &self.directory.users;
        let by_id = users.iter().map(|(user, ..)| *user).find(|user| id(given) == Some(*user));
        let by_email = users.iter().find(|(_, email, _)| same(email, given)).map(|(user, ..)| *user);
        if let Some(user) = by_id.or(by_email) {
            return Ok(vec![user]);
        }
        let found = named(given, users.iter().map(|(user, _, name)| (*user, name.as_str())));
        if found.is_empty() {
            let known = users.iter().map(|(_, email, _)| email.as_str());
            let names = users.iter().map(|(.., name)| name.as_str());
            return Err(unknown(at, "user", given, known.chain(names)));
        }
        Ok(found)
    }

    /// Exactly one user.
    pub(super) fn user(self, given: &str, at: &str) -> Result<UserId> {
        match self.users(given, at)?.as_slice() {
            [only] => Ok(*only),
            several => Err(ambiguous(at, "users", given, several.len(), "the e-mail address or id")),
        }
    }

    /// The team of that name or with that id.
    pub(super) fn team(self, given: &str, at: &str) -> Result<TeamId> {
        let teams = &self.directory.teams;
        if let Some(team) = teams.iter().map(|(team, _)| *team).find(|team| id(given) == Some(*team)) {
            return Ok(team);
        }
        match named(given, teams.iter().map(|(team, name)| (*team, name.as_str()))).as_slice() {
            [] => Err(unknown(at, "team", given, teams.iter().map(|(_, name)| name.as_str()))),
            [only] => Ok(*only),
            several => Err(ambiguous(at, "teams", given, several.len(), "its id")),
        }
    }

    /// The id of a team that is named by name or id.
    pub(super) fn team_of(self, value: &Value, at: &str) -> Result<Value> {
        match value {
            Value::String(given) => Ok(Value::from(self.team(given, at)?.to_string())),
            other => Err(expected(at, "the name or id of a team", other)),
        }
    }

    /// The id of a contact or company; that there is one is for the engine to find out.
    pub(super) fn record(self, noun: Noun, value: &Value, at: &str) -> Result<Value> {
        let id = value.as_str().and_then(|given| Uuid::try_parse(given).ok());
        let id = id.ok_or_else(|| expected(at, &format!("the id of a {noun} (a UUID)"), value))?;
        self.noted.references.borrow_mut().push(Reference { pointer: at.to_owned(), noun, id });
        Ok(Value::from(id.to_string()))
    }

    fn stages_named(self, given: &str, pipeline: PipelineId) -> Vec<StageId> {
        let there = self.directory.stages.iter().filter(|(_, owner, _)| *owner == pipeline);
        named(given, there.map(|(stage, _, name)| (*stage, name.as_str())))
    }

    fn no_stage(self, given: &str, at: &str, pipeline: Option<PipelineId>) -> Error {
        let there =
            self.directory.stages.iter().filter(|(_, owner, _)| pipeline.is_none_or(|pipeline| pipeline == *owner));
        let mut names: Vec<&str> = there.map(|(.., name)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let place = self.directory.pipelines.iter().find(|(id, _)| Some(*id) == pipeline);
        match place {
            Some((_, name)) => unknown_in(at, "stage", given, &format!(" in pipeline {}", quoted(name)), names),
            None => unknown(at, "stage", given, names),
        }
    }
}

/// Refuses a deal's fact in a rule that is not about a deal.
pub(super) fn of_subject(fact: &FactPath, subject: RuleSubject, at: &str) -> Result<()> {
    if fact.is_of_deal() && subject != RuleSubject::Deal {
        let remedy = "with \"subject\": \"deal\" or a trigger such as deal.won it would be about one";
        return Err(invalid(at, format!("{fact} is known of a deal, and this rule is about the {subject}: {remedy}")));
    }
    Ok(())
}

fn id<T: Id>(given: &str) -> Option<T> {
    Uuid::try_parse(given).ok().map(T::from_uuid)
}

fn ambiguous(at: &str, nouns: &str, given: &str, count: usize, remedy: &str) -> Error {
    invalid(at, format!("{count} {nouns} are called {}; give {remedy}", quoted(given)))
}

fn named<'a, T: Copy>(given: &str, all: impl Iterator<Item = (T, &'a str)>) -> Vec<T> {
    let alike: Vec<_> = all.filter(|(_, name)| same(name, given)).collect();
    let exact: Vec<_> = alike.iter().filter(|(_, name)| *name == given).map(|(thing, _)| *thing).collect();
    if exact.is_empty() { alike.into_iter().map(|(thing, _)| thing).collect() } else { exact }
}

fn same(name: &str, given: &str) -> bool {
    name == given || name.trim().to_lowercase() == given.trim().to_lowercase()
}

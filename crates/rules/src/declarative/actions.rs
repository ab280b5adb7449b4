//! Reads what a rule does: `actions`, a list of objects, or `action`, one object with several members. Each becomes
//! [`Action`]s with ids instead of names; a text's variables are checked here and rendered by the runtime.

use std::collections::BTreeMap;

use dealwright::{
    Error, Result,
    domain::{
        custom_field::Noun,
        fact_path::FactPath,
        rule::{Action, Assignee, RuleSubject},
        template::{self, TemplateError},
    },
    id::{PipelineId, StageId},
};
use serde_json::{Map, Value};

use super::{
    complaint::{child, expected, invalid, item, not_available, only, quoted, required, too_long, unknown},
    contacts, deals, limits,
    names::{self, Names},
    operand,
};

/// In the order of the contract, in which the members of one object are carried out.
const ACTIONS: &[&str] = &[
    "move_to_stage",
    "notify_team",
    "assign_to",
    "add_tag",
    "remove_tag",
    "set_field",
    "create_task",
    "create_deal",
    "send_message",
    "stop",
];
/// Actions of the contract that this build does not have.
const ABSENT: &[&str] = &["draft_reply", "call_webhook"];
/// What needs no contact.
const WITHOUT_CONTACT: &[&str] = &["notify_team", "stop"];

pub(super) struct Reader<'a> {
    pub names: Names<'a>,
    pub subject: RuleSubject,
}

impl Reader<'_> {
    pub(super) fn read(&self, definition: &Map<String, Value>) -> Result<Vec<Action>> {
        let mut actions = Vec::new();
        match (definition.get("actions"), definition.get("action")) {
            (Some(_), Some(_)) => return Err(invalid("/action", "give either action or actions, not both")),
            (None, None) => {
                return Err(required("/actions", "a rule needs an action, for example [{\"notify_team\": true}]"));
            }
            (None, Some(one)) => self.object(one, "/action", &mut actions)?,
            (Some(Value::Array(list)), None) => {
                for (index, one) in list.iter().enumerate() {
                    self.object(one, &item("/actions", index), &mut actions)?;
                }
            }
            (Some(other), None) => return Err(expected("/actions", "a list of actions", other)),
        }
        match actions.len() {
            0 => Err(required("/actions", "name at least one action, for example {\"notify_team\": true}")),
            1..=limits::ACTIONS => Ok(actions),
            _ => Err(too_many()),
        }
    }

    fn object(&self, value: &Value, at: &str, actions: &mut Vec<Action>) -> Result<()> {
        let Value::Object(members) = value else {
            return Err(expected(at, "an object such as {\"move_to_stage\": \"qualified\"}", value));
        };
        if members.is_empty() {
            return Err(required(at, "name the action, for example {\"notify_team\": true}"));
        }
        if let Some(name) = members.keys().find(|name| !ACTIONS.contains(&name.as_str())) {
            let at = child(at, name);
            return Err(match ABSENT.contains(&name.as_str()) {
                true => not_available(&at, &format!("the action {name}")),
                false => unknown(&at, "action", name, ACTIONS.iter().copied()),
            });
        }
        for (name, value) in ACTIONS.iter().filter_map(|name| members.get_key_value(*name)) {
            let at = child(at, name);
            if self.subject == RuleSubject::Organization && !WITHOUT_CONTACT.contains(&name.as_str()) {
                return Err(invalid(&at, format!("{name} acts on a contact; this rule is about the organization")));
            }
            self.action(name, value, &at, actions)?;
            if actions.len() > limits::ACTIONS {
                return Err(too_many());
            }
        }
        Ok(())
    }

    fn action(&self, name: &str, value: &Value, at: &str, actions: &mut Vec<Action>) -> Result<()> {
        match name {
            "move_to_stage" => actions.push(self.move_to_stage(value, at)?),
            "notify_team" => actions.push(Action::NotifyTeam { text: self.notification(value, at)? }),
            "assign_to" => actions.push(Action::AssignTo(self.assignee(value, at)?)),
            "add_tag" => actions.extend(tags(value, at)?.into_iter().map(Action::AddTag)),
            "remove_tag" => actions.extend(tags(value, at)?.into_iter().map(Action::RemoveTag)),
            "set_field" => actions.push(Action::SetField(self.fields(value, at)?)),
            "create_task" => actions.push(self.create_task(value, at)?),
            "create_deal" => actions.push(self.create_deal(value, at)?),
            "send_message" => actions.push(Action::SendMessage { text: self.message(value, at)? }),
            _ => {
                if value != &Value::Bool(true) {
                    return Err(expected(at, "true", value));
                }
                actions.push(Action::Stop);
            }
        }
        Ok(())
    }

    /// A name means the stage of that name in the subject's own pipeline; an id means that very stage.
    fn move_to_stage(&self, value: &Value, at: &str) -> Result<Action> {
        let (given, stage_at, pipeline) = match value {
            Value::String(given) => (given.as_str(), at.to_owned(), None),
            Value::Object(members) => {
                only(members, at, &["stage", "pipeline"])?;
                let stage_at = child(at, "stage");
                let stage = match members.get("stage") {
                    None => return Err(required(&stage_at, "name the stage to move to")),
                    Some(Value::String(stage)) => stage.as_str(),
                    Some(other) => return Err(expected(&stage_at, "the name or id of a stage", other)),
                };
                let pipeline_at = child(at, "pipeline");
                let pipeline = match members.get("pipeline") {
                    None | Some(Value::Null) => None,
                    Some(Value::String(pipeline)) => Some(self.names.pipeline(pipeline, &pipeline_at)?),
                    Some(other) => return Err(expected(&pipeline_at, "the name or id of a pipeline", other)),
                };
                (stage, stage_at, pipeline)
            }
            other => return Err(expected(at, "the name or id of a stage, or {\"stage\", \"pipeline\"}", other)),
        };
        let (stages, pipeline_id) = self.stages(given, &stage_at, pipeline)?;
        let name = self.name_of(&stages, given);
        Ok(Action::MoveToStage { name, stages, pipeline_id })
    }

    fn notification(&self, value: &Value, at: &str) -> Result<Option<String>> {
        match value {
            Value::Bool(true) => Ok(None),
            Value::Object(members) => {
                only(members, at, &["text"])?;
                let at = child(at, "text");
                let text = members.get("text").ok_or_else(|| required(&at, "say what to tell the team"))?;
                self.template(text, &at, limits::NOTIFICATION).map(Some)
            }
            other => Err(expected(at, "true or {\"text\": …}", other)),
        }
    }

    fn message(&self, value: &Value, at: &str) -> Result<String> {
        match value {
            Value::String(_) => self.template(value, at, limits::MESSAGE),
            Value::Object(members) if members.contains_key("template") => {
                Err(not_available(&child(at, "template"), "a stored template"))
            }
            Value::Object(members) => {
                only(members, at, &["text"])?;
                let at = child(at, "text");
                let text = members.get("text").ok_or_else(|| required(&at, "say what to send"))?;
                self.template(text, &at, limits::MESSAGE)
            }
            other => Err(expected(at, "a text or {\"text\": …}", other)),
        }
    }

    /// A text is a strategy, a user or a team; an object says which.
    fn assignee(&self, value: &Value, at: &str) -> Result<Assignee> {
        const FORMS: &str = "a user, a team, round_robin or least_busy";
        let members = match value {
            Value::String(word) if word == "round_robin" => return Ok(Assignee::RoundRobin(None)),
            Value::String(word) if word == "least_busy" => return Ok(Assignee::LeastBusy(None)),
            Value::String(given) => {
                return match (self.names.user(given, at), self.names.team(given, at)) {
                    (Ok(user), Err(_)) => Ok(Assignee::User(user)),
                    (Err(_), Ok(team)) => Ok(Assignee::Team(team)),
                    (Ok(_), Ok(_)) => {
                        let given = quoted(given);
                        let detail =
                            format!("a user and a team are called {given}; give {{\"user\": …}} or {{\"team\": …}}");
                        Err(invalid(at, detail))
                    }
                    (Err(error), Err(_)) => Err(error),
                };
            }
            Value::Object(members) => members,
            other => return Err(expected(at, FORMS, other)),
        };
        only(members, at, &["user", "team", "strategy"])?;
        let text = |name: &str, what: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some((text.as_str(), child(at, name)))),
            Some(other) => Err(expected(&child(at, name), what, other)),
        };
        let user = text("user", "the e-mail address, name or id of a user")?;
        let team = text("team", "the name or id of a team")?;
        let strategy = text("strategy", "round_robin or least_busy")?;
        let team = team.map(|(team, at)| self.names.team(team, &at)).transpose()?;
        match (user, team, strategy) {
            (Some((user, at)), None, None) => Ok(Assignee::User(self.names.user(user, &at)?)),
            (None, Some(team), None) => Ok(Assignee::Team(team)),
            (None, team, Some(("round_robin", _))) => Ok(Assignee::RoundRobin(team)),
            (None, team, Some(("least_busy", _))) => Ok(Assignee::LeastBusy(team)),
            (None, _, Some((other, at))) => Err(unknown(&at, "strategy", other, ["round_robin", "least_busy"])),
            (Some(_), ..) => Err(invalid(at, "give a user alone, or a team, a strategy or both")),
            (None, None, None) => Err(required(&child(at, "user"), "name the user, the team or the strategy")),
        }
    }

    /// A task: its title alone, or with when it is due and whose it is.
    fn create_task(&self, value: &Value, at: &str) -> Result<Action> {
        let nothing = Map::new();
        let (title, title_at, members) = match value {
            Value::String(_) => (value, at.to_owned(), &nothing),
            Value::Object(members) => {
                only(members, at, &["title", "due_in_hours", "remind_in_hours", "assign_to"])?;
                let title_at = child(at, "title");
                let title = members.get("title").ok_or_else(|| required(&title_at, "say what is to be done"))?;
                (title, title_at, members)
            }
            other => return Err(expected(at, "a title or {\"title\", \"due_in_hours\", \"assign_to\"}", other)),
        };
        let title = self.template(title, &title_at, limits::NAME)?;
        let hours = |name: &str| {
            let given = members.get(name).filter(|value| !value.is_null());
            given.map(|value| operand::hours(value, &child(at, name))).transpose()
        };
        let assign_at = child(at, "assign_to");
        let assigned_to = match members.get("assign_to").filter(|value| !value.is_null()) {
            None => None,
            Some(Value::String(user)) => Some(self.names.user(user, &assign_at)?),
            Some(other) => return Err(expected(&assign_at, "the name, e-mail address or id of a member", other)),
        };
        let (due_in_hours, remind_in_hours) = (hours("due_in_hours")?, hours("remind_in_hours")?);
        Ok(Action::CreateTask { title, due_in_hours, remind_in_hours, assigned_to })
    }

    /// A deal with the contact: all of its members may be left out.
    fn create_deal(&self, value: &Value, at: &str) -> Result<Action> {
        let nothing = Map::new();
        let members = match value {
            Value::Bool(true) => &nothing,
            Value::Object(members) => members,
            other => return Err(expected(at, "true or {\"name\", \"value\", \"stage\", \"pipeline\"}", other)),
        };
        only(members, at, &["name", "value", "pipeline", "stage"])?;
        let member = |name: &str| members.get(name).filter(|value| !value.is_null());
        let name_at = child(at, "name");
        let name = member("name").map(|name| self.template(name, &name_at, limits::NAME)).transpose()?;
        let value = member("value").map(|value| deals::money(self.names, value, &child(at, "value"))).transpose()?;
        let text = |name: &str| match member(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(other) => Err(expected(&child(at, name), &format!("the name or id of a {name}"), other)),
        };
        let (stage_at, pipeline_at) = (child(at, "stage"), child(at, "pipeline"));
        let pipeline_id = text("pipeline")?.map(|given| self.names.pipeline(given, &pipeline_at)).transpose()?;
        let Some(given) = text("stage")? else {
            return Ok(Action::CreateDeal { name, value, stage: None, stages: Vec::new(), pipeline_id });
        };
        let (stages, pipeline_id) = self.stages(given, &stage_at, pipeline_id)?;
        let stage = Some(self.name_of(&stages, given));
        Ok(Action::CreateDeal { name, value, stage, stages, pipeline_id })
    }

    /// The stages that a name or id means, and the pipeline where only one can be meant.
    fn stages(
        &self,
        given: &str,
        at: &str,
        pipeline: Option<PipelineId>,
    ) -> Result<(Vec<StageId>, Option<PipelineId>)> {
        Ok(match (pipeline, self.names.stage_by_id(given)) {
            (None, Some((stage, pipeline))) => (vec![stage], Some(pipeline)),
            (None, None) => (self.names.stages(given, at)?, None),
            (Some(pipeline), _) => (self.names.stages_in(given, pipeline, at)?, Some(pipeline)),
        })
    }

    fn name_of(&self, stages: &[StageId], given: &str) -> String {
        stages.first().and_then(|stage| self.names.stage_name(*stage)).unwrap_or_else(|| given.to_owned())
    }

    fn fields(&self, value: &Value, at: &str) -> Result<BTreeMap<String, Value>> {
        let deal = self.subject == RuleSubject::Deal;
        let Value::Object(members) = value else {
            let example = if deal { "{\"probability\": 0.5}" } else { "{\"source\": \"fair\"}" };
            return Err(expected(at, &format!("an object such as {example}"), value));
        };
        if members.is_empty() {
            let known = if deal { deals::FIELDS } else { contacts::FIELDS };
            return Err(required(at, format!("name at least one field: {}", known.join(", "))));
        }
        let mut fields = BTreeMap::new();
        for (name, value) in members {
            let at = child(at, name);
            let (name, value) = match self.custom(name, &at)? {
                Some((noun, key)) => {
                    let value = self.names.field_value(noun, key, value, &at)?;
                    (format!("{noun}.custom.{key}"), value)
                }
                None if deal => (name.clone(), deals::field(self.names, name, value, &at)?),
                None => (name.clone(), contacts::field(self.names, name, value, &at)?),
            };
            if fields.insert(name.clone(), value).is_some() {
                return Err(invalid(&at, format!("{name} is set twice")));
            }
        }
        Ok(fields)
    }

    /// The custom field that a member of `set_field` names: `custom.KEY` is the subject's own.
    fn custom<'n>(&self, name: &'n str, at: &str) -> Result<Option<(Noun, &'n str)>> {
        let deal = self.subject == RuleSubject::Deal;
        let own = if deal { Noun::Deal } else { Noun::Contact };
        let named = [("custom.", own), ("contact.custom.", Noun::Contact), ("deal.custom.", Noun::Deal)];
        let found = named.into_iter().find_map(|(begin, noun)| Some((noun, name.strip_prefix(begin)?)));
        if let Some((Noun::Deal, _)) = found
            && !deal
        {
            return Err(invalid(at, format!("{name} is of a deal, and this rule is about the {}", self.subject)));
        }
        Ok(found)
    }

    fn template(&self, value: &Value, at: &str, limit: usize) -> Result<String> {
        let Value::String(text) = value else { return Err(expected(at, "a text", value)) };
        if text.trim().is_empty() {
            return Err(required(at, "the text is empty; say something"));
        }
        if text.chars().count() > limit {
            return Err(too_long(at, "the text", limit));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(invalid(at, "the text contains control characters"));
        }
        let variables = template::variables(text).map_err(|error| match error {
            TemplateError::Unclosed => invalid(at, "a variable begins with {{ and ends with }}: {{contact.name}}"),
            TemplateError::Unknown(path) => unknown(at, "variable", &path, FactPath::names()),
        })?;
        for fact in &variables {
            names::of_subject(fact, self.subject, at)?;
            self.names.fact(fact.clone(), at)?;
        }
        let foreign = variables.iter().find(|fact| !fact.stands_without_contact());
        if let (RuleSubject::Organization, Some(fact)) = (self.subject, foreign) {
            return Err(invalid(at, format!("{fact} is known of a contact; this rule is about the organization")));
        }
        Ok(text.clone())
    }
}

fn too_many() -> Error {
    Error::invalid("/actions", "too_many", format!("a rule has at most {} actions", limits::ACTIONS))
}

fn tags(value: &Value, at: &str) -> Result<Vec<String>> {
    match value {
        Value::Array(list) if list.is_empty() => Err(required(at, "name at least one tag")),
        Value::Array(list) => {
            list.iter().enumerate().map(|(index, tag)| name(tag, &item(at, index), "the tag")).collect()
        }
        tag => Ok(vec![name(tag, at, "the tag")?]),
    }
}

pub(super) fn name(value: &Value, at: &str, what: &str) -> Result<String> {
    let Value::String(text) = value else { return Err(expected(at, &format!("{what} as a text"), value)) };
    let text = text.trim();
    match text.chars().count() {
        0 => Err(required(at, format!("{what} is empty"))),
        1..=limits::NAME if text.chars().any(char::is_control) => {
            Err(invalid(at, format!("{what} {} contains control characters", quoted(text))))
        }
        1..=limits::NAME => Ok(text.to_owned()),
        _ => Err(too_long(at, what, limits::NAME)),
    }
}

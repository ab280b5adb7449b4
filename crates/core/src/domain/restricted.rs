//! The fields of contacts, companies and deals that a role may close: how they are emptied, and told apart.

use serde_json::{Map, Value};

use crate::{
    domain::{company::Company, contact::Contact, custom_field::Noun, deal::Deal, text},
    error::Error,
    scope::{FieldAccess, FieldRules},
};

/// What has fields that a role may close.
pub trait Restricted {
    /// What it is.
    const NOUN: Noun;
    /// Fields that may be hidden: without any of them it is still one.
    const HIDEABLE: &'static [&'static str];
    /// Fields that may be read-only besides; what every one has from the start first.
    const KEPT: &'static [&'static str];
    /// Empties a field.
    fn clear(&mut self, field: &str);
    /// Whether both have the same in a field.
    fn agree(&self, other: &Self, field: &str) -> bool;
    /// Whether a field holds anything that it need not.
    fn has(&self, field: &str) -> bool;
    /// Its custom values.
    fn custom(&self) -> &Map<String, Value>;
    /// The same, to be changed.
    fn custom_mut(&mut self) -> &mut Map<String, Value>;
}

fn holds<T: Default + PartialEq>(value: &T) -> bool {
    *value != T::default()
}

macro_rules! restricted {
    ($($noun:ident hides { $($hidden:ident),* } begins with { $($first:ident),* } keeps { $($kept:ident),* })*) => { $(
        impl Restricted for $noun {
            const NOUN: Noun = Noun::$noun;
            const HIDEABLE: &'static [&'static str] = &[$(stringify!($hidden)),*];
            const KEPT: &'static [&'static str] = &[$(stringify!($first),)* $(stringify!($kept)),*];

            fn clear(&mut self, field: &str) {
                match field {
                    $(stringify!($hidden) => self.$hidden = Default::default(),)*
                    _ => {}
                }
            }

            fn agree(&self, other: &Self, field: &str) -> bool {
                match field {
                    $(stringify!($hidden) => self.$hidden == other.$hidden,)*
                    $(stringify!($first) => self.$first == other.$first,)*
                    $(stringify!($kept) => self.$kept == other.$kept,)*
                    _ => true,
                }
            }

            fn has(&self, field: &str) -> bool {
                match field {
                    $(stringify!($hidden) => holds(&self.$hidden),)*
                    $(stringify!($kept) => holds(&self.$kept),)*
                    _ => false,
                }
            }

            fn custom(&self) -> &Map<String, Value> {
                &self.custom
            }

            fn custom_mut(&mut self) -> &mut Map<String, Value> {
                &mut self.custom
            }
        }
    )* };
}

restricted! {
    Contact hides { emails, phones, handles, source, tags, custom, external_ids }
        begins with { name, stage_id } keeps { company_id, assigned_to, team_id }
    Company hides { domain, industry, size, website, tags, custom, external_ids } begins with { name } keeps { }
    Deal hides { value, probability, expected_close_on, lost_reason, custom, external_ids }
        begins with { name, stage_id } keeps { contact_id, company_id, assigned_to, team_id }
}

/// The fields of a noun that may be hidden, and those that may be read-only besides.
pub fn fields(noun: Noun) -> (&'static [&'static str], &'static [&'static str]) {
    match noun {
        Noun::Contact => (Contact::HIDEABLE, Contact::KEPT),
        Noun::Company => (Company::HIDEABLE, Company::KEPT),
        Noun::Deal => (Deal::HIDEABLE, Deal::KEPT),
    }
}

/// Whether a member of what is told of a contact, company or deal may be hidden from some role.
pub fn is_hideable(member: &str) -> bool {
    [Contact::HIDEABLE, Company::HIDEABLE, Deal::HIDEABLE].iter().any(|fields| fields.contains(&member))
}

/// Empties what is hidden.
pub(crate) fn mask<T: Restricted>(thing: &mut T, rules: &FieldRules) {
    for (field, access) in rules.of(T::NOUN.as_str()) {
        match (access, field.strip_prefix("custom.")) {
            (FieldAccess::ReadOnly, _) => {}
            (FieldAccess::Hidden, Some(key)) => drop(thing.custom_mut().remove(key)),
            (FieldAccess::Hidden, None) => thing.clear(field),
        }
    }
}

/// Fails if a change touches what is closed; `before` is `None` for a new one, which may have a name and a stage.
///
/// # Errors
/// `forbidden`, naming each field.
pub(crate) fn check<T: Restricted>(rules: &FieldRules, before: Option<&T>, after: &T) -> Result<(), Error> {
    let touched = |field: &str| match (before, field.strip_prefix("custom.")) {
        (Some(before), Some(key)) => before.custom().get(key) != after.custom().get(key),
        (Some(before), None) => !before.agree(after, field),
        (None, Some(key)) => after.custom().contains_key(key),
        (None, None) => after.has(field),
    };
    let touched: Vec<_> = rules.of(T::NOUN.as_str()).filter(|(field, _)| touched(field)).collect();
    refuse(T::NOUN, touched)
}

/// Fails if a field is closed.
///
/// # Errors
/// `forbidden`, naming it.
pub(crate) fn require_open<T: Restricted>(rules: &FieldRules, field: &str) -> Result<(), Error> {
    refuse(T::NOUN, rules.of(T::NOUN.as_str()).filter(|(it, _)| *it == field).collect())
}

fn refuse(noun: Noun, closed: Vec<(&str, FieldAccess)>) -> Result<(), Error> {
    let Some((first, _)) = closed.first() else { return Ok(()) };
    let message = format!("your role may not change {first} of a {noun}: leave it as it is, or ask an admin");
    Err(closed.into_iter().fold(Error::forbidden(message), |error, (field, access)| {
        let (code, how) = match access {
            FieldAccess::Hidden => ("hidden", "not shown to your role"),
            FieldAccess::ReadOnly => ("read_only", "only shown to your role"),
        };
        let pointer = match field.strip_prefix("custom.") {
            Some(key) => text::pointer("/custom", key),
            None => format!("/{field}"),
        };
        error.field(pointer, code, format!("{field} is {how}: leave it as it is"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::pipeline::StageKind, testkit::samples::Samples};

    fn rules(of: &str) -> FieldRules {
        serde_json::from_str(of).unwrap()
    }

    /// Every member of a noun as JSON has it is one that a role may close, or one that nobody writes.
    #[test]
    fn each_field_may_be_closed_or_is_nobodys_to_write() {
        const NOBODYS: &[&str] = &[
            "id",
            "pipeline_id",
            "stage_entered_at",
            "score",
            "first_response_at",
            "last_response_at",
            "last_message_at",
            "created_at",
            "updated_at",
            "version",
            "status",
            "closed_at",
        ];
        fn of<T: Restricted + serde::Serialize>(thing: &T) {
            for member in serde_json::to_value(thing).unwrap().as_object().unwrap().keys() {
                let closable = T::HIDEABLE.contains(&member.as_str()) || T::KEPT.contains(&member.as_str());
                assert!(closable != NOBODYS.contains(&member.as_str()), "{}: {member}", T::NOUN);
            }
        }
        let mut samples = Samples::new(1);
        let pipeline = samples.pipeline();
        let stage = samples.stage(&pipeline, 0, StageKind::Open);
        let contact = samples.contact(&stage);
        of(&contact);
        of(&samples.company());
        of(&samples.deal(&stage, Some(&contact)));
    }

    #[test]
    fn what_is_hidden_is_emptied_and_what_is_closed_is_not_changed() {
        let mut samples = Samples::new(1);
        let pipeline = samples.pipeline();
        let stage = samples.stage(&pipeline, 0, StageKind::Open);
        let mut ada = samples.contact(&stage);
        ada.emails = vec!["ada@acme.example".to_owned()];
        ada.custom = serde_json::from_str(r#"{"budget": 7, "size": "L"}"#).unwrap();
        let closed = rules(r#"{"contact": {"emails": "hidden", "custom.budget": "hidden", "source": "read_only"}}"#);
        let mut shown = ada.clone();
        mask(&mut shown, &closed);
        assert_eq!((shown.emails.len(), shown.custom.len(), &shown.source), (0, 1, &ada.source));
        let all = rules(r#"{"contact": {"custom": "hidden"}}"#);
        mask(&mut shown, &all);
        assert!(shown.custom.is_empty() && all.hides("contact", "custom.size") && !all.hides("deal", "custom.size"));

        let changed = |change: &dyn Fn(&mut Contact)| {
            let mut after = ada.clone();
            change(&mut after);
            check(&closed, Some(&ada), &after)
        };
        assert!(changed(&|it| it.name = "Ada".to_owned()).is_ok());
        assert!(changed(&|it| drop(it.custom.insert("size".to_owned(), "M".into()))).is_ok());
        let error = changed(&|it| {
            it.emails.clear();
            it.source = Some("fair".to_owned());
            it.custom.clear();
        });
        let error = error.unwrap_err();
        let fields: Vec<_> = error.fields().iter().map(|it| (it.pointer.as_str(), it.code.as_ref())).collect();
        assert_eq!(fields, [("/custom/budget", "hidden"), ("/emails", "hidden"), ("/source", "read_only")]);
        assert_eq!(error.code(), "forbidden");
        assert!(check(&closed, None, &ada).is_err());
        let named = rules(r#"{"contact": {"name": "read_only", "stage_id": "read_only"}}"#);
        assert!(check(&named, None, &ada).is_ok() && check(&named, Some(&ada), &shown).is_ok());
    }
}

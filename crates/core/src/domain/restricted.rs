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
    use chrono::DateTime;
    use schemars::JsonSchema;

    use super::*;
    use crate::id::Id;

    fn rules(of: &str) -> FieldRules {
        serde_json::from_str(of).unwrap()
    }

    fn acme() -> Company {
        Company {
            id: crate::id::CompanyId::from_uuid(uuid::Uuid::from_u128(1)),
            organization_id: crate::id::OrganizationId::from_uuid(uuid::Uuid::from_u128(2)),
            name: "Acme".to_owned(),
            name_key: "acme".to_owned(),
            domain: Some("acme.example".to_owned()),
            industry: Some("rockets".to_owned()),
            size: Some(7),
            website: None,
            tags: Vec::new(),
            custom: serde_json::from_str(r#"{"budget": 7, "size": "L"}"#).unwrap(),
            external_ids: Default::default(),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            deleted_at: None,
            version: 1,
        }
    }

    /// Every member of a noun as JSON has it is one that a role may close, or one that nobody writes. ASVS 8.1.2.
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
        fn of<T: Restricted + JsonSchema>() {
            let schema = schemars::schema_for!(T).to_value();
            let members = schema["properties"].as_object().unwrap();
            assert!(members.len() > 8, "{schema}");
            for member in members.keys().map(String::as_str) {
                let closable = T::HIDEABLE.contains(&member) || T::KEPT.contains(&member);
                assert!(closable != NOBODYS.contains(&member), "{}: {member}", T::NOUN);
            }
        }
        of::<Contact>();
        of::<Company>();
        of::<Deal>();
    }

    #[test]
    fn what_is_hidden_is_emptied() {
        let mut shown = acme();
        mask(
            &mut shown,
            &rules(r#"{"company": {"domain": "hidden", "custom.budget": "hidden", "size": "read_only"}}"#),
        );
        assert_eq!((shown.domain, shown.custom.len(), shown.size), (None, 1, Some(7)));
        let all = rules(r#"{"company": {"custom": "hidden"}}"#);
        let mut shown = acme();
        mask(&mut shown, &all);
        assert!(shown.custom.is_empty() && shown.domain.is_some());
        assert!(all.hides("company", "custom.size") && !all.hides("deal", "custom.size"));
    }

    #[test]
    fn what_is_closed_is_not_changed() {
        let closed = rules(
            r#"{"company": {"domain": "hidden", "custom.budget": "hidden", "industry": "read_only", "name": "read_only"}}"#,
        );
        let changed = |change: &dyn Fn(&mut Company)| {
            let mut after = acme();
            change(&mut after);
            check(&closed, Some(&acme()), &after)
        };
        assert!(changed(&|it| it.size = Some(8)).is_ok());
        assert!(changed(&|it| drop(it.custom.insert("size".to_owned(), "M".into()))).is_ok());
        let error = changed(&|it| {
            it.domain = None;
            it.industry = Some("kites".to_owned());
            it.custom.clear();
        });
        let error = error.unwrap_err();
        let fields: Vec<_> = error.fields().iter().map(|it| (it.pointer.as_str(), it.code.as_ref())).collect();
        assert_eq!(fields, [("/custom/budget", "hidden"), ("/domain", "hidden"), ("/industry", "read_only")]);
        assert_eq!(error.code(), "forbidden");
        assert!(changed(&|it| it.name = "Other".to_owned()).is_err());
        // A new one has a name in any case, and else nothing that is closed.
        assert!(check(&closed, None, &acme()).is_err());
        let bare = Company { domain: None, industry: None, custom: Map::new(), ..acme() };
        assert!(check(&closed, None, &bare).is_ok());
        assert!(require_open::<Company>(&closed, "name").is_err() && require_open::<Company>(&closed, "size").is_ok());
    }
}

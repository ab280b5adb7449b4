//! Merge patches (RFC 7396): reading is undone by writing, what a patch does not name stays, twice is as once, and what it
//! names is afterwards what it says.
#![no_main]

use dealwright::{
    ErrorKind,
    domain::{contact::Contact, pipeline::StageKind},
    read_input,
    services::{companies::CompanyPatch, contacts::ContactPatch, deals::DealPatch},
    testkit::samples::Samples,
};
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

fuzz_target!(|data: &[u8]| {
    let Some((seed, text)) = data.split_first() else { return };
    let Ok(patch @ Value::Object(_)) = serde_json::from_slice::<Value>(text) else { return };
    reads::<CompanyPatch>(&patch);
    reads::<DealPatch>(&patch);
    let Some(read) = reads::<ContactPatch>(&patch) else { return };
    let before = contact(u64::from(*seed));
    let after = read.clone().applied(before.clone());
    assert_eq!(read.applied(after.clone()), after, "twice is not as once: {patch}");

    let (before, after) = (json!(before), json!(after));
    for (name, value) in after.as_object().unwrap() {
        let Some(given) = patch.get(name) else {
            assert_eq!(value, &before[name], "{name} is not named by {patch}");
            continue;
        };
        match (name.as_str(), given) {
            ("name" | "emails" | "phones" | "tags", Value::Null) => assert!(is_empty(value), "{name} {value}"),
            ("handles" | "custom" | "external_ids", given) => {
                let merged = given.as_object().map(|given| merged(name, &before[name], given)).unwrap_or_default();
                assert_eq!(&without_nulls(value), &merged, "{name} by {patch}");
            }
            ("company_id" | "assigned_to" | "team_id", given) => {
                assert_eq!(value.as_str(), given.as_str().map(str::to_lowercase).as_deref(), "{name}");
            }
            _ => assert_eq!(value, given, "{name}"),
        }
    }
});

/// The patch, if it is one; written and read again it is the same.
fn reads<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(patch: &Value) -> Option<T> {
    match read_input::<T>(patch.clone()) {
        Ok(read) => {
            let written = serde_json::to_string(&read).unwrap();
            assert_eq!(read_input::<T>(serde_json::from_str(&written).unwrap()).unwrap(), read, "{written}");
            Some(read)
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.fields().iter().all(|it| it.pointer.is_empty() || it.pointer.starts_with('/')), "{error}");
            None
        }
    }
}

fn contact(seed: u64) -> Contact {
    let mut samples = Samples::new(seed);
    let pipeline = samples.pipeline();
    let stage = samples.stage(&pipeline, 0, StageKind::Open);
    let mut contact = samples.contact(&stage);
    contact.custom = Map::from_iter([("size".to_owned(), json!(7))]);
    contact
}

/// The members after a merge patch, as RFC 7396 has it.
fn merged(name: &str, before: &Value, patch: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = without_nulls(before);
    for (member, value) in patch {
        // Letter case does not tell other systems apart.
        let member = if name == "external_ids" { member.trim().to_lowercase() } else { member.clone() };
        match value {
            Value::Null => drop(merged.remove(&member)),
            value => drop(merged.insert(member, value.clone())),
        }
    }
    merged
}

fn without_nulls(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone().into_iter().filter(|(_, value)| !value.is_null()).collect()
}

fn is_empty(value: &Value) -> bool {
    value.as_str().map_or_else(|| value.as_array().unwrap().is_empty(), str::is_empty)
}

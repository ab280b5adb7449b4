//! Inputs read from JSON: what is wrong is named by its pointer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use dealwright::{
    read_input,
    services::{contacts::ContactPatch, deals::NewDeal},
};
use serde_json::json;

#[test]
fn a_list_is_no_object() {
    for (patch, pointer) in [(json!({ "handles": ["ada"] }), "/handles"), (json!([null, []]), "")] {
        let error = read_input::<ContactPatch>(patch).unwrap_err();
        let [field] = error.fields() else { panic!("{error}") };
        assert_eq!((field.pointer.as_str(), &*field.code), (pointer, "invalid"));
    }
    let error = read_input::<NewDeal>(json!({ "name": "Deal", "value": ["1.00", "EUR"] })).unwrap_err();
    assert_eq!(error.fields()[0].pointer, "/value");
}

/// ASVS 1.5.2 and 15.3.3.
#[test]
fn what_is_missing_unknown_or_of_the_wrong_type_is_named() {
    for (deal, pointer, code) in [
        (json!({}), "/name", "required"),
        (json!({ "name": "Deal", "nome": 1 }), "/nome", "unknown"),
        (json!({ "name": 7 }), "/name", "invalid"),
        (json!({ "name": "Deal", "custom": null }), "/custom", "invalid"),
        (json!({ "name": "Deal", "custom": [] }), "/custom", "invalid"),
        (json!({ "name": "Deal", "value": { "currency": "EUR" } }), "/value/amount", "required"),
    ] {
        let error = read_input::<NewDeal>(deal).unwrap_err();
        assert_eq!((error.fields()[0].pointer.as_str(), &*error.fields()[0].code), (pointer, code));
    }
}

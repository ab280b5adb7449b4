//! Cursors of lists: one that is read is the one that was written, and it is of its list alone.
#![no_main]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use dealwright::page::{ListKey, Position, SortValue};
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

fuzz_target!(|data: &[u8]| {
    let (here, there) = (ListKey::of(&"contacts"), ListKey::of(&"deals"));
    if let Ok(text) = std::str::from_utf8(data) {
        reads_back(text, here);
    }
    // The key of a list is no guess: behind it stands whatever somebody sends.
    let known = URL_SAFE_NO_PAD.decode(Position { value: SortValue::Int(0), id: Uuid::nil() }.encode(here));
    let mut bytes = known.unwrap();
    bytes.truncate(8);
    bytes.extend_from_slice(data);
    let text = URL_SAFE_NO_PAD.encode(bytes);
    let read = reads_back(&text, here);
    if read {
        assert_eq!(Position::decode(&text, there).unwrap_err().code(), "invalid_cursor");
    }

    let Some((id, rest)) = data.split_at_checked(16) else { return };
    let id = Uuid::from_slice(id).unwrap();
    let value = match rest.try_into() {
        Ok(number) => SortValue::Int(i64::from_be_bytes(number)),
        Err(_) => SortValue::Text(String::from_utf8_lossy(rest).into_owned()),
    };
    let position = Position { value, id };
    let text = position.encode(here);
    assert_eq!(Position::decode(&text, here).unwrap(), position);
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{text}");
});

/// Whether a text is a cursor; if so, it is the only one of its position.
fn reads_back(text: &str, key: ListKey) -> bool {
    match Position::decode(text, key) {
        Ok(position) => {
            assert_eq!(position.encode(key), text);
            true
        }
        Err(error) => {
            assert_eq!((error.code(), error.kind().status()), ("invalid_cursor", 400));
            false
        }
    }
}

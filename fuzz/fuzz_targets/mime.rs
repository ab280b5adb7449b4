//! An incoming mail: whatever its bytes are, what is made of it is bounded and clean.
#![no_main]

use dealwright_connectors::email::holds_its_promises;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| holds_its_promises(raw));

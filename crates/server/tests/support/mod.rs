//! What the tests that go over every operation have in common: one of everything, and a valid input for each operation.
#![allow(dead_code, reason = "each of them uses its part")]

pub mod calls;
pub mod inputs;
pub mod things;
pub mod valid;
pub mod world;

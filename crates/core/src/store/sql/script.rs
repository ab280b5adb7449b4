//! What one transaction does: statements in order, each with what must be true of its outcome. Made without a database;
//! both adapters run it.

use crate::{error::Error, ports::store::Row, store::sql::statement::Statement};

/// Statements that are carried out together or not at all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    /// Whether it changes a table of [`SEATS`](crate::ports::store::record::SEATS).
    pub(crate) seats: bool,
}

/// One statement and what must be true of its outcome.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) statement: Statement,
    pub(crate) check: Check,
}

/// How many rows a statement must have found or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    /// Any number.
    Any,
    /// Exactly so many.
    Exactly(u64, Otherwise),
    /// At least one.
    Some(Otherwise),
    /// None.
    None(Otherwise),
}

/// Why a script fails if a check does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// A row of this table is not as the unit read it.
    Changed(&'static str),
    /// Somebody else has the work item by now.
    LeaseLost,
    /// A guard's own conflict.
    Conflict(&'static str, String),
    /// What cannot be unless the code is wrong.
    Defect(&'static str),
}

/// What a statement did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Rows found or changed.
    pub(crate) count: u64,
    /// Rows answered.
    pub(crate) rows: Vec<Row>,
}

impl Script {
    pub(crate) fn push(&mut self, statement: Statement, check: Check) {
        self.steps.push(Step { statement, check });
    }
}

impl Check {
    /// Whether `count` rows are as they must be.
    pub(crate) fn verify(&self, count: u64) -> Result<(), Error> {
        let (holds, otherwise) = match self {
            Self::Any => return Ok(()),
            Self::Exactly(expected, otherwise) => (count == *expected, otherwise),
            Self::Some(otherwise) => (count > 0, otherwise),
            Self::None(otherwise) => (count == 0, otherwise),
        };
        if holds { Ok(()) } else { Err(otherwise.error()) }
    }
}

impl Otherwise {
    fn error(&self) -> Error {
        match self {
            Self::Changed(table) => {
                Error::write_conflict(format!("a row of {table} was changed or removed meanwhile: read it again"))
            }
            Self::LeaseLost => {
                Error::conflict("lease_lost", "somebody else has claimed this work meanwhile: drop what was done of it")
            }
            Self::Conflict(code, sentence) => Error::conflict(code, sentence.clone()),
            Self::Defect(sentence) => Error::internal(*sentence),
        }
    }
}

//! Sums and counts tell of rows without naming any: no id and no word gives a leak away. So every question is asked twice,
//! before and after there is a twin, a third organisation with the same rows as ours, ids included. What ours are told must
//! not change by it; and whatever is done with ours by id must leave the twin's rows alone.

use dealwright::{
    id::{Id, OrganizationId},
    testkit::{copy_rows, rows_of},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    attempts::{Attempt, questions},
    support::world::World,
    sweep::told,
};

/// A question, and what it was answered.
pub type Answered = (Attempt, Value, Value);

impl World {
    /// Every question with the answer that it has while there is no twin.
    pub async fn answers(&mut self, flaws: &mut Vec<String>) -> Vec<Answered> {
        let mut answers = Vec::new();
        // Some questions are told in the audit log, which is asked last here, and first beside the twin.
        let mut questions = questions();
        questions.sort_by_key(|it| it.operation.name.starts_with("audit."));
        for question in questions {
            let input = self.ours.resolved(&question.input).await;
            match self.asks.call(question.operation.name, input.clone()).await {
                Ok(answer) => answers.push((question, input, timeless(answer))),
                Err(error) => flaws.push(format!("{} {input}: {}", question.operation.name, told(&error))),
            }
        }
        answers
    }

    /// Makes the twin, asks again, and tells whose answer is another one now.
    pub async fn beside_a_twin(&mut self, answers: &[Answered]) -> Vec<String> {
        copy_rows(&self.ours.store, self.ours.organization, self.twin()).await.unwrap();
        let mut leaks = Vec::new();
        for (question, input, before) in answers.iter().rev() {
            let answer = self.asks.call(question.operation.name, input.clone()).await;
            let after = answer.map_or_else(|error| Value::from(told(&error)), timeless);
            if after != *before {
                let name = question.operation.name;
                leaks.push(format!("{name}: numbers {input}: {before} has become {after} beside a twin"));
            }
        }
        leaks
    }

    pub async fn twin_rows(&self) -> Vec<(&'static str, Vec<String>)> {
        rows_of(&self.ours.store, self.twin()).await.unwrap().into_iter().collect()
    }

    fn twin(&self) -> OrganizationId {
        OrganizationId::from_uuid(Uuid::from_u128(!self.ours.organization.uuid().as_u128()))
    }
}

/// An answer but for the present: a period ends now unless it is told otherwise.
pub fn timeless(mut answer: Value) -> Value {
    if let Some(members) = answer.as_object_mut() {
        members.retain(|name, _| !matches!(name.as_str(), "from" | "to"));
    }
    answer
}

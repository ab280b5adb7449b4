//! The work of all organisations: what is due is found without looking at what is not.

use chrono::Duration;

use super::*;
use crate::{domain::job::Lane, store::sql::work};

#[tokio::test]
async fn what_is_due_is_found_by_its_index() {
    for store in &stores().await {
        let statements = [
            ("claim", work::claim(store.db(), &[Lane::Dispatch], Uuid::from_u128(1), at(9), Duration::seconds(9), 100)),
            ("next due", work::next_due(&[Lane::Dispatch])),
        ];
        for (what, statement) in statements {
            let plan = explain(store, &statement).await;
            println!("plan: {:?}: {what}: work_due", store.db());
            assert!(plan.contains("work_due") && !plan.contains("Seq Scan on work"), "{what}:\n{plan}");
        }
    }
}

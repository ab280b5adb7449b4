//! Jobs as people see them.

use dealwright::scope::Role;
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, refused},
};

cases! {
    a_job_is_seen_from_its_planting_to_its_end,
    a_job_that_has_ended_cannot_be_taken_back,
    a_messages_job_is_the_messages,
    who_may_not_write_jobs_is_refused,
    the_jobs_of_others_are_not_found,
}

async fn planting(world: &World) -> Value {
    world.settled("Ada").await;
    world
        .rule(json!({ "name": "cold", "trigger": "time_elapsed", "condition": { "stage": "lead", "elapsed_hours": 1 },
                      "actions": [{ "add_tag": "cold" }] }))
        .await;
    let jobs = world.me.call("jobs.list", json!({ "state": "queued" })).await.unwrap();
    jobs["data"][0].clone()
}

async fn a_job_is_seen_from_its_planting_to_its_end(world: World) {
    let job = planting(&world).await;
    assert_eq!((&job["kind"], &job["progress"]), (&json!("plant_timers"), &json!(0)));
    assert_eq!(job["created_by"], json!(world.una));
    world.settle().await;
    let job = world.me.call("jobs.get", job["id"].clone()).await.unwrap();
    assert_eq!((&job["state"], &job["progress"]), (&json!("done"), &json!(1)));
    assert!(
        world.me.call("jobs.list", json!({ "state": "queued" })).await.unwrap()["data"].as_array().unwrap().is_empty()
    );
}

async fn a_job_that_has_ended_cannot_be_taken_back(world: World) {
    let job = planting(&world).await;
    world.settle().await;
    refused(world.me.call("jobs.cancel", job["id"].clone()).await, 409, "job_ended");
}

async fn a_messages_job_is_the_messages(world: World) {
    let account = world.mailbox().await;
    world.receive(account, world.note("ada@globex.example", "Hello")).await;
    let chat = world.me.chats().list(Default::default()).await.unwrap().data.remove(0);
    world.me.call("messages.send", json!({ "chat_id": chat.chat_id, "text": "Hi" })).await.unwrap();
    let jobs = world.me.call("jobs.list", json!({ "state": "queued" })).await.unwrap();
    let job = jobs["data"].as_array().unwrap().iter().find(|job| job["kind"] == "send_message").unwrap();
    refused(world.me.call("jobs.cancel", job["id"].clone()).await, 409, "job_not_cancellable");
    world.settle().await;
    assert_eq!(world.provider.outgoing().len(), 1);
}

async fn who_may_not_write_jobs_is_refused(world: World) {
    let job = planting(&world).await;
    let (_, member) = world.member("mem", Role::Member).await;
    refused(member.call("jobs.cancel", job["id"].clone()).await, 403, "forbidden");
    assert_eq!(member.call("jobs.get", job["id"].clone()).await.unwrap()["state"], "queued");
}

async fn the_jobs_of_others_are_not_found(world: World) {
    let job = planting(&world).await;
    let (_, other) = world.other_organization().await;
    refused(other.call("jobs.get", job["id"].clone()).await, 404, "not_found");
    refused(other.call("jobs.cancel", job["id"].clone()).await, 404, "not_found");
    assert!(other.call("jobs.list", json!({})).await.unwrap()["data"].as_array().unwrap().is_empty());
}

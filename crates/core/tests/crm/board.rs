//! The Kanban board.

use dealwright::{
    domain::pipeline::MoverKind,
    services::{contacts::DeleteContact, pipeline::Board},
};

use crate::{
    cases,
    world::{World, refused},
};

cases![each_stage_has_its_count_and_latest_cards, the_number_of_cards_is_bounded];

async fn each_stage_has_its_count_and_latest_cards(world: World) {
    let mut people = Vec::new();
    for name in ["Ada", "Ben", "Cleo", "Dan", "Eve"] {
        people.push(world.contact(name).await);
    }
    world.me.contacts().delete(DeleteContact { id: people[4].id, if_version: None }).await.unwrap();
    world.go(people[1].id, world.stage("won").id).await;
    world.go(people[0].id, world.stage("won").id).await;
    let input = Board { pipeline_id: world.sales.pipeline.id, subject: MoverKind::Contact, limit: Some(1) };
    let board = world.me.pipelines().board(input).await.unwrap();
    assert_eq!(board.pipeline, world.sales.pipeline);
    assert_eq!(board.stages.iter().map(|column| column.stage.clone()).collect::<Vec<_>>(), world.sales.stages);
    assert_eq!(board.stages.iter().map(|column| column.count).collect::<Vec<_>>(), [2, 0, 0, 0, 2, 0]);
    let cards = |place: usize| board.stages[place].cards.iter().map(|card| card.name()).collect::<Vec<_>>();
    assert_eq!((cards(0), cards(1), cards(4)), (vec!["Dan"], vec![], vec!["Ada"]));
    assert!(board.stages.iter().all(|column| column.sums.is_empty()));
    let all = Board { pipeline_id: world.sales.pipeline.id, subject: MoverKind::Contact, limit: None };
    let all = world.me.pipelines().board(all).await.unwrap();
    assert_eq!(all.stages[4].cards.iter().map(|card| card.name()).collect::<Vec<_>>(), ["Ada", "Ben"]);
}

async fn the_number_of_cards_is_bounded(world: World) {
    for limit in [0, 201] {
        let input = Board { pipeline_id: world.sales.pipeline.id, subject: MoverKind::Contact, limit: Some(limit) };
        refused(world.me.pipelines().board(input).await, 400, "invalid_parameter");
    }
    let nowhere = Board { pipeline_id: world.env.id().unwrap(), subject: MoverKind::Contact, limit: None };
    refused(world.me.pipelines().board(nowhere).await, 404, "not_found");
}

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use dealwright::{
    domain::{
        contact::Contact,
        pipeline::{MoverKind, Pipeline, Stage, StageKind, StageMove},
    },
    id::*,
    ports::store::{AnalyticsReads, ConversionFilter, Group, Period, PipelineReads, StageConversion, Write},
    testkit::samples::Samples,
};

use crate::support::{everywhere, fill, walk};

struct History {
    samples: Samples,
    pipelines: Vec<Pipeline>,
    stages: Vec<Stage>,
    contacts: Vec<Contact>,
    moves: Vec<StageMove>,
}

impl History {
    /// Contacts that wander through two pipelines at random.
    fn new(seed: u64) -> Self {
        let mut samples = Samples::new(seed);
        let pipelines = vec![samples.pipeline(), samples.pipeline()];
        let kinds = [StageKind::Open, StageKind::Open, StageKind::Won, StageKind::Lost, StageKind::Open];
        let mut stages = Vec::new();
        for pipeline in &pipelines {
            for (place, kind) in (0..).zip(kinds) {
                stages.push(samples.stage(pipeline, place, kind));
            }
        }
        let mut history = Self { samples, pipelines, stages, contacts: Vec::new(), moves: Vec::new() };
        for _ in 0..60 {
            history.wander();
        }
        history
    }

    fn wander(&mut self) {
        // The last stage of the first pipeline is never entered.
        let stages: Vec<Stage> =
            self.stages.iter().enumerate().filter(|(i, _)| *i != 4).map(|it| it.1.clone()).collect();
        let samples = &mut self.samples;
        let mut stage = samples.choose(&stages);
        let mut contact = samples.contact(&stage);
        let mut at = samples.hour(72);
        let mut here = samples.stage_move(&contact, None, &stage, at);
        for _ in 0..samples.below(6) {
            at += Duration::microseconds(i64::try_from(samples.below(36_000_000_001)).unwrap());
            let next = samples.choose(&stages);
            if next.id == stage.id {
                continue;
            }
            here.left_at = Some(at);
            here.left_to = Some(next.id);
            self.moves.push(here);
            here = samples.stage_move(&contact, Some(&stage), &next, at);
            stage = next;
        }
        (contact.stage_id, contact.pipeline_id) = (stage.id, stage.pipeline_id);
        contact.stage_entered_at = samples.hour(12);
        contact.deleted_at = samples.one_in(8).then_some(at);
        self.moves.push(here);
        self.contacts.push(contact);
    }

    fn rows(&self) -> Vec<Write> {
        let pipelines = self.pipelines.iter().map(Write::insert);
        let stages = self.stages.iter().map(Write::insert);
        let contacts = self.contacts.iter().map(Write::insert);
        pipelines.chain(stages).chain(contacts).chain(self.moves.iter().map(Write::insert)).collect()
    }

    /// Conversion, by a plain fold over everything.
    fn conversion(&self, pipeline: PipelineId, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<StageConversion> {
        let by_id: HashMap<StageId, &Stage> = self.stages.iter().map(|it| (it.id, it)).collect();
        let stages = self.stages.iter().filter(|it| it.pipeline_id == pipeline);
        let fold = |stage: &Stage| {
            let here = |it: &&StageMove| it.to_stage_id == stage.id && it.moved_at >= from && it.moved_at < to;
            let entries: Vec<&StageMove> = self.moves.iter().filter(here).collect();
            let next = |it: &&StageMove| it.left_to.and_then(|id| by_id.get(&id).copied());
            let forward = |next: &&Stage| {
                let later = next.order_index > stage.order_index && next.kind != StageKind::Lost;
                next.pipeline_id == pipeline && (later || next.kind == StageKind::Won)
            };
            let mut spent: Vec<i64> = (entries.iter())
                .filter_map(|it| Some((it.left_at? - it.moved_at).num_microseconds().unwrap()))
                .collect();
            spent.sort();
            StageConversion {
                group: Group::All,
                stage_id: stage.id,
                entered: entries.len() as i64,
                moved_on: entries.iter().filter_map(next).filter(forward).count() as i64,
                lost: entries.iter().filter_map(next).filter(|it| it.kind == StageKind::Lost).count() as i64,
                median_seconds: percentile_cont(&spent),
            }
        };
        stages.map(fold).collect()
    }
}

/// Entries of contacts into the stages of a pipeline, in a period.
fn entries(pipeline: PipelineId, from: DateTime<Utc>, to: DateTime<Utc>) -> ConversionFilter {
    let (subject, period) = (MoverKind::Contact, Period { from, to });
    ConversionFilter { pipeline, subject, period, assigned_to: None, team_id: None, source: None, group_by: None }
}

/// The median as SQL:2003 has it: between the two rows around place (n - 1) / 2, in proportion.
fn percentile_cont(sorted: &[i64]) -> Option<f64> {
    let place = 0.5 * (sorted.len().checked_sub(1)? as f64);
    let (lower, upper) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some((lower as f64 + (upper - lower) as f64 * (place - place.floor())) / 1e6)
}

#[tokio::test(flavor = "multi_thread")]
async fn conversion_is_the_same_fold_on_every_database() {
    let places = everywhere().await;
    for seed in 0..8 {
        let history = History::new(seed);
        let organization = history.samples.organization_id;
        let empty = history.pipelines[0].clone();
        let mut seen = Vec::new();
        for place in &places {
            fill(&place.store, &mut history.samples.clone(), history.rows()).await;
            for (from, to) in [(0, 1_000), (20, 50), (30, 30), (500, 600)] {
                let (from, to) = (Samples::epoch() + Duration::hours(from), Samples::epoch() + Duration::hours(to));
                for pipeline in &history.pipelines {
                    let found = place.store.conversion(organization, &entries(pipeline.id, from, to)).await.unwrap();
                    assert_eq!(found, history.conversion(pipeline.id, from, to), "{} seed {seed}", place.name);
                    seen.extend(found);
                }
            }
            let stranger = Samples::new(seed + 1_000).organization_id;
            let all = (Samples::epoch(), Samples::epoch() + Duration::days(99));
            assert!(place.store.conversion(stranger, &entries(empty.id, all.0, all.1)).await.unwrap().is_empty());
            assert!(
                place
                    .store
                    .conversion(organization, &entries(PipelineId::from(uuid::Uuid::nil()), all.0, all.1))
                    .await
                    .unwrap()
                    .is_empty()
            );
        }
        assert!(seen.iter().any(|it| it.entered == 0 && it.median_seconds.is_none()));
        assert!(seen.iter().any(|it| it.moved_on > 0) && seen.iter().any(|it| it.lost > 0));
        assert!(seen.iter().any(|it| it.median_seconds.is_some_and(|median| median.fract() != 0.0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_counts_all_and_shows_the_latest_entries() {
    let places = everywhere().await;
    for seed in 20..24 {
        let history = History::new(seed);
        let organization = history.samples.organization_id;
        for place in &places {
            fill(&place.store, &mut history.samples.clone(), history.rows()).await;
            for (pipeline, cards) in history.pipelines.iter().flat_map(|it| [(it, 0), (it, 3), (it, 200)]) {
                let board = place.store.board(organization, pipeline.id, cards).await.unwrap();
                let stages = history.stages.iter().filter(|it| it.pipeline_id == pipeline.id);
                assert_eq!(board.len(), stages.clone().count(), "stages without contacts appear too");
                for (column, stage) in board.iter().zip(stages) {
                    let mut live: Vec<&Contact> = (history.contacts.iter())
                        .filter(|it| it.stage_id == stage.id && it.deleted_at.is_none())
                        .collect();
                    live.sort_by_key(|it| std::cmp::Reverse((it.stage_entered_at, it.id)));
                    assert_eq!((column.stage_id, column.count), (stage.id, live.len() as i64), "{}", place.name);
                    live.truncate(cards as usize);
                    assert_eq!(column.cards.iter().collect::<Vec<_>>(), live, "{}", place.name);
                }
            }
            let stranger = Samples::new(seed + 1_000).organization_id;
            assert!(place.store.board(stranger, history.pipelines[0].id, 9).await.unwrap().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_of_many_stages_is_whole() {
    let mut samples = Samples::new(30);
    let pipeline = samples.pipeline();
    let stages: Vec<Stage> = (0..450).map(|place| samples.stage(&pipeline, place, StageKind::Open)).collect();
    let contacts: Vec<Contact> = stages.iter().map(|stage| samples.contact(stage)).collect();
    for place in everywhere().await {
        let rows = std::iter::once(Write::insert(&pipeline)).chain(stages.iter().map(Write::insert));
        let rows = rows.chain(contacts.iter().map(Write::insert)).collect::<Vec<_>>();
        fill(&place.store, &mut samples.clone(), rows).await;
        let board = place.store.board(samples.organization_id, pipeline.id, 5).await.unwrap();
        let cards: Vec<&Contact> = board.iter().flat_map(|it| &it.cards).collect();
        assert_eq!(cards, contacts.iter().collect::<Vec<_>>(), "{}", place.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_s_history_comes_newest_first() {
    let history = History::new(40);
    let organization = history.samples.organization_id;
    for place in everywhere().await {
        fill(&place.store, &mut history.samples.clone(), history.rows()).await;
        for contact in &history.contacts {
            let mut expected: Vec<&StageMove> =
                history.moves.iter().filter(|it| it.contact_id == Some(contact.id)).collect();
            expected.sort_by_key(|it| std::cmp::Reverse((it.moved_at, it.id)));
            let found =
                walk(2, async |page| place.store.stage_history(organization, contact.id.into(), &page).await).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{}", place.name);
            let one = place.store.stage_move(organization, expected[0].id).await.unwrap();
            assert_eq!(one.as_ref(), Some(expected[0]));
            let stranger = Samples::new(41).organization_id;
            assert_eq!(place.store.stage_move(stranger, expected[0].id).await.unwrap(), None);
        }
        let mut stages = history.stages.clone();
        stages.sort_by_key(|it| (it.pipeline_id, it.order_index));
        assert_eq!(place.store.stages(organization).await.unwrap(), stages);
        let mut pipelines = history.pipelines.clone();
        pipelines.sort_by_key(|it| (it.created_at, it.id));
        assert_eq!(place.store.pipelines(organization).await.unwrap(), pipelines);
    }
}

//! Answers that tell of contacts, companies and deals: whatever a role hides of them is emptied here, whichever way it comes.

use crate::{
    domain::{company::Company, contact::Contact, custom_field::Noun, deal::Deal, restricted::mask},
    doors::operation::Output,
    scope::FieldRules,
    services::{
        activities::TimelineItem,
        pipeline::{BoardView, Card},
    },
};

macro_rules! masked_outputs {
    ($($type:ty),*) => { $(impl Output for $type {
        fn mask(&mut self, rules: &FieldRules) {
            mask(self, rules);
        }
    })* };
}

masked_outputs!(Contact, Company, Deal);

impl Output for BoardView {
    fn mask(&mut self, rules: &FieldRules) {
        for stage in &mut self.stages {
            if rules.hides(Noun::Deal.as_str(), "value") {
                stage.sums.clear();
            }
            for card in &mut stage.cards {
                match card {
                    Card::Contact(contact) => mask(contact, rules),
                    Card::Deal(deal) => mask(deal, rules),
                }
            }
        }
    }
}

impl Output for TimelineItem {
    fn mask(&mut self, rules: &FieldRules) {
        if let Some(deal) = &mut self.deal {
            mask(deal, rules);
        }
    }
}

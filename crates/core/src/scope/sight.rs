//! Which contacts and deals a caller sees.

use std::sync::Arc;

use crate::id::{TeamId, UserId};

/// Which contacts and deals somebody sees, and with them their notes, tasks, conversations and history. What nobody looks
/// after, neither a member nor a team, is seen by all: else nobody could take it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// All.
    Organization,
    /// Those of this member and of these teams, and what nobody looks after.
    Limited {
        /// The member.
        user: UserId,
        /// Whose records they see beside their own; none: their own alone.
        teams: Arc<[TeamId]>,
    },
}

impl Sight {
    /// Whether a contact or deal is seen that these look after.
    pub fn sees(&self, assigned_to: Option<UserId>, team: Option<TeamId>) -> bool {
        match self {
            Self::Organization => true,
            Self::Limited { user, teams } => match (assigned_to, team) {
                (None, None) => true,
                (assigned_to, team) => assigned_to == Some(*user) || team.is_some_and(|team| teams.contains(&team)),
            },
        }
    }

    /// Whether anything is out of sight.
    pub fn is_limited(&self) -> bool {
        matches!(self, Self::Limited { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;

    #[test]
    fn what_nobody_looks_after_is_seen_by_all() {
        let [me, other] = [1, 2].map(|n| UserId::from_uuid(uuid::Uuid::from_u128(n)));
        let [ours, theirs] = [3, 4].map(|n| TeamId::from_uuid(uuid::Uuid::from_u128(n)));
        let own = Sight::Limited { user: me, teams: Arc::default() };
        let team = Sight::Limited { user: me, teams: [ours].into() };
        let all = Sight::Organization;
        // Who looks after it, and whether it is seen with no team, with one, with no limit.
        for (assigned_to, of_team, seen) in [
            (None, None, [true, true, true]),
            (Some(me), None, [true, true, true]),
            (Some(me), Some(theirs), [true, true, true]),
            (Some(other), Some(ours), [false, true, true]),
            (None, Some(ours), [false, true, true]),
            (Some(other), None, [false, false, true]),
            (None, Some(theirs), [false, false, true]),
        ] {
            assert_eq!(
                [&own, &team, &all].map(|it| it.sees(assigned_to, of_team)),
                seen,
                "{assigned_to:?} {of_team:?}"
            );
        }
    }
}

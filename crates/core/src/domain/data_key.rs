//! The keys under which secrets lie, themselves sealed ("wrapped") by a master key of the key file: one at a time for each
//! organisation, and one for what is people's own.

use chrono::{DateTime, Utc};

use crate::{
    cipher::Place,
    error::Result,
    id::{DataKeyId, OrganizationId},
};

/// A master key that data keys were wrapped by. As long as one is, its row cannot be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterKey {
    /// Its public name, the beginning of its SHA-256. Itself it lies in the key file alone.
    pub id: String,
    /// When it first wrapped a key.
    pub created_at: DateTime<Utc>,
}

/// The key of an organisation's secrets.
#[derive(Clone, PartialEq)]
pub struct DataKey {
    /// Its id, which everything that it seals names.
    pub id: DataKeyId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Which master key wraps it; none once it was destroyed.
    pub master_key: Option<String>,
    /// The key, wrapped; nothing once it was destroyed, and with it all that it sealed.
    pub wrapped: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when it seals no more. It is removed once nothing names it.
    pub retired_at: Option<DateTime<Utc>>,
}

/// The key of the secrets of people, who belong to no organisation, and of those who sign in.
#[derive(Clone, PartialEq)]
pub struct CommonKey {
    /// Its id, which everything that it seals names.
    pub id: DataKeyId,
    /// Which master key wraps it.
    pub master_key: Option<String>,
    /// The key, wrapped.
    pub wrapped: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when it seals no more. The first of a rotation to be retired, it is the last to be removed.
    pub retired_at: Option<DateTime<Utc>>,
}

/// What both kinds of data keys have.
pub trait Wrapped {
    /// Its id.
    fn id(&self) -> DataKeyId;
    /// Where it lies.
    fn place(&self) -> Place;
    /// The master key that wraps it, and the wrapped key; nothing if it was destroyed.
    fn wrapped(&self) -> Option<(&str, &[u8])>;
    /// When it was made.
    fn created_at(&self) -> DateTime<Utc>;
    /// Since when it seals no more.
    fn retired_at(&self) -> Option<DateTime<Utc>>;
}

macro_rules! wrapped {
    ($type:ident, $key:ident => $place:expr) => {
        impl Wrapped for $type {
            fn id(&self) -> DataKeyId {
                self.id
            }

            fn place(&self) -> Place {
                let $key = self;
                $place
            }

            fn wrapped(&self) -> Option<(&str, &[u8])> {
                self.master_key.as_deref().zip(self.wrapped.as_deref())
            }

            fn created_at(&self) -> DateTime<Utc> {
                self.created_at
            }

            fn retired_at(&self) -> Option<DateTime<Utc>> {
                self.retired_at
            }
        }
    };
}

wrapped!(DataKey, key => Self::place_of(key.organization_id, key.id));
wrapped!(CommonKey, key => Self::place_of(key.id));

impl DataKey {
    /// Where one lies.
    pub fn place_of(organization: OrganizationId, id: DataKeyId) -> Place {
        Place::of_organization(organization, "data_keys", "wrapped", &id.to_string())
    }
}

impl CommonKey {
    /// Where one lies.
    pub fn place_of(id: DataKeyId) -> Place {
        Place::of_nobody("common_keys", "wrapped", &id.to_string())
    }
}

/// A row that keeps something sealed.
pub trait Sealed: Sized {
    /// Where it lies.
    fn place(&self) -> Place;
    /// The data key that sealed it, and what it sealed; nothing if nothing is sealed there any more.
    ///
    /// # Errors
    /// `internal` if it is no form of ours.
    fn sealed(&self) -> Result<Option<(DataKeyId, Vec<u8>)>>;
    /// The same row, sealed anew.
    #[must_use]
    fn sealed_anew(&self, key: DataKeyId, sealed: Vec<u8>) -> Self;
}

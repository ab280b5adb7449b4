//! The table itself, room by room. A new operation is one line here, one verb in `services/`, one line in the server's
//! route table and one scenario.

use crate::{
    doors::operation::{Operation, json_outputs, room},
    services,
};

/// Every operation, room by room.
pub(crate) const OPERATIONS: &[&[Operation]] = &[PROFILE];

json_outputs!(services::profile::Profile);

room! {
    /// Who one is.
    profile Profile (PROFILE);

    /// Answers the caller's own profile.
    Query get(()) -> services::profile::Profile [read Profile] services::profile::get;
}

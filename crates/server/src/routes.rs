//! The table of routes: every operation's address. What is not an operation (signing in, media, health) is in
//! `shell/`.

use crate::route::{Route, get};

/// Every route of an operation.
pub const ROUTES: &[&[Route]] = &[PROFILE];

const PROFILE: &[Route] = &[get("/api/users/profile", "profile.get")];

/// Every route of an operation, in order.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().copied().flatten()
}

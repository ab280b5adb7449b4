//! How long each kind of thing is kept (`policy`), and the job that clears what is older, page by page (`run`). It walks by
//! ids, which tell when rows came to be, from where it was the last time: what was cleared is not looked at again.

mod policy;
mod run;
mod walks;

pub use self::policy::{RetentionProgress, RetentionView};
pub(crate) use self::{
    policy::{get, replace},
    run::{prepare, step},
};

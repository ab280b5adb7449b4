//! Real servers that the tests and the demo run against: PostgreSQL, Redis, a mail system, S3, providers of sign-ins, a browser, Socket.IO clients.
//!
//! Each runs in a temporary folder on free ports of the loopback interface, and ends with the value that started it or
//! with the process, however that dies. Nothing here ships: only tests, `xtask` and examples may depend on this crate.

mod install;
mod machine;
mod mail;
mod ports;
mod postgres;
mod process;
pub mod product;
mod proxy;
mod redis;
mod s3;
mod schemathesis;
mod shared;
mod sign_in;
mod socketio;

pub use install::install;
pub use machine::{TEST_MAIL, TEST_POSTGRES, TEST_S3, cache_dir, variable};
pub use mail::{Mail, MailPorts};
pub use ports::{Port, free as free_port};
pub use postgres::{Postgres, Urls, pg_dump, psql};
pub use proxy::{Counts, Direction, Fault, Place, Proxy};
pub use redis::Redis;
pub use s3::S3;
pub use schemathesis::{Report as SchemathesisReport, Schemathesis};
pub use shared::{shared_mail, shared_postgres, shared_s3};
pub use sign_in::{Browser, SignInPeer};
pub use socketio::{Heard, SocketIoClient, Transport};

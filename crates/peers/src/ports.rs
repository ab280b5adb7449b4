//! Free ports on the loopback interface. A port is this process's own, also while its server is down, so that a server
//! can be stopped and come back at the same address.

use std::{fs::File, net::TcpListener};

use anyhow::{Result, bail};

use crate::machine;

/// Below the range the kernel takes outgoing ports from (32768–60999 on Linux): a client's connection to anywhere can
/// never sit on a server's port while that server is down.
const FIRST: u16 = 20_000;
const COUNT: u32 = 12_000;

/// A port nobody listens on and no other process of this crate may take, for as long as this value lives.
#[derive(Debug)]
pub struct Port {
    /// The port's number.
    pub number: u16,
    _held: File,
}

/// Takes a free port.
///
/// # Errors
/// When there is none.
pub fn free() -> Result<Port> {
    let locks = machine::cache_dir()?.join("ports");
    std::fs::create_dir_all(&locks)?;
    // Processes that start together begin at different places.
    let start = std::process::id().wrapping_mul(97) % COUNT;
    for step in 0..COUNT {
        let number = FIRST + u16::try_from((start + step) % COUNT)?;
        let Some(held) = machine::try_lock(&locks.join(number.to_string()))? else { continue };
        if TcpListener::bind(("127.0.0.1", number)).is_ok() {
            return Ok(Port { number, _held: held });
        }
    }
    bail!("no free port on 127.0.0.1 between {FIRST} and {}", u32::from(FIRST) + COUNT - 1)
}

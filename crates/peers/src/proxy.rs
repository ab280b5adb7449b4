//! A line on the loopback interface that breaks when it is told to: a proxy between a client under test and a real server.
//!
//! What comes from one side in one piece and is given to the other is a *step*. A test first runs over a sound line, which
//! counts the steps, and then once for each of them with a fault there.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result};

/// What the line does to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Closes the connection in place of the step; others, and new ones, are sound.
    Cut,
    /// Gives half of the step, then closes the connection; others, and new ones, are sound.
    Truncate,
    /// Closes every connection, and each new one as soon as it is made, until the fault is lifted.
    Refuse,
    /// Takes everything and gives nothing on, in either direction, until the fault is lifted. What was taken then goes on
    /// its way, as after a network was away: late, perhaps when nobody waits for it any more.
    Silence,
    /// Gives each step on so much later, until the fault is lifted.
    Delay(Duration),
}

/// Where a fault strikes, counted from when it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At once, before anything else is given on.
    Now,
    /// At the n-th step, from 1.
    Step(u64),
    /// At the step that would take more than so many bytes in this direction.
    Bytes(Direction, u64),
    /// At the answer to the n-th step to the server that holds these bytes, from 1: what was asked for happens, and nobody
    /// is told.
    Answer(&'static [u8], u64),
}

/// Which way a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What went over a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections that were made.
    pub connections: u64,
    /// Steps, in both directions.
    pub steps: u64,
    /// Bytes to the server.
    pub to_server: u64,
    /// Bytes to the client.
    pub to_client: u64,
    /// Steps to the server that held what [`Place::Answer`] asks for.
    pub matches: u64,
    /// Whether the fault has struck.
    pub struck: bool,
}

/// The line; it ends with the value, and its connections with it.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    line: Arc<Line>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    armed: Option<(Place, Fault)>,
    /// What holds for all connections until it is lifted.
    outage: Option<Fault>,
    over: bool,
    connections: Vec<Weak<Pair>>,
}

/// A connection's two ends.
#[derive(Debug)]
struct Pair {
    client: TcpStream,
    server: TcpStream,
}

impl Pair {
    fn close(&self) {
        // One that is closed already is as wanted.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

impl Proxy {
    /// A sound line to a server on 127.0.0.1.
    ///
    /// # Errors
    /// When the machine gives no port or no thread.
    pub fn to(server: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("open a proxy")?;
        let port = listener.local_addr()?.port();
        let line = Arc::new(Line::default());
        let held = line.clone();
        let listening = spawn(move || held.listen(&listener, (Ipv4Addr::LOCALHOST, server).into()))?;
        Ok(Self { port, line, listening: Some(listening) })
    }

    /// Where to connect to, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Counts from nothing, on a sound line.
    pub fn count(&self) {
        self.change(|state| (state.armed, state.outage, state.counts) = (None, None, Counts::default()));
    }

    /// Counts from nothing, and breaks at `place`.
    pub fn arm(&self, place: Place, fault: Fault) {
        self.change(|state| {
            (state.armed, state.outage, state.counts) = (Some((place, fault)), None, Counts::default());
            if place == Place::Now {
                state.strike(fault);
            }
        });
    }

    /// Makes the line sound again; tells what went over it since it was armed.
    pub fn lift(&self) -> Counts {
        self.change(|state| {
            (state.armed, state.outage) = (None, None);
            state.counts
        })
    }

    /// What went over the line since it was told to count.
    pub fn counts(&self) -> Counts {
        self.line.state().counts
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let answer = change(&mut self.line.state());
        self.line.changed.notify_all();
        answer
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|state| {
            state.over = true;
            state.close_all();
        });
        // Wakes the listener, which looks whether it is over.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

impl State {
    /// Counts a step; answers the fault that strikes it, if one does.
    fn struck_by(&mut self, direction: Direction, chunk: &[u8]) -> Option<Fault> {
        self.counts.steps += 1;
        let bytes = match direction {
            Direction::ToServer => &mut self.counts.to_server,
            Direction::ToClient => &mut self.counts.to_client,
        };
        *bytes += chunk.len() as u64;
        let bytes = *bytes;
        let (place, fault) = self.armed?;
        let strikes = match place {
            Place::Now => false,
            Place::Step(step) => self.counts.steps == step,
            Place::Bytes(way, limit) => way == direction && bytes > limit,
            Place::Answer(wanted, nth) if direction == Direction::ToServer => {
                let is_match = chunk.windows(wanted.len().max(1)).any(|it| it == wanted);
                self.counts.matches += u64::from(is_match && self.counts.matches < nth);
                false
            }
            Place::Answer(_, nth) => self.counts.matches == nth,
        };
        if strikes {
            self.strike(fault);
        }
        strikes.then_some(fault)
    }

    fn strike(&mut self, fault: Fault) {
        self.counts.struck = true;
        self.armed = None;
        match fault {
            Fault::Cut | Fault::Truncate => {}
            Fault::Silence | Fault::Delay(_) => self.outage = Some(fault),
            Fault::Refuse => {
                self.outage = Some(fault);
                self.close_all();
            }
        }
    }

    fn close_all(&mut self) {
        self.connections.drain(..).filter_map(|pair| pair.upgrade()).for_each(|pair| pair.close());
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(self: &Arc<Self>, listener: &TcpListener, server: SocketAddr) {
        for client in listener.incoming() {
            let mut state = self.state();
            if state.over {
                return;
            }
            state.counts.connections += 1;
            if state.outage == Some(Fault::Refuse) {
                continue;
            }
            drop(state);
            // A client or a server that has gone meanwhile is an end of this connection alone.
            let Ok(client) = client else { continue };
            let Ok(server) = TcpStream::connect(server) else { continue };
            let _ = self.join(client, server);
        }
    }

    /// Carries both ways until one end closes.
    fn join(self: &Arc<Self>, client: TcpStream, server: TcpStream) -> Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let pair = Arc::new(Pair { client, server });
        let mut state = self.state();
        state.connections.retain(|pair| pair.strong_count() > 0);
        state.connections.push(Arc::downgrade(&pair));
        drop(state);
        for direction in [Direction::ToServer, Direction::ToClient] {
            let (line, pair) = (self.clone(), pair.clone());
            spawn(move || {
                if line.carry(&pair, direction).is_err() {
                    pair.close();
                }
            })?;
        }
        Ok(())
    }

    fn carry(&self, pair: &Pair, direction: Direction) -> Result<()> {
        let (mut from, mut to) = match direction {
            Direction::ToServer => (&pair.client, &pair.server),
            Direction::ToClient => (&pair.server, &pair.client),
        };
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let size = from.read(&mut buffer)?;
            let chunk = buffer.get(..size).unwrap_or_default();
            if chunk.is_empty() {
                return Ok(to.shutdown(Shutdown::Write)?);
            }
            let fault = self.state().struck_by(direction, chunk);
            match fault {
                Some(Fault::Cut | Fault::Refuse) => {
                    pair.close();
                    return Ok(());
                }
                Some(Fault::Truncate) => {
                    to.write_all(chunk.get(..size / 2).unwrap_or_default())?;
                    pair.close();
                    return Ok(());
                }
                Some(Fault::Silence | Fault::Delay(_)) | None => self.wait(),
            }
            to.write_all(chunk)?;
        }
    }

    /// As long as the present outage wants a step to wait.
    fn wait(&self) {
        let mut state = self.state();
        if let Some(Fault::Delay(by)) = state.outage {
            drop(state);
            return std::thread::sleep(by);
        }
        while state.outage == Some(Fault::Silence) && !state.over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn spawn(body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new().name("proxy".to_owned()).spawn(body).context("start a thread of a proxy")
}

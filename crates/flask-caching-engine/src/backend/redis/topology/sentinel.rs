//! A master and its replicas, named by sentinels.
//!
//! How a client finds its way: <https://redis.io/docs/latest/develop/reference/sentinel-clients/>.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::known_servers::KnownServers;
use super::single;
use super::view::Latest;
use super::{Request, Topology};
use crate::backend::redis::config::{ConnectionConfig, Endpoint};
use crate::backend::redis::fault;
use crate::backend::redis::recent::Recent;
use crate::backend::redis::resp::Reply;
use crate::backend::redis::server::{Batch, Operation, Server};
use crate::per_process::PerProcess;
use crate::resilience::{Deadline, ServerHealth};
use crate::telemetry::contacted;
use crate::{Error, ErrorKind, Result, clock};

/// How often the sentinels are asked where nothing goes wrong.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// The end of the keys under which the versions of memoized functions are, and that which stands for all
/// tags: always read from the master, because every other key depends on them.
const VERSION_KEY: &[u8] = b"_memver";
const TAGS_KEY: &[u8] = b"_tags";

/// The message of the error that no sentinel has named a master.
pub const NO_MASTER: &str = "no sentinel names a master that can be used";

/// How to find the master.
#[derive(Clone, Debug)]
pub struct SentinelConfig {
    /// Where the sentinels listen.
    pub sentinels: Vec<Endpoint>,
    /// The name they know the master by.
    pub master_name: String,
    /// How to connect to a sentinel.
    pub connection: ConnectionConfig,
    /// A sentinel is believed only where it knows at least this many others.
    pub min_other_sentinels: u64,
}

pub(in crate::backend::redis) struct Sentinel {
    sentinels: Vec<Server>,
    master_name: String,
    min_other_sentinels: u64,
    target: String,
    state: PerProcess<State>,
}

struct State {
    known_servers: KnownServers,
    latest: Latest<View>,
    recent: Recent,
    turn: AtomicUsize,
}

struct View {
    master: Arc<Server>,
    replicas: Vec<Arc<Server>>,
}

impl Sentinel {
    pub(in crate::backend::redis) fn new(
        config: SentinelConfig,
        connection: ConnectionConfig,
    ) -> Self {
        let sentinels = config
            .sentinels
            .into_iter()
            .map(|endpoint| Server::new(endpoint, config.connection.clone()))
            .collect();
        let target = format!("the master {:?}", config.master_name);
        Self {
            sentinels,
            target: target.clone(),
            master_name: config.master_name,
            min_other_sentinels: config.min_other_sentinels,
            state: PerProcess::new(move || State {
                known_servers: KnownServers::new(connection.clone()),
                latest: Latest::new(target.clone(), ASK_AGAIN),
                recent: Recent::new(),
                turn: AtomicUsize::new(0),
            }),
        }
    }

    fn view(&self, operation: Operation, deadline: Deadline) -> Result<Arc<View>> {
        let latest = &self.state.get().latest;
        latest.get(operation.name, deadline, |_| self.look(operation, deadline))
    }

    /// Asks the sentinels, one after the other, until one names a master that agrees.
    fn look(&self, operation: Operation, deadline: Deadline) -> Result<View> {
        let mut failure = None;
        for (asked, sentinel) in self.sentinels.iter().enumerate() {
            let others = u32::try_from(self.sentinels.len() - asked).unwrap_or(1);
            let Ok(left) = deadline.remaining() else {
                break;
            };
            // One that hangs leaves time for the others.
            let look = || self.look_at(sentinel, deadline.at_most(left / others));
            match contacted::aside(look) {
                Ok(view) => return Ok(view),
                Err(error) => failure = Some(error),
            }
        }
        let error = Error::new(
            ErrorKind::Unavailable,
            operation.name,
            self.target.clone(),
            NO_MASTER,
        );
        Err(match failure {
            Some(cause) => error.with_source(cause),
            None => error,
        })
    }

    fn look_at(&self, sentinel: &Server, deadline: Deadline) -> Result<View> {
        let operation = Operation::read("sentinel");
        let name = self.master_name.as_bytes();
        let mut batch = Batch::of(&[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name]);
        batch.push(&[b"SENTINEL", b"REPLICAS", name]);
        if self.min_other_sentinels > 0 {
            batch.push(&[b"SENTINEL", b"SENTINELS", name]);
        }
        let wrong = |message: String| {
            let target = sentinel.endpoint().to_string();
            Error::new(ErrorKind::Unavailable, operation.name, target, message)
        };
        let mut replies = sentinel.exchange(operation, &batch, deadline)?.into_iter();
        let endpoint = match replies.next() {
            Some(Reply::Array(parts)) => endpoint(&parts),
            Some(Reply::Error(message)) => {
                return Err(fault::server(operation.name, sentinel.endpoint(), &message));
            }
            _ => None,
        }
        .ok_or_else(|| wrong(format!("it knows no master {:?}", self.master_name)))?;
        let replicas = match replies.next() {
            Some(Reply::Array(replicas)) => replicas,
            _ => Vec::new(),
        };
        if let Some(Reply::Array(others)) = replies.next()
            && (others.len() as u64) < self.min_other_sentinels
        {
            return Err(wrong(format!("it knows {} other sentinels", others.len())));
        }
        let known_servers = &self.state.get().known_servers;
        let master = known_servers.server(&endpoint);
        let role = master.exchange(operation, &Batch::of(&[b"ROLE"]), deadline)?;
        match role.first() {
            Some(Reply::Array(role)) if role.first() != Some(&Reply::Data(b"master".into())) => {
                return Err(wrong(format!("{endpoint} is not a master (any more)")));
            }
            // A server may forbid the question: it is a master until it says otherwise.
            _ => {}
        }
        Ok(View {
            master,
            replicas: replicas
                .iter()
                .filter_map(usable_replica)
                .map(|endpoint| known_servers.server(&endpoint))
                .collect(),
        })
    }

    /// Notes the keys of an operation that writes: replicas may not have what it wrote.
    fn note_written<'k>(&self, operation: Operation, keys: impl Iterator<Item = &'k [u8]>) {
        if operation.writes {
            let now = clock::steady();
            keys.for_each(|key| self.state.get().recent.note(key, now));
        }
    }

    /// Whether `key` is to be read from the master.
    fn needs_master(&self, key: &[u8]) -> bool {
        is_version(key) || self.state.get().recent.covers(key, clock::steady())
    }

    fn ask_master(
        &self,
        operation: Operation,
        requests: &[Request<'_>],
        deadline: Deadline,
    ) -> Result<Vec<(Reply, Arc<Server>)>> {
        let view = self.view(operation, deadline)?;
        let left_alone = view.master.is_left_alone();
        let outcome = single::exchange_with(&view.master, operation, requests, deadline);
        let (demoted, failed) = match &outcome {
            Ok(replies) => (replies.iter().any(|(reply, _)| is_demoted(reply)), false),
            Err(_) => (false, true),
        };
        if !demoted && !failed {
            return outcome;
        }
        // A demoted master did nothing, and one that is left alone was not asked.
        let untouched = demoted || left_alone;
        let latest = &self.state.get().latest;
        let renewed = latest.renew(&view, operation.name, deadline, |_| {
            self.look(operation, deadline)
        })?;
        if Arc::ptr_eq(&renewed.master, &view.master) || !(untouched || operation.repeatable) {
            return outcome;
        }
        single::exchange_with(&renewed.master, operation, requests, deadline)
    }

    fn ask_replica(
        &self,
        operation: Operation,
        requests: &[Request<'_>],
        deadline: Deadline,
    ) -> Result<Vec<(Reply, Arc<Server>)>> {
        let view = self.view(operation, deadline)?;
        let turn = self.state.get().turn.fetch_add(1, Ordering::Relaxed);
        let count = view.replicas.len();
        let replica = (0..count)
            .map(|offset| &view.replicas[(turn % count + offset) % count])
            .find(|replica| !replica.is_left_alone())
            .or_else(|| view.replicas.first());
        if let Some(replica) = replica
            && let Ok(left) = deadline.remaining()
        {
            // The other half is the master's, should this one hang.
            let half = deadline.at_most(left / 2);
            if let Ok(replies) = single::exchange_with(replica, operation, requests, half)
                && !replies.iter().any(|(reply, _)| cannot_serve(reply))
            {
                return Ok(replies);
            }
        }
        self.ask_master(operation, requests, deadline)
    }
}

impl Topology for Sentinel {
    fn parts(&self, operation: Operation, keys: &[&[u8]]) -> Vec<Vec<usize>> {
        self.note_written(operation, keys.iter().copied());
        if operation.writes || operation.reads_latest {
            return vec![(0..keys.len()).collect()];
        }
        let (from_master, from_replica): (Vec<_>, Vec<_>) =
            (0..keys.len()).partition(|&place| self.needs_master(keys[place]));
        [from_master, from_replica]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect()
    }

    fn look_again(
        &self,
        operation: Operation,
        deadline: Deadline,
    ) -> Result<(Vec<Arc<Server>>, u64)> {
        let view = self.view(operation, deadline)?;
        let latest = &self.state.get().latest;
        let view = latest.renew(&view, operation.name, deadline, |_| {
            self.look(operation, deadline)
        })?;
        Ok((vec![Arc::clone(&view.master)], 0))
    }

    fn ask_whom(
        &self,
        operation: Operation,
        requests: &[Request<'_>],
        deadline: Deadline,
    ) -> Result<Vec<(Reply, Arc<Server>)>> {
        self.note_written(operation, requests.iter().map(|it| it.key));
        if operation.writes || operation.reads_latest {
            return self.ask_master(operation, requests, deadline);
        }
        // Reads come one by one, in the two parts made above, or are about one key.
        let from_master: Vec<bool> = requests
            .iter()
            .map(|it| self.needs_master(it.key))
            .collect();
        if !from_master.contains(&true) {
            return self.ask_replica(operation, requests, deadline);
        }
        if !from_master.contains(&false) {
            return self.ask_master(operation, requests, deadline);
        }
        let mut replies = Vec::with_capacity(requests.len());
        for (request, from_master) in requests.iter().zip(from_master) {
            let request = std::slice::from_ref(request);
            replies.extend(if from_master {
                self.ask_master(operation, request, deadline)?
            } else {
                self.ask_replica(operation, request, deadline)?
            });
        }
        Ok(replies)
    }

    fn masters(&self, operation: Operation, deadline: Deadline) -> Result<Vec<Arc<Server>>> {
        let state = self.state.get();
        if operation.writes {
            state.recent.note_all(clock::steady());
        }
        let mut view = self.view(operation, deadline)?;
        if view.master.is_left_alone() {
            view = state.latest.renew(&view, operation.name, deadline, |_| {
                self.look(operation, deadline)
            })?;
        }
        Ok(vec![Arc::clone(&view.master)])
    }

    fn server_health(&self) -> Vec<ServerHealth> {
        let mut known = self.state.get().known_servers.server_health();
        known.extend(self.sentinels.iter().map(Server::health));
        known
    }

    fn target(&self) -> &str {
        &self.target
    }
}

/// Whether a version is under `key`, of a memoized function or of a tag: what is deleted is to be a miss
/// at once. Other keys that look like one are read from the master as well.
fn is_version(key: &[u8]) -> bool {
    let of_tag = |part: &[u8]| matches!(part, b"_tag:" | b"_tag#");
    key.ends_with(VERSION_KEY) || key.ends_with(TAGS_KEY) || key.windows(5).any(of_tag)
}

/// Whether a server says that it is no master, or not yet one.
fn is_demoted(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(message) if fault::code(message) == "READONLY")
}

/// Reads whatever a sentinel says of a master or a replica.
#[cfg(any(test, fuzzing))]
pub(in crate::backend::redis) fn understand(reply: &Reply) {
    let _ = (
        is_demoted(reply),
        cannot_serve(reply),
        usable_replica(reply),
    );
    if let Reply::Array(parts) = reply {
        let _ = endpoint(parts);
    }
}

fn cannot_serve(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(message) if fault::kind_of(message) == ErrorKind::Unavailable)
}

fn endpoint(parts: &[Reply]) -> Option<Endpoint> {
    let [Reply::Data(host), Reply::Data(port)] = parts else {
        return None;
    };
    let host = String::from_utf8(host.clone()).ok()?;
    let port = std::str::from_utf8(port).ok()?.parse().ok()?;
    Some(Endpoint::Tcp(host, port))
}

/// Where a replica listens, if it is connected, up and following its master.
fn usable_replica(fields: &Reply) -> Option<Endpoint> {
    let Reply::Array(fields) = fields else {
        return None;
    };
    let field = |name: &[u8]| {
        fields.chunks_exact(2).find_map(|pair| match pair {
            [Reply::Data(key), Reply::Data(value)] if key == name => Some(value.as_slice()),
            _ => None,
        })
    };
    let flags = String::from_utf8_lossy(field(b"flags")?);
    let down = flags
        .split(',')
        .any(|flag| matches!(flag, "s_down" | "o_down" | "disconnected"));
    if down || field(b"master-link-status") != Some(b"ok") {
        return None;
    }
    endpoint(&[
        Reply::Data(field(b"ip")?.to_vec()),
        Reply::Data(field(b"port")?.to_vec()),
    ])
}

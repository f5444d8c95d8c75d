//! A cluster: every key belongs to one of 16384 slots, every slot to one master.

mod slots;

use std::sync::Arc;
use std::time::Duration;

use super::known_servers::KnownServers;
use super::view::Latest;
use super::{Request, Topology};
use crate::backend::redis::config::{ConnectionConfig, Endpoint};
use crate::backend::redis::resp::Reply;
use crate::backend::redis::server::{Batch, Operation, Server};
use crate::per_process::PerProcess;
use crate::resilience::{Deadline, ServerHealth};
use crate::telemetry::contacted;
use crate::{Error, ErrorKind, Result};
use slots::{Layout, redirection, slot};

/// How often a node is asked for the layout where nothing goes wrong.
const ASK_AGAIN: Duration = Duration::from_secs(300);
/// A key that is sent on more often than this is sent in circles.
const MOST_ROUNDS: usize = 5;
/// What one node needs even if another one used up the deadline, so that it is not taken for slow.
const GRACE: Duration = Duration::from_millis(25);

pub(in crate::backend::redis) struct Cluster {
    seeds: Vec<Endpoint>,
    target: String,
    state: PerProcess<State>,
}

struct State {
    known_servers: KnownServers,
    latest: Latest<View>,
}

struct View {
    layout: Layout,
    masters: Vec<Arc<Server>>,
}

/// Where a request goes next.
#[derive(Clone)]
struct Route {
    /// Its place among the requests.
    request: usize,
    server: Arc<Server>,
    /// It is answered there this once, because its slot is on the move.
    asking: bool,
}

/// The requests of one round that go to one server.
struct Group {
    server: Arc<Server>,
    routes: Vec<Route>,
    batch: Batch,
}

impl Cluster {
    /// Where a request goes next that `server` sends on to another.
    fn sent_on(&self, route: &Route, reply: &Reply, server: &Server) -> Option<Route> {
        let Reply::Error(message) = reply else {
            return None;
        };
        let (asking, endpoint) = redirection(message, server.endpoint())?;
        let state = self.state.get();
        if !asking {
            state.latest.doubt();
        }
        Some(Route {
            request: route.request,
            server: state.known_servers.server(&endpoint),
            asking,
        })
    }

    pub(in crate::backend::redis) fn new(seeds: Vec<Endpoint>, config: ConnectionConfig) -> Self {
        let names: Vec<String> = seeds.iter().map(Endpoint::to_string).collect();
        let target = format!("the cluster of {}", names.join(", "));
        Self {
            target: target.clone(),
            seeds,
            state: PerProcess::new(move || State {
                known_servers: KnownServers::new(config.clone()),
                latest: Latest::new(target.clone(), ASK_AGAIN),
            }),
        }
    }

    fn view(&self, operation: Operation, deadline: Deadline) -> Result<Arc<View>> {
        let latest = &self.state.get().latest;
        latest.get(operation.name, deadline, |known| {
            self.look(known, operation, deadline)
        })
    }

    fn renew(
        &self,
        stale: &Arc<View>,
        operation: Operation,
        deadline: Deadline,
    ) -> Result<Arc<View>> {
        let latest = &self.state.get().latest;
        latest.renew(stale, operation.name, deadline, |known| {
            self.look(known, operation, deadline)
        })
    }

    /// Asks for the layout: the nodes known, then the seeds, those that are left alone last.
    fn look(&self, known: Option<&View>, operation: Operation, deadline: Deadline) -> Result<View> {
        let state = self.state.get();
        let mut endpoints: Vec<&Endpoint> = Vec::new();
        if let Some(view) = known {
            endpoints.extend(&view.layout.masters);
            endpoints.extend(&view.layout.replicas);
        }
        endpoints.extend(&self.seeds);
        let mut servers: Vec<Arc<Server>> = endpoints
            .into_iter()
            .map(|endpoint| state.known_servers.server(endpoint))
            .collect();
        servers.sort_by_key(|server| server.is_doubtful());
        let mut failure = None;
        for server in servers {
            let Ok(left) = deadline.remaining() else {
                break;
            };
            // One that hangs leaves time for another.
            match contacted::aside(|| look_at(&server, deadline.at_most(left / 2))) {
                Ok(layout) => {
                    let masters = layout
                        .masters
                        .iter()
                        .map(|endpoint| state.known_servers.server(endpoint))
                        .collect();
                    return Ok(View { layout, masters });
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                operation.name,
                self.target.clone(),
                "no node of the cluster answers",
            )
        }))
    }

    fn route(
        &self,
        view: &View,
        operation: Operation,
        request: usize,
        key: &[u8],
    ) -> Result<Route> {
        let slot = slot(key);
        let server = view
            .layout
            .owner(slot)
            .and_then(|owner| view.masters.get(owner))
            .ok_or_else(|| {
                // Somebody may take it over any moment.
                self.state.get().latest.doubt();
                Error::new(
                    ErrorKind::Unavailable,
                    operation.name,
                    self.target.clone(),
                    format!("no node is in charge of slot {slot}"),
                )
            })?;
        Ok(Route {
            request,
            server: Arc::clone(server),
            asking: false,
        })
    }
}

/// Reads whatever a node says of the cluster, or of where a key is.
#[cfg(any(test, fuzzing))]
pub(in crate::backend::redis) fn understand(reply: &Reply, asked: &Endpoint) {
    if let Some(layout) = Layout::read(reply, asked) {
        let masters = layout.masters.len();
        assert!((0..slots::SLOTS).all(|slot| layout.owner(slot).is_none_or(|o| o < masters)));
    }
    if let Reply::Error(message) = reply {
        let _ = redirection(message, asked);
    }
}

fn look_at(server: &Server, deadline: Deadline) -> Result<Layout> {
    let operation = Operation::read("cluster slots");
    let replies = server.exchange(operation, &Batch::of(&[b"CLUSTER", b"SLOTS"]), deadline)?;
    let reply = replies.first().unwrap_or(&Reply::Nil);
    Layout::read(reply, server.endpoint()).ok_or_else(|| {
        let message = match reply {
            Reply::Error(message) => message.as_str(),
            _ => "it knows no node that is in charge of a slot",
        };
        let target = server.endpoint().to_string();
        Error::new(ErrorKind::Unavailable, operation.name, target, message)
    })
}

/// Puts what goes to the same server together.
fn group(routes: Vec<Route>, requests: &[Request<'_>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for route in routes {
        let known = groups
            .iter()
            .position(|group| Arc::ptr_eq(&group.server, &route.server));
        let place = known.unwrap_or_else(|| {
            groups.push(Group {
                server: Arc::clone(&route.server),
                routes: Vec::new(),
                batch: Batch::default(),
            });
            groups.len() - 1
        });
        let group = &mut groups[place];
        if route.asking {
            group.batch.push(&[b"ASKING"]);
        }
        group.batch.append(&requests[route.request].command);
        group.routes.push(route);
    }
    // Whoever may hang is asked last.
    groups.sort_by_key(|group| group.server.is_doubtful());
    groups
}

/// Sends to all servers, then reads from all: they work at the same time.
fn exchange(groups: &[Group], operation: Operation, deadline: Deadline) -> Vec<Result<Vec<Reply>>> {
    let sent: Vec<_> = groups
        .iter()
        .map(|group| {
            let deadline = deadline.at_least(GRACE);
            group.server.send(operation, &group.batch, deadline)
        })
        .collect();
    groups
        .iter()
        .zip(sent)
        .map(|(group, sent)| {
            let (server, deadline) = (&group.server, deadline.at_least(GRACE));
            server.receive(operation, &group.batch, sent?, deadline)
        })
        .collect()
}

impl Topology for Cluster {
    fn parts(&self, _operation: Operation, keys: &[&[u8]]) -> Vec<Vec<usize>> {
        let mut places: Vec<(u16, usize)> = keys
            .iter()
            .enumerate()
            .map(|(place, key)| (slot(key), place))
            .collect();
        places.sort_unstable();
        places
            .chunk_by(|left, right| left.0 == right.0)
            .map(|part| part.iter().map(|&(_, place)| place).collect())
            .collect()
    }

    fn look_again(
        &self,
        operation: Operation,
        deadline: Deadline,
    ) -> Result<(Vec<Arc<Server>>, u64)> {
        let view = self.view(operation, deadline)?;
        let view = self.renew(&view, operation, deadline)?;
        Ok((view.masters.clone(), view.layout.fingerprint()))
    }

    fn ask_whom(
        &self,
        operation: Operation,
        requests: &[Request<'_>],
        deadline: Deadline,
    ) -> Result<Vec<(Reply, Arc<Server>)>> {
        let mut view = self.view(operation, deadline)?;
        let mut replies = vec![None; requests.len()];
        let mut routes = (0..requests.len())
            .map(|request| self.route(&view, operation, request, requests[request].key))
            .collect::<Result<Vec<Route>>>()?;
        for _ in 0..MOST_ROUNDS {
            let groups = group(std::mem::take(&mut routes), requests);
            let outcomes = exchange(&groups, operation, deadline);
            let mut failures = Vec::new();
            for (group, outcome) in groups.into_iter().zip(outcomes) {
                let mut answers = match outcome {
                    Ok(answers) => answers.into_iter(),
                    Err(error) => {
                        failures.push((group, error));
                        continue;
                    }
                };
                for route in group.routes {
                    if route.asking {
                        answers.next();
                    }
                    let reply = answers.next().unwrap_or(Reply::Nil);
                    match self.sent_on(&route, &reply, &group.server) {
                        None => replies[route.request] = Some((reply, route.server)),
                        Some(route) => routes.push(route),
                    }
                }
            }
            for (group, error) in failures {
                routes
                    .extend(self.reroute(&mut view, operation, requests, group, error, deadline)?);
            }
            if routes.is_empty() {
                return Ok(replies.into_iter().flatten().collect());
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            operation.name,
            self.target.clone(),
            "the nodes send a key on to each other",
        ))
    }

    fn masters(&self, operation: Operation, deadline: Deadline) -> Result<Vec<Arc<Server>>> {
        let mut view = self.view(operation, deadline)?;
        if view.masters.iter().any(|master| master.is_doubtful()) {
            view = self.renew(&view, operation, deadline)?;
        }
        Ok(view.masters.clone())
    }

    fn server_health(&self) -> Vec<ServerHealth> {
        self.state.get().known_servers.server_health()
    }

    fn target(&self) -> &str {
        &self.target
    }
}

impl Cluster {
    /// Where the requests of `group` go after its server failed with `error`: to who took over.
    ///
    /// # Errors
    /// `error`, where nobody did, or where they may have been done and may not be done twice.
    fn reroute(
        &self,
        view: &mut Arc<View>,
        operation: Operation,
        requests: &[Request<'_>],
        group: Group,
        error: Error,
        deadline: Deadline,
    ) -> Result<Vec<Route>> {
        if !operation.repeatable || deadline.remaining().is_err() {
            // The next operation is to know better.
            self.state.get().latest.doubt();
            return Err(error);
        }
        *view = self.renew(view, operation, deadline)?;
        let mut routes = Vec::with_capacity(group.routes.len());
        for route in group.routes {
            let key = requests[route.request].key;
            let next = self.route(view, operation, route.request, key)?;
            if Arc::ptr_eq(&next.server, &group.server) {
                return Err(error);
            }
            routes.push(next);
        }
        Ok(routes)
    }
}

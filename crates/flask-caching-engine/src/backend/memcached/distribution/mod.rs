//! Which server holds a key, decided as libmemcached decides it (`libmemcached/hosts.cc`).

pub(super) mod hash;

use super::address::Address;
use hash::{KeyHash, md5_word};

/// How keys are spread over the servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// The hash modulo the number of servers: pylibmc's default.
    #[default]
    Modula,
    /// A continuum of 100 points a server (`ketama`).
    Ketama,
    /// A continuum of 160 points a server of average weight (`ketama_weighted`).
    KetamaWeighted,
}

/// The places of a set of servers.
#[derive(Debug)]
pub(super) struct Placement {
    hash: KeyHash,
    servers: usize,
    /// Points and the server they belong to, in ascending order; empty: modula.
    continuum: Vec<(u32, usize)>,
}

const POINTS: u32 = 100;
const WEIGHTED_POINTS: f64 = 160.0;

impl Placement {
    /// The placement of `servers`, which the caller guarantees not to be empty, by `hash`. The
    /// weighted continuum is always MD5's, as libmemcached has it.
    pub(super) fn new(distribution: Distribution, hash: KeyHash, servers: &[Address]) -> Self {
        let (hash, mut continuum) = match distribution {
            Distribution::Modula => (hash, Vec::new()),
            Distribution::Ketama => (hash, unweighted(hash, servers)),
            Distribution::KetamaWeighted => (KeyHash::Md5, weighted(servers)),
        };
        continuum.sort_unstable();
        Self {
            hash,
            servers: servers.len(),
            continuum,
        }
    }

    /// The index of the server that holds `key` (as it goes over the wire).
    pub(super) fn server_of(&self, key: &[u8]) -> usize {
        if self.servers == 1 {
            return 0;
        }
        let hash = self.hash.hash(key);
        if self.continuum.is_empty() {
            return hash as usize % self.servers;
        }
        let at = self.continuum.partition_point(|(point, _)| *point < hash);
        self.continuum
            .get(at)
            .or_else(|| self.continuum.first())
            .map_or(0, |(_, server)| *server)
    }
}

fn unweighted(hash: KeyHash, servers: &[Address]) -> Vec<(u32, usize)> {
    let points = servers.iter().enumerate().flat_map(|(index, server)| {
        let name = server.continuum_name();
        (0..POINTS).map(move |point| {
            let point = hash.hash(format!("{name}-{point}").as_bytes());
            (point, index)
        })
    });
    points.collect()
}

fn weighted(servers: &[Address]) -> Vec<(u32, usize)> {
    let total: u64 = servers.iter().map(|s| u64::from(s.weight)).sum();
    let mut points = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        // libmemcached computes the share in single precision; so must we, or points differ.
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let groups = {
            let share = server.weight as f32 / total as f32;
            let exact = f64::from(share) * WEIGHTED_POINTS / 4.0 * servers.len() as f64;
            (exact as f32 + 0.000_000_000_1).floor() as u32
        };
        let name = server.continuum_name();
        for group in 0..groups {
            let text = format!("{name}-{group}");
            points.extend((0..4).map(|word| (md5_word(text.as_bytes(), word), index)));
        }
    }
    points
}

#[cfg(test)]
mod tests;

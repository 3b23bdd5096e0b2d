//! How much is measured.

use super::server::Server;

/// Requests a second at which latency is measured.
pub(super) const RATE: u64 = 500;
/// CPU time is quoted for this many requests.
pub(super) const QUOTED: f64 = 10_000.0;

/// How many requests, rounds and seconds.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) rounds: usize,
    /// Requests of a round to a server that is written in Rust.
    polls: u64,
    creates: u64,
    pub(super) alone: u64,
    /// Requests at a rate.
    pub(super) paced: u64,
    /// Seconds that a round of polls may take a server that is slower.
    seconds: f64,
    /// Calls of propeller's plugin.
    pub(super) in_process: u64,
    pub(super) cold_starts: usize,
    pub(super) view_rounds: usize,
    pub(super) view_seconds: u64,
    /// How often each number of polls in flight is reached.
    crowds: u64,
    /// Requests whose instructions are counted.
    pub(super) counted: u64,
    /// Of how many protocols: gRPC alone, or REST as well.
    pub(super) counted_protocols: usize,
    pub(super) go: bool,
    pub(super) valgrind: bool,
}

/// How long as many polls as are in flight may take a slow server, in milliseconds.
const CROWD_MS: f64 = 60_000.0;

/// For a few minutes, builds aside.
pub(super) const QUICK: Plan = Plan {
    rounds: 3,
    polls: 8_000,
    creates: 2_400,
    alone: 500,
    paced: 500,
    seconds: 2.0,
    in_process: 0,
    cold_starts: 5,
    view_rounds: 1,
    view_seconds: 2,
    crowds: 2,
    counted: 120,
    counted_protocols: 1,
    go: false,
    valgrind: false,
};

/// For figures to publish.
pub(super) const FULL: Plan = Plan {
    rounds: 5,
    polls: 20_000,
    creates: 8_000,
    alone: 1_000,
    paced: 2_500,
    seconds: 6.0,
    in_process: 5_000,
    cold_starts: 9,
    view_rounds: 3,
    view_seconds: 6,
    crowds: 6,
    counted: 1_000,
    counted_protocols: 2,
    go: false,
    valgrind: false,
};

/// The requests of one round.
#[derive(Debug, PartialEq)]
pub(super) struct Size {
    pub(super) warm_up: u64,
    pub(super) polls: u64,
    pub(super) creates: u64,
    pub(super) alone: u64,
}

impl Plan {
    /// The requests of one round to a server: to slow ones as many as they manage in some seconds.
    pub(super) fn size_for(&self, server: Server) -> Size {
        let polls = match server {
            Server::Peer(peer) | Server::Bridge(peer) => self.manages(peer.poll_ms),
            Server::Service { .. } | Server::File | Server::Bare => self.polls,
        };
        let share = |count: u64| (count * polls / self.polls).clamp(16, count);
        Size {
            warm_up: (polls / 10).max(32),
            polls,
            creates: share(self.creates),
            alone: share(self.alone).max(100),
        }
    }

    /// How many polls to make with `count` in flight; `None` where that takes too long.
    pub(super) fn crowd(&self, server: Server, count: u64) -> Option<u64> {
        match server {
            Server::Peer(peer) | Server::Bridge(peer) => {
                (count as f64 * peer.poll_ms <= CROWD_MS).then_some(count)
            }
            Server::Service { .. } | Server::File | Server::Bare => Some(count * self.crowds),
        }
    }

    fn manages(&self, poll_ms: f64) -> u64 {
        ((self.seconds * 1000.0 / poll_ms) as u64).min(self.polls)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::peer::PEERS, *};

    #[test]
    fn slow_servers_get_fewer_requests() {
        let peer = |name| Server::Peer(PEERS.iter().find(|peer| peer.name == name).unwrap());
        let (bare, key) = (FULL.size_for(Server::Bare), FULL.size_for(peer("flytekit-key")));
        assert_eq!(bare.polls, 20_000);
        assert_eq!(key, Size { warm_up: 32, polls: 133, creates: 53, alone: 100 });
        assert_eq!(FULL.crowd(peer("flytekit-key"), 1_000), Some(1_000));
        assert_eq!(FULL.crowd(peer("flytekit-key"), 10_000), None);
        assert_eq!(FULL.crowd(Server::Bare, 1_000), Some(6_000));
    }
}

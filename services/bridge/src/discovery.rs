//! What task types there are behind the bridge, asked again and again.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use plugin_core::{Error, Result, TaskType};
use tokio::time::{sleep, timeout};

use crate::{
    dialect::{Process, Protocol},
    messages::Agent,
    settings::Wanted,
    upstream::Upstream,
};

/// How often the process is asked until it has answered.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is asked afterwards: another version of it may have started.
const REFRESH: Duration = Duration::from_secs(30);
/// How long an answer in one protocol may take: a server may wait for more of what it does not understand.
const PATIENCE: Duration = Duration::from_secs(3);

/// The task types that the service is to serve.
#[derive(Debug)]
pub(crate) struct TaskTypes {
    pub(crate) jobs: &'static [TaskType],
    pub(crate) sync: &'static [TaskType],
}

/// What was answered last.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    protocol: Protocol,
    /// Task types that are wanted, and not there.
    missing: Vec<String>,
}

/// What is known of the process behind the bridge.
#[derive(Debug)]
pub(crate) struct Discovery {
    types: TaskTypes,
    /// What to try; everything by default.
    protocol: Option<Wanted>,
    found: ArcSwapOption<Found>,
    was_complete: AtomicBool,
}

impl Discovery {
    pub(crate) fn new(types: TaskTypes, protocol: Option<Wanted>) -> Self {
        Self {
            types,
            protocol,
            found: ArcSwapOption::empty(),
            was_complete: AtomicBool::new(false),
        }
    }

    pub(crate) fn types(&self) -> &TaskTypes {
        &self.types
    }

    /// What is spoken; `None` until something was answered.
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        self.found.load().as_ref().map(|found| found.protocol)
    }

    /// What stands behind the bridge: what answered last, or else what the operator has said.
    pub(crate) fn process(&self) -> Process {
        Process::of(self.protocol().or_else(|| self.protocol.map(Wanted::protocol)))
    }

    /// Whether every task type is there, or was. A process that restarts, or another version of it, changes nothing:
    /// polls have better answers than a closed port.
    pub(crate) fn ready(&self) -> Result<(), &'static str> {
        if self.was_complete.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(match self.found.load().is_some() {
            false => self.process().has_not_answered(),
            true => self.process().is_incomplete(),
        })
    }

    /// Asks for ever.
    pub(crate) async fn keep_asking(&self, upstream: &Upstream) {
        let mut failed = false;
        loop {
            match self.ask(upstream).await {
                Ok((protocol, agents)) => {
                    failed = false;
                    self.note(protocol, &agents);
                }
                Err(error) if !failed => {
                    failed = true;
                    let message = self.process().does_not_answer();
                    tracing::warn!(%error, cause = error.chain(), "{message}");
                }
                Err(_) => {}
            }
            sleep(if failed { RETRY } else { REFRESH }).await;
        }
    }

    /// Asks in each protocol until something is answered; first in the one that was answered last, so that the others
    /// are not refused again and again.
    async fn ask(&self, upstream: &Upstream) -> Result<(Protocol, Vec<Agent>)> {
        let mut refusal = Error::unavailable("none of the protocols is spoken there");
        let wanted = self.protocol.as_ref().map_or(&Wanted::ALL[..], std::slice::from_ref);
        let found = self.protocol();
        let others = wanted.iter().map(|wanted| wanted.protocol());
        let others = others.filter(|protocol| Some(*protocol) != found);
        for protocol in found.into_iter().chain(others) {
            let slow = |_| Err(Error::unavailable("there was no answer in time"));
            let listed = timeout(PATIENCE, upstream.list(protocol)).await;
            match listed.unwrap_or_else(slow) {
                Ok(Some(agents)) => return Ok((protocol, agents)),
                Ok(None) => {}
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn note(&self, protocol: Protocol, agents: &[Agent]) {
        let (jobs, sync) = (offered(agents, false), offered(agents, true));
        let missing = |wanted: &[TaskType], there: &BTreeSet<(String, i32)>| {
            let is_missing = |it: &&TaskType| !there.contains(&(it.name.to_owned(), it.version));
            wanted
                .iter()
                .filter(is_missing)
                .map(|it| format!("{}:{}", it.name, it.version))
                .collect::<Vec<_>>()
        };
        let missing = [missing(self.types.jobs, &jobs), missing(self.types.sync, &sync)].concat();
        let found = Found { protocol, missing };
        if self.found.load().as_deref() == Some(&found) {
            return;
        }
        let names = |there: &BTreeSet<(String, i32)>| {
            let names = there.iter().map(|(name, version)| format!("{name}:{version}"));
            names.collect::<Vec<_>>().join(", ")
        };
        let (jobs, sync) = (names(&jobs), names(&sync));
        if found.missing.is_empty() {
            self.was_complete.store(true, Ordering::Relaxed);
            tracing::info!(?protocol, jobs, sync, "{}", Process::of(Some(protocol)).answers());
        } else {
            let missing = found.missing.join(", ");
            tracing::warn!(?protocol, missing, jobs, sync, "task types are missing");
        }
        self.found.store(Some(found.into()));
    }
}

/// The task types of `agents` with their versions. Connectors before 1.11 have no versions.
fn offered(agents: &[Agent], is_sync: bool) -> BTreeSet<(String, i32)> {
    let agents = agents.iter().filter(|agent| agent.is_sync == is_sync);
    let types = |agent: &Agent| {
        let named = agent.supported_task_types.iter().map(|name| (name.clone(), 0));
        let categories = agent.supported_task_categories.iter();
        let categories = categories.map(|category| (category.name.clone(), category.version));
        match agent.supported_task_categories.is_empty() {
            true => named.collect::<Vec<_>>(),
            false => categories.collect(),
        }
    };
    agents.flat_map(types).collect()
}

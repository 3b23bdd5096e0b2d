//! Which connectors there are, asked again and again.

use std::{collections::BTreeSet, time::Duration};

use arc_swap::ArcSwapOption;
use plugin_core::TaskType;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use crate::{
    connector::Connector,
    dialect::Dialect,
    messages::{Agent, Listed},
};

/// How often connectors are asked until they have answered.
const RETRY: Duration = Duration::from_secs(1);
/// How often they are asked afterwards: another version of them may have started.
const REFRESH: Duration = Duration::from_secs(30);
/// How long an answer may take: Python imports its modules meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// The task types that the service is to serve.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) jobs: &'static [TaskType],
    pub(crate) sync: &'static [TaskType],
}

/// What the connectors answered last.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    dialect: Dialect,
    /// Task types that are wanted, and not there.
    missing: Vec<String>,
}

/// What is known of the connectors.
#[derive(Debug)]
pub(crate) struct Discovery {
    wanted: Wanted,
    found: ArcSwapOption<Found>,
}

impl Discovery {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self { wanted, found: ArcSwapOption::empty() }
    }

    pub(crate) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The dialect of the connectors; `None` until they have answered.
    pub(crate) fn dialect(&self) -> Option<Dialect> {
        self.found.load().as_ref().map(|found| found.dialect)
    }

    /// Whether every task type is there. Once it was, a connector that restarts changes nothing: polls have better
    /// answers than a closed port.
    pub(crate) fn ready(&self) -> Result<(), &'static str> {
        match self.found.load().as_ref() {
            None => Err("the connectors have not answered yet"),
            Some(found) if !found.missing.is_empty() => Err(
                "the connectors do not have every task type; the log names those that are missing",
            ),
            Some(_) => Ok(()),
        }
    }

    /// Asks for ever.
    pub(crate) async fn keep_asking(&self, connector: &Connector) {
        let mut failed = false;
        loop {
            let asked = timeout(PATIENCE, ask(connector)).await;
            let asked =
                asked.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
            match asked {
                Ok((dialect, agents)) => {
                    failed = false;
                    self.note(dialect, &agents);
                }
                Err(status) if !failed => {
                    failed = true;
                    let (code, cause) = (status.code(), status.message());
                    tracing::warn!(?code, cause, "the connectors do not answer");
                }
                Err(_) => {}
            }
            sleep(if failed { RETRY } else { REFRESH }).await;
        }
    }

    fn note(&self, dialect: Dialect, agents: &[Agent]) {
        let (jobs, sync) = (offered(agents, false), offered(agents, true));
        let missing = |wanted: &[TaskType], there: &BTreeSet<(String, i32)>| {
            let is_missing = |it: &&TaskType| !there.contains(&(it.name.to_owned(), it.version));
            wanted
                .iter()
                .filter(is_missing)
                .map(|it| format!("{}:{}", it.name, it.version))
                .collect::<Vec<_>>()
        };
        let missing = [missing(self.wanted.jobs, &jobs), missing(self.wanted.sync, &sync)].concat();
        let found = Found { dialect, missing };
        if self.found.load().as_deref() == Some(&found) {
            return;
        }
        let names = |there: &BTreeSet<(String, i32)>| {
            let names = there.iter().map(|(name, version)| format!("{name}:{version}"));
            names.collect::<Vec<_>>().join(", ")
        };
        let (jobs, sync) = (names(&jobs), names(&sync));
        if found.missing.is_empty() {
            tracing::info!(?dialect, jobs, sync, "the connectors answer");
        } else {
            let missing = found.missing.join(", ");
            tracing::warn!(
                ?dialect,
                missing,
                jobs,
                sync,
                "the connectors do not have every task type"
            );
        }
        self.found.store(Some(found.into()));
    }
}

/// Asks connectors of Flyte 1, else those of Flyte 2.
async fn ask(connector: &Connector) -> Result<(Dialect, Vec<Agent>), Status> {
    match connector.list::<Listed>(Dialect::Flyte1).await {
        Err(status) if status.code() == Code::Unimplemented => {
            let listed = connector.list::<Listed>(Dialect::Flyte2).await?;
            Ok((Dialect::Flyte2, listed.agents))
        }
        listed => Ok((Dialect::Flyte1, listed?.agents)),
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

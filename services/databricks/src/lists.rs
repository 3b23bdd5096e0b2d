//! The status of many runs at once, from a few pages of their workspace's lists.
//!
//! A page has at most 24 runs, so the list of a thousand active runs is not read to its end. A few pages
//! of the lists of active and of completed runs are read; a run that a complete list of completed runs
//! lacks is active.

use std::collections::HashMap;

use plugin_core::{
    Context, Http, JointStatus, Phase, Polled, Result,
    jiff::{SignedDuration, Timestamp},
};

use crate::{
    Run,
    api::{self, RunList},
    states::Verdicts,
    workspaces::Workspace,
};

/// The largest page there is.
const PAGE: &str = "24";
const ACTIVE_PAGES: usize = 2;
const ENDED_PAGES: usize = 10;
/// Older runs are found in the list of active runs or polled one by one: a list of ended runs that reaches
/// back to them has too many.
const YOUNG: SignedDuration = SignedDuration::from_hours(1);
/// Allows for clock skew between Databricks and this service, and for the duration of a submit.
const SLACK_MILLIS: i64 = 120_000;

/// One workspace's lists, as one identity sees them.
pub(crate) struct Lists<'a> {
    pub(crate) cx: &'a Context,
    pub(crate) http: &'a Http,
    pub(crate) workspace: &'a Workspace,
    pub(crate) verdicts: &'a Verdicts,
}

/// The runs of a list, and whether the list was read to its end.
struct Read {
    found: HashMap<i64, api::Run>,
    complete: bool,
}

fn is_young(polled: &Polled<Run>) -> bool {
    Timestamp::now().duration_since(polled.created_at) < YOUNG
}

impl Lists<'_> {
    pub(crate) async fn get_many(&self, runs: &[Polled<Run>]) -> Result<Vec<JointStatus>> {
        // In this order: a run that ends between the two calls is in the second list.
        let all = runs.iter().collect::<Vec<_>>();
        let active = self.read("active_only", ACTIVE_PAGES, &all).await?;
        let is_missing =
            |polled: &&Polled<Run>| is_young(polled) && !active.found.contains_key(&polled.job.id);
        let missing = runs.iter().filter(is_missing).collect::<Vec<_>>();
        // Never more calls than polling them one by one would take.
        let pages = ENDED_PAGES.min(missing.len());
        let ended = self.read("completed_only", pages, &missing).await?;
        let status = |polled: &Polled<Run>| {
            let run = &polled.job;
            match ended.found.get(&run.id).or_else(|| active.found.get(&run.id)) {
                Some(found) => self.status(run, found),
                None if is_young(polled) && ended.complete && !active.complete => {
                    JointStatus::NotEnded
                }
                None => JointStatus::Alone,
            }
        };
        Ok(runs.iter().map(status).collect())
    }

    /// The message of a failure and the exit value of a notebook need a call of their own.
    fn status(&self, run: &Run, found: &api::Run) -> JointStatus {
        let status = found.status(self.verdicts, self.workspace.page(run.id));
        match status.phase() {
            Phase::Failed | Phase::RetryableFailed => JointStatus::Alone,
            Phase::Succeeded if run.exit_value => JointStatus::Alone,
            _ => JointStatus::Status(status),
        }
    }

    /// Reads a list until all of `jobs` are found, at most `pages` pages.
    async fn read(&self, which: &str, pages: usize, jobs: &[&Polled<Run>]) -> Result<Read> {
        let created = jobs.iter().map(|polled| polled.created_at.as_millisecond());
        let since = (created.min().unwrap_or_default() - SLACK_MILLIS).to_string();
        let mut read = Read { found: HashMap::new(), complete: false };
        let mut token = None::<String>;
        for _ in 0..pages {
            let page = self.http.get(&api::path("list"));
            let page = page.query("run_type", Some("SUBMIT_RUN")).query(which, Some("true"));
            let page = page.query("limit", Some(PAGE)).query("start_time_from", Some(&since));
            // For the links to a task's cluster.
            let page = page.query("expand_tasks", Some("true"));
            let page = page.query("page_token", token.as_deref());
            let RunList { runs, next_page_token } = page.send_json(self.cx).await?;
            let by_id = runs.into_iter().filter_map(|run| Some((run.run_id?, run)));
            read.found.extend(by_id);
            token = next_page_token.filter(|token| !token.is_empty());
            read.complete = token.is_none();
            if read.complete || jobs.iter().all(|polled| read.found.contains_key(&polled.job.id)) {
                break;
            }
        }
        Ok(read)
    }
}

//! Many runs at once, by a few pages of their workspace's list.
//!
//! A page has 24 runs at most, so a thousand running ones are not read: the lists of what runs and of
//! what ended are each read for some pages, and a run that a complete list of what ended does not have
//! is running.

use std::collections::HashMap;

use plugin_core::{Context, Http, JointStatus, Phase, Polled, Result};

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
/// How far the clocks of Databricks and this service may be apart, and how long a submit may take.
const SLACK_MILLIS: i64 = 120_000;

/// One workspace's lists, asked by one identity.
pub(crate) struct Lists<'a> {
    pub(crate) cx: &'a Context,
    pub(crate) http: &'a Http,
    pub(crate) workspace: &'a Workspace,
    pub(crate) verdicts: &'a Verdicts,
}

/// Runs of interest in a list, and whether the list was read to its end.
struct Read {
    found: HashMap<i64, api::Run>,
    complete: bool,
}

impl Lists<'_> {
    pub(crate) async fn get_many(&self, runs: &[Polled<Run>]) -> Result<Vec<JointStatus>> {
        // In this order: what ends between the two is in the second.
        let all = runs.iter().collect::<Vec<_>>();
        let active = self.read("active_only", ACTIVE_PAGES, &all).await?;
        let is_missing = |polled: &&Polled<Run>| !active.found.contains_key(&polled.job.id);
        let missing = runs.iter().filter(is_missing).collect::<Vec<_>>();
        // No more pages than gets would be calls.
        let pages = ENDED_PAGES.min(missing.len());
        let ended = self.read("completed_only", pages, &missing).await?;
        let status = |polled: &Polled<Run>| {
            let run = &polled.job;
            match ended.found.get(&run.id).or_else(|| active.found.get(&run.id)) {
                Some(found) => self.status(run, found),
                None if ended.complete && !active.complete => JointStatus::NotEnded,
                None => JointStatus::Alone,
            }
        };
        Ok(runs.iter().map(status).collect())
    }

    /// A failure has its words, and a notebook its exit value, in a call of its own.
    fn status(&self, run: &Run, found: &api::Run) -> JointStatus {
        let status = found.status(self.verdicts, self.workspace.page(run.id));
        match status.phase() {
            Phase::Failed | Phase::RetryableFailed => JointStatus::Alone,
            Phase::Succeeded if run.exit_value => JointStatus::Alone,
            _ => JointStatus::Status(status),
        }
    }

    /// Reads a list until all of `jobs` are found, for so many pages at most.
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

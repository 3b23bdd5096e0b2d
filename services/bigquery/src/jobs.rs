//! Calls to BigQuery's jobs API.

use std::collections::HashMap;

use plugin_core::{
    Context, Error, Http, JointStatus, Kind, Phase, Polled, Result, Status, Value,
    jiff::{SignedDuration, Timestamp},
    serde_json,
    upstream::Request,
};

use serde::de::DeserializeOwned;

use crate::{Job, api, asked, query::Insert};

/// Allows for clock skew between BigQuery and this service, and for the duration of a submit.
const SLACK_MILLIS: i64 = 120_000;
/// The size of a page.
const PAGE: &str = "1000";
/// How many pages a joint poll reads at most: the project may run many jobs that are not Flyte's.
const MOST_PAGES: usize = 10;

/// The longest location, in bytes: Google's longest is `northamerica-northeast1`.
const MAX_LOCATION: usize = 64;

/// Older jobs are polled one by one: a list that reaches back to them has too many entries.
const YOUNG: SignedDuration = SignedDuration::from_hours(1);
/// The fields that are read of a job: BigQuery would add its statement and parameters, of megabytes.
const POLLED: &str = "jobReference,status(state,errorResult),configuration/query/destinationTable,\
                      statistics(totalBytesProcessed,totalSlotMs,numChildJobs,\
                      query(totalBytesBilled,cacheHit,statementType,ddlTargetTable))";
/// Those of a job that an earlier attempt may have submitted.
const ADOPTED: &str = "jobReference,configuration";
/// Those of a job that has been submitted.
const SUBMITTED: &str = "jobReference";
/// Those of the answer to a cancel, of which nothing is read.
const CANCELLED: &str = "kind";
/// The fields that are read of a script's child jobs.
const CHILD: &str = "jobReference,status/errorResult,configuration/query/destinationTable,\
                     statistics(scriptStatistics/evaluationKind,query(statementType,ddlTargetTable))";
/// Why a task that declares `results` has none.
const NO_TABLE: &str = "the task declares the output results, but its statement produces no table";
const TOO_MANY: &str = "the task declares the output results, but its script runs too many statements to \
                        find the one that produced the last table";

fn is_young(created_at: Timestamp) -> bool {
    Timestamp::now().duration_since(created_at) < YOUNG
}

/// BigQuery's jobs.
pub(crate) struct Jobs(pub(crate) Http);

impl Jobs {
    /// Submits `insert` as `job`, or adopts the job that an earlier attempt submitted. Returns the job's location, if it has
    /// become known.
    pub(crate) async fn insert(
        &self,
        cx: &Context,
        insert: &Insert<'_>,
        job: &Job,
    ) -> Result<Option<String>> {
        let request = self.0.post(&["projects", &job.project, "jobs"]).idempotent();
        let request = request.query("fields", Some(SUBMITTED));
        match request.json(insert).send_json::<api::SubmittedJob>(cx).await {
            Ok(created) => Ok(created.reference.location),
            Err(error) if error.kind() == Kind::AlreadyExists => {
                let location = api::location_of_duplicate(error.message(), &job.id);
                self.adopt(cx, job.clone().in_location(location), insert).await
            }
            Err(error) => Err(error),
        }
    }

    /// Only this service creates such ids, so the job is an earlier attempt's, unless a caller used the
    /// same key for another task.
    async fn adopt(&self, cx: &Context, job: Job, insert: &Insert<'_>) -> Result<Option<String>> {
        let found: api::AskedJob = match self.look(cx, &job, ADOPTED).await {
            Ok(found) => found,
            Err(error) if error.kind().is_transient() => return Err(error),
            // It exists all the same, even if this identity may not see it.
            Err(_) => return Ok(job.location),
        };
        let ours = serde_json::to_value(insert).map_err(Error::internal)?;
        let difference = asked::difference(&ours["configuration"], &found.configuration);
        if let Some(path) = difference {
            let other = match path.as_str() {
                "query.query" => "another statement was".to_owned(),
                _ => format!("a job with another configuration.{path} was"),
            };
            let message = format!("{other} already submitted under this key; use a different key");
            return Err(Error::new(Kind::FailedPrecondition, message).with_code("duplicate"));
        }
        Ok(job.in_location(found.reference.location).location)
    }

    /// Fetches what a poll reads of `job`.
    pub(crate) async fn get(&self, cx: &Context, job: &Job) -> Result<api::Job> {
        self.look(cx, job, POLLED).await
    }

    /// Fetches `fields` of `job`.
    async fn look<T>(&self, cx: &Context, job: &Job, fields: &str) -> Result<T>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let request = self.0.get(&["projects", &job.project, "jobs", &job.id]);
        let request = request.query("location", job.location.as_deref());
        request.query("fields", Some(fields)).send_json(cx).await
    }

    /// The status of `found`, with its results if it has any.
    pub(crate) async fn status(&self, cx: &Context, job: &Job, found: api::Job) -> Result<Status> {
        let status = found.status();
        if !found.succeeded() {
            return Ok(status);
        }
        let own = found.results();
        if own.is_some() || !job.results {
            return Ok(status.output("results", own));
        }
        Ok(match self.results_of_script(cx, job).await? {
            Ok(table) => status.output("results", Some(table)),
            Err(why) => api::described(Status::new(Phase::Failed).message(why), job),
        })
    }

    /// The table of the last statement of a script that produced one, or why there is none. Each
    /// statement is a job of its own.
    async fn results_of_script(
        &self,
        cx: &Context,
        job: &Job,
    ) -> Result<Result<Value, &'static str>> {
        let mut page_token = None::<String>;
        for _ in 0..MOST_PAGES {
            let children = self.list(&job.project, CHILD);
            let children = children.query("parentJobId", Some(&job.id));
            let children = children.query("pageToken", page_token.as_deref());
            let page: api::JobList = children.send_json(cx).await?;
            let mut statements = page.jobs.iter().filter(|child| child.is_statement_of_script());
            if let Some(results) = statements.find_map(api::Job::results) {
                return Ok(Ok(results));
            }
            page_token = page.next_page_token;
            if page_token.is_none() {
                return Ok(Err(NO_TABLE));
            }
        }
        Ok(Err(TOO_MANY))
    }

    /// The statuses of many jobs of one project, from lists of its jobs.
    pub(crate) async fn get_many(
        &self,
        cx: &Context,
        jobs: &[Polled<Job>],
    ) -> Result<Vec<JointStatus>> {
        let mut statuses = vec![JointStatus::Alone; jobs.len()];
        let young = jobs.iter().enumerate().filter(|(_, polled)| is_young(polled.created_at));
        let mut places =
            young.map(|(at, polled)| (polled.job.id.as_str(), at)).collect::<HashMap<_, _>>();
        let since = places.values().map(|&at| jobs[at].created_at).min().unwrap_or(Timestamp::MAX);
        let mut page_token = None;
        // Never more calls than polling them one by one would take.
        for _ in 0..MOST_PAGES.min(places.len()) {
            let page = self.page(cx, jobs, since, page_token.as_deref()).await?;
            for found in &page.jobs {
                if let Some(at) = places.remove(found.reference.job_id.as_str()) {
                    statuses[at] = status_in_list(&jobs[at].job, found);
                }
            }
            page_token = page.next_page_token;
            if places.is_empty() || page_token.is_none() {
                break;
            }
        }
        Ok(statuses)
    }

    /// A page of the project's jobs from `since` to when the last of `jobs` was created.
    async fn page(
        &self,
        cx: &Context,
        jobs: &[Polled<Job>],
        since: Timestamp,
        page_token: Option<&str>,
    ) -> Result<api::JobList> {
        let latest = jobs.iter().map(|polled| polled.created_at.as_millisecond()).max();
        let since = since.as_millisecond() - SLACK_MILLIS;
        let until = latest.unwrap_or_default() + SLACK_MILLIS;
        let Some(Polled { job, .. }) = jobs.first() else {
            return Ok(api::JobList::default());
        };
        self.list(&job.project, POLLED)
            .query("minCreationTime", Some(&since.to_string()))
            .query("maxCreationTime", Some(&until.to_string()))
            .query("pageToken", page_token)
            .send_json(cx)
            .await
    }

    /// The project's jobs with only `fields`.
    fn list(&self, project: &str, fields: &str) -> Request<'_> {
        let fields = format!("nextPageToken,jobs({fields})");
        let request = self.0.get(&["projects", project, "jobs"]).query("fields", Some(&fields));
        request.query("projection", Some("full")).query("maxResults", Some(PAGE))
    }

    /// Asks BigQuery to stop `job`.
    pub(crate) async fn cancel(&self, cx: &Context, job: &Job) -> Result<()> {
        let path = ["projects", &job.project, "jobs", &job.id, "cancel"];
        let request = self.0.post(&path).query("location", job.location.as_deref());
        request.query("fields", Some(CANCELLED)).idempotent().send(cx).await.map(drop)
    }
}

impl Job {
    /// The same job, in `location` if that has become known. What is too long is no location.
    pub(crate) fn in_location(self, location: Option<String>) -> Self {
        let location = location.filter(|location| location.len() <= MAX_LOCATION);
        Self { location: location.or(self.location), ..self }
    }

    /// Checks that it fits into a handle wherever Google runs it.
    ///
    /// # Errors
    /// `InvalidArgument` when the names that the task's author chose are too long.
    pub(crate) fn check(&self, cx: &Context) -> Result<()> {
        if self.location.is_some() {
            return cx.check_meta(self);
        }
        cx.check_meta(&Self { location: Some("-".repeat(MAX_LOCATION)), ..self.clone() })
    }
}

/// A job's status from a list. One whose results the list lacks is polled by itself.
fn status_in_list(job: &Job, found: &api::Job) -> JointStatus {
    let results = found.results();
    if found.succeeded() && job.results && results.is_none() {
        return JointStatus::Alone;
    }
    JointStatus::Status(found.status().output("results", results.filter(|_| found.succeeded())))
}

/// The error for a job that BigQuery no longer finds.
pub(crate) fn not_found(job: &Job, error: &Error) -> Error {
    let location = job.location.as_deref().unwrap_or("unknown");
    Error::not_found(format!(
        "BigQuery has no job {} in project {}, location {location}: jobs are kept for six months",
        job.id, job.project
    ))
    .with_code("notFound")
    .with_source(error.clone())
}

//! What REST answers about jobs.
//!
//! Written by hand: serde takes several times as long for the strings that most of an answer consists of.

use std::borrow::Cow;

use axum::{body::Body, response::Response};
use http::{HeaderValue, header};
use jiff::Timestamp;
use serde_json::{Map, Value, value::RawValue};
use server_core::Result;
use utoipa::ToSchema;

use super::object::Object;
use crate::{
    task::{Link, Phase, Status, TaskType},
    wire,
};

/// The size of most answers.
const TYPICAL_BYTES: usize = 1536;

/// A submitted job.
#[derive(Debug, ToSchema)]
pub(super) struct CreatedJob<'a> {
    /// Identifies the job in further requests.
    pub(super) job_id: String,
    pub(super) job_spec: JobSpec<'a>,
    /// Pages about the job, at the vendor's.
    #[schema(value_type = Vec<LogLink>)]
    pub(super) log_links: &'a [Link],
    /// Always null; errors are problems.
    pub(super) error_code: Option<&'a str>,
    /// A remark, or empty.
    pub(super) message: &'a str,
}

impl CreatedJob<'_> {
    pub(super) fn response(&self) -> Response {
        answer(|object| {
            object.text("job_id", &self.job_id);
            self.job_spec.write(object);
            write_links(object, self.log_links);
            object.text_or_null("error_code", self.error_code);
            object.text("message", self.message);
        })
        .0
    }
}

/// A stopped job.
#[derive(Debug, ToSchema)]
pub(super) struct DeletedJob<'a> {
    /// Identifies the job.
    pub(super) job_id: &'a str,
    /// Always null; errors are problems.
    pub(super) error_code: Option<&'a str>,
    /// A remark, or empty.
    pub(super) message: &'a str,
}

impl DeletedJob<'_> {
    pub(super) fn response(&self) -> Response {
        answer(|object| {
            object.text("job_id", self.job_id);
            object.text_or_null("error_code", self.error_code);
            object.text("message", self.message);
        })
        .0
    }
}

/// What a job is: the same in the answers to a create, a poll and an execution.
#[derive(Debug, ToSchema)]
pub(super) struct JobSpec<'a> {
    task_type: &'static str,
    version: i32,
    /// When the service began to submit or execute it: RFC 3339, in UTC.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Its identifiers at the vendor; null if the plugin keeps them to itself, or has none.
    #[schema(value_type = Option<Object>)]
    job: Option<Cow<'a, RawValue>>,
}

impl<'a> JobSpec<'a> {
    pub(super) fn new(
        task_type: TaskType,
        created_at: Timestamp,
        job: Option<Cow<'a, RawValue>>,
    ) -> Self {
        let TaskType { name, version } = task_type;
        Self { task_type: name, version, created_at, job }
    }

    fn write(&self, answer: &mut Object<'_>) {
        answer.object("job_spec", |spec| {
            spec.text("task_type", self.task_type);
            spec.number("version", self.version);
            // To the millisecond, as handles have it.
            spec.shown("created_at", format_args!("{:.3}", self.created_at));
            spec.raw_or_null("job", self.job.as_deref());
        });
    }
}

/// The three states of Flyte's RFC.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum JobState {
    Succeed,
    Failed,
    Running,
}

impl JobState {
    pub(super) fn of(phase: Phase) -> Self {
        match phase {
            Phase::Succeeded => Self::Succeed,
            Phase::Aborted | Phase::Failed | Phase::RetryableFailed => Self::Failed,
            Phase::Queued | Phase::WaitingForResources | Phase::Initializing | Phase::Running => {
                Self::Running
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Succeed => "succeed",
            Self::Failed => "failed",
            Self::Running => "running",
        }
    }
}

/// A link to a page about the job.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its documentation is used")]
pub(super) struct LogLink {
    name: String,
    uri: String,
}

fn write_links(answer: &mut Object<'_>, links: &[Link]) {
    answer.objects("log_links", links, |object, link| {
        object.text("name", &link.name);
        object.text("uri", &link.uri);
    });
}

/// The status of a job.
#[derive(Debug, ToSchema)]
pub(super) struct JobStatus<'a> {
    job_spec: JobSpec<'a>,
    job_state: JobState,
    /// Flyte's phase, for example `QUEUED`.
    phase: &'static str,
    /// Flyte's LiteralMap as proto-JSON; null without outputs.
    #[schema(value_type = Option<Object>)]
    outputs: Option<wire::ShownOutputs>,
    /// The outputs as plain JSON by name: times in RFC 3339, durations in ISO 8601, bytes in base64, files and tables as
    /// their URI; null without outputs.
    #[schema(value_type = Option<Object>)]
    output_values: Option<Value>,
    /// Pages about the job, at the vendor's.
    #[schema(value_type = Vec<LogLink>)]
    log_links: &'a [Link],
    /// Further information about the job, specific to the plugin.
    #[schema(value_type = Object)]
    custom_info: &'a Map<String, Value>,
    /// The vendor's error code as the vendor spells it, or one of the service, in capitals.
    error_code: Option<&'a str>,
    /// The message of the vendor or the service.
    message: &'a str,
}

impl<'a> JobStatus<'a> {
    pub(super) fn of(job_spec: JobSpec<'a>, status: &'a Status) -> Result<Self> {
        Ok(Self {
            job_spec,
            job_state: JobState::of(status.phase),
            phase: status.phase.name(),
            outputs: wire::outputs(&status.outputs)?.map(wire::ShownOutputs),
            output_values: wire::plain_outputs(&status.outputs)?,
            log_links: &status.links,
            custom_info: &status.info,
            error_code: status.code.as_deref(),
            message: &status.message,
        })
    }

    pub(super) fn response(&self) -> Result<Response> {
        let (response, written) = answer(|object| {
            self.job_spec.write(object);
            object.text("job_state", self.job_state.name());
            object.text("phase", self.phase);
            object.value("outputs", &self.outputs)?;
            object.value("output_values", &self.output_values)?;
            write_links(object, self.log_links);
            object.object("custom_info", |info| {
                self.custom_info.iter().try_for_each(|(name, fact)| info.json(name, fact))
            })?;
            object.text_or_null("error_code", self.error_code);
            object.text("message", self.message);
            Ok(())
        });
        written.map(|()| response)
    }
}

/// The response with the members that `write` adds.
fn answer<T>(write: impl FnOnce(&mut Object<'_>) -> T) -> (Response, T) {
    let mut json = Vec::with_capacity(TYPICAL_BYTES);
    let written = Object::write(&mut json, write);
    let mut response = Response::new(Body::from(json));
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    (response, written)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http_body_util::BodyExt as _;
    use serde_json::json;

    use super::*;
    use crate::{server::openapi, task::Value as Output};

    const SPEC: TaskType = TaskType { name: "acme", version: 7 };

    fn spec() -> JobSpec<'static> {
        let job = serde_json::value::to_raw_value(&json!({"id": 1})).unwrap();
        let created_at = Timestamp::from_microsecond(1_790_000_000_000_001).unwrap();
        JobSpec::new(SPEC, created_at, Some(Cow::Owned(job)))
    }

    async fn read(response: Response) -> Value {
        assert_eq!(response.headers()["content-type"], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    fn documented(schema: &str) -> BTreeSet<String> {
        let document = serde_json::to_value(openapi()).unwrap();
        let properties = &document["components"]["schemas"][schema]["properties"];
        properties.as_object().unwrap().keys().cloned().collect()
    }

    fn members(json: &Value) -> BTreeSet<String> {
        json.as_object().unwrap().keys().cloned().collect()
    }

    #[tokio::test]
    async fn a_status_has_its_members_as_documented() {
        let status = Status::new(Phase::Succeeded)
            .code("a \"code\"")
            .message("done\n\"well\"")
            .link("Console", "https://acme.example/\"1\"")
            .info("text", Some("a\\b"))
            .info("number", Some(1.5))
            .info("list", Some(json!(["x", null])))
            .output("rows", Some(Output::Integer(3)));
        let answer = JobStatus::of(spec(), &status).unwrap().response().unwrap();
        let answer = read(answer).await;
        let expected = json!({
            "job_spec": {
                "task_type": "acme", "version": 7, "created_at": "2026-09-21T14:13:20.000Z",
                "job": {"id": 1},
            },
            "job_state": "succeed",
            "phase": "SUCCEEDED",
            "outputs": {"literals": {"rows": {"scalar": {"primitive": {"integer": "3"}}}}},
            "output_values": {"rows": 3},
            "log_links": [{"name": "Console", "uri": "https://acme.example/\"1\""}],
            "custom_info": {"text": "a\\b", "number": 1.5, "list": ["x", null]},
            "error_code": "a \"code\"",
            "message": "done\n\"well\"",
        });
        assert_eq!(answer, expected);
        assert_eq!(members(&answer), documented("JobStatus"));
        assert_eq!(members(&answer["job_spec"]), documented("JobSpec"));
        assert_eq!(members(&answer["log_links"][0]), documented("LogLink"));
    }

    #[tokio::test]
    async fn what_there_is_none_of_is_null() {
        let status = Status::new(Phase::Running);
        let spec = JobSpec { job: None, ..spec() };
        let answer = read(JobStatus::of(spec, &status).unwrap().response().unwrap()).await;
        for name in ["outputs", "output_values", "error_code"] {
            assert_eq!(answer[name], Value::Null, "{name}");
        }
        assert_eq!(answer["job_spec"]["job"], Value::Null);
        assert_eq!((&answer["log_links"], &answer["custom_info"]), (&json!([]), &json!({})));
    }

    #[tokio::test]
    async fn created_and_deleted_jobs_have_their_members_as_documented() {
        let created = CreatedJob {
            job_id: "id".to_owned(),
            job_spec: spec(),
            log_links: &[],
            error_code: None,
            message: "",
        };
        assert_eq!(members(&read(created.response()).await), documented("CreatedJob"));
        let deleted = DeletedJob { job_id: "id", error_code: None, message: "" };
        assert_eq!(members(&read(deleted.response()).await), documented("DeletedJob"));
    }
}

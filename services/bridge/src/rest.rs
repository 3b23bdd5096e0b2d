//! Plugins that speak the proposal's REST with plain JSON: a server in any language.

use std::time::Duration;

use bytes::BytesMut;
use plugin_core::{
    Context, Error, Kind, Result,
    http::{Method, StatusCode},
    serde_json::{self, Map, Value as Json, value::RawValue},
    upstream::RESPONSE_TOO_LARGE,
};
use reqwest::{Client, RequestBuilder, Response};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::{
    address::Address,
    error::{CONNECTOR_ERROR, exception},
    messages::{Agent, Category},
};

/// The largest answer, in bytes.
const MAX_ANSWER: usize = 4 << 20;
/// The longest job id in a query, in bytes: longer ones are sent in a body.
const MAX_QUERY: usize = 2 << 10;
/// The largest job id, in bytes of JSON.
pub(crate) const MAX_JOB_ID: usize = 8 << 10;

/// A server of plugins.
pub(crate) struct Rest {
    http: Client,
    base: String,
}

/// The status of a job, as a plugin answers. A member of another form is left out: the phase counts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    /// One of Flyte's phases.
    #[serde(deserialize_with = "lenient")]
    pub(crate) phase: Option<String>,
    /// One of the proposal's states: `succeed`, `failed` or `running`.
    #[serde(deserialize_with = "lenient")]
    pub(crate) job_state: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) message: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) error_code: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) outputs: Option<Map<String, Json>>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) log_links: Option<Vec<Link>>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) custom_info: Option<Map<String, Json>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) uri: String,
}

/// `None` for a value of another form.
fn lenient<'de, T: DeserializeOwned, D: Deserializer<'de>>(json: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Json::deserialize(json)?).ok())
}

#[derive(Deserialize)]
struct Created {
    /// As it came: numbers may be longer than ours.
    job_id: Box<RawValue>,
}

#[derive(Deserialize)]
struct Listed {
    plugins: Vec<Offered>,
}

#[derive(Deserialize)]
struct Offered {
    task_type: String,
    #[serde(default)]
    version: i32,
    #[serde(default)]
    sync: bool,
}

/// What is done about a job, or with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Task,
    Job,
}

impl Rest {
    #[expect(clippy::disallowed_methods, reason = "nothing but this machine is called")]
    pub(crate) fn new(address: &Address) -> Result<Self> {
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let (client, base) = match address {
            // A socket has no authority; plugins see this one.
            Address::Socket(path) => {
                (client.unix_socket(path.as_path()), "http://localhost".to_owned())
            }
            Address::Loopback { .. } => (client, address.to_string()),
        };
        Ok(Self { http: client.build().map_err(Error::internal)?, base })
    }

    /// The plugins that there are.
    pub(crate) async fn list(&self) -> Result<Vec<Agent>> {
        let request = self.http.get(format!("{}/plugins/v1", self.base));
        let listed: Listed = answer(request, About::Task).await?;
        let agent = |Offered { task_type, version, sync }| Agent {
            supported_task_categories: vec![Category { name: task_type, version }],
            is_sync: sync,
            ..Agent::default()
        };
        Ok(listed.plugins.into_iter().map(agent).collect())
    }

    /// Submits a task; the answer is the job's id as JSON.
    pub(crate) async fn create(&self, cx: &Context, task: &Json) -> Result<String> {
        let request = self.request(cx, Method::PUT, "").json(task);
        let created: Created = answer(request, About::Task).await?;
        match created.job_id.get() {
            "null" => Err(something_else(About::Task, &"job_id is null")),
            id => Ok(id.to_owned()),
        }
    }

    pub(crate) async fn get(&self, cx: &Context, job_id: &str) -> Result<Answer> {
        status(answer(self.about(cx, Method::GET, "/poll", job_id), About::Job).await?)
    }

    pub(crate) async fn delete(&self, cx: &Context, job_id: &str) -> Result<()> {
        send(self.about(cx, Method::DELETE, "/delete", job_id), About::Job).await.map(drop)
    }

    pub(crate) async fn execute(&self, cx: &Context, task: &Json) -> Result<Answer> {
        status(answer(self.request(cx, Method::POST, "").json(task), About::Task).await?)
    }

    /// A request about a job: its id is in the query or, if it is long, in the body of a POST to `long`.
    fn about(&self, cx: &Context, method: Method, long: &str, job_id: &str) -> RequestBuilder {
        if job_id.len() <= MAX_QUERY {
            return self.request(cx, method, "").query(&[("job_id", job_id)]);
        }
        let request =
            self.request(cx, Method::POST, long).header("content-type", "application/json");
        request.body(format!("{{\"job_id\":{job_id}}}"))
    }

    fn request(&self, cx: &Context, method: Method, suffix: &str) -> RequestBuilder {
        let (task_type, time) = (cx.task_type(), cx.deadline().remaining());
        // Names of task types need no escaping; settings.rs checks them.
        let path = format!("plugins/v1/{}/{}{suffix}", task_type.name, task_type.version);
        self.http
            .request(method, format!("{}/{path}", self.base))
            .header("idempotency-key", cx.idempotency_key().hex())
            .header("outrigger-deadline-ms", time.as_millis().to_string())
            .timeout(time)
    }
}

/// `answer`, if it says how the job is.
fn status(answer: Answer) -> Result<Answer> {
    match (&answer.phase, &answer.job_state) {
        (None, None) => Err(something_else(About::Job, &"neither phase nor job_state")),
        _ => Ok(answer),
    }
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder, about: About) -> Result<T> {
    let body = send(request, about).await?;
    // A list would be read as the members in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(something_else(about, &"no object"));
    }
    serde_json::from_slice(&body).map_err(|error| something_else(about, &error))
}

fn something_else(about: About, why: &dyn std::fmt::Display) -> Error {
    // Whether a job was created is not known.
    let kind = if about == About::Task { Kind::Unavailable } else { Kind::FailedPrecondition };
    Error::new(kind, format!("the plugin answered with something else: {why}"))
        .with_code(CONNECTOR_ERROR)
        .upstream()
}

/// The body of a success.
async fn send(request: RequestBuilder, about: About) -> Result<BytesMut> {
    let response = request.send().await.map_err(unanswered)?;
    let status = response.status();
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    let body = read(response).await?;
    if status.is_success() {
        return Ok(body);
    }
    let error = refused(status, about, &body);
    Err(match retry_after.map(Duration::from_secs) {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    })
}

async fn read(mut response: Response) -> Result<BytesMut> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            let message = format!("the plugin's answer is larger than {} MiB", MAX_ANSWER >> 20);
            let error = Error::new(Kind::FailedPrecondition, message);
            return Err(error.with_code(RESPONSE_TOO_LARGE).upstream());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unanswered(error: reqwest::Error) -> Error {
    let (kind, message) = match error.is_timeout() {
        true => (Kind::DeadlineExceeded, "the plugin did not answer in time"),
        false => (Kind::Unavailable, "the plugin does not answer"),
    };
    Error::new(kind, message).with_source(error.without_url()).upstream()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error_code: Option<String>,
    message: Option<String>,
}

/// What an error says. An exception in the plugin (500) is no verdict, as it is none of connectors.
fn refused(status: StatusCode, about: About, body: &[u8]) -> Error {
    let kind = match (status.as_u16(), about) {
        // The plugin's own word on the job.
        (422, About::Job) => Kind::InvalidArgument,
        (400 | 401 | 403 | 422, _) => Kind::FailedPrecondition,
        (404, About::Job) => Kind::NotFound,
        (429, _) => Kind::ResourceExhausted,
        (500 | 501, About::Job) => Kind::FailedPrecondition,
        _ => Kind::Unavailable,
    };
    let Refusal { error_code, message } = serde_json::from_slice(body).unwrap_or_default();
    let message = match &*message.as_deref().map(exception).unwrap_or_default() {
        "" => format!("the plugin failed with HTTP status {}", status.as_u16()),
        line => line.to_owned(),
    };
    let error = Error::new(kind, message).upstream();
    match error_code.filter(|code| !code.is_empty()) {
        // An exception, whatever it calls itself.
        _ if matches!(status.as_u16(), 500 | 501) => error.with_code(CONNECTOR_ERROR),
        Some(code) => error.with_code(code),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_word_is_definitive() {
        let kind =
            |status, about| refused(StatusCode::from_u16(status).unwrap(), about, b"").kind();
        for (status, task, job) in [
            (400, Kind::FailedPrecondition, Kind::FailedPrecondition),
            (401, Kind::FailedPrecondition, Kind::FailedPrecondition),
            (404, Kind::Unavailable, Kind::NotFound),
            (422, Kind::FailedPrecondition, Kind::InvalidArgument),
            (429, Kind::ResourceExhausted, Kind::ResourceExhausted),
            (500, Kind::Unavailable, Kind::FailedPrecondition),
            (502, Kind::Unavailable, Kind::Unavailable),
            (503, Kind::Unavailable, Kind::Unavailable),
        ] {
            assert_eq!(
                (kind(status, About::Task), kind(status, About::Job)),
                (task, job),
                "{status}"
            );
        }
    }

    #[test]
    fn a_refusal_has_the_plugins_words() {
        let body = br#"{"error_code": "NO_MODEL", "message": "no such model"}"#;
        let error = refused(StatusCode::UNPROCESSABLE_ENTITY, About::Task, body);
        assert_eq!((error.code(), error.message()), (Some("NO_MODEL"), "no such model"));
        let error = refused(StatusCode::INTERNAL_SERVER_ERROR, About::Job, b"<html>");
        assert_eq!(error.message(), "the plugin failed with HTTP status 500");
        assert_eq!(error.code(), Some(CONNECTOR_ERROR));
    }
}

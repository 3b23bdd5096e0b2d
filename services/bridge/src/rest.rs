//! Plugins that speak the proposal's REST with plain JSON: a server in any language.

use bytes::BytesMut;
use plugin_core::{
    Context, Error, Kind, Result,
    http::Method,
    serde_json::{self, Map, Value as Json, value::RawValue},
    upstream::{Call, Calls, Operation, RESPONSE_TOO_LARGE, lenient, retry_after},
};
use reqwest::{Client, Request, RequestBuilder, Response};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    address::Address,
    dialect::PLUGIN_ERROR,
    messages::{Agent, Category},
    rest_error::{code, refused, something_else, unanswered, unsafe_way},
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
    address: Address,
    base: String,
    calls: Calls,
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
    #[serde(deserialize_with = "code")]
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

impl Rest {
    #[expect(clippy::disallowed_methods, reason = "nothing but this machine is called")]
    pub(crate) fn new(address: &Address, calls: Calls) -> Result<Self> {
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        // Nothing is called over TLS: the system's certificates would be read and kept for nothing.
        let client = client.tls_certs_only([]);
        let (client, base) = match address {
            // A socket has no authority; plugins see this one.
            Address::Socket(path) => {
                (client.unix_socket(path.as_path()), "http://localhost".to_owned())
            }
            Address::Loopback { .. } => (client, address.to_string()),
        };
        Ok(Self {
            http: client.build().map_err(Error::internal)?,
            address: address.clone(),
            base,
            calls,
        })
    }

    /// The plugins that there are.
    pub(crate) async fn list(&self) -> Result<Vec<Agent>> {
        let request = self.http.get(format!("{}/plugins/v1", self.base));
        let listed: Listed = self.answer(Operation::Discover, request).await?;
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
        let created: Created = self.answer(Operation::Create, request).await?;
        match created.job_id.get() {
            "null" => Err(something_else(Operation::Create, &"job_id is null")),
            id => Ok(id.to_owned()),
        }
    }

    pub(crate) async fn get(&self, cx: &Context, job_id: &str) -> Result<Answer> {
        let request = self.about(cx, Method::GET, "/poll", job_id);
        status(self.answer(Operation::Get, request).await?)
    }

    pub(crate) async fn delete(&self, cx: &Context, job_id: &str) -> Result<()> {
        let request = self.about(cx, Method::DELETE, "/delete", job_id);
        self.send(Operation::Delete, request).await.map(drop)
    }

    pub(crate) async fn execute(&self, cx: &Context, task: &Json) -> Result<Answer> {
        let request = self.request(cx, Method::POST, "").json(task);
        status(self.answer(Operation::Execute, request).await?)
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

    async fn answer<T: DeserializeOwned>(
        &self,
        operation: Operation,
        request: RequestBuilder,
    ) -> Result<T> {
        let body = self.send(operation, request).await?;
        // A list would be read as the members in their order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(something_else(operation, &"no object"));
        }
        serde_json::from_slice(&body).map_err(|error| something_else(operation, &error))
    }

    /// The body of a success.
    async fn send(&self, operation: Operation, request: RequestBuilder) -> Result<BytesMut> {
        let mut request = request.build().map_err(unanswered)?;
        let mut call = self.calls.http(operation, request.method(), request.url().path());
        request.headers_mut().extend(call.headers());
        let answer = self.exchange(operation, request, &mut call).await;
        match &answer {
            Ok(_) => call.succeeded(),
            Err(error) if error.code() == Some(PLUGIN_ERROR) => call.raised(error.kind()),
            Err(error) => call.failed(error.kind()),
        }
        answer
    }

    async fn exchange(
        &self,
        operation: Operation,
        request: Request,
        call: &mut Call,
    ) -> Result<BytesMut> {
        // The client connects by itself, and each call may be a new connection.
        self.address.check().map_err(unsafe_way)?;
        let response = self.http.execute(request).await.map_err(unanswered)?;
        let status = response.status();
        call.answered(status);
        let retry_after = retry_after(response.headers());
        let body = read(response).await?;
        if status.is_success() {
            return Ok(body);
        }
        let error = refused(status, operation, &body);
        Err(match retry_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        })
    }
}

/// `answer`, if it says how the job is.
fn status(answer: Answer) -> Result<Answer> {
    match (&answer.phase, &answer.job_state) {
        (None, None) => Err(something_else(Operation::Get, &"neither phase nor job_state")),
        _ => Ok(answer),
    }
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

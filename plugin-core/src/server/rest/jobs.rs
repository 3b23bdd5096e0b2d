//! The verbs of jobs over REST.

use std::{borrow::Cow, sync::Arc};

use axum::{
    body::to_bytes,
    extract::{Query, Request},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use server_core::{Error, Result, ServiceInfo};

use super::{
    Rest,
    answer::{CreatedJob, DeletedJob, JobSpec, JobStatus},
    as_refusal,
    body::{self, JobQuery},
    idempotency_key,
};
use crate::{
    context::{ConnectionValues, Verb},
    handle::{Job, from_job_id, to_job_id},
    server::route::plain_task,
    verbs::{Incoming, Opened, ServedAsync, UNREADABLE_HANDLE, Verbs},
};

const NOT_REPEATABLE: &str = "created; without Idempotency-Key or output_prefix, a repeat of this \
                              request starts another job";

/// Serves the operations on jobs without axum's router and extractors.
#[derive(Clone)]
pub(crate) struct Jobs(Rest);

impl Jobs {
    pub(crate) fn new(verbs: Arc<Verbs>, info: ServiceInfo) -> Self {
        Self(Rest { verbs, info })
    }

    /// Serves a request that [`Route::of_known`](crate::server::route::Route::of_known) found.
    pub(crate) async fn serve(self, request: Request) -> Response {
        self.answer(request).await.unwrap_or_else(Error::into_response)
    }

    async fn answer(self, request: Request) -> Result<Response> {
        let Self(rest) = self;
        let (mut parts, body) = request.into_parts();
        let mut incoming = Incoming::of(&mut parts.extensions)?;
        let task = plain_task(parts.uri.path());
        let task = task.ok_or_else(|| Error::internal("the request is for the router"))?;
        match parts.method {
            Method::PUT => {
                let body = match incoming.message.take() {
                    Some(message) => message,
                    // Admission reads every body; without a message there was none to read.
                    None => to_bytes(body, usize::MAX).await.map_err(Error::internal)?,
                };
                rest.create(&incoming, task, &parts.headers, body).await
            }
            Method::DELETE => rest.delete(&incoming, task, &parts.uri).await,
            _ => rest.get(&incoming, task, &parts.uri).await,
        }
    }
}

/// The task type and the version in a path.
type Task<'a> = (&'a str, &'a str);

impl Rest {
    pub(super) async fn create(
        &self,
        incoming: &Incoming,
        task: Task<'_>,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response> {
        let served = self.served(task)?;
        let (size, task_type) = (body.len(), served.task_type);
        let bounds = self.verbs.bounds().clone();
        let permit = incoming.permit.clone();
        let read = move || {
            let _permit = permit;
            body::read(&body)?.into_request(task_type, &bounds)
        };
        let request = self.verbs.heavy().run(size, read).await??;
        let key = idempotency_key(headers)?;
        let created = self.verbs.create(incoming, request.into(), key).await?;
        if let Some(error) = created.refused {
            return Err(as_refusal(error));
        }
        let (job, described) = match &created.meta {
            Some(meta) => (served.plugin.ids(meta)?, Some(served.plugin.describe(meta))),
            None => (None, None),
        };
        let created = CreatedJob {
            job_id: to_job_id(&created.handle),
            job_spec: JobSpec::new(task_type, created.created_at, job),
            log_links: described.as_ref().map_or(&[], |status| &status.links),
            error_code: None,
            message: if created.repeatable { "" } else { NOT_REPEATABLE },
        };
        Ok(created.response())
    }

    pub(super) async fn get(
        &self,
        incoming: &Incoming,
        task: Task<'_>,
        uri: &Uri,
    ) -> Result<Response> {
        let served = self.served(task)?;
        let opened = self.open(incoming, Verb::Get, &served, &job_id(uri)?)?;
        let status = self.verbs.get(incoming, &opened, ConnectionValues::default()).await;
        let job = match &opened.handle.job {
            Job::Created(meta) => served.plugin.ids(meta)?,
            Job::Refused { .. } => None,
        };
        let spec = JobSpec::new(served.task_type, opened.handle.created_at, job);
        JobStatus::of(spec, &status)?.response()
    }

    pub(super) async fn delete(
        &self,
        incoming: &Incoming,
        task: Task<'_>,
        uri: &Uri,
    ) -> Result<Response> {
        let served = self.served(task)?;
        let job_id = job_id(uri)?;
        let opened = self.open(incoming, Verb::Delete, &served, &job_id)?;
        self.verbs.delete(incoming, &opened, ConnectionValues::default()).await?;
        Ok(DeletedJob { job_id: &job_id, error_code: None, message: "" }.response())
    }

    fn served(&self, (task_type, version): Task<'_>) -> Result<ServedAsync> {
        self.find(task_type, version)?.asynchronous()
    }

    fn open(
        &self,
        incoming: &Incoming,
        verb: Verb,
        served: &ServedAsync,
        job_id: &str,
    ) -> Result<Opened> {
        let sealed = from_job_id(job_id).ok_or_else(|| {
            Error::invalid("job_id: not issued by this service").with_code(UNREADABLE_HANDLE)
        })?;
        self.verbs.open(incoming, verb, &sealed, Some(served.task_type.name))
    }
}

/// The job that the query names.
fn job_id(uri: &Uri) -> Result<Cow<'_, str>> {
    if let Some(job_id) = uri.query().and_then(plain_job_id) {
        return Ok(Cow::Borrowed(job_id));
    }
    let query = Query::<JobQuery>::try_from_uri(uri);
    let Query(query) = query.map_err(|rejection| Error::invalid(rejection.body_text()))?;
    match (query.job_id, query.resource_id) {
        (Some(job_id), None) | (None, Some(job_id)) => Ok(Cow::Owned(job_id)),
        (None, None) => Err(Error::invalid("query parameter job_id: missing")),
        (Some(_), Some(_)) => {
            Err(Error::invalid("give either job_id or its alias resource_id, not both"))
        }
    }
}

/// The job that a query of one parameter names, in the characters of a `job_id`.
fn plain_job_id(query: &str) -> Option<&str> {
    let job_id = query.strip_prefix("job_id=").or_else(|| query.strip_prefix("resource_id="))?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    job_id.bytes().fold(true, |all, byte| all & is_plain(byte)).then_some(job_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_by_one_parameter_however_it_is_encoded() {
        let read = |query: &str| {
            let uri = format!("/plugins/v1/acme/0{query}").parse().unwrap();
            job_id(&uri).map(Cow::into_owned).map_err(|error| error.to_string())
        };
        for query in
            ["?job_id=aZ09-_", "?resource_id=aZ09-_", "?job_id=aZ%30%39-_", "?&job_id=aZ09-_&"]
        {
            assert_eq!(read(query).as_deref(), Ok("aZ09-_"), "{query}");
        }
        assert_eq!(read("?job_id=").as_deref(), Ok(""));
        assert_eq!(read("?job_id=a%2Bb+c").as_deref(), Ok("a+b c"));
        for (query, message) in [
            ("", "query parameter job_id: missing"),
            ("?", "query parameter job_id: missing"),
            ("?job_id=a&resource_id=b", "give either job_id or its alias resource_id, not both"),
        ] {
            assert_eq!(read(query).unwrap_err(), message, "{query}");
        }
        for query in ["?job_id=a&job_id=b", "?job_id=a&x=1", "?id=1"] {
            assert!(read(query).unwrap_err().starts_with("Failed to deserialize query"), "{query}");
        }
    }
}

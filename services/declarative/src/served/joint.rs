//! Polls of many jobs with few requests, where a file has `get.many`.

use std::collections::HashMap;

use plugin_core::{
    Context, Fingerprint, JointStatus, Polled, Result,
    secrecy::ExposeSecret as _,
    serde_json::{Map, Value as Json},
};

use super::{Served, answered, clients::Vendor};
use crate::{
    definition::{Get, Many},
    expression::{EvalError, Scope, invalid, scalar},
    job::Job,
    status::{self, unreadable},
};

impl Served {
    /// Tells the jobs that one request can ask about; `None` if each is polled by itself.
    pub(crate) async fn group(&self, cx: &Context, job: &Job) -> Result<Option<Fingerprint>> {
        let Some(many) = &self.definition.jobs()?.get.many else { return Ok(None) };
        let shared = many.shared.iter().map(|id| text(&job.ids, id));
        let mut parts =
            [self.definition.name.clone()].into_iter().chain(shared).collect::<Vec<_>>();
        parts.push(self.identity(cx, job).await?);
        let parts = parts.iter().map(String::as_str).collect::<Vec<_>>();
        Ok(Some(Fingerprint::of(&parts)))
    }

    /// Tells whose calls those about `job` are.
    async fn identity(&self, cx: &Context, job: &Job) -> Result<String> {
        if let (Vendor::Aws(aws), Some(place)) = (self.clients.vendor(cx.task_type()), &job.place) {
            return Ok(aws.group(cx, place).await?.to_string());
        }
        let mut values = Vec::new();
        for name in self.definition.auth.secrets().unwrap_or_default() {
            values.extend(cx.find_secret(name).await?);
        }
        let values = values.iter().map(|value| value.expose_secret()).collect::<Vec<_>>();
        Ok(Fingerprint::of(&values).to_string())
    }

    /// The statuses of `jobs`, which are of one group.
    pub(crate) async fn get_many(
        &self,
        cx: &Context,
        jobs: &[Polled<Job>],
    ) -> Result<Vec<JointStatus>> {
        let get = &self.definition.jobs()?.get;
        let Some(many) = &get.many else { return Ok(Vec::new()) };
        let mut statuses = Vec::new();
        for jobs in jobs.chunks(many.most) {
            statuses.extend(self.get_some(cx, get, many, jobs).await?);
        }
        Ok(statuses)
    }

    /// [`get_many`](Self::get_many) of as many jobs as one request may have.
    async fn get_some(
        &self,
        cx: &Context,
        get: &Get,
        many: &Many,
        jobs: &[Polled<Job>],
    ) -> Result<Vec<JointStatus>> {
        let Some(Polled { job: first, .. }) = jobs.first() else { return Ok(Vec::new()) };
        let ids = jobs.iter().map(|polled| text(&polled.job.ids, &many.by)).collect::<Vec<_>>();
        let scope = self.scope_of(first).with("ids", &ids);
        let request = many.request.prepare(&scope);
        let request = request.map_err(|error| invalid(error.below("get.many.request")))?;
        let response = self.send(cx, "get.many", first, request, true).await?;
        let items = read_items(many, &answered(scope, &response))?;
        let statuses = jobs.iter().zip(&ids).map(|(polled, id)| match items.get(id) {
            Some(body) => self.status_in_list(get, &polled.job, body, &response.status.as_u16()),
            // A list may be behind, and says less than a refusal.
            None => JointStatus::Alone,
        });
        Ok(statuses.collect())
    }

    fn status_in_list(&self, get: &Get, job: &Job, body: &Json, status: &u16) -> JointStatus {
        let scope = self.scope_of(job).with("status", status).with("body", body);
        let read = job.outputs().and_then(|outputs| status::read(get, scope, &outputs));
        match read {
            Ok(status) => JointStatus::Status(self.described(status, job)),
            Err(_) => JointStatus::Alone,
        }
    }
}

/// The jobs in the answer that `scope` has, by their ids: what a request about one of them would get.
fn read_items(many: &Many, scope: &Scope) -> Result<HashMap<String, Json>> {
    let unclear = |error: EvalError| unreadable(error.within("get.many.items"));
    let Some(Json::Array(items)) = many.items.eval(scope).map_err(unclear)? else {
        return Err(unclear(many.items.error("is no list")));
    };
    let mut found = HashMap::new();
    for item in items {
        let scope = scope.clone().with("item", &item);
        // One that does not fit the file is no reason to know nothing of the others.
        let Ok(Some(id)) = many.id.eval_text(&scope) else { continue };
        let body = match &many.body {
            Some(body) => body.eval(&scope).ok().flatten(),
            None => Some(item),
        };
        // Of two items of one job, nobody knows which is right: it is read by itself.
        found.entry(id).and_modify(|known| *known = None).or_insert(body);
    }
    Ok(found.into_iter().filter_map(|(id, body)| Some((id, body?))).collect())
}

fn text(ids: &Map<String, Json>, name: &str) -> String {
    ids.get(name).and_then(scalar).unwrap_or_default()
}

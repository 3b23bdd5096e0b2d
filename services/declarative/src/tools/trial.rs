//! `try --against`: sends a file's requests, and shows them with the answers.

use std::{
    result::Result as StdResult,
    sync::{Arc, Mutex, PoisonError},
};

use plugin_core::{
    Error, OutputTypes, Result, Trial, TrialArgs,
    serde_json::{self, Value as Json},
    service_info,
    upstream::Response,
};

use super::{
    attempt::{Attempt, Plan, located},
    shown::Requests,
};
use crate::{
    definition::Work,
    request::Prepared,
    served::{Served, Watch},
    trace::Trace,
};

/// The most of an answer that is shown, in bytes.
const LONGEST: usize = 4 << 10;

/// Submits the task of `attempt`, polls its job once and stops it, at the address that `args` have. Returns what was sent and
/// answered, with the names of secrets in their place.
///
/// # Errors
/// What is wrong with the file, the task or the settings. The vendor's errors are part of what is shown.
pub async fn attempt_against(attempt: &Attempt<'_>, args: &TrialArgs) -> StdResult<String, String> {
    let message = |error: Error| located(&error);
    let plan = Plan::of(attempt, args.against.as_deref())?;
    let Trial { http, cx } = Trial::new(service_info!(), args).map_err(message)?;
    let requests = Requests::of(&plan.definition, &plan.scope)?;
    let requests = requests.sent_to(args.against.as_deref().unwrap_or_default());
    let output_prefix = format!("s3://bucket/{}", cx.idempotency_key().hex());
    let values = plan.values(&output_prefix, cx.idempotency_key().hex())?;
    let served = Served::new(Arc::clone(&plan.definition), plan.scope.clone(), http);
    let seen = Seen::of(requests, &plan);
    let served = served.map_err(message)?.watched(seen.clone());
    // What the settings gave is of no interest.
    plan.trace.take();
    if let Work::Sync(execute) = &plan.definition.work {
        let status = served.run(&cx, execute, &OutputTypes::default(), values).await;
        seen.note(&match status {
            Ok(status) => format!("the task ends as {}", status.phase().name()),
            Err(error) => spelled(&error),
        });
        return Ok(seen.text());
    }
    let job = served.submit(&cx, &OutputTypes::default(), values).await;
    seen.note(&match &job {
        Ok(job) => format!("job: {}", Json::Object(job.ids.clone())),
        Err(error) => spelled(error),
    });
    if let Ok(job) = job {
        let status = served.get(&cx, &job).await;
        seen.note(&match status {
            Ok(status) => format!("a poll answers {}", status.phase().name()),
            Err(error) => spelled(&error),
        });
        let stopped = served.delete(&cx, &job).await;
        seen.note(&stopped.map_or_else(|error| spelled(&error), |()| "stopped".to_owned()));
    }
    // What the vendor echoes of secrets, the client has masked.
    Ok(seen.text())
}

/// What was sent and answered, in order.
#[derive(Clone)]
struct Seen {
    requests: Arc<Requests>,
    /// None if nobody wants an explanation.
    trace: Option<Trace>,
    text: Arc<Mutex<String>>,
}

impl Seen {
    fn of(requests: Requests, plan: &Plan) -> Self {
        Self { requests: requests.into(), trace: plan.scope.trace(), text: Arc::default() }
    }

    fn add(&self, text: &str) {
        let explanation = self.trace.as_ref().map(Trace::take).unwrap_or_default();
        let mut all = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_str(text);
        all.push('\n');
        all.push_str(&explanation);
    }

    /// Adds what a call led to.
    fn note(&self, outcome: &str) {
        self.add(outcome);
        self.text.lock().unwrap_or_else(PoisonError::into_inner).push('\n');
    }

    fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Watch for Seen {
    fn sending(&self, part: &str, request: &Prepared) {
        self.add(&self.requests.show(part, request));
    }

    fn answered(&self, answer: &Result<Response>) {
        let Ok(response) = answer else { return };
        let body = match serde_json::from_slice::<Json>(&response.body) {
            Ok(json) => serde_json::to_string_pretty(&json).unwrap_or_default(),
            Err(_) => String::from_utf8_lossy(&response.body).into_owned(),
        };
        self.add(&format!("=> {}\n{}\n", response.status, cut(&body)));
    }
}

fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}… ({} bytes)", &text[..end], text.len())
}

fn spelled(error: &Error) -> String {
    let code = error.code().map(|code| format!("{code}: ")).unwrap_or_default();
    format!("=> {} {code}{}", error.kind().name(), located(error))
}

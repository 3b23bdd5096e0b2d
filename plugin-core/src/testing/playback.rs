//! A stand-in for a vendor, to try a service by hand: it plays `recorded.json`.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::State, response::Response};
use http::{Method, Uri};
use tokio::net::TcpListener;

use super::{
    recorded::{Recorded, SyncRecorded},
    upstream::Answer,
};

/// How many polls of a job find it running.
const POLLS_RUNNING: usize = 2;

/// Serves the answers of `recorded.json` on `address` until the program is stopped, and prints the
/// requests.
///
/// The calls of a create are answered with `created`, and later calls with the same method and path with
/// `repeated`. Every other GET is a poll: two of each job are answered with `running` and all later ones
/// with `succeeded`. A DELETE, and a call below a path that was polled, is answered with `cancelled`.
///
/// # Errors
/// `address` cannot be listened on.
///
/// # Panics
/// When `recorded` is not a valid `recorded.json`.
pub fn play(recorded: &str, address: &str) -> io::Result<()> {
    serve(Vendor::Jobs(Box::new(Recorded::parse(recorded)), Mutex::default()), address)
}

/// Answers every call on `address` with `succeeded` of a sync plugin's `recorded.json`, until the
/// program is stopped, and prints the requests.
///
/// # Errors
/// `address` cannot be listened on.
///
/// # Panics
/// When `recorded` is not a valid `recorded.json`.
pub fn play_sync(recorded: &str, address: &str) -> io::Result<()> {
    serve(Vendor::Calls(SyncRecorded::parse(recorded).succeeded), address)
}

enum Vendor {
    Jobs(Box<Recorded>, Mutex<History>),
    Calls(Answer),
}

/// The calls received so far, by method and path.
#[derive(Default)]
struct History {
    calls: BTreeMap<(Method, String), Call>,
    /// Which call of a create comes next.
    next: usize,
}

#[derive(Clone, Copy)]
struct Call {
    step: Step,
    times: usize,
}

#[derive(Clone, Copy)]
enum Step {
    /// A call of a create, by its place among them.
    Create(usize),
    Poll,
    Cancel,
}

fn serve(vendor: Vendor, address: &str) -> io::Result<()> {
    let router = Router::new().fallback(answer).with_state(Arc::new(vendor));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("the vendor listens on http://{}", listener.local_addr()?);
        axum::serve(listener, router).await
    })
}

async fn answer(State(vendor): State<Arc<Vendor>>, method: Method, uri: Uri) -> Response {
    let answer = match &*vendor {
        Vendor::Calls(answer) => answer,
        Vendor::Jobs(recorded, history) => {
            let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
            history.answer(recorded, &method, uri.path())
        }
    };
    println!("{method} {uri} -> {}", answer.status);
    answer.response()
}

impl History {
    fn answer<'a>(&mut self, recorded: &'a Recorded, method: &Method, path: &str) -> &'a Answer {
        let call = self.record(recorded.created.len(), method, path);
        let (answers, index) = match call.step {
            Step::Create(index) if call.times > 1 && index < recorded.repeated.len() => {
                (&recorded.repeated, index)
            }
            Step::Create(index) => (&recorded.created, index),
            Step::Poll if call.times > POLLS_RUNNING => (&recorded.succeeded, 0),
            Step::Poll => (&recorded.running, 0),
            Step::Cancel => (&recorded.cancelled, 0),
        };
        &answers[index]
    }

    /// Counts a call; a new one is classified by the calls before it.
    fn record(&mut self, creates: usize, method: &Method, path: &str) -> Call {
        let key = (method.clone(), path.to_owned());
        if let Some(call) = self.calls.get_mut(&key) {
            call.times += 1;
            return *call;
        }
        let call = Call { step: self.classify(creates, method, path), times: 1 };
        if let Step::Create(index) = call.step {
            self.next = (index + 1) % creates;
        }
        self.calls.insert(key, call);
        call
    }

    fn classify(&self, creates: usize, method: &Method, path: &str) -> Step {
        let is_first = creates > 1 && self.calls.is_empty();
        let below_a_poll = |(polled, call): (&(Method, String), &Call)| {
            matches!(call.step, Step::Poll)
                && path.len() > polled.1.len()
                && path.starts_with(&polled.1)
        };
        match *method {
            Method::DELETE => Step::Cancel,
            _ if is_first || self.next > 0 => Step::Create(self.next),
            Method::GET => Step::Poll,
            _ if self.calls.iter().any(below_a_poll) => Step::Cancel,
            _ => Step::Create(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn recorded(created: &Json, repeated: &Json) -> Recorded {
        let answer = |name: &str| json!({ "body": name });
        let mut json = json!({
            "task": {}, "bad_custom": {}, "bad_field": "", "refused_message": "",
            "created": created, "repeated": repeated,
        });
        for name in [
            "refused",
            "running",
            "succeeded",
            "failed",
            "unknown_state",
            "cancelled",
            "gone",
            "unauthorized",
            "throttled",
            "unavailable",
        ] {
            json[name] = answer(name);
        }
        Recorded::parse(&json.to_string())
    }

    fn play_calls(recorded: &Recorded, calls: &[(Method, &str, &str)]) {
        let mut history = History::default();
        for (method, path, expected) in calls {
            let answer = history.answer(recorded, method, path);
            assert_eq!(answer.body, *expected, "{method} {path}");
        }
    }

    #[test]
    fn a_create_of_one_call_starts_a_job() {
        let recorded = recorded(&json!({"body": "created"}), &json!({"body": "repeated"}));
        play_calls(
            &recorded,
            &[
                (Method::PUT, "/jobs/1", "created"),
                (Method::PUT, "/jobs/1", "repeated"),
                (Method::PUT, "/jobs/2", "created"),
                (Method::GET, "/jobs/1", "running"),
                (Method::GET, "/jobs/1", "running"),
                (Method::GET, "/jobs/1", "succeeded"),
                (Method::GET, "/jobs/2", "running"),
                (Method::POST, "/jobs/1/cancel", "cancelled"),
                (Method::DELETE, "/jobs/2", "cancelled"),
            ],
        );
    }

    #[test]
    fn a_create_may_look_for_the_job_first() {
        let recorded =
            recorded(&json!([{"body": "none"}, {"body": "created"}]), &json!({"body": "found"}));
        play_calls(
            &recorded,
            &[
                (Method::GET, "/runs/", "none"),
                (Method::POST, "/jobs/1/run/", "created"),
                (Method::GET, "/runs/1/", "running"),
                (Method::GET, "/runs/", "found"),
                (Method::POST, "/jobs/1/run/", "created"),
                (Method::GET, "/runs/1/", "running"),
                (Method::GET, "/runs/1/", "succeeded"),
                (Method::POST, "/runs/1/cancel/", "cancelled"),
            ],
        );
    }
}

//! The rules: for each an id, a level, a sentence and a check.

mod authentication;
mod bounds;
mod create;
mod delete;
mod discovery;
mod execute;
mod get;
mod handles;
mod health;
mod leaks;
mod refused;

use std::fmt;

use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::{
    session::Session,
    verdict::{Checked, skipped},
};

/// Whether a rule must hold, as in RFC 2119.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// It must.
    Must,
    /// It should.
    Should,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
        })
    }
}

type Check = for<'a> fn(&'a Session) -> BoxFuture<'a, Checked>;

/// A rule of the plugin contract that can be seen from outside.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its stable name, `group/what-holds`.
    pub id: &'static str,
    /// Whether it must hold.
    pub level: Level,
    /// What holds.
    pub sentence: &'static str,
    pub(crate) check: Check,
}

impl Rule {
    /// The part of the id before the slash.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.id.split('/').next().unwrap_or_default()
    }

    /// The line of docs/plugin-contract.md that has the rule.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        let mark = format!("`{}`", self.id);
        CONTRACT.lines().position(|line| line.contains(&mark)).map(|index| index + 1)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// The plugin contract.
pub const CONTRACT: &str = include_str!("../../docs/plugin-contract.md");

/// The rules of a plugin's own server behind a bridge, which `outrigger check` starts and calls: [`run`](crate::run) is
/// told what it found.
pub const PLUGIN_RULES: &[Rule] = &[
    Rule {
        id: "plugin/repeat-is-the-same-job",
        level: Level::Must,
        sentence: "A create with the same Idempotency-Key returns the same job, also without the bridge.",
        check: |_| Box::pin(async { Err(skipped(NO_JOBS)) }),
    },
    Rule {
        id: "plugin/other-key-is-another-job",
        level: Level::Must,
        sentence: "A create with another Idempotency-Key returns another job, also without the bridge.",
        check: |_| Box::pin(async { Err(skipped(NO_JOBS)) }),
    },
];

const NO_JOBS: &str = "needs a --task that is a job";

macro_rules! rules {
    ($($level:ident $id:literal: $sentence:literal, $group:ident::$check:ident;)*) => {
        /// Every rule, in the order in which they are checked.
        pub const RULES: &[Rule] = &[$(Rule {
            id: $id,
            level: Level::$level,
            sentence: $sentence,
            check: |session| Box::pin($group::$check(session)),
        }),*];
    };
}

rules! {
    Must "discovery/lists-a-task-type":
        "ListAgents, ListConnectors and GET /plugins/v1 list at least one task type.",
        discovery::lists_a_task_type;
    Must "discovery/every-protocol-lists-the-same":
        "Every protocol lists the same task types, versions and modes.",
        discovery::every_protocol_lists_the_same;
    Must "discovery/types-and-categories-agree":
        "supported_task_types has the names of supported_task_categories.",
        discovery::types_and_categories_agree;
    Must "discovery/each-task-type-once":
        "A task type is listed once, in one version.",
        discovery::each_task_type_once;
    Must "discovery/mode-is-true":
        "A task type is served in the mode that is listed, and not in the other.",
        discovery::mode_is_true;
    Should "discovery/agent-by-name":
        "GetAgent and GetConnector find what is listed; an unknown name is NOT_FOUND.",
        discovery::agent_by_name;
    Should "discovery/schema-is-an-object":
        "Each task type has a JSON Schema of its custom.",
        discovery::schema_is_an_object;

    Must "create/gives-a-handle":
        "A create of a valid task, and each repeat, gives a handle of at most 16 KiB.",
        create::gives_a_handle;
    Should "create/handle-is-short":
        "A handle has at most 1024 bytes.",
        create::handle_is_short;
    Must "create/repeat-is-the-same-job":
        "A repeat with the same output_prefix, over any protocol, is the same job.",
        create::repeat_is_the_same_job;
    Must "create/concurrent-repeats-are-one-job":
        "Creates with the same output_prefix at once are one job.",
        create::concurrent_repeats_are_one_job;
    Must "create/another-prefix-is-another-job":
        "The same task with another output_prefix is another job.",
        create::another_prefix_is_another_job;
    Must "create/bad-custom-names-the-field":
        "A wrong custom is FAILED at the first get, over REST 400 or 422, and the message names the field.",
        create::bad_custom_names_the_field;
    Must "create/refused-task-fails":
        "A task that the vendor refuses is FAILED, over REST 400 or 422, with a message.",
        create::refused_task_fails;
    Must "create/missing-template-is-refused":
        "A create without a template is INVALID_ARGUMENT.",
        create::missing_template_is_refused;
    Must "create/unknown-type-is-not-found":
        "A create of a task type that is not served is NOT_FOUND, over REST 404.",
        create::unknown_type_is_not_found;
    Must "create/unknown-version-is-not-found":
        "A create of a version that is not served is NOT_FOUND, over REST 404.",
        create::unknown_version_is_not_found;

    Must "get/is-answered":
        "Every get of a job is answered with a status, and not with an error.",
        get::is_answered;
    Must "get/phase-is-set":
        "Every status has a phase, which is never UNDEFINED.",
        get::phase_is_set;
    Must "get/task-succeeds":
        "A task that succeeds is SUCCEEDED within the time limit.",
        get::task_succeeds;
    Must "get/terminal-phase-stays":
        "A phase that is terminal stays.",
        get::terminal_phase_stays;
    Should "get/state-agrees-with-phase":
        "Flyte 1's state and REST's job_state say the same as the phase.",
        get::state_agrees_with_phase;
    Must "get/outputs-are-as-declared":
        "The outputs in an answer are those that the interface declares, with their types.",
        get::outputs_are_as_declared;
    Should "get/outputs-are-in-the-answer":
        "A task that has succeeded has its outputs in the answer.",
        get::outputs_are_in_the_answer;
    Must "get/every-protocol-says-the-same":
        "Every protocol reports the same phase, message, outputs, links and custom info.",
        get::every_protocol_says_the_same;
    Should "get/links-come-first":
        "The links of a phase are in its first answer.",
        get::links_come_first;
    Should "get/does-not-wait":
        "A get is answered within two seconds.",
        get::does_not_wait;
    Must "get/unreadable-handle-is-refused":
        "A handle that the service did not issue is FAILED or a definitive error, never INTERNAL.",
        get::unreadable_handle_is_refused;
    Must "get/altered-handle-is-refused":
        "A handle that was altered finds no job.",
        get::altered_handle_is_refused;
    Must "get/handle-is-never-executed":
        "A pickle in place of a handle is not executed.",
        get::handle_is_never_executed;

    Must "delete/twice":
        "A delete succeeds, and so does its repeat over any protocol.",
        delete::twice;
    Must "delete/ended-job":
        "A delete of a job that has ended succeeds.",
        delete::ended_job;
    Should "delete/deleted-job-ends":
        "A job that was deleted ends within 1.25 times the time limit.",
        delete::deleted_job_ends;
    Must "delete/unreadable-handle-is-done":
        "A delete with a handle that the service did not issue succeeds over gRPC.",
        delete::unreadable_handle_is_done;

    Must "execute/is-answered":
        "A sync task is answered with a status.",
        execute::is_answered;
    Must "execute/header-comes-first":
        "The answer is a header, then at most the outputs, then the end of the stream.",
        execute::header_comes_first;
    Must "execute/phase-is-terminal":
        "The status of a sync task is terminal.",
        execute::phase_is_terminal;
    Must "execute/task-succeeds":
        "A sync task that succeeds is SUCCEEDED.",
        execute::task_succeeds;
    Must "execute/outputs-are-as-declared":
        "The header has the outputs that the interface declares, with their types.",
        execute::outputs_are_as_declared;
    Must "execute/every-protocol-says-the-same":
        "Flyte 1 and REST report the same phase, types of outputs and names of links.",
        execute::every_protocol_says_the_same;
    Must "execute/does-not-wait-for-the-half-close":
        "A sync task is answered before its caller ends the stream.",
        execute::does_not_wait_for_the_half_close;
    Must "execute/waits-for-inputs":
        "While the stream is open, missing inputs are waited for until the deadline.",
        execute::waits_for_inputs_until_the_deadline;
    Must "execute/broken-stream-is-refused":
        "A stream without a header is INVALID_ARGUMENT.",
        execute::broken_stream_is_refused;
    Must "execute/bad-custom-names-the-field":
        "A wrong custom of a sync task is FAILED, over REST 400 or 422, and the message names the field.",
        execute::bad_custom_names_the_field;
    Must "execute/refused-task-fails":
        "A sync task that the vendor refuses is FAILED, over REST 400 or 422, with a message.",
        execute::refused_task_fails;
    Must "execute/unknown-type-is-not-found":
        "An execution of a task type that is not served is NOT_FOUND, over REST 404.",
        execute::unknown_type_is_not_found;

    Must "authentication/no-token-is-refused":
        "A call without a token is UNAUTHENTICATED, over REST 401.",
        authentication::no_token_is_refused;
    Must "authentication/forged-token-is-refused":
        "A call with a token that the issuer did not sign is UNAUTHENTICATED, over REST 401.",
        authentication::forged_token_is_refused;
    Should "authentication/challenge-comes-with-401":
        "A 401 has WWW-Authenticate.",
        authentication::challenge_comes_with_401;

    Must "bounds/wrong-bytes-are-refused":
        "Bytes that are not the request's message are refused, and the service goes on.",
        bounds::wrong_bytes_are_refused;
    Should "bounds/wrong-bytes-are-the-callers-error":
        "They are INVALID_ARGUMENT, not INTERNAL, which counts as the service's error.",
        bounds::wrong_bytes_are_the_callers_error;
    Must "bounds/malformed-json-is-refused":
        "A body that is not a task is 400 or 422.",
        bounds::malformed_json_is_refused;
    Must "bounds/large-message-is-refused":
        "A request that is too large is RESOURCE_EXHAUSTED or OUT_OF_RANGE, over REST 413.",
        bounds::large_message_is_refused;
    Must "bounds/deadline-is-kept":
        "A call ends with its grpc-timeout or X-Request-Timeout, even if its request does not.",
        bounds::deadline_is_kept;
    Must "bounds/unserved-methods-answer":
        "GetTaskLogs, GetTaskMetrics and unknown methods answer, with UNIMPLEMENTED if they are not served.",
        bounds::unserved_methods_answer;

    Must "health/grpc-says-serving":
        "gRPC's health service says SERVING.",
        health::grpc_says_serving;
    Must "health/readyz-is-ok":
        "/readyz of the admin port is 200.",
        health::readyz_is_ok;
    Must "health/metrics-can-be-read":
        "/metrics of the admin port has samples in Prometheus' form.",
        health::metrics_can_be_read;

    Must "leaks/no-stack-trace":
        "No answer contains a stack trace.",
        leaks::no_stack_trace;
    Must "leaks/no-canary":
        "No answer, handle or metric contains the caller's token or a secret of the canary file.",
        leaks::no_canary;
}

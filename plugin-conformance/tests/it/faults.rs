//! Each planted fault fails the rule that is about it, and no other.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use plugin_conformance::{Outcome, RULES, Report, run};
use serde_json::{Value as Json, json};

use crate::{
    args,
    fake::{ASYNC, CANARY, Fault, SYNC, TOKEN, start},
    file, ids,
};

/// How many services are checked at once.
const AT_ONCE: usize = 24;

/// Each fault, and the rule that it breaks.
const FAULTS: &[(Fault, &str)] = &[
    (Fault::RestListFails, "discovery/lists-a-task-type"),
    (Fault::RestListsAnotherVersion, "discovery/every-protocol-lists-the-same"),
    (Fault::TypeWithoutCategory, "discovery/types-and-categories-agree"),
    (Fault::TwoVersions, "discovery/each-task-type-once"),
    (Fault::AsyncTypeExecutes, "discovery/mode-is-true"),
    (Fault::UnknownAgentIsFound, "discovery/agent-by-name"),
    (Fault::NoSchema, "discovery/schema-is-an-object"),
    (Fault::EmptyRestHandle, "create/gives-a-handle"),
    (Fault::LongHandle, "create/handle-is-short"),
    (Fault::SecondJobForRepeat, "create/repeat-is-the-same-job"),
    (Fault::SecondJobWithoutIds, "create/repeat-is-the-same-job"),
    (Fault::ConcurrentCreatesAreTwo, "create/concurrent-repeats-are-one-job"),
    (Fault::OneJobForEveryPrefix, "create/another-prefix-is-another-job"),
    (Fault::BadCustomIsVague, "create/bad-custom-names-the-field"),
    (Fault::BadCustomIsAnError, "create/bad-custom-names-the-field"),
    (Fault::BadCustomIsAccepted, "create/bad-custom-names-the-field"),
    (Fault::RefusalIsTransient, "create/refused-task-fails"),
    (Fault::NoTemplateIsAccepted, "create/missing-template-is-refused"),
    (Fault::UnknownTypeIsAccepted, "create/unknown-type-is-not-found"),
    (Fault::UnknownVersionIsAccepted, "create/unknown-version-is-not-found"),
    (Fault::PollFailsOnce, "get/is-answered"),
    (Fault::PhaseIsUndefined, "get/phase-is-set"),
    (Fault::TaskFails, "get/task-succeeds"),
    (Fault::TerminalBecomesRunning, "get/terminal-phase-stays"),
    (Fault::StateDisagrees, "get/state-agrees-with-phase"),
    (Fault::OutputIsMissing, "get/outputs-are-as-declared"),
    (Fault::OutputHasAnotherType, "get/outputs-are-as-declared"),
    (Fault::NoOutputs, "get/outputs-are-in-the-answer"),
    (Fault::OutputsDifferOverRest, "get/every-protocol-says-the-same"),
    (Fault::InfoDiffersOverRest, "get/every-protocol-says-the-same"),
    (Fault::LinksComeLate, "get/links-come-first"),
    (Fault::PollIsSlow, "get/does-not-wait"),
    (Fault::GarbageIsAJob, "get/unreadable-handle-is-refused"),
    (Fault::GarbageIsInternal, "get/unreadable-handle-is-refused"),
    (Fault::AlteredHandleIsAJob, "get/altered-handle-is-refused"),
    (Fault::PickleIsExecuted, "get/handle-is-never-executed"),
    (Fault::SecondDeleteFails, "delete/twice"),
    (Fault::DeleteOfEndedFails, "delete/ended-job"),
    (Fault::DeletedJobRunsOn, "delete/deleted-job-ends"),
    (Fault::DeleteOfGarbageFails, "delete/unreadable-handle-is-done"),
    (Fault::ExecuteFails, "execute/is-answered"),
    (Fault::OutputsComeFirst, "execute/header-comes-first"),
    (Fault::ExecuteIsNotTerminal, "execute/phase-is-terminal"),
    (Fault::SyncTaskFails, "execute/task-succeeds"),
    (Fault::SyncOutputIsMissing, "execute/outputs-are-as-declared"),
    (Fault::SyncOutcomeDiffersOverRest, "execute/every-protocol-says-the-same"),
    (Fault::HalfCloseIsAwaited, "execute/does-not-wait-for-the-half-close"),
    (Fault::InputsAreNotAwaited, "execute/waits-for-inputs"),
    (Fault::BrokenStreamIsUnknown, "execute/broken-stream-is-refused"),
    (Fault::SyncBadCustomIsVague, "execute/bad-custom-names-the-field"),
    (Fault::SyncRefusalIsTransient, "execute/refused-task-fails"),
    (Fault::SyncUnknownTypeIsAccepted, "execute/unknown-type-is-not-found"),
    (Fault::ServesAnybody, "authentication/no-token-is-refused"),
    (Fault::ServesAnyToken, "authentication/forged-token-is-refused"),
    (Fault::NoChallenge, "authentication/challenge-comes-with-401"),
    (Fault::WrongBytesAreUnknown, "bounds/wrong-bytes-are-refused"),
    (Fault::WrongBytesAreInternal, "bounds/wrong-bytes-are-the-callers-error"),
    (Fault::MalformedJsonIs500, "bounds/malformed-json-is-refused"),
    (Fault::LargeMessageIsRead, "bounds/large-message-is-refused"),
    (Fault::DeadlineIsIgnored, "bounds/deadline-is-kept"),
    (Fault::LogsHang, "bounds/unserved-methods-answer"),
    (Fault::NotServing, "health/grpc-says-serving"),
    (Fault::NotReady, "health/readyz-is-ok"),
    (Fault::MetricsAreHtml, "health/metrics-can-be-read"),
    (Fault::TracebackInMessage, "leaks/no-stack-trace"),
    (Fault::CanaryInMessage, "leaks/no-canary"),
    (Fault::TokenInMessage, "leaks/no-canary"),
    (Fault::CanaryInMetrics, "leaks/no-canary"),
];

/// A task of the fake.
pub(crate) fn task(name: &str, text: &str) -> Json {
    let outputs =
        json!({"text": {"type": {"simple": "STRING"}}, "count": {"type": {"simple": "INTEGER"}}});
    json!({"template": {
        "type": name, "custom": {"text": text}, "interface": {"outputs": {"variables": outputs}},
    }})
}

async fn check(fault: Fault) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let fake = start(fault).await;
    let url = format!("http://{}", fake.address);
    let mut line = vec![
        format!("--url={url}"),
        format!("--admin-url={url}"),
        file(&dir, "--token-file", TOKEN),
        file(&dir, "--canary-file", CANARY),
        format!("--large-message={}", 4 << 20),
    ];
    for name in [ASYNC, SYNC] {
        line.push(file(&dir, "--task", &task(name, "hi").to_string()));
        line.push(file(&dir, "--bad-task", &task(name, "refuse").to_string()));
    }
    let junit = dir.path().join("junit.xml");
    line.push(format!("--junit={}", junit.display()));
    let line = line.iter().map(String::as_str).collect::<Vec<_>>();
    run(&args(&line)).await.unwrap()
}

const BROKEN: [Outcome; 2] = [Outcome::Fail, Outcome::Warn];

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_fault_passes_every_rule() {
    let report = check(Fault::None).await;
    let others = ids(&report, &[Outcome::Fail, Outcome::Warn, Outcome::Skip]);
    assert_eq!(others, [""; 0], "{}", report.text());
    assert!(!report.has_failed());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_planted_fault_fails_exactly_the_rule_that_is_about_it() {
    let checks = stream::iter(FAULTS).map(|(fault, rule)| tokio::spawn(exactness(*fault, rule)));
    let wrong = checks.buffer_unordered(AT_ONCE).filter_map(|wrong| async { wrong.unwrap() });
    let wrong = wrong.collect::<Vec<_>>().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with the rules that `fault` breaks, if they are not `rule` alone.
async fn exactness(fault: Fault, rule: &str) -> Option<String> {
    let report = check(fault).await;
    let broken = ids(&report, &BROKEN);
    let exact = broken.len() == 1 && broken[0].starts_with(&format!("{rule}: "));
    (!exact).then(|| format!("{fault:?} should break {rule}, and breaks {broken:#?}"))
}

#[test]
fn each_rule_has_a_fault() {
    let tested = FAULTS.iter().map(|(_, rule)| *rule).collect::<BTreeSet<_>>();
    let rules = RULES.iter().map(|rule| rule.id).collect::<BTreeSet<_>>();
    assert_eq!(tested.symmetric_difference(&rules).collect::<Vec<_>>(), [&""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_checked_is_an_error_that_names_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let fake = start(Fault::None).await;
    let url = format!("--url=http://{}", fake.address);
    let token = file(&dir, "--token-file", TOKEN);
    let other = file(&dir, "--task", r#"{"template": {"type": "other"}}"#);
    let no_task = file(&dir, "--task", r#"{"template": {}}"#);
    let missing = format!("--task={}", dir.path().join("missing").display());
    for (line, reason) in [
        (vec!["--url=http://127.0.0.1:1"], "cannot connect"),
        (vec![&*url], "the service requires --token or --token-file"),
        (vec![&*url, "--token=wrong"], "the service does not accept the token"),
        (vec![&*url, "--token=a b"], "--token: the token is not a token"),
        (vec![&*url, &*token, "--task-type=other"], "--task-type: other is not served"),
        (vec![&*url, &*token, &*other], "--task: a task of the type other:0, which is not among"),
        (vec![&*url, &*token, &*no_task], "template.type: missing"),
        (vec![&*url, &*token, &*missing], "No such file"),
        (vec![&*url, "--only=nothing"], "--only: \"nothing\" is neither a rule nor a group"),
    ] {
        let error = run(&args(&line)).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{line:?}: {error}");
    }
}

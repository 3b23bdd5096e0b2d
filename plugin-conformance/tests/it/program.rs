//! The program: its exit codes, and what it prints.

use std::process::{Command, Output};

use plugin_conformance::{PLUGIN_RULES, RULES};
use serde_json::{Value as Json, json};

use crate::{
    fake::{Fault, Running, SYNC, TOKEN, start},
    faults::task,
    file,
};

async fn program(line: &[String]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_plugin-conformance"));
    program.args(line);
    let output = tokio::task::spawn_blocking(move || program.output());
    output.await.unwrap().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The arguments of a run that is quick.
fn line(dir: &tempfile::TempDir, fake: &Running, more: &[&str]) -> Vec<String> {
    let mut line = vec![
        format!("--url=http://{}", fake.address),
        file(dir, "--token-file", TOKEN),
        "--only=discovery,execute/is-answered,health".to_owned(),
        "--task-type=fake_sync:0".to_owned(),
    ];
    line.extend(more.iter().map(|more| (*more).to_owned()));
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_code_says_whether_every_must_holds() {
    let dir = tempfile::tempdir().unwrap();
    for (fault, expected) in
        [(Fault::None, 0), (Fault::NoSchema, 0), (Fault::NotServing, 1), (Fault::TwoVersions, 1)]
    {
        let fake = start(fault).await;
        let ran = program(&line(&dir, &fake, &[])).await;
        let printed = text(&ran.stdout);
        assert_eq!(ran.status.code(), Some(expected), "{fault:?}: {printed}");
        assert!(printed.contains("No --task was given"), "{printed}");
        assert!(!printed.contains('\u{1b}'), "no colours into a pipe: {printed}");
    }
    for wrong in [&["--url=http://127.0.0.1:1"][..], &["--unknown"], &["--url=ftp://x"]] {
        let wrong = wrong.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
        let ran = program(&wrong).await;
        assert_eq!(ran.status.code(), Some(2), "{wrong:?}");
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_read_json_and_junit() {
    let dir = tempfile::tempdir().unwrap();
    let fake = start(Fault::NotServing).await;
    let junit = dir.path().join("junit.xml");
    let task = file(&dir, "--task", &task(SYNC, "hi").to_string());
    let junit_flag = format!("--junit={}", junit.display());
    let ran = program(&line(&dir, &fake, &["--output=json", &junit_flag, &task])).await;
    let report = serde_json::from_slice::<Json>(&ran.stdout).unwrap();
    assert_eq!(report["counts"]["fail"], 1, "{report:#}");
    assert_eq!(report["has_task"], true);
    let findings = report["findings"].as_array().unwrap();
    let serving = findings.iter().find(|found| found["id"] == "health/grpc-says-serving");
    let serving = serving.unwrap();
    assert_eq!((&serving["outcome"], &serving["level"]), (&"FAIL".into(), &"MUST".into()));
    let reference = serving["contract"].as_str().unwrap();
    assert!(reference.starts_with("docs/plugin-contract.md:"), "{reference}");
    let xml = std::fs::read_to_string(&junit).unwrap();
    let count = findings.len();
    for part in [
        format!(r#"<testsuites name="plugin-conformance" tests="{count}" failures="1""#),
        r#"<failure message="the answer is not SERVING">"#.to_owned(),
        r#"<skipped message="needs --admin-url"/>"#.to_owned(),
    ] {
        assert!(xml.contains(&part), "{part}: {xml}");
    }
    assert!(!text(&ran.stdout).contains(TOKEN) && !xml.contains(TOKEN));
}

/// What `outrigger check` sees of a plugin's own server is in the report's every form, and in its verdict.
#[tokio::test(flavor = "multi_thread")]
async fn every_report_has_what_was_found_of_the_plugins_own_server() {
    let dir = tempfile::tempdir().unwrap();
    let fake = start(Fault::None).await;
    let [same, other] = PLUGIN_RULES else { panic!("there are two") };
    let found = json!([
        {"rule": same.id, "outcome": "FAIL", "reason": "two jobs"},
        {"rule": other.id, "outcome": "PASS", "reason": ""},
    ]);
    let given = file(&dir, "--plugin-findings", &found.to_string());
    let junit = dir.path().join("junit.xml");
    let junit_flag = format!("--junit={}", junit.display());
    let line = |output: &str| {
        let mut line = line(&dir, &fake, &["--only=plugin", &given, &junit_flag, output]);
        line.retain(|arg| !arg.starts_with("--only=discovery"));
        line
    };

    let ran = program(&line("--output=text")).await;
    let printed = text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(1), "{printed}{}", text(&ran.stderr));
    assert!(printed.contains(&format!("FAIL  {}  two jobs (docs/", same.id)), "{printed}");
    assert!(printed.contains(&format!("PASS  {}  {}", other.id, other.sentence)), "{printed}");
    let ran = program(&line("--output=json")).await;
    let report = serde_json::from_slice::<Json>(&ran.stdout).unwrap();
    let ids = report["findings"].as_array().unwrap().iter().map(|found| &found["id"]);
    assert_eq!(ids.filter(|id| [same.id, other.id].map(Json::from).contains(id)).count(), 2);
    assert_eq!(report["counts"]["fail"], 1);
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains(r#"<testsuite name="plugin" tests="2" failures="1""#), "{xml}");
}

#[tokio::test]
async fn the_list_has_every_rule() {
    let ran = program(&["--list".to_owned()]).await;
    assert_eq!(ran.status.code(), Some(0));
    assert_eq!(text(&ran.stdout).lines().count(), RULES.len());
}

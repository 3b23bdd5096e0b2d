//! The documents are those of the language as it is.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "functions that tests share")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use declarative::{
    Declarative,
    tools::{Attempt, attempt, check, reference},
};
use plugin_core::{
    serde_json::json,
    testing::{Answer, Upstream},
};

plugin_core::readme_test!(plugin_core::command::<Declarative>, include_str!("../README.md"));

fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

#[test]
fn the_reference_is_that_of_the_types() {
    let path = document("declarative-reference.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    let advice = "run UPDATE_REFERENCE=1 cargo test -p declarative --test reference";
    assert!(written == reference(), "docs/declarative-reference.md is not up to date: {advice}");
}

/// The blocks of the guide in `language`.
fn blocks(language: &str) -> Vec<String> {
    let guide = std::fs::read_to_string(document("declarative.md")).unwrap();
    let starts = format!("\n```{language}\n");
    let blocks = guide.split(&starts).skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_guides_plugin_is_what_it_says() {
    let (yaml, texts) = (blocks("yaml"), blocks("text"));
    check("acme.yaml", &yaml[0]).unwrap();
    let set = ["acme.address=https://api.acme.example"];
    let shown = attempt(&Attempt::new("acme.yaml", &yaml[0]).set(&set).unwrap()).unwrap();
    assert_eq!(shown.trim(), texts[0].trim());
    let wrong = yaml[0].replace("custom.script", "custom.scirpt");
    assert_eq!(check("acme.yaml", &wrong).unwrap_err().to_string().trim(), texts[1].trim());
}

/// Runs `script` in `directory`, where the vendor is at `endpoint`.
fn run(script: &str, directory: &Path, endpoint: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_declarative")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-eu", "-c", script]).current_dir(directory);
    shell.env("PATH", format!("{}:{path}", program.display()));
    shell.env("DECLARATIVE_ENDPOINT", endpoint).env("PLUGIN_ADMIN_LISTEN", "127.0.0.1:0");
    shell.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_commands_run_as_they_are() {
    let vendor = Upstream::start().await;
    vendor.answer_with([Answer::new(200, json!({"id": "job-1"}))]);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("acme.yaml"), &blocks("yaml")[0]).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = blocks("sh").join("\n").replace(":8000", &format!(":{port}"));
    let script = format!("{script}\nkill $!\n");
    let (path, endpoint) = (directory.path().to_owned(), vendor.url());
    let output = tokio::task::spawn_blocking(move || run(&script, &path, &endpoint)).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("acme.yaml: no mistakes"), "{text}");
    assert!(text.contains("\"job_id\""), "{text}");
    let received = vendor.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].headers["authorization"], "Bearer a-token");
    assert_eq!(received[0].json()["script"], "report.py");
}

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

/// Runs `script` in `directory`, and ends what it has started.
fn run(script: &str, directory: &Path) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_declarative")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let script = format!("set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n{script}");
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(directory);
    shell.env("PATH", format!("{}:{path}", program.display()));
    shell.env("PLUGIN_ADMIN_LISTEN", "127.0.0.1:0");
    shell.output().unwrap()
}

#[test]
fn the_guides_commands_run_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let bound = ["127.0.0.1:0"; 2].map(|any| std::net::TcpListener::bind(any).unwrap());
    let [api, vendor] = bound.each_ref().map(|one| one.local_addr().unwrap().port().to_string());
    drop(bound);
    let with_ports = |text: &str| {
        let text = text.replace(":8000", &format!(":{api}"));
        text.replace(":9000", &format!(":{vendor}")).replace(", 9000)", &format!(", {vendor})"))
    };
    std::fs::write(directory.path().join("acme.yaml"), &blocks("yaml")[0]).unwrap();
    let acme = with_ports(&blocks("python file=acme.py")[0]);
    std::fs::write(directory.path().join("acme.py"), acme).unwrap();
    let output = run(&with_ports(&blocks("sh").join("\n")), directory.path());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("acme.yaml: no mistakes"), "{text}");
    assert!(text.contains("\"job_id\""), "{text}");
    assert!(text.contains("\"phase\":\"SUCCEEDED\""), "{text}");
    assert!(text.contains("gone: NOT_FOUND NO_JOB no such job\n"), "{text}");
    assert!(text.contains("succeeded: a poll answers SUCCEEDED\n"), "{text}");
    assert!(text.contains("\"result\":"), "{text}");
    let log = std::fs::read_to_string(directory.path().join("acme.log")).unwrap();
    assert!(log.contains("\"DELETE /v1/jobs/job-1 HTTP/1.1\" 200"), "{log}");
    assert!(log.contains("\"POST /v1/jobs HTTP/1.1\" 200"), "{log}");
}

//! `outrigger new`, `status` and `sync`.

use super::run_in;

#[tokio::test]
async fn a_new_plugin_is_in_step_and_a_changed_file_is_drift() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let args = ["new", "shout", "--language=go", "--no-input", "--no-verify", "--output=json"];
    let made = run_in(here, &args, "", &[]).await;
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.json().is_object() || made.json().is_array());
    let plugin = here.join("shout");
    let status = run_in(&plugin, &["status", "--output", "json"], "", &[]).await.json();
    assert_eq!((&status[0]["name"], &status[0]["state"]), (&"shout".into(), &"in step".into()));
    let sync = run_in(&plugin, &["sync", "--check"], "", &[]).await;
    assert_eq!(sync.code, 0, "{}{}", sync.stdout, sync.stderr);
    let chart = plugin.join("chart/Chart.yaml");
    let chart = if chart.exists() { chart } else { plugin.join("charts/shout/Chart.yaml") };
    std::fs::write(&chart, "name: mine\n").unwrap();
    let drifted = run_in(&plugin, &["sync", "--check"], "", &[]).await;
    assert!([3, 5].contains(&drifted.code), "{}{}", drifted.stdout, drifted.stderr);
    let again = run_in(here, &args, "", &[]).await;
    assert!(again.code == 5 && again.stderr.contains("already exists"), "{}", again.stderr);
}

#[tokio::test]
async fn messages_call_the_program_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let ended = run_in(directory.path(), &["new", "--no-input"], "", &[]).await;
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (2, "error: missing name: outrigger new NAME\n")
    );
    let ended = run_in(directory.path(), &["sync"], "", &[]).await;
    assert!(ended.code == 2 && ended.stderr.contains("no plugin.toml"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_machine_without_git_gets_a_plugin_too_and_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let args = ["new", "shout", "--language=python", "--no-input"];
    let without = [("PATH", "/nowhere")];
    let made = run_in(here, &args, "", &without).await;
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stderr.contains("skipped:  git init (git is not installed)"), "{}", made.stderr);
    let sync = run_in(&here.join("shout"), &["sync", "--check"], "", &without).await;
    assert_eq!(sync.code, 0, "{}{}", sync.stdout, sync.stderr);
}

#[tokio::test]
async fn a_plugins_file_is_checked_and_tried() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let example = |name: &str| {
        let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../services/declarative/examples");
        examples.join(name)
    };
    let right = std::fs::read_to_string(example("nomad-batch.yaml")).unwrap();
    std::fs::write(here.join("right.yaml"), &right).unwrap();
    std::fs::write(here.join("wrong.yaml"), right.replace("=custom.image", "=custom.imgae"))
        .unwrap();

    let checked = run_in(here, &["plugin", "check", "right.yaml"], "", &[]).await;
    assert!(checked.code == 0 && checked.stdout.contains("right.yaml: no mistakes"), "{checked:?}");
    let args = ["plugin", "check", "right.yaml", "wrong.yaml", "--output=json"];
    let checked = run_in(here, &args, "", &[]).await;
    assert_eq!((checked.code, checked.stderr.as_str()), (1, ""));
    let rows = checked.json();
    assert_eq!(rows[0]["mistakes"], serde_json::json!([]));
    assert!(rows[1]["mistakes"][0]["line"].as_u64() > Some(1), "{rows}");
    let checked = run_in(here, &["plugin", "check", "wrong.yaml"], "", &[]).await;
    assert!(checked.stderr.contains("did you mean `custom.image`?"), "{checked:?}");
    let checked = run_in(here, &["plugin", "check", "none.yaml"], "", &[]).await;
    assert!(
        checked.code == 2 && checked.stderr.starts_with("error: none.yaml cannot be read: "),
        "{checked:?}"
    );

    let recorded = example("nomad-batch.recorded.json").display().to_string();
    let set = "--set=nomad-batch.address=https://nomad.example.com";
    let args = ["plugin", "try", "right.yaml", set, "--recorded", &recorded];
    let tried = run_in(here, &args, "", &[]).await;
    assert!(tried.stdout.contains("succeeded: a poll answers SUCCEEDED"), "{tried:?}");
    let tried = run_in(here, &["plugin", "try", "right.yaml"], "", &[]).await;
    assert!(
        tried.code == 1 && tried.stderr.contains("nomad-batch.address is missing"),
        "{tried:?}"
    );
    let tried = run_in(here, &["plugin", "try", "right.yaml", "--output=json"], "", &[]).await;
    let error = tried.json()["error"].as_str().map(ToOwned::to_owned);
    assert!(tried.code == 1 && error.unwrap().contains("is missing"), "{tried:?}");
    let schema = run_in(here, &["plugin", "schema"], "", &[]).await;
    assert!(schema.json()["properties"]["create"].is_object());
}

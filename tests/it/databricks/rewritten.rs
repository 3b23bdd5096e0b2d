//! What the service fills in, leaves out and replaces in a submit that an author wrote.

use super::{requests::submitted, *};

#[tokio::test]
async fn every_action_of_an_author_gets_a_key() {
    for (name, action) in [
        ("notebook_task", json!({"notebook_path": "/Repos/etl/nightly"})),
        ("spark_jar_task", json!({"main_class_name": "com.acme.Nightly"})),
        ("python_wheel_task", json!({"package_name": "etl", "entry_point": "main"})),
        ("sql_task", json!({"query": {"query_id": "q"}, "warehouse_id": "w"})),
        ("dbt_task", json!({"commands": ["dbt run"], "project_directory": "/Repos/dbt"})),
        ("pipeline_task", json!({"pipeline_id": "p"})),
        ("run_job_task", json!({"job_id": 7})),
        ("condition_task", json!({"op": "EQUAL_TO", "left": "1", "right": "1"})),
        ("for_each_task", json!({"inputs": "[1]", "task": {"run_job_task": {"job_id": 7}}})),
    ] {
        let task = json!({"existing_cluster_id": "c-1", (name): action});
        let on_top = submitted(json!({"databricksConf": task}), &[]).await;
        let in_tasks = submitted(json!({"databricksConf": {"tasks": [task]}}), &[]).await;
        for body in [on_top, in_tasks] {
            assert_eq!(body["tasks"][0]["task_key"], "flyte_task", "{name}");
            assert_eq!(body["tasks"].as_array().unwrap().len(), 1, "{name}");
            assert_eq!(body.get("git_source"), None, "{name}");
        }
    }
}

#[tokio::test]
async fn keys_that_are_filled_in_differ_from_the_authors() {
    let job = json!({"run_job_task": {"job_id": 7}});
    let mut named = job.clone();
    named["task_key"] = "flyte_task".into();
    let tasks = json!([{"existing_cluster_id": "c-1"}, named, job]);
    let body = submitted(json!({"databricksConf": {"tasks": tasks}}), &[]).await;
    let keys = body["tasks"].as_array().unwrap().iter().map(|task| &task["task_key"]);
    assert_eq!(keys.collect::<Vec<_>>(), ["flyte_task_2", "flyte_task", "flyte_task_3"]);
}

#[tokio::test]
async fn nulls_are_left_out_at_every_depth() {
    let cluster = json!({
        "spark_version": "15.4.x-scala2.12", "num_workers": 1, "node_type_id": null,
        "spark_env_vars": {"A": null, "B": "b"}, "custom_tags": {"team": null},
    });
    let wheel = json!({"package_name": "p", "entry_point": "e", "named_parameters": {"x": null}});
    let tasks =
        json!([{"new_cluster": cluster}, {"task_key": "wheel", "python_wheel_task": wheel}]);
    let custom = json!({
        "databricksConf": {"run_name": "r", "tasks": tasks},
        "notebookPath": "/Shared/n",
        "notebookBaseParameters": {"start": null, "end": "2026-01-01"},
        "sparkConf": {"spark.x": null, "spark.y": "y"},
        "hadoopConf": {"z": null},
    });
    let body = submitted(custom, &[]).await;
    let task = &body["tasks"][0];
    assert_eq!(task["notebook_task"]["base_parameters"], json!({"end": "2026-01-01"}));
    assert_eq!(task["new_cluster"]["spark_conf"], json!({"spark.y": "y"}));
    assert_eq!(task["new_cluster"]["custom_tags"], json!({}));
    let variables = task["new_cluster"]["spark_env_vars"].as_object().unwrap();
    assert_eq!((variables.get("A"), &variables["B"]), (None, &json!("b")));
    assert_eq!(body["tasks"][1]["python_wheel_task"]["named_parameters"], json!({}));
}

/// The body that is submitted for the `databricksConf` of a task of `flyte`.
async fn submitted_by(flyte: Flyte, conf: Json) -> Json {
    let stage = Stage::set().await;
    let mut task = Golden::read(flyte, "dbx_existing_cluster").unwrap().json;
    task["template"]["custom"] = json!({"databricksConf": conf});
    stage.client(Dialect::Flyte1).await.create(&task).await.unwrap();
    assert_eq!(stage.fake.violations(), [""; 0]);
    stage.fake.submitted()[0].clone()
}

#[tokio::test]
async fn the_entrypoint_comes_from_a_repository_in_which_it_lies() {
    let authors = json!({
        "git_url": "https://github.com/acme/etl", "git_provider": "gitHub", "git_branch": "main",
    });
    for (flyte, python_file, is_authors) in [
        (Flyte::V1, None, true),
        (Flyte::V1, Some("jobs/etl.py"), true),
        (Flyte::V2, None, false),
        (Flyte::V2, Some("jobs/etl.py"), true),
        (Flyte::V2, Some("/Workspace/etl.py"), true),
    ] {
        let mut conf = json!({"existing_cluster_id": "c-1", "git_source": authors});
        if let Some(file) = python_file {
            conf["python_file"] = file.into();
        }
        let body = submitted_by(flyte, conf).await;
        let case = format!("{flyte:?} {python_file:?}");
        assert_eq!(body["git_source"] == authors, is_authors, "{case}");
        if !is_authors {
            let commit = "194364210c47c49ce66c419e8fb68d6f9c06fd7e";
            assert_eq!(body["git_source"]["git_commit"], commit, "{case}");
            assert_eq!(body["git_source"].get("git_branch"), None, "{case}");
        }
    }
}

/// Most actions lie in the request's repository, if it has one and they do not say otherwise.
#[tokio::test]
async fn the_entrypoints_repository_does_not_move_other_tasks() {
    let notebook = json!({"notebook_path": "/Shared/n"});
    let file = json!({"warehouse_id": "w", "file": {"path": "/Shared/q.sql"}});
    let each = json!({"inputs": "[1]", "task": {"notebook_task": notebook}});
    let tasks = json!([
        {"existing_cluster_id": "c-1"},
        {"existing_cluster_id": "c-1", "notebook_task": notebook},
        {"sql_task": file},
        {"for_each_task": each},
        {"run_job_task": {"job_id": 7}},
    ]);
    let tasks = submitted_by(Flyte::V2, json!({"tasks": tasks})).await["tasks"].take();
    assert_eq!(tasks[1]["notebook_task"]["source"], "WORKSPACE");
    assert_eq!(tasks[2]["sql_task"]["file"]["source"], "WORKSPACE");
    assert_eq!(tasks[3]["for_each_task"]["task"]["notebook_task"]["source"], "WORKSPACE");
    assert_eq!(tasks[4]["run_job_task"], json!({"job_id": 7}));
}

#[tokio::test]
async fn notebook_in_the_workspace_is_not_looked_for_in_the_repository() {
    let git = json!({"git_url": "https://github.com/acme/etl", "git_provider": "gitHub", "git_tag": "v1"});
    for (path, source) in [("jobs/n", "GIT"), ("/Shared/n", "WORKSPACE")] {
        let conf = json!({"existing_cluster_id": "c-1", "git_source": git});
        let body = submitted(json!({"databricksConf": conf, "notebookPath": path}), &[]).await;
        assert_eq!(body["tasks"][0]["notebook_task"]["source"], source);
        assert_eq!(body["git_source"], git);
    }
}

#[tokio::test]
async fn tasks_that_need_two_repositories_are_rejected() {
    let stage = Stage::set().await;
    let mut task = Golden::read(Flyte::V2, "dbx_existing_cluster").unwrap().json;
    // Not over REST.
    task["connection"].take();
    let git = json!({"git_url": "https://github.com/acme/etl", "git_provider": "gitHub", "git_tag": "v1"});
    for other in [
        json!({"notebook_task": {"notebook_path": "n"}}),
        json!({"spark_python_task": {"python_file": "f.py", "source": "GIT"}}),
        json!({"for_each_task": {"inputs": "[1]", "task": {"dbt_task": {"commands": ["dbt run"]}}}}),
    ] {
        let tasks = json!([{"existing_cluster_id": "c-1"}, other]);
        let conf = json!({"git_source": git, "tasks": tasks});
        task["template"]["custom"] = json!({"databricksConf": conf});
        let refusal = stage.client(Dialect::Rest).await.create(&task).await.unwrap_err();
        assert_eq!(refusal.code, 400, "{refusal:?}");
        assert!(refusal.message.starts_with("custom.databricksConf.git_source: "), "{refusal:?}");
    }
    assert_eq!(stage.fake.requests(), 0);
}

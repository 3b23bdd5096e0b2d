use std::time::Duration;

use plugin_core::{
    Type, serde_json,
    task::{Input, Inputs},
    testing,
};

use super::*;

fn task(custom: Json) -> Task<Custom> {
    let input = Input::new(Value::String("it's; rm -rf /".into()), Type::String);
    let inputs: Inputs = [("day".to_owned(), input)].into_iter().collect();
    Task::new(serde_json::from_value(custom).unwrap()).with_inputs(inputs)
}

fn driver(custom: Json) -> Result<Json> {
    let cx = testing::context(Duration::from_secs(1));
    of(&cx, &task(custom), None)
}

#[test]
fn a_script_gets_its_arguments_with_values() {
    let custom = json!({
        "spark_job_driver": {"entryPoint": "s3://b/main.py", "sparkSubmitParameters": "--conf a=1",
            "entryPointArguments": ["--day={{ .inputs.day }}", "--to={{ .outputPrefix }}", "{{ plain }}"]},
        "spark_submit_parameters": "--conf b=2",
    });
    assert_eq!(
        driver(custom).unwrap(),
        json!({"sparkSubmit": {
            "entryPoint": "s3://b/main.py",
            "entryPointArguments": ["--day=it's; rm -rf /", "--to=", "{{ plain }}"],
            "sparkSubmitParameters": "--conf a=1 --conf b=2",
        }})
    );
}

#[test]
fn a_hive_query_is_sent_as_it_is() {
    let custom = json!({"application_type": "HIVE", "hive_job_driver":
        {"query": "SELECT 1", "initQueryFile": "s3://b/init.sql", "parameters": "--hiveconf a=b"}});
    assert_eq!(
        driver(custom).unwrap(),
        json!({"hive": {"query": "SELECT 1", "initQueryFile": "s3://b/init.sql", "parameters": "--hiveconf a=b"}})
    );
}

#[test]
fn what_aws_would_refuse_is_refused_by_field() {
    let spark = json!({"entryPoint": "s3://b/main.py"});
    for (custom, message) in [
        (
            json!({}),
            "custom.spark_job_driver: missing, and the service's operator has set no script",
        ),
        (json!({"application_type": "HIVE"}), "custom.hive_job_driver: missing"),
        (json!({"application_type": "PRESTO"}), "custom.application_type: \"PRESTO\" must be"),
        (
            json!({"spark_job_driver": spark, "hive_job_driver": {"query": "SELECT 1"}}),
            "custom.hive_job_driver: a task cannot have both",
        ),
        (
            json!({"spark_job_driver": {"entryPoint": " "}}),
            "custom.spark_job_driver.entryPoint: empty",
        ),
        (json!({"hive_job_driver": {"query": ""}}), "custom.hive_job_driver.query: empty"),
        (
            json!({"hive_job_driver": {"query": "x".repeat(10_281)}}),
            "custom.hive_job_driver.query: 10281 characters",
        ),
        (
            json!({"hive_job_driver": {"query": "SELECT {{ .inputs.day }}"}}),
            "custom.hive_job_driver.query: has a placeholder",
        ),
        (
            json!({"spark_job_driver": spark, "spark_submit_parameters": "x".repeat(102_401)}),
            "custom.spark_submit_parameters: 102401 characters",
        ),
        (
            json!({"spark_job_driver": {"entryPoint": "s3://b/m.py", "entryPointArguments": vec!["x"; 1025]}}),
            "custom.spark_job_driver.entryPointArguments: 1025 arguments",
        ),
        (
            json!({"spark_job_driver": {"entryPoint": "s3://b/m.py", "entryPointArguments": ["a", " "]}}),
            "custom.spark_job_driver.entryPointArguments[1]: empty",
        ),
        (
            json!({"spark_job_driver": {"entryPoint": "s3://b/m.py", "entryPointArguments": ["x".repeat(10_281)]}}),
            "custom.spark_job_driver.entryPointArguments[0]: 10281 characters",
        ),
        (
            json!({"spark_job_driver": {"entryPoint": "s3://b/m.py", "entryPointArguments": ["{{ .inputs.no }}"]}}),
            "custom.spark_job_driver.entryPointArguments: inputs.no: no such input",
        ),
    ] {
        let error = driver(custom).unwrap_err();
        assert!(error.message().starts_with(message), "{error}");
    }
}

#[test]
fn a_script_writes_outputs_if_it_is_told_where() {
    for (custom, writes) in [
        (json!({}), true),
        (json!({"hive_job_driver": {"query": "SELECT 1"}}), false),
        (json!({"spark_job_driver": {"entryPoint": "s3://b/m.py"}}), false),
        (
            json!({"spark_job_driver": {"entryPoint": "s3://b/m.py", "entryPointArguments": ["{{ .inputs.day }}"]}}),
            false,
        ),
        (
            json!({"spark_job_driver": {"entryPoint": "s3://b/m.py", "entryPointArguments": ["--to={{ .namespace }}{{.outputPrefix}}"]}}),
            true,
        ),
    ] {
        assert_eq!(writes_outputs(&task(custom.clone()).custom), writes, "{custom}");
    }
}

#[test]
fn an_entrypoint_is_in_s3() {
    assert!("s3://b/entrypoint.py".parse::<Entrypoint>().is_ok());
    for uri in ["", "entrypoint.py", "https://b/x.py", "s3://b/a b.py"] {
        assert!(uri.parse::<Entrypoint>().is_err(), "{uri}");
    }
}

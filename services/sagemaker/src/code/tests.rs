use std::time::Duration;

use plugin_core::{
    Type,
    clap::{self, Args as _, FromArgMatches as _},
    serde_json,
    task::Container,
    testing,
};

use super::*;

fn task(custom: Json, args: &[&str]) -> Task<Custom> {
    let mut task = Task::new(serde_json::from_value::<Custom>(custom).unwrap());
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    let mut container = Container::default();
    container.image = "registry/x:1".to_owned();
    container.args = args;
    task.container = Some(container);
    task
}

/// The operator's settings, with a default role.
fn roles() -> ExecutionRoles {
    let command = ExecutionRoles::augment_args(clap::Command::new("x"));
    let args = ["x", "--execution-roles=arn:aws:iam::111122223333:role/ml"];
    ExecutionRoles::from_arg_matches(&command.get_matches_from(args)).unwrap()
}

fn made(custom: Json, args: &[&str], resource: Resource) -> Result<Json> {
    let cx = testing::context(Duration::from_secs(1));
    let args = task(custom, args);
    request(&cx, &args, resource, &roles()).map(Json::from)
}

#[test]
fn names_have_the_prefix_and_as_much_of_the_key_as_fits() {
    for (prefix, beginning, length) in [
        (json!("flyte-"), "flyte-", 46),
        (json!("my job/"), "my-job-", 47),
        (json!("---"), "flyte-", 46),
        (json!("p".repeat(60)), &*"p".repeat(42), 63),
        (Json::Null, "flyte-", 46),
    ] {
        let custom = json!({"job_name_prefix": prefix, "output_s3_path": "s3://b/m"});
        let request = made(custom, &["x"], Resource::Training).unwrap();
        let name = request["TrainingJobName"].as_str().unwrap();
        assert!(name.starts_with(beginning) && name.len() == length, "{name}");
    }
}

#[test]
fn what_sagemaker_would_not_take_is_refused_by_field() {
    let long = "a".repeat(257);
    let many = vec!["x"; 101];
    for (custom, args, message) in [
        (json!({"instance_count": 2}), &["x"][..], "custom.instance_count: "),
        (json!({}), &[][..], "template.container.args: missing"),
        (json!({}), &[long.as_str()], "template.container.args: SageMaker takes arguments of"),
        (json!({}), &many[..], "template.container.args: SageMaker takes at most 100"),
        (json!({}), &["x"], "custom.output_s3_path: missing, and Flyte's outputs"),
    ] {
        let error = made(custom, args, Resource::Training).unwrap_err();
        assert!(error.message().starts_with(message), "{error}");
    }
    let isolated = json!({"network_config": {"EnableNetworkIsolation": true}});
    let error = made(isolated, &["x"], Resource::Processing).unwrap_err();
    assert!(error.message().starts_with("custom.network_config.EnableNetworkIsolation"), "{error}");
}

#[test]
fn a_processing_job_runs_the_containers_arguments() {
    let custom = json!({
        "instance_type": "ml.c5.xlarge", "volume_size_in_gb": 50, "kms_key_id": "k",
        "environment": {"A": "1"}, "tags": {"team": "ml"},
        "network_config": {"VpcConfig": {"Subnets": ["s"], "SecurityGroupIds": ["g"]}},
    });
    let request = made(custom, &["pyflyte-execute", "--x"], Resource::Processing).unwrap();
    assert_eq!(
        request["AppSpecification"]["ContainerEntrypoint"],
        json!(["pyflyte-execute", "--x"])
    );
    assert_eq!(
        request["ProcessingResources"]["ClusterConfig"],
        json!({"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 50, "VolumeKmsKeyId": "k"})
    );
    assert_eq!(request["Environment"], json!({"A": "1", "FLYTE_FAIL_ON_ERROR": "true"}));
    assert_eq!(request["RoleArn"], "arn:aws:iam::111122223333:role/ml");
    assert_eq!(request["Tags"], json!([{"Key": "team", "Value": "ml"}]));
    assert_eq!(request["NetworkConfig"]["VpcConfig"]["Subnets"], json!(["s"]));
}

#[test]
fn only_a_function_without_outputs_fails_its_job() {
    let cx = testing::context(Duration::from_secs(1));
    let environment = |task: &Task<Custom>| {
        request(&cx, task, Resource::Processing, &roles()).unwrap()["Environment"].clone()
    };
    let one = task(json!({}), &["x"]);
    assert_eq!(environment(&one), json!({"FLYTE_FAIL_ON_ERROR": "true"}));
    assert_eq!(environment(&one.with_output("o0", Type::Integer)), json!({}));
    let own = json!({"environment": {"FLYTE_FAIL_ON_ERROR": "true"}});
    let own = task(own, &["x"]).with_output("o0", Type::Integer);
    assert_eq!(environment(&own), json!({"FLYTE_FAIL_ON_ERROR": "true"}));
}

//! The output `result`: the members of a description that flytekit's connectors 1.16.31 pass on.

use plugin_core::{
    jiff::Timestamp,
    serde_json::{Value as Json, json},
};

use crate::resource::Resource;

/// The result of `resource`, which AWS describes as `answer`.
pub(crate) fn of(resource: Resource, answer: &Json, artifacts: Option<&str>) -> Json {
    match resource {
        Resource::Training => training(answer),
        Resource::Processing => processing(answer),
        Resource::Transform => transform(answer),
        Resource::Tuning => tuning(answer, artifacts),
        Resource::Recommender => recommender(answer),
        Resource::Endpoint => members(answer, &["EndpointArn"]),
    }
}

/// The members `names` of `answer`; null for those that it lacks.
fn members(answer: &Json, names: &[&str]) -> Json {
    let of = |name: &&str| ((*name).to_owned(), timed(name, &answer[*name]));
    Json::Object(names.iter().map(of).collect())
}

/// `value`; a time as Python's `datetime.isoformat` writes it.
pub(crate) fn timed(name: &str, value: &Json) -> Json {
    let is_time = name.ends_with("Time") || name.ends_with("Timestamp");
    match value.as_f64().filter(|_| is_time).and_then(in_words) {
        Some(time) => time.into(),
        None => value.clone(),
    }
}

/// `value` of the member `name`, with all times within it as [`timed`] has them.
pub(crate) fn all_timed(name: &str, value: Json) -> Json {
    match value {
        Json::Object(object) => {
            let of = |(key, value): (String, Json)| {
                let value = all_timed(&key, value);
                (key, value)
            };
            Json::Object(object.into_iter().map(of).collect())
        }
        Json::Array(items) => items.into_iter().map(|item| all_timed(name, item)).collect(),
        other => timed(name, &other),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "out of range is refused by jiff")]
fn in_words(seconds: f64) -> Option<String> {
    let at = Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok()?;
    let text = match at.subsec_nanosecond() {
        0 => format!("{at:.0}"),
        _ => format!("{at:.6}"),
    };
    Some(text.replace('Z', "+00:00"))
}

fn training(answer: &Json) -> Json {
    let mut result = members(
        answer,
        &["TrainingJobArn", "TrainingJobName", "BillableTimeInSeconds", "TrainingTimeInSeconds"],
    );
    result["ModelArtifacts"] = members(&answer["ModelArtifacts"], &["S3ModelArtifacts"]);
    result["OutputDataConfig"] = members(&answer["OutputDataConfig"], &["S3OutputPath"]);
    let metrics = answer["FinalMetricDataList"].as_array();
    let metric = |metric: &Json| members(metric, &["MetricName", "Value", "Timestamp"]);
    result["FinalMetricDataList"] = metrics.into_iter().flatten().map(metric).collect();
    result
}

fn processing(answer: &Json) -> Json {
    let mut result = members(
        answer,
        &[
            "ProcessingJobArn",
            "ProcessingJobName",
            "ExitMessage",
            "ProcessingStartTime",
            "ProcessingEndTime",
        ],
    );
    let outputs = answer["ProcessingOutputConfig"]["Outputs"].as_array();
    let output = |output: &Json| {
        let mut result = members(output, &["OutputName"]);
        for (kind, member) in [("S3Output", "S3Uri"), ("FeatureStoreOutput", "FeatureGroupName")] {
            if output[kind].is_object() {
                result[member] = output[kind][member].clone();
            }
        }
        result
    };
    result["Outputs"] = outputs.into_iter().flatten().map(output).collect();
    result
}

fn transform(answer: &Json) -> Json {
    let mut result = members(
        answer,
        &[
            "TransformJobArn",
            "TransformJobName",
            "ModelName",
            "TransformStartTime",
            "TransformEndTime",
        ],
    );
    result["TransformOutput"] = members(&answer["TransformOutput"], &["S3OutputPath"]);
    result
}

fn tuning(answer: &Json, artifacts: Option<&str>) -> Json {
    let artifacts = json!({ "S3ModelArtifacts": artifacts });
    let best = &answer["BestTrainingJob"];
    let mut result =
        members(answer, &["HyperParameterTuningJobArn", "HyperParameterTuningJobName"]);
    result["BestTrainingJob"] = members(
        best,
        &[
            "TrainingJobName",
            "TrainingJobArn",
            "TrainingJobStatus",
            "ObjectiveStatus",
            "TrainingStartTime",
            "TrainingEndTime",
        ],
    );
    let metric = "FinalHyperParameterTuningJobObjectiveMetric";
    result["BestTrainingJob"][metric] = members(&best[metric], &["MetricName", "Value"]);
    let tuned = &best["TunedHyperParameters"];
    result["BestTrainingJob"]["TunedHyperParameters"] =
        if tuned.is_object() { tuned.clone() } else { json!({}) };
    result["BestTrainingJob"]["ModelArtifacts"] = artifacts.clone();
    result["ModelArtifacts"] = artifacts;
    result["TrainingJobStatusCounters"] = members(
        &answer["TrainingJobStatusCounters"],
        &["Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped"],
    );
    result["ObjectiveStatusCounters"] =
        members(&answer["ObjectiveStatusCounters"], &["Succeeded", "Pending", "Failed"]);
    result
}

fn recommender(answer: &Json) -> Json {
    let list = |member: &str, of: fn(&Json) -> Json| {
        answer[member].as_array().into_iter().flatten().map(of).collect::<Json>()
    };
    let mut result = members(answer, &["JobArn", "JobName", "JobType", "CompletionTime"]);
    result["InferenceRecommendations"] = list("InferenceRecommendations", recommendation);
    result["EndpointPerformances"] = list("EndpointPerformances", |performance| {
        json!({
            "Metrics": members(&performance["Metrics"], &["MaxInvocations", "ModelLatency"]),
            "EndpointInfo": members(&performance["EndpointInfo"], &["EndpointName"]),
        })
    });
    result
}

fn recommendation(found: &Json) -> Json {
    let mut result =
        members(found, &["RecommendationId", "InvocationStartTime", "InvocationEndTime"]);
    result["Metrics"] = members(
        &found["Metrics"],
        &[
            "CostPerHour",
            "CostPerInference",
            "MaxInvocations",
            "ModelLatency",
            "CpuUtilization",
            "MemoryUtilization",
            "ModelSetupTime",
        ],
    );
    let endpoint = &found["EndpointConfiguration"];
    result["EndpointConfiguration"] =
        members(endpoint, &["EndpointName", "VariantName", "InstanceType", "InitialInstanceCount"]);
    let serverless = &endpoint["ServerlessConfig"];
    result["EndpointConfiguration"]["ServerlessConfig"] = match serverless.is_object() {
        true => {
            members(serverless, &["MemorySizeInMB", "MaxConcurrency", "ProvisionedConcurrency"])
        }
        false => Json::Null,
    };
    result["ModelConfiguration"] = members(
        &found["ModelConfiguration"],
        &["InferenceSpecificationName", "CompilationJobName"],
    );
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_python_writes_them() {
        for (member, value, expected) in [
            ("TrainingEndTime", json!(1_772_346_615.0), json!("2026-03-01T06:30:15+00:00")),
            ("Timestamp", json!(1_772_346_615.25), json!("2026-03-01T06:30:15.250000+00:00")),
            ("TrainingTimeInSeconds", json!(12), json!(12)),
            ("TrainingEndTime", Json::Null, Json::Null),
            ("TrainingEndTime", json!(1e300), json!(1e300)),
        ] {
            assert_eq!(timed(member, &value), expected, "{member}");
        }
    }

    #[test]
    fn a_result_has_the_members_that_flytekit_has() {
        let answer = json!({
            "TrainingJobArn": "arn", "TrainingJobName": "t", "RoleArn": "secret",
            "ResponseMetadata": {"RequestId": "r", "HTTPStatusCode": 200},
            "ModelArtifacts": {"S3ModelArtifacts": "s3://b/m.tar.gz"},
            "OutputDataConfig": {"S3OutputPath": "s3://b/", "KmsKeyId": "k"},
            "FinalMetricDataList": [{"MetricName": "loss", "Value": 0.5, "Timestamp": 1_772_346_615.0}],
            "BillableTimeInSeconds": 7, "TrainingTimeInSeconds": 9,
        });
        assert_eq!(
            of(Resource::Training, &answer, None),
            json!({
                "TrainingJobArn": "arn", "TrainingJobName": "t",
                "ModelArtifacts": {"S3ModelArtifacts": "s3://b/m.tar.gz"},
                "OutputDataConfig": {"S3OutputPath": "s3://b/"},
                "FinalMetricDataList": [
                    {"MetricName": "loss", "Value": 0.5, "Timestamp": "2026-03-01T06:30:15+00:00"}],
                "BillableTimeInSeconds": 7, "TrainingTimeInSeconds": 9,
            })
        );
        let outputs = json!({"ProcessingOutputConfig": {"Outputs": [
            {"OutputName": "a", "S3Output": {"S3Uri": "s3://b/a", "LocalPath": "/x"}},
            {"OutputName": "f", "FeatureStoreOutput": {"FeatureGroupName": "g"}}]}});
        assert_eq!(
            of(Resource::Processing, &outputs, None)["Outputs"],
            json!([{"OutputName": "a", "S3Uri": "s3://b/a"}, {"OutputName": "f", "FeatureGroupName": "g"}])
        );
    }
}

use plugin_core::serde_json::json;

use super::*;

/// The statuses that AWS's model has, and their phases.
const STATES: [(Resource, &[(&str, Phase)]); 6] = [
    (
        Resource::Training,
        &[
            ("InProgress", Phase::Running),
            ("Completed", Phase::Succeeded),
            ("Failed", Phase::Failed),
            ("Stopping", Phase::Running),
            ("Stopped", Phase::Failed),
            ("Deleting", Phase::Failed),
        ],
    ),
    (
        Resource::Processing,
        &[
            ("InProgress", Phase::Running),
            ("Completed", Phase::Succeeded),
            ("Failed", Phase::Failed),
            ("Stopping", Phase::Running),
            ("Stopped", Phase::Failed),
        ],
    ),
    (
        Resource::Transform,
        &[
            ("InProgress", Phase::Running),
            ("Completed", Phase::Succeeded),
            ("Failed", Phase::Failed),
            ("Stopping", Phase::Running),
            ("Stopped", Phase::Failed),
        ],
    ),
    (
        Resource::Tuning,
        &[
            ("Completed", Phase::Succeeded),
            ("InProgress", Phase::Running),
            ("Failed", Phase::Failed),
            ("Stopped", Phase::Failed),
            ("Stopping", Phase::Running),
            ("Deleting", Phase::Failed),
            ("DeleteFailed", Phase::Failed),
        ],
    ),
    (
        Resource::Recommender,
        &[
            ("PENDING", Phase::Queued),
            ("IN_PROGRESS", Phase::Running),
            ("COMPLETED", Phase::Succeeded),
            ("FAILED", Phase::Failed),
            ("STOPPING", Phase::Running),
            ("STOPPED", Phase::Failed),
            ("DELETING", Phase::Failed),
            ("DELETED", Phase::Failed),
        ],
    ),
    (
        Resource::Endpoint,
        &[
            ("OutOfService", Phase::Failed),
            ("Creating", Phase::Initializing),
            ("Updating", Phase::Running),
            ("SystemUpdating", Phase::Running),
            ("RollingBack", Phase::Running),
            ("InService", Phase::Succeeded),
            ("Deleting", Phase::Failed),
            ("Failed", Phase::Failed),
            ("UpdateRollbackFailed", Phase::Failed),
        ],
    ),
];

/// The model's secondary statuses of training jobs, with the phases of a job that is in progress.
const SECONDARY: [(&str, Phase); 17] = [
    ("Starting", Phase::Initializing),
    ("LaunchingMLInstances", Phase::Initializing),
    ("PreparingTrainingStack", Phase::Initializing),
    ("Downloading", Phase::Initializing),
    ("DownloadingTrainingImage", Phase::Initializing),
    ("Training", Phase::Running),
    ("Uploading", Phase::Running),
    ("Stopping", Phase::Running),
    ("Stopped", Phase::Running),
    ("MaxRuntimeExceeded", Phase::Running),
    ("Completed", Phase::Running),
    ("Failed", Phase::Running),
    ("Interrupted", Phase::Running),
    ("MaxWaitTimeExceeded", Phase::Running),
    ("Updating", Phase::Running),
    ("Restarting", Phase::Running),
    ("Pending", Phase::WaitingForResources),
];

fn described(resource: Resource, state: &str, more: Json) -> Described {
    let mut answer = more;
    answer[resource.facts().state] = state.into();
    Described { resource, answer }
}

/// The enumerations of AWS's model, as the fakes check with them.
fn model(shape: &str) -> Vec<String> {
    let model = include_str!("../../../../tests/aws-models/sagemaker.json");
    let model = plugin_core::serde_json::from_str::<Json>(model).unwrap();
    let values = model["shapes"][shape]["enum"].as_array().unwrap();
    values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_state_of_the_model_has_a_phase() {
    let shapes = [
        "TrainingJobStatus",
        "ProcessingJobStatus",
        "TransformJobStatus",
        "HyperParameterTuningJobStatus",
        "RecommendationJobStatus",
        "EndpointStatus",
    ];
    for ((resource, states), shape) in STATES.into_iter().zip(shapes) {
        let known = states.iter().map(|(state, _)| (*state).to_owned()).collect::<Vec<_>>();
        assert_eq!(known, model(shape), "{shape}");
        for (state, phase) in states {
            let status = described(resource, state, json!({})).status(&[]);
            assert_eq!(status.phase(), *phase, "{resource:?} {state}");
            assert!(!format!("{status:?}").contains("unknown_state: Some"), "{state}");
        }
    }
}

#[test]
fn every_secondary_status_of_the_model_has_a_phase_and_is_the_message() {
    assert_eq!(SECONDARY.map(|(state, _)| state.to_owned()).to_vec(), model("SecondaryStatus"));
    for (secondary, phase) in SECONDARY {
        let more = json!({"SecondaryStatus": secondary, "SecondaryStatusTransitions": [
            {"Status": "Starting", "StatusMessage": "x"}, {"Status": secondary, "StatusMessage": "in words"}]});
        let status = described(Resource::Training, "InProgress", more).status(&[]);
        assert_eq!(status.phase(), phase, "{secondary}");
        assert!(format!("{status:?}").contains(&format!("{secondary}: in words")), "{status:?}");
    }
}

#[test]
fn an_unknown_state_is_running_and_counted() {
    for resource in Resource::ALL {
        let status = described(resource, "Hibernating", json!({})).status(&[]);
        assert_eq!(status.phase(), Phase::Running);
        assert!(
            format!("{status:?}").contains("unknown_state: Some(\"Hibernating\")"),
            "{status:?}"
        );
    }
    // States of other resources are unknown, too.
    let status = described(Resource::Processing, "DeleteFailed", json!({})).status(&[]);
    assert_eq!(status.phase(), Phase::Running);
}

#[test]
fn a_stopped_job_says_why() {
    for (more, phase, text) in [
        (json!({}), Phase::Failed, "it was stopped at AWS"),
        (json!({"SecondaryStatus": "MaxRuntimeExceeded"}), Phase::Failed, "MaxRuntimeExceeded"),
        (json!({"SecondaryStatus": "MaxWaitTimeExceeded"}), Phase::RetryableFailed, "MaxWait"),
        (json!({"ExitMessage": "out of disk"}), Phase::Failed, "out of disk"),
    ] {
        let status = described(Resource::Training, "Stopped", more).status(&[]);
        assert_eq!(status.phase(), phase);
        assert!(format!("{status:?}").contains(text), "{status:?}");
    }
}

#[test]
fn a_tuning_job_says_how_many_trials_are_where() {
    let counters = json!({"TrainingJobStatusCounters": {
        "Completed": 3, "InProgress": 2, "RetryableError": 1, "NonRetryableError": 1, "Stopped": 0}});
    let status = described(Resource::Tuning, "InProgress", counters).status(&[]);
    assert!(format!("{status:?}").contains("3 completed, 2 in progress, 2 failed"), "{status:?}");
}

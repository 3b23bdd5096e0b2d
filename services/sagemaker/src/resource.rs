//! What SageMaker makes for a task: jobs of five kinds, and endpoints.
//!
//! Operations, members and limits: AWS's model `sagemaker/2017-07-24`, as botocore has it. Log groups: "Log groups and
//! streams that Amazon SageMaker AI sends to Amazon CloudWatch Logs" in the developer guide.

use plugin_core::TaskType;
use serde::{Deserialize, Serialize};

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Resource {
    Training,
    Processing,
    Transform,
    Tuning,
    Recommender,
    Endpoint,
}

/// How it is called in the API and in the console.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// As people call it.
    pub(crate) noun: &'static str,
    pub(crate) create: &'static str,
    pub(crate) describe: &'static str,
    /// Stops it; deletes an endpoint.
    pub(crate) stop: &'static str,
    /// The member with its name.
    pub(crate) name: &'static str,
    /// The most characters of its name.
    pub(crate) longest_name: usize,
    /// The member of its description with its ARN.
    pub(crate) arn: &'static str,
    /// The member of its description with its state.
    pub(crate) state: &'static str,
    /// The console's page of it, before its name.
    pub(crate) page: Option<&'static str>,
    /// The log group of its streams, whose names begin with its own.
    pub(crate) log_group: &'static str,
}

impl Resource {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 6] = [
        Self::Training,
        Self::Processing,
        Self::Transform,
        Self::Tuning,
        Self::Recommender,
        Self::Endpoint,
    ];

    /// What tasks of `task_type` make; `None` for types of another kind.
    pub(crate) fn of(task_type: TaskType) -> Option<Self> {
        Some(match task_type.name {
            "sagemaker-training-job" | "sagemaker-training-task" => Self::Training,
            "sagemaker-processing-job" | "sagemaker-processing-task" => Self::Processing,
            "sagemaker-transform-job" => Self::Transform,
            "sagemaker-hyperparameter-tuning-job" => Self::Tuning,
            "sagemaker-inference-recommender-job" => Self::Recommender,
            "sagemaker-endpoint" => Self::Endpoint,
            _ => return None,
        })
    }

    pub(crate) fn facts(self) -> &'static Facts {
        match self {
            Self::Training => &TRAINING,
            Self::Processing => &PROCESSING,
            Self::Transform => &TRANSFORM,
            Self::Tuning => &TUNING,
            Self::Recommender => &RECOMMENDER,
            Self::Endpoint => &ENDPOINT,
        }
    }

    /// Whether it needs a role to run as.
    pub(crate) fn has_role(self) -> bool {
        !matches!(self, Self::Transform | Self::Endpoint)
    }
}

/// Whether tasks of `task_type` run their own code.
pub(crate) fn runs_code(task_type: TaskType) -> bool {
    task_type.name.ends_with("-task")
}

const TRAINING: Facts = Facts {
    noun: "training job",
    create: "CreateTrainingJob",
    describe: "DescribeTrainingJob",
    stop: "StopTrainingJob",
    name: "TrainingJobName",
    longest_name: 63,
    arn: "TrainingJobArn",
    state: "TrainingJobStatus",
    page: Some("jobs"),
    log_group: "/aws/sagemaker/TrainingJobs",
};

const PROCESSING: Facts = Facts {
    noun: "processing job",
    create: "CreateProcessingJob",
    describe: "DescribeProcessingJob",
    stop: "StopProcessingJob",
    name: "ProcessingJobName",
    longest_name: 63,
    arn: "ProcessingJobArn",
    state: "ProcessingJobStatus",
    page: Some("processing-jobs"),
    log_group: "/aws/sagemaker/ProcessingJobs",
};

const TRANSFORM: Facts = Facts {
    noun: "transform job",
    create: "CreateTransformJob",
    describe: "DescribeTransformJob",
    stop: "StopTransformJob",
    name: "TransformJobName",
    longest_name: 63,
    arn: "TransformJobArn",
    state: "TransformJobStatus",
    page: Some("transform-jobs"),
    log_group: "/aws/sagemaker/TransformJobs",
};

const TUNING: Facts = Facts {
    noun: "tuning job",
    create: "CreateHyperParameterTuningJob",
    describe: "DescribeHyperParameterTuningJob",
    stop: "StopHyperParameterTuningJob",
    name: "HyperParameterTuningJobName",
    longest_name: 32,
    arn: "HyperParameterTuningJobArn",
    state: "HyperParameterTuningJobStatus",
    page: Some("hyper-tuning-jobs"),
    // Of its training jobs, whose names begin with its own.
    log_group: "/aws/sagemaker/TrainingJobs",
};

const RECOMMENDER: Facts = Facts {
    noun: "inference recommendations job",
    create: "CreateInferenceRecommendationsJob",
    describe: "DescribeInferenceRecommendationsJob",
    stop: "StopInferenceRecommendationsJob",
    name: "JobName",
    longest_name: 64,
    arn: "JobArn",
    state: "Status",
    page: None,
    log_group: "/aws/sagemaker/InferenceRecommendationsJobs",
};

/// A model, which an endpoint or a transform job uses.
pub(crate) const MODEL: Facts = Facts {
    noun: "model",
    create: "CreateModel",
    describe: "DescribeModel",
    stop: "DeleteModel",
    name: "ModelName",
    longest_name: 63,
    arn: "ModelArn",
    state: "",
    page: None,
    log_group: "",
};

/// The configuration of an endpoint.
pub(crate) const ENDPOINT_CONFIG: Facts = Facts {
    noun: "endpoint configuration",
    create: "CreateEndpointConfig",
    describe: "DescribeEndpointConfig",
    stop: "DeleteEndpointConfig",
    name: "EndpointConfigName",
    longest_name: 63,
    arn: "EndpointConfigArn",
    state: "",
    page: None,
    log_group: "",
};

const ENDPOINT: Facts = Facts {
    noun: "endpoint",
    create: "CreateEndpoint",
    describe: "DescribeEndpoint",
    stop: "DeleteEndpoint",
    name: "EndpointName",
    longest_name: 63,
    arn: "EndpointArn",
    state: "EndpointStatus",
    page: Some("endpoints"),
    // An endpoint has a log group of its own, below this one.
    log_group: "/aws/sagemaker/Endpoints",
};

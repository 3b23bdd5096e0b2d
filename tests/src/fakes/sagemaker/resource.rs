//! What the fake has made: a job, an endpoint, or a part of one.

use serde_json::{Value, json};

use super::{Ending, Failure, Options};
use crate::fakes::aws::{At, Course};

/// When everything was made, in seconds since 1970.
const CREATED_AT: f64 = 1_772_346_615.823;

/// What can be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// What follows the verb in its operations.
    pub(super) suffix: &'static str,
    /// As messages call it.
    pub(super) noun: &'static str,
    /// Within ARNs.
    arn: &'static str,
    /// The member with its name.
    pub(super) name: &'static str,
    /// The member with its state; none for parts of endpoints.
    state: Option<&'static str>,
    /// The states of those that have not ended; the last one repeats.
    running: &'static [&'static str],
    success: &'static str,
    /// Members of the request that its description has.
    described: &'static [&'static str],
}

const KINDS: [Kind; 8] = [
    Kind {
        suffix: "TrainingJob",
        noun: "training job",
        arn: "training-job",
        name: "TrainingJobName",
        state: Some("TrainingJobStatus"),
        running: &["InProgress"],
        success: "Completed",
        described: &["StoppingCondition", "RoleArn", "OutputDataConfig", "Environment"],
    },
    Kind {
        suffix: "ProcessingJob",
        noun: "processing job",
        arn: "processing-job",
        name: "ProcessingJobName",
        state: Some("ProcessingJobStatus"),
        running: &["InProgress"],
        success: "Completed",
        described: &[
            "ProcessingResources",
            "AppSpecification",
            "ProcessingOutputConfig",
            "RoleArn",
        ],
    },
    Kind {
        suffix: "TransformJob",
        noun: "transform job",
        arn: "transform-job",
        name: "TransformJobName",
        state: Some("TransformJobStatus"),
        running: &["InProgress"],
        success: "Completed",
        described: &["ModelName", "TransformInput", "TransformOutput", "TransformResources"],
    },
    Kind {
        suffix: "HyperParameterTuningJob",
        noun: "tuning job",
        arn: "hyper-parameter-tuning-job",
        name: "HyperParameterTuningJobName",
        state: Some("HyperParameterTuningJobStatus"),
        running: &["InProgress"],
        success: "Completed",
        described: &["HyperParameterTuningJobConfig"],
    },
    Kind {
        suffix: "InferenceRecommendationsJob",
        noun: "inference recommendations job",
        arn: "inference-recommendations-job",
        name: "JobName",
        state: Some("Status"),
        running: &["PENDING", "IN_PROGRESS"],
        success: "COMPLETED",
        described: &["JobType", "RoleArn", "InputConfig"],
    },
    Kind {
        suffix: "Endpoint",
        noun: "endpoint",
        arn: "endpoint",
        name: "EndpointName",
        state: Some("EndpointStatus"),
        running: &["Creating"],
        success: "InService",
        described: &["EndpointConfigName"],
    },
    Kind {
        suffix: "EndpointConfig",
        noun: "endpoint configuration",
        arn: "endpoint-config",
        name: "EndpointConfigName",
        state: None,
        running: &[],
        success: "",
        described: &["ProductionVariants"],
    },
    Kind {
        suffix: "Model",
        noun: "model",
        arn: "model",
        name: "ModelName",
        state: None,
        running: &[],
        success: "",
        described: &["ExecutionRoleArn"],
    },
];

impl Kind {
    /// The kind whose operations end in `suffix`.
    pub(super) fn of(suffix: &str) -> Option<&'static Self> {
        static ALL: [Kind; 8] = KINDS;
        ALL.iter().find(|kind| kind.suffix == suffix)
    }

    /// The kind of a resource with `arn`.
    pub(super) fn of_arn(arn: &str) -> Option<(&'static Self, &str)> {
        let (kind, name) = arn.rsplit(':').next()?.split_once('/')?;
        let known = KINDS.iter().find(|known| known.arn == kind)?;
        Some((Self::of(known.suffix)?, name))
    }

    /// Where the fake keeps the one called `name`. Names of endpoints are case-insensitive.
    pub(super) fn key(&self, name: &str) -> (&'static str, String) {
        let is_endpoint = self.suffix.starts_with("Endpoint");
        (self.suffix, if is_endpoint { name.to_lowercase() } else { name.to_owned() })
    }

    pub(super) fn arn(&self, name: &str) -> String {
        format!("arn:aws:sagemaker:eu-central-1:123456789012:{}/{name}", self.arn)
    }

    /// The member with its ARN.
    pub(super) fn arn_member(&self) -> String {
        if self.name == "JobName" { "JobArn".to_owned() } else { format!("{}Arn", self.suffix) }
    }

    /// Whether it is a job, whose errors the model has.
    pub(super) fn is_job(&self) -> bool {
        self.suffix.ends_with("Job")
    }

    /// `title`, or `upper` where states are written in capitals.
    fn written(&self, title: &'static str, upper: &'static str) -> &'static str {
        if self.success == "COMPLETED" { upper } else { title }
    }

    /// The states that `polls` polls find.
    fn states(&self, polls: usize) -> Vec<String> {
        let last = self.running.last().into_iter().cycle();
        let states = self.running.iter().chain(last).take(polls);
        states.map(|&state| state.to_owned()).collect()
    }
}

/// Something that was made.
pub(super) struct Resource {
    pub(super) kind: &'static Kind,
    /// How many were made up to it.
    pub(super) number: usize,
    input: Value,
    course: Course<Failure>,
    polled: usize,
}

impl Resource {
    pub(super) fn new(kind: &'static Kind, input: Value, options: &Options, number: usize) -> Self {
        // What has no state does not go through any.
        let course = match kind.state {
            Some(_) => Course::new(kind.states(options.polls), options.ending.clone()),
            None => Course::new(Vec::new(), Ending::Success),
        };
        Self { kind, number, input, course, polled: 0 }
    }

    /// One that has ended successfully, and that nobody made by itself.
    pub(super) fn completed(kind: &'static Kind, input: Value) -> Self {
        Self::new(kind, input, &Options { polls: 0, ..Options::default() }, 0)
    }

    fn name(&self) -> &str {
        self.input[self.kind.name].as_str().unwrap_or_default()
    }

    pub(super) fn key(&self) -> (&'static str, String) {
        self.kind.key(self.name())
    }

    pub(super) fn tags(&self) -> Value {
        json!({ "Tags": self.input.get("Tags").cloned().unwrap_or_else(|| json!([])) })
    }

    pub(super) fn state(&self) -> &str {
        match self.course.at() {
            At::State(state) => state,
            At::Succeeded => self.kind.success,
            At::Failed(Failure::Failed(_)) => self.kind.written("Failed", "FAILED"),
            At::Failed(Failure::Stopped(_)) | At::Stopped => {
                self.kind.written("Stopped", "STOPPED")
            }
        }
    }

    pub(super) fn advance(&mut self) {
        self.polled += 1;
        self.course.advance();
    }

    /// Stops it unless it has ended; returns whether it did.
    pub(super) fn stop(&mut self) -> bool {
        self.course.stop()
    }

    /// Puts it into `state` for good, if it has states.
    pub(super) fn put_into(&mut self, state: &str) {
        if self.kind.state.is_some() {
            self.course = Course::new(Vec::new(), Ending::Stuck(state.to_owned()));
        }
    }

    pub(super) fn described(&self) -> Value {
        let kind = self.kind;
        let mut answer = json!({ kind.name: self.name(), "CreationTime": CREATED_AT });
        answer[kind.arn_member()] = kind.arn(self.name()).into();
        for member in kind.described {
            if let Some(value) = self.input.get(*member) {
                answer[*member] = value.clone();
            }
        }
        let Some(state) = kind.state else { return answer };
        answer[state] = self.state().into();
        if kind.suffix != "TransformJob" {
            answer["LastModifiedTime"] = CREATED_AT.into();
        }
        if let At::Failed(Failure::Failed(reason)) = self.course.at() {
            answer["FailureReason"] = reason.as_str().into();
        }
        self.describe_kind(&mut answer);
        answer
    }

    fn describe_kind(&self, answer: &mut Value) {
        let (name, ended) = (self.name(), self.course.has_ended());
        match self.kind.suffix {
            "TrainingJob" => {
                let secondary = self.secondary();
                answer["SecondaryStatus"] = secondary.into();
                answer["SecondaryStatusTransitions"] = json!([{
                    "Status": secondary, "StartTime": CREATED_AT, "StatusMessage": "as scripted"}]);
                let artifacts = format!("s3://acme-ml/{name}/output/model.tar.gz");
                answer["ModelArtifacts"] = json!({ "S3ModelArtifacts": artifacts });
                if ended {
                    answer["BillableTimeInSeconds"] = 61.into();
                    answer["TrainingTimeInSeconds"] = 65.into();
                    answer["FinalMetricDataList"] = json!([
                        {"MetricName": "loss", "Value": 0.25, "Timestamp": CREATED_AT}]);
                }
            }
            "HyperParameterTuningJob" => {
                let (completed, running) = if ended { (2, 0) } else { (1, 1) };
                answer["TrainingJobStatusCounters"] = json!({
                    "Completed": completed, "InProgress": running, "RetryableError": 0,
                    "NonRetryableError": 0, "Stopped": 0});
                answer["ObjectiveStatusCounters"] =
                    json!({"Succeeded": completed, "Pending": running, "Failed": 0});
                if ended {
                    let best = format!("{name}-001-0a1b2c3d");
                    answer["BestTrainingJob"] = json!({
                        "TrainingJobName": best, "CreationTime": CREATED_AT,
                        "TrainingJobArn": format!("arn:aws:sagemaker:eu-central-1:123456789012:training-job/{best}"),
                        "TrainingJobStatus": "Completed", "ObjectiveStatus": "Succeeded",
                        "TunedHyperParameters": {"lr": "0.1"},
                        "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "loss", "Value": 0.25}});
                }
            }
            "ProcessingJob" if ended => answer["ProcessingEndTime"] = CREATED_AT.into(),
            _ => {}
        }
    }

    /// The secondary status of a training job.
    fn secondary(&self) -> &str {
        match self.course.at() {
            At::State(_) => ["Starting", "Downloading", "Training"][self.polled.min(2)],
            At::Failed(Failure::Stopped(secondary)) => secondary,
            _ => self.state(),
        }
    }
}

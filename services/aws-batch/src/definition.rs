//! Job definitions: a job's image and roles, which a submit cannot override.
//!
//! The service registers one for each image, roles and platform, and finds it again by its name, so that a thousand jobs of an
//! image share a revision.

use std::collections::BTreeSet;

use plugin_core::{
    Context, Error, Result, Task,
    aws::{Client, given},
    digest::{hex, sha256},
    serde_json::{Value as Json, json},
};

use crate::{
    api::{Definitions, Registered},
    custom::Custom,
    settings::Operator,
};

/// What a job gets that asks for no resources: flytekit's tasks have none unless their author says so. Fargate allows the
/// combination, too.
const CPUS: &str = "1";
const MEBIBYTES: &str = "2048";

/// The name of the setting of a template's `config` in which flytekit writes the platform, too.
const PLATFORM: &str = "platformCapabilities";

/// Where a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    Ec2,
    Fargate,
}

impl Platform {
    /// The platform that `task` names; EC2 if it names none, as in flytekit.
    ///
    /// # Errors
    /// `InvalidArgument` for another.
    pub(crate) fn of(task: &Task<Custom>) -> Result<Self> {
        let of_config = || task.config.get(PLATFORM).map(String::as_str);
        match given(&task.custom.platform_capabilities).or_else(of_config).unwrap_or("EC2") {
            "EC2" => Ok(Self::Ec2),
            "FARGATE" => Ok(Self::Fargate),
            other => Err(Error::invalid(format!(
                "custom.platformCapabilities: {other:?} must be EC2 or FARGATE"
            ))),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Fargate => "FARGATE",
        }
    }
}

/// A job definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    image: String,
    job_role: Option<String>,
    execution_role: Option<String>,
    platform: Platform,
    public_ip: bool,
}

impl Definition {
    /// The definition of jobs of `task`. Nothing is called.
    ///
    /// # Errors
    /// `InvalidArgument` if the task has no image, or a role that is not allowed.
    pub(crate) fn new(cx: &Context, task: &Task<Custom>, operator: &Operator) -> Result<Self> {
        let image = task.container.as_ref().map(|container| container.image.trim());
        let image = image.filter(|image| !image.is_empty()).ok_or_else(|| {
            Error::invalid("template.container.image: missing; AWS Batch runs a container")
        })?;
        let of_execution = ("task_execution_metadata.identity.iam_role", task.iam_role.as_deref());
        let (field, role) = match given(&task.custom.job_role) {
            Some(role) => ("custom.jobRole", Some(role)),
            None => of_execution,
        };
        let platform = Platform::of(task)?;
        let execution_role = operator.task_execution_role.clone();
        if platform == Platform::Fargate && execution_role.is_none() {
            return Err(Error::invalid(
                "custom.platformCapabilities: FARGATE needs a role with which ECS pulls the image; the service's operator has \
                 set none: --task-execution-role (AWS_BATCH_TASK_EXECUTION_ROLE)",
            ));
        }
        Ok(Self {
            image: image.to_owned(),
            job_role: operator.job_roles.choose(cx, field, role)?,
            execution_role,
            platform,
            public_ip: operator.assign_public_ip && platform == Platform::Fargate,
        })
    }

    /// Its name: a part of the image's, for people, and a hash of all that it says.
    fn name(&self) -> String {
        let repository = self.image.rsplit('/').next().unwrap_or_default();
        let repository = repository.split(['@', ':']).next().unwrap_or_default();
        let safe = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
        let repository = repository.chars().map(safe).take(60).collect::<String>();
        let role = |role: &Option<String>| role.clone().unwrap_or_default();
        let parts = [
            self.image.clone(),
            role(&self.job_role),
            role(&self.execution_role),
            self.platform.name().to_owned(),
            self.public_ip.to_string(),
        ];
        let parts = parts.each_ref().map(|part| part.as_bytes());
        format!("flyte-{repository}-{}", &hex(&sha256(&parts))[..32])
    }

    /// `RegisterJobDefinition`.
    fn request(&self) -> Json {
        let mut container = json!({
            "image": self.image,
            "resourceRequirements": [
                { "type": "VCPU", "value": CPUS },
                { "type": "MEMORY", "value": MEBIBYTES },
            ],
        });
        for (key, role) in
            [("jobRoleArn", &self.job_role), ("executionRoleArn", &self.execution_role)]
        {
            if let Some(role) = role {
                container[key] = role.as_str().into();
            }
        }
        if self.platform == Platform::Fargate {
            let assign = if self.public_ip { "ENABLED" } else { "DISABLED" };
            container["networkConfiguration"] = json!({ "assignPublicIp": assign });
        }
        json!({
            "jobDefinitionName": self.name(),
            "type": "container",
            "platformCapabilities": [self.platform.name()],
            "containerProperties": container,
        })
    }

    /// The ARN of the newest active revision that says the same, or of a new one. Two replicas that register at once make two
    /// revisions, which does no harm.
    pub(crate) async fn find_or_register(&self, cx: &Context, client: &Client) -> Result<String> {
        let body = json!({ "jobDefinitionName": self.name(), "status": "ACTIVE" });
        let call = client.http().post(&["v1", "describejobdefinitions"]).json(&body);
        let found: Definitions = call.idempotent().send_json(cx).await?;
        let wanted = self.request();
        if let Some(arn) =
            found.newest(|container| is_same(container, &wanted["containerProperties"]))
        {
            return Ok(arn);
        }
        let call = client.http().post(&["v1", "registerjobdefinition"]).json(&wanted);
        // A second revision would do no harm either.
        let registered: Registered = call.idempotent().send_json(cx).await?;
        Ok(registered.job_definition_arn)
    }
}

/// Whether a found definition's container is the wanted one: in what this service sets, and in not having what would change
/// what jobs do, what they need, or where they log. Somebody else may have registered a revision of the same name.
fn is_same(found: &Json, wanted: &Json) -> bool {
    let same = ["image", "jobRoleArn", "executionRoleArn", "user", "networkConfiguration"];
    let none = [
        "command",
        "environment",
        "secrets",
        "volumes",
        "mountPoints",
        "ulimits",
        "linuxParameters",
        "logConfiguration",
        "repositoryCredentials",
    ];
    same.iter().all(|key| found[*key] == wanted[*key])
        && requirements(found) == requirements(wanted)
        && none.iter().all(|key| is_empty(&found[*key]))
        && ["privileged", "readonlyRootFilesystem"].iter().all(|key| found[*key] != true)
}

/// The resources of a container, in an order of their own.
fn requirements(container: &Json) -> BTreeSet<String> {
    let all = container["resourceRequirements"].as_array();
    all.into_iter().flatten().map(Json::to_string).collect()
}

/// Whether `value` says nothing: AWS may describe what was not set as an empty list or object.
fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.values().all(is_empty),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Definition {
        Definition {
            image: "registry.example.com/team/etl.orders@sha256:0a1b".to_owned(),
            job_role: Some("arn:aws:iam::111122223333:role/etl".to_owned()),
            execution_role: None,
            platform: Platform::Ec2,
            public_ip: false,
        }
    }

    #[test]
    fn a_name_tells_everything_apart_and_fits() {
        let name = definition().name();
        assert!(name.starts_with("flyte-etl-orders-"), "{name}");
        let long = Definition { image: format!("x/{}", "a".repeat(300)), ..definition() };
        assert!(long.name().len() <= 128);
        for other in [
            Definition { image: "etl:2".to_owned(), ..definition() },
            Definition { job_role: None, ..definition() },
            Definition { execution_role: Some("arn".to_owned()), ..definition() },
            Definition { platform: Platform::Fargate, ..definition() },
            Definition { public_ip: true, ..definition() },
        ] {
            assert_ne!(other.name(), name, "{other:?}");
        }
    }

    #[test]
    fn another_container_of_the_same_name_is_not_used() {
        let wanted = definition().request()["containerProperties"].clone();
        let mut described = wanted.clone();
        // As AWS describes it: with what was not set, and in its own order.
        for (key, value) in [("volumes", json!([])), ("linuxParameters", json!({"devices": []}))] {
            described[key] = value;
        }
        described["resourceRequirements"].as_array_mut().unwrap().reverse();
        assert!(is_same(&described, &wanted));
        for (key, value) in [
            ("image", json!("x")),
            ("jobRoleArn", json!("y")),
            ("privileged", json!(true)),
            ("command", json!(["sh"])),
            ("user", json!("root")),
            ("environment", json!([{"name": "A", "value": "b"}])),
            ("volumes", json!([{"name": "host", "host": {"sourcePath": "/"}}])),
            ("linuxParameters", json!({"devices": [{"hostPath": "/dev/kvm"}]})),
            ("logConfiguration", json!({"logDriver": "syslog"})),
            ("readonlyRootFilesystem", json!(true)),
            ("resourceRequirements", json!([{"type": "VCPU", "value": "64"}])),
            ("networkConfiguration", json!({"assignPublicIp": "ENABLED"})),
        ] {
            let mut found = wanted.clone();
            found[key] = value;
            assert!(!is_same(&found, &wanted), "{key}");
        }
    }
}

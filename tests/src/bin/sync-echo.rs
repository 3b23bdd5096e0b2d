//! A sync plugin without a vendor, for tests with callers' own code.

use std::process::ExitCode;

use clap::Args;
use plugin_core::{
    Context, Error, HttpBuilder, Kind, Phase, Result, Status, SyncPlugin, Task, TaskType, Value,
};
use schemars::JsonSchema;
use serde::Deserialize;

struct Echo;

#[derive(Debug, Args)]
struct Settings {}

#[derive(Deserialize, JsonSchema)]
struct Custom {
    /// The output to return.
    text: String,
    /// The message of the error to return instead.
    refuse: Option<String>,
}

impl SyncPlugin for Echo {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("echo", 0)];
    type Settings = Settings;
    type Custom = Custom;

    fn new(_: Settings, _: HttpBuilder) -> Result<Self> {
        Ok(Self)
    }

    async fn execute(&self, _: &Context, task: Task<Custom>) -> Result<Status> {
        if let Some(why) = task.custom.refuse {
            return Err(Error::new(Kind::FailedPrecondition, why).with_code("REFUSED").upstream());
        }
        let inputs = task.inputs.iter().count();
        Ok(Status::new(Phase::Succeeded)
            .info("inputs", Some(inputs))
            .output("text", Some(Value::String(task.custom.text))))
    }
}

fn main() -> ExitCode {
    plugin_core::run_sync::<Echo>(plugin_core::service_info!())
}

//! The command of a job's container.

use plugin_core::{Context, Error, Result, task::Container};

/// The container's command and arguments.
///
/// flytekit writes the outputs of an `aws-batch` task to `<output prefix>/0`, where propeller's own plugin looks for those of
/// an array's first job. Flyte reads those of a service's task from the output prefix itself, so that argument becomes the
/// prefix. Propeller has rendered it.
///
/// # Errors
/// `InvalidArgument` if there is neither.
pub(crate) fn of(cx: &Context, container: &Container) -> Result<Vec<String>> {
    let prefix = cx.output_prefix().trim_end_matches('/');
    let first_of_array = format!("{prefix}/0");
    let all = container.command.iter().chain(&container.args);
    let command = all.map(|argument| match !prefix.is_empty() && *argument == first_of_array {
        true => prefix.to_owned(),
        false => argument.clone(),
    });
    let command = command.collect::<Vec<_>>();
    match command.is_empty() {
        true => Err(Error::invalid("template.container.args: missing; they are the job's command")),
        false => Ok(command),
    }
}

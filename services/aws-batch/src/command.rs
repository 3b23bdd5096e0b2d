//! The command of a job's container.

use plugin_core::{Context, Error, Result, task::Container};

/// The container's command and arguments.
///
/// flytekit writes the outputs of an `aws-batch` task to `<output prefix>/0`, where propeller's own plugin looks for those of
/// an array's first job. Flyte reads those of a service's task from the output prefix itself, so that argument becomes the
/// prefix. Propeller has rendered it. Functions of Flyte 2 write to the prefix, and Flyte leaves the names of run and action to the
/// backend.
///
/// # Errors
/// `InvalidArgument` if there is neither.
pub(crate) fn of(cx: &Context, container: &Container) -> Result<Vec<String>> {
    let prefix = cx.output_prefix().trim_end_matches('/');
    let first_of_array = format!("{prefix}/0");
    let all = container.command.iter().chain(&container.args);
    let execution = cx.execution();
    let command = all.map(|argument| {
        let filled = match argument.as_str() {
            argument if !prefix.is_empty() && argument == first_of_array => prefix,
            argument => execution.filled(argument),
        };
        filled.to_owned()
    });
    let command = command.collect::<Vec<_>>();
    match command.is_empty() {
        true => Err(Error::invalid("template.container.args: missing; they are the job's command")),
        false => Ok(command),
    }
}

//! The Git repository of a request: one for all of its tasks.

use plugin_core::{Error, Result, serde_json::Value as Json};

use crate::custom::Object;

const FIELD: &str = "git_source";

/// The repository of Flyte's entrypoint.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) git_source: Json,
    /// Whether it replaces the author's, in which the entrypoint does not lie.
    pub(crate) replaces_authors: bool,
}

impl Repository {
    /// Sets the repository of `request`, whose tasks other than Flyte's are `others`.
    ///
    /// # Errors
    /// `InvalidArgument` when the code of another task lies in the author's repository.
    pub(crate) fn set(self, request: &mut Object, others: &mut [Object]) -> Result<()> {
        if !request.contains_key(FIELD) {
            others.iter_mut().for_each(|task| each_code(task, &mut stay_in_workspace));
        } else if !self.replaces_authors {
            return Ok(());
        } else if others.iter_mut().any(lies_in_git) {
            return Err(Error::invalid(
                "custom.databricksConf.git_source: the task's code needs the repository of Flyte's \
                 entrypoint, and a run has one repository; set python_file to an entrypoint in yours",
            ));
        }
        request.insert(FIELD.to_owned(), self.git_source);
        Ok(())
    }
}

/// Says where `code` lies, if its author does not. For most actions that is the workspace only as long as the
/// request has no repository.
fn stay_in_workspace(action: &str, code: &mut Object) {
    if action != "spark_python_task" {
        code.entry("source").or_insert("WORKSPACE".into());
    }
}

/// Whether some code of `task` lies in the request's repository.
fn lies_in_git(task: &mut Object) -> bool {
    let mut found = false;
    each_code(task, &mut |action, code| {
        found |= match code.get("source").and_then(Json::as_str) {
            Some(source) => source.eq_ignore_ascii_case("GIT"),
            None => action != "spark_python_task",
        };
    });
    found
}

/// Visits the objects of `task` that have a `source`, each with the name of its action.
///
/// From databricks-sdk-go, `service/jobs/model.go`: the fields of type `Source`.
fn each_code(task: &mut Object, visit: &mut dyn FnMut(&str, &mut Object)) {
    for (action, body) in task {
        let Json::Object(body) = body else { continue };
        match action.as_str() {
            "notebook_task" | "spark_python_task" | "dbt_task" | "gen_ai_compute_task" => {
                visit(action, body);
            }
            "sql_task" => {
                if let Some(Json::Object(file)) = body.get_mut("file") {
                    visit(action, file);
                }
            }
            "for_each_task" => {
                if let Some(Json::Object(repeated)) = body.get_mut("task") {
                    each_code(repeated, visit);
                }
            }
            _ => {}
        }
    }
}

//! The code of a run: the task's own, started by Flyte's entrypoint, or a notebook.

use plugin_core::{
    Context, Error, Result, Task, clap,
    serde_json::{Value as Json, json},
};

use crate::{
    custom::{Custom, Object},
    git::Repository,
    keys::TASK_KEY,
    nulls::without_nulls,
};

/// The location of Flyte's entrypoints.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CodeArgs {
    /// Git repository of the entrypoints that run a task's code, for tasks without a `git_source`.
    #[arg(
        long,
        env = "DATABRICKS_ENTRYPOINT_URL",
        value_name = "URL",
        default_value = "https://github.com/flyteorg/flytetools"
    )]
    entrypoint_url: String,

    /// Git provider of the entrypoints' repository, as the Jobs API spells it.
    #[arg(long, env = "DATABRICKS_ENTRYPOINT_PROVIDER", default_value = "gitHub")]
    entrypoint_provider: String,

    /// Commit with the entrypoints of Flyte 1.
    #[arg(
        long,
        env = "DATABRICKS_ENTRYPOINT_COMMIT_V1",
        value_name = "COMMIT",
        default_value = "572298df1f971fb58c258398bd70a6372f811c96"
    )]
    entrypoint_commit_v1: String,

    /// Commit with the entrypoint of Flyte 2.
    #[arg(
        long,
        env = "DATABRICKS_ENTRYPOINT_COMMIT_V2",
        value_name = "COMMIT",
        default_value = "194364210c47c49ce66c419e8fb68d6f9c06fd7e"
    )]
    entrypoint_commit_v2: String,

    /// Flyte 1's entrypoint on clusters.
    #[arg(
        long,
        env = "DATABRICKS_ENTRYPOINT_V1",
        value_name = "FILE",
        default_value = "flytekitplugins/databricks/entrypoint.py"
    )]
    entrypoint_v1: String,

    /// Flyte 1's entrypoint on serverless compute.
    #[arg(
        long,
        env = "DATABRICKS_ENTRYPOINT_V1_SERVERLESS",
        value_name = "FILE",
        default_value = "flytekitplugins/databricks/entrypoint_serverless.py"
    )]
    entrypoint_v1_serverless: String,

    /// Flyte 2's entrypoint.
    #[arg(
        long,
        env = "DATABRICKS_ENTRYPOINT_V2",
        value_name = "FILE",
        default_value = "flyteplugins/databricks/entrypoint.py"
    )]
    entrypoint_v2: String,

    /// Service credential with which serverless code accesses its storage, for tasks that name none.
    #[arg(long, env = "DATABRICKS_SERVICE_CREDENTIAL_PROVIDER", value_name = "NAME")]
    service_credential_provider: Option<String>,

    /// Environment version of serverless tasks that have no environment of their own. Databricks
    /// supports environment variables from version 5.
    #[arg(long, env = "DATABRICKS_ENVIRONMENT_VERSION", default_value = "5")]
    pub(crate) environment_version: String,

    /// Where the request carries the environment variables of serverless tasks.
    #[arg(
        long,
        env = "DATABRICKS_SERVERLESS_VARIABLES",
        value_name = "PLACE",
        value_enum,
        default_value_t = Place::Auto
    )]
    pub(crate) serverless_variables: Place,
}

/// A place for the environment variables of a serverless task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Place {
    /// Depends on the environment's version: below 5 in the environment, else in the request.
    Auto,
    /// In the request's `environment_variables`, as the Jobs API documents.
    Request,
    /// In the environment's `environment_vars`, as in Flyte's own connector.
    Environment,
}

/// What a task of the request runs.
pub(crate) struct Action {
    /// The key of the task, if its author sets none.
    pub(crate) task_key: &'static str,
    /// `notebook_task` or `spark_python_task`.
    pub(crate) name: &'static str,
    /// Its contents.
    pub(crate) body: Json,
    /// The repository of the entrypoint, if it lies in one.
    pub(crate) repository: Option<Repository>,
}

impl Action {
    /// What `task` runs. `python_file` and `has_git` come from its author's request.
    ///
    /// # Errors
    /// `InvalidArgument` when the template has neither a container nor a notebook, or a parameter of the
    /// notebook is invalid.
    pub(crate) fn of(
        cx: &Context,
        task: &Task<Custom>,
        args: &CodeArgs,
        python_file: Option<String>,
        has_git: bool,
        serverless: bool,
    ) -> Result<Self> {
        match task.custom.notebook_path.as_deref() {
            Some(path) => Self::notebook(path, &task.custom, has_git),
            None => Self::code(cx, task, args, python_file, serverless),
        }
    }

    fn notebook(path: &str, custom: &Custom, has_git: bool) -> Result<Self> {
        let mut body = json!({ "notebook_path": path });
        let parameters = custom.notebook_base_parameters.clone().unwrap_or_default();
        let parameters = without_nulls("custom.notebookBaseParameters", parameters)?;
        if !parameters.is_empty() {
            body["base_parameters"] = parameters.into();
        }
        // Without it, Databricks looks for every notebook in the repository.
        if has_git {
            body["source"] = if lies_in_git(path) { "GIT" } else { "WORKSPACE" }.into();
        }
        let (task_key, name) = ("flyte_notebook_task", "notebook_task");
        Ok(Self { task_key, name, body, repository: None })
    }

    fn code(
        cx: &Context,
        task: &Task<Custom>,
        args: &CodeArgs,
        python_file: Option<String>,
        serverless: bool,
    ) -> Result<Self> {
        let container = task.container.as_ref().ok_or_else(|| {
            Error::invalid(
                "template.container: missing; Databricks runs its arguments, unless \
                 custom.notebookPath names a notebook",
            )
        })?;
        let mut parameters = container
            .args
            .iter()
            .map(|arg| cx.execution().filled(arg).to_owned())
            .collect::<Vec<_>>();
        let is_v2 = container.args.first().is_some_and(|arg| arg == "a0");
        // Flyte 2's entrypoint does not have this option.
        if serverless
            && !is_v2
            && let Some(provider) = args.provider(&task.custom)
        {
            parameters.push(format!("--flyte-credential-provider={provider}"));
        }
        // Flyte 1's authors may name a copy of the entrypoints' repository, as its connector allows. Flyte 2's
        // replaces the repository.
        let replaces_authors = is_v2 && python_file.is_none();
        let file = python_file.unwrap_or_else(|| args.entrypoint(is_v2, serverless).to_owned());
        let in_git = lies_in_git(&file);
        let mut body = json!({ "python_file": file, "parameters": parameters });
        if in_git {
            body["source"] = "GIT".into();
        }
        let git_source = in_git.then(|| args.git_source(is_v2));
        let repository = git_source.map(|git_source| Repository { git_source, replaces_authors });
        Ok(Self { task_key: TASK_KEY, name: "spark_python_task", body, repository })
    }
}

impl CodeArgs {
    fn provider<'a>(&'a self, custom: &'a Custom) -> Option<&'a str> {
        let authors = custom.databricks_service_credential_provider.as_deref();
        authors.or(self.service_credential_provider.as_deref()).filter(|name| !name.is_empty())
    }

    fn entrypoint(&self, is_v2: bool, serverless: bool) -> &str {
        match (is_v2, serverless) {
            (true, _) => &self.entrypoint_v2,
            (false, true) => &self.entrypoint_v1_serverless,
            (false, false) => &self.entrypoint_v1,
        }
    }

    fn git_source(&self, is_v2: bool) -> Json {
        let commit = if is_v2 { &self.entrypoint_commit_v2 } else { &self.entrypoint_commit_v1 };
        json!({
            "git_url": self.entrypoint_url,
            "git_provider": self.entrypoint_provider,
            "git_commit": commit,
        })
    }
}

/// Whether `file` is a path in a repository, and neither a workspace path nor a URI.
fn lies_in_git(file: &str) -> bool {
    !file.starts_with('/') && !file.contains(":/")
}

/// Whether a task of the request specifies what it runs.
pub(crate) fn has_action(task: &Object) -> bool {
    task.iter().any(|(key, value)| key.ends_with("_task") && !value.is_null())
}

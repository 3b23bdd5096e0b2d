//! What a run of checks shares: the service, its task types, and the jobs whose lives several rules look at.

mod job;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use plugin_core::testing::Dialect;
use secrecy::SecretString;
use server_core::token_file::{TokenFile, flaw};
use tokio::sync::OnceCell;
use tonic::Code;

pub(crate) use self::job::{DeletedJob, Poll, SharedJob};
use crate::{
    args::Args,
    discovery::Listing,
    error::StartError,
    grpc::Ending,
    status::{CallError, JobStatus},
    target::{Answer, Target},
    task::{ServedType, Task},
    verdict::{Checked, skipped},
};

/// A run of checks.
pub(crate) struct Session {
    pub(crate) target: Target,
    pub(crate) dialects: Vec<Dialect>,
    pub(crate) listings: Vec<(Dialect, Result<Listing, CallError>)>,
    /// The task types to check.
    pub(crate) types: Vec<ServedType>,
    pub(crate) large_message: usize,
    pub(crate) time_limit: Duration,
    poll_interval: Duration,
    tasks: Vec<Task>,
    bad_tasks: Vec<Task>,
    /// Distinguishes the attempts of this run from those of others.
    run: u64,
    attempts: AtomicU32,
    jobs: OnceCell<Vec<SharedJob>>,
    deleted: OnceCell<Vec<DeletedJob>>,
    executions: OnceCell<Vec<Execution>>,
}

/// The outcomes of a sync task.
pub(crate) struct Execution {
    pub(crate) task: Task,
    pub(crate) grpc: Option<Result<Answer, CallError>>,
    pub(crate) rest: Option<Result<JobStatus, CallError>>,
}

impl Session {
    /// Reads the files of the command line and asks the service what it serves.
    pub(crate) async fn start(args: &Args) -> Result<Self, StartError> {
        let target = Target::new(args, token(args).await?).await?;
        let dialects = args.dialects();
        let mut listings = Vec::new();
        for dialect in &dialects {
            listings.push((*dialect, target.list(*dialect).await));
        }
        let types = chosen(args, &listings)?;
        let read = |paths: &[std::path::PathBuf]| {
            let tasks = paths.iter().map(|path| served(Task::read(path)?, &types));
            tasks.collect::<Result<Vec<_>, StartError>>()
        };
        Ok(Self {
            tasks: read(&args.task)?,
            bad_tasks: read(&args.bad_task)?,
            target,
            dialects,
            listings,
            types,
            large_message: args.large_message,
            time_limit: args.time_limit,
            poll_interval: args.poll_interval,
            run: rand::random(),
            attempts: AtomicU32::new(0),
            jobs: OnceCell::new(),
            deleted: OnceCell::new(),
            executions: OnceCell::new(),
        })
    }

    /// `task` as an attempt that no other call names.
    pub(crate) fn fresh(&self, task: &Task) -> Task {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        task.attempt(&format!("{:016x}-{attempt}", self.run))
    }

    /// The protocols of gRPC among those to check.
    pub(crate) fn grpc_dialects(&self) -> impl Iterator<Item = Dialect> {
        self.dialects.iter().copied().filter(|dialect| dialect.is_grpc())
    }

    /// Whether REST is to be checked.
    pub(crate) fn has_rest(&self) -> bool {
        self.dialects.contains(&Dialect::Rest)
    }

    /// Whether Flyte 1 is to be checked.
    pub(crate) fn has_flyte1(&self) -> bool {
        self.dialects.contains(&Dialect::Flyte1)
    }

    /// The task types of one mode.
    pub(crate) fn types_of(&self, is_sync: bool) -> Checked<Vec<&ServedType>> {
        let types = self.types.iter().filter(|served| served.is_sync == is_sync);
        let types = types.collect::<Vec<_>>();
        let mode = if is_sync { "sync" } else { "async" };
        if types.is_empty() { Err(skipped(format!("no {mode} task type"))) } else { Ok(types) }
    }

    /// The tasks of one mode that succeed.
    pub(crate) fn tasks_of(&self, is_sync: bool) -> Checked<Vec<&Task>> {
        self.types_of(is_sync)?;
        self.among(&self.tasks, is_sync, "--task")
    }

    /// The tasks of one mode that the vendor refuses.
    pub(crate) fn bad_tasks_of(&self, is_sync: bool) -> Checked<Vec<&Task>> {
        self.types_of(is_sync)?;
        self.among(&self.bad_tasks, is_sync, "--bad-task")
    }

    fn among<'a>(&self, tasks: &'a [Task], is_sync: bool, flag: &str) -> Checked<Vec<&'a Task>> {
        let is_of = |task: &&Task| {
            let mut types = self.types.iter().filter(|served| served.is_sync == is_sync);
            types.any(|served| is_type_of(served, task))
        };
        let tasks = tasks.iter().filter(is_of).collect::<Vec<_>>();
        let mode = if is_sync { "a sync" } else { "an async" };
        match tasks.is_empty() {
            true => Err(skipped(format!("needs {flag} with a task of {mode} type"))),
            false => Ok(tasks),
        }
    }

    /// The task of the command line of the type `served`, or one without any settings.
    pub(crate) fn task_of_type(&self, served: &ServedType) -> Task {
        let own = self.tasks.iter().find(|task| is_type_of(served, task));
        own.cloned().unwrap_or_else(|| Task::empty(&served.name, served.version))
    }

    /// A job of each async task, polled to its end.
    pub(crate) async fn jobs(&self) -> Checked<&[SharedJob]> {
        let tasks = self.tasks_of(false)?;
        let run = || async move {
            let mut jobs = Vec::new();
            for task in tasks {
                jobs.push(SharedJob::run(self, self.fresh(task)).await);
            }
            jobs
        };
        Ok(self.jobs.get_or_init(run).await)
    }

    /// A job of each async task, deleted as soon as it was created.
    pub(crate) async fn deleted_jobs(&self) -> Checked<&[DeletedJob]> {
        let tasks = self.tasks_of(false)?;
        let run = || async move {
            let mut jobs = Vec::new();
            for task in tasks {
                jobs.push(DeletedJob::run(self, self.fresh(task)).await);
            }
            jobs
        };
        Ok(self.deleted.get_or_init(run).await)
    }

    /// The outcomes of each sync task.
    pub(crate) async fn executions(&self) -> Checked<&[Execution]> {
        let tasks = self.tasks_of(true)?;
        let run = || async move {
            let mut executions = Vec::new();
            for task in tasks {
                executions.push(self.execute(task).await);
            }
            executions
        };
        Ok(self.executions.get_or_init(run).await)
    }

    async fn execute(&self, task: &Task) -> Execution {
        let mut execution = Execution { task: task.clone(), grpc: None, rest: None };
        if self.has_flyte1() {
            let grpc = self.target.execute_grpc(&self.fresh(task), Ending::Closed).await;
            execution.grpc = Some(grpc);
        }
        if self.has_rest() {
            execution.rest = Some(self.target.execute_rest(&self.fresh(task)).await);
        }
        execution
    }
}

fn is_type_of(served: &ServedType, task: &Task) -> bool {
    served.name == task.type_name() && served.version == task.version()
}

async fn token(args: &Args) -> Result<Option<SecretString>, StartError> {
    let invalid = |flag, reason: String| StartError::Flag { flag, reason };
    if let Some(path) = &args.token_file {
        let token = TokenFile::new("--token-file", path).read().await;
        return token.map(Some).map_err(|error| invalid("--token-file", error.to_string()));
    }
    let Some(token) = &args.token else { return Ok(None) };
    match flaw(secrecy::ExposeSecret::expose_secret(token)) {
        Some(flaw) => Err(invalid("--token", format!("the token {flaw}"))),
        None => Ok(Some(token.clone())),
    }
}

/// The task types that the command line asks for.
fn chosen(
    args: &Args,
    listings: &[(Dialect, Result<Listing, CallError>)],
) -> Result<Vec<ServedType>, StartError> {
    let Some(listing) = listings.iter().find_map(|(_, listing)| listing.as_ref().ok()) else {
        return Err(unreachable(args, listings));
    };
    let listed = || listing.types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    for name in &args.task_type {
        if !listing.types.iter().any(|served| name.is(served)) {
            let reason = format!("{name} is not served; the service lists {}", listed());
            return Err(StartError::Flag { flag: "--task-type", reason });
        }
    }
    let is_chosen = |served: &&ServedType| {
        args.task_type.is_empty() || args.task_type.iter().any(|name| name.is(served))
    };
    let mut types = listing.types.iter().filter(is_chosen).cloned().collect::<Vec<_>>();
    types.dedup();
    Ok(types)
}

fn unreachable(args: &Args, listings: &[(Dialect, Result<Listing, CallError>)]) -> StartError {
    let errors =
        listings.iter().filter_map(|(dialect, listing)| Some((dialect, listing.as_ref().err()?)));
    let refused = errors.clone().any(|(_, error)| error.is(&[Code::Unauthenticated], &[401]));
    let errors = errors.map(|(dialect, error)| format!("{dialect}: {error}")).collect::<Vec<_>>();
    let hint = match (refused, &args.token, &args.token_file) {
        (true, None, None) => " (the service requires --token or --token-file)",
        (true, ..) => " (the service does not accept the token)",
        _ => "",
    };
    let reason = format!("the task types could not be listed{hint}: {}", errors.join("; "));
    StartError::Unreachable { url: args.url.to_string(), reason }
}

/// `task`, if its type is to be checked.
fn served(task: Task, types: &[ServedType]) -> Result<Task, StartError> {
    if types.iter().any(|served| is_type_of(served, &task)) {
        return Ok(task);
    }
    let (name, version) = (task.type_name(), task.version());
    let types = types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let reason = format!("a task of the type {name}:{version}, which is not among {types}");
    Err(StartError::Flag { flag: "--task", reason })
}

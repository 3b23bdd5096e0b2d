//! The names that the expressions of each part of a file may use.

use crate::{expression::SHORT_KEY, located::Place, mistake::Mistake};

/// The names that an expression may use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Vec<(&'static str, Members)>);

/// What may follow a name.
#[derive(Debug, Clone)]
pub(crate) enum Members {
    /// Anything: what a vendor answers.
    Any,
    /// Only these.
    Only(Vec<String>),
}

impl Names {
    /// Adds `name`, with anything in it.
    pub(crate) fn any(self, name: &'static str) -> Self {
        self.with(name, Members::Any)
    }

    /// Adds `name`, with `members` in it.
    pub(crate) fn only<S: ToString>(self, name: &'static str, members: &[S]) -> Self {
        self.with(name, Members::Only(members.iter().map(ToString::to_string).collect()))
    }

    /// Adds `name`, a scalar.
    pub(crate) fn scalar(self, name: &'static str) -> Self {
        self.with(name, Members::Only(Vec::new()))
    }

    fn with(mut self, name: &'static str, members: Members) -> Self {
        self.0.push((name, members));
        self
    }
}

/// Checks `name`, as in `custom.table.name`, against `names`. `at` finds the place of a word.
pub(crate) fn check_name(
    name: &str,
    names: &Names,
    at: &impl Fn(&str) -> Place,
) -> Result<(), Mistake> {
    let mut parts = name.split('.');
    let (root, member) = (parts.next().unwrap_or_default(), parts.next());
    if !names.0.iter().any(|(known, _)| *known == root) {
        let known = names.0.iter().map(|(known, _)| *known).collect::<Vec<_>>();
        return Err(Mistake::unknown(at(root), "name", root, &known));
    }
    member.map_or(Ok(()), |member| check_member(root, member, names, at))
}

/// Checks the part `member` of `root`. What is not known is not checked.
pub(crate) fn check_member(
    root: &str,
    member: &str,
    names: &Names,
    at: &impl Fn(&str) -> Place,
) -> Result<(), Mistake> {
    let found = names.0.iter().find(|(known, _)| *known == root);
    let Some((_, Members::Only(known))) = found else { return Ok(()) };
    if known.iter().any(|one| one == member) {
        return Ok(());
    }
    let full = known.iter().map(|one| format!("{root}.{one}")).collect::<Vec<_>>();
    let full = full.iter().map(String::as_str).collect::<Vec<_>>();
    let wrong = format!("{root}.{member}");
    if known.is_empty() {
        let message = format!("`{root}` has no parts: `{wrong}`");
        return Err(Mistake::new(at(&wrong), message));
    }
    Err(Mistake::unknown(at(&wrong), "name", &wrong, &full))
}

/// The names of each part of a file.
#[derive(Debug)]
pub(crate) struct Scopes {
    pub(crate) settings: Names,
    /// What a create's request sees.
    pub(crate) task: Names,
    /// What finds the job that a create's response, or a look-up's, is about.
    pub(crate) created: Names,
    pub(crate) item: Names,
    /// What follows from a job's ids.
    pub(crate) job: Names,
    pub(crate) polled: Names,
    /// What a request about many jobs sees, its answer, and one item of that.
    pub(crate) many: Names,
    pub(crate) listed: Names,
    pub(crate) listed_item: Names,
    pub(crate) state: Names,
    pub(crate) failure: Names,
    pub(crate) refusal: Names,
}

impl Scopes {
    /// Those of a file with `settings`, the fields `custom` and the job ids `job`.
    pub(crate) fn new(settings: &[&str], custom: &[&str], job: &[&str]) -> Self {
        let base = Names::default().only("settings", settings);
        let execution = ["project", "domain", "name", "node", "task", "namespace", "attempt"];
        let task = base
            .clone()
            .only("custom", custom)
            .any("inputs")
            .any("labels")
            .only("execution", &execution)
            .scalar("sql")
            .scalar("timeout")
            .scalar("output_prefix")
            .scalar("key")
            .scalar(SHORT_KEY);
        let response = |names: &Names| names.clone().any("body").any("headers").scalar("status");
        let job = base.clone().only("job", job);
        let polled = response(&job);
        let many = job.clone().any("ids");
        let listed = response(&many);
        let failure = response(&base).scalar("text");
        Self {
            created: response(&task),
            listed_item: listed.clone().any("item"),
            listed,
            many,
            item: task.clone().any("item"),
            state: polled.clone().scalar("state"),
            refusal: failure.clone().scalar("code").scalar("message"),
            settings: base,
            task,
            job,
            polled,
            failure,
        }
    }
}

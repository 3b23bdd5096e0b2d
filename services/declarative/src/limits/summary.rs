//! Limits as `check` prints them: how many, and for whom.

use super::{Bounds, Limits};

impl Limits {
    /// A line for each limit of a file with `task_types`, names and versions.
    pub(crate) fn summary(&self, task_types: &[(String, i32)]) -> String {
        let Self { file, task_types: own } = self;
        let counts_creates = |bounds: &Bounds| bounds.creates.is_some();
        let shared = |has_own: fn(&Bounds) -> bool| {
            let is_shared =
                |name: &&str| !own.iter().any(|(other, bounds)| other == name && has_own(bounds));
            let names = task_types.iter().map(|(name, _)| name.as_str()).filter(is_shared);
            whose(own.is_empty(), &names.collect::<Vec<_>>())
        };
        let mut text = creates(file, &shared(counts_creates));
        text += &calls(file, &shared(Bounds::has_upstream));
        for (name, bounds) in own {
            let whose = format!(", for {name}");
            text += &creates(bounds, &whose);
            if bounds.has_upstream() {
                text += &calls(&bounds.or(file), &whose);
            }
        }
        text
    }
}

/// For whom a limit of the file is, which the task types `names` share.
fn whose(is_everyone: bool, names: &[&str]) -> String {
    match names {
        _ if is_everyone => String::new(),
        [] => ", for no task type: each has its own".to_owned(),
        names => format!(", for all tasks of {} together", names.join(", ")),
    }
}

fn creates(bounds: &Bounds, whose: &str) -> String {
    line(bounds.creates.map(|creates| format!("{creates} creates at once")), whose)
}

fn calls(bounds: &Bounds, whose: &str) -> String {
    let calls = bounds.upstream_concurrency;
    let calls = calls.map(|calls| format!("{calls} calls to the vendor at once"));
    let timeout = bounds.upstream_timeout;
    let timeout = timeout.map(|timeout| format!("{timeout:?} for a call to the vendor"));
    line(calls, whose) + &line(timeout, whose)
}

fn line(limit: Option<String>, whose: &str) -> String {
    limit.map(|limit| format!("  at most {limit}{whose}\n")).unwrap_or_default()
}

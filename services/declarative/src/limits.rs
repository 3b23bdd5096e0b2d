//! Limits that a file has of its own, and those of its task types.

mod summary;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use plugin_core::{Error, HttpBuilder, Result, parse_timeout};
use tokio::sync::Semaphore;

use crate::{checker::Checker, file, located::At, mistake::Mistake};

/// How soon a refused create may be repeated.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The compiled limits of a file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) file: Bounds,
    /// Those of task types, by name, in place of the file's.
    pub(crate) task_types: Vec<(String, Bounds)>,
}

/// The limits of tasks and calls that are counted together.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) creates: Option<usize>,
    pub(crate) upstream_concurrency: Option<usize>,
    pub(crate) upstream_timeout: Option<Duration>,
}

impl Limits {
    /// Those of a file with the task types `known`.
    pub(crate) fn compile(
        checker: &mut Checker<'_>,
        file: &file::Limits,
        known: &[(String, i32)],
    ) -> Self {
        let known = known.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        let mut task_types = Vec::new();
        for (name, own) in &file.task_types.0 {
            if !known.contains(&name.value.as_str()) {
                checker.wrong(Mistake::unknown(name.place, "task type", &name.value, &known));
            }
            let (concurrency, timeout) = (&own.upstream_concurrency, &own.upstream_timeout);
            let bounds = Bounds::compile(checker, &own.creates, concurrency, timeout);
            task_types.push((name.value.clone(), bounds));
        }
        let (concurrency, timeout) = (&file.upstream_concurrency, &file.upstream_timeout);
        Self { file: Bounds::compile(checker, &file.creates, concurrency, timeout), task_types }
    }
}

impl Bounds {
    fn compile(
        checker: &mut Checker<'_>,
        creates: &Option<At<usize>>,
        upstream_concurrency: &Option<At<usize>>,
        upstream_timeout: &Option<At<String>>,
    ) -> Self {
        let timeout = upstream_timeout.as_ref().and_then(|text| {
            let parsed = parse_timeout(&text.value);
            parsed.map_err(|why| checker.mistake(text.place, why)).ok()
        });
        Self {
            creates: count(checker, creates.as_ref()),
            upstream_concurrency: count(checker, upstream_concurrency.as_ref()),
            upstream_timeout: timeout,
        }
    }

    /// These, and those of `file` where they have none, for calls to the vendor.
    fn or(&self, file: &Self) -> Self {
        Self {
            creates: self.creates,
            upstream_concurrency: self.upstream_concurrency.or(file.upstream_concurrency),
            upstream_timeout: self.upstream_timeout.or(file.upstream_timeout),
        }
    }

    /// Whether calls to the vendor have limits.
    pub(crate) fn has_upstream(&self) -> bool {
        self.upstream_concurrency.is_some() || self.upstream_timeout.is_some()
    }

    /// `http` with the limits of calls to the vendor.
    pub(crate) fn on(&self, http: HttpBuilder) -> HttpBuilder {
        let http = self.upstream_timeout.into_iter().fold(http, HttpBuilder::attempt_timeout);
        self.upstream_concurrency.into_iter().fold(http, HttpBuilder::concurrency)
    }
}

fn count(checker: &mut Checker<'_>, count: Option<&At<usize>>) -> Option<usize> {
    let At { value, place } = count?;
    if !(1..=Semaphore::MAX_PERMITS).contains(value) {
        checker.mistake(*place, format!("must be from 1 to {}", Semaphore::MAX_PERMITS));
        return None;
    }
    Some(*value)
}

/// The creates in progress, and how many may be.
#[derive(Debug)]
pub(crate) struct Creates {
    begun: Arc<AtomicUsize>,
    most: Option<usize>,
}

/// A create in progress, until it is dropped.
#[derive(Debug)]
pub(crate) struct Begun(Arc<AtomicUsize>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Creates {
    /// As many as `bounds` have.
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self { begun: Arc::default(), most: bounds.creates }
    }

    /// Counts those of `before`, too, which these follow.
    pub(crate) fn follow(&mut self, before: &Self) {
        self.begun = Arc::clone(&before.begun);
    }

    /// Counts one of `whose`, for example of a plugin, until the result is dropped.
    ///
    /// # Errors
    /// `Unavailable` when there are as many as may be.
    pub(crate) fn begin(&self, whose: &str) -> Result<Begun> {
        let most = self.most.unwrap_or(usize::MAX);
        let one_more = |begun: usize| (begun < most).then(|| begun + 1);
        let begun = self.begun.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        begun.map(|_| Begun(Arc::clone(&self.begun))).map_err(|_| {
            let message = format!("the {whose} is overloaded; retry later");
            Error::unavailable(message).with_retry_after(RETRY_AFTER)
        })
    }
}

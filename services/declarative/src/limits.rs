//! Limits that a file has of its own.

use std::time::Duration;

use plugin_core::{Error, HttpBuilder, Result, parse_timeout};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{checker::Checker, file, located::At};

/// How soon a refused create may be repeated.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The compiled limits of a file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) creates: Option<usize>,
    pub(crate) upstream_concurrency: Option<usize>,
    pub(crate) upstream_timeout: Option<Duration>,
}

impl Limits {
    pub(crate) fn compile(checker: &mut Checker<'_>, file: &file::Limits) -> Self {
        let timeout = file.upstream_timeout.as_ref().and_then(|text| {
            let parsed = parse_timeout(&text.value);
            parsed.map_err(|why| checker.mistake(text.place, why)).ok()
        });
        Self {
            creates: count(checker, file.creates.as_ref()),
            upstream_concurrency: count(checker, file.upstream_concurrency.as_ref()),
            upstream_timeout: timeout,
        }
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
        checker.mistake(*place, "must be at least 1");
        return None;
    }
    Some(*value)
}

/// The creates in progress.
#[derive(Debug)]
pub(crate) struct Creates(Option<Semaphore>);

impl Creates {
    /// As many as `limits` have.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(limits.creates.map(Semaphore::new))
    }

    /// Counts one of the plugin `name`, until the result is dropped.
    ///
    /// # Errors
    /// `Unavailable` when there are as many as may be.
    pub(crate) fn begin(&self, name: &str) -> Result<Option<SemaphorePermit<'_>>> {
        let begun = self.0.as_ref().map(Semaphore::try_acquire).transpose();
        begun.map_err(|_| {
            let message = format!("the plugin {name} is overloaded; retry later");
            Error::unavailable(message).with_retry_after(RETRY_AFTER)
        })
    }
}

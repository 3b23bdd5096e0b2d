//! What an error says about a task: that it is refused for good, or nothing.

use server_core::{Error, Kind, Result};

use super::Verbs;
use crate::{context::Context, task::TaskType};

impl Verbs {
    /// `error` as the refusal of a task: a repeat would be refused again.
    ///
    /// # Errors
    /// `error`, when a repeat may succeed.
    pub(super) fn refusal(&self, task_type: TaskType, cx: &Context, error: Error) -> Result<Error> {
        if self.is_about_service(task_type, cx, &error) {
            return Err(as_outage(&error));
        }
        if is_refusal(&error) { Ok(error) } else { Err(error) }
    }

    /// Whether `error` is about the service's own credentials; it is then counted and logged.
    ///
    /// Such an error is no verdict on a task: credentials are renewed at the vendor before their new value
    /// reaches the service, and permissions are granted later. Only those that its author chose are part of
    /// a task.
    pub(super) fn is_about_service(
        &self,
        task_type: TaskType,
        cx: &Context,
        error: &Error,
    ) -> bool {
        if !is_about_credentials(error) || cx.uses_authors_credentials() {
            return false;
        }
        self.shared.metrics.refused_credentials(task_type.name);
        tracing::warn!(
            task_type = task_type.name,
            %error,
            code = error.code(),
            cause = error.chain(),
            "the service's own credentials for the vendor do not work"
        );
        true
    }
}

/// Whether it is a definitive error about the credentials of a call. From this service, `Unauthenticated` and
/// `PermissionDenied` are about its caller.
fn is_about_credentials(error: &Error) -> bool {
    match error.kind() {
        Kind::Unauthenticated | Kind::PermissionDenied => {
            error.is_upstream() || error.is_about_credentials()
        }
        kind => error.is_about_credentials() && !kind.is_transient() && kind != Kind::Internal,
    }
}

/// Transient, with the vendor's own message: what it asks for, the service's account may be given.
fn as_outage(error: &Error) -> Error {
    let message = if error.is_upstream() {
        format!("the vendor refused the service's credentials or their permissions: {error}")
    } else {
        format!("the service has no usable credentials for the vendor: {error}")
    };
    let outage = Error::unavailable(message).with_source(error.clone());
    match error.code() {
        Some(code) => outage.with_code(code.to_owned()),
        None => outage,
    }
}

/// Whether a repeat of the task would be refused again.
fn is_refusal(error: &Error) -> bool {
    match error.kind() {
        Kind::InvalidArgument | Kind::FailedPrecondition => true,
        // From the vendor these are about the job; from this service they are about the caller.
        Kind::Unauthenticated | Kind::PermissionDenied | Kind::NotFound | Kind::AlreadyExists => {
            error.is_upstream()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;

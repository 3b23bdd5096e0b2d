//! What a plugin offers beyond its three verbs.

use std::fmt;

use futures_util::future::BoxFuture;
use server_core::{Result, digest::Fingerprint};

use super::{JointPolls, JointStatus, Plugin, Polled};
use crate::{context::Context, task::TaskType};

/// What a plugin offers beyond its three verbs; made by [`Plugin::options`].
///
/// ```ignore
/// fn options(&self) -> Options<Self> {
///     Options::default().joint_polls()
/// }
/// ```
#[must_use]
pub struct Options<P: Plugin> {
    pub(crate) task_types: &'static [TaskType],
    pub(crate) joint: Option<Joint<P>>,
}

/// The functions of [`JointPolls`], so that a plugin without them need not implement it.
pub(crate) struct Joint<P: Plugin> {
    pub(crate) group: Group<P>,
    pub(crate) get_many: GetMany<P>,
}

type Group<P> = for<'a> fn(
    &'a P,
    &'a Context,
    &'a <P as Plugin>::Meta,
) -> BoxFuture<'a, Result<Option<Fingerprint>>>;

type GetMany<P> = for<'a> fn(
    &'a P,
    &'a Context,
    &'a [Polled<<P as Plugin>::Meta>],
) -> BoxFuture<'a, Result<Vec<JointStatus>>>;

impl<P: Plugin> Default for Options<P> {
    /// Every task type, and no joint polls.
    fn default() -> Self {
        Self { task_types: P::TASK_TYPES, joint: None }
    }
}

impl<P: Plugin> Options<P> {
    /// Serves `task_types` instead of all [`TASK_TYPES`](Plugin::TASK_TYPES): those that a setting
    /// chooses.
    pub fn task_types(mut self, task_types: &'static [TaskType]) -> Self {
        self.task_types = task_types;
        self
    }

    /// Answers polls that arrive together with [`JointPolls::get_many`].
    pub fn joint_polls(mut self) -> Self
    where
        P: JointPolls,
    {
        self.joint = Some(Joint {
            group: |plugin, cx, meta| Box::pin(plugin.group(cx, meta)),
            get_many: |plugin, cx, jobs| Box::pin(plugin.get_many(cx, jobs)),
        });
        self
    }
}

impl<P: Plugin> fmt::Debug for Options<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("task_types", &self.task_types)
            .field("joint_polls", &self.joint.is_some())
            .finish()
    }
}

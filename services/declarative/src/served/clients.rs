//! The clients of a plugin and its permits for creates: the file's, and those of task types with limits of their own.

use std::sync::Arc;

use plugin_core::{Error, Http, HttpBuilder, Result, TaskType, aws::Aws};

use super::aws;
use crate::{
    auth::Auth,
    base_url::base_url,
    definition::Definition,
    expression::{Scope, invalid},
    limits::{Begun, Bounds, Creates, Limits},
};

/// Calls the vendor.
pub(super) enum Vendor {
    Http(Http),
    Aws(Box<Aws>),
}

/// What tasks share.
pub(super) struct Clients {
    vendor: Vendor,
    creates: Creates,
    own: Vec<Own>,
}

/// What the tasks of one type have in place of that.
struct Own {
    task_type: String,
    vendor: Option<Vendor>,
    creates: Option<Creates>,
}

impl Clients {
    /// Those of `definition`, with the settings that `scope` has.
    ///
    /// # Errors
    /// `InvalidArgument` when a setting makes no URL or region.
    pub(super) fn new(
        definition: &Arc<Definition>,
        scope: &Scope,
        http: HttpBuilder,
    ) -> Result<Self> {
        let Limits { file, task_types } = &definition.limits;
        let make = maker(definition, scope, file.on(http))?;
        let own = task_types.iter().map(|(task_type, bounds)| {
            let vendor = bounds.has_upstream().then(|| make(bounds)).transpose()?;
            let creates = bounds.creates.map(|_| Creates::new(bounds));
            Ok(Own { task_type: task_type.clone(), vendor, creates })
        });
        let own = own.collect::<Result<_>>()?;
        Ok(Self { vendor: make(file)?, creates: Creates::new(file), own })
    }

    /// Counts the creates of `before`, too, which these clients follow.
    pub(super) fn follow(&mut self, before: &Self) {
        self.creates.follow(&before.creates);
        for own in &mut self.own {
            let same = before.own.iter().find(|same| same.task_type == own.task_type);
            let same = same.and_then(|same| same.creates.as_ref());
            if let (Some(creates), Some(before)) = (&mut own.creates, same) {
                creates.follow(before);
            }
        }
    }

    fn own(&self, task_type: TaskType) -> Option<&Own> {
        self.own.iter().find(|own| own.task_type == task_type.name)
    }

    /// The client for calls about tasks of `task_type`.
    pub(super) fn vendor(&self, task_type: TaskType) -> &Vendor {
        let own = self.own(task_type).and_then(|own| own.vendor.as_ref());
        own.unwrap_or(&self.vendor)
    }

    /// Counts a create of `task_type`, one of the plugin `name`, until the result is dropped.
    ///
    /// # Errors
    /// `Unavailable` when there are as many as may be.
    pub(super) fn begin(&self, name: &str, task_type: TaskType) -> Result<Begun> {
        match self.own(task_type).and_then(|own| own.creates.as_ref()) {
            Some(creates) => creates.begin(&format!("task type {}", task_type.name)),
            None => self.creates.begin(&format!("plugin {name}")),
        }
    }
}

/// Makes clients of the vendor, which share their credentials.
fn maker<'a>(
    definition: &'a Arc<Definition>,
    scope: &'a Scope,
    http: HttpBuilder,
) -> Result<impl Fn(&Bounds) -> Result<Vendor> + 'a> {
    let (http, base) = match &definition.auth {
        Auth::Aws(_) => (http, String::new()),
        auth => (with_errors(definition, scope, auth.sign(http, scope)?), base(definition, scope)?),
    };
    Ok(move |bounds: &Bounds| {
        let http = bounds.on(http.clone());
        Ok(match &definition.auth {
            Auth::Aws(api) => Vendor::Aws(Box::new(aws::client(definition, api, scope, http)?)),
            _ => Vendor::Http(http.build(&base)?),
        })
    })
}

/// `http`, which reads the vendor's errors as `definition` has them.
fn with_errors(definition: &Arc<Definition>, scope: &Scope, http: HttpBuilder) -> HttpBuilder {
    let (errors, own) = (Arc::clone(definition), scope.clone());
    http.failures_with(move |status, headers, body| {
        errors.errors.read(own.clone(), status, headers, body)
    })
}

/// The URL of the vendor's API.
fn base(definition: &Definition, scope: &Scope) -> Result<String> {
    let base = definition.base.as_ref().and_then(|base| base.eval(scope).transpose());
    let base = base.unwrap_or_else(|| Ok(String::new()));
    let base = base.map_err(|error| invalid(error.within("upstream.base")))?;
    base_url(&base).map_err(|why| Error::invalid(format!("upstream.base: {why}")))?;
    Ok(base)
}

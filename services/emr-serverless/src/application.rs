//! The applications that runs are submitted to.

use plugin_core::{
    Context, Error, Kind, Result,
    aws::{self, Client, given},
    clap,
};

use crate::{
    api::{self, Application},
    custom::Custom,
};

const NAME: &str = "custom.application_name";
const SETTING: &str = "--applications (EMR_SERVERLESS_APPLICATIONS)";

/// How many pages of 50 applications are read to find one by its name.
const MOST_PAGES: usize = 20;

/// What tasks may name.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Applications {
    /// Applications that tasks may use, by id or name, as tasks write them; the first is that of tasks that name none.
    /// By default, tasks may use every application that the identity may.
    #[arg(
        long,
        env = "EMR_SERVERLESS_APPLICATIONS",
        value_name = "APPLICATION",
        value_delimiter = ','
    )]
    applications: Vec<String>,
}

/// An application, and the field that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    field: &'static str,
    application: String,
    is_id: bool,
}

impl Applications {
    /// The application that `custom` names. Nothing is called.
    ///
    /// # Errors
    /// `InvalidArgument` if it names none, or one that the operator does not allow; `PermissionDenied` for what the
    /// caller may not use.
    pub(crate) fn choose(&self, cx: &Context, custom: &Custom) -> Result<Named> {
        let by_id =
            given(&custom.application_id).map(|id| ("custom.application_id", id, is_id(id)));
        let by_name = given(&custom.application_name).map(|name| (NAME, name, false));
        let listed =
            self.applications.iter().map(|item| item.trim()).filter(|item| !item.is_empty());
        let first = listed.clone().next();
        let (field, application, is_id) = match (by_id.or(by_name), first) {
            (Some(asked), None) => asked,
            (Some(asked), Some(_)) if listed.clone().any(|item| item == asked.1) => asked,
            (Some((field, asked, _)), Some(_)) => {
                return Err(Error::invalid(format!(
                    "{field}: {asked:?} is not allowed; the service's operator lists what is in {SETTING}"
                )));
            }
            (None, Some(first)) => (SETTING, first, is_id(first)),
            (None, None) => {
                return Err(Error::invalid(format!(
                    "custom.application_id: missing; the service has no default application ({SETTING})"
                )));
            }
        };
        cx.caller().check_target(application)?;
        if !is_id && !is_name(application) {
            return Err(Error::invalid(format!(
                "{field}: {application:?} must be an application's name of at most 64 letters, digits and ._/#-, or its id"
            )));
        }
        Ok(Named { field, application: application.to_owned(), is_id })
    }
}

/// Whether AWS may have made `text` for an application. Its ids, such as `00f1r2v3abcdef09`, are of the digits of a number,
/// the first of which is 0; a name could look like it, but is not likely to.
fn is_id(text: &str) -> bool {
    (12..=64).contains(&text.len()) && text.starts_with('0') && api::is_id(text)
}

/// The model's `ApplicationName`.
fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._/#-".contains(&b);
    text.len() <= 64 && text.bytes().all(allowed)
}

/// The id of `named`, which is looked for if it is a name.
///
/// # Errors
/// `InvalidArgument` if there is no application of that name, or several.
pub(crate) async fn find(cx: &Context, client: &Client, named: &Named) -> Result<String> {
    let Named { field, application, is_id } = named;
    if *is_id {
        return Ok(application.clone());
    }
    let region = client.region();
    // The model allows ids that do not look like AWS's.
    let may_be_id = *field != NAME;
    let is_it = |one: &api::Summary| {
        one.name.as_deref() == Some(application) || (may_be_id && one.id == *application)
    };
    match ids(cx, client, application, is_it).await?.as_slice() {
        [id] => Ok(id.clone()),
        [] => Err(Error::invalid(format!(
            "{field}: no application in {region} is called {application:?}; this service makes none"
        ))),
        several => Err(Error::invalid(format!(
            "{field}: several applications in {region} are called {application:?}; use the id of one: {}",
            several.join(", ")
        ))),
    }
}

/// The ids of the applications that `is_it` says are called `name`.
async fn ids(
    cx: &Context,
    client: &Client,
    name: &str,
    is_it: impl Fn(&api::Summary) -> bool,
) -> Result<Vec<String>> {
    let (mut ids, mut page) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let request = api::list_applications(client.http(), page.as_deref());
        let found: api::Applications = request.send_json(cx).await?;
        let named = found.applications.into_iter().filter(&is_it);
        ids.extend(named.map(|one| one.id).filter(|id| api::is_id(id)));
        page = found.next_token;
        if page.is_none() {
            return Ok(ids);
        }
    }
    // Only a name that was found can be told from one that is on a later page.
    if ids.is_empty() {
        let message = format!("there are too many applications to find {name:?}; use its id");
        return Err(Error::new(Kind::FailedPrecondition, message));
    }
    Ok(ids)
}

/// The application with `id`.
pub(crate) async fn describe(cx: &Context, client: &Client, id: &str) -> Result<Application> {
    let request = client.http().get(&["applications", id]);
    let described: api::Described = request.send_json(cx).await.map_err(aws::of_submit)?;
    Ok(described.application)
}

/// Checks that the workers of the application `id` have the image that `field` asks for.
///
/// # Errors
/// `FailedPrecondition` if they do not: the code would run on another one.
pub(crate) async fn check_image(
    cx: &Context,
    client: &Client,
    id: &str,
    field: &str,
    image: &str,
) -> Result<()> {
    let application = describe(cx, client, id).await?;
    if application.images().any(|its| its == image) {
        return Ok(());
    }
    let its = application.images().next().unwrap_or("AWS's own image");
    let message = format!(
        "{field}: the task needs {image}, but the application {id} has {its}; this service changes no application: set the \
         application's image, or custom.sync_image to false"
    );
    Err(Error::new(Kind::FailedPrecondition, message))
}

#[cfg(test)]
mod tests;

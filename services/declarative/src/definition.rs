//! A file, checked and compiled.

mod example;
mod execute;
mod jobs;
mod states;

use std::sync::Arc;

use plugin_core::{
    Error, Kind,
    http::{HeaderName, HeaderValue},
    serde_json::Value as Json,
};

pub(crate) use self::{
    execute::Execute,
    jobs::{Create, Delete, Get, Idempotency, Jobs, Lookup, Many},
    states::{StatePhase, phase},
};
use crate::{
    auth::{Auth, Secrets},
    base_url::base_url,
    checker::Checker,
    custom::Fields,
    errors::Errors,
    expression::Text,
    file::{File, Head, VERSION},
    limits::Limits,
    located::{At, Entries, Source},
    mistake::{Mistake, Mistakes},
    names::Scopes,
    request::{NO_HEADER, header_names},
    settings::{self, Declared},
};

/// The longest name of a plugin: it is in handles, metrics and names of Kubernetes.
const LONGEST_NAME: usize = 63;
/// The longest name of a task type: it is in metrics.
const LONGEST_TASK_TYPE: usize = 128;

/// A plugin that is a file: checked, so that what can go wrong is in the values alone.
#[derive(Debug)]
pub struct Definition {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Names and versions.
    pub(crate) task_types: Vec<(String, i32)>,
    pub(crate) settings: Vec<Declared>,
    /// Names and descriptions.
    pub(crate) secrets: Vec<(String, String)>,
    pub(crate) base: Option<Text>,
    pub(crate) headers: Vec<(HeaderName, Text)>,
    pub(crate) auth: Auth,
    pub(crate) custom: Fields,
    pub(crate) work: Work,
    pub(crate) limits: Limits,
    pub(crate) errors: Errors,
    pub(crate) links: Vec<(String, Text)>,
    pub(crate) example: Json,
}

/// What a task is at the vendor.
#[derive(Debug)]
pub(crate) enum Work {
    /// A job.
    Jobs(Box<Jobs>),
    /// One call.
    Sync(Box<Execute>),
    /// Neither: a file with a mistake, which is not served.
    None,
}

impl Definition {
    /// The parts of a file whose tasks are jobs.
    ///
    /// # Errors
    /// `FailedPrecondition` when they are not.
    pub(crate) fn jobs(&self) -> Result<&Jobs, Error> {
        match &self.work {
            Work::Jobs(jobs) => Ok(jobs),
            Work::Sync(_) | Work::None => {
                let message = format!("the plugin {} has no jobs", self.name);
                Err(Error::new(Kind::FailedPrecondition, message))
            }
        }
    }

    /// Whether an expression about a task uses `name`.
    pub(crate) fn uses(&self, name: &str) -> bool {
        match &self.work {
            Work::Jobs(jobs) => jobs.create.uses(name),
            Work::Sync(execute) => execute.uses(name),
            Work::None => false,
        }
    }

    /// Reads and checks `source`, the file `name`.
    ///
    /// # Errors
    /// Every mistake with its place; of YAML's own mistakes, the first.
    pub fn read(name: &str, source: &str) -> Result<Self, Mistakes> {
        let file = File::parse(name, source)?;
        let (name, text) = (name.to_owned(), source.to_owned());
        let source = Arc::new(Source { name, text });
        let mut checker = Checker { source: &source, mistakes: Vec::new(), credentials: None };
        let definition = Self::compile(&mut checker, &file);
        let mut list = checker.mistakes;
        // What has mistakes is not tried.
        if let (true, Some(node)) = (list.is_empty(), &file.plugin.example) {
            list.extend(example::mistake(&definition, node.place));
        }
        if list.is_empty() {
            return Ok(definition);
        }
        list.sort_by_key(|mistake| mistake.place.start);
        Err(Mistakes { name: source.name.clone(), source: source.text.clone(), list })
    }

    fn compile(checker: &mut Checker<'_>, file: &File) -> Self {
        if file.version.value != VERSION {
            let message = format!("version {} of the language is not known", file.version.value);
            let help = format!("this program reads version {VERSION}");
            checker.wrong(Mistake::new(file.version.place, message).help(help));
        }
        let settings = settings::compile(checker, &file.settings);
        let custom = Fields::compile(checker, &file.custom);
        let ids = file.create.as_ref().map(|create| &create.job.value);
        for (name, _) in ids.into_iter().flat_map(|ids| &ids.0) {
            checker.identifier(name);
        }
        let ids = ids.map(Entries::names).unwrap_or_default();
        let scopes = Scopes::new(&file.settings.names(), &file.custom.names(), &ids);
        let mut secrets = Secrets::new(file.secrets.0.iter().map(|(name, _)| name));
        for (name, _) in &file.secrets.0 {
            checker.identifier(name);
        }
        let auth = Auth::compile(checker, &file.upstream.auth.value, &scopes, &mut secrets);
        secrets.finish(checker);
        checker.credentials = auth.header();
        let secrets = file.secrets.0.iter();
        let secrets = secrets.map(|(name, about)| (name.value.clone(), about.value.clone()));
        let is_aws = matches!(auth, Auth::Aws(_));
        let task_types = task_types(checker, &file.plugin);
        Self {
            name: name_of(checker, &file.plugin),
            description: file.plugin.description.value.clone(),
            limits: Limits::compile(checker, &file.limits, &task_types),
            task_types,
            settings,
            secrets: secrets.collect(),
            base: base(checker, file, &scopes, is_aws),
            headers: headers(checker, file, &scopes),
            work: work(checker, file, &scopes, &ids, auth.calls()),
            errors: Errors::compile(checker, &file.errors, &scopes, is_aws),
            links: links(checker, file, &scopes),
            example: example::compile(checker, &file.plugin, &custom),
            custom,
            auth,
        }
    }
}

fn work(
    checker: &mut Checker<'_>,
    file: &File,
    scopes: &Scopes,
    ids: &[&str],
    calls: bool,
) -> Work {
    match (&file.create, &file.get, &file.delete, &file.execute) {
        (Some(create), Some(get), Some(delete), None) => Work::Jobs(Box::new(Jobs {
            create: Create::compile(checker, create, scopes, calls),
            get: Get::compile(checker, get, scopes, ids, calls),
            delete: Delete::compile(checker, delete, scopes, calls),
        })),
        (None, None, None, Some(execute)) => {
            Work::Sync(Box::new(Execute::compile(checker, execute, scopes, calls)))
        }
        (create, get, delete, execute) => {
            let jobs = [create.is_some(), get.is_some(), delete.is_some()];
            let missing = ["create", "get", "delete"].into_iter().zip(jobs);
            let missing = missing.filter(|(_, there)| !there).map(|(name, _)| format!("`{name}`"));
            let message = match execute {
                Some(_) => "a file has `execute`, or `create`, `get` and `delete`".to_owned(),
                None => format!("{} is missing", missing.collect::<Vec<_>>().join(", ")),
            };
            checker.mistake(file.plugin.name.place, message);
            Work::None
        }
    }
}

fn name_of(checker: &mut Checker<'_>, plugin: &Head) -> String {
    let At { value: name, place } = &plugin.name;
    let is_fine =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let first = name.chars().next();
    if !first.is_some_and(|first| first.is_ascii_lowercase()) || !name.chars().all(is_fine) {
        checker.mistake(*place, "a plugin's name has lower-case letters, digits and hyphens");
    }
    if name.len() > LONGEST_NAME {
        checker.mistake(*place, format!("a plugin's name has at most {LONGEST_NAME} letters"));
    }
    name.clone()
}

fn task_types(checker: &mut Checker<'_>, plugin: &Head) -> Vec<(String, i32)> {
    let mut found = Vec::<(String, i32)>::new();
    for At { value: text, place } in &plugin.task_types {
        let parsed = text.split_once(':').and_then(|(name, version)| {
            let is_fine = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
            let version = version.parse::<i32>().ok().filter(|version| *version >= 0)?;
            let is_name = !name.is_empty() && name.len() <= LONGEST_TASK_TYPE;
            (is_name && name.chars().all(is_fine)).then(|| (name.to_owned(), version))
        });
        match parsed {
            None => {
                let message = "a task type is a name and a version, such as `nomad_batch:0`";
                let help =
                    format!("a name has letters, digits, -, _ and ., {LONGEST_TASK_TYPE} at most");
                checker.wrong(Mistake::new(*place, message).help(help));
            }
            Some((name, _)) if found.iter().any(|(known, _)| *known == name) => {
                checker.mistake(*place, format!("the task type `{name}` is here twice"));
            }
            Some(parsed) => found.push(parsed),
        }
    }
    if plugin.task_types.is_empty() {
        checker.mistake(plugin.name.place, "the plugin has no task types");
    }
    found
}

fn base(checker: &mut Checker<'_>, file: &File, scopes: &Scopes, is_aws: bool) -> Option<Text> {
    let base = file.upstream.base.as_ref();
    match base {
        None if !is_aws => {
            let message = "`upstream.base` is missing: the URL of the vendor's API";
            checker.mistake(file.upstream.auth.place, message);
        }
        Some(base) if is_aws => {
            checker.mistake(base.place, "an API of AWS has no `base`: it follows from the region");
        }
        Some(base) => {
            let scheme = base.value.split("://").next().unwrap_or_default();
            if !begins_with_expression(&base.value) && !matches!(scheme, "http" | "https") {
                checker.mistake(base.place, "must be a URL, which begins with https://");
                return None;
            }
        }
        None => {}
    }
    let base = base?;
    let text = checker.required_text(base, &scopes.settings, "upstream.base");
    if let Some(Ok(Some(url))) = text.known()
        && let Err(why) = base_url(&url)
        && !url.is_empty()
    {
        checker.mistake(base.place, why);
    }
    Some(text)
}

fn begins_with_expression(text: &str) -> bool {
    text.starts_with("${") || text.starts_with('=')
}

fn links(checker: &mut Checker<'_>, file: &File, scopes: &Scopes) -> Vec<(String, Text)> {
    let is_page =
        |link: &str| ["https://", "http://"].iter().any(|scheme| link.starts_with(scheme));
    let links = checker.texts(&file.links, &scopes.job);
    for ((_, At { value: link, place }), (_, text)) in file.links.0.iter().zip(&links) {
        let known = match text.known() {
            Some(Ok(Some(known))) if begins_with_expression(link) && !known.is_empty() => known,
            _ if begins_with_expression(link) => continue,
            _ => link.clone(),
        };
        if !is_page(&known) {
            checker.mistake(*place, "a link begins with https://");
        }
    }
    links
}

fn headers(checker: &mut Checker<'_>, file: &File, scopes: &Scopes) -> Vec<(HeaderName, Text)> {
    let names = header_names(checker, &file.upstream.headers);
    let headers = names.into_iter().zip(&file.upstream.headers.0);
    let headers = headers.filter_map(|(name, (_, text))| Some((name?, text)));
    let headers = headers.map(|(name, text)| {
        let value = checker.text(text, &scopes.settings);
        if let Some(Ok(Some(known))) = value.known()
            && HeaderValue::from_str(&known).is_err()
        {
            checker.mistake(text.place, NO_HEADER);
        }
        (name, value)
    });
    headers.collect()
}

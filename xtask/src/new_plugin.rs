//! `cargo xtask new-plugin`: creates a service that compiles and passes its tests.

mod core;
mod next_steps;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use heck::ToSnakeCase as _;

use crate::{
    exit::{self, Exit, refused, usage},
    process::{program, run as run_program, works},
    prompt::Prompt,
    scaffold::{
        core_source::{Core, CoreSource},
        generator::{Generator, check_task_types},
        kind::{Kind, Language},
        name,
        plan::{Allowed, Plan, State},
        plugin_toml::{self, Mode, PluginToml},
        project::{Layout, Member, Project},
        render::{Renderer, Versions},
        report::{self, Format, Progress},
        task_type::TaskType,
        write::{RealDisk, write_all},
    },
    sync::print_diffs,
    tool, verify,
};

/// Creates a plugin that runs and passes its tests.
///
/// In Rust it is a service that passes the conformance suite; with --kind=bridge a server in another language, behind the
/// bridge in the same pod; with --kind=declarative a YAML file. The chart, Dockerfile, documentation page and the task classes
/// for workflow authors are created, too. No existing file changes except Cargo.lock, to which cargo adds the new package.
/// Missing arguments are prompted for on a terminal; elsewhere, and with --no-input, they have defaults.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub struct Args {
    /// The plugin's name: lower-case letters, digits and single dashes, starting with a letter, at most
    /// 40 characters.
    name: Option<String>,

    /// A task type that the plugin serves, `name` or `name:version`; may be repeated [default: the
    /// plugin's name with underscores].
    #[arg(long = "task-type", value_name = "TYPE[:VERSION]", value_parser = task_type)]
    task_types: Vec<TaskType>,

    /// What serves the tasks: a Rust program, a server in another language behind the bridge, or a YAML file that describes the
    /// vendor's API.
    #[arg(long, value_enum)]
    kind: Option<Kind>,

    /// The language of a plugin behind the bridge; implies --kind=bridge [default: python].
    #[arg(long, value_enum)]
    language: Option<Language>,

    /// Whether a task is a job that Flyte polls, or a call that responds within seconds.
    #[arg(long, value_enum)]
    mode: Option<Mode>,

    /// What the plugin does, in one line.
    #[arg(long)]
    description: Option<String>,

    /// Who maintains the plugin.
    #[arg(long)]
    owner: Option<String>,

    /// Where plugin-core comes from, for a plugin in Rust in its own repository: the directory of a checkout of Outrigger,
    /// which works offline; the URL of a git repository, URL or URL#REVISION; or registry:NAME, a registry in cargo's
    /// configuration.
    #[arg(long, value_name = "DIR|URL|registry:NAME")]
    core: Option<String>,

    /// Set a value of plugin.toml by its path, such as `chart.values.replicaCount=3`; may be repeated. The
    /// value is parsed as TOML, otherwise taken as a string: `x=1.10` is a number, `x='"1.10"'` a string.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    values: Vec<String>,

    /// Start from this plugin.toml, for example another plugin's, with the new name.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// Write nothing and print what would be created.
    #[arg(long, short = 'n')]
    dry_run: bool,

    /// With --dry-run: also print the files.
    #[arg(long, requires = "dry_run")]
    diff: bool,

    /// Do not prompt, even on a terminal.
    #[arg(long)]
    no_input: bool,

    /// Do not compile and test the new plugin.
    #[arg(long)]
    no_verify: bool,

    /// Output format of the plan.
    #[arg(long, alias = "output", value_enum, default_value_t)]
    format: Format,
}

impl Args {
    /// The same for people without Rust: a plugin in Python, unless the arguments say otherwise.
    #[must_use]
    pub fn in_python_by_default(mut self) -> Self {
        let is_said = self.kind.is_some() || self.from.is_some() || self.core.is_some();
        self.language = self.language.or((!is_said).then_some(Language::Python));
        self
    }

    /// The kind and the language that were asked for; a language means the bridge, and the bridge has a
    /// default language.
    fn kind_and_language(&self) -> Result<(Option<Kind>, Option<Language>)> {
        match (self.kind, self.language) {
            (Some(Kind::Rust), Some(_)) => {
                Err(usage("--language: a plugin with --kind=rust is written in Rust"))
            }
            (Some(Kind::Declarative), Some(_)) => {
                Err(usage("--language: a plugin with --kind=declarative is a YAML file"))
            }
            (Some(Kind::Bridge), language) => {
                Ok((Some(Kind::Bridge), language.or(Some(Language::Python))))
            }
            (None, Some(language)) => Ok((Some(Kind::Bridge), Some(language))),
            (kind, None) => Ok((kind, None)),
        }
    }
}

fn task_type(text: &str) -> Result<TaskType, String> {
    text.parse()
}

/// Creates a plugin in the repository of `generator`.
pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    if generator.project.layout == Layout::Standalone {
        return Err(refused(
            "this repository belongs to a single plugin; run this in its parent directory",
        ));
    }
    if !args.dry_run {
        generator.recover()?;
    }
    let prompt = Prompt::new(args.no_input);
    let name = named(args, &prompt, &generator.project.taken()?)?;
    if args.core.is_some() {
        return Err(usage("--core: a plugin of this workspace uses its plugin-core"));
    }
    make(args, &prompt, &name, &Core::of(CoreSource::Workspace), generator)
}

/// Creates a plugin in a new directory in `above`, named after the plugin.
pub(crate) fn run_standalone(
    args: &Args,
    above: &Path,
    open: impl Fn(Project) -> Result<Generator>,
) -> Result<Exit> {
    let prompt = Prompt::new(args.no_input);
    let name = named(args, &prompt, &name::Taken::default())?;
    let root = above.join(&name);
    // A link that leads nowhere is there, too.
    if root.symlink_metadata().is_ok() {
        return Err(refused(format!("{} already exists", root.display())));
    }
    let core = core::of(args, above, &prompt)?;
    make(args, &prompt, &name, &core, &open(Project { root, layout: Layout::Standalone })?)
}

/// The plugin's name: the one that was given, or the first valid one that is entered.
fn named(args: &Args, prompt: &Prompt, taken: &name::Taken) -> Result<String> {
    let check = |name: &str| name::check(name, taken).map_err(|refusal| refusal.to_string());
    let name = match &args.name {
        Some(name) => Some(name.clone()),
        None => prompt.ask_for("Name", None, check)?,
    };
    let command = if tool() == "outrigger" { "new" } else { "new-plugin" };
    let name = name.ok_or_else(|| usage(format!("missing name: {} {command} NAME", tool())))?;
    check(&name).map_err(usage)?;
    Ok(name)
}

fn make(
    args: &Args,
    prompt: &Prompt,
    name: &str,
    core: &Core,
    generator: &Generator,
) -> Result<Exit> {
    let text = plugin_toml(args, prompt, name, core, generator)?;
    let file =
        PluginToml::parse(&text).map_err(|error| usage(format!("plugin.toml: {error:#}")))?;
    let member = Member { file, text };
    check_dependencies(generator, &member)?;
    let others = if core.source == CoreSource::Workspace {
        generator.project.members()?
    } else {
        Vec::new()
    };
    check_task_types(&[others, vec![member.clone()]].concat())
        .map_err(|error| usage(error.to_string()))?;
    let plan = plan(generator, &member)?;
    show(args, generator, &plan)?;
    if args.dry_run {
        return Ok(Exit::Ok);
    }
    write_all(&RealDisk, &generator.project.root, &plan.writes)?;
    if generator.project.layout == Layout::Standalone {
        init_repository(&generator.project.root)?;
    }
    let verified =
        if args.no_verify { Ok(()) } else { verify::plugin(&generator.project, &member) };
    verified.with_context(|| format!("{name} was created, but does not pass verification"))?;
    next_steps::print(&generator.project, &member);
    Ok(Exit::Ok)
}

/// The contents of the new plugin.toml.
fn plugin_toml(
    args: &Args,
    prompt: &Prompt,
    name: &str,
    core: &Core,
    generator: &Generator,
) -> Result<String> {
    let mut text = match &args.from {
        Some(file) => started_from(args, name, core, file)?,
        None => rendered(args, prompt, name, core, generator)?,
    };
    for pair in &args.values {
        let (path, value) = pair
            .split_once('=')
            .ok_or_else(|| usage(format!("--set {pair}: expected PATH=VALUE")))?;
        let keys = toml_edit::Key::parse(path)
            .map_err(|error| usage(format!("--set {pair}: {}", error.to_string().trim())))?;
        let path = keys.iter().map(toml_edit::Key::get).collect::<Vec<_>>();
        if path == ["plugin", "name"] {
            return Err(usage("--set plugin.name: the name is the first argument"));
        }
        // A TOML value, or else a string without quotes.
        let value = value.parse().unwrap_or_else(|_| value.into());
        text = plugin_toml::with_value(&text, &path, value)
            .map_err(|error| usage(format!("--set {pair}: {error:#}")))?;
    }
    Ok(text)
}

fn started_from(args: &Args, name: &str, core: &Core, file: &Path) -> Result<String> {
    let mut text = core::starting_file(file)?;
    let types = args.task_types.iter().map(ToString::to_string).collect::<toml_edit::Array>();
    let (kind, language) = args.kind_and_language()?;
    let given: [(&str, Option<toml_edit::Value>); 10] = [
        ("name", Some(name.into())),
        ("core", word(core.source)),
        ("core-source", core::text(&core.from)),
        ("core-revision", core::text(&core.revision)),
        ("kind", kind.and_then(word)),
        ("language", language.and_then(word)),
        ("task-types", (!types.is_empty()).then(|| types.into())),
        ("mode", args.mode.and_then(word)),
        ("description", args.description.as_deref().map(Into::into)),
        ("owner", args.owner.as_deref().map(Into::into)),
    ];
    for (key, value) in given {
        if let Some(value) = value {
            text = plugin_toml::with_value(&text, &["plugin", key], value)?;
        }
    }
    for key in ["core-source", "core-revision"] {
        if core::given(core, key).is_empty() {
            text = plugin_toml::without(&text, &["plugin", key])?;
        }
    }
    // Settings specific to the other plugin: its names, its image, the files its owner ejected.
    let own =
        ["title", "type", "optional-task-types", "task-package"].map(|key| vec!["plugin", key]);
    for path in own.iter().chain(&[vec!["image"], vec!["unmanaged"]]) {
        text = plugin_toml::without(&text, path)?;
    }
    Ok(text)
}

/// A choice as plugin.toml has it.
fn word(choice: impl serde::Serialize) -> Option<toml_edit::Value> {
    serde_json::to_value(choice).ok()?.as_str().map(Into::into)
}

fn rendered(
    args: &Args,
    prompt: &Prompt,
    name: &str,
    core: &Core,
    generator: &Generator,
) -> Result<String> {
    let mut types = args.task_types.clone();
    if types.is_empty() {
        let default = name.to_snake_case();
        let check = |text: &str| text.parse::<TaskType>().map(drop);
        let asked = prompt.ask_for("Task type", Some(&default), check)?.unwrap_or(default);
        types.push(asked.parse().map_err(usage)?);
    }
    let description = match &args.description {
        Some(description) => description.clone(),
        None => {
            let default = format!("Runs Flyte's {} tasks", types[0].name);
            prompt.ask_for("What it does", Some(&default), |_| Ok(()))?.unwrap_or(default)
        }
    };
    let (kind, language) = args.kind_and_language()?;
    let mut least = serde_json::json!({
        "schema": 1,
        "plugin": {
            "name": name,
            "kind": kind.unwrap_or_default(),
            "mode": args.mode.unwrap_or_default(),
            "task-types": types.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "description": description,
            "owner": args.owner.clone().unwrap_or_default(),
            "core": core.source,
        },
    });
    for key in ["core-source", "core-revision"] {
        if !core::given(core, key).is_empty() {
            least["plugin"][key] = core::given(core, key).into();
        }
    }
    if let Some(language) = language {
        least["plugin"]["language"] = serde_json::to_value(language)?;
    }
    let least = toml_edit::ser::to_string(&least)?;
    let plugin = PluginToml::parse(&least).map_err(|error| usage(format!("{error:#}")))?;
    let rendered = Renderer::new(&generator.template, Versions::of("0"))?
        .render(&plugin, generator.project.layout)?;
    let own = rendered.into_iter().find(|file| file.id == plugin_toml::FILE);
    Ok(own.with_context(|| format!("the template has no {}", plugin_toml::FILE))?.text)
}

/// Refuses a plugin with the name of one of its dependencies.
fn check_dependencies(generator: &Generator, member: &Member) -> Result<()> {
    let rendered = generator.render(std::slice::from_ref(member))?;
    let manifest = rendered.iter().flatten().find(|file| file.id == "Cargo.toml");
    let manifest: toml_edit::DocumentMut = manifest.map_or("", |file| &file.text).parse()?;
    let is_dependency = |section: &str| {
        let dependencies = manifest.get(section).and_then(|item| item.as_table_like());
        dependencies.is_some_and(|table| table.contains_key(member.name()))
    };
    if is_dependency("dependencies") || is_dependency("dev-dependencies") {
        let packages = vec![member.name().to_owned()];
        let taken = name::Taken { packages, ..name::Taken::default() };
        name::check(member.name(), &taken).map_err(|refusal| usage(refusal.to_string()))?;
    }
    Ok(())
}

fn plan(generator: &Generator, member: &Member) -> Result<Plan> {
    let mut plans = generator.plan(std::slice::from_ref(member), &Allowed::default())?;
    let plan = plans.pop().context("one plan for one plugin")?;
    let there =
        plan.steps.iter().find(|step| step.state != State::New && step.state != State::Ejected);
    match there {
        Some(step) => Err(refused(format!("{} already exists; nothing was written", step.path))),
        None => Ok(plan),
    }
}

fn show(args: &Args, generator: &Generator, plan: &Plan) -> Result<()> {
    if args.format == Format::Text {
        let version = generator.template.manifest.version;
        println!("plan: template version {version} -> {}, {} files", plan.plugin, plan.steps.len());
        for step in plan.steps.iter().filter(|step| step.state == State::New) {
            println!("  create  {:<56} {}", step.path, step.class.label());
        }
    } else {
        report::print(std::slice::from_ref(plan), Exit::Ok, args.format, Progress::Planned)?;
    }
    if args.diff {
        print_diffs(std::slice::from_ref(plan), generator.scratch(), args.format)?;
    }
    Ok(())
}

/// Initialises a git repository in `root`, unless it already is inside one or git is not installed.
fn init_repository(root: &Path) -> Result<()> {
    if !works(program("git").arg("--version")) {
        eprintln!("skipped:  git init (git is not installed)");
        return Ok(());
    }
    let inside = ["rev-parse", "--is-inside-work-tree"];
    if works(program("git").current_dir(root).args(inside)) {
        return Ok(());
    }
    run_program(program("git").current_dir(root).args(["init", "--quiet"]))
}

#[cfg(test)]
mod tests;

//! `cargo xtask sync`: updates generated files.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::{
    bundle::{self, Outdated},
    exit::{self, Exit, refused, usage},
    process::{program, write},
    scaffold::{
        generator::{Generator, check_task_types},
        plan::{Allowed, Plan},
        plugin_toml::{self, PluginToml},
        project::{Layout, Member},
        report::{self, Format, Progress},
        write::{RealDisk, Write, write_all},
    },
    tool,
};

/// Updates plugins to the current template and their plugin.toml.
///
/// Generated files are rendered and compared byte by byte. For files that were scaffolded once, the
/// template's changes since then are merged into the author's version. Nothing written by hand is
/// overwritten: a generated file that was edited is refused, and a deleted file stays deleted.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub struct Args {
    /// Plugins to sync.
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Sync every plugin.
    #[arg(long, conflicts_with = "names")]
    all: bool,

    /// Write nothing and fail if a generated file is out of date.
    #[arg(long)]
    check: bool,

    /// Write nothing and print what would change.
    #[arg(long, short = 'n', conflicts_with = "check")]
    dry_run: bool,

    /// Print the diff of each file.
    #[arg(long)]
    diff: bool,

    /// Overwrite generated files that were edited by hand.
    #[arg(long)]
    force: bool,

    /// Restore files that were deleted.
    #[arg(long)]
    restore: bool,

    /// Merge into files that have uncommitted changes.
    #[arg(long)]
    allow_dirty: bool,

    /// Stop managing this file of the given plugin.
    #[arg(long, value_name = "FILE", requires = "reason", conflicts_with = "adopt")]
    eject: Option<String>,

    /// Why the file is ejected; `status` shows it.
    #[arg(long, requires = "eject")]
    reason: Option<String>,

    /// Manage this file of the given plugin: one that was ejected, or that existed before the generator.
    /// A generated file is rendered again; an author's file stays as it is.
    #[arg(long, value_name = "FILE")]
    adopt: Option<String>,

    /// Output format.
    #[arg(long, alias = "output", value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let standalone = generator.project.layout == Layout::Standalone;
    if args.names.is_empty() && !args.all && !standalone {
        return Err(usage("name the plugins to sync, or use --all"));
    }
    if !args.check && !args.dry_run {
        generator.recover()?;
    }
    let mut members = generator.project.chosen(&args.names)?;
    check_task_types(&generator.project.members()?)?;
    let mut allowed = Allowed {
        force: args.force,
        restore: args.restore,
        // --check writes nothing.
        dirty: args.allow_dirty || args.check,
        adopt: None,
    };
    let mut writes = Vec::new();
    if let Some(file) = args.eject.as_ref().or(args.adopt.as_ref()) {
        let [member] = members.as_mut_slice() else {
            return Err(usage("--eject and --adopt need exactly one plugin: name it"));
        };
        let id = find(generator, member, file)?;
        writes.extend(set_managed(generator, member, &id, args.reason.as_deref())?);
        allowed.adopt = args.adopt.is_some().then_some(id);
    }
    finish(args, generator, &generator.plan(&members, &allowed)?, writes)
}

fn finish(
    args: &Args,
    generator: &Generator,
    plans: &[Plan],
    mut writes: Vec<Write>,
) -> Result<Exit> {
    let strays = if args.all { generator.project.strays()? } else { Vec::new() };
    let bundle = if args.all { bundle::outdated(generator)? } else { Outdated::default() };
    let is_right = strays.is_empty() && bundle.paths().next().is_none();
    let exit = match (args.check, args.dry_run) {
        (true, _) if is_right => report::verdict(plans),
        (true, _) => report::verdict(plans).max(Exit::Drift),
        (_, true) => Exit::Ok,
        _ => report::outcome(plans),
    };
    let outdated = bundle.paths().map(ToOwned::to_owned).collect::<Vec<_>>();
    let progress = if args.check || args.dry_run { Progress::Planned } else { Progress::Written };
    if progress == Progress::Written {
        writes.extend(plans.iter().flat_map(|plan| plan.writes.clone()));
        writes.extend(bundle.writes());
        write_all(&RealDisk, &generator.project.root, &writes)?;
    }
    report::print(plans, exit, args.format, progress)?;
    if args.diff {
        print_diffs(plans, generator.scratch(), args.format)?;
    }
    for stray in strays {
        eprintln!(
            "stray: {stray} belongs to no plugin, because its plugin.toml is missing; delete it or restore the plugin.toml"
        );
    }
    for path in outdated {
        eprintln!("outdated: {path}");
    }
    if !args.check {
        report::print_changes(plans, &generator.template);
    } else if exit == Exit::Drift {
        eprintln!("to fix it: {} sync --all", tool());
    }
    Ok(exit)
}

/// The id of `file`, which is an id or a path relative to the root.
fn find(generator: &Generator, member: &Member, file: &str) -> Result<String> {
    let rendered = generator.render(std::slice::from_ref(member))?;
    let files = rendered.into_iter().flatten().collect::<Vec<_>>();
    let named = files.iter().find(|each| each.id == file || each.path == file);
    named.map(|each| each.id.clone()).ok_or_else(|| {
        let ids = files.iter().map(|each| each.id.as_str()).collect::<Vec<_>>();
        usage(format!("the template has no file '{file}'; available: {}", ids.join(", ")))
    })
}

/// Adds `id` to `[unmanaged]` in the member's plugin.toml, if there is a reason; otherwise removes it.
fn set_managed(
    generator: &Generator,
    member: &mut Member,
    id: &str,
    reason: Option<&str>,
) -> Result<Option<Write>> {
    let ejected = member.file.unmanaged.contains_key(id);
    let text = match reason {
        Some(reason) if reason.trim().is_empty() => {
            return Err(usage("--reason must not be empty"));
        }
        Some(_) if ejected => return Err(refused(format!("{id} is already ejected"))),
        Some(reason) => plugin_toml::with_value(&member.text, &["unmanaged", id], reason.into())?,
        None if ejected => plugin_toml::without(&member.text, &["unmanaged", id])?,
        None => return Ok(None),
    };
    member.file = PluginToml::parse(&text).context(plugin_toml::FILE)?;
    let path = generator.project.layout.place(&member.file.plugin).path(plugin_toml::FILE);
    Ok(Some(Write { path, text: Some(text) }))
}

/// Prints the diffs in git's format.
pub(crate) fn print_diffs(plans: &[Plan], scratch: &Path, format: Format) -> Result<()> {
    // With a machine-readable format, stdout contains only the result.
    let say =
        |line: &str| if format == Format::Text { println!("{line}") } else { eprintln!("{line}") };

    let changed =
        plans.iter().flat_map(|plan| &plan.steps).filter(|step| step.before != step.after);
    let (before, after) = (scratch.join("diff/a"), scratch.join("diff/b"));
    for step in changed {
        write(&before, step.before.as_deref().unwrap_or_default())?;
        write(&after, step.after.as_deref().unwrap_or_default())?;
        let output = program("git")
            .args(["diff", "--no-index", "--no-color", "--"])
            .args([&before, &after])
            .output()
            .context("cannot run git")?;
        let text = String::from_utf8_lossy(&output.stdout);
        say(&format!("--- a/{0}\n+++ b/{0}", step.path));
        text.lines().skip_while(|line| !line.starts_with("@@")).for_each(say);
    }
    let _ = std::fs::remove_dir_all(scratch);
    Ok(())
}

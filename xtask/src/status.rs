//! `cargo xtask status`: compares every plugin with the template.

use anyhow::Result;
use serde_json::json;

use crate::{
    exit::Exit,
    scaffold::{
        generator::Generator,
        plan::{Allowed, Plan, State},
        project::Member,
        report::{self, Format, Progress},
        template::Class,
    },
};

/// Shows each plugin's template version and state, its files, and which were ejected and why.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Output format.
    #[arg(long, alias = "output", value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let members = generator.project.members()?;
    let plans = generator.plan(&members, &Allowed { dirty: true, ..Allowed::default() })?;
    let rows = members.iter().zip(&plans);
    if args.format == Format::Json {
        let rows = rows.map(|(member, plan)| json_row(member, plan)).collect::<Vec<_>>();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(Exit::Ok);
    }
    if args.format == Format::Github {
        report::print(&plans, Exit::Ok, args.format, Progress::Planned)?;
        return Ok(Exit::Ok);
    }
    println!(
        "{:<24} {:>8} {:>4} {:>3} {:>3}  {:<8} owner",
        "plugin", "template", "G", "K", "S", "state"
    );
    for (member, plan) in rows {
        print_row(member, plan);
    }
    println!("template version {}", generator.template.manifest.version);
    Ok(Exit::Ok)
}

fn count(plan: &Plan, class: Class) -> usize {
    let managed = plan.steps.iter().filter(|step| step.state != State::Ejected);
    managed.filter(|step| step.class == class).count()
}

fn state(plan: &Plan) -> &'static str {
    let behind = |state| matches!(state, State::Behind | State::BehindInConflict);
    match report::verdict(std::slice::from_ref(plan)) {
        Exit::Ok if plan.steps.iter().any(|step| behind(step.state)) => "behind",
        Exit::Ok => "in step",
        Exit::Drift => "drifted",
        Exit::Conflicts => "conflict",
        _ => "refused",
    }
}

fn print_row(member: &Member, plan: &Plan) {
    println!(
        "{:<24} {:>8} {:>4} {:>3} {:>3}  {:<8} {}",
        member.name(),
        plan.from_version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
        count(plan, Class::Generated),
        count(plan, Class::ManagedKeys),
        count(plan, Class::ScaffoldOnce),
        state(plan),
        member.file.plugin.owner,
    );
    for (file, reason) in &member.file.unmanaged {
        println!("{:24} ejected {file}: {reason}", "");
    }
    for step in plan.steps.iter().filter(|step| step.state == State::Removed) {
        println!("{:24} removed {}", "", step.id);
    }
}

fn json_row(member: &Member, plan: &Plan) -> serde_json::Value {
    json!({
        "name": member.name(),
        "template_version": plan.from_version,
        "generated": count(plan, Class::Generated),
        "managed_keys": count(plan, Class::ManagedKeys),
        "scaffolded": count(plan, Class::ScaffoldOnce),
        "ejected": member.file.unmanaged,
        "state": state(plan),
        "owner": member.file.plugin.owner,
    })
}

//! How many instructions of the service a request may take: `tests/bench/budgets.toml`.

use anyhow::{Context as _, Result, bail};
use toml_edit::{DocumentMut, value};

use super::{
    callgrind::{Counted, LONG_VIEW},
    programs,
    sample::Protocol,
    server::Server,
    tools::{self, H2LOAD, TASKSET, Tool, VALGRIND},
};
use crate::{
    local_service::Files,
    process::{program, write},
    root,
};

const FILE: &str = "tests/bench/budgets.toml";
/// The key of what the budgets were counted with.
const COUNTED_WITH: &str = "counted_with";
/// How far a count may be from its budget, up or down.
const TOLERANCE: f64 = 0.03;
/// How many requests are counted.
const REQUESTS: u64 = 1_000;
/// What is needed to count.
const TOOLS: [&Tool; 3] = [&H2LOAD, &TASKSET, &VALGRIND];
/// How much more than the service in Rust a poll of the same vendor in a file may cost.
const MOST_OF_A_FILE: f64 = 1.5;
/// The command that writes the budgets.
const WRITE: &str = "cargo xtask bench --instructions --write";

/// Instructions of one request, by the budget's name.
type Counts = [(&'static str, f64); 3];

/// Why instructions cannot be counted here; `None` if they can.
pub(crate) fn missing() -> Option<String> {
    tools::require(&TOOLS).err().map(|error| error.to_string())
}

/// Counts, and compares with the budgets.
///
/// # Errors
/// When a count is too far from its budget.
pub(crate) fn check() -> Result<()> {
    let budgets = std::fs::read_to_string(root().join(FILE));
    let budgets = budgets.with_context(|| format!("cannot read {FILE}"))?.parse::<DocumentMut>()?;
    let here = counted_with()?;
    let there = budgets.get(COUNTED_WITH).and_then(|with| with.as_str()).unwrap_or_default();
    let counts = counts()?;
    let of_file = of_a_file(counts[0].1)?;
    let broken = counts.map(|(name, count)| {
        let budget = budget(&budgets, name)?;
        println!("   {name}: {count:.0} instructions, budget {budget:.0}");
        Ok(verdict(name, budget, count))
    });
    let broken = broken.into_iter().collect::<Result<Vec<_>>>()?;
    if let Some(broken) = of_file {
        // A ratio is the same with every compiler.
        bail!("{broken}");
    }
    let broken = broken.into_iter().flatten().collect::<Vec<_>>();
    match broken.as_slice() {
        [] => Ok(()),
        // Another compiler or processor makes other instructions of the same source.
        _ if here != there => {
            println!("   not compared: the budgets were counted with {there}, this with {here}");
            Ok(())
        }
        broken => bail!("{}", broken.join("\n  ")),
    }
}

/// The compiler and processor that counts depend on.
fn counted_with() -> Result<String> {
    let rustc = program("rustc").arg("--version").output().context("cannot run rustc")?;
    let rustc = String::from_utf8_lossy(&rustc.stdout);
    Ok(format!("{}, {}", rustc.trim(), std::env::consts::ARCH))
}

/// Counts, and writes the counts as budgets.
///
/// # Errors
/// When they cannot be counted or written.
pub(super) fn write_counted() -> Result<()> {
    tools::require(&TOOLS)?;
    let path = root().join(FILE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
    let mut budgets = text.parse::<DocumentMut>()?;
    budgets[COUNTED_WITH] = value(counted_with()?);
    for (name, count) in counts()? {
        println!("   {name}: {count:.0} instructions");
        budgets[name]["instructions"] = value(count.round() as i64);
    }
    write(&path, budgets.to_string())
}

/// What is wrong with a count.
fn verdict(name: &str, budget: f64, count: f64) -> Option<String> {
    let share = count / budget - 1.0;
    let more = format!("{name}: {count:.0} instructions, budget {budget:.0} in {FILE}");
    if share > TOLERANCE {
        let percent = share * 100.0;
        return Some(format!(
            "{more}: {percent:.1} % above it. Make the request cheaper, or say in the change why it costs more and run {WRITE}"
        ));
    }
    let below = || format!("{more}: {:.1} % below it. Lower the budget: {WRITE}", -share * 100.0);
    (share < -TOLERANCE).then(below)
}

fn budget(budgets: &DocumentMut, name: &str) -> Result<f64> {
    let number = budgets.get(name).and_then(|table| table.get("instructions"));
    let number = number.and_then(|number| number.as_integer()).filter(|number| *number > 0);
    let number = number.with_context(|| format!("{FILE}: [{name}] has no number of instructions"));
    Ok(number? as f64)
}

/// Counts a poll that is a call upstream, a create, and a poll that a view answers: of the program in the
/// image, called by unoptimised ones, which are not counted.
fn counts() -> Result<Counts> {
    programs::build_to_count()?;
    let files = Files::create("bench")?;
    let protocol = Protocol::Flyte1;
    let mut service = Counted::start(Server::Service { freshness: "0s" }, &files)?;
    let sample = service.sample(&files, protocol)?;
    let poll = service.poll(protocol, &sample, REQUESTS)?;
    let create = service.create(protocol, &sample, REQUESTS)?;
    drop(service);
    let mut service = Counted::start(LONG_VIEW, &files)?;
    let sample = service.sample(&files, protocol)?;
    let view = service.view(protocol, &sample, REQUESTS)?;
    Ok([("poll", poll), ("create", create), ("view", view)])
}

/// Counts a poll of the same vendor in a file; what is wrong if it costs too much more than `poll`.
fn of_a_file(poll: f64) -> Result<Option<String>> {
    let files = Files::create("bench")?;
    let mut service = Counted::start(Server::File, &files)?;
    let sample = service.sample(&files, Protocol::Flyte1)?;
    let count = service.poll(Protocol::Flyte1, &sample, REQUESTS)?;
    let ratio = count / poll;
    println!("   poll of a file: {count:.0} instructions, {ratio:.2} times that of the service");
    Ok((ratio > MOST_OF_A_FILE).then(|| {
        format!("a poll of a plugin's file costs {ratio:.2} times that of the service in Rust, more than {MOST_OF_A_FILE}")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_within_three_percent_is_good() {
        for count in [100_000.0, 102_900.0, 97_100.0] {
            assert_eq!(verdict("poll", 100_000.0, count), None, "{count}");
        }
    }

    #[test]
    fn a_count_above_names_the_budget_and_by_how_much() {
        let told = verdict("poll", 100_000.0, 104_000.0).unwrap();
        let start =
            "poll: 104000 instructions, budget 100000 in tests/bench/budgets.toml: 4.0 % above";
        assert!(told.starts_with(start), "{told}");
    }

    #[test]
    fn a_count_below_asks_for_a_lower_budget() {
        let told = verdict("view", 100_000.0, 90_000.0).unwrap();
        assert!(told.contains("10.0 % below it. Lower the budget"), "{told}");
    }

    #[test]
    fn a_budget_is_a_positive_number() {
        let budgets = "[poll]\ninstructions = 7\n[view]\ninstructions = 0\n".parse().unwrap();
        assert!((budget(&budgets, "poll").unwrap() - 7.0).abs() < f64::EPSILON);
        for name in ["view", "create"] {
            let error = budget(&budgets, name).unwrap_err().to_string();
            assert!(error.contains(&format!("[{name}] has no number")), "{error}");
        }
    }
}

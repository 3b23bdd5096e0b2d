//! The mock vendor called without a server between: what a server adds is the difference.

use anyhow::{Context as _, Result};

use super::{
    load::{Pattern, Target, Upstream},
    mock::Mock,
    plan::{Plan, RATE},
    results::Results,
    sample::{Creates, Poll, Protocol, Sample},
};

/// A job, with the fields that our service asks for.
const PATH: &str = "/bigquery/v2/projects/acme-analytics/jobs/direct?location=EU&fields=status";

/// Calls a mock as the servers do.
///
/// # Errors
/// When it does not answer.
pub(super) fn measure(plan: &Plan, results: &mut Results) -> Result<()> {
    let mock = Mock::start(0)?;
    let sample = sample(&mock)?;
    let target =
        Target { address: mock.address, protocol: Protocol::Rest, sample: &sample, mock: &mock };
    let alone = target.timed_poll(Pattern::alone(plan.alone), Upstream::Each)?;
    results.direct_alone.add(&alone.times);
    let paced = target.timed_poll(Pattern::paced(plan.paced, RATE), Upstream::Each)?;
    results.direct.add(&paced.times);
    Ok(())
}

fn sample(mock: &Mock) -> Result<Sample> {
    let answer = mock.get(PATH)?;
    serde_json::from_str::<serde_json::Value>(&answer).context("the mock's answer is no JSON")?;
    let poll =
        Poll { path: PATH.to_owned(), bodies: Vec::new(), paths: None, bytes: answer.len() as u64 };
    let creates =
        Creates { method: "POST".to_owned(), path: String::new(), bodies: Vec::new(), bytes: 0 };
    Ok(Sample { headers: Vec::new(), creates, poll })
}

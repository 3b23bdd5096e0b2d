//! Files with random mistakes are refused with a place, or are files without mistakes, which are tried on recorded answers. Nothing
//! panics.

use std::panic::catch_unwind;

use declarative::{
    Definition,
    tools::{Attempt, attempt},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

const MUTATIONS: u64 = 1000;
/// What is inserted: signs of YAML and of expressions, words of the language, letters of several bytes.
const PIECES: [&str; 24] = [
    ":", " ", "\n", "\t", "- ", "{", "}", "[", "]", "'", "\"", "=", "${", "}", "|", ".", "&a ",
    "*a", "#", "é", "🦀", "null", "custom.", "\u{0}",
];

/// `source` with one piece removed, doubled, moved, replaced or inserted.
fn mutated(source: &str, random: &mut StdRng) -> String {
    let letters = source.chars().collect::<Vec<_>>();
    let at = random.random_range(0..letters.len());
    let end = (at + random.random_range(1..12)).min(letters.len());
    let text = |letters: &[char]| letters.iter().collect::<String>();
    let (before, piece, after) =
        (text(&letters[..at]), text(&letters[at..end]), text(&letters[end..]));
    let insert = PIECES[random.random_range(0..PIECES.len())];
    match random.random_range(0..5) {
        0 => before + &after,
        1 => before + &piece + &piece + &after,
        2 => before + insert + &after,
        3 => before + insert + &piece + &after,
        _ => {
            let lines = source.lines().collect::<Vec<_>>();
            let (one, other) =
                (random.random_range(0..lines.len()), random.random_range(0..lines.len()));
            let mut lines = lines;
            lines.swap(one, other);
            lines.join("\n")
        }
    }
}

/// Reads mutations of `example`, and tries those that have no mistakes on the vendor's answers `recorded`, with the setting `set`.
fn mutate(example: &str, recorded: &str, set: &str) {
    let mut refused = 0;
    for seed in 0..MUTATIONS {
        let source = mutated(example, &mut StdRng::seed_from_u64(seed));
        let read = catch_unwind(|| Definition::read("mutated.yaml", &source));
        let read = read.unwrap_or_else(|_| panic!("seed {seed} panics:\n{source}"));
        let Err(mistakes) = read else {
            let sets = [set];
            let sets = if set.is_empty() { &[][..] } else { &sets[..] };
            let tried = Attempt::new("mutated.yaml", &source).recorded(Some(recorded)).set(sets);
            let tried = tried.map(|tried| catch_unwind(|| attempt(&tried)));
            assert!(tried.is_ok_and(|tried| tried.is_ok()), "seed {seed} panics:\n{source}");
            continue;
        };
        refused += 1;
        assert!(!mistakes.list().is_empty());
        for (line, _, message) in mistakes.list() {
            let lines = source.lines().count() + 1;
            assert!((1..=lines).contains(&line), "seed {seed}: {line}");
            assert!(!message.is_empty());
        }
        assert!(mistakes.to_string().contains("mutated.yaml:"), "seed {seed}");
    }
    // Comments and descriptions may say anything.
    assert!(refused > MUTATIONS / 3, "{refused} refused");
}

macro_rules! examples {
    ($($name:ident: $file:literal, $set:literal,)*) => {$(
        #[test]
        fn $name() {
            let example = include_str!(concat!("../examples/", $file, ".yaml"));
            let recorded = include_str!(concat!("../examples/", $file, ".recorded.json"));
            mutate(example, recorded, $set);
        }
    )*};
}

examples! {
    aws_lambda: "aws-lambda", "aws-lambda.region=eu-central-1",
    ecs: "ecs", "ecs.region=eu-central-1",
    emr_steps: "emr-steps", "emr-steps.region=eu-central-1",
    glue: "glue", "glue.region=eu-central-1",
    kubernetes_jobs: "kubernetes-jobs", "kubernetes-jobs.address=https://kubernetes.default.svc",
    nomad_batch: "nomad-batch", "nomad-batch.address=https://nomad.example.com",
    openai_batch: "openai-batch", "",
    step_functions: "step-functions", "step-functions.region=eu-central-1",
}

#[test]
fn bigquery() {
    let recorded = include_str!("../../bigquery/tests/recorded.json");
    mutate(include_str!("../examples/bigquery.yaml"), recorded, "");
}

#[test]
fn athena() {
    let recorded = include_str!("../../athena/tests/recorded.json");
    mutate(include_str!("../examples/athena.yaml"), recorded, "athena-file.region=eu-central-1");
}

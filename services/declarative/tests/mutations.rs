//! Files with random mistakes are refused with a place, or are files without mistakes, which are tried on recorded answers. Nothing
//! panics, and what a mistake changes in a file that is served is in the plugin, too: nothing is left out in silence.

use std::panic::catch_unwind;

use declarative::{
    Definition,
    tools::{Attempt, attempt},
};
use plugin_core::serde_json::Value as Json;
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

/// What YAML says of `source`, read without the language, which does not look at blanks around expressions.
fn data(source: &str) -> Option<Json> {
    fn trimmed(json: Json) -> Json {
        match json {
            Json::String(text) => match text.strip_prefix('=') {
                Some(expression) => format!("={}", expression.trim()).into(),
                None => text.into(),
            },
            Json::Array(items) => items.into_iter().map(trimmed).collect(),
            Json::Object(members) => {
                members.into_iter().map(|(key, each)| (key, trimmed(each))).collect()
            }
            other => other,
        }
    }
    serde_saphyr::from_str(source).ok().map(trimmed)
}

/// All of `definition` but where in the file it is.
fn meaning(definition: &Definition) -> String {
    let text = format!("{definition:?}");
    let mut parts = text.split("Place {");
    let first = parts.next().unwrap_or_default().to_owned();
    let after = parts.map(|part| part.split_once('}').map_or(part, |(_, after)| after));
    first + &after.collect::<String>()
}

/// Reads mutations of `example`, and tries those that have no mistakes on the vendor's answers `recorded`, with the setting `set`.
fn mutate(example: &str, recorded: &str, set: &str) {
    let mut refused = 0;
    let Ok(right) = Definition::read("example.yaml", example) else { panic!("has mistakes") };
    let (says, does) = (data(example), meaning(&right));
    for seed in 0..MUTATIONS {
        let source = mutated(example, &mut StdRng::seed_from_u64(seed));
        let read = catch_unwind(|| Definition::read("mutated.yaml", &source));
        let read = read.unwrap_or_else(|_| panic!("seed {seed} panics:\n{source}"));
        let Err(mistakes) = read.as_ref() else {
            let says_other = data(&source) != says;
            let does_other = read.is_ok_and(|served| meaning(&served) != does);
            assert!(!says_other || does_other, "seed {seed}: a change is left out:\n{source}");
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

//! Files with random mistakes are refused with a place, or are files without mistakes. Nothing panics.

use std::panic::catch_unwind;

use declarative::Definition;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

const EXAMPLES: [&str; 8] = [
    include_str!("../examples/athena.yaml"),
    include_str!("../examples/ecs.yaml"),
    include_str!("../examples/emr-steps.yaml"),
    include_str!("../examples/glue.yaml"),
    include_str!("../examples/kubernetes-jobs.yaml"),
    include_str!("../examples/nomad-batch.yaml"),
    include_str!("../examples/openai-batch.yaml"),
    include_str!("../examples/step-functions.yaml"),
];
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

#[test]
fn mutated_examples_are_served_or_refused_with_a_place() {
    for (index, example) in EXAMPLES.iter().enumerate() {
        let mut refused = 0;
        for seed in 0..MUTATIONS {
            let source = mutated(example, &mut StdRng::seed_from_u64(seed));
            let read = catch_unwind(|| Definition::read("mutated.yaml", &source));
            let read =
                read.unwrap_or_else(|_| panic!("example {index}, seed {seed} panics:\n{source}"));
            let Err(mistakes) = read else { continue };
            refused += 1;
            assert!(!mistakes.list().is_empty());
            for (line, _, message) in mistakes.list() {
                let lines = source.lines().count() + 1;
                assert!((1..=lines).contains(&line), "example {index}, seed {seed}: {line}");
                assert!(!message.is_empty());
            }
            assert!(mistakes.to_string().contains("mutated.yaml:"), "example {index}, seed {seed}");
        }
        // Comments and descriptions may say anything.
        assert!(refused > MUTATIONS / 3, "example {index}: {refused} refused");
    }
}

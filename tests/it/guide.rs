//! docs/writing-a-plugin.md shows a plugin that works: `tests/guide/acme-batch`, file by file.

use std::fs::read_to_string;

const FILES: [&str; 5] =
    ["Cargo.toml", "src/main.rs", "src/lib.rs", "tests/recorded.json", "tests/conformance.rs"];

#[test]
fn the_guide_shows_the_crate_that_is_tested() {
    let guide = read_to_string(tests::repository().join("docs/writing-a-plugin.md")).unwrap();
    let blocks = guide.split("\n```").filter_map(|part| {
        let (language, text) = part.split_once('\n')?;
        ["toml", "rust", "json"].contains(&language).then_some(text)
    });
    let blocks = blocks.collect::<Vec<_>>();
    assert_eq!(blocks.len(), FILES.len(), "a block for each file, and no other");
    for (file, shown) in FILES.into_iter().zip(blocks) {
        let path = tests::repository().join("tests/guide/acme-batch").join(file);
        let written = read_to_string(&path).unwrap();
        assert_eq!(shown.trim_end(), written.trim_end(), "docs/writing-a-plugin.md and {file}");
    }
}

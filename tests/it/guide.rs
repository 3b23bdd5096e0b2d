//! docs/writing-a-plugin.md shows a plugin that works: this one.

#[allow(unreachable_pub, reason = "a crate of its own in the guide")]
mod acme_batch;

plugin_core::conformance_tests!(acme_batch::AcmeBatch, include_str!("guide/recorded.json"));

#[test]
fn the_guide_shows_the_code_that_is_tested_here() {
    let guide = std::fs::read_to_string(tests::repository().join("docs/writing-a-plugin.md"));
    let guide = guide.unwrap();
    for (file, text) in [
        ("acme_batch.rs", include_str!("guide/acme_batch.rs")),
        ("recorded.json", include_str!("guide/recorded.json")),
    ] {
        assert!(guide.contains(text), "docs/writing-a-plugin.md does not show {file} as it is");
    }
}

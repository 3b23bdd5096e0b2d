//! Generated documents are what they would be if generated now.

use tests::documents::{DOCUMENTS, Document};

#[test]
fn generated_documents_are_fresh() {
    for Document { path, generate } in DOCUMENTS {
        let expected = generate();
        let actual = std::fs::read_to_string(tests::repository().join(path)).unwrap_or_default();
        assert!(actual == expected, "{path} is stale: run cargo run -p tests --bin generate-docs");
    }
}

//! Generated documents are up to date.

use tests::documents::{DOCUMENTS, Document};

#[test]
fn generated_documents_are_up_to_date() {
    for Document { path, generate } in DOCUMENTS {
        let expected = generate();
        let actual = std::fs::read_to_string(tests::repository().join(path)).unwrap_or_default();
        assert!(actual == expected, "{path} is stale: run cargo run -p tests --bin generate-docs");
    }
}

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

#[test]
fn every_service_is_in_the_documents() {
    let config = std::fs::read_to_string(tests::repository().join("docs/config.md")).unwrap();
    for service in std::fs::read_dir(tests::repository().join("services")).unwrap() {
        let name = service.unwrap().file_name().into_string().unwrap();
        assert!(config.contains(&format!("\n## {name}\n")), "docs/config.md has nothing of {name}");
    }
}

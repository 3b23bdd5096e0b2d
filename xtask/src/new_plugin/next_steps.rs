//! What the author of a new plugin does next.

use crate::scaffold::{
    kind::{self, Kind},
    project::{Layout, Member, Project},
};

/// Prints the next steps for the plugin `member`.
pub(super) fn print(project: &Project, member: &Member) {
    let name = member.name();
    let place = project.layout.place(&member.file.plugin);
    let at = |id: &str| place.path(id);
    eprintln!("\nnext:");
    match member.file.plugin.language {
        None if member.file.plugin.kind == Kind::Declarative => {
            eprintln!("  edit    {}: the vendor's requests and states", at(kind::PLUGIN));
            eprintln!("  record  {}: real responses of the vendor", at("tests/recorded.json"));
            eprintln!("  test    {}", at("tests/run.sh"));
            eprintln!("  read    {}: in a cluster", at("README.md"));
        }
        None => {
            eprintln!("  edit    {}: the structs and functions of the plugin", at("src/lib.rs"));
            eprintln!("  record  {}: real responses of the vendor", at("tests/recorded.json"));
            eprintln!("  test    cargo test -p {name}");
        }
        Some(language) => {
            eprintln!("  edit    {}: the functions of the plugin", at(language.code()));
            eprintln!("  test    {}", language.test());
            eprintln!("  serve   outrigger serve {} --insecure-no-auth", language.serve());
            eprintln!("  check   outrigger check {} --task task.json", language.serve());
            eprintln!("  read    {}: in an image and a cluster", at("README.md"));
        }
    }
    eprintln!("  call    {}: the task for workflows", at("tasks/README.md"));
    let page = match member.file.plugin.kind {
        Kind::Rust => "docs/writing-a-plugin.md",
        Kind::Bridge => "docs/plugins-in-any-language.md",
        Kind::Declarative => "docs/declarative.md",
    };
    let of = if project.layout == Layout::Workspace { "" } else { " in Outrigger's repository" };
    eprintln!("  read    {page}{of}");
}

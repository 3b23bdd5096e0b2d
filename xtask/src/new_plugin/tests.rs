use clap::Parser as _;

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

#[test]
fn a_plugin_is_not_made_where_a_link_leads_nowhere() {
    let above = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("nowhere", above.path().join("shout")).unwrap();
    let line = Line::parse_from(["new", "shout", "--no-input"]);
    let made = run_standalone(&line.args, above.path(), |_| panic!("nothing is read"));
    assert!(made.unwrap_err().to_string().ends_with("shout already exists"));
}

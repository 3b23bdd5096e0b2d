//! Every mistake of a file has its place, and the nearest right name.

use declarative::Definition;

const NOMAD: &str = include_str!("../examples/nomad-batch.yaml");

/// The mistakes of the Nomad example with `from` replaced, as `check` prints them.
fn mistakes(from: &str, to: &str) -> String {
    assert!(NOMAD.contains(from), "the example has no {from:?}");
    let source = NOMAD.replacen(from, to, 1);
    match Definition::read("nomad.yaml", &source) {
        Ok(_) => panic!("{to:?} is no mistake"),
        Err(mistakes) => mistakes.to_string(),
    }
}

#[test]
fn a_mistake_is_shown_with_its_line_and_the_nearest_name() {
    let shown = mistakes("=custom.image,", "=custom.imgae,");
    let line = NOMAD.lines().position(|line| line.contains("=custom.image,")).unwrap() + 1;
    let expected = format!(
        "error: unknown name `custom.imgae`
  --> nomad.yaml:{line}:34
   |
{line} |                 Config: {{image: =custom.imgae, command: =custom.command, args: =custom.args}}
   |                                  ^^^^^^^^^^^^
   |
   = help: did you mean `custom.image`?"
    );
    assert_eq!(shown, expected);
}

#[test]
fn mistakes_name_what_is_wrong() {
    for (from, to, message, help) in [
        ("version: 1", "version: 2", "version 2 of the language is not known", "reads version 1"),
        ("version: 1", "version: one", "invalid", ""),
        ("links:", "lniks:", "unknown key `lniks`", "did you mean `links`?"),
        ("  state: =body", "  sttate: =body", "unknown key `sttate`", "did you mean `state`?"),
        ("  state: =body[0].Status", "  state: body", "must be an expression", ""),
        ("running: running", "running: Running", "unknown phase `Running`", "`running`"),
        ("settings.namespace", "setings.namespace", "unknown name `setings`", "`settings`"),
        (
            "settings.namespace",
            "settings.namspace",
            "unknown name `settings.namspace`",
            "settings.namespace",
        ),
        ("prefix: =job.id", "prefix: =job.name", "unknown name `job.name`", "known are: job.id"),
        ("prefix: =job.id", "prefix: =custom.image", "unknown name `custom`", "known are: "),
        (
            "secret: nomad_token",
            "secret: nomad_tokn",
            "unknown secret `nomad_tokn`",
            "`nomad_token`",
        ),
        ("idempotency: request", "idempotency: rquest", "unknown value `rquest`", "`request`"),
        ("post: /jobs", "post: jobs", "a path begins with `/`", ""),
        ("post: /jobs", "post: /jobs?x=1", "a path has no `?`", ""),
        ("post: /jobs", "post: /a/../jobs", "a part of the path is empty", ""),
        ("post: /jobs", "post: /jobs\n    put: /jobs", "a request has one of", ""),
        (
            "type: integer, default: 500",
            "type: integr, default: 500",
            "unknown value `integr`",
            "`integer`",
        ),
        ("default: 500", "default: many", "custom.cpu: must be an integer, not a string", ""),
        ("dead: \"=", "dead: \"=(", "the expression cannot be read", ""),
        ("body | length", "body | lenght", "unknown function `lenght`", "`length`"),
        ("body | length > 0", "body.keys()", "values have no methods", ""),
        (
            "task_types: [nomad_batch:0]",
            "task_types: [nomad_batch]",
            "a task type is a name and a version",
            "",
        ),
        ("name: nomad-batch", "name: Nomad", "a plugin's name has lower-case", ""),
        ("name: X-Nomad-Token", "name: Host", "the header `host` cannot be set", ""),
        ("\"${settings.address}/v1\"", "ftp://nomad", "must be a URL", ""),
        ("exists: {id:", "exists: {name:", "`exists` must have the same ids as `job`", ""),
        ("links:\n", "links: [\n", "", ""),
        ("    pending: queued", "    pending: queued\n    pending: running", "duplicate", ""),
    ] {
        let shown = mistakes(from, to);
        assert!(shown.to_lowercase().contains(&message.to_lowercase()), "{to:?}: {shown}");
        assert!(shown.contains(help), "{to:?}: {shown}");
        assert!(shown.contains("--> nomad.yaml:"), "{to:?}: {shown}");
        let at_the_top = shown.contains("nomad.yaml:1:1");
        assert!(!at_the_top, "{to:?}: {shown}");
    }
}

#[test]
fn a_file_has_jobs_or_is_answered_within_the_call() {
    let source = NOMAD.replace("\ndelete:\n", "\nexecute:\n");
    let shown = Definition::read("nomad.yaml", &source).unwrap_err().to_string();
    assert!(shown.contains("a file has `execute`, or `create`, `get` and `delete`"), "{shown}");
    let source = "version: 1\nplugin: {name: a, description: b, task_types: [c:0]}\nupstream: {base: 'https://a.example', auth: none}\n";
    let shown = Definition::read("a.yaml", source).unwrap_err().to_string();
    assert!(shown.contains("`create`, `get`, `delete` is missing"), "{shown}");
}

#[test]
fn a_request_about_many_jobs_is_checked() {
    const ATHENA: &str = include_str!("../examples/athena.yaml");
    for (from, to, message, help) in [
        ("by: id", "by: ib", "unknown id `ib`", "did you mean `id`?"),
        ("most: 50", "most: 1", "with one id in a request there is no use for it", ""),
        ("=ids", "=idz", "unknown name `idz`", "did you mean `ids`?"),
        ("{QueryExecutionIds: =ids}", "{}", "the request does not have `ids`", ""),
        (
            "{QueryExecutionIds: =ids}",
            "{QueryExecutionIds: =ids, a: =job.id}",
            "in place of `job.id`",
            "",
        ),
        ("id: =item.Query", "id: =itm.Query", "unknown name `itm`", "did you mean `item`?"),
    ] {
        let source = ATHENA.replacen(from, to, 1);
        let shown = Definition::read("athena.yaml", &source).unwrap_err().to_string();
        assert!(shown.contains(message) && shown.contains(help), "{to}: {shown}");
    }
}

#[test]
fn a_repeated_create_is_safe_or_the_file_is_wrong() {
    let source = NOMAD.replace("short_key('flyte-', 40)", "execution.name");
    let mistakes = Definition::read("nomad.yaml", &source).unwrap_err();
    let shown = mistakes.to_string();
    assert!(shown.contains("a repeat would start a second job"), "{shown}");
}

#[test]
fn all_mistakes_are_shown_at_once() {
    let source = NOMAD.replace("custom.cpu", "custom.cpus").replace("job.id", "job.ids");
    let mistakes = Definition::read("nomad.yaml", &source).unwrap_err();
    assert_eq!(mistakes.list().len(), 4, "{mistakes}");
}

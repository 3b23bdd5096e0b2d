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
        ("version: 1", "version: one", "must be a whole number", ""),
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

const ACME: &str = include_str!("acme.yaml");

/// The mistakes of a small file with `from` replaced.
fn in_acme(from: &str, to: &str) -> String {
    assert!(ACME.contains(from), "the file has no {from:?}");
    let source = ACME.replacen(from, to, 1);
    match Definition::read("acme.yaml", &source) {
        Ok(_) => panic!("{to:?} is no mistake"),
        Err(mistakes) => mistakes.to_string(),
    }
}

#[test]
fn what_would_be_something_else_is_refused() {
    let request = "post: /jobs\n    headers: ";
    for (from, to, message, at) in [
        // Numbers that YAML reads as others.
        ("literal: '478'", "literal: 010", "a number does not begin with a zero", "010"),
        (
            "literal: '478'",
            "literal: 18446744073709551616",
            "the integer is larger than 64 bits",
            "18446744073709551616",
        ),
        // Headers that the client sets, or of which one would be lost.
        (
            "post: /jobs",
            &format!("{request}{{Cookie: a}}"),
            "the header `cookie` cannot be set",
            "",
        ),
        ("post: /jobs", &format!("{request}{{X-A: a, x-a: b}}"), "`x-a` is here twice", "x-a: b"),
        ("post: /jobs", &format!("{request}{{a: \"b\\nc: d\"}}"), "cannot have this value", "\"b"),
        ("post: /jobs", "post: \"/a\\tb\"", "no tabs and line breaks", ""),
        // URLs that are none, or have what belongs elsewhere.
        ("=settings.address ~ '/v1'", "\"https://\"", "is not a URL", ""),
        (
            "=settings.address ~ '/v1'",
            "\"https://u:p@acme.example\"",
            "must not contain credentials",
            "",
        ),
        (
            "=settings.address ~ '/v1'",
            "\"https://acme.example?a=b\"",
            "parameters are in `query`",
            "",
        ),
        ("=settings.address ~ '/v1'", "\"$address\"", "must be a URL", ""),
        // Jobs that would all be one.
        ("job: {id: =body.id}", "job: {id: fixed}", "all jobs would have the same ids", ""),
        ("enum: [small, large]", "enum: []", "an enum has at least one value", "[]"),
    ] {
        let shown = in_acme(from, to);
        assert!(shown.contains(message), "{to:?}: {shown}");
        assert!(shown.contains("--> acme.yaml:") && shown.contains('^'), "{to:?}: {shown}");
        assert!(shown.contains(at), "{to:?}: {shown}");
    }
}

#[test]
fn a_header_is_set_once() {
    let file = ACME.replace("{field: requestId}", "{header: X-Key}");
    let file = file.replace("post: /jobs", "post: /jobs\n    headers: {x-key: fixed}");
    let shown = Definition::read("acme.yaml", &file).unwrap_err().to_string();
    assert!(shown.contains("the request has this header already"), "{shown}");

    let auth = "{header: {name: X-Token, secret: acme_token}}";
    let file = ACME.replace("{bearer: {secret: acme_token}}", auth);
    let file = file.replace("post: /jobs", "post: /jobs\n    headers: {x-token: mine}");
    let shown = Definition::read("acme.yaml", &file).unwrap_err().to_string();
    assert!(shown.contains("the header `x-token` cannot be set"), "{shown}");
}

#[test]
fn an_example_is_a_task_of_the_plugin() {
    for (example, message) in [
        ("{custom: {scirpt: a}}", "custom.scirpt: unknown field; did you mean script?"),
        ("{custom: {}}", "custom.script: missing"),
        ("{custom: {script: 7}}", "custom.script: must be a string, not a number"),
        ("{customs: {script: a}}", "unknown key `customs`"),
        ("{custom: {script: =settings.address}}", "unknown name `settings`"),
        ("[a]", "an example is a mapping"),
    ] {
        let shown = in_acme("{custom: {script: report.py}}", example);
        assert!(shown.contains(message) && shown.contains("--> acme.yaml:"), "{example}: {shown}");
    }
}

#[test]
fn what_a_browser_would_not_open_as_a_page_is_no_link() {
    for link in
        ["javascript:alert(1)", "'data:text/html,x'", "s3://bucket/key", "/jobs", "' https://a'"]
    {
        let shown =
            in_acme("{Acme: 'https://acme.example/${job.id}'}", &format!("{{Acme: {link}}}"));
        assert!(shown.contains("a link begins with https://"), "{link}: {shown}");
        assert!(shown.contains("--> acme.yaml:") && shown.contains('^'), "{link}: {shown}");
    }
}

#[test]
fn names_that_are_too_long_are_refused() {
    let long = "x".repeat(129);
    for (from, to, message) in [
        ("name: acme", format!("name: {}", &long[..64]), "a plugin's name has at most 63 letters"),
        ("acme_job:0", format!("{long}:0"), "a name has letters, digits, -, _ and ., 128 at most"),
    ] {
        let shown = in_acme(from, &to);
        assert!(shown.contains(message) && shown.contains("--> acme.yaml:"), "{shown}");
    }
}

#[test]
fn an_operation_of_aws_has_no_form() {
    const ATHENA: &str = include_str!("../examples/athena.yaml");
    let source = ATHENA.replacen("    json:", "    form: {a: b}\n    json:", 1);
    let shown = Definition::read("athena.yaml", &source).unwrap_err().to_string();
    assert!(shown.contains("`json` or `form`, not both"), "{shown}");
    let source = ATHENA.replacen(
        "{call: StopQueryExecution, json: ",
        "{call: StopQueryExecution, form: ",
        1,
    );
    assert_ne!(source, ATHENA);
    let shown = Definition::read("athena.yaml", &source).unwrap_err().to_string();
    assert!(shown.contains("an operation that is called by its name has `json`"), "{shown}");
    assert!(shown.contains("--> athena.yaml:"), "{shown}");
}

#[test]
fn tags_have_no_meaning() {
    for (from, to, tag) in [
        ("literal: '478'", "literal: !secret acme", "`!secret`"),
        ("literal: '478'", "literal: !!python/object x", "python/object"),
        ("{script: report.py}", "!task {script: report.py}", "`!task`"),
        ("[acme_job:0]", "!set [acme_job:0]", "`!set`"),
        ("{bearer: {secret: acme_token}}", "!bearer {secret: acme_token}", "`!bearer`"),
        ("script: =custom.script", "!x script: =custom.script", "`!x`"),
    ] {
        let shown = in_acme(from, to);
        assert!(shown.contains("the tag `") && shown.contains(tag), "{to}: {shown}");
        assert!(shown.contains("has no meaning here") && shown.contains('^'), "{to}: {shown}");
        assert!(!shown.contains("acme.yaml:1:1"), "{to}: {shown}");
    }
    let source = ACME.replace("literal: '478'", "literal: !!str 478");
    assert!(Definition::read("acme.yaml", &source).is_ok());
}

#[test]
fn an_expression_that_never_has_a_value_is_refused() {
    for (from, to, message, at) in [
        ("literal: '478'", "literal: =9**9**9", "has no value", "=9**9**9"),
        ("literal: '478'", "literal: \"='abc'[::0]\"", "has no value", "'abc'[::0]"),
        ("post: /jobs", "post: \"/a/${'..'}\"", "\"..\" cannot be a part of a path", "${'..'}"),
        ("post: /jobs", "post: \"/a/${''}/b\"", "\"\" cannot be a part of a path", "${''}"),
        ("message: =body.why", "message: \"a ${[1]}\"", "must be a string, a number", "${[1]}"),
    ] {
        let shown = in_acme(from, to);
        assert!(shown.contains(message) && shown.contains(at), "{to}: {shown}");
        assert!(shown.contains("--> acme.yaml:") && shown.contains('^'), "{to}: {shown}");
    }
}

#[test]
fn limits_are_numbers_and_times() {
    for (limits, message) in [
        ("{creates: 0}", "must be at least 1"),
        ("{creates: many}", "must be a whole number"),
        ("{upstream_timeout: 10}", "is not a duration such as 90s"),
        ("{upstream_timeout: 0s}", "must be greater than zero"),
        ("{upstream_concurency: 4}", "did you mean `upstream_concurrency`?"),
        ("{task_types: {acme_jbo: {creates: 1}}}", "did you mean `acme_job`?"),
        ("{task_types: {'acme_job:0': {creates: 1}}}", "did you mean `acme_job`?"),
        ("{task_types: {acme_job: {creates: 0}}}", "must be at least 1"),
        ("{task_types: {acme_job: {upstream_timeout: soon}}}", "is not a duration such as 90s"),
        ("{task_types: {acme_job: {create: 1}}}", "did you mean `creates`?"),
    ] {
        let shown = in_acme("version: 1\n", &format!("version: 1\nlimits: {limits}\n"));
        assert!(shown.contains(message) && shown.contains("--> acme.yaml:2:"), "{limits}: {shown}");
    }
}

#[test]
fn what_yaml_says_is_said_in_plain_words() {
    for (from, to, message, place) in [
        (
            "{bearer: {secret: acme_token}}",
            "bearer",
            "`bearer` must be a mapping",
            "write {bearer:",
        ),
        ("{field: requestId}", "header", "`header` must be a mapping", "write {header:"),
        ("{field: requestId}", "{field: a, header: b}", "only one of these is possible", ""),
        ("  idempotency: {field: requestId}\n", "", "`idempotency` is missing", ""),
        ("job: {id: =body.id}", "job: =body.id", "must be a mapping", ""),
        ("[acme_job:0]", "acme_job:0", "must be a list", ""),
        ("literal: '478'", "literal: *nowhere", "there is no such anchor before", ""),
    ] {
        let shown = in_acme(from, to);
        assert!(shown.contains(message) && shown.contains(place), "{to:?}: {shown}");
        assert!(shown.contains("--> acme.yaml:") && shown.contains('^'), "{to:?}: {shown}");
    }
}

#[test]
fn anchors_that_stand_for_more_than_a_file_may_have_are_refused() {
    let mut lines = "literal:\n        b0: &b0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..8 {
        let alias = format!("*b{}", level - 1);
        let list = [alias.as_str(); 10].join(", ");
        lines += &format!("        b{level}: &b{level} [{list}]\n");
    }
    let shown = in_acme("literal: '478'", &lines);
    assert!(shown.contains("its anchors stand for too much"), "{shown}");
    for deep in [
        format!("literal: {}{}", "[".repeat(500), "]".repeat(500)),
        "literal: &j {<<: *j}".to_owned(),
        format!("literal: \"={}1{}\"", "(".repeat(900), ")".repeat(900)),
    ] {
        let shown = in_acme("literal: '478'", &deep);
        assert!(shown.contains("--> acme.yaml:"), "{deep:?}: {shown}");
    }
}

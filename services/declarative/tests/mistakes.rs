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
        ("{custom: {script: =settings.address}}", "plugin.example: must have no expressions"),
        ("{custom: {script: =1//0}}", "plugin.example: must have no expressions"),
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
}

#[test]
fn tags_of_yaml_itself_have_no_meaning_either() {
    for (from, to, message) in [
        ("literal: '478'", "literal: !!binary aGVsbG8=", "the tag `!!binary` has no meaning here"),
        ("literal: '478'", "literal: !!null acme", "the tag `!!null` has no meaning here"),
        ("literal: '478'", "literal: !!str 478", "the tag `!!str` has no meaning here"),
        ("literal: '478'", "literal: ! 478", "the tag `!` has no meaning here"),
        (
            "literal: '478'",
            "literal: !<tag:yaml.org,2002:int> 4",
            "the tag `!<tag:yaml.org,2002:int>`",
        ),
        (
            "version: 1\n",
            "%TAG ! tag:acme.example,2026:\n---\nversion: 1\n",
            "`%TAG` has no meaning",
        ),
        ("version: 1\n", "%TAG !a! tag:a,2026:\n---\nversion: !a!int 1\n", "`%TAG` has no meaning"),
    ] {
        let shown = in_acme(from, to);
        assert!(shown.contains(message), "{to}: {shown}");
        assert!(shown.contains("--> acme.yaml:") && shown.contains('^'), "{to}: {shown}");
    }
    // In text, they are what they are.
    for text in ["'!!binary a'", "\"!x %TAG\"", "|\n        !!null\n        %TAG"] {
        let source = ACME.replace("literal: '478'", &format!("literal: {text}"));
        assert!(Definition::read("acme.yaml", &source).is_ok(), "{text}");
    }
}

#[test]
fn keys_that_are_the_same_as_text_are_refused() {
    for (from, to) in [
        ("literal: '478'", "literal: {1: a, '1': b}"),
        ("waiting: queued", "1: queued\n    '1': running"),
    ] {
        let shown = in_acme(from, to);
        assert!(shown.contains("is here twice") && shown.contains('^'), "{to}: {shown}");
        assert!(
            shown.contains("--> acme.yaml:") && !shown.contains("acme.yaml:1:1"),
            "{to}: {shown}"
        );
    }
}

#[test]
fn lines_that_end_with_a_carriage_return_alone_are_refused() {
    let source = ACME.replace('\n', "\r");
    let shown = Definition::read("acme.yaml", &source).unwrap_err().to_string();
    assert!(shown.contains("a carriage return alone ends no line"), "{shown}");
    assert!(shown.contains("--> acme.yaml:1:11"), "{shown}");
    assert!(Definition::read("acme.yaml", &ACME.replace('\n', "\r\n")).is_ok());
}

#[test]
fn a_constant_is_of_the_kind_that_its_place_needs() {
    let scalar = "must be a string, a number or a truth value";
    for (from, to, message, help, at) in [
        ("state: =body.state", "state: =[1]", "get.state: ", scalar, "=[1]"),
        ("state: =body.state", "state: =none", "get.state: ", "not null", "=none"),
        (
            "state: =body.state",
            "found: =5\n  state: =body.state",
            "get.found: must be true or false, not a number",
            "",
            "=5",
        ),
        (
            "state: =body.state",
            "found: =none\n  state: =body.state",
            "get.found: must be true or false, not null",
            "",
            "=none",
        ),
        (
            "message: =body.why}",
            "throttled: \"=5\"}",
            "errors.throttled: must be true or false, not a number",
            "",
            "\"=5\"",
        ),
        (
            "[ALREADY_ENDED]",
            "\"='a'\"",
            "delete.ended: must be true or false, not a string",
            "",
            "\"='a'\"",
        ),
        (
            "done: succeeded",
            "done: \"='succeded'\"",
            "unknown phase `succeded`",
            "did you mean `succeeded`?",
            "'succeded'",
        ),
        (
            "done: succeeded",
            "done: \"='Succeeded'\"",
            "unknown phase `Succeeded`",
            "did you mean `succeeded`?",
            "'Succeeded'",
        ),
        (
            "done: succeeded",
            "done: =none",
            "get.states.done: must be a phase, not null",
            "",
            "=none",
        ),
        ("done: succeeded", "done: =7", "get.states.done: must be a phase, not a number", "", "=7"),
        ("job: {id: =body.id}", "job: {id: =none}", "create.job.id: has no value", "", "=none"),
        ("job: {id: =body.id}", "job: {id: ''}", "create.job.id: has no value", "", "id: ''"),
        (
            "job: {id: =body.id}",
            "job: {id: \"='fixed'\"}",
            "all jobs would have the same ids",
            "",
            "fixed",
        ),
        ("full: true", "full: [1, 2]", "query.full: ", "not a list", "[1, 2]"),
        ("full: true", "full: [=job.id]", "query.full: ", "not a list", "[=job.id]"),
        ("full: true", "full: {a: 1}", "query.full: ", "not an object", "{a: 1}"),
        ("full: true", "full: \"=[1]\"", "query.full: ", "not a list", "\"=[1]\""),
        (
            "post: /jobs\n",
            "post: /jobs\n    headers: {a: [b]}\n",
            "headers.a: ",
            "not a list",
            "[b]",
        ),
        (
            "post: /jobs\n",
            "post: /jobs\n    headers: {a: \"='b\\nc'\"}\n",
            "a header cannot have this value",
            "",
            "b",
        ),
        ("post: /jobs\n    json:", "post: /jobs\n    form:", "form.tags: ", "not a list", "[a]"),
        ("{x-client: flyte}", "{x-client: \"a\\nb\"}", "a header cannot have this value", "", "a"),
        ("=settings.address ~ '/v1'", "\"='nowhere'\"", "is not a URL", "", "nowhere"),
        ("=settings.address ~ '/v1'", "=none", "upstream.base: has no value", "", "=none"),
        (
            "'https://acme.example/${job.id}'",
            "\"='javascript:alert(1)'\"",
            "a link begins with https://",
            "",
            "javascript",
        ),
        (
            "script: =custom.script\n",
            "script: =short_key('x', 5.5)\n",
            "short_key takes 20 to 64 digits",
            "",
            "5.5",
        ),
        (
            "script: =custom.script\n",
            "script: =short_key('x', '40')\n",
            "short_key takes 20 to 64 digits",
            "",
            "'40'",
        ),
        ("target: =custom.script", "target: =none", "create.target: has no value", "", "=none"),
    ] {
        let from_form = from.ends_with("json:");
        let source = ACME.replacen(from, to, 1);
        let source =
            if from_form { source.replace("tags: =custom.tags", "tags: [a]") } else { source };
        let shown = match Definition::read("acme.yaml", &source) {
            Ok(_) => panic!("{to:?} is no mistake"),
            Err(mistakes) => mistakes.to_string(),
        };
        assert!(shown.contains(message) && shown.contains(help), "{to:?}: {shown}");
        assert!(shown.contains("--> acme.yaml:") && shown.contains('^'), "{to:?}: {shown}");
        assert!(shown.contains(at), "{to:?}: {shown}");
    }
}

#[test]
fn a_constant_of_a_list_or_a_call_is_checked() {
    let lookup = |items: &str, is_it: &str| {
        let lookup =
            format!("{{lookup: {{request: {{get: /jobs}}, items: {items}, match: {is_it}}}}}");
        in_acme("{field: requestId}", &lookup)
    };
    let shown = lookup("=5", "=item.key == key");
    assert!(
        shown.contains("create.idempotency.lookup.items: must be a list, not a number"),
        "{shown}"
    );
    let shown = lookup("=body", "=key");
    assert!(
        shown.contains("create.idempotency.lookup.match: must be true or false, not a string"),
        "{shown}"
    );

    const LAMBDA: &str = include_str!("../examples/aws-lambda.yaml");
    let line = LAMBDA.lines().find(|line| line.trim().starts_with("phase:")).unwrap();
    for (phase, message) in
        [("'running'", "must be a phase that ends a task"), ("'faild'", "unknown phase `faild`")]
    {
        let source = LAMBDA.replacen(line, &format!("  phase: \"={phase}\""), 1);
        let shown = Definition::read("lambda.yaml", &source).unwrap_err().to_string();
        assert!(shown.contains(message) && shown.contains("--> lambda.yaml:"), "{shown}");
    }
    const ATHENA: &str = include_str!("../examples/athena.yaml");
    for (from, to, message) in [
        (
            "items: =body.QueryExecutions",
            "items: \"='a'\"",
            "get.many.items: must be a list, not a string",
        ),
        (
            "id: =item.QueryExecutionId",
            "id: =[1]",
            "get.many.id: must be a string, a number or a truth value",
        ),
    ] {
        assert!(ATHENA.contains(from), "{from}");
        let source = ATHENA.replacen(from, to, 1);
        let shown = Definition::read("athena.yaml", &source).unwrap_err().to_string();
        assert!(shown.contains(message), "{shown}");
    }
}

#[test]
fn a_default_has_no_expressions() {
    for (from, to, name) in [
        ("default: small", "default: \"='small'\"", "custom.size.default"),
        ("default: small", "default: \"${'small'}\"", "custom.size.default"),
        ("default: small", "default: =1//0", "custom.size.default"),
        ("{type: list, items: string}", "{type: list, default: [a, =key]}", "custom.tags.default"),
        ("type: integer, default: 2", "type: integer, default: =1+1", "settings.retries.default"),
    ] {
        let source = ACME.replacen(from, to, 1);
        let mistakes = Definition::read("acme.yaml", &source).unwrap_err();
        let shown = mistakes.to_string();
        assert!(shown.contains(&format!("{name}: must have no expressions")), "{to}: {shown}");
        assert_eq!(mistakes.list().len(), 1, "{to}: {shown}");
    }
    let source = ACME
        .replacen("default: small", "default: '$${x}'", 1)
        .replace(", enum: [small, large]", "");
    assert!(Definition::read("acme.yaml", &source).is_ok());
}

#[test]
fn the_example_is_rendered_before_the_start() {
    let division = "retries: =9 // (inputs.n - 2)";
    for (from, to, message) in [
        (
            "{script: report.py}}",
            "{script: report.py}, inputs: {n: 2}}",
            "create.request.json: `9 // (inputs.n - 2)`",
        ),
        (
            "{script: report.py}}",
            "{script: report.py}}",
            "create.request.json: `9 // (inputs.n - 2)`",
        ),
    ] {
        let source = ACME.replacen("retries: =settings.retries", division, 1).replacen(from, to, 1);
        let shown = Definition::read("acme.yaml", &source).unwrap_err().to_string();
        assert!(shown.contains(message) && shown.contains("the file's example"), "{to}: {shown}");
        assert!(
            shown.contains("= 9 // (inputs") || shown.contains("=9 // (inputs"),
            "{to}: {shown}"
        );
    }
    let source = ACME.replacen(
        "script: =custom.script\n",
        "script: =custom.script\n      statement: =sql\n",
        1,
    );
    let shown = Definition::read("acme.yaml", &source).unwrap_err().to_string();
    assert!(shown.contains("plugin.example: `sql` is missing"), "{shown}");
    let source = ACME.replacen("post: /jobs", "post: '/${inputs.cluster}/jobs'", 1);
    let shown = Definition::read("acme.yaml", &source).unwrap_err().to_string();
    assert!(shown.contains("create.request.path: a part of it has no value"), "{shown}");
}

#[test]
fn what_only_the_operators_settings_decide_is_no_mistake() {
    for expression in ["=9 // (settings.address | length - 8)", "=settings.address | from_json"] {
        let source = ACME.replacen("literal: '478'", &format!("literal: {expression}"), 1);
        if let Err(mistakes) = Definition::read("acme.yaml", &source) {
            panic!("{expression}: {mistakes}");
        }
    }
    // A file without an example is one whose tasks nobody knows.
    let source = ACME.replacen("  example: {custom: {script: report.py}}\n", "", 1);
    assert!(Definition::read("acme.yaml", &source).is_ok());
}

#[test]
fn an_expression_that_never_has_a_value_is_refused() {
    for (from, to, message, at) in [
        ("literal: '478'", "literal: =9**9**9", "has no value", "=9**9**9"),
        ("literal: '478'", "literal: \"='abc'[::0]\"", "the step of a slice", "'abc'[::0]"),
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
        ("{creates: 0}", "must be from 1 to 2305843009213693951"),
        ("{creates: 18446744073709551615}", "must be from 1 to 2305843009213693951"),
        ("{creates: many}", "must be a whole number"),
        ("{upstream_timeout: 10}", "is not a duration such as 90s"),
        ("{upstream_timeout: 0s}", "must be greater than zero"),
        ("{upstream_concurency: 4}", "did you mean `upstream_concurrency`?"),
        ("{task_types: {acme_jbo: {creates: 1}}}", "did you mean `acme_job`?"),
        ("{task_types: {'acme_job:0': {creates: 1}}}", "did you mean `acme_job`?"),
        ("{task_types: {acme_job: {creates: 0}}}", "must be from 1 to"),
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

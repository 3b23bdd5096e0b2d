use plugin_core::serde_json::json;

use super::*;

fn names() -> Names {
    Names::default()
        .any("body")
        .only("custom", &["n", "id", "tags"])
        .scalar("key")
        .scalar(SHORT_KEY)
}

fn compile(source: &str) -> Result<Expr, Mistake> {
    let (place, file) = file(source);
    Expr::compile(source, place, &file, &names())
}

/// A file that is `text`, and the place of all of it.
fn file(text: &str) -> (Place, Arc<Source>) {
    let source = Source { name: "a.yaml".to_owned(), text: text.to_owned() };
    (Place { start: 0, end: text.len() }, Arc::new(source))
}

fn scope() -> Scope {
    let custom = json!({"n": 3, "id": "0478", "tags": ["a", "b"]});
    let body = json!({"state": "DONE", "output": "{\"rows\": 7}", "list": [], "null": null, "is": "a part", "arn": "a:x:b"});
    Scope::default()
        .with("custom", custom)
        .with("body", body)
        .with("key", "k")
        .with_value(SHORT_KEY, short_key("0123456789".repeat(7)[..64].to_owned()))
}

fn eval(source: &str) -> Option<Json> {
    compile(source).unwrap().eval(&scope()).unwrap()
}

#[test]
fn values_keep_their_types() {
    for (source, expected) in [
        ("custom.n", json!(3)),
        ("custom.n + 1", json!(4)),
        ("custom['n'] + (body['x-y'] | default(1))", json!(4)),
        ("custom.n * 60 - 2 ** 3", json!(172)),
        ("custom.id", json!("0478")),
        ("custom.tags", json!(["a", "b"])),
        ("custom.n > 2 and body.state in ['DONE', 'OK']", json!(true)),
        ("'yes' if body.list | length == 0 else 'no'", json!("yes")),
        ("(body.output | from_json).rows", json!(7)),
        ("body.arn | replace(':x:', ':y:') ~ '/' ~ custom.n", json!("a:y:b/3")),
        ("body.missing.deep | default('none')", json!("none")),
        ("custom.tags | join('-')", json!("a-b")),
        ("([{'a': 1, 'b': 2}, {'a': 3}, 7] | where('a', 3) | first).a", json!(3)),
        ("body.none | where('a', 3)", json!([])),
        ("'a/b' | split('/') | last", json!("b")),
        ("{'a': custom.n}", json!({"a": 3})),
        ("body.is", json!("a part")),
        ("(body.null | default('x')) ~ (body.null.deep | default('y'))", json!("xy")),
        ("not (custom.n == 4) and (custom.n) >= 3", json!(true)),
        ("[1, 2.5, none, {'1': 'a', 'b': [true]}]", json!([1, 2.5, null, {"1": "a", "b": [true]}])),
        ("{'a': 1} | merge({'b': key})", json!({"a": 1, "b": "k"})),
        ("body.none | merge({'b': key})", json!({"b": "k"})),
        ("short_key('flyte-', 26)", json!("flyte-01234567890123456789012345")),
    ] {
        assert_eq!(eval(source), Some(expected), "{source}");
    }
    assert_eq!(eval("body.missing"), None);
    assert_eq!(eval("custom.n | default(none) if false else none"), None);
}

#[test]
fn unknown_names_are_found_before_anything_is_evaluated() {
    for (source, message, help, at) in [
        ("custom.nn", "unknown name `custom.nn`", "did you mean `custom.n`?", 0),
        ("custom['nn'] + 1", "unknown name `custom.nn`", "did you mean `custom.n`?", 0),
        ("1 + bodi.x", "unknown name `bodi`", "did you mean `body`?", 4),
        ("custom.nn[1:]", "unknown name `custom.nn`", "did you mean `custom.n`?", 0),
        ("(bodi.x | split(','))[:2]", "unknown name `bodi`", "did you mean `body`?", 1),
        ("key.x", "`key` has no parts: `key.x`", "", 0),
        ("body.x | defualt('')", "unknown function `defualt`", "did you mean `default`?", 9),
        ("body.x is defned", "unknown test `defned`", "did you mean `defined`?", 10),
        ("body.x.upper()", "values have no methods: `upper`", "functions are:", 7),
        ("range(10)", "`range` is no function", "functions are:", 0),
        ("body['x']()", "`]` is no function", "functions are:", 8),
        ("key(1)", "`key` is no function", "functions are:", 0),
        ("short_key", "`short_key` takes 2 arguments, not 0", "write for example", 0),
        ("short_key('a')", "`short_key` takes 2 arguments, not 1", "write for example", 0),
        ("short_key('a', 8)", "short_key takes 20 to 64 digits", "", 15),
        ("body.x | replace('a')", "`replace` takes 2 arguments, not 1", "", 9),
        ("body.x | replace", "`replace` takes 2 arguments, not 0", "", 9),
        ("body.x | join(',', [1, 2])", "`join` takes at most one argument, not 2", "", 9),
        ("body.x | default(value=1)", "arguments have no names here", "", 17),
        ("body.x | default.y", "`default` has no parts", "write (value | function).part", 9),
        ("body.x is string(1)", "`string` takes no arguments, not 1", "", 10),
        ("body.x ==", "the expression cannot be read: ", "", 7),
        ("", "the expression is empty", "", 0),
    ] {
        let mistake = compile(source).unwrap_err();
        assert!(mistake.message.starts_with(message), "{source}: {}", mistake.message);
        assert!(mistake.help.unwrap_or_default().starts_with(help), "{source}");
        assert_eq!(mistake.place.start, at, "{source}");
    }
}

#[test]
fn text_takes_scalars_alone() {
    let text = |text: &str| {
        let (place, file) = file(text);
        Text::compile(text, place, &file, &names()).unwrap().eval(&scope())
    };
    assert_eq!(text("jobs-${custom.n}-${'}' ~ key}").unwrap().unwrap(), "jobs-3-}k");
    assert_eq!(text("costs $${custom.n} and $5").unwrap().unwrap(), "costs ${custom.n} and $5");
    assert_eq!(text("=custom.id").unwrap().unwrap(), "0478");
    assert_eq!(text("=body.missing").unwrap(), None);
    assert_eq!(text("a${body.missing}").unwrap_err().to_string(), "`body.missing`: has no value");
    let error = text("a ${custom.tags}").unwrap_err().to_string();
    assert_eq!(error, "`custom.tags`: must be a string, a number or a truth value here");
}

#[test]
fn an_evaluation_is_bounded() {
    let error = |source: &str| compile(source).unwrap().eval(&scope()).unwrap_err().to_string();
    assert!(error("(custom.id ~ 'x' * 90000) | replace('x', 'y' * 90)").contains("4 MiB"));
    let unbounded = compile("custom.id * custom.n").unwrap_err();
    assert_eq!(unbounded.message, "one side of `*` must be a number that is written out");
    for source in [
        "[custom.id] * 2",
        "[[[1]*1000]*1000] == [[[1]*1000]*1000]",
        "2 * ([1] | default(1))",
        "{'a': [1]}.a * 2",
        "{'a': [1]}['a'] * 2",
        "'a' in [1] * 2",
    ] {
        let refused = compile(source).unwrap_err();
        assert_eq!(
            refused.message, "`*` is for numbers and strings: it repeats no list",
            "{source}"
        );
    }
    for source in ["[custom.n * 2]", "custom['n'] * 2", "2 * custom.n + [1] | length"] {
        compile(source).unwrap();
    }
    for (source, reason) in [
        ("short_key('x', custom.n)", "20 to 64 digits"),
        ("custom.tags * 9000000", "larger than 32 MiB"),
        ("(custom.tags * 9000000) | join", "over 200000 items"),
        ("[custom.tags * 9000000] | join", "larger than 32 MiB"),
        ("(custom.tags * 9000000) | to_json", "larger than 32 MiB"),
        ("(custom.tags * 9000000) | where('state', 'DONE')", "over 200000 items"),
        ("custom.id * 99999999", "takes more steps or memory than an expression may"),
        ("custom.n * 1e999", "the number is too large"),
        ("{'a': [custom.n * 1e999 - 1e999]}", "the number is too large"),
    ] {
        let error = error(source);
        assert!(error.contains(reason), "{source}: {error}");
    }
}

#[test]
fn what_is_the_same_for_every_task_is_evaluated_before_there_is_one() {
    for (source, reason) in [
        ("9**9**9", "has no value: "),
        ("1e999", "has no value: the number is too large"),
        ("'x' | from_json", "has no value: the string is not JSON"),
    ] {
        let mistake = compile(source).unwrap_err();
        assert!(mistake.message.starts_with(reason), "{source}: {}", mistake.message);
        assert_eq!(mistake.place, Place { start: 0, end: source.len() }, "{source}");
    }
    for source in ["none", "8 ** 2", "{'a': [1, none]}", "'a,b' | split(',') | last"] {
        assert!(compile(source).is_ok(), "{source}");
    }
    let (place, file) = file("a${[1]}");
    let mistake = Text::compile("a${[1]}", place, &file, &names()).unwrap_err();
    assert_eq!(mistake.message, "`[1]`: must be a string, a number or a truth value here");
    assert_eq!(mistake.place.start, 3);
}

#[test]
fn an_error_knows_where_its_expression_is() {
    let file =
        Source { name: "a.yaml".to_owned(), text: "a: 1\nb: =9 // (custom.n - 3)\n".to_owned() };
    let place = Place { start: 8, end: file.text.len() };
    let expr = Expr::compile("9 // (custom.n - 3)", place, &Arc::new(file), &names());
    let error = expr.unwrap().eval(&scope()).unwrap_err().within("create.job.id");
    assert!(error.to_string().starts_with("create.job.id: `9 // (custom.n - 3)`: "), "{error}");
    assert!(!error.to_string().contains("a.yaml"), "{error}");
    assert!(error.located().ends_with("\n  --> a.yaml:2:5"), "{}", error.located());
}

#[test]
fn the_step_of_a_slice_is_written_out() {
    for source in [
        "'abc'[::0]",
        "'abc'[::-9223372036854775808]",
        "'abc'[::9223372036854775808]",
        "custom.tags[::custom.n]",
        "custom.tags[0:1:(1)]",
        "[custom.tags[1:][::-custom.n]]",
        "body.x[{'a': 1}.a::1.5]",
    ] {
        let mistake = compile(source).unwrap_err();
        let message = "the step of a slice must be a number other than 0 that is written out";
        assert_eq!(mistake.message, message, "{source}");
    }
    for (source, expected) in [
        ("'abc'[::-1]", "cba"),
        ("'abcd'[::2]", "ac"),
        ("'abc'[-9223372036854775808:9223372036854775807:1]", "abc"),
        ("'abc'[1:]", "bc"),
        ("'abc'[:custom.n - 1]", "ab"),
        ("{'a': 'xyz'}['a'][::]", "xyz"),
    ] {
        assert_eq!(eval(source), Some(json!(expected)), "{source}");
    }
}

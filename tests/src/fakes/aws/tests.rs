//! The checker finds what AWS would refuse.

use super::*;

/// What the checker says about `input` of `operation`: code and message of the problems.
fn problems(model: &Model, operation: &str, input: &Value) -> Vec<String> {
    let shape = &model.operation(operation).unwrap().input;
    shape::check(model, shape, input).into_iter().map(|problem| problem.message).collect()
}

#[test]
fn requests_that_fit_have_no_problems() {
    let redshift = Model::redshift_data();
    let input = json!({
        "Sql": "SELECT :x", "WorkgroupName": "sales", "Database": "dev", "ClientToken": "a".repeat(64),
        "Parameters": [{"name": "x", "value": "1"}],
    });
    assert_eq!(problems(redshift, "ExecuteStatement", &input), [""; 0]);
    let input = json!({"QueryString": "SELECT 'ü𝄞'", "ClientRequestToken": "a".repeat(64)});
    assert_eq!(problems(Model::athena(), "StartQueryExecution", &input), [""; 0]);
}

#[test]
fn each_rule_of_a_model_is_checked() {
    let model = Model::redshift_data();
    for (operation, input, expected) in [
        (
            "ExecuteStatement",
            json!({}),
            "Value null at 'sql' failed to satisfy constraint: Member must not be null",
        ),
        ("ExecuteStatement", json!({"Sql": "x", "Statement": 1}), "'statement': no such member"),
        ("ExecuteStatement", json!({"Sql": 1}), "'sql': 1 is no string"),
        (
            "ExecuteStatement",
            json!({"Sql": "x", "ClientToken": "a".repeat(65)}),
            "less than or equal to 64",
        ),
        (
            "ExecuteStatement",
            json!({"Sql": "x", "ClusterIdentifier": "A"}),
            "regular expression pattern: [a-z]",
        ),
        ("ExecuteStatement", json!({"Sql": "x", "WithEvent": "true"}), "\"true\" is no boolean"),
        (
            "ExecuteStatement",
            json!({"Sql": "x", "WaitTimeSeconds": 31}),
            "value less than or equal to 30",
        ),
        (
            "ExecuteStatement",
            json!({"Sql": "x", "Parameters": []}),
            "length greater than or equal to 1",
        ),
        (
            "ExecuteStatement",
            json!({"Sql": "x", "Parameters": [{"name": "a", "value": ""}]}),
            "at 'parameters.1.member.value' failed to satisfy constraint: Member must have length greater",
        ),
        (
            "BatchExecuteStatement",
            json!({"Sqls": vec!["x"; 41]}),
            "length less than or equal to 40",
        ),
        (
            "BatchExecuteStatement",
            json!({"Sqls": ["x"], "ExecutionMode": "auto"}),
            "enum value set: [TRANSACTION, AUTO_COMMIT]",
        ),
        ("DescribeStatement", json!({"Id": "x"}), "regular expression pattern"),
    ] {
        let found = problems(model, operation, &input);
        assert!(found.len() == 1 && found[0].contains(expected), "{input}: {found:?}");
    }
}

#[test]
fn patterns_of_java_are_read() {
    let input =
        |catalog: &str| json!({"QueryString": "x", "QueryExecutionContext": {"Catalog": catalog}});
    let model = Model::athena();
    assert_eq!(problems(model, "StartQueryExecution", &input("AwsDataCatalog𝄞")), [""; 0]);
    assert_eq!(problems(model, "StartQueryExecution", &input("a\u{1}")).len(), 1);
}

#[test]
fn what_a_pattern_refuses_at_the_beginning_is_found() {
    let model = Model::sagemaker_runtime();
    for (member, text, is_fit) in [
        ("Filename", "a.csv", true),
        ("Filename", "a.b.csv", false),
        ("S3OutputPathExtension", "a/b", true),
        ("S3OutputPathExtension", "s3:a", false),
        ("InferenceId", "a b", true),
        ("InferenceId", " a", false),
        ("InferenceId", "aü", false),
    ] {
        let input = json!({"EndpointName": "orders", member: text});
        let found = problems(model, "InvokeEndpointAsync", &input);
        assert_eq!(found.is_empty(), is_fit, "{member} {text}: {found:?}");
    }
}

#[test]
fn an_unsigned_request_is_a_breach_and_a_foreign_key_is_not() {
    let checker = Checker::new(Model::redshift_data(), &["eu-central-1"]);
    let uri = Uri::from_static("/");
    let mut headers = HeaderMap::new();
    let check = |headers: &HeaderMap| {
        checker
            .check(Received { method: &Method::POST, uri: &uri, headers, body: b"{}" })
            .unwrap_err()
            .status()
    };
    assert_eq!(check(&headers), 400);
    assert_eq!(checker.breaches().len(), 1);
    headers.insert(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=A/b, SignedHeaders=host, Signature=c".parse().unwrap(),
    );
    headers.insert("x-amz-date", "20200101T000000Z".parse().unwrap());
    check(&headers);
    assert!(checker.breaches()[1].contains("not within five minutes"), "{:?}", checker.breaches());
}

#[test]
fn tags_of_awss_own_are_found() {
    for (input, found) in [
        (json!({"tags": {"a": "b", "aws:c": "d"}}), Some("aws:c")),
        (json!({"Tags": [{"Key": "AWS:c", "Value": "d"}]}), Some("AWS:c")),
        (json!({"Tags": [{"Key": "awsome", "Value": "aws:"}]}), None),
        (json!({}), None),
    ] {
        assert_eq!(reserved_tag(&input), found);
    }
}

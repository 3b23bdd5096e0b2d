use plugin_core::{Type, jiff::SignedDuration, serde_json::json, task::Input};

use super::*;

fn inputs() -> Inputs {
    let values = [
        ("n", Value::Integer(3)),
        ("a_long_name_of_an_input", Value::Integer(3)),
        ("f", Value::Float(2.0)),
        ("half", Value::Float(0.5)),
        ("flag", Value::Boolean(true)),
        ("s", Value::String("a{inputs.n}{idempotence_token}".to_owned())),
        ("none", Value::Null),
        ("l", Value::List(vec![Value::String("x".to_owned())])),
        ("d", Value::Json(json!({"a": {"b": 7}}))),
        ("t", Value::Duration(SignedDuration::from_secs(90))),
        ("nan", Value::Float(f64::NAN)),
        ("nested", Value::List(vec![Value::Float(f64::INFINITY)])),
        ("long", Value::String("b".repeat(50))),
        ("idempotence_token", Value::String("0123456789abcdef".to_owned())),
    ];
    values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Input::new(value, Type::Unknown)))
        .collect()
}

fn rendered(config: &Json) -> Result<Json> {
    let images = [("main".to_owned(), "registry/x:1".to_owned())].into_iter().collect();
    let values = Values {
        inputs: &inputs(),
        images: &images,
        token: "9f86d081884c7d659a2f",
        longest: ("HyperParameterTuningJobName", 32),
    };
    values.render("custom.config", config.as_object().unwrap()).map(Json::from)
}

#[test]
fn a_whole_placeholder_has_the_type_of_its_input() {
    for (text, value) in [
        ("{inputs.n}", json!(3)),
        ("{inputs.f}", json!(2)),
        ("{inputs.half}", json!(0.5)),
        ("{inputs.flag}", json!(true)),
        ("{inputs.l}", json!(["x"])),
        ("{inputs.d}", json!({"a": {"b": 7}})),
        ("{inputs.d.a.b}", json!(7)),
        ("{inputs.t}", json!(90)),
        ("{images.main}", json!("registry/x:1")),
        ("{idempotence_token}", json!("9f86d081884c7d659a2f")),
    ] {
        assert_eq!(rendered(&json!({"A": [{"B": text}]})).unwrap(), json!({"A": [{"B": value}]}));
    }
}

#[test]
fn a_value_within_a_text_is_text_and_no_template() {
    let text = "s3://b/{inputs.s}/{inputs.n}-{inputs.flag}/{idempotence_token}";
    assert_eq!(
        rendered(&json!({"Uri": text})).unwrap()["Uri"],
        "s3://b/a{inputs.n}{idempotence_token}/3-True/9f86d081884c7d659a2f"
    );
    let error = rendered(&json!({"Uri": "s3://b/{inputs.l}"})).unwrap_err();
    assert!(error.message().starts_with("custom.config.Uri: a list or a dict"), "{error}");
}

#[test]
fn other_braces_stay() {
    for text in
        ["loss: ([0-9\\.]{2})", "{0.5}", "{inputs}", "{inputs.}", "{other}", "{", "}{", "{inputs.n"]
    {
        assert_eq!(rendered(&json!({"Regex": text})).unwrap()["Regex"], text);
    }
}

#[test]
fn an_unknown_placeholder_is_refused_by_field() {
    for (text, message) in [
        ("{inputs.x}", "custom.config.A.B: inputs.x: no such input"),
        ("{inputs.d.c}", "custom.config.A.B: {inputs.d.c}: the input has no such member"),
        ("{images.x}", "custom.config.A.B: {images.x}: custom.images has no \"x\""),
        ("{inputs.nan}", "custom.config.A.B: {inputs.nan}: JSON has no such number"),
        ("{inputs.nested}", "custom.config.A.B: {inputs.nested}: JSON has no such number"),
        ("x-{inputs.nan}", "custom.config.A.B: {inputs.nan}: JSON has no such number"),
    ] {
        let error = rendered(&json!({"A": {"B": text}})).unwrap_err();
        assert!(error.message().starts_with(message), "{error}");
    }
}

#[test]
fn members_without_a_value_are_left_out_and_maps_of_text_have_text() {
    let config = json!({
        "A": null, "B": "{inputs.none}",
        "HyperParameters": {"epochs": "{inputs.n}", "fast": "{inputs.flag}", "lr": 0.5, "x": "y"},
        "Count": 3.0,
    });
    let expected = json!({
        "HyperParameters": {"epochs": "3", "fast": "true", "lr": "0.5", "x": "y"}, "Count": 3,
    });
    assert_eq!(rendered(&config).unwrap(), expected);
}

#[test]
fn a_token_is_whole_where_names_may_be_longer_and_among_the_authors_own() {
    let long = format!("s3://{}/{{idempotence_token}}", "b".repeat(60));
    let whole = json!(format!("s3://{}/9f86d081884c7d659a2f", "b".repeat(60)));
    for map in MAPS_OF_TEXT {
        for member in ["RunName", "ModelName", "HyperParameterTuningJobName"] {
            let config = json!({"Definition": {map: {member: &long}}});
            let expected = json!({"Definition": {map: {member: &whole}}});
            assert_eq!(rendered(&config).unwrap(), expected);
        }
    }
    for member in
        ["ExperimentName", "RunName", "TrialComponentDisplayName", "MetricName", "MlflowRunName"]
    {
        let config = json!({"ExperimentConfig": {member: &long}});
        assert_eq!(rendered(&config).unwrap()["ExperimentConfig"][member], whole, "{member}");
    }
}

#[test]
fn a_token_is_cut_where_a_name_is_too_long() {
    let name = |member: &str, text: String| {
        rendered(&json!({ member: text })).map(|all| all[member].clone())
    };
    let long = "a".repeat(50);
    assert_eq!(
        name("ModelName", format!("{long}-{{idempotence_token}}")).unwrap(),
        format!("{long}-9f86d081884c")
    );
    assert_eq!(
        name("EndpointConfigName", format!("{long}-{{inputs.idempotence_token}}")).unwrap(),
        format!("{long}-0123456789ab")
    );
    // What counts is the value, not its placeholder.
    for (text, expected) in [
        ("{inputs.long}-{idempotence_token}", format!("{}-9f86d081884c", "b".repeat(50))),
        (
            "{inputs.a_long_name_of_an_input}-x-{idempotence_token}",
            "3-x-9f86d081884c7d659a2f".to_owned(),
        ),
    ] {
        assert_eq!(name("ModelName", text.to_owned()).unwrap(), expected);
    }
    let tuning = "HyperParameterTuningJobName";
    assert_eq!(
        name(tuning, "tune-the-model-{idempotence_token}".to_owned()).unwrap(),
        "tune-the-model-9f86d081884c7d659"
    );
    let error = name(tuning, format!("{long}-{{idempotence_token}}")).unwrap_err();
    assert!(error.message().contains("SageMaker takes 32 characters"), "{error}");
    let uri = format!("s3://{long}/{long}/{{idempotence_token}}");
    assert!(name("S3Uri", uri).unwrap().as_str().unwrap().ends_with("/9f86d081884c7d659a2f"));
}

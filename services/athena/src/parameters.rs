//! `ExecutionParameters`: the values of a statement's `?`, which Athena takes as SQL literals in text.

use plugin_core::{
    Error, Result, Value,
    jiff::civil::{Date, DateTime},
    task::Inputs,
};

use crate::{
    custom::{Parameter, SqlType, TypedParameter},
    literal,
};

/// Athena's limit on a value, in characters: the model's `ExecutionParameter`.
const MAX_CHARACTERS: usize = 1024;

/// The values of the statement's `marks`, named by `parameters`.
///
/// # Errors
/// `InvalidArgument` when their number is not that of the marks, for an unknown input, and for a value that Athena would not
/// take.
pub(crate) fn values(
    parameters: &[Parameter],
    marks: usize,
    inputs: &Inputs,
) -> Result<Vec<String>> {
    if parameters.len() != marks {
        return Err(Error::invalid(format!(
            "custom.parameters: has {}, but the statement has {marks} of ? outside of quotes and comments",
            parameters.len()
        )));
    }
    parameters.iter().map(|parameter| value(parameter, inputs)).collect()
}

fn value(parameter: &Parameter, inputs: &Inputs) -> Result<String> {
    let (input, ty) = match parameter {
        Parameter::Input(input) => (input, None),
        Parameter::Typed(TypedParameter { input, r#type }) => (input, Some(*r#type)),
    };
    let name = format!("inputs.{input}");
    let value = &inputs.get(input)?.value;
    if let Value::List(_) = value {
        return Err(Error::invalid(format!(
            "{name}: must not be a list, because ? stands for one value; write IN ({{{{ .inputs.{input} }}}})"
        )));
    }
    let written = match (value, ty) {
        (Value::Null, _) | (_, None) => parenthesised(literal::literal(&name, value)?),
        (value, Some(ty)) => typed(&name, value, ty)?,
    };
    let length = written.chars().count();
    match length <= MAX_CHARACTERS {
        true => Ok(written),
        false => Err(Error::invalid(format!(
            "{name}: has {length} characters as a literal, but Athena's parameters have at most 1024; write \
             {{{{ .inputs.{input} }}}} instead of the ?"
        ))),
    }
}

/// A parameter stands alone: nothing is before its minus.
fn parenthesised(literal: String) -> String {
    literal
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .map(str::to_owned)
        .unwrap_or(literal)
}

fn typed(name: &str, value: &Value, ty: SqlType) -> Result<String> {
    let text = literal::text(value);
    let (word, content, expected) = match (ty, value) {
        (SqlType::Date, Value::Datetime(at)) => ("DATE ", Some(literal::date(name, *at)?), ""),
        (SqlType::Date, _) => {
            ("DATE ", date(&text).map(|day| day.to_string()), "a date (YYYY-MM-DD, without a time)")
        }
        (SqlType::Timestamp, Value::Datetime(at)) => {
            ("TIMESTAMP ", Some(literal::timestamp(*at)), "")
        }
        (SqlType::Timestamp, _) => (
            "TIMESTAMP ",
            time(&text).map(literal::timestamp),
            "a time (YYYY-MM-DD hh:mm:ss, without a zone)",
        ),
        (SqlType::Decimal, _) => {
            ("DECIMAL ", is_number(&text).then(|| text.clone()), "a decimal number")
        }
        (SqlType::Varchar, _) => ("", Some(text.clone()), ""),
    };
    match content {
        Some(content) => Ok(format!("{word}{}", literal::quoted(&content))),
        None => Err(Error::invalid(format!(
            "{name}: {text:?} is not {expected}, as custom.parameters declares it"
        ))),
    }
}

/// The date that `text` is, and nothing more: no time, offset or zone.
fn date(text: &str) -> Option<Date> {
    let is_date = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.parse().ok().filter(|_| is_date)
}

/// The time that `text` is: a date alone is its midnight. One with an offset or zone is another one elsewhere.
fn time(text: &str) -> Option<DateTime> {
    let Some((day, time)) = text.split_once(['T', 't', ' ']) else {
        return date(text).map(|day| day.at(0, 0, 0, 0));
    };
    let is_time = time.bytes().all(|byte| byte.is_ascii_digit() || b":.".contains(&byte));
    date(day).and_then(|_| text.parse().ok()).filter(|_| is_time)
}

fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    digits(whole) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use plugin_core::{Type, task::Input};

    use super::*;

    fn inputs(value: Value) -> Inputs {
        let ty = Type::of(&value);
        [("x".to_owned(), Input::new(value, ty))].into_iter().collect()
    }

    fn one(value: Value, ty: Option<SqlType>) -> Result<String> {
        let parameter = match ty {
            None => Parameter::Input("x".into()),
            Some(r#type) => Parameter::Typed(TypedParameter { input: "x".into(), r#type }),
        };
        values(&[parameter], 1, &inputs(value)).map(|mut all| all.remove(0))
    }

    #[test]
    fn values_are_literals_of_their_type() {
        let at = |text: &str| Value::Datetime(text.parse().unwrap());
        let string = |text: &str| Value::String(text.into());
        for (value, ty, expected) in [
            (Value::Integer(-5), None, "-5"),
            (Value::Float(-0.5), None, "-0.5"),
            (string("O'Brien"), None, "'O''Brien'"),
            (string("(a)"), None, "'(a)'"),
            (string(""), None, "''"),
            (Value::Boolean(true), None, "true"),
            (Value::Null, None, "NULL"),
            (Value::Null, Some(SqlType::Date), "NULL"),
            (at("2026-03-01T00:00:00"), None, "TIMESTAMP '2026-03-01 00:00:00.000'"),
            (at("2026-03-01T00:00:00"), Some(SqlType::Date), "DATE '2026-03-01'"),
            (
                at("2026-03-01T06:30:00"),
                Some(SqlType::Timestamp),
                "TIMESTAMP '2026-03-01 06:30:00.000'",
            ),
            (string("2026-03-01"), Some(SqlType::Date), "DATE '2026-03-01'"),
            (string("20260301"), Some(SqlType::Date), "DATE '2026-03-01'"),
            (
                string("2026-03-01T06:30:15.25"),
                Some(SqlType::Timestamp),
                "TIMESTAMP '2026-03-01 06:30:15.250'",
            ),
            (
                string("2026-03-01 06:30"),
                Some(SqlType::Timestamp),
                "TIMESTAMP '2026-03-01 06:30:00.000'",
            ),
            (
                string("20260301T063015"),
                Some(SqlType::Timestamp),
                "TIMESTAMP '2026-03-01 06:30:15.000'",
            ),
            (
                string("2026-03-01 06:30:15.123456789"),
                Some(SqlType::Timestamp),
                "TIMESTAMP '2026-03-01 06:30:15.123456789'",
            ),
            (string("2026-03-01"), Some(SqlType::Timestamp), "TIMESTAMP '2026-03-01 00:00:00.000'"),
            (string("-19.99"), Some(SqlType::Decimal), "DECIMAL '-19.99'"),
            (Value::Integer(7), Some(SqlType::Decimal), "DECIMAL '7'"),
            (Value::Integer(7), Some(SqlType::Varchar), "'7'"),
        ] {
            assert_eq!(one(value.clone(), ty).unwrap(), expected, "{value:?} {ty:?}");
        }
    }

    #[test]
    fn what_athena_would_not_take_is_refused_by_name() {
        let string = |text: &str| Value::String(text.into());
        for (value, ty, message) in [
            (Value::List(vec![]), None, "inputs.x: must not be a list"),
            (string(&"x".repeat(1023)), None, "inputs.x: has 1025 characters as a literal"),
            (Value::Float(f64::NAN), None, "inputs.x: must be a finite number"),
            (
                string("1' OR '1'='1"),
                Some(SqlType::Decimal),
                "inputs.x: \"1' OR '1'='1\" is not a decimal",
            ),
            (string("1e5"), Some(SqlType::Decimal), "inputs.x: \"1e5\" is not a decimal"),
            (string("yesterday"), Some(SqlType::Date), "inputs.x: \"yesterday\" is not a date"),
            (string("noon"), Some(SqlType::Timestamp), "inputs.x: \"noon\" is not a time"),
        ] {
            let error = one(value, ty).unwrap_err();
            assert!(error.message().starts_with(message), "{error}");
        }
        for (text, ty) in [
            ("2026-03-01T00:00:00", SqlType::Date),
            ("2026-03-01 06:30", SqlType::Date),
            ("2026-03-01[Europe/Berlin]", SqlType::Date),
            ("2026-03-01Z", SqlType::Date),
            ("-002026-03-01", SqlType::Date),
            ("2026-W09-7", SqlType::Date),
            ("2026-02-30", SqlType::Date),
            ("", SqlType::Date),
            ("2026-03-01T06:30:00Z", SqlType::Timestamp),
            ("2026-03-01 06:30:00+02:00", SqlType::Timestamp),
            ("2026-03-01 06:30:00-02:00", SqlType::Timestamp),
            ("2026-03-01T06:30:00[Europe/Berlin]", SqlType::Timestamp),
            ("2026-03-01 06:30:00 UTC", SqlType::Timestamp),
            ("2026-03-01[UTC]", SqlType::Timestamp),
            ("06:30:00", SqlType::Timestamp),
            ("2026-03-01 25:00", SqlType::Timestamp),
        ] {
            let error = one(string(text), Some(ty)).unwrap_err();
            assert!(
                error.message().starts_with(&format!("inputs.x: {text:?} is not a ")),
                "{error}"
            );
        }
        assert!(one(string(&"x".repeat(1022)), None).is_ok());
    }

    #[test]
    fn their_number_must_be_that_of_the_marks() {
        let names = [Parameter::Input("x".into()), Parameter::Input("x".into())];
        let inputs = inputs(Value::Integer(1));
        assert_eq!(values(&names, 2, &inputs).unwrap(), ["1", "1"]);
        for marks in [0, 1, 3] {
            let error = values(&names, marks, &inputs).unwrap_err();
            let expected = format!("custom.parameters: has 2, but the statement has {marks} of ?");
            assert!(error.message().starts_with(&expected), "{error}");
        }
        let unknown = values(&[Parameter::Input("y".into())], 1, &inputs).unwrap_err();
        assert_eq!(unknown.message(), "inputs.y: no such input; the task has [x]");
    }
}

//! Reads the parts of an answer that nothing depends on.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value as Json, from_value};

/// A member of an answer, or its default if the member has another form than expected.
///
/// The state counts, and a job must not seem to run for ever because of a fact. For serde's `deserialize_with`; a member
/// that may be missing needs serde's `default` as well.
///
/// ```
/// use plugin_core::{serde_json, upstream::lenient};
/// use serde::Deserialize;
///
/// #[derive(Default, Deserialize)]
/// #[serde(default)]
/// struct Job {
///     state: String,
///     #[serde(deserialize_with = "lenient")]
///     rows: Option<u64>,
/// }
///
/// let job: Job = serde_json::from_str(r#"{"state": "done", "rows": "many"}"#).unwrap();
/// assert_eq!((&*job.state, job.rows), ("done", None));
/// ```
///
/// # Errors
/// If the answer is not JSON.
pub fn lenient<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(
    json: D,
) -> Result<T, D::Error> {
    Ok(from_value(Json::deserialize(json)?).unwrap_or_default())
}

/// The elements of a list that have the expected form; none for null. For serde's `deserialize_with`.
///
/// One of another form must not hide the others.
///
/// # Errors
/// If it is no list.
pub fn lenient_list<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    json: D,
) -> Result<Vec<T>, D::Error> {
    let list = Option::<Vec<Json>>::deserialize(json)?.unwrap_or_default();
    Ok(list.into_iter().filter_map(|one| from_value(one).ok()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Job {
        state: String,
        #[serde(deserialize_with = "lenient")]
        rows: Option<i64>,
        #[serde(deserialize_with = "lenient")]
        owner: Owner,
        #[serde(deserialize_with = "lenient_list")]
        parts: Vec<i64>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    struct Owner {
        name: String,
    }

    #[test]
    fn a_fact_of_another_form_is_left_out_and_the_state_stays() {
        let rows = [json!(null), json!("7"), json!(7.5), json!([7]), json!({"n": 7})];
        for rows in rows {
            let read = from_value::<Job>(json!({"state": "done", "rows": rows, "owner": [1]}));
            let expected = Job { state: "done".to_owned(), ..Job::default() };
            assert_eq!(read.unwrap(), expected, "{rows}");
        }
        let read = from_value::<Job>(json!({"rows": 7, "owner": {"name": "a"}})).unwrap();
        assert_eq!((read.rows, &*read.owner.name), (Some(7), "a"));
    }

    #[test]
    fn an_element_of_another_form_does_not_hide_the_others() {
        let parts = |parts: Json| Some(from_value::<Job>(json!({"parts": parts})).ok()?.parts);
        assert_eq!(parts(json!([1, "2", null, 3])), Some(vec![1, 3]));
        assert_eq!(parts(json!(null)), Some(vec![]));
        assert_eq!(parts(json!({"1": 2})), None);
    }
}

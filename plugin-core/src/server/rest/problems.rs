//! The problems in the OpenAPI document: rows that operations share, and the body of all of them.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses,
    openapi::{Content, OpenApi, PathItem, Ref, RefOr, Response, response::ResponseBuilder},
};

const PROBLEM_JSON: &str = "application/problem+json";

type Rows = BTreeMap<String, RefOr<Response>>;

/// The problems of every operation.
pub(super) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> Rows {
        rows(&[
            (400, "The request is invalid"),
            (401, "The token is missing or not accepted"),
            (403, "The token does not allow this request"),
            (503, "The service is overloaded or starting; retry later"),
        ])
    }
}

/// Further problems of operations on jobs and tasks.
pub(super) struct TaskProblems;

impl IntoResponses for TaskProblems {
    fn responses() -> Rows {
        rows(&[
            (404, "The task type or version is unknown, or is synchronous and has no jobs"),
            (500, "Internal error"),
        ])
    }
}

/// Further problems of operations that submit a task to the vendor.
pub(super) struct SubmissionProblems;

impl IntoResponses for SubmissionProblems {
    fn responses() -> Rows {
        rows(&[
            (413, "The request body is too large"),
            (422, "The vendor refused the task; the message is the vendor's"),
            (429, RATE_LIMITED),
        ])
    }
}

pub(super) const RATE_LIMITED: &str = "Rate limited by the vendor; retry later";

fn rows(descriptions: &[(u16, &str)]) -> Rows {
    let row = |(status, description): &(u16, &str)| {
        let response = ResponseBuilder::new().description(*description).build();
        (status.to_string(), response.into())
    };
    descriptions.iter().map(row).collect()
}

/// Adds the body to every problem.
pub(super) struct ProblemBodies;

impl utoipa::Modify for ProblemBodies {
    fn modify(&self, document: &mut OpenApi) {
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && status.starts_with(['4', '5'])
                {
                    let body = Content::new(Some(Ref::from_schema_name("Problem")));
                    response.content.insert(PROBLEM_JSON.to_owned(), body.into());
                }
            }
        }
    }
}

/// The operations of a path.
pub(super) fn operations(
    item: &mut PathItem,
) -> impl Iterator<Item = &mut utoipa::openapi::path::Operation> {
    let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
    operations.into_iter().filter_map(Option::as_mut)
}

//! The compiled `get.many` of a file.

use crate::{
    checker::Checker,
    expression::{Expr, Wanted},
    file,
    mistake::Mistake,
    names::Scopes,
    request::Request,
};

/// Reads many jobs with one request.
#[derive(Debug)]
pub(crate) struct Many {
    /// The id that tells the jobs apart.
    pub(crate) by: String,
    /// The ids that jobs of one request share.
    pub(crate) shared: Vec<String>,
    pub(crate) most: usize,
    pub(crate) request: Request,
    pub(crate) items: Expr,
    pub(crate) id: Expr,
    pub(crate) body: Option<Expr>,
}

impl Many {
    /// Compiles `file`, of a file with the job ids `ids`.
    pub(super) fn compile(
        checker: &mut Checker<'_>,
        file: &file::Many,
        scopes: &Scopes,
        ids: &[&str],
        calls: bool,
    ) -> Self {
        let by = &file.by;
        if !ids.contains(&by.value.as_str()) {
            checker.wrong(Mistake::unknown(by.place, "id", &by.value, ids));
        }
        if file.most.value < 2 {
            checker.mistake(file.most.place, "with one id in a request there is no use for it");
        }
        let request = Request::compile(checker, &file.request, &scopes.many, calls);
        if !request.uses("ids") {
            checker.mistake(file.request.place, "the request does not have `ids`");
        }
        let own = format!("job.{}", by.value);
        if request.uses(&own) {
            let message = format!("the request is for many jobs: it has `ids` in place of `{own}`");
            checker.mistake(file.request.place, message);
        }
        let shared = ids.iter().filter(|id| request.uses(&format!("job.{id}")));
        Self {
            by: by.value.clone(),
            shared: shared.map(ToString::to_string).collect(),
            most: file.most.value,
            items: checker.expr_of(&file.items, &scopes.listed, "get.many.items", Wanted::List),
            id: checker.expr_of(&file.id, &scopes.listed_item, "get.many.id", Wanted::Scalar),
            body: file.body.as_ref().map(|body| checker.expr(body, &scopes.listed_item)),
            request,
        }
    }
}

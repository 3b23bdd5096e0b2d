//! Expressions of minijinja: typed values, twelve functions, no loops; and text with expressions in it.

mod error;
mod functions;
mod json;
mod text;
mod wanted;
mod words;

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use minijinja::{
    Environment, ErrorKind, Expression, UndefinedBehavior, Value as Jinja,
    value::{Object, Serde},
};
use plugin_core::serde_json::Value as Json;

use self::words::Words;
pub(crate) use self::{
    error::{EvalError, invalid, origin_of, with_origin},
    functions::{SHORT_KEY, short_key},
    text::Text,
    wanted::{Wanted, kind},
};
use crate::{
    located::{Origin, Place, Source},
    mistake::Mistake,
    names::{Names, check_member, check_name},
    trace::Trace,
};

/// How many steps an evaluation may take. The expressions of the examples take a few dozen.
const FUEL: u64 = 20_000;
/// The longest expression, in bytes.
const LONGEST: usize = 4096;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    functions::add_to(&mut environment);
    environment
});

/// A key of an attempt: like any other.
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What an expression sees that uses no names but those of the key.
static ANY_KEY: LazyLock<Scope> = LazyLock::new(|| {
    let scope = Scope::default().with("key", KEY);
    scope.with_value(SHORT_KEY, short_key(KEY.to_owned()))
});

/// The values that an expression sees, by name. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    values: Arc<Values>,
    trace: Option<Trace>,
}

#[derive(Debug, Clone, Default)]
struct Values(Vec<(&'static str, Jinja)>);

impl Object for Values {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        let key = key.as_str()?;
        // The last one of a name counts.
        let found = self.0.iter().rfind(|(name, _)| *name == key);
        found.map(|(_, value)| value.clone())
    }
}

impl Scope {
    /// Adds `value` as `name`.
    pub(crate) fn with(self, name: &'static str, value: impl serde::Serialize) -> Self {
        self.with_value(name, Jinja::from(Serde(value)))
    }

    /// Adds a value of minijinja as `name`.
    pub(crate) fn with_value(mut self, name: &'static str, value: Jinja) -> Self {
        Arc::make_mut(&mut self.values).0.push((name, value));
        self
    }

    /// Notes what expressions give in `trace`.
    pub(crate) fn traced(self, trace: Option<Trace>) -> Self {
        Self { trace, ..self }
    }

    /// What is noted where, if it is.
    pub(crate) fn trace(&self) -> Option<Trace> {
        self.trace.clone()
    }

    /// Notes that the rule `name` gave `value`.
    pub(crate) fn note(&self, name: impl FnOnce() -> String, value: &str) {
        if let Some(trace) = &self.trace {
            trace.add(format!("{}: {value}", name()));
        }
    }
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expr {
    source: String,
    origin: Option<Origin>,
    /// None of an expression with a mistake, whose file is not served.
    compiled: Option<Expression<'static, 'static>>,
    names: Vec<String>,
}

impl Expr {
    /// Compiles `source`, found at `place` of the file `file`, with the names of `names`.
    ///
    /// # Errors
    /// The first mistake: in its form, or a name that is not known.
    pub(crate) fn compile(
        source: &str,
        place: Place,
        file: &Arc<Source>,
        names: &Names,
    ) -> Result<Self, Mistake> {
        let at = |word: &str| place.of_word(source, &file.text).of_word(word, &file.text);
        let source = source.trim();
        if source.is_empty() {
            return Err(Mistake::new(place, "the expression is empty"));
        }
        if source.len() > LONGEST {
            return Err(Mistake::new(place, format!("the expression has over {LONGEST} bytes")));
        }
        let compiled = ENVIRONMENT.compile_expression_owned(source.to_owned());
        let compiled = compiled.map_err(|error| {
            let word = error.range().and_then(|range| source.get(range)).unwrap_or(source);
            Mistake::new(at(word), format!("the expression cannot be read: {}", reason(&error)))
        })?;
        let words = Words::of(source);
        words.check(&at)?;
        for (name, member) in words.subscripts() {
            check_member(name, member, names, &at)?;
        }
        // minijinja does not look at what a slice is of.
        let found = compiled.undeclared_variables(true).into_iter().chain(words.values());
        let found = found.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
        for name in &found {
            check_name(name, names, &at)?;
        }
        let origin = Some(Origin::new(file, at(source)));
        let compiled = Some(compiled);
        let this = Self { source: source.to_owned(), origin, compiled, names: found };
        match this.known() {
            Some(Err(reason)) => Err(Mistake::new(at(source), format!("has no value: {reason}"))),
            Some(Ok(_)) | None => Ok(this),
        }
    }

    /// Whether it uses no names.
    fn is_constant(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether no task and no answer decides what it is: it uses no names but those of the key.
    fn is_known(&self) -> bool {
        self.compiled.is_some() && self.names.iter().all(|name| name == "key" || name == SHORT_KEY)
    }

    /// Its value, if no task and no answer decides it; or the reason why it has none.
    pub(crate) fn known(&self) -> Option<Result<Option<Json>, String>> {
        self.is_known().then(|| self.reckoned(&ANY_KEY))
    }

    /// Stands for an expression with a mistake.
    pub(crate) fn nothing() -> Self {
        Self { source: String::new(), origin: None, compiled: None, names: Vec::new() }
    }

    /// Its value; `None` if it is undefined or none.
    pub(crate) fn eval(&self, scope: &Scope) -> Result<Option<Json>, EvalError> {
        let value = self.reckoned(scope);
        if let Some(trace) = &scope.trace {
            match &value {
                Ok(value) => trace.gave(&format!("={}", self.source), value.as_ref()),
                Err(reason) => {
                    let error = EvalError::new(reason.clone(), self.origin());
                    trace.add(format!("={}: {}", self.source, error.beside()));
                }
            }
        }
        value.map_err(|reason| self.error(&reason))
    }

    /// Its value, or the reason why it has none.
    fn reckoned(&self, scope: &Scope) -> Result<Option<Json>, String> {
        let Some(compiled) = &self.compiled else { return Ok(None) };
        let value = compiled.eval(Jinja::from_dyn_object(Arc::clone(&scope.values)));
        let value = value.map_err(|error| reason(&error))?;
        if value.is_undefined() || value.is_none() {
            return Ok(None);
        }
        json::to_json(&value).map(Some).map_err(ToOwned::to_owned)
    }

    /// Where it is.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Its value as text; `None` if it is undefined or none.
    pub(crate) fn eval_text(&self, scope: &Scope) -> Result<Option<String>, EvalError> {
        let Some(value) = self.eval(scope)? else { return Ok(None) };
        match scalar(&value) {
            Some(text) => Ok(Some(text)),
            None => Err(self.error("must be a string, a number or a truth value here")),
        }
    }

    /// Whether it is true; undefined is false.
    pub(crate) fn is_true(&self, scope: &Scope) -> Result<bool, EvalError> {
        match self.eval(scope)? {
            None => Ok(false),
            Some(Json::Bool(truth)) => Ok(truth),
            Some(_) => Err(self.error("must be true or false")),
        }
    }

    /// Whether it uses `name`, as `job` or `job.id`, or a part of it.
    pub(crate) fn uses(&self, name: &str) -> bool {
        let is_it = |used: &String| {
            let rest = used.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.names.iter().any(is_it)
    }

    /// The error that it has no value where one is needed.
    pub(crate) fn absent(&self) -> EvalError {
        self.error("has no value")
    }

    /// An error about it.
    pub(crate) fn error(&self, reason: &str) -> EvalError {
        self.wrong(format!("`{}`: {reason}", self.source))
    }

    /// An error about what it is a part of.
    pub(crate) fn wrong(&self, message: String) -> EvalError {
        EvalError::new(message, self.origin()).with_names(&self.names)
    }
}

/// What minijinja says, without its position in the expression.
fn reason(error: &minijinja::Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "takes more steps or memory than an expression may".to_owned();
    }
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

/// A scalar as text.
pub(crate) fn scalar(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(truth) => Some(truth.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;

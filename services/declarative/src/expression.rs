//! Expressions of minijinja: typed values, twelve functions, no loops; and text with expressions in it.

mod functions;
mod json;
mod words;

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use minijinja::{
    Environment, ErrorKind, Expression, UndefinedBehavior, Value as Jinja,
    value::{Object, Serde},
};
use plugin_core::serde_json::Value as Json;

pub(crate) use self::functions::{SHORT_KEY, short_key};
use self::words::Words;
use crate::{
    located::Place,
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

/// Why an expression has no value. Its `Display` names the expression.
#[derive(Debug)]
pub(crate) struct EvalError {
    source: String,
    reason: String,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.source, self.reason)
    }
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expr {
    source: String,
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
        file: &str,
        names: &Names,
    ) -> Result<Self, Mistake> {
        let at = |word: &str| place.of_word(source, file).of_word(word, file);
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
        let mut found = compiled.undeclared_variables(true).into_iter().collect::<Vec<_>>();
        found.sort();
        for name in &found {
            check_name(name, names, &at)?;
        }
        Ok(Self { source: source.to_owned(), compiled: Some(compiled), names: found })
    }

    /// Stands for an expression with a mistake.
    pub(crate) fn nothing() -> Self {
        Self { source: String::new(), compiled: None, names: Vec::new() }
    }

    /// Its value; `None` if it is undefined or none.
    pub(crate) fn eval(&self, scope: &Scope) -> Result<Option<Json>, EvalError> {
        let value = self.value(scope);
        if let Some(trace) = &scope.trace {
            match &value {
                Ok(value) => trace.gave(&format!("={}", self.source), value.as_ref()),
                Err(error) => trace.add(format!("={}: {}", self.source, error.reason)),
            }
        }
        value
    }

    fn value(&self, scope: &Scope) -> Result<Option<Json>, EvalError> {
        let Some(compiled) = &self.compiled else { return Ok(None) };
        let value = compiled.eval(Jinja::from_dyn_object(Arc::clone(&scope.values)));
        let value = value.map_err(|error| self.error(reason(&error)))?;
        if value.is_undefined() || value.is_none() {
            return Ok(None);
        }
        let json = json::to_json(&value);
        json.map(Some).map_err(|reason| self.error(reason.to_owned()))
    }

    /// Its value as text; `None` if it is undefined or none.
    pub(crate) fn eval_text(&self, scope: &Scope) -> Result<Option<String>, EvalError> {
        let Some(value) = self.eval(scope)? else { return Ok(None) };
        match scalar(&value) {
            Some(text) => Ok(Some(text)),
            None => Err(self.error("must be a string, a number or a truth value here".to_owned())),
        }
    }

    /// Whether it is true; undefined is false.
    pub(crate) fn is_true(&self, scope: &Scope) -> Result<bool, EvalError> {
        match self.eval(scope)? {
            None => Ok(false),
            Some(Json::Bool(truth)) => Ok(truth),
            Some(_) => Err(self.error("must be true or false".to_owned())),
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
        self.error("has no value".to_owned())
    }

    fn error(&self, reason: String) -> EvalError {
        EvalError { source: self.source.clone(), reason }
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

/// Text with `${expression}` in it, or, as a whole, one `=expression`. `$${` stands for `${`.
#[derive(Debug, Default)]
pub(crate) struct Text(Vec<Part>);

#[derive(Debug)]
enum Part {
    Literal(String),
    Expr(Expr),
}

impl Text {
    /// Compiles `text`.
    ///
    /// # Errors
    /// The first mistake.
    pub(crate) fn compile(
        text: &str,
        place: Place,
        file: &str,
        names: &Names,
    ) -> Result<Self, Mistake> {
        if let Some(expression) = text.strip_prefix('=') {
            return Ok(Self(vec![Part::Expr(Expr::compile(expression, place, file, names)?)]));
        }
        let mut parts = Vec::new();
        let (mut literal, mut rest) = (String::new(), text);
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            if let Some(escaped) = before.strip_suffix('$') {
                literal.extend([escaped, "${"]);
                rest = &after[2..];
                continue;
            }
            literal.push_str(before);
            let Some(end) = words::end_of_braces(&after[2..]) else {
                return Err(Mistake::new(place.of_word("${", file), "`${` is not closed")
                    .help("write $${ for the characters themselves".to_owned()));
            };
            parts.push(Part::Literal(std::mem::take(&mut literal)));
            parts.push(Part::Expr(Expr::compile(&after[2..2 + end], place, file, names)?));
            rest = &after[2 + end + 1..];
        }
        literal.push_str(rest);
        parts.push(Part::Literal(literal));
        parts.retain(|part| !matches!(part, Part::Literal(text) if text.is_empty()));
        Ok(Self(parts))
    }

    /// The text; `None` if it is one expression without a value.
    ///
    /// # Errors
    /// An expression within text has no value, or is no scalar.
    pub(crate) fn eval(&self, scope: &Scope) -> Result<Option<String>, EvalError> {
        if let [Part::Expr(only)] = self.0.as_slice() {
            return only.eval_text(scope);
        }
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Expr(expr) => {
                    text += &expr.eval_text(scope)?.ok_or_else(|| expr.absent())?;
                }
            }
        }
        Ok(Some(text))
    }

    /// The text without expressions, if it has none.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether an expression uses `name`.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Expr(expr) if expr.uses(name)))
    }
}

#[cfg(test)]
mod tests;

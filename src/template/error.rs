//! Why an expression or template gave no value.

use std::ops::Range;

/// What kind of trouble it is; callers decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is not a well-formed expression.
    Syntax,
    /// It uses a name, filter, test or function that there is not.
    Unknown,
    /// It uses a value that is not there.
    Undefined,
    /// It took more steps than any honest expression needs.
    Fuel,
    /// The values do not fit what is done with them.
    Value,
}

/// An expression or template that gave no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct TemplateError {
    pub(crate) trouble: Trouble,
    pub(crate) message: String,
    /// Bytes of the text that was given, where it can be told.
    pub(crate) at: Option<Range<usize>>,
}

impl TemplateError {
    pub(crate) fn new(trouble: Trouble, message: impl Into<String>) -> Self {
        Self { trouble, message: message.into(), at: None }
    }

    pub(crate) fn at(mut self, at: Range<usize>) -> Self {
        self.at = Some(at);
        self
    }

    /// The same error, its place inside `text`: the engine points behind the end where a quote is missing.
    pub(crate) fn within(mut self, text: &str) -> Self {
        self.at = self.at.map(|at| at.start.min(text.len())..at.end.min(text.len()));
        self
    }

    /// The same error about a part that begins at `offset` of a longer text.
    pub(crate) fn moved(mut self, offset: usize) -> Self {
        self.at = self.at.map(|at| at.start + offset..at.end + offset);
        self
    }
}

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> Self {
        use minijinja::ErrorKind as Kind;
        let trouble = match error.kind() {
            Kind::SyntaxError | Kind::InvalidDelimiter => Trouble::Syntax,
            Kind::UnknownFilter
            | Kind::UnknownTest
            | Kind::UnknownFunction
            | Kind::UnknownMethod => Trouble::Unknown,
            Kind::UndefinedError => Trouble::Undefined,
            Kind::OutOfFuel => Trouble::Fuel,
            _ => Trouble::Value,
        };
        let message = match (trouble, error.detail()) {
            (Trouble::Fuel, _) => "the expression takes too many steps".to_owned(),
            (_, Some(detail)) => detail.to_owned(),
            (_, None) => error.kind().to_string(),
        };
        Self { trouble, message, at: error.range().filter(|at| !at.is_empty()) }
    }
}

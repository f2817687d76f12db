//! What can be wrong with an expression.

use crate::error::Error;

/// An expression that does not compile or cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// What is wrong, a lower-case fragment. Holds names and types, never values.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where, in bytes from the start of the source (of the string, for a template).
    pub offset: usize,
    /// How many bytes are meant; 0 where unknown.
    pub length: usize,
}

impl ExprError {
    /// An error at `offset` over `length` bytes.
    pub(crate) fn at(offset: usize, length: usize, message: impl Into<String>) -> Self {
        ExprError { message: message.into(), hint: None, offset, length }
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error, moved by `offset` bytes.
    #[must_use]
    pub(crate) fn moved(mut self, offset: usize) -> Self {
        self.offset += offset;
        self
    }
}

impl From<ExprError> for Error {
    fn from(e: ExprError) -> Self {
        let error = Error::invalid(e.message);
        match e.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

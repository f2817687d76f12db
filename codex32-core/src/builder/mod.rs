//! From a sentence to a draft of a bot: who interprets, and what every draft passes.
//!
//! - [`Interpreter`] is the seam: [`OfflineInterpreter`] by default, a model later.
//! - [`Builder`] asks it and checks what it gives: whatever interprets, a blueprint that
//!   does not validate never leaves this room.
//!
//! A conversation is the same sentence again, with the answers gathered so far in
//! [`Context::answers`]: nothing is stored here. A bot that exists is changed by its
//! text; to revise one by a sentence ("change the limit to 40000") is not offered yet.

use crate::blueprint;
use crate::catalogue::Catalogue;
use crate::error::{Error, Result};
use crate::recur;
use crate::understand::{self, Context, Draft};
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Makes a draft of a sentence.
#[async_trait::async_trait]
pub trait Interpreter: Send + Sync {
    /// Interprets `text` with what is known besides.
    ///
    /// # Errors
    /// `unavailable` where something that it needs cannot be reached.
    async fn draft(&self, text: &str, catalogue: &Catalogue, context: &Context) -> Result<Draft>;
}

/// The grammar and retrieval of the room `understand`: no network, no model.
#[derive(Debug, Clone, Copy, Default)]
pub struct OfflineInterpreter;

#[async_trait::async_trait]
impl Interpreter for OfflineInterpreter {
    async fn draft(&self, text: &str, catalogue: &Catalogue, context: &Context) -> Result<Draft> {
        Ok(understand::draft(text, catalogue, context))
    }
}

/// What the connectors can do at present.
type CatalogueSource = Arc<dyn Fn() -> Catalogue + Send + Sync>;

/// Drafts bots. Cheap to clone.
#[derive(Clone)]
pub struct Builder {
    interpreter: Arc<dyn Interpreter>,
    catalogue: CatalogueSource,
}

impl Builder {
    /// A builder that asks `interpreter`, over what `catalogue` gives.
    #[must_use]
    pub fn new(interpreter: Arc<dyn Interpreter>, catalogue: CatalogueSource) -> Builder {
        Builder { interpreter, catalogue }
    }

    /// A draft of `text`; its blueprint is there only where it validates and nothing that it
    /// needs is left to ask.
    ///
    /// # Errors
    /// `invalid` for an empty sentence or a zone that does not exist; those of the interpreter.
    pub async fn draft(&self, text: &str, context: Context) -> Result<Draft> {
        if text.trim().is_empty() {
            let hint = "say what the bot should do, such as \"every hour check https://example.com\"";
            return Err(Error::invalid("the sentence is empty").at("/text", "is empty").hint(hint));
        }
        if !context.timezone.is_empty() {
            recur::zone(&context.timezone).map_err(|e| e.at("/timezone", "is no time zone"))?;
        }
        let catalogue = (self.catalogue)();
        let mut draft = self.interpreter.draft(text, &catalogue, &context).await?;
        if let Some(made) = &draft.blueprint {
            let faults = blueprint::validate(made, &catalogue);
            if faults.has_errors() {
                tracing::warn!(count = faults.len(), "a draft did not validate");
                draft.not_understood.push(text.to_owned());
                draft.blueprint = None;
                draft.confidence = 0.0;
            } else if draft.questions.iter().any(|q| q.blocking) {
                draft.blueprint = None;
            }
        }
        Ok(draft)
    }
}

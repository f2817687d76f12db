//! What connectors can do, as data: the catalogue that validation, the builder,
//! the documentation and the dashboard all read.
//!
//! Invariant: nothing here does anything. The connector that performs an action
//! lives in `connector` and is matched to its entry here by name; a test there
//! proves that neither side is missing one.
//!
//! ```
//! use codex32_core::catalogue::Catalogue;
//! let get = Catalogue::builtin().action("http.get").unwrap();
//! assert_eq!(get.title, "Get a page");
//! assert_eq!(get.say(&serde_json::json!({"url": "https://example.com/"})), "get https://example.com/");
//! ```

mod builtin;
mod phrase;
mod types;

pub use phrase::fill;
pub use types::*;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Connectors by name. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    connectors: Vec<Arc<ConnectorSpec>>,
    index: HashMap<String, usize>,
}

impl Catalogue {
    /// The connectors that the engine brings along.
    #[must_use]
    pub fn builtin() -> &'static Catalogue {
        static BUILTIN: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::of(builtin::specs()));
        &BUILTIN
    }

    /// A catalogue of `specs`; of two with the same name the later one holds.
    #[must_use]
    pub fn of(specs: impl IntoIterator<Item = ConnectorSpec>) -> Catalogue {
        specs.into_iter().fold(Catalogue::default(), |catalogue, spec| catalogue.with(spec))
    }

    /// The same catalogue with `extra` in it, in place of one of the same name.
    #[must_use]
    pub fn with(mut self, extra: ConnectorSpec) -> Catalogue {
        let extra = Arc::new(extra);
        if let Some(slot) = self.index.get(&extra.name).and_then(|at| self.connectors.get_mut(*at)) {
            *slot = extra;
        } else {
            self.index.insert(extra.name.clone(), self.connectors.len());
            self.connectors.push(extra);
        }
        self
    }

    /// The connector named `name`.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<&ConnectorSpec> {
        self.index.get(name).and_then(|at| self.connectors.get(*at)).map(Arc::as_ref)
    }

    /// The action named `full`, such as `http.get`.
    #[must_use]
    pub fn action(&self, full: &str) -> Option<&ActionSpec> {
        let (connector, action) = full.split_once('.')?;
        self.connector(connector)?.actions.iter().find(|a| a.name == action)
    }

    /// The trigger named `full`, such as `rss.new_item`.
    #[must_use]
    pub fn trigger(&self, full: &str) -> Option<&TriggerSpec> {
        let (connector, trigger) = full.split_once('.')?;
        self.connector(connector)?.triggers.iter().find(|t| t.name == trigger)
    }

    /// All connectors.
    pub fn connectors(&self) -> impl Iterator<Item = &ConnectorSpec> {
        self.connectors.iter().map(Arc::as_ref)
    }

    /// All actions with their connectors.
    pub fn actions(&self) -> impl Iterator<Item = (&ConnectorSpec, &ActionSpec)> {
        self.connectors().flat_map(|c| c.actions.iter().map(move |a| (c, a)))
    }

    /// All triggers with their connectors.
    pub fn triggers(&self) -> impl Iterator<Item = (&ConnectorSpec, &TriggerSpec)> {
        self.connectors().flat_map(|c| c.triggers.iter().map(move |t| (c, t)))
    }
}

#[cfg(test)]
mod tests;

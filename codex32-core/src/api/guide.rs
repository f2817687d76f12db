//! `guide`: the book, inside the program.

use super::operation::{Meta, Method, Operation};
use super::wire::Nothing;
use crate::access::Caller;
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name and Markdown text of each page, in reading order.
const PAGES: &[(&str, &str)] = &[
    ("start", include_str!("../../../docs/guide/start.md")),
    ("blueprint", include_str!("../../../docs/guide/blueprint.md")),
    ("expressions", include_str!("../../../docs/guide/expressions.md")),
    ("connections", include_str!("../../../docs/guide/connections.md")),
    ("scripts", include_str!("../../../docs/guide/scripts.md")),
    ("kubernetes", include_str!("../../../docs/guide/kubernetes.md")),
    ("embed", include_str!("../../../docs/guide/embed.md")),
    ("native", include_str!("../../../docs/guide/native.md")),
    ("api", include_str!("../../../docs/guide/api.md")),
    ("operate", include_str!("../../../docs/guide/operate.md")),
];

/// Lists the pages.
pub struct List;

/// A page in the list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GuideRow {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
}

/// The guide's pages.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GuideList {
    /// In reading order.
    pub items: Vec<GuideRow>,
}

impl Operation for List {
    const META: Meta = Meta::read("guide.list", Method::Get, "/guide", "List the pages of the guide.").public();
    type Input = Nothing;
    type Output = GuideList;
    async fn run(_: &Engine, _: &Caller, _: Nothing) -> Result<GuideList> {
        let row = |(name, text): &(&str, &str)| GuideRow { name: (*name).into(), title: title(text).into() };
        Ok(GuideList { items: PAGES.iter().map(row).collect() })
    }
}

fn title(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or("Untitled")
}

/// Shows a page.
pub struct Get;

/// A page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuideInput {
    /// Its name.
    pub name: String,
}

/// A page of the guide.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GuidePage {
    /// Its name.
    pub name: String,
    /// Its text, in Markdown.
    pub text: String,
}

impl Operation for Get {
    const META: Meta = Meta::read("guide.get", Method::Get, "/guide/{name}", "Show a page of the guide.")
        .errors(&[Code::NotFound])
        .public();
    type Input = GuideInput;
    type Output = GuidePage;
    async fn run(_: &Engine, _: &Caller, input: GuideInput) -> Result<GuidePage> {
        let page = PAGES.iter().find(|(name, _)| *name == input.name);
        let (name, text) =
            page.ok_or_else(|| Error::not_found("page", &input.name).hint("`guide.list` names the pages"))?;
        Ok(GuidePage { name: (*name).into(), text: (*text).into() })
    }
}

//! The page that the `type` of every problem document points to.

use super::{escape, page};
use axum::response::Response;
use codex32_core::error::Code;

pub(super) async fn page_of_codes() -> Response {
    let rows: String = Code::ALL
        .iter()
        .map(|code| {
            let retry = if code.is_retriable() { "yes" } else { "no" };
            format!(
                "<tr id=\"{0}\"><td><code>{0}</code></td><td>{1}</td><td>{2}</td><td>{3}</td><td>{retry}</td></tr>",
                escape(code.as_str()),
                escape(code.title()),
                code.http_status(),
                code.exit_code(),
            )
        })
        .collect();
    page(
        "Error codes",
        &format!(
            "<p>Every failed call names one of these codes, whatever the door it came by.</p>\
             <table><thead><tr><th>code</th><th>meaning</th><th>HTTP</th><th>exit code</th>\
             <th>worth a retry</th></tr></thead><tbody>{rows}</tbody></table>"
        ),
    )
}

//! The output of an operation as a response.

use crate::problem::status_of;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use codex32_core::api::{Meta, Raw};
use codex32_core::error::{Code, Error, Result};
use serde_json::Value;

/// The response to a successful call.
pub(crate) fn of(meta: &Meta, output: Value) -> Result<Response> {
    let status = StatusCode::from_u16(meta.status).unwrap_or(status_of(Code::Internal));
    if let Some(raw) = meta.raw_output {
        return file(meta, raw, status, &output);
    }
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    if status == StatusCode::NO_CONTENT {
        return Ok(status.into_response());
    }
    Ok((status, headers, output.to_string()).into_response())
}

fn file(meta: &Meta, raw: Raw, status: StatusCode, output: &Value) -> Result<Response> {
    let text = output.get(raw.field).and_then(Value::as_str).unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|e| Error::internal(format!("the file of {} is not base64: {e}", meta.name)))?;
    let given = ["filename", "name"].iter().find_map(|field| output.get(*field).and_then(Value::as_str));
    let name = file_name(given.unwrap_or(meta.verb()));
    let disposition = format!("attachment; filename=\"{name}\"");
    let header_of =
        |text: &str| HeaderValue::from_str(text).map_err(|_| Error::internal(format!("{text:?} is no header")));
    let headers = [
        (header::CONTENT_TYPE, header_of(raw.media)?),
        (header::CONTENT_DISPOSITION, header_of(&disposition)?),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((status, headers, bytes).into_response())
}

/// A name that is harmless in a header and in every file system.
fn file_name(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' })
        .take(100)
        .collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "file".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_leave_its_header_or_folder() {
        assert_eq!(file_name("btc-watch.tar.gz"), "btc-watch.tar.gz");
        assert_eq!(file_name("../a\"\r\nb"), "_a___b");
        assert_eq!(file_name("..."), "file");
    }
}

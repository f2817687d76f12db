//! Request bodies of `http`.

use super::http::plain;
use crate::connector::input;
use crate::error::{Error, Result};
use bytes::Bytes;
use rand::RngExt as _;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A body with its media type.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) content_type: HeaderValue,
}

#[derive(Deserialize, Clone)]
pub(super) struct Part {
    #[serde(default)]
    fields: Map<String, Value>,
    #[serde(default)]
    files: Vec<FilePart>,
}

#[derive(Deserialize, Clone)]
struct FilePart {
    name: String,
    filename: String,
    content_type: Option<String>,
    text: Option<String>,
    base64: Option<String>,
}

impl Body {
    /// The one body that is given, where one is.
    ///
    /// # Errors
    /// `invalid` where there are several.
    pub(super) fn of(
        json: Option<&Value>,
        form: Option<&Map<String, Value>>,
        text: Option<&str>,
        multipart: Option<&Part>,
    ) -> Result<Option<Body>> {
        let given = [json.is_some(), form.is_some(), text.is_some(), multipart.is_some()];
        if given.iter().filter(|g| **g).count() > 1 {
            return Err(
                Error::invalid("the request has more than one body").hint("give one of json, form, body, multipart")
            );
        }
        let fixed = |bytes: Vec<u8>, media: &'static str| Body {
            bytes: bytes.into(),
            content_type: HeaderValue::from_static(media),
        };
        Ok(if let Some(json) = json {
            Some(fixed(json.to_string().into_bytes(), "application/json"))
        } else if let Some(form) = form {
            let mut text = url::form_urlencoded::Serializer::new(String::new());
            text.extend_pairs(form.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, plain(v))));
            Some(fixed(text.finish().into_bytes(), "application/x-www-form-urlencoded"))
        } else if let Some(text) = text {
            Some(fixed(text.as_bytes().to_vec(), "text/plain; charset=utf-8"))
        } else if let Some(part) = multipart {
            Some(multipart_body(part)?)
        } else {
            None
        })
    }
}

/// multipart/form-data (RFC 7578). The boundary is random, so that no content can hold it.
fn multipart_body(part: &Part) -> Result<Body> {
    let boundary = format!("codex32-{:032x}", rand::rng().random::<u128>());
    let mut out = Vec::new();
    let open = |out: &mut Vec<u8>, name: &str, more: &str| {
        out.extend_from_slice(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"{more}\r\n\r\n", quoted(name))
                .as_bytes(),
        );
    };
    for (name, value) in &part.fields {
        open(&mut out, name, "");
        out.extend_from_slice(plain(value).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    for file in &part.files {
        let media = file.content_type.as_deref().unwrap_or_else(|| media_of(&file.filename));
        if media.contains(['\r', '\n']) {
            return Err(Error::invalid("a file's content_type holds a line end"));
        }
        open(&mut out, &file.name, &format!("; filename=\"{}\"\r\nContent-Type: {media}", quoted(&file.filename)));
        out.extend_from_slice(&input::bytes(file.text.clone(), file.base64.clone(), &file.filename)?);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"))
        .map_err(|_| Error::internal("a boundary is no header value"))?;
    Ok(Body { bytes: out.into(), content_type })
}

/// As HTML says: quotes and line ends are percent-encoded.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn media_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).as_deref() {
        Some("txt" | "log") => "text/plain",
        Some("csv") => "text/csv",
        Some("html" | "htm") => "text/html",
        Some("json") => "application/json",
        Some("xml") => "application/xml",
        Some("pdf") => "application/pdf",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("zip") => "application/zip",
        _ => "application/octet-stream",
    }
}

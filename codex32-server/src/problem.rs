//! Errors on their way out: RFC 9457 problem documents.
//!
//! A handler fails with a [`Failure`]; the document is written in one place, at the
//! edge, where the request's id is known.

use crate::trace::RequestId;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use codex32_core::api::openapi;
use codex32_core::error::{Code, Error};
use serde_json::{Value, json};

/// Media type of a problem document.
pub(crate) const MEDIA: &str = "application/problem+json";

/// An error with what HTTP adds to it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    error: Error,
    status: StatusCode,
    headers: HeaderMap,
}

impl Failure {
    /// The error with another status than that of its code.
    pub(crate) fn status(error: Error, status: StatusCode) -> Failure {
        Failure { error, status, headers: HeaderMap::new() }
    }

    /// There is nothing at this address.
    pub(crate) fn no_route(path: &str) -> Failure {
        let path: String = path.chars().take(200).collect();
        Error::not_found("address", path).hint("/api/v1/openapi.json lists the addresses").into()
    }

    /// The address exists, with other methods.
    pub(crate) fn method(method: &Method, allow: &str) -> Failure {
        let error = Error::invalid(format!("{method} is not offered here")).hint(format!("use {allow}"));
        let mut failure = Failure::status(error, StatusCode::METHOD_NOT_ALLOWED);
        if let Ok(allow) = HeaderValue::from_str(allow) {
            failure.headers.insert(header::ALLOW, allow);
        }
        failure
    }

    /// The body is of a kind that is not read here.
    pub(crate) fn media(given: Option<&str>, wanted: &str) -> Failure {
        let given: String = given.unwrap_or("no content type").chars().take(100).collect();
        let error = Error::invalid(format!("the body must be {wanted}, not {given}"))
            .hint(format!("send the header `Content-Type: {wanted}`"));
        Failure::status(error, StatusCode::UNSUPPORTED_MEDIA_TYPE)
    }

    /// The error, for those who show it otherwise.
    pub(crate) fn into_error(self) -> Error {
        self.error
    }

    /// The problem document.
    pub(crate) fn document(&self, request: Option<&RequestId>) -> Value {
        document(&self.error, self.status, request)
    }

    fn respond(self, request: Option<&RequestId>) -> Response {
        let body = self.document(request).to_string();
        let mut headers = self.headers;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(ms) = self.error.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"codex32\""));
        }
        (self.status, headers, body).into_response()
    }
}

/// The problem document of `error`.
pub(crate) fn document(error: &Error, status: StatusCode, request: Option<&RequestId>) -> Value {
    let mut document = openapi::problem_of(error);
    document["status"] = json!(status.as_u16());
    if let Some(RequestId(id)) = request {
        document["request_id"] = json!(id);
    }
    document
}

/// HTTP status of an error.
pub(crate) fn status_of(code: Code) -> StatusCode {
    StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = status_of(error.code());
        Failure::status(error, status)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the document of a failure; everything else passes as it is.
pub(crate) async fn write(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    let Some(failure) = response.extensions_mut().remove::<Failure>() else { return response };
    if failure.status.is_server_error() {
        tracing::warn!(code = %failure.error.code(), status = failure.status.as_u16(), "request failed");
    }
    let mut written = failure.respond(id.as_ref());
    for (name, value) in response.headers() {
        if name != HeaderName::from_static("content-length") && !written.headers().contains_key(name) {
            written.headers_mut().append(name, value.clone());
        }
    }
    written
}

/// What a panic in a handler becomes.
pub(crate) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text =
        panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "of unknown cause".to_owned());
    tracing::error!(panic = %text, "a handler panicked");
    Failure::from(Error::internal("a handler panicked")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_when_to_come_back_and_how_to_authenticate() {
        let busy = Failure::from(Error::new(Code::Busy, "full").retry_after_ms(1_001)).respond(None);
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(busy.headers()[header::RETRY_AFTER], "2");
        let unknown = Failure::from(Error::new(Code::Unauthenticated, "no")).respond(None);
        assert_eq!(unknown.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"codex32\"");
        let method = Failure::method(&Method::PUT, "GET, HEAD").respond(None);
        assert_eq!(method.headers()[header::ALLOW], "GET, HEAD");
    }

    #[test]
    fn what_failed_inside_stays_inside() {
        let failure = Failure::from(Error::internal("the table of secrets is damaged"));
        let document = failure.document(Some(&RequestId("r-1".into())));
        assert!(!document.to_string().contains("secrets"));
        assert_eq!(document["request_id"], "r-1");
        assert_eq!(document["status"], 500);
    }
}

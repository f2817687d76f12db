//! Who asks: a bearer token, or the session cookie of the dashboard.
//!
//! A cookie is sent by the browser whoever wrote the page, so a write that rests on one
//! also needs the header `X-Codex32: 1`, which no form and no foreign page can send. A
//! token in the address is never taken: addresses end up in logs and histories.

use crate::problem::Failure;
use crate::rest::input;
use crate::shell::App;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use codex32_core::access::{Caller, Permission};
use codex32_core::error::{Code, Error, Result};
use serde::Deserialize;

/// Name of the session cookie.
pub(crate) const COOKIE: &str = "codex32_session";

/// The header that proves a page of our own.
const OWN_PAGE: HeaderName = HeaderName::from_static("x-codex32");

/// Longest token looked at.
const LONGEST_TOKEN: usize = 512;

/// A token and where it came from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) token: String,
    pub(crate) from_cookie: bool,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("from_cookie", &self.from_cookie).finish_non_exhaustive()
    }
}

impl Credential {
    /// The credential of a request; `None` where it carries none.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Credential>> {
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        if let Some(value) = given.next() {
            if given.next().is_some() {
                return Err(unauthenticated("two Authorization headers were given"));
            }
            let text = value.to_str().map_err(|_| unauthenticated("the Authorization header is not text"))?;
            let (scheme, token) = text.trim().split_once(' ').unwrap_or((text, ""));
            if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() || token.len() > LONGEST_TOKEN {
                return Err(unauthenticated("the Authorization header is not a bearer token"));
            }
            return Ok(Some(Credential { token: token.trim().to_owned(), from_cookie: false }));
        }
        Ok(cookie(headers).map(|token| Credential { token, from_cookie: true }))
    }
}

fn unauthenticated(message: &str) -> Error {
    Error::new(Code::Unauthenticated, message).hint("send `Authorization: Bearer c32_...`")
}

/// The session cookie, where exactly one is sent.
fn cookie(headers: &HeaderMap) -> Option<String> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, value)| *name == COOKIE && !value.is_empty() && value.len() <= LONGEST_TOKEN)
        .map(|(_, value)| value.to_owned());
    found.next().filter(|_| found.next().is_none())
}

/// A caller with the token that it came by, so that an open stream can look again.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) caller: Caller,
    pub(crate) credential: Credential,
}

/// Who sent a request with these headers; `None` where it carries no credential.
///
/// # Errors
/// `unauthenticated` for a credential that is not valid, `forbidden` for a write by
/// cookie without the header of our own pages.
pub(crate) async fn known(app: &App, method: &Method, headers: &HeaderMap) -> Result<Option<Known>> {
    let Some(credential) = Credential::of(headers)? else { return Ok(None) };
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if credential.from_cookie && !safe {
        own_page(headers)?;
    }
    let caller = app.engine.authenticate(&credential.token).await?;
    Ok(Some(Known { caller, credential }))
}

fn own_page(headers: &HeaderMap) -> Result<()> {
    if headers.get(OWN_PAGE).is_some_and(|value| value == "1") {
        return Ok(());
    }
    Err(Error::forbidden("a change by session cookie needs the header X-Codex32")
        .hint("send `X-Codex32: 1`, or a bearer token"))
}

/// Whether the caller behind `known` is still known and allowed.
///
/// # Errors
/// `unauthenticated` or `forbidden` where not.
pub(crate) async fn still(app: &App, known: &Known, permission: Option<Permission>) -> Result<()> {
    let caller = app.engine.authenticate(&known.credential.token).await?;
    permission.map_or(Ok(()), |permission| caller.require(permission))
}

/// Whether the page that sent these headers is one of ours or of a configured origin.
/// A request without `Origin` comes from no page.
pub(crate) fn origin_is_ours(app: &App, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if app.config.origins.iter().any(|known| known == origin) {
        return true;
    }
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    let Some((_, authority)) = origin.split_once("://") else { return false };
    let name = host.parse::<axum::http::uri::Authority>().map(|a| a.host().trim_matches(['[', ']']).to_owned());
    authority.eq_ignore_ascii_case(host)
        && name.is_ok_and(|name| app.hosts().iter().any(|h| h.eq_ignore_ascii_case(&name)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    token: String,
    #[serde(default)]
    remember: bool,
}

/// How long a remembered session cookie is kept by the browser; the token may end sooner.
const REMEMBERED_SECONDS: u32 = 30 * 24 * 60 * 60;

/// `POST /api/session`: puts a valid token into a cookie that no script can read.
pub(crate) async fn begin(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Response, Failure> {
    own_page(&headers)?;
    let fields = input::json_body(&app, &headers, body).await?.unwrap_or_default();
    let session: Session = serde_json::from_value(fields.into())
        .map_err(|e| Error::invalid(format!("the session does not fit: {e}")).hint("send {\"token\": \"c32_...\"}"))?;
    app.engine.authenticate(&session.token).await?;
    let age = if session.remember { format!("; Max-Age={REMEMBERED_SECONDS}") } else { String::new() };
    set_cookie(&app, &session.token, &age)
}

/// `DELETE /api/session`: forgets the cookie. The token itself is revoked by its operation.
pub(crate) async fn end(State(app): State<App>, headers: HeaderMap) -> Result<Response, Failure> {
    own_page(&headers)?;
    set_cookie(&app, "", "; Max-Age=0")
}

fn set_cookie(app: &App, token: &str, age: &str) -> Result<Response, Failure> {
    let secure = if app.is_secure() { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict{secure}{age}");
    let mut cookie =
        HeaderValue::from_str(&cookie).map_err(|_| Error::invalid("the token holds characters that no token has"))?;
    cookie.set_sensitive(true);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_bearer_token_is_read_and_comes_before_the_cookie() {
        let both = headers(&[("authorization", "bearer c32_a"), ("cookie", "x=1; codex32_session=c32_b")]);
        let found = Credential::of(&both).unwrap().unwrap();
        assert_eq!((found.token.as_str(), found.from_cookie), ("c32_a", false));
        let cookie = headers(&[("cookie", "x=1; codex32_session=c32_b")]);
        let found = Credential::of(&cookie).unwrap().unwrap();
        assert_eq!((found.token.as_str(), found.from_cookie), ("c32_b", true));
        assert_eq!(Credential::of(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for bad in [
            headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]),
            headers(&[("authorization", "Basic YTpi")]),
            headers(&[("authorization", "Bearer ")]),
            headers(&[("authorization", "Bearer")]),
            headers(&[("authorization", &format!("Bearer {}", "x".repeat(600)))]),
        ] {
            assert_eq!(Credential::of(&bad).unwrap_err().code(), Code::Unauthenticated);
        }
        let two = headers(&[("cookie", "codex32_session=a"), ("cookie", "codex32_session=b")]);
        assert_eq!(Credential::of(&two).unwrap(), None);
    }

    #[test]
    fn a_credential_does_not_print_its_token() {
        let credential = Credential { token: "c32_secret".into(), from_cookie: true };
        assert!(!format!("{credential:?}").contains("secret"));
    }
}

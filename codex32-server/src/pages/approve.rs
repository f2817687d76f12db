//! `/approve/{token}`: where the link in a message leads that asks for an approval.
//!
//! Looking never decides: mail programs follow links by themselves. Only the form's
//! POST does. The token in the address is all that is needed, so the page sends it to
//! nobody (`Referrer-Policy: no-referrer`) and is kept by no cache.

use super::{escape, page};
use crate::problem::{Failure, status_of};
use crate::rest::input;
use crate::shell::App;
use axum::Router;
use axum::body::Body;
use axum::extract::{Form, FromRequest, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use codex32_core::error::{Code, Error, Result};
use codex32_core::execution::Answer;
use serde::Deserialize;

/// Most bytes of the form.
const LARGEST_FORM: usize = 16 << 10;
/// Longest comment, in characters.
const LONGEST_COMMENT: usize = 2_000;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/approve/{token}", get(show).post(decide))
}

async fn show(State(app): State<App>, Path(token): Path<String>, RawQuery(query): RawQuery) -> Response {
    let approval = match app.engine.executor().approval(&token).await {
        Ok((_, approval)) => approval,
        Err(error) => return refused(&error),
    };
    let button = |approved: bool, text: &str| {
        let focus = if answer_of(query.as_deref()) == Some(approved) { " autofocus" } else { "" };
        let (class, value) = if approved { ("yes", "yes") } else { ("no", "no") };
        format!("<button class=\"{class}\" name=\"answer\" value=\"{value}\"{focus}>{text}</button>")
    };
    let body = format!(
        "<p>The bot <strong>{}</strong> asks:</p>\n<blockquote>{}</blockquote>\n\
         <form method=\"post\">\n<label for=\"comment\">A word to go with it (optional)</label>\n\
         <textarea id=\"comment\" name=\"comment\" rows=\"3\" maxlength=\"{LONGEST_COMMENT}\"></textarea>\n\
         {}\n{}\n</form>",
        escape(&approval.bot_name),
        escape(&approval.message),
        button(true, "Approve"),
        button(false, "Reject"),
    );
    private(page("Your approval is asked for", &body))
}

/// The answer that a link proposes: `?answer=yes` or `?answer=no`.
fn answer_of(query: Option<&str>) -> Option<bool> {
    match query? {
        "answer=yes" => Some(true),
        "answer=no" => Some(false),
        _ => None,
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    answer: Option<String>,
    #[serde(default)]
    comment: String,
}

async fn decide(
    State(app): State<App>,
    Path(token): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let done = async {
        let decision = read(&app, &headers, body).await?;
        let approved = match decision.answer.as_deref() {
            Some("yes") => true,
            Some("no") => false,
            // A program posts to the link as it stands.
            None => answer_of(query.as_deref()).ok_or_else(unclear)?,
            Some(_) => return Err(unclear()),
        };
        let comment = Some(decision.comment.trim().to_owned()).filter(|comment| !comment.is_empty());
        if comment.as_ref().is_some_and(|comment| comment.chars().count() > LONGEST_COMMENT) {
            return Err(Error::new(Code::TooLarge, format!("the comment has more than {LONGEST_COMMENT} characters")));
        }
        let answer = Answer { approved, by: "approval link".to_owned(), comment };
        app.engine.executor().answer_approval(&token, answer).await?;
        Ok(approved)
    };
    match done.await {
        Ok(true) => private(page("Approved", "<p>The bot goes on. You may close this page.</p>")),
        Ok(false) => private(page("Rejected", "<p>The bot was told. You may close this page.</p>")),
        Err(error) => refused(&error),
    }
}

fn unclear() -> Error {
    Error::invalid("the answer is neither yes nor no").hint("open the link and use its buttons")
}

async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Decision> {
    let bytes = input::read(app, headers, body, LARGEST_FORM).await.map_err(Failure::into_error)?;
    if bytes.is_empty() {
        return Ok(Decision::default());
    }
    let mut request = Request::post("/").body(Body::from(bytes)).map_err(|e| Error::internal(e.to_string()))?;
    if let Some(media) = headers.get(header::CONTENT_TYPE) {
        request.headers_mut().insert(header::CONTENT_TYPE, media.clone());
    }
    let Form(decision) = Form::from_request(request, &())
        .await
        .map_err(|_| Error::invalid("the form cannot be read").hint("open the link again and use its buttons"))?;
    Ok(decision)
}

fn private(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A person reads this, so it is a page and not a problem document.
fn refused(error: &Error) -> Response {
    let status = status_of(error.code());
    let text = if status == StatusCode::INTERNAL_SERVER_ERROR { "the engine failed" } else { error.message() };
    let hint = error.hint_text().map(|hint| format!("<p>{}</p>", escape(hint))).unwrap_or_default();
    let page = page("This cannot be answered", &format!("<p>{}</p>{hint}", escape(text)));
    private((status, page).into_response())
}

//! The connectors that the engine brings along, one file each.

mod chat;
mod crypto;
mod csv;
mod delay;
mod email;
mod event;
mod feed;
mod file;
mod file_watch;
mod html;
mod http;
mod http_body;
mod http_page;
mod json;
mod kv;
mod log;
mod notify;
mod queue;
mod sql;
mod text;
mod transform;
mod webhook;
mod xml;

use super::Connector;
use super::net::Net;
use std::sync::Arc;

pub(crate) use email::{Mail, Mailer};
pub(crate) use webhook::post_signed;

/// All of them.
pub(super) fn all(net: &Arc<Net>) -> Vec<Arc<dyn Connector>> {
    vec![
        Arc::new(http::Http(net.clone())),
        Arc::new(feed::Rss(net.clone())),
        Arc::new(email::Email::new(Mailer::new(net.clone()))),
        Arc::new(chat::Slack(net.clone())),
        Arc::new(chat::Discord(net.clone())),
        Arc::new(chat::Telegram(net.clone())),
        Arc::new(webhook::Webhook(net.clone())),
        Arc::new(file::Files),
        Arc::new(kv::Kv),
        Arc::new(sql::Sql::new(net.clone())),
        Arc::new(transform::Transform),
        Arc::new(text::Text),
        Arc::new(csv::Csv),
        Arc::new(json::Json),
        Arc::new(xml::Xml),
        Arc::new(crypto::Crypto),
        Arc::new(delay::Delay),
        Arc::new(log::Log),
        Arc::new(notify::Notify),
        Arc::new(event::Event),
        Arc::new(queue::Queues),
    ]
}

#[cfg(test)]
mod tests;

//! Each connector against a real counterpart.

mod chat;
mod email;
mod feed;
mod file;
mod formats;
mod http;
mod services;
mod sql;
mod text;

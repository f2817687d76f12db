//! `file`: files in the folders that the bot declares.

use super::file_watch;
use crate::connector::beneath::{Place, failed, failure};
use crate::connector::input::{self, blocking, no_action, read};
use crate::connector::net::MAX_ANSWER;
use crate::connector::{ActionContext, Connector, Polled};
use crate::error::{Code, Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt as _;
use rustix::fd::AsFd as _;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::Deserialize;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{Read as _, Write as _};
use std::path::Path;

const MODE: u32 = 0o644;

pub(super) struct Files;

#[derive(Deserialize)]
struct One {
    path: String,
    #[serde(rename = "as", default)]
    shape: String,
    text: Option<String>,
    base64: Option<String>,
    #[serde(default)]
    newline: bool,
}

#[derive(Deserialize)]
struct Two {
    from: String,
    to: String,
    overwrite: bool,
}

#[derive(Deserialize)]
struct Folder {
    dir: String,
    pattern: String,
    recursive: bool,
    limit: usize,
}

#[async_trait::async_trait]
impl Connector for Files {
    fn name(&self) -> &str {
        "file"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        let (action, may) = (action.to_owned(), cx.network.permissions.clone());
        blocking(move || match action.as_str() {
            "list" => {
                let folder: Folder = read(input)?;
                let place = Place::locate(&may, &folder.dir)?;
                let (files, truncated) = file_watch::list(&place, &folder.pattern, folder.recursive, folder.limit)?;
                let files: Vec<Value> = files.iter().map(|f| facts(&f.path, &f.facts)).collect();
                Ok(json!({"files": files, "truncated": truncated}))
            }
            "move" | "copy" => {
                let two: Two = read(input)?;
                let from = Place::locate(&may, &two.from)?;
                let to = target(Place::locate(&may, &two.to)?, two.to.ends_with('/'), &from)?;
                if action == "copy" { copy(&from, &to, two.overwrite) } else { shift(&from, &to, two.overwrite) }
            }
            _ => {
                let one: One = read(input)?;
                let place = Place::locate(&may, &one.path)?;
                match action.as_str() {
                    "read" => read_file(&place, &one.shape),
                    "write" => {
                        let bytes = input::bytes(one.text, one.base64, "the file")?;
                        place.make_parents()?;
                        replace(&place, true, |file| file.write_all(&bytes))
                    }
                    "append" => append(&place, one.text.unwrap_or_default(), one.newline),
                    "delete" => delete(&place),
                    other => Err(no_action("file", other)),
                }
            }
        })
        .await
    }

    async fn poll(&self, trigger: &str, cx: &ActionContext, input: Value, cursor: Option<Value>) -> Result<Polled> {
        if trigger != "new_file" {
            return Err(Error::not_found("trigger", format!("file.{trigger}")));
        }
        let (may, now) = (cx.network.permissions.clone(), cx.clock.now());
        blocking(move || file_watch::look(&may, now, input, cursor)).await
    }
}

/// What is told of a file.
pub(super) fn facts(path: &Path, facts: &Metadata) -> Value {
    let modified = facts.modified().map(chrono::DateTime::<chrono::Utc>::from).unwrap_or_default();
    json!({
        "path": path.to_string_lossy(),
        "name": path.file_name().unwrap_or_default().to_string_lossy(),
        "size": facts.len(),
        "modified": modified.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
    })
}

fn told(place: &Place) -> Result<Value> {
    let file = place.open()?;
    let found = file.metadata().map_err(|e| failed(place.path(), &e))?;
    Ok(facts(place.path(), &found))
}

fn read_file(place: &Place, shape: &str) -> Result<Value> {
    let file = place.open()?;
    let found = file.metadata().map_err(|e| failed(place.path(), &e))?;
    let mut bytes = Vec::new();
    // Read to the limit whatever the size says: it may grow, and /proc says 0.
    file.take(MAX_ANSWER as u64 + 1).read_to_end(&mut bytes).map_err(|e| failed(place.path(), &e))?;
    if bytes.len() > MAX_ANSWER {
        return Err(Error::new(
            Code::TooLarge,
            format!("{} is larger than {MAX_ANSWER} bytes", place.path().display()),
        ));
    }
    let mut out = facts(place.path(), &found);
    match shape {
        "base64" => out["base64"] = STANDARD.encode(&bytes).into(),
        "json" => {
            out["json"] = serde_json::from_slice(&bytes)
                .map_err(|e| Error::new(Code::Failed, format!("{} holds no JSON: {e}", place.path().display())))?;
        }
        _ => {
            let text = String::from_utf8(bytes).map_err(|_| {
                Error::new(Code::Failed, format!("{} holds no UTF-8 text", place.path().display()))
                    .hint("read it as base64")
            })?;
            out["text"] = text.into();
        }
    }
    Ok(out)
}

/// Writes a new file beside the place and puts it there in one step, so that nobody
/// ever sees half of it.
fn replace(place: &Place, overwrite: bool, fill: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<Value> {
    if place.is_dir() {
        return Err(failure(place.path(), Errno::ISDIR));
    }
    let (folder, name) = place.parent()?;
    let mut draft = OsString::from(".");
    draft.push(&name);
    draft.push(format!(".{:016x}.tmp", rand::rng().random::<u64>()));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(&folder, &draft, flags, Mode::from_raw_mode(MODE as _));
    let mut file = File::from(opened.map_err(|e| failure(place.path(), e))?);
    let written = fill(&mut file).and_then(|()| file.sync_all()).map_err(|e| failed(place.path(), &e));
    let placed =
        written.and_then(|()| rename(&folder, &draft, &folder, &name, overwrite).map_err(|e| failure(place.path(), e)));
    if let Err(e) = placed {
        // The draft is nobody's; what went wrong matters more than a failed clean-up.
        let _ = rustix::fs::unlinkat(&folder, &draft, AtFlags::empty());
        return Err(e);
    }
    told(place)
}

fn rename(
    from: &impl rustix::fd::AsFd,
    name: &OsString,
    to: &impl rustix::fd::AsFd,
    new: &OsString,
    overwrite: bool,
) -> rustix::io::Result<()> {
    if overwrite {
        return rustix::fs::renameat(from, name, to, new);
    }
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    match rustix::fs::renameat_with(from, name, to, new, rustix::fs::RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        done => return done,
    }
    // A hard link never replaces.
    rustix::fs::linkat(from, name, to, new, AtFlags::empty())?;
    rustix::fs::unlinkat(from, name, AtFlags::empty())
}

fn append(place: &Place, mut text: String, newline: bool) -> Result<Value> {
    if newline && !text.ends_with('\n') {
        text.push('\n');
    }
    place.make_parents()?;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK;
    let mut file = place.open_with(flags, Mode::from_raw_mode(MODE as _))?;
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return Err(Error::invalid(format!("{} is no regular file", place.path().display())));
    }
    file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(|e| failed(place.path(), &e))?;
    told(place)
}

fn delete(place: &Place) -> Result<Value> {
    let (folder, name) = match place.parent() {
        Err(e) if e.code() == Code::NotFound => return Ok(json!({"deleted": false})),
        found => found?,
    };
    match rustix::fs::unlinkat(&folder, &name, AtFlags::empty()) {
        Ok(()) => Ok(json!({"deleted": true})),
        Err(Errno::NOENT) => Ok(json!({"deleted": false})),
        Err(e) => Err(failure(place.path(), e)),
    }
}

/// Where a file is to go: a folder keeps its name.
fn target(to: Place, folder: bool, from: &Place) -> Result<Place> {
    let to = if folder || to.is_dir() { to.join(from.path().file_name().unwrap_or_default())? } else { to };
    to.make_parents()?;
    Ok(to)
}

fn copy(from: &Place, to: &Place, overwrite: bool) -> Result<Value> {
    let mut source = from.open()?;
    replace(to, overwrite, |file| std::io::copy(&mut source, file).map(|_| ()))
}

fn shift(from: &Place, to: &Place, overwrite: bool) -> Result<Value> {
    let done = |moved: bool| {
        let mut out = told(to)?;
        out["moved"] = moved.into();
        Ok(out)
    };
    match from.open() {
        // An attempt before this one may have moved it and died before it could say so.
        Err(e) if e.code() == Code::NotFound => return if to.open().is_ok() { done(false) } else { Err(e) },
        opened => opened?,
    };
    if from.path() == to.path() {
        return done(false);
    }
    let ((here, name), (there, new)) = (from.parent()?, to.parent()?);
    if to.is_dir() {
        return Err(failure(to.path(), Errno::ISDIR));
    }
    match rename(&here.as_fd(), &name, &there.as_fd(), &new, overwrite) {
        // Another file system.
        Err(Errno::XDEV) => {
            copy(from, to, overwrite)?;
            delete(from)?;
        }
        Err(e) => return Err(failure(to.path(), e)),
        Ok(()) => {}
    }
    done(true)
}

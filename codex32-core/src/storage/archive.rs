//! Where what is removed from the database is kept: a folder, or a bucket that speaks S3.

use crate::error::{Error, Result};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _, ObjectStoreScheme};
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use url::Url;

/// Settings of S3 that are read from the environment begin with this.
const SETTINGS: &str = "AWS_";

/// A place for files that are written once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    shown: String,
}

impl Archive {
    /// A folder, which is made where it is not there.
    ///
    /// # Errors
    /// `unavailable` where it cannot be made.
    pub fn folder(path: &Path) -> Result<Archive> {
        let failed = |why: String| Error::unavailable(format!("open the archive {}: {why}", path.display()));
        std::fs::create_dir_all(path).map_err(|e| failed(e.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(path).map_err(|e| failed(e.to_string()))?;
        Ok(Archive { store: Arc::new(store.with_fsync(true)), shown: path.display().to_string() })
    }

    /// What a person names: a folder, `file:///folder`, or `s3://bucket/prefix`. Where S3 is
    /// and who asks is said by the variables of `env` that its own tools read:
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`.
    ///
    /// # Errors
    /// `invalid` where it is none of these, `unavailable` where the folder cannot be made.
    pub fn open(place: &str, env: &[(OsString, OsString)]) -> Result<Archive> {
        let Some(url) = Url::parse(place).ok().filter(|_| place.contains("://")) else {
            return Archive::folder(Path::new(place));
        };
        let unknown = || {
            Error::invalid(format!("\"{}\" is no place for an archive", shown(&url)))
                .hint("name a folder, or s3://BUCKET/PREFIX")
        };
        if url.scheme() == "file" {
            return Archive::folder(&url.to_file_path().map_err(|()| unknown())?);
        }
        let settings = env.iter().filter_map(|(name, value)| {
            let name = name.to_str()?;
            name.starts_with(SETTINGS).then(|| Some((name.to_ascii_lowercase(), value.to_str()?.to_owned())))?
        });
        let (scheme, prefix) = ObjectStoreScheme::parse(&url).map_err(|_| unknown())?;
        if scheme != ObjectStoreScheme::AmazonS3 {
            return Err(unknown());
        }
        // Its client asks the process for a provider; one that was chosen before stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (store, _) = object_store::parse_url_opts(&url, settings)
            .map_err(|e| Error::invalid(format!("the archive {} cannot be used: {e}", shown(&url))))?;
        Ok(Archive { store: Arc::new(PrefixStore::new(store, prefix)), shown: shown(&url) })
    }

    /// Writes a file; one of this name is replaced. Durable when it returns.
    ///
    /// # Errors
    /// `unavailable` where the place does not take it.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let written = self.store.put(&Key::from(name), bytes.into()).await;
        written.map_err(|e| Error::unavailable(format!("write to the archive {}: {e}", self.shown)))?;
        Ok(())
    }
}

/// The address without what may be a password.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Only addresses without a host refuse this, and they have none.
    let _ = (url.set_password(None), url.set_username(""));
    url.set_query(None);
    url.to_string()
}

#[cfg(test)]
mod tests;

//! Tables in stores: `write_parquet("s3://bucket/path")` and its like.
//!
//! A table is written to files of this machine first, in the engine's directory for spilled data, and uploaded when it is
//! complete. Large files go up in parts, which a store shows to nobody before the upload is completed; so all are there
//! before the first is shown, small files are put then, and what was shown is removed if a later one fails. What
//! is replaced is removed last: for a moment readers see new rows beside old ones, but never too few.
//!
//! ```text
//!   rows ─> files ─> parts of all large files ─> completed, small ones put ─> what is replaced, removed
//!                         └ fails: aborted             └ fails: removed
//! ```

use super::file::Format;
use super::fits::fits;
use super::place::{Unfinished, unique};
use super::{WriteMode, WriteOptions};
use crate::error::plan_error;
use crate::session::Session;
use crate::source::Address;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result as PlanResult};
use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};

/// Bytes of a part, and of the largest file that goes up whole. No store takes parts under 5 MiB.
const PART: usize = 8 << 20;
/// Parts of a file that go up at once.
const AT_ONCE: usize = 4;

/// Where a table goes.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    store: Arc<dyn ObjectStore>,
    /// Of a directory, or the name of a file.
    target: Key,
    address: String,
    pub(super) is_file: bool,
    /// What is there already.
    there: Vec<Key>,
}

impl Remote {
    /// Looks at the target; none if nothing is to be written.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] when the mode does not allow what is there, [`ErrorKind::InvalidArgument`] for a mode
    /// that the target cannot have, [`ErrorKind::Unsupported`] for a web server, and what the store says.
    pub(super) async fn new(
        operation: &'static str,
        session: &Session,
        address: Address,
        format: Format,
        schema: &SchemaRef,
        options: &WriteOptions,
    ) -> Result<Option<Self>> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidArgument, operation, message);
        let full = format!("{}/{}", address.origin.as_str().trim_end_matches('/'), address.path);
        if address.is_web() {
            let message = format!("`{full}` is on a web server, which is read, not written");
            return Err(Error::new(ErrorKind::Unsupported, operation, message));
        }
        let path = address.path.trim_end_matches('/');
        if path.is_empty() {
            return Err(invalid(format!("`{full}` is a whole bucket, not a path for a table")));
        }
        let target = Key::parse(path)
            .map_err(|error| invalid(format!("`{path}` is no name of an object: {error}")))?;
        let is_file = format.is_file(Path::new(path));
        let in_parts = matches!(options.mode, WriteMode::Append | WriteMode::OverwritePartitions);
        if is_file && (in_parts || !options.partition_by.is_empty()) {
            return Err(invalid(format!(
                "`{full}` is one file; partitions and appended files need a directory"
            )));
        }
        if options.mode == WriteMode::OverwritePartitions && options.partition_by.is_empty() {
            let message = "there are no partitions to overwrite; name their columns with `partition_by`";
            return Err(invalid(message.into()));
        }
        let registry = &session.context().runtime_env().object_store_registry;
        let store = registry.get_store(&address.origin).map_err(|error| plan_error(error, operation))?;
        let (inside, looked) = (Arc::clone(&store), target.clone());
        let there = session.engine().on_cpu(async move { there(&inside, &looked, is_file).await }).await?;
        let there = there.map_err(|error| plan_error(DataFusionError::from(error), operation))?;
        let remote = Self { store, target, address: full, is_file, there };
        match options.mode {
            WriteMode::ErrorIfExists if !remote.there.is_empty() => {
                let message = format!("`{}` exists already", remote.address);
                return Err(Error::new(ErrorKind::AlreadyExists, operation, message).with_help(
                    "write to another path, or allow it with `WriteOptions::new().overwrite(true)`",
                ));
            }
            WriteMode::Ignore if !remote.there.is_empty() => return Ok(None),
            WriteMode::Append => remote.fits(operation, session, format, schema, options).await?,
            _ => {}
        }
        Ok(Some(remote))
    }

    /// A place on this machine for what is to be uploaded.
    pub(super) fn place(session: &Session) -> Unfinished {
        Unfinished(session.engine().spill_dir().join(format!("write-{}", unique())))
    }

    /// Whether new files belong to those that are there, as far as the first of these shows.
    async fn fits(
        &self,
        operation: &'static str,
        session: &Session,
        format: Format,
        schema: &SchemaRef,
        options: &WriteOptions,
    ) -> Result<()> {
        let hidden = |rest: &str| rest.split('/').any(|part| part.starts_with('.'));
        let first = self.there.iter().find_map(|key| {
            let rest = key.as_ref().strip_prefix(self.target.as_ref())?.trim_start_matches('/');
            (!hidden(rest)).then(|| (key.clone(), rest.to_owned()))
        });
        let Some((key, rest)) = first else { return Ok(()) };
        let store = Arc::clone(&self.store);
        let bytes = session.engine().on_cpu(async move { store.get(&key).await?.bytes().await }).await?;
        let bytes = bytes.map_err(|error| plan_error(DataFusionError::from(error), operation))?;
        let copy = Self::place(session);
        let io = |error: io::Error| Error::new(ErrorKind::Io, operation, error.to_string());
        let file = copy.0.join(rest);
        fs::create_dir_all(file.parent().unwrap_or(&copy.0)).map_err(io)?;
        fs::write(&file, bytes).map_err(io)?;
        fits(operation, &copy.0, format, schema, &options.partition_by).map_err(|error| {
            let message = error.message().replace(&*copy.0.to_string_lossy(), &self.address);
            error.with_message(message)
        })
    }

    /// Uploads what was written, and removes what it replaces.
    pub(super) async fn publish(&self, place: &Path, mode: WriteMode) -> PlanResult<()> {
        let mut files = Vec::new();
        walk(place, String::new(), &mut files)?;
        let name = |rest: &str| match rest {
            "" => Ok(self.target.clone()),
            rest => Key::parse(format!("{}/{rest}", self.target)),
        };
        let mut upload = Upload { store: Arc::clone(&self.store), parts: Vec::new(), small: Vec::new() };
        let mut new = HashSet::new();
        for (rest, path, size) in files {
            let key = name(&rest).map_err(object_store::Error::from)?;
            new.insert(key.clone());
            match size > PART as u64 {
                true => upload.in_parts(key, &path).await?,
                false => upload.small.push((key, path)),
            }
        }
        upload.show(&self.there).await?;
        let directories: HashSet<String> = new.iter().map(directory).collect();
        let mut old = self.there.clone();
        old.retain(|key| match mode {
            WriteMode::Overwrite => !new.contains(key),
            WriteMode::OverwritePartitions => !new.contains(key) && directories.contains(&directory(key)),
            _ => false,
        });
        for key in old {
            match self.store.delete(&key).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => {
                    let message = format!(
                        "the new rows of `{}` are there, but `{key}`, which they replace, cannot be removed: {error}",
                        self.address
                    );
                    let error = Error::new(ErrorKind::Io, "write", message).with_source(error);
                    return Err(DataFusionError::External(Box::new(error)));
                }
            }
        }
        Ok(())
    }
}

/// What a target holds.
async fn there(store: &Arc<dyn ObjectStore>, target: &Key, is_file: bool) -> object_store::Result<Vec<Key>> {
    if is_file {
        return match store.head(target).await {
            Ok(_) => Ok(vec![target.clone()]),
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
    }
    let mut all: Vec<Key> = store.list(Some(target)).map_ok(|object| object.location).try_collect().await?;
    // Some tools mark a directory by an object of its own name.
    all.retain(|key| key != target);
    all.sort();
    Ok(all)
}

fn directory(key: &Key) -> String {
    key.as_ref().rsplit_once('/').map_or("", |(directory, _)| directory).to_owned()
}

/// The files below a path, by their names from there.
fn walk(path: &Path, rest: String, found: &mut Vec<(String, PathBuf, u64)>) -> io::Result<()> {
    if !path.is_dir() {
        found.push((rest, path.to_owned(), path.metadata()?.len()));
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let rest = if rest.is_empty() { name } else { format!("{rest}/{name}") };
        walk(&entry.path(), rest, found)?;
    }
    Ok(())
}

/// Files on their way up. Dropped before its end, it gives up what nobody has seen yet.
struct Upload {
    store: Arc<dyn ObjectStore>,
    /// Uploaded, but not shown.
    parts: Vec<(Key, Box<dyn MultipartUpload>)>,
    small: Vec<(Key, PathBuf)>,
}

impl Upload {
    async fn in_parts(&mut self, key: Key, path: &Path) -> PlanResult<()> {
        let upload = self.store.put_multipart(&key).await?;
        self.parts.push((key, upload));
        let Some((_, upload)) = self.parts.last_mut() else { return Ok(()) };
        let mut file = File::open(path)?;
        let mut going = FuturesUnordered::new();
        loop {
            let mut part = Vec::with_capacity(PART);
            let read = file.by_ref().take(PART as u64).read_to_end(&mut part)?;
            while going.len() >= AT_ONCE || read == 0 {
                match going.next().await {
                    Some(sent) => sent?,
                    None => break,
                }
            }
            if read == 0 {
                return Ok(());
            }
            going.push(upload.put_part(part.into()));
        }
    }

    /// Shows all files, or none; `was` were there before.
    async fn show(&mut self, was: &[Key]) -> PlanResult<()> {
        let mut shown = Vec::new();
        let done = self.show_all(&mut shown).await;
        if done.is_err() {
            shown.retain(|key| !was.contains(key));
            for key in shown {
                // What cannot be taken back stays; the error of the upload says more.
                let _ = self.store.delete(&key).await;
            }
        }
        done
    }

    async fn show_all(&mut self, shown: &mut Vec<Key>) -> PlanResult<()> {
        for (key, upload) in &mut self.parts {
            upload.complete().await?;
            shown.push(key.clone());
        }
        self.parts.clear();
        for (key, path) in &self.small {
            self.store.put(key, fs::read(path)?.into()).await?;
            shown.push(key.clone());
        }
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let parts = std::mem::take(&mut self.parts);
        if let (false, Ok(runtime)) = (parts.is_empty(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                for (_, mut upload) in parts {
                    // A completed one cannot be aborted, and need not be.
                    let _ = upload.abort().await;
                }
            });
        }
    }
}

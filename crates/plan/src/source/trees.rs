//! The directories of tables: what is in them, and how they go, on this machine and in stores.

use super::stores::address;
use crate::error::plan_error;
use crate::session::Session;
use datafusion::error::DataFusionError;
use futures::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};

/// Objects below a path.
type Objects = (Arc<dyn ObjectStore>, Key, Vec<Key>);

impl Session {
    /// Removes a directory with all that is in it, or, in a store, the objects below a path. What is not there is removed
    /// already.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when something cannot be removed, [`ErrorKind::Unsupported`] for a web server.
    ///
    /// ```
    /// use trefoil_plan::Session;
    ///
    /// let dir = tempfile::tempdir().map_err(trefoil_plan::Error::user)?;
    /// let table = dir.path().join("t");
    /// std::fs::create_dir(&table).map_err(trefoil_plan::Error::user)?;
    /// let session = Session::local()?;
    /// session.block_on(session.remove_directory(&table))?;
    /// assert!(!table.exists());
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    pub async fn remove_directory(&self, path: impl AsRef<Path>) -> Result<()> {
        const OPERATION: &str = "remove_directory";
        let path = path.as_ref();
        let Some((store, _, objects)) = self.objects(OPERATION, path).await? else {
            return match fs::remove_dir_all(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    let message = format!("cannot remove `{}`: {error}", path.display());
                    Err(Error::new(ErrorKind::Io, OPERATION, message).with_source(error))
                }
                _ => Ok(()),
            };
        };
        let removed = async move {
            for key in objects {
                match store.delete(&key).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        let removed = self.engine().on_cpu(removed).await?;
        removed.map_err(|error| plan_error(DataFusionError::from(error), OPERATION))
    }

    /// The directories `key=value` below a path, `levels` deep, sorted: `["year=2024/month=1", ..]`. Hidden ones are left out.
    ///
    /// # Errors
    /// What the store says.
    ///
    /// ```
    /// use trefoil_plan::Session;
    ///
    /// let dir = tempfile::tempdir().map_err(trefoil_plan::Error::user)?;
    /// for name in ["k=2", "k=1", "other"] {
    ///     std::fs::create_dir(dir.path().join(name)).map_err(trefoil_plan::Error::user)?;
    /// }
    /// let session = Session::local()?;
    /// assert_eq!(session.block_on(session.partition_directories(dir.path(), 1))?, ["k=1", "k=2"]);
    /// # Ok::<(), trefoil_plan::Error>(())
    /// ```
    pub async fn partition_directories(&self, path: impl AsRef<Path>, levels: usize) -> Result<Vec<String>> {
        const OPERATION: &str = "partition_directories";
        let path = path.as_ref();
        let is_partition = |part: &str| part.contains('=') && !part.starts_with('.');
        let Some((_, target, objects)) = self.objects(OPERATION, path).await? else {
            let mut found = vec![(path.to_owned(), String::new())];
            for _ in 0..levels {
                found = found.iter().flat_map(|(path, label)| below(path, label, is_partition)).collect();
            }
            let mut labels: Vec<String> = found.into_iter().map(|(_, label)| label).collect();
            labels.sort();
            return Ok(labels);
        };
        let mut labels = BTreeSet::new();
        for key in &objects {
            let Some(rest) = key.as_ref().strip_prefix(target.as_ref()) else { continue };
            let parts: Vec<&str> = rest.trim_start_matches('/').split('/').collect();
            if parts.len() > levels && parts[..levels].iter().all(|part| is_partition(part)) {
                labels.insert(parts[..levels].join("/"));
            }
        }
        Ok(labels.into_iter().collect())
    }

    /// The objects below a path of a store; none for a path of this machine.
    async fn objects(&self, operation: &'static str, path: &Path) -> Result<Option<Objects>> {
        let Some(address) = address(operation, &path.to_string_lossy())? else { return Ok(None) };
        if address.is_web() {
            let message = format!("`{}` is on a web server, which is read, not listed", path.display());
            return Err(Error::new(ErrorKind::Unsupported, operation, message));
        }
        let name = address.path.trim_end_matches('/');
        let target = Key::parse(name).map_err(|error| {
            Error::new(
                ErrorKind::InvalidArgument,
                operation,
                format!("`{name}` is no name of an object: {error}"),
            )
        })?;
        let registry = &self.context().runtime_env().object_store_registry;
        let store = registry.get_store(&address.origin).map_err(|error| plan_error(error, operation))?;
        let (inside, below) = (Arc::clone(&store), target.clone());
        let listed = async move {
            inside.list(Some(&below)).map_ok(|object| object.location).try_collect::<Vec<Key>>().await
        };
        let objects = self.engine().on_cpu(listed).await?;
        let objects = objects.map_err(|error| plan_error(DataFusionError::from(error), operation))?;
        Ok(Some((store, target, objects)))
    }
}

fn below(path: &Path, label: &str, wanted: impl Fn(&str) -> bool) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(path).map(|dir| dir.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let found = entries.into_iter().filter(|entry| entry.path().is_dir()).filter_map(|entry| {
        let part = entry.file_name().to_string_lossy().into_owned();
        let label = if label.is_empty() { part.clone() } else { format!("{label}/{part}") };
        wanted(&part).then(|| (entry.path(), label))
    });
    found.collect()
}

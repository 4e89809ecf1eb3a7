//! Which objects of a store a path means, as `find` says it of files of this machine.
//!
//! A path is an object, a directory (all objects of the format below it, except those with a part that starts with
//! `.` or `_`), or a pattern. Web servers have no directories: there a path is a file.

use super::find::{Format, Found, Remote};
use super::stores::{Address, Kind};
use crate::error::plan_error;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use futures::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use std::path::PathBuf;
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result, suggest};

/// The objects of a table.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is none, with near names; what the store says otherwise.
pub(super) async fn find(
    state: &SessionState,
    operation: &'static str,
    format: Format,
    address: &Address,
) -> Result<Found> {
    let fail = |error: DataFusionError| plan_error(error, operation);
    let store = state.runtime_env().object_store_registry.get_store(&address.origin).map_err(fail)?;
    let path = address.path.as_str();
    let pattern = path.contains(['*', '?', '[']) && address.kind != Kind::Http;
    if !pattern && !path.is_empty() && !path.ends_with('/') {
        match store.head(&named(operation, path)?).await {
            Ok(object) => return found(operation, address, vec![object], None),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(fail(error.into())),
        }
    }
    if address.kind == Kind::Http {
        let missing =
            Error::new(ErrorKind::NotFound, operation, format!("`{}` does not exist", full(address)));
        return Err(missing.with_help("web servers do not list directories: give the address of a file"));
    }
    let (prefix, objects) = match pattern {
        true => (None, matching(operation, format, &store, path).await?),
        false => {
            let prefix = named(operation, path.trim_end_matches('/'))?;
            let all = list(operation, &store, &prefix).await?;
            let below = |object: &ObjectMeta| {
                rest(&object.location, &prefix).is_some_and(|rest| is_ours(format, rest))
            };
            let objects: Vec<ObjectMeta> = all.iter().filter(|object| below(object)).cloned().collect();
            if objects.is_empty() {
                return Err(none(operation, format, address, &store, &prefix, &all).await);
            }
            (Some(prefix), objects)
        }
    };
    if objects.is_empty() {
        let message = format!("no object matches `{}`", full(address));
        return Err(Error::new(ErrorKind::NotFound, operation, message));
    }
    found(operation, address, objects, prefix)
}

/// The name of an object, as it is written.
fn named(operation: &'static str, path: &str) -> Result<Key> {
    Key::parse(path).map_err(|error| {
        Error::new(
            ErrorKind::InvalidArgument,
            operation,
            format!("`{path}` is no name of an object: {error}"),
        )
    })
}

fn full(address: &Address) -> String {
    format!("{}/{}", address.origin.as_str().trim_end_matches('/'), address.path)
}

async fn list(
    operation: &'static str,
    store: &Arc<dyn ObjectStore>,
    prefix: &Key,
) -> Result<Vec<ObjectMeta>> {
    let prefix = (!prefix.as_ref().is_empty()).then_some(prefix);
    let mut all: Vec<ObjectMeta> = store
        .list(prefix)
        .try_collect()
        .await
        .map_err(|error| plan_error(DataFusionError::from(error), operation))?;
    all.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(all)
}

/// What is behind the prefix in the name of an object.
fn rest<'a>(key: &'a Key, prefix: &Key) -> Option<&'a str> {
    match prefix.as_ref() {
        "" => Some(key.as_ref()),
        prefix => key.as_ref().strip_prefix(prefix)?.strip_prefix('/'),
    }
}

fn is_ours(format: Format, rest: &str) -> bool {
    let hidden = rest.split('/').any(|part| part.starts_with(['.', '_']));
    !hidden && format.end_of(rest).is_some()
}

/// Objects whose name matches, and those of the format in directories that match.
async fn matching(
    operation: &'static str,
    format: Format,
    store: &Arc<dyn ObjectStore>,
    path: &str,
) -> Result<Vec<ObjectMeta>> {
    let path = path.trim_end_matches('/');
    let pattern = glob::Pattern::new(path).map_err(|error| {
        let message = format!("`{path}` is not a pattern: {} (at {})", error.msg, error.pos);
        Error::new(ErrorKind::InvalidArgument, operation, message)
    })?;
    // As the shell does: `*` stays within a directory and does not find hidden files.
    let options = glob::MatchOptions {
        require_literal_separator: true,
        require_literal_leading_dot: true,
        ..Default::default()
    };
    let plain =
        path.split('/').take_while(|part| !part.contains(['*', '?', '['])).collect::<Vec<_>>().join("/");
    let mut all = list(operation, store, &named(operation, &plain)?).await?;
    all.retain(|object| {
        let name = object.location.as_ref();
        let directory =
            |at: usize| pattern.matches_with(&name[..at], options) && is_ours(format, &name[at + 1..]);
        pattern.matches_with(name, options) || name.match_indices('/').any(|(at, _)| directory(at))
    });
    Ok(all)
}

/// The files, without those that hold no byte.
fn found(
    operation: &'static str,
    address: &Address,
    mut objects: Vec<ObjectMeta>,
    root: Option<Key>,
) -> Result<Found> {
    let file = |key: &Key| PathBuf::from(format!("/{key}"));
    let first = objects.first().map(|object| object.location.clone()).unwrap_or_default();
    objects.retain(|object| object.size > 0);
    if objects.is_empty() {
        let message = format!("`{}/{first}` is empty, so it has no columns", address.origin);
        return Err(Error::new(ErrorKind::MalformedData, operation, message));
    }
    Ok(Found {
        files: objects.iter().map(|object| file(&object.location)).collect(),
        root: root.map(|root| file(&root)),
        remote: Some(Remote { origin: address.origin.clone(), objects }),
    })
}

/// Says why nothing was found: files of other formats, or a name that is near.
async fn none(
    operation: &'static str,
    format: Format,
    address: &Address,
    store: &Arc<dyn ObjectStore>,
    prefix: &Key,
    all: &[ObjectMeta],
) -> Error {
    if let Some(other) = all.first() {
        let looked = format.extensions().iter().map(|end| format!("*{end}")).collect::<Vec<_>>().join(", ");
        let message = format!("no {} file in `{}` (looked for {looked})", format.title(), full(address));
        return Error::new(ErrorKind::NotFound, operation, message)
            .with_help(format!("it holds other objects, such as `{}`", other.location));
    }
    let error = Error::new(ErrorKind::NotFound, operation, format!("`{}` does not exist", full(address)));
    let (parent, last) = prefix.as_ref().rsplit_once('/').unwrap_or(("", prefix.as_ref()));
    let Ok(beside) = store.list_with_delimiter(Some(&Key::parse(parent).unwrap_or_default())).await else {
        return error;
    };
    let objects = beside.objects.iter().map(|object| &object.location);
    let names = objects.chain(&beside.common_prefixes).filter_map(|key| key.filename());
    let names: Vec<&str> = names.collect();
    match suggest(last, &names) {
        Some(near) if parent.is_empty() => {
            error.with_help(format!("did you mean `{}/{near}`?", address.origin))
        }
        Some(near) => error.with_help(format!("did you mean `{}/{parent}/{near}`?", address.origin)),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::PutPayload;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn patterns() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for name in ["a/x.csv", "a/y.csv", "a/_z.csv", "a/b/x.csv", "a/b/x.txt", "c.csv", "a.csv/p.csv"] {
            store.put(&Key::from(name), PutPayload::from_static(b"n\n1\n")).await.unwrap();
        }
        let check = async |pattern: &str, expect: &[&str]| {
            let found = matching("test", Format::Csv, &store, pattern).await.unwrap();
            let names: Vec<&str> = found.iter().map(|object| object.location.as_ref()).collect();
            assert_eq!(names, expect, "{pattern}");
        };
        check("a/*.csv", &["a/_z.csv", "a/x.csv", "a/y.csv"]).await;
        check("a/[xy].csv", &["a/x.csv", "a/y.csv"]).await;
        check("*.csv", &["a.csv/p.csv", "c.csv"]).await;
        check("*", &["a.csv/p.csv", "a/b/x.csv", "a/x.csv", "a/y.csv", "c.csv"]).await;
        check("a/b*", &["a/b/x.csv"]).await;
        check("**/x.csv", &["a/b/x.csv", "a/x.csv"]).await;
        check("?/?/x.*", &["a/b/x.csv", "a/b/x.txt"]).await;
        check("z*", &[]).await;
        assert!(matching("test", Format::Csv, &store, "a[").await.is_err());
    }
}

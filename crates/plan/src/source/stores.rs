//! Where files are besides this machine: `s3://bucket/path`, `gs://`, `az://` (or `abfss://`), `http://` and `https://`.
//!
//! Each kind is a feature of its own (`s3`, `gcs`, `azure`, `http`). Keys, regions and endpoints come from the environment,
//! under the names that the stores' own tools use (`AWS_ACCESS_KEY_ID`, `GOOGLE_SERVICE_ACCOUNT`,
//! `AZURE_STORAGE_ACCOUNT_NAME`), and from the session's builder. A store is opened when the first path in it is, and is
//! the session's until its end; everything of DataFusion that names a path finds it here.

use datafusion::datasource::object_store::ObjectStoreRegistry;
use datafusion::error::{DataFusionError, Result as PlanResult};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result, suggest};
use url::{Position, Url};

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    S3,
    Gcs,
    Azure,
    Http,
}

/// Of a kind: schemes, the feature, whether it is on, and how the names of its settings begin.
type About = (Kind, &'static [&'static str], &'static str, bool, &'static str);

const KINDS: [About; 4] = [
    (Kind::S3, &["s3", "s3a"], "s3", cfg!(feature = "s3"), "AWS_"),
    (Kind::Gcs, &["gs", "gcs"], "gcs", cfg!(feature = "gcs"), "GOOGLE_"),
    (Kind::Azure, &["az", "azure", "abfs", "abfss", "adl"], "azure", cfg!(feature = "azure"), "AZURE_"),
    (Kind::Http, &["http", "https"], "http", cfg!(feature = "http"), "HTTP_"),
];

/// Names of settings, to suggest one for a name that is not known.
const SETTINGS: [&str; 14] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_ENDPOINT",
    "AWS_ALLOW_HTTP",
    "AWS_SKIP_SIGNATURE",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_ENDPOINT",
];

/// A place in a store.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(super) kind: Kind,
    /// Scheme and bucket, or host: `s3://bucket`.
    pub(crate) origin: Url,
    /// The name of the object, directory or pattern, without a slash at its start.
    pub(crate) path: String,
}

impl Address {
    /// Whether it is on a web server, which is only read.
    pub(crate) fn is_web(&self) -> bool {
        self.kind == Kind::Http
    }
}

/// The address of a path that is not on this machine; none for one that is.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a kind of store that is not known, whose feature is off, or a query in the address;
/// [`ErrorKind::InvalidArgument`] for an address that cannot be read.
pub(crate) fn address(operation: &'static str, path: &str) -> Result<Option<Address>> {
    let Some((scheme, rest)) = path.split_once("://") else { return Ok(None) };
    if scheme.contains(['/', '\\']) || scheme == "file" {
        return Ok(None);
    }
    let (kind, ..) = *known(operation, scheme)?;
    let wrong = |message: String| Error::new(ErrorKind::InvalidArgument, operation, message);
    let parsed =
        |text: &str| Url::parse(text).map_err(|error| wrong(format!("`{path}` is no address: {error}")));
    if kind == Kind::Http {
        let url = parsed(path)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                operation,
                format!("the part after `?` or `#` of the address `{path}`"),
            )
            .with_help("give the address of a file; signed addresses are not supported"));
        }
        let origin = parsed(&url[..Position::BeforePath])?;
        let decoded = object_store::path::Path::from_url_path(url.path())
            .map_err(|error| wrong(format!("`{path}` is no address: {error}")))?;
        let slash = if url.path().ends_with('/') { "/" } else { "" };
        return Ok(Some(Address { kind, origin, path: format!("{decoded}{slash}") }));
    }
    // Names of objects are taken as they are written: `?` and `#` are letters like others, and nothing is escaped.
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(
            wrong(format!("`{path}` names no bucket")).with_help(format!("write {scheme}://bucket/path"))
        );
    }
    let origin = parsed(&format!("{scheme}://{bucket}"))?;
    Ok(Some(Address { kind, origin, path: key.to_owned() }))
}

/// The kind of a scheme, if its feature is on.
fn known(operation: &'static str, scheme: &str) -> Result<&'static About> {
    let unsupported = |message: String| Error::new(ErrorKind::Unsupported, operation, message);
    match KINDS.iter().find(|(_, schemes, ..)| schemes.contains(&scheme)) {
        Some((_, _, feature, false, _)) => Err(unsupported(format!(
            "`{scheme}:` addresses are not known: trefoil was built without its feature `{feature}`"
        ))
        .with_help(format!("build it with `features = [\"{feature}\"]`"))),
        Some(about) => Ok(about),
        None => {
            let schemes = || KINDS.iter().flat_map(|(_, schemes, ..)| schemes.iter().copied());
            let error = unsupported(format!("`{scheme}:` is no kind of store that is known"));
            Err(match suggest(scheme, schemes()) {
                Some(near) => error.with_help(format!("did you mean `{near}://`?")),
                None => error.with_help("known are s3, gs, az, http and https, and files of this machine"),
            })
        }
    }
}

/// The stores of a session, by scheme and bucket.
pub(crate) struct Stores {
    open: RwLock<HashMap<String, Arc<dyn ObjectStore>>>,
    /// Beside those of the environment, and before them.
    #[cfg_attr(not(any(feature = "s3", feature = "gcs", feature = "azure")), expect(dead_code))]
    settings: Vec<(String, String)>,
}

impl Stores {
    /// With the file system, and settings by the names that the environment has.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a name that no store has, [`ErrorKind::Unsupported`] if it is of a store whose
    /// feature is off.
    pub(crate) fn new(settings: Vec<(String, String)>) -> Result<Self> {
        for (name, _) in &settings {
            let known = KINDS.iter().find(|(.., prefix)| name.starts_with(prefix));
            match known {
                Some((_, schemes, _, false, _)) => {
                    known_scheme(schemes[0])?;
                }
                Some((kind, .., true, _)) if is_setting(*kind, name) => {}
                _ => {
                    let message = format!("`{name}` is no setting of a store");
                    let error = Error::new(ErrorKind::InvalidArgument, "session", message);
                    return Err(match suggest(name, SETTINGS) {
                        Some(near) => error.with_help(format!("did you mean `{near}`?")),
                        None => error.with_help(format!("settings are {} and so on", SETTINGS.join(", "))),
                    });
                }
            }
        }
        let files = Arc::new(LocalFileSystem::new()) as Arc<dyn ObjectStore>;
        Ok(Self { open: RwLock::new(HashMap::from([("file://".to_owned(), files)])), settings })
    }

    /// The session's own settings whose names begin like this.
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
    fn settings(&self, prefix: &str) -> impl Iterator<Item = (String, &str)> {
        let ours = self.settings.iter().filter(move |(name, _)| name.starts_with(prefix));
        ours.map(|(name, value)| (name.to_lowercase(), value.as_str()))
    }

    fn make(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        const OPERATION: &str = "open";
        let (kind, ..) = *known(OPERATION, url.scheme())?;
        let failed = |error: object_store::Error| {
            let message = format!("cannot open `{}`: {error}", &url[..Position::BeforePath]);
            Error::new(ErrorKind::InvalidArgument, OPERATION, message)
                .with_help("see the settings of stores in the page on files of the tutorials")
                .with_source(error)
        };
        match kind {
            #[cfg(feature = "s3")]
            Kind::S3 => {
                let mut builder = object_store::aws::AmazonS3Builder::from_env().with_url(url.as_str());
                for (name, value) in self.settings("AWS_") {
                    if let Ok(key) = name.parse() {
                        builder = builder.with_config(key, value);
                    }
                }
                builder.with_retry(retry(6)).build().map(shared).map_err(failed)
            }
            #[cfg(feature = "gcs")]
            Kind::Gcs => {
                // `gcs:` is not known below.
                let url = url.as_str().replacen("gcs://", "gs://", 1);
                let mut builder = object_store::gcp::GoogleCloudStorageBuilder::from_env().with_url(url);
                for (name, value) in self.settings("GOOGLE_") {
                    if let Ok(key) = name.parse() {
                        builder = builder.with_config(key, value);
                    }
                }
                builder.with_retry(retry(6)).build().map(shared).map_err(failed)
            }
            #[cfg(feature = "azure")]
            Kind::Azure => {
                let mut builder =
                    object_store::azure::MicrosoftAzureBuilder::from_env().with_url(url.as_str());
                for (name, value) in self.settings("AZURE_") {
                    if let Ok(key) = name.parse() {
                        builder = builder.with_config(key, value);
                    }
                }
                builder.with_retry(retry(6)).build().map(shared).map_err(failed)
            }
            #[cfg(feature = "http")]
            Kind::Http => object_store::http::HttpBuilder::new()
                .with_url(&url[..Position::BeforePath])
                .with_client_options(object_store::ClientOptions::new().with_allow_http(true))
                .with_retry(retry(3))
                .build()
                .map(shared)
                .map_err(failed),
            #[allow(unreachable_patterns)]
            _ => Err(failed(object_store::Error::NotImplemented {
                operation: "open".into(),
                implementer: url.scheme().into(),
            })),
        }
    }
}

/// The error of a scheme whose feature is off.
fn known_scheme(scheme: &str) -> Result<()> {
    known("session", scheme).map(|_| ())
}

/// Attempts after the first; waits double from a tenth of a second.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure", feature = "http"))]
fn retry(times: usize) -> object_store::RetryConfig {
    object_store::RetryConfig { max_retries: times, ..object_store::RetryConfig::default() }
}

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure", feature = "http"))]
fn shared(store: impl ObjectStore) -> Arc<dyn ObjectStore> {
    Arc::new(store)
}

/// Whether a store of this kind has a setting of this name.
fn is_setting(kind: Kind, name: &str) -> bool {
    let name = name.to_lowercase();
    match kind {
        #[cfg(feature = "s3")]
        Kind::S3 => name.parse::<object_store::aws::AmazonS3ConfigKey>().is_ok(),
        #[cfg(feature = "gcs")]
        Kind::Gcs => name.parse::<object_store::gcp::GoogleConfigKey>().is_ok(),
        #[cfg(feature = "azure")]
        Kind::Azure => name.parse::<object_store::azure::AzureConfigKey>().is_ok(),
        _ => {
            let _ = name;
            false
        }
    }
}

fn key(url: &Url) -> String {
    url[..Position::BeforePath].to_owned()
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.open.write().insert(key(url), store)
    }

    fn deregister_store(&self, url: &Url) -> PlanResult<Arc<dyn ObjectStore>> {
        self.open.write().remove(&key(url)).ok_or_else(|| {
            let message = format!("no store `{}` is open", key(url));
            DataFusionError::External(Box::new(Error::new(ErrorKind::NotFound, "session", message)))
        })
    }

    fn get_store(&self, url: &Url) -> PlanResult<Arc<dyn ObjectStore>> {
        if let Some(store) = self.open.read().get(&key(url)) {
            return Ok(Arc::clone(store));
        }
        let store = self.make(url).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Arc::clone(self.open.write().entry(key(url)).or_insert(store)))
    }
}

impl fmt::Debug for Stores {
    // Settings hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("open", &self.open.read().keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Origin and path, none for a local path, or the kind of the error and a part of its text.
    type Expect = Result<Option<(&'static str, &'static str)>, (ErrorKind, &'static str)>;

    #[test]
    fn addresses() {
        let check = |path: &str, expect: Expect| {
            let found = address("test", path);
            match (&found, expect) {
                (Ok(None), Ok(None)) => {}
                (Ok(Some(found)), Ok(Some(expect))) => {
                    assert_eq!((key(&found.origin).as_str(), found.path.as_str()), expect, "{path}");
                }
                (Err(error), Err((kind, part))) => {
                    assert_eq!(error.kind(), kind, "{path}: {error}");
                    assert!(error.to_string().contains(part), "{path}: {error}");
                }
                (_, expect) => panic!("{path}: {found:?}, not {expect:?}"),
            }
        };
        let off = |feature: &'static str| Err((ErrorKind::Unsupported, feature));
        // As `expect` if the feature is on, otherwise the error that names it.
        let kinds: [(bool, &'static str, &str, Expect); 12] = [
            (
                cfg!(feature = "s3"),
                "feature `s3`",
                "s3://bucket/a b/x?.csv",
                Ok(Some(("s3://bucket", "a b/x?.csv"))),
            ),
            (
                cfg!(feature = "s3"),
                "feature `s3`",
                "s3a://bucket/k=1%2F2/",
                Ok(Some(("s3a://bucket", "k=1%2F2/"))),
            ),
            (cfg!(feature = "s3"), "feature `s3`", "s3://bucket", Ok(Some(("s3://bucket", "")))),
            (
                cfg!(feature = "s3"),
                "feature `s3`",
                "s3:///x",
                Err((ErrorKind::InvalidArgument, "names no bucket")),
            ),
            (cfg!(feature = "gcs"), "feature `gcs`", "gs://bucket/key", Ok(Some(("gs://bucket", "key")))),
            (cfg!(feature = "azure"), "feature `azure`", "az://box/key", Ok(Some(("az://box", "key")))),
            (
                cfg!(feature = "azure"),
                "feature `azure`",
                "abfss://box@account.dfs.core.windows.net/a/b",
                Ok(Some(("abfss://box@account.dfs.core.windows.net", "a/b"))),
            ),
            (
                cfg!(feature = "http"),
                "feature `http`",
                "https://host/a%20b.csv",
                Ok(Some(("https://host", "a b.csv"))),
            ),
            (
                cfg!(feature = "http"),
                "feature `http`",
                "http://host:81/d/",
                Ok(Some(("http://host:81", "d/"))),
            ),
            (
                cfg!(feature = "http"),
                "feature `http`",
                "http://",
                Err((ErrorKind::InvalidArgument, "no address")),
            ),
            (
                cfg!(feature = "http"),
                "feature `http`",
                "http://h/x?sig=1",
                Err((ErrorKind::Unsupported, "after `?`")),
            ),
            (
                cfg!(feature = "http"),
                "feature `http`",
                "http://h/x#1",
                Err((ErrorKind::Unsupported, "or `#`")),
            ),
        ];
        for (on, feature, path, expect) in kinds {
            check(path, if on { expect } else { off(feature) });
        }
        check("a/b.csv", Ok(None));
        check("file:///a/b.csv", Ok(None));
        check("a/b://c", Ok(None));
        check("ftp://host/file", Err((ErrorKind::Unsupported, "known are")));
        check("hdfs://host/file", Err((ErrorKind::Unsupported, "known are")));
        check("s4://bucket/file", Err((ErrorKind::Unsupported, "did you mean `s3://`?")));
    }

    #[test]
    fn settings() {
        let check = |name: &str, expect: Option<&str>| {
            let found = Stores::new(vec![(name.to_owned(), "x".to_owned())]).map(|_| ());
            match (found, expect) {
                (Ok(()), None) => {}
                (Err(error), Some(part)) => assert!(error.to_string().contains(part), "{name}: {error}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        };
        let off = |on: bool, feature: &'static str| if on { None } else { Some(feature) };
        check("AWS_REGION", off(cfg!(feature = "s3"), "`s3`"));
        check("GOOGLE_SERVICE_ACCOUNT_KEY", off(cfg!(feature = "gcs"), "`gcs`"));
        check("AZURE_STORAGE_ACCOUNT_NAME", off(cfg!(feature = "azure"), "`azure`"));
        check("REGION", Some("is no setting of a store"));
        if cfg!(feature = "s3") {
            check("AWS_REGIN", Some("did you mean `AWS_REGION`?"));
        }
    }
}

//! Files to a table of DataFusion: format, schema, partition columns.

use super::find::{Format, Found, Remote, find};
use super::keys::Key;
use super::{CsvOptions, compression, diagnose, remote, stores, tolerant};
use crate::error::plan_error;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, lit, when};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use trefoil_core::{Error, ErrorKind, Result};
use url::Url;

/// The table of the files that `path` means, and, if its columns are text that must be converted (see
/// [`convert`]), their types.
pub(crate) async fn open(
    state: &SessionState,
    operation: &'static str,
    format: Format,
    path: &str,
    options: &CsvOptions,
) -> Result<(Arc<dyn TableProvider>, Option<SchemaRef>)> {
    let (path, stated) = super::stated::split(operation, path)?;
    let mut options = match stated.is_empty() {
        true => options.clone(),
        false => super::stated::options(operation, format, &stated)?,
    };
    let found = match stores::address(operation, path)? {
        Some(address) => remote::find(state, operation, format, &address).await?,
        None => {
            let mut found = find(operation, format, path)?;
            drop_empty(operation, format, &mut found)?;
            found
        }
    };
    let fail = |error: DataFusionError| plan_error(error, operation);
    let row_by_row = tolerant::is_needed(format, &options) || options.detect_header;
    if row_by_row && found.remote.is_some() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            operation,
            "a policy for malformed rows, a form of dates or a header to be detected, for files in a store",
        )
        .with_help("copy the files to this machine first"));
    }
    if format == Format::Csv && options.detect_header {
        options.header = tolerant::has_header(&found.files[0], &options).map_err(fail)?;
    }
    let options = &options;
    if tolerant::is_needed(format, options) {
        let inferred = tolerant::infer(format, &found.files[0], options).map_err(fail)?;
        let schema = typed(operation, &inferred, options)?;
        if partition_keys(&found).is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                operation,
                "a policy for malformed rows, or a form of dates, for directories named `key=value`",
            ));
        }
        return Ok((tolerant::table(format, &found.files, schema, options).map_err(fail)?, None));
    }
    let reader = reader(operation, format, &found.files, options)?;
    let mut schema = infer(state, operation, format, &reader, &found, options).await?;
    let mut types = None;
    if format == Format::Csv && !options.nulls.is_empty() {
        types = Some(schema.clone());
        schema = all_text(&schema);
    }

    // Each file by itself, except below `key=value` directories, whose keys are found from a common root.
    let mut keys: Vec<Key> = Vec::new();
    let mut listing = ListingOptions::new(reader).with_file_extension("");
    let mut urls = Vec::with_capacity(found.files.len());
    match partition_keys(&found) {
        Some((root, named)) => {
            keys = named;
            // Names of directories that are not the values themselves are read as text, and converted.
            let plain = keys.iter().all(Key::is_plain);
            let data_type = |key: &Key| if plain { key.data_type() } else { DataType::Utf8 };
            let columns = keys.iter().map(|key| (key.name.clone(), data_type(key))).collect();
            listing =
                listing.with_table_partition_cols(columns).with_file_extension(extension(&found.files[0]));
            urls.push(directory_url(operation, &found, &root)?);
        }
        None => {
            for file in &found.files {
                urls.push(file_url(operation, &found, file)?);
            }
        }
    }
    let config =
        ListingTableConfig::new_with_multi_paths(urls).with_listing_options(listing).with_schema(schema);
    let table = ListingTable::try_new(config).map_err(fail)?;
    let table: Arc<dyn TableProvider> =
        Arc::new(table.with_cache(state.runtime_env().cache_manager.get_file_statistic_cache()));
    let table = match keys.iter().all(Key::is_plain) {
        true => table,
        false => decoded(table, &keys).map_err(fail)?,
    };
    match types {
        // Whoever states options with the path has no place for the conversion.
        Some(types) if !stated.is_empty() => {
            let scan = LogicalPlanBuilder::scan("files", provider_as_source(table), None);
            let plan = scan.and_then(|scan| scan.project(convert(&types, &options.nulls))?.build());
            Ok((Arc::new(ViewTable::new(plan.map_err(fail)?, None)), None))
        }
        types => Ok((table, types)),
    }
}

/// A view of the table with the values that the names of directories stand for.
fn decoded(table: Arc<dyn TableProvider>, keys: &[Key]) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let fields: Vec<String> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
    let scan = LogicalPlanBuilder::scan("files", provider_as_source(table), None)?;
    let columns = fields.iter().map(|name| {
        let column = Expr::Column(Column::new(Some("files"), name));
        match keys.iter().find(|key| key.name == *name) {
            Some(key) => key.decoded(column).alias(name),
            None => column.alias(name),
        }
    });
    let plan = scan.project(columns.collect::<Vec<_>>())?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

fn all_text(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<Field> =
        schema.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true)).collect();
    Arc::new(Schema::new(fields))
}

/// Expressions that make the typed columns of a table of text: the words for null, then the types.
///
/// DataFusion 55.2 looks at the words for null when it finds the types, but not when it reads the rows.
pub(crate) fn convert(types: &SchemaRef, nulls: &[String]) -> Vec<Expr> {
    types
        .fields()
        .iter()
        .map(|field| {
            let text = Expr::Column(Column::from_name(field.name()));
            let words = nulls.iter().map(|word| lit(word.as_str())).collect();
            let value = when(text.clone().in_list(words, true), text.clone()).end().unwrap_or(text);
            let value = match field.data_type() {
                DataType::Utf8 => value,
                other => cast(value, other.clone()),
            };
            value.alias(field.name())
        })
        .collect()
}

/// Leaves files without a byte out; an error if no other is left.
fn drop_empty(operation: &'static str, format: Format, found: &mut Found) -> Result<()> {
    let size = |file: &Path| std::fs::metadata(file).map(|meta| meta.len()).unwrap_or(1);
    if found.files.iter().any(|file| size(file) > 0) {
        found.files.retain(|file| size(file) > 0);
        return Ok(());
    }
    let what = match format {
        Format::Csv => "not even a header line",
        _ => "so it has no columns",
    };
    Err(Error::new(
        ErrorKind::MalformedData,
        operation,
        format!("`{}` is empty, {what}", found.files[0].display()),
    ))
}

fn reader(
    operation: &'static str,
    format: Format,
    files: &[PathBuf],
    options: &CsvOptions,
) -> Result<Arc<dyn FileFormat>> {
    let compression = compression::of(&files[0]);
    let mixed = files.iter().any(|file| compression::of(file) != compression);
    let tabs = files.iter().filter(|file| file.to_string_lossy().to_lowercase().contains(".tsv")).count();
    if mixed || (tabs > 0 && tabs < files.len() && options.delimiter.is_none()) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            operation,
            "the files are of several kinds: plain and compressed, or `.csv` and `.tsv`",
        )
        .with_help("read one kind at a time, with a pattern such as `dir/*.csv`"));
    }
    let compression = compression.for_datafusion();
    Ok(match format {
        Format::Parquet => Arc::new(ParquetFormat::default()),
        Format::Arrow => Arc::new(ArrowFormat),
        #[cfg(feature = "avro")]
        Format::Avro => Arc::new(datafusion_datasource_avro::AvroFormat),
        #[cfg(not(feature = "avro"))]
        Format::Avro => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                operation,
                "cannot read Avro files: trefoil was built without its feature `avro`",
            )
            .with_help("build it with `features = [\"avro\"]`"));
        }
        Format::Csv => Arc::new(options.to_format(tabs > 0).with_file_compression_type(compression)),
        Format::Json => Arc::new(
            JsonFormat::default()
                .with_schema_infer_max_rec(options.infer_rows)
                .with_file_compression_type(compression),
        ),
    })
}

async fn infer(
    state: &SessionState,
    operation: &'static str,
    format: Format,
    reader: &Arc<dyn FileFormat>,
    found: &Found,
    options: &CsvOptions,
) -> Result<SchemaRef> {
    let fail = |error: DataFusionError| plan_error(error, operation);
    let files = &found.files;
    let first = file_url(operation, found, &files[0])?;
    let store = state.runtime_env().object_store(&first).map_err(fail)?;
    let objects = match &found.remote {
        Some(remote) => remote.objects.clone(),
        None => {
            let mut objects = Vec::with_capacity(files.len());
            for file in files {
                let url = file_url(operation, found, file)?;
                let head = object_store::ObjectStoreExt::head(store.as_ref(), url.prefix()).await;
                objects.push(head.map_err(|error| fail(error.into()))?);
            }
            objects
        }
    };
    let inferred = match reader.infer_schema(state, &store, &objects).await {
        Ok(schema) => schema,
        Err(error) if found.remote.is_some() => return Err(fail(error)),
        Err(error) => {
            let found = diagnose::in_files(format, files, reader, None, operation);
            return Err(found.unwrap_or_else(|| fail(error)));
        }
    };
    if inferred.fields().is_empty() {
        return Err(Error::new(
            ErrorKind::MalformedData,
            operation,
            format!("`{}` has no columns", files[0].display()),
        ));
    }
    if format == Format::Csv { typed(operation, &inferred, options) } else { Ok(inferred) }
}

/// Columns with only nulls in the rows looked at are text; types that were asked for replace others.
fn typed(operation: &'static str, inferred: &SchemaRef, options: &CsvOptions) -> Result<SchemaRef> {
    let names = || inferred.fields().iter().map(|field| field.name());
    if let Some((name, _)) = options.types.iter().find(|(name, _)| !names().any(|have| have == name)) {
        return Err(Error::unknown_column(operation, name, names()));
    }
    let fields: Vec<Field> = inferred
        .fields()
        .iter()
        .map(|field| {
            let wanted = options.types.iter().rev().find(|(name, _)| name == field.name());
            let data_type = match (wanted, field.data_type()) {
                (Some((_, wanted)), _) => wanted.clone(),
                (None, DataType::Null) => DataType::Utf8,
                (None, found) => found.clone(),
            };
            Field::new(field.name(), data_type, true)
        })
        .collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// The keys of `key=value` directories between the root and its files, if all files have the same.
fn partition_keys(found: &Found) -> Option<(PathBuf, Vec<Key>)> {
    type Pairs = Vec<(String, String)>;
    let root = found.root.as_ref()?;
    let pairs_of = |file: &PathBuf| -> Option<Pairs> {
        let between = file.parent()?.strip_prefix(root).ok()?;
        let pair = |part: &std::ffi::OsStr| {
            part.to_str()?.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
        };
        between.iter().map(pair).collect()
    };
    let all = found.files.iter().map(pairs_of).collect::<Option<Vec<Pairs>>>()?;
    let names: Vec<String> = all.first()?.iter().map(|(key, _)| key.clone()).collect();
    let same_end = found.files.iter().all(|file| extension(file) == extension(&found.files[0]));
    let same_keys = all.iter().all(|pairs| pairs.iter().map(|(key, _)| key).eq(&names));
    if names.is_empty() || !same_end || !same_keys {
        return None;
    }
    let key = |(at, name): (usize, &String)| Key::new(name, all.iter().map(|pairs| pairs[at].1.clone()));
    Some((root.clone(), names.iter().enumerate().map(key).collect()))
}

/// The end of the file name from its first format-like dot: `.csv`, `.csv.gz`.
fn extension(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let lower = name.to_lowercase();
    let longest = Format::ALL.iter().filter_map(|format| format.end_of(&name)).max();
    match longest {
        Some(length) => name[name.len() - length..].to_owned(),
        None => lower.rfind('.').map(|dot| lower[dot..].to_owned()).unwrap_or_default(),
    }
}

fn file_url(operation: &'static str, found: &Found, file: &Path) -> Result<ListingTableUrl> {
    match &found.remote {
        Some(remote) => object_url(operation, remote, file, false),
        None => url(operation, file, |path| Url::from_file_path(path)),
    }
}

fn directory_url(operation: &'static str, found: &Found, dir: &Path) -> Result<ListingTableUrl> {
    match &found.remote {
        Some(remote) => object_url(operation, remote, dir, true),
        None => url(operation, dir, |path| Url::from_directory_path(path)),
    }
}

/// The address of a directory, on this machine or in a store.
#[cfg(feature = "delta")]
pub(crate) fn directory(operation: &'static str, path: &str) -> Result<Url> {
    let Some(address) = stores::address(operation, path)? else {
        let found = super::find::directory(operation, path)?;
        return url(operation, &found, |path| Url::from_directory_path(path))
            .map(|url| url.get_url().clone());
    };
    if address.kind == stores::Kind::Http {
        return Err(Error::new(
            ErrorKind::Unsupported,
            operation,
            "directories of a web server, which lists none",
        ));
    }
    let mut url = address.origin;
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.clear().extend(address.path.split('/').filter(|part| !part.is_empty())).push("");
    }
    Ok(url)
}

fn object_url(
    operation: &'static str,
    remote: &Remote,
    path: &Path,
    directory: bool,
) -> Result<ListingTableUrl> {
    let mut url = remote.origin.clone();
    if let Ok(mut parts) = url.path_segments_mut() {
        let names = path.components().filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        });
        parts.clear().extend(names);
        if directory {
            parts.push("");
        }
    }
    ListingTableUrl::try_new(url, None).map_err(|error| plan_error(error, operation))
}

fn url(
    operation: &'static str,
    path: &Path,
    convert: impl Fn(&Path) -> Result<Url, ()>,
) -> Result<ListingTableUrl> {
    // The object store refuses `..`; only the file system knows where it leads.
    let plain = match path.components().any(|part| part == Component::ParentDir) {
        true => path.canonicalize().map_err(|error| {
            Error::new(ErrorKind::Io, operation, format!("`{}`: {error}", path.display())).with_source(error)
        })?,
        false => path.to_owned(),
    };
    let url = convert(&plain).map_err(|()| {
        Error::new(ErrorKind::InvalidArgument, operation, format!("`{}` is not a path", path.display()))
    })?;
    ListingTableUrl::try_new(url, None).map_err(|error| plan_error(error, operation))
}

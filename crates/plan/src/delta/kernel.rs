//! What the kernel asks of an engine: files listed and read, JSON and Parquet as batches, expressions evaluated.
//!
//! The kernel is synchronous, our stores are not. Each request runs on the runtime on which the table was opened while
//! the thread that asks waits; if that is a worker of a runtime, its other work moves to another thread meanwhile. Only the
//! log goes this way, rows do not. Nothing is written.

use bytes::Bytes;
use datafusion::arrow::json::ReaderBuilder;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use delta_kernel::engine::arrow_conversion::TryFromArrow;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::engine::arrow_expression::ArrowEvaluationHandler;
use delta_kernel::engine::arrow_utils::{
    RowIndexBuilder, build_json_reorder_indices, fixup_json_read, fixup_parquet_read, json_arrow_schema,
    ordering_needs_row_indexes, parquet_read_plan, parse_json,
};
use delta_kernel::engine::reader_options;
use delta_kernel::schema::{SchemaRef, StructType};
use delta_kernel::{
    Engine, EngineData, EvaluationHandler, FileDataReadResultIterator, FileMeta, FileSize, FileSlice,
    FilteredEngineData, JsonHandler, KernelError, KernelResult, KernelResultIterator,
    KernelResultIteratorStatic, ParquetFooter, ParquetHandler, PredicateRef, StorageHandler,
};
use futures::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use std::io::{BufReader, Cursor};
use std::sync::Arc;
use tokio::runtime::{Handle, RuntimeFlavor};
use url::Url;

/// A store for callers that wait.
#[derive(Clone)]
pub(super) struct Files {
    pub(super) store: Arc<dyn ObjectStore>,
    runtime: Handle,
}

/// Where a file is in its store.
pub(super) fn key(url: &Url) -> KernelResult<Key> {
    Ok(Key::from_url_path(url.path())?)
}

impl Files {
    /// Must be called on the runtime that is to do the work.
    pub(super) fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, runtime: Handle::current() }
    }

    fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> KernelResult<T> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // Whoever asked may have been cancelled.
            let _ = sender.send(work.await);
        });
        let wait = || receiver.recv().map_err(|_| KernelError::generic("the engine has been shut down"));
        match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
            _ => wait(),
        }
    }

    fn bytes(&self, url: &Url) -> KernelResult<Bytes> {
        let (store, key) = (Arc::clone(&self.store), key(url)?);
        let read = self.wait(async move { store.get(&key).await?.bytes().await })?;
        read.map_err(|error| store_error(url, error))
    }
}

fn store_error(url: &Url, error: object_store::Error) -> KernelError {
    match error {
        object_store::Error::NotFound { .. } => KernelError::FileNotFound(url.to_string()),
        other => KernelError::ObjectStore(other),
    }
}

fn read_only<T>() -> KernelResult<T> {
    Err(KernelError::unsupported("Delta tables are read, not written"))
}

fn meta(url: &Url, object: &ObjectMeta) -> FileMeta {
    let mut location = url.clone();
    if let Ok(mut parts) = location.path_segments_mut() {
        parts.clear().extend(object.location.parts());
    }
    FileMeta { location, last_modified: object.last_modified.timestamp_millis(), size: object.size }
}

impl StorageHandler for Files {
    fn list_from(&self, path: &Url) -> KernelResult<KernelResultIteratorStatic<FileMeta>> {
        let (store, from) = (Arc::clone(&self.store), key(path)?);
        let directory = path.path().ends_with('/');
        let mut found: Vec<ObjectMeta> = self
            .wait(async move {
                if directory {
                    return store.list(Some(&from)).try_collect().await;
                }
                let mut parts: Vec<_> = from.parts().collect();
                parts.pop();
                let prefix = Key::from_iter(parts);
                store.list_with_offset(Some(&prefix), &from).try_collect().await
            })?
            .map_err(|error| store_error(path, error))?;
        found.sort_by(|a, b| a.location.cmp(&b.location));
        let files: Vec<_> = found.iter().map(|object| Ok(meta(path, object))).collect();
        Ok(Box::new(files.into_iter()))
    }

    fn read_files(&self, files: Vec<FileSlice>) -> KernelResult<KernelResultIteratorStatic<Bytes>> {
        let this = self.clone();
        Ok(Box::new(files.into_iter().map(move |(url, range)| match range {
            None => this.bytes(&url),
            Some(range) => {
                let (store, key) = (Arc::clone(&this.store), key(&url)?);
                let read = this.wait(async move { store.get_range(&key, range).await })?;
                read.map_err(|error| store_error(&url, error))
            }
        })))
    }

    fn copy_atomic(&self, _: &Url, _: &Url) -> KernelResult<()> {
        read_only()
    }

    fn put(&self, _: &Url, _: Bytes, _: bool) -> KernelResult<()> {
        read_only()
    }

    fn head(&self, path: &Url) -> KernelResult<FileMeta> {
        let (store, key) = (Arc::clone(&self.store), key(path)?);
        let object = self.wait(async move { store.head(&key).await })?;
        Ok(meta(path, &object.map_err(|error| store_error(path, error))?))
    }

    fn delete(&self, _: &Url) -> KernelResult<()> {
        read_only()
    }
}

/// Reads files one after another, each when its turn comes.
fn each<R>(
    files: &[FileMeta],
    read: impl Fn(&FileMeta) -> KernelResult<R> + Send + 'static,
) -> FileDataReadResultIterator
where
    R: Iterator<Item = KernelResult<ArrowEngineData>> + Send + 'static,
{
    let files = files.to_vec();
    Box::new(files.into_iter().flat_map(move |file| {
        let (batches, broken) = match read(&file) {
            Ok(batches) => (Some(batches), None),
            Err(error) => (None, Some(Err(error))),
        };
        let data =
            |batch: KernelResult<ArrowEngineData>| batch.map(|data| Box::new(data) as Box<dyn EngineData>);
        broken.into_iter().chain(batches.into_iter().flatten().map(data))
    }))
}

impl JsonHandler for Files {
    fn parse_json(
        &self,
        json_strings: Box<dyn EngineData>,
        output_schema: SchemaRef,
    ) -> KernelResult<Box<dyn EngineData>> {
        parse_json(json_strings, output_schema)
    }

    fn read_json_files(
        &self,
        files: &[FileMeta],
        physical_schema: SchemaRef,
        _: Option<PredicateRef>,
    ) -> KernelResult<FileDataReadResultIterator> {
        let this = self.clone();
        let columns = Arc::new(json_arrow_schema(&physical_schema)?);
        let order = Arc::new(build_json_reorder_indices(&physical_schema)?);
        Ok(each(files, move |file| {
            let bytes = BufReader::new(Cursor::new(this.bytes(&file.location)?));
            let rows = ReaderBuilder::new(Arc::clone(&columns)).with_coerce_primitive(true).build(bytes)?;
            let (order, location) = (Arc::clone(&order), file.location.to_string());
            Ok(rows.map(move |batch| fixup_json_read(batch?, &order, &location)))
        }))
    }

    fn write_json_file(
        &self,
        _: &Url,
        _: KernelResultIterator<'_, FilteredEngineData>,
        _: bool,
    ) -> KernelResult<FileSize> {
        read_only()
    }
}

impl ParquetHandler for Files {
    fn read_parquet_files(
        &self,
        files: &[FileMeta],
        physical_schema: SchemaRef,
        _: Option<PredicateRef>,
    ) -> KernelResult<FileDataReadResultIterator> {
        let this = self.clone();
        Ok(each(files, move |file| {
            let bytes = this.bytes(&file.location)?;
            let metadata = ArrowReaderMetadata::load(&bytes, reader_options())?;
            let (order, mask) = parquet_read_plan(&physical_schema, &metadata)?;
            let mut indexes = match ordering_needs_row_indexes(&order) {
                true => Some(RowIndexBuilder::new(metadata.metadata().row_groups()).build()?),
                false => None,
            };
            let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata);
            if let Some(mask) = mask {
                builder = builder.with_projection(mask);
            }
            let (schema, location) = (Arc::clone(&physical_schema), file.location.to_string());
            Ok(builder.build()?.map(move |batch| {
                fixup_parquet_read(batch?, &order, indexes.as_mut(), Some(&location), Some(&schema))
            }))
        }))
    }

    fn write_parquet_file(
        &self,
        _: Url,
        _: KernelResultIteratorStatic<Box<dyn EngineData>>,
    ) -> KernelResult<FileSize> {
        read_only()
    }

    fn read_parquet_footer(&self, file: &FileMeta) -> KernelResult<ParquetFooter> {
        let metadata = ArrowReaderMetadata::load(&self.bytes(&file.location)?, reader_options())?;
        Ok(ParquetFooter { schema: Arc::new(StructType::try_from_arrow(metadata.schema().as_ref())?) })
    }
}

/// The engine.
pub(super) struct Kernel {
    pub(super) files: Arc<Files>,
    expressions: Arc<ArrowEvaluationHandler>,
}

impl Kernel {
    pub(super) fn new(files: Files) -> Self {
        Self { files: Arc::new(files), expressions: Arc::new(ArrowEvaluationHandler) }
    }
}

impl Engine for Kernel {
    fn evaluation_handler(&self) -> Arc<dyn EvaluationHandler> {
        Arc::clone(&self.expressions) as Arc<dyn EvaluationHandler>
    }

    fn storage_handler(&self) -> Arc<dyn StorageHandler> {
        Arc::clone(&self.files) as Arc<dyn StorageHandler>
    }

    fn json_handler(&self) -> Arc<dyn JsonHandler> {
        Arc::clone(&self.files) as Arc<dyn JsonHandler>
    }

    fn parquet_handler(&self) -> Arc<dyn ParquetHandler> {
        Arc::clone(&self.files) as Arc<dyn ParquetHandler>
    }
}

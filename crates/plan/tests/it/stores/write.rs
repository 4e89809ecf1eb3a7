//! Tables written to a store: what is there afterwards, whatever the mode and whatever fails.

use super::{batch, numbers};
use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use trefoil_plan::{DataFrame, ErrorKind, Session, WriteMode, WriteOptions};
use url::Url;

/// A store in memory that refuses some of what it is asked.
#[derive(Debug, Default)]
struct Store {
    inside: InMemory,
    /// Puts and uploads that succeed before one fails; zero: none fails.
    puts: AtomicUsize,
    /// Uploads that were begun.
    uploads: AtomicUsize,
}

impl Store {
    fn put_fails_after(&self, puts: usize) {
        self.puts.store(puts + 1, Ordering::SeqCst);
    }

    fn allow(&self) -> Result<()> {
        match self.puts.load(Ordering::SeqCst) {
            0 => Ok(()),
            1 => Err(object_store::Error::Generic { store: "test", source: "the store is full".into() }),
            left => {
                self.puts.store(left - 1, Ordering::SeqCst);
                Ok(())
            }
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store")
    }
}

#[async_trait]
impl ObjectStore for Store {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.allow()?;
        self.inside.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.allow()?;
        self.uploads.fetch_add(1, Ordering::SeqCst);
        self.inside.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.inside.get_opts(at, options).await
    }

    fn delete_stream(&self, at: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inside.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inside.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inside.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inside.copy_opts(from, to, options).await
    }
}

fn open() -> (Session, Arc<Store>) {
    let session = super::super::session();
    let store = Arc::new(Store::default());
    let url = Url::parse("s3://box").unwrap();
    session.context().register_object_store(&url, Arc::clone(&store) as Arc<dyn ObjectStore>);
    (session, store)
}

async fn objects(store: &Store) -> Vec<String> {
    let mut all: Vec<String> =
        store.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
    all.sort();
    all
}

fn frame(session: &Session, start: i64, rows: i64) -> DataFrame {
    let half = rows / 2;
    session.frame_from_batches(vec![batch(start, half), batch(start + half, rows - half)]).unwrap()
}

#[test]
fn modes_of_a_directory() {
    let (session, store) = open();
    session.block_on(async {
        let read = async || numbers(&session.read_parquet("s3://box/t").await.unwrap()).await.unwrap();
        let write = async |frame: DataFrame, mode| {
            frame.write_parquet_with("s3://box/t/", WriteOptions::new().mode(mode)).await
        };
        let check = async |expect: std::ops::Range<i64>| assert_eq!(read().await, expect.collect::<Vec<_>>());
        assert_eq!(write(frame(&session, 0, 10), WriteMode::ErrorIfExists).await.unwrap(), 10);
        check(0..10).await;
        let there = write(frame(&session, 0, 1), WriteMode::ErrorIfExists).await.unwrap_err();
        assert_eq!(there.kind(), ErrorKind::AlreadyExists, "{there}");
        assert_eq!(write(frame(&session, 0, 1), WriteMode::Ignore).await.unwrap(), 0);
        check(0..10).await;
        assert_eq!(write(frame(&session, 10, 5), WriteMode::Append).await.unwrap(), 5);
        check(0..15).await;
        let before = objects(&store).await;
        assert_eq!(write(frame(&session, 100, 5), WriteMode::Overwrite).await.unwrap(), 5);
        check(100..105).await;
        let after = objects(&store).await;
        assert!(after.iter().all(|name| name.starts_with("t/part-") && !before.contains(name)), "{after:?}");
        // Other columns do not fit.
        let column = Arc::new(Int64Array::from(vec![1])) as ArrayRef;
        let other = RecordBatch::try_from_iter([("z", column)]).unwrap();
        let other = session.frame_from_batches(vec![other]).unwrap();
        let error = write(other, WriteMode::Append).await.unwrap_err();
        assert!(error.to_string().contains("s3://box/t"), "{error}");
        assert_eq!(objects(&store).await, after);
    });
}

#[test]
fn trees_and_their_partitions() {
    let (session, store) = open();
    session.block_on(async {
        let by = |mode| WriteOptions::new().mode(mode).partition_by(["s"]);
        let all = frame(&session, 0, 4);
        assert_eq!(all.write_parquet_with("s3://box/tree", by(WriteMode::ErrorIfExists)).await.unwrap(), 4);
        let names = objects(&store).await;
        assert_eq!(names.len(), 4, "{names:?}");
        assert!(names[0].starts_with("tree/s=text 0/part-"), "{names:?}");
        let back = session.read_parquet("s3://box/tree").await.unwrap();
        assert_eq!(back.columns(), ["n", "f", "s"]);
        assert_eq!(numbers(&back).await.unwrap(), [0, 1, 2, 3]);
        // One partition is replaced, one is new.
        let some = frame(&session, 3, 2);
        some.write_parquet_with("s3://box/tree", by(WriteMode::OverwritePartitions)).await.unwrap();
        let back = session.read_parquet("s3://box/tree").await.unwrap();
        assert_eq!(numbers(&back).await.unwrap(), [0, 1, 2, 3, 4]);
        let kept = objects(&store).await;
        assert_eq!(names[..3], kept[..3]);
        assert!(kept.len() == 5 && !kept.contains(&names[3]), "{kept:?}");
        let flat =
            frame(&session, 9, 1).write_parquet_with("s3://box/tree", WriteOptions::new().append(true)).await;
        assert_eq!(flat.unwrap_err().kind(), ErrorKind::InvalidArgument);
    });
}

#[test]
fn single_files_small_and_large() {
    let (session, store) = open();
    session.block_on(async {
        let small = frame(&session, 0, 6);
        small.write_parquet("s3://box/x.parquet").await.unwrap();
        small.write_csv("s3://box/x.csv").await.unwrap();
        small.write_json("s3://box/x.json").await.unwrap();
        small.write_arrow("s3://box/x.arrow").await.unwrap();
        assert_eq!(objects(&store).await, ["x.arrow", "x.csv", "x.json", "x.parquet"]);
        assert_eq!(store.uploads.load(Ordering::SeqCst), 0);
        let back = session.read_csv("s3://box/x.csv").await.unwrap();
        assert_eq!(numbers(&back).await.unwrap(), (0..6).collect::<Vec<_>>());
        assert_eq!(
            small.write_parquet("s3://box/x.parquet").await.unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );

        // Numbers without a pattern take their eight bytes: 24 MB.
        let rows = 3_000_000_i64;
        let n =
            Int64Array::from_iter_values((0..rows).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)));
        let sum = n.values().iter().fold(0_i64, |sum, n| sum.wrapping_add(*n));
        let large = RecordBatch::try_from_iter([("n", Arc::new(n) as ArrayRef)]).unwrap();
        let large = session.frame_from_batches(vec![large]).unwrap();
        let over = WriteOptions::new().overwrite(true);
        assert_eq!(large.write_parquet_with("s3://box/x.parquet", over).await.unwrap(), rows as usize);
        assert_eq!(store.uploads.load(Ordering::SeqCst), 1);
        let back = numbers(&session.read_parquet("s3://box/x.parquet").await.unwrap()).await.unwrap();
        assert_eq!(
            (back.len(), back.iter().fold(0_i64, |sum, n| sum.wrapping_add(*n))),
            (rows as usize, sum)
        );
    });
    assert_eq!(session.budget().reserved(), 0);
}

#[test]
fn what_fails_leaves_nothing_and_takes_nothing() {
    let (session, store) = open();
    session.block_on(async {
        frame(&session, 0, 10).write_parquet("s3://box/t").await.unwrap();
        let before = objects(&store).await;
        let by = WriteOptions::new().overwrite(true).partition_by(["s"]);
        for puts in [0, 1, 7] {
            store.put_fails_after(puts);
            let error =
                frame(&session, 50, 9).write_parquet_with("s3://box/t", by.clone()).await.unwrap_err();
            assert!(error.to_string().contains("the store is full"), "{error}");
            assert_eq!(objects(&store).await, before, "after {puts} puts");
        }
        store.puts.store(0, Ordering::SeqCst);
        // A query that fails has uploaded nothing.
        let context = session.context().clone();
        let broken = context.sql("SELECT 1 / (column1 - 3) AS n FROM VALUES (1), (2), (3)").await.unwrap();
        let broken = DataFrame::new(session.clone(), broken);
        broken.write_parquet_with("s3://box/t", WriteOptions::new().overwrite(true)).await.unwrap_err();
        assert_eq!(objects(&store).await, before);
        let check = async |path: &str, options: WriteOptions, kind: ErrorKind, part: &str| {
            let error = frame(&session, 0, 2).write_parquet_with(path, options).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{path}: {error}");
            assert!(error.to_string().contains(part), "{path}: {error}");
        };
        let new = WriteOptions::new;
        check("s3://box", new().overwrite(true), ErrorKind::InvalidArgument, "whole bucket").await;
        check("s3://box/y.parquet", new().append(true), ErrorKind::InvalidArgument, "one file").await;
        let parts = new().mode(WriteMode::OverwritePartitions);
        check("s3://box/y", parts, ErrorKind::InvalidArgument, "partition_by").await;
        check("https://host/y.parquet", new(), ErrorKind::Unsupported, "web server").await;
        check("ftp://host/y.parquet", new(), ErrorKind::Unsupported, "known are").await;
    });
    // Nothing is left of what was written here on its way.
    let left = std::fs::read_dir(session.engine().spill_dir()).unwrap();
    let left =
        left.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("write-"));
    assert_eq!(left.count(), 0);
}

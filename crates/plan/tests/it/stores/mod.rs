//! Files in stores: a web server, and the lists and objects of S3, Google Cloud Storage and Azure, from a server in the test.
#![cfg(all(feature = "s3", feature = "gcs", feature = "azure", feature = "http"))]

mod server;
mod write;

use super::batch;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::logical_expr::{col, lit};
use server::Server;
use trefoil_plan::{CsvOptions, DataFrame, ErrorKind, Malformed, Result, Session};

fn parquet(start: i64, rows: i64) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let session = super::session();
    let frame = session.frame_from_batches(vec![batch(start, rows)]).unwrap();
    session.block_on(frame.write_parquet(&path)).unwrap();
    std::fs::read(path).unwrap()
}

/// The same objects for every kind of store.
fn server() -> Server {
    let text = |text: &str| text.as_bytes().to_vec();
    Server::new(
        [
            ("b/data/a.parquet", parquet(0, 10)),
            ("b/data/b.parquet", parquet(10, 10)),
            ("b/data/_hidden.parquet", text("x")),
            ("b/data/notes.txt", text("x")),
            ("b/data/sub/c.parquet", parquet(20, 10)),
            ("b/data/", text("")),
            ("b/years/year=2023/x.parquet", parquet(0, 10)),
            ("b/years/year=2024/x.parquet", parquet(10, 5)),
            ("b/odd/a b&c/t %20.csv", text("n,s\n1,x\n2,\n")),
            ("b/odd/nulls.csv", text("n,s\nNA,x\n2,y\n")),
            ("b/odd/empty.csv", text("")),
            ("b/lines.jsonl", text("{\"n\": 1}\n{\"n\": 2}\n{\"n\": 3}\n")),
            ("b/text.parquet", text("hello, this is no Parquet file")),
        ]
        .map(|(name, bytes)| (name.to_owned(), bytes)),
    )
}

fn s3(server: &Server) -> Session {
    Session::builder()
        .workers(2)
        .memory("256MiB")
        .store_setting("AWS_ENDPOINT", server.url())
        .store_setting("AWS_ALLOW_HTTP", "true")
        .store_setting("AWS_REGION", "eu-north-7")
        .store_setting("AWS_ACCESS_KEY_ID", "AKTEST")
        .store_setting("AWS_SECRET_ACCESS_KEY", "secret")
        .build()
        .unwrap()
}

async fn numbers(frame: &DataFrame) -> Result<Vec<i64>> {
    let batches = frame.collect().await?;
    let mut all: Vec<i64> = batches
        .iter()
        .flat_map(|batch| batch.column_by_name("n").unwrap().as_primitive::<Int64Type>().values().to_vec())
        .collect();
    all.sort_unstable();
    Ok(all)
}

#[test]
fn directories_patterns_and_objects_of_three_stores() {
    let server = server();
    let gcs = Session::builder()
        .workers(2)
        .memory("256MiB")
        .store_setting("GOOGLE_BASE_URL", server.url())
        .store_setting("GOOGLE_SKIP_SIGNATURE", "true")
        .build()
        .unwrap();
    let azure = Session::builder()
        .workers(2)
        .memory("256MiB")
        .store_setting("AZURE_STORAGE_ENDPOINT", server.url())
        .store_setting("AZURE_ALLOW_HTTP", "true")
        .store_setting("AZURE_STORAGE_ACCOUNT_NAME", "ada")
        .store_setting("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
        .build()
        .unwrap();
    for (session, bucket) in [
        (s3(&server), "s3://b"),
        (s3(&server), "s3a://b"),
        (gcs.clone(), "gs://b"),
        (gcs, "gcs://b"),
        (azure, "az://b"),
    ] {
        session.block_on(async {
            let check = async |path: &str, expect: std::ops::Range<i64>| {
                let frame = session.read_parquet(format!("{bucket}/{path}")).await.unwrap();
                assert_eq!(
                    numbers(&frame).await.unwrap(),
                    expect.clone().collect::<Vec<_>>(),
                    "{bucket}/{path}"
                );
                assert_eq!(frame.count().await.unwrap() as i64, expect.end - expect.start, "{bucket}/{path}");
            };
            check("data/a.parquet", 0..10).await;
            check("data", 0..30).await;
            check("data/", 0..30).await;
            check("data/sub", 20..30).await;
            check("data/[ab].parquet", 0..20).await;
            check("data/*/c.parquet", 20..30).await;
            check("*/?.parquet", 0..20).await;
            let frame = session.read_parquet(format!("{bucket}/years")).await.unwrap();
            assert_eq!(frame.columns(), ["n", "s", "f", "year"], "{bucket}");
            let of_2024 = frame.inner().clone().filter(col("year").eq(lit("2024"))).unwrap();
            let of_2024 = DataFrame::new(session.clone(), of_2024);
            assert_eq!(numbers(&of_2024).await.unwrap(), [10, 11, 12, 13, 14], "{bucket}");
            let csv = session.read_csv(format!("{bucket}/odd/a b&c/t %20.csv")).await.unwrap();
            assert_eq!(numbers(&csv).await.unwrap(), [1, 2], "{bucket}");
            let nulls = CsvOptions::new().nulls(["NA"]);
            let csv = session.read_csv_with(format!("{bucket}/odd/nulls.csv"), nulls).await.unwrap();
            assert_eq!(csv.collect().await.unwrap()[0].column(0).null_count(), 1, "{bucket}");
            let json = session.read_json(format!("{bucket}/lines.jsonl")).await.unwrap();
            assert_eq!(numbers(&json).await.unwrap(), [1, 2, 3], "{bucket}");
        });
    }
    let signed = |scheme: &str| {
        let asked = server.asked();
        asked
            .iter()
            .any(|asked| asked.headers.get("authorization").is_some_and(|text| text.starts_with(scheme)))
    };
    let credential = "AWS4-HMAC-SHA256 Credential=AKTEST/";
    assert!(signed(credential), "S3 requests were not signed with the key of the settings");
    assert!(server.asked().iter().any(|asked| {
        asked.headers.get("authorization").is_some_and(|text| text.contains("/eu-north-7/s3/"))
    }));
    assert!(signed("SharedKey ada:"), "Azure requests were not signed with the key of the settings");
}

#[test]
fn columns_and_row_groups_are_fetched_by_range() {
    let server = server();
    let session = s3(&server);
    session.block_on(async {
        let frame = session.read_parquet("s3://b/data/a.parquet").await.unwrap();
        let one = DataFrame::new(session.clone(), frame.inner().clone().select_columns(&["n"]).unwrap());
        assert_eq!(numbers(&one).await.unwrap().len(), 10);
    });
    let gets: Vec<_> = server.asked().into_iter().filter(|asked| asked.method == "GET").collect();
    assert!(!gets.is_empty() && gets.iter().all(|asked| asked.headers.contains_key("range")), "{gets:?}");
}

#[cfg(feature = "delta")]
#[test]
fn a_delta_table_in_a_store() {
    fn walk(dir: &std::path::Path, name: &str, found: &mut Vec<(String, Vec<u8>)>) {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => walk(&entry.path(), &name, found),
                false => found.push((name, std::fs::read(entry.path()).unwrap())),
            }
        }
    }
    let mut objects = Vec::new();
    let tables = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/delta");
    walk(&tables, "b/tables", &mut objects);
    let server = Server::new(objects);
    let session = s3(&server);
    session.block_on(async {
        let check = async |path: &str, expect: usize| {
            let frame = session.read_delta(path).await.unwrap();
            assert_eq!(
                frame.collect().await.unwrap().iter().map(|b| b.num_rows()).sum::<usize>(),
                expect,
                "{path}"
            );
        };
        check("s3://b/tables/keys", 9).await;
        check("s3://b/tables/history@v1", 20).await;
        check("s3://b/tables/vector/", 6).await;
        let error = session.read_delta("s3://b/tables/none").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    });
}

#[test]
fn stores_of_datafusion_are_the_same() {
    let server = server();
    let session = s3(&server);
    let context = session.context().clone();
    let rows = session.block_on(session.on_cpu(async move {
        let create = "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 's3://b/data/sub/'";
        context.sql(create).await?.collect().await?;
        context.sql("SELECT * FROM t WHERE n >= 25").await?.count().await
    }));
    assert_eq!(rows.unwrap().unwrap(), 5);
}

#[test]
fn files_of_a_web_server() {
    let server = server();
    let session = super::session();
    let url = server.url();
    session.block_on(async {
        let frame = session.read_parquet(format!("{url}/b/data/a.parquet")).await.unwrap();
        assert_eq!(numbers(&frame).await.unwrap(), (0..10).collect::<Vec<_>>());
        let csv = session.read_csv(format!("{url}/b/odd/a%20b&c/t%20%2520.csv")).await.unwrap();
        assert_eq!(numbers(&csv).await.unwrap(), [1, 2]);
        let check = async |path: &str, kind: ErrorKind, parts: &[&str]| {
            let error = session.read_parquet(format!("{url}{path}")).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{path}: {error}");
            for part in parts {
                assert!(error.to_string().contains(part), "{path}: lacks {part:?}: {error}");
            }
        };
        check("/b/data/z.parquet", ErrorKind::NotFound, &["z.parquet` does not exist"]).await;
        check("/b/data/", ErrorKind::NotFound, &["web servers do not list directories"]).await;
        check("/b/text.parquet", ErrorKind::MalformedData, &[]).await;
        check("/b/data/a.parquet?token=1", ErrorKind::Unsupported, &["after `?`"]).await;
    });
}

#[test]
fn what_is_not_there() {
    let server = server();
    let session = s3(&server);
    session.block_on(async {
        let check = async |path: &str, kind: ErrorKind, parts: &[&str]| {
            let error = session.read_parquet(path).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{path}: {error}");
            for part in parts {
                assert!(error.to_string().contains(part), "{path}: lacks {part:?}: {error}");
            }
        };
        check(
            "s3://b/data/c.parquet",
            ErrorKind::NotFound,
            &["does not exist", "did you mean `s3://b/data/a.parquet`?"],
        )
        .await;
        check("s3://b/dada", ErrorKind::NotFound, &["did you mean `s3://b/data`?"]).await;
        check(
            "s3://b/odd",
            ErrorKind::NotFound,
            &["no Parquet file", "looked for *.parquet", "other objects"],
        )
        .await;
        check("s3://b/z*", ErrorKind::NotFound, &["no object matches `s3://b/z*`"]).await;
        check("s3://b/data/[", ErrorKind::InvalidArgument, &["not a pattern"]).await;
        let empty = session.read_csv("s3://b/odd/empty.csv").await.unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::MalformedData, "{empty}");
        let lenient = CsvOptions::new().malformed(Malformed::Drop);
        let lenient = session.read_csv_with("s3://b/odd/nulls.csv", lenient).await.unwrap_err();
        assert_eq!(lenient.kind(), ErrorKind::Unsupported, "{lenient}");
    });
    let none = Session::builder().store_setting("AWS_REGIN", "x").build().unwrap_err();
    assert!(none.to_string().contains("did you mean `AWS_REGION`?"), "{none}");
    // No account: the store says what it needs.
    let error = super::session().block_on(super::session().read_csv("az://box/x.csv")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
}

#[test]
fn settings_of_the_environment() {
    const CHILD: &str = "TREFOIL_TEST_STORES";
    // The environment of a process cannot be changed safely, so the test runs itself in another one.
    if std::env::var_os(CHILD).is_some() {
        let session = super::session();
        let rows = session.block_on(async { session.read_parquet("s3://b/data").await?.count().await });
        assert_eq!(rows.unwrap(), 30);
        return;
    }
    let server = server();
    let done = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stores::settings_of_the_environment"])
        .env(CHILD, "1")
        .env("AWS_ENDPOINT", server.url())
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", "AKENV")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let asked = server.asked();
    let key = |asked: &server::Asked| {
        asked.headers.get("authorization").is_some_and(|text| text.contains("AKENV/"))
    };
    assert!(!asked.is_empty() && asked.iter().all(key), "{asked:?}");
    assert!(asked.iter().any(|asked| asked.target.contains("list-type=2")));
}

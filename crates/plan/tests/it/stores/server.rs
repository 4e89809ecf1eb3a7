//! A small server of objects: a web server, and the read half of what S3, Google Cloud Storage and Azure Blob Storage
//! speak. Objects are `/bucket/key`; lists come in pages of two. It remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const PAGE: usize = 2;
const DAY: &str = "Thu, 29 Feb 2024 12:00:00 GMT";

/// What a request was.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Default)]
struct Shared {
    objects: BTreeMap<String, Vec<u8>>,
    asked: Mutex<Vec<Asked>>,
    end: AtomicBool,
}

pub(crate) struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// With objects by `bucket/key`.
    pub(crate) fn new(objects: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { objects: objects.into_iter().collect(), ..Shared::default() });
        let over = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.end.load(Ordering::Acquire) {
                    return;
                }
                let (shared, stream) = (Arc::clone(&over), stream.unwrap());
                std::thread::spawn(move || {
                    // A client that goes away early is no failure.
                    let _ = shared.answer(stream);
                });
            }
        });
        Self { shared, address, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.end.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Shared {
    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (method, target) =
            (words.next().unwrap_or("").to_owned(), words.next().unwrap_or("/").to_owned());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.insert(name.to_lowercase(), value.trim().to_owned()),
                None => break,
            };
        }
        let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        reader.read_exact(&mut vec![0; length])?;
        self.asked.lock().unwrap().push(Asked {
            method: method.clone(),
            target: target.clone(),
            headers: headers.clone(),
        });
        let url = url::Url::parse(&format!("http://host{target}")).unwrap();
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let path = object_store::path::Path::from_url_path(url.path()).unwrap().to_string();
        let mut stream = stream;
        let azure = query.get("comp").is_some_and(|comp| comp == "list");
        if azure || query.contains_key("list-type") {
            let body = self.list(&path, &query, azure);
            return respond(&mut stream, "200 OK", "", body.as_bytes(), true);
        }
        match self.objects.get(&path) {
            None => respond(
                &mut stream,
                "404 Not Found",
                "",
                b"<Error><Code>NoSuchKey</Code></Error>",
                method != "HEAD",
            ),
            Some(whole) => {
                let range = headers
                    .get("range")
                    .or_else(|| headers.get("x-ms-range"))
                    .map(|text| bytes(text, whole.len()));
                let (status, part, extra) = match range {
                    Some((from, to)) => {
                        let extra = format!("Content-Range: bytes {from}-{}/{}\r\n", to - 1, whole.len());
                        ("206 Partial Content", &whole[from..to], extra)
                    }
                    None => ("200 OK", &whole[..], String::new()),
                };
                respond(&mut stream, status, &extra, part, method != "HEAD")
            }
        }
    }

    fn list(&self, bucket: &str, query: &BTreeMap<String, String>, azure: bool) -> String {
        let prefix = query.get("prefix").map_or("", String::as_str);
        let delimiter = query.get("delimiter").map(String::as_str);
        let after =
            query.get("continuation-token").or_else(|| query.get("marker")).cloned().unwrap_or_default();
        // Entries are keys, or directories that end in the delimiter.
        let mut entries: BTreeMap<String, Option<usize>> = BTreeMap::new();
        for (name, bytes) in &self.objects {
            let Some(key) = name.strip_prefix(&format!("{bucket}/")).filter(|key| key.starts_with(prefix))
            else {
                continue;
            };
            match delimiter.and_then(|delimiter| key[prefix.len()..].find(delimiter)) {
                Some(at) => entries.insert(key[..=prefix.len() + at].to_owned(), None),
                None => entries.insert(key.to_owned(), Some(bytes.len())),
            };
        }
        let mut left = entries.into_iter().filter(|(key, _)| *key > after);
        let page: Vec<(String, Option<usize>)> = left.by_ref().take(PAGE).collect();
        let next = left.next().map(|_| page.last().unwrap().0.clone());
        let mut body = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>");
        body.push_str(if azure { "<EnumerationResults><Blobs>" } else { "<ListBucketResult>" });
        for (key, size) in page {
            let key = key.replace('&', "&amp;").replace('<', "&lt;");
            body.push_str(&match (azure, size) {
                (true, Some(size)) => format!(
                    "<Blob><Name>{key}</Name><Properties><Last-Modified>{DAY}</Last-Modified><Etag>\"1\"</Etag>\
                     <Content-Length>{size}</Content-Length><Content-Type>x</Content-Type></Properties></Blob>"
                ),
                (true, None) => format!("<BlobPrefix><Name>{key}</Name></BlobPrefix>"),
                (false, Some(size)) => format!(
                    "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>\"1\"</ETag>\
                     <LastModified>2024-02-29T12:00:00.000Z</LastModified></Contents>"
                ),
                (false, None) => format!("<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>"),
            });
        }
        let next = next.unwrap_or_default().replace('&', "&amp;").replace('<', "&lt;");
        body.push_str(&match (azure, next.is_empty()) {
            (true, _) => format!("</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"),
            (false, true) => "</ListBucketResult>".to_owned(),
            (false, false) => {
                format!("<NextContinuationToken>{next}</NextContinuationToken></ListBucketResult>")
            }
        });
        body
    }
}

/// `bytes=a-b`, `bytes=a-` and `bytes=-n`, with the end excluded.
fn bytes(text: &str, length: usize) -> (usize, usize) {
    let (from, to) = text.trim_start_matches("bytes=").split_once('-').unwrap();
    match (from.parse::<usize>(), to.parse::<usize>()) {
        (Ok(from), Ok(to)) => (from, (to + 1).min(length)),
        (Ok(from), Err(_)) => (from, length),
        (Err(_), Ok(last)) => (length.saturating_sub(last), length),
        _ => (0, length),
    }
}

fn respond(
    stream: &mut TcpStream,
    status: &str,
    extra: &str,
    body: &[u8],
    with_body: bool,
) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"1\"\r\nLast-Modified: {DAY}\r\n{extra}Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if with_body {
        stream.write_all(body)?;
    }
    stream.flush()
}

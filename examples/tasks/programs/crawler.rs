//! A web crawler with bounded concurrency, over a site in memory.
//!
//! Pages are fetched by asynchronous tasks, so that waiting costs no thread; a semaphore bounds how many are
//! fetched at once, and retries pass over pages that fail now and then. The frontier is the loop itself: it
//! takes pages in the order in which they arrive and starts what they link to.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use trefoil::prelude::*;
use trefoil::sync::Semaphore;
use trefoil::{Arg, Input, TaskSpec};

/// A made-up web site: page `n` links to three others, and every seventh fails the first time.
pub struct Site {
    links: HashMap<String, Vec<String>>,
    failed: HashMap<String, AtomicUsize>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Site {
    /// A site of so many pages, all of which can be reached from `/0`.
    pub fn new(pages: usize) -> Arc<Self> {
        let name = |page: usize| format!("/{}", page % pages.max(1));
        let links = |page: usize| vec![name(2 * page + 1), name(2 * page + 2), name(page + 7)];
        Arc::new(Self {
            links: (0..pages).map(|page| (name(page), links(page))).collect(),
            failed: (0..pages).step_by(7).map(|page| (name(page), AtomicUsize::new(0))).collect(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        })
    }

    /// How many pages there are.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// The most pages that were fetched at the same time.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    /// The links of a page.
    async fn get(&self, path: &str) -> Result<Vec<String>, String> {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        // What a network would do: let others go on meanwhile.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        match self.failed.get(path) {
            Some(count) if count.fetch_add(1, Ordering::SeqCst) == 0 => {
                Err(format!("{path}: 503, try again"))
            }
            _ => self.links.get(path).cloned().ok_or_else(|| format!("{path}: 404")),
        }
    }
}

/// A fetch that waits for its permit. A call of a closure, because it holds the site.
fn fetch(site: &Arc<Site>, limit: &Semaphore, path: String) -> Call<Vec<String>> {
    let (site, limit) = (Arc::clone(site), limit.clone());
    let work = move |(path,): (Input<String>,)| {
        let (site, limit) = (Arc::clone(&site), limit.clone());
        async move {
            let _permit = limit.acquire().await?;
            site.get(&path).await.map_err(trefoil::Error::user)
        }
    };
    Call::new_async(TaskSpec::new("fetch"), (Arg::Value(path),), work).retries(2)
}

/// What was found.
pub struct Crawl {
    pub pages: BTreeSet<String>,
    pub most_at_once: usize,
}

/// Fetches everything that can be reached from `/0`, at most `limit` pages at once.
pub fn run(engine: &Engine, site: &Arc<Site>, limit: usize) -> trefoil::Result<Crawl> {
    let limit = Semaphore::new(limit);
    let mut pages = BTreeSet::from(["/0".to_owned()]);
    engine.block_on(async {
        let mut arriving = FuturesUnordered::from_iter([engine.spawn(fetch(site, &limit, "/0".to_owned()))]);
        while let Some(links) = arriving.next().await {
            for link in links? {
                if pages.insert(link.clone()) {
                    arriving.push(engine.spawn(fetch(site, &limit, link)));
                }
            }
        }
        trefoil::Result::Ok(())
    })?;
    Ok(Crawl { pages, most_at_once: site.most_at_once() })
}

impl fmt::Display for Crawl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pages, at most {} at once", self.pages.len(), self.most_at_once)
    }
}

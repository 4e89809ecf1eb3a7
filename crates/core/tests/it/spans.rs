//! Tasks and queries are spans of `tracing`, for a program that has a subscriber.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use trefoil_core::{Call, Engine, Error, Outcome, TaskSpec};

/// Names of spans with their fields, and words of events.
static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

/// Keeps what belongs to this test; others of this binary run beside it.
struct Keeper(AtomicU64);

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "trefoil"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(span.metadata().name().to_owned());
        span.record(&mut fields);
        if fields.0.contains("spans-test") {
            SEEN.lock().push(fields.0);
        }
        Id::from_u64(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        if fields.0.contains("spans-test") {
            SEEN.lock().push(format!("event{}", fields.0));
        }
    }

    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn tasks_and_queries_are_spans() {
    tracing::subscriber::set_global_default(Keeper(AtomicU64::new(1))).unwrap();
    let engine = Engine::builder().workers(2).memory("64MiB").build().unwrap();
    let spec = |name: &'static str| TaskSpec::new(name);
    engine.spawn(Call::new(spec("spans-test-sync"), (), |()| Ok(1))).get().unwrap();
    let failed = Call::new(spec("spans-test-failing"), (), |()| Err::<i32, _>(Error::user("spans-test-why")));
    engine.spawn(failed).get().unwrap_err();
    let waits = Arc::new(tokio::sync::Notify::new());
    let inside = Arc::clone(&waits);
    let late = Call::new_async(spec("spans-test-async"), (), move |()| {
        let inside = Arc::clone(&inside);
        async move {
            inside.notified().await;
            Ok(2)
        }
    });
    let late = engine.spawn(late);
    waits.notify_one();
    late.get().unwrap();
    engine.begin_query("spans-test SELECT 1").finish(Outcome::Succeeded);
    let seen = SEEN.lock().clone();
    for name in ["spans-test-sync", "spans-test-failing", "spans-test-async"] {
        let is_it = |text: &String| text.starts_with("task id=") && text.contains(&format!("name={name}"));
        assert_eq!(seen.iter().filter(|text| is_it(text)).count(), 1, "{name} in {seen:?}");
    }
    assert!(seen.iter().any(|text| text.starts_with("query id=") && text.contains("SELECT 1")), "{seen:?}");
    assert!(seen.iter().any(|text| text.starts_with("event") && text.contains("spans-test-why")), "{seen:?}");
}

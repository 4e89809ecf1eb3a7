//! Progress bars on standard error: one per running query, one for all tasks.
//!
//! A task of the control runtime sleeps until something is recorded, then draws ten times a second while
//! anything runs, and clears what it drew when nothing does. It knows only what registries and counters
//! say, so it follows every query and graph without their help.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::registry::QueryStatus;
use super::{EventStream, Hub};

/// Between two drawings.
const TICK: Duration = Duration::from_millis(100);
/// What ends sooner is not drawn.
const PATIENCE: Duration = Duration::from_millis(200);

/// Starts or stops drawing.
pub(super) fn switch(hub: &Arc<Hub>, control: &tokio::runtime::Handle, on: bool) {
    switch_on(hub, control, on, std::io::stderr().is_terminal());
}

/// Where nobody can see bars, nothing is recorded for them either.
fn switch_on(hub: &Arc<Hub>, control: &tokio::runtime::Handle, on: bool, is_terminal: bool) {
    let mut drawer = hub.drawer.lock();
    if let Some(old) = drawer.take() {
        old.abort();
    }
    if on && is_terminal {
        let events = EventStream::new(Arc::clone(hub));
        let bars = Bars::new(ProgressDrawTarget::stderr());
        // Weak, so that drawing does not keep events alive; the stream ends with the engine.
        *drawer = Some(control.spawn(draw(Arc::downgrade(hub), events, bars)).abort_handle());
    }
}

async fn draw(hub: Weak<Hub>, mut events: EventStream, mut bars: Bars) {
    while events.next().await.is_some() {
        loop {
            tokio::time::sleep(TICK).await;
            drop(events.drain());
            let Some(hub) = hub.upgrade() else { return };
            if !bars.update(&hub, PATIENCE) {
                break;
            }
        }
    }
}

/// What is drawn now.
struct Bars {
    all: MultiProgress,
    queries: HashMap<u64, ProgressBar>,
    tasks: Option<ProgressBar>,
    /// Tasks that had ended when the last graph was done.
    done_before: u64,
    busy_since: Option<Duration>,
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// Rows that the sources of a query have given, and how many they will give if all of them know.
fn scanned(query: &QueryStatus) -> (u64, Option<u64>) {
    let operators = &query.operators;
    let is_leaf = |at: usize| operators.get(at + 1).is_none_or(|next| next.depth <= operators[at].depth);
    let leaves = || operators.iter().enumerate().filter(|(at, _)| is_leaf(*at)).map(|(_, leaf)| leaf);
    let rows = leaves().filter_map(|leaf| leaf.rows).sum();
    let expected = leaves().map(|leaf| leaf.expected_rows).sum::<Option<u64>>();
    (rows, expected.filter(|all| *all > 0 && !operators.is_empty()))
}

impl Bars {
    fn new(target: ProgressDrawTarget) -> Self {
        Self {
            all: MultiProgress::with_draw_target(target),
            queries: HashMap::new(),
            tasks: None,
            done_before: 0,
            busy_since: None,
        }
    }

    /// Draws what runs; false if nothing does, and then nothing is left on the screen.
    fn update(&mut self, hub: &Hub, patience: Duration) -> bool {
        let queries: Vec<QueryStatus> =
            hub.queries().into_iter().filter(|query| query.outcome.is_none()).collect();
        self.queries.retain(|id, bar| {
            let runs = queries.iter().any(|query| query.id == *id);
            if !runs {
                bar.finish_and_clear();
            }
            runs
        });
        for query in queries.iter().filter(|query| query.elapsed >= patience) {
            let bar = self.queries.entry(query.id).or_insert_with(|| {
                let bar = self.all.add(ProgressBar::no_length());
                bar.set_message(label(&query.text));
                bar
            });
            let (rows, expected) = scanned(query);
            match expected {
                Some(all) => {
                    bar.set_length(all.max(rows));
                    bar.set_style(style("{msg:40!} [{bar:25}] {human_pos}/{human_len} rows {elapsed}"));
                }
                None => bar.set_style(style("{msg:40!} {spinner} {human_pos} rows {elapsed}")),
            }
            bar.set_position(rows);
            bar.tick();
        }
        let tasks = self.update_tasks(hub, patience);
        tasks || !queries.is_empty()
    }

    fn update_tasks(&mut self, hub: &Hub, patience: Duration) -> bool {
        let (mut made, mut done) = (0, 0);
        for thread in hub.threads() {
            made += thread.submitted;
            done += thread.finished + thread.failed + thread.cancelled;
        }
        if done >= made {
            if let Some(bar) = self.tasks.take() {
                bar.finish_and_clear();
            }
            self.done_before = done;
            self.busy_since = None;
            return false;
        }
        let since = *self.busy_since.get_or_insert_with(|| hub.now());
        if hub.now().saturating_sub(since) >= patience {
            let bar = self.tasks.get_or_insert_with(|| {
                let bar = self.all.add(ProgressBar::new(0));
                bar.set_style(style("{msg:40!} [{bar:25}] {human_pos}/{human_len} {elapsed}"));
                bar.set_message("tasks");
                bar
            });
            bar.set_length(made.saturating_sub(self.done_before));
            bar.set_position(done.saturating_sub(self.done_before));
            bar.tick();
        }
        true
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        let _ = self.all.clear();
    }
}

fn label(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::super::event::{Label, OperatorMetrics, Outcome};
    use super::*;
    use crate::error::TaskInfo;

    fn bars(term: &InMemoryTerm) -> Bars {
        Bars::new(ProgressDrawTarget::term_like(Box::new(term.clone())))
    }

    fn operator(name: &str, depth: usize, rows: u64, expected: Option<u64>) -> OperatorMetrics {
        OperatorMetrics {
            name: name.to_owned(),
            depth,
            rows: Some(rows),
            expected_rows: expected,
            ..OperatorMetrics::default()
        }
    }

    #[test]
    fn a_query_is_drawn_while_it_runs_and_then_gone() {
        let (hub, term) = (Hub::new(None), InMemoryTerm::new(10, 100));
        let mut bars = bars(&term);
        let query = hub.begin_query(Label::Static("SELECT  count(*)\nFROM flights"));
        assert!(bars.update(&hub, Duration::ZERO));
        query.planned(|| vec![operator("Aggregate", 0, 0, None), operator("Scan", 1, 1500, Some(3000))]);
        assert!(bars.update(&hub, Duration::ZERO));
        let screen = term.contents();
        assert!(screen.starts_with("SELECT count(*) FROM flights"), "{screen}");
        assert!(screen.contains("1,500/3,000 rows") && screen.contains("====>"), "{screen}");
        query.finish(Outcome::Succeeded);
        assert!(!bars.update(&hub, Duration::ZERO));
        assert_eq!(term.contents(), "");
    }

    #[test]
    fn tasks_share_a_bar_that_starts_anew_with_each_graph() {
        let (hub, term) = (Hub::new(Some(64)), InMemoryTerm::new(10, 100));
        let mut bars = bars(&term);
        let info = TaskInfo { name: "t".into(), location: std::panic::Location::caller(), attempt: 1 };
        let run = |id| {
            let begun = hub.begin(id, &info);
            hub.end(begun, id, &info, &Ok(()));
        };
        for graph in 0..2 {
            (0..4).for_each(|id| hub.submitted(graph * 4 + id, || info.clone()));
            run(graph * 4);
            assert!(bars.update(&hub, Duration::ZERO));
            assert!(term.contents().contains("1/4"), "{}", term.contents());
            (1..4).for_each(|id| run(graph * 4 + id));
            assert!(!bars.update(&hub, Duration::ZERO));
            assert_eq!(term.contents(), "");
        }
    }

    #[test]
    fn a_pipe_sees_nothing_and_costs_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let hub = Hub::new(None);
        switch_on(&hub, runtime.handle(), true, false);
        assert!(!hub.on() && hub.drawer.lock().is_none());
        switch_on(&hub, runtime.handle(), true, true);
        assert!(hub.on() && hub.drawer.lock().is_some());
        switch_on(&hub, runtime.handle(), false, true);
        assert!(hub.drawer.lock().is_none());
        // The aborted task gives its subscription back when it is dropped.
        drop(runtime);
        assert!(!hub.on());
    }

    #[test]
    fn what_is_short_is_not_drawn() {
        let (hub, term) = (Hub::new(None), InMemoryTerm::new(10, 100));
        let mut bars = bars(&term);
        let query = hub.begin_query(Label::Static("SELECT 1"));
        assert!(bars.update(&hub, Duration::from_secs(3600)));
        assert_eq!(term.contents(), "");
        drop(query);
        assert!(!bars.update(&hub, Duration::from_secs(3600)));
    }
}

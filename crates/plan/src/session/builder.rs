//! Settings of a session: either an engine that exists, or the settings of a new one.

use super::{Inner, Session};
use crate::constants::ConstantFilters;
use crate::error::plan_error;
use crate::lambdas::LambdasApart;
use crate::memory::BudgetPool;
use crate::observe;
use crate::optimize::{self, OptimizeOptions};
use crate::recursion;
use crate::sorting::{ParallelSorts, RunSorts};
use crate::source;
use crate::stored::InOrder;
use crate::totals;
use crate::windows::RunningWindows;
use crate::yielding;
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::optimizer::optimizer::Optimizer;
use datafusion::prelude::{SessionConfig, SessionContext};
use parking_lot::{Mutex, RwLock};
use std::path::PathBuf;
use std::sync::Arc;
use trefoil_core::{Engine, Error, ErrorKind, Result};

/// Settings for a [`Session`]; nothing is started or checked before [`SessionBuilder::build`].
#[derive(Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct SessionBuilder {
    engine: Option<Engine>,
    workers: Option<usize>,
    memory: Option<String>,
    memory_bytes: Option<usize>,
    spill_dir: Option<PathBuf>,
    name: Option<String>,
    events: Option<usize>,
    progress: bool,
    dialect: Dialect,
    store_settings: Vec<(String, String)>,
}

/// What the text of a query means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Spark 4's, in ANSI mode: `7 / 2` is 3.5, overflow is an error, nulls are the least values, names are
    /// found in upper or lower case.
    #[default]
    Spark,
    /// DataFusion's, as it comes.
    DataFusion,
}

impl SessionBuilder {
    /// Uses an engine that exists instead of starting one; then the settings of an engine are not allowed.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Worker threads of the new engine; by default one per core.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Memory budget of the new engine, such as `"2GiB"` or `"512MB"`; by default 80 % of what is granted.
    pub fn memory(mut self, limit: impl Into<String>) -> Self {
        self.memory = Some(limit.into());
        self
    }

    /// Memory budget of the new engine in bytes.
    pub fn memory_bytes(mut self, limit: usize) -> Self {
        self.memory_bytes = Some(limit);
        self
    }

    /// The directory in which the new engine makes its own directory for spilled data; by default the
    /// system's directory for temporary files.
    pub fn spill_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.spill_dir = Some(dir.into());
        self
    }

    /// The name of the new engine, for thread names and reports.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What the text of queries means; Spark's SQL by default.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Records what happens on the new engine, each thread its last `capacity` events; by default nothing is
    /// recorded until someone asks. See [`EngineBuilder::events`](trefoil_core::EngineBuilder::events).
    pub fn events(mut self, capacity: usize) -> Self {
        self.events = Some(capacity);
        self
    }

    /// Draws progress bars of queries and tasks on standard error, if it is a terminal; by default none.
    pub fn progress(mut self, on: bool) -> Self {
        self.progress = on;
        self
    }

    /// A setting of the stores that the session reads from, by the name that the environment has for it
    /// (`AWS_REGION`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`). It goes before the environment's.
    ///
    /// Only the features `s3`, `gcs` and `azure` have settings.
    pub fn store_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.store_settings.push((name.into(), value.into()));
        self
    }

    /// Starts the engine if none was given, and makes the session.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for settings out of range or settings of a new engine beside
    /// [`SessionBuilder::engine`] or a setting that no store has, [`ErrorKind::Unsupported`] for one of a store whose
    /// feature is off, [`ErrorKind::Io`] when the spill directory cannot be written,
    /// [`ErrorKind::ShutDown`] when the engine given has been shut down.
    pub fn build(self) -> Result<Session> {
        let dialect = self.dialect;
        let stores = source::Stores::new(self.store_settings.clone())?;
        let engine = match self.engine.clone() {
            Some(engine) => self.reuse(engine)?,
            None => self.start()?,
        };
        let context = context(&engine, stores)?;
        source::register_file_schemas(&context)?;
        observe::register(&context, &engine).map_err(|error| plan_error(error, "session"))?;
        let (extensions, closures) = (Mutex::default(), RwLock::default());
        Ok(Session { inner: Arc::new(Inner { engine, context, dialect, extensions, closures }) })
    }

    fn reuse(self, engine: Engine) -> Result<Engine> {
        let settings = [
            ("workers", self.workers.is_some()),
            ("memory", self.memory.is_some() || self.memory_bytes.is_some()),
            ("spill_dir", self.spill_dir.is_some()),
            ("name", self.name.is_some()),
            ("events", self.events.is_some()),
            ("progress", self.progress),
        ];
        if let Some((setting, _)) = settings.iter().find(|(_, given)| *given) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "session",
                format!("`{setting}` was set beside `engine`, but the engine has started already"),
            )
            .with_help("give it to `Engine::builder()`"));
        }
        if engine.is_shut_down() {
            return Err(Error::new(ErrorKind::ShutDown, "session", "the engine has been shut down"));
        }
        Ok(engine)
    }

    fn start(self) -> Result<Engine> {
        let mut builder = Engine::builder();
        if let Some(workers) = self.workers {
            builder = builder.workers(workers);
        }
        if let Some(memory) = self.memory {
            builder = builder.memory(memory);
        }
        if let Some(bytes) = self.memory_bytes {
            builder = builder.memory_bytes(bytes);
        }
        if let Some(dir) = self.spill_dir {
            builder = builder.spill_dir(dir);
        }
        if let Some(name) = self.name {
            builder = builder.name(name);
        }
        if let Some(capacity) = self.events {
            builder = builder.events(capacity);
        }
        builder.progress(self.progress).build()
    }
}

/// Batches of fewer rows cost more than they save; the other is DataFusion's default.
const BATCH_ROWS: (usize, usize) = (256, 8192);

/// Runs of sorts that all workers together merge at once, if there is memory for it, and that each may in any case: all have open files, of
/// which a process often may have a thousand.
const MERGED_RUNS: (usize, usize) = (256, 8);

/// DataFusion on the engine's budget, spill directory and number of workers.
fn context(engine: &Engine, stores: source::Stores) -> Result<SessionContext> {
    let dirs = DiskManagerMode::Directories(vec![engine.spill_dir().to_owned()]);
    let fan_in = (MERGED_RUNS.0 / engine.workers()).max(MERGED_RUNS.1);
    let disk = DiskManagerBuilder::default().with_mode(dirs).with_max_spill_merge_fan_in(fan_in);
    let pool = Arc::new(BudgetPool::new(engine.budget().clone()));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(pool.clone())
        .with_disk_manager_builder(disk)
        .with_object_store_registry(Arc::new(stores))
        // A list of files that is kept would hide what was written since, by us or by others.
        .with_object_list_cache_limit(0)
        .build_arc()
        .map_err(|error| plan_error(error, "session"))?;
    // Merges and exchanges hold two batches of each input, whatever the budget; with 8,192 rows to a batch a sort-merge
    // join of ten budgets needs 8 MiB on two workers. So a batch has a row for each kilobyte that a worker has.
    let rows = engine.budget().limit() / (engine.workers() * 1024);
    let mut config = SessionConfig::new()
        .with_target_partitions(engine.workers())
        .with_batch_size(rows.clamp(BATCH_ROWS.0, BATCH_ROWS.1))
        .with_information_schema(true)
        .with_extension(pool);
    // Each sort keeps this much aside for merging what it spilled; the default of 10 MiB a partition would
    // be all of a small budget.
    let share = engine.budget().limit() / (engine.workers() * 16);
    let options = config.options_mut();
    options.extensions.insert(OptimizeOptions::default());
    options.execution.sort_spill_reservation_bytes =
        share.clamp(64 << 10, options.execution.sort_spill_reservation_bytes);
    // A join looks keys up in an array of their range instead of a hash table if the range is at most this, whatever
    // part of it there is; at most 32 MiB, and a 64th of a small budget.
    options.execution.perfect_hash_join_small_build_threshold = (engine.budget().limit() / 256)
        .clamp(options.execution.perfect_hash_join_small_build_threshold, 8 << 20);
    // A file of its own for each batch that an exchange spills. In a file that is not full two inputs of DataFusion 55
    // wait for one another for ever (apache/datafusion#24883): the reader waits for more in the first of two open files,
    // while what it needs is in the other, and the writers wait for the reader.
    options.execution.max_spill_file_size_bytes =
        ConfigNonZeroUsize::try_new(1).map_err(|error| plan_error(error, "session"))?;
    // Positions in the query text for errors about names.
    options.sql_parser.collect_spans = true;
    let mut rules = optimize::rules();
    rules.insert(0, Arc::new(LambdasApart));
    yielding::add_to(
        &mut rules,
        [Arc::new(InOrder), Arc::new(ParallelSorts), Arc::new(RunningWindows), Arc::new(source::PlainFiles)],
    );
    rules.push(Arc::new(RunSorts));
    totals::add_to(&mut rules);
    recursion::add_to(&mut rules);
    let mut logical = Optimizer::new().rules;
    logical.insert(0, Arc::new(ConstantFilters));
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_optimizer_rules(logical)
        .with_physical_optimizer_rules(rules)
        .with_physical_optimizer_rule(Arc::new(observe::CatchPlan))
        .build();
    source::register_formats(&mut state).map_err(|error| plan_error(error, "session"))?;
    Ok(SessionContext::new_with_state(state))
}

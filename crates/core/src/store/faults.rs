//! Disks that fail, and what the store makes of it: an error of its kind or a recomputation, never another
//! answer, and budget and files as they were.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_buffer::Buffer;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::{Compression, Disk, Lineage, OsDisk, Place};
use crate::{Arg, Call, Engine, ErrorKind, Partition, TaskSpec};

/// What goes wrong from now on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// No space left after so many bytes more.
    Full(usize),
    /// Bytes from there on are lost, and the writer is told that all is well.
    Short(usize),
    /// One bit of that byte changes, modulo the length of the file.
    Corrupt(usize),
    /// Renaming is refused.
    NoRename,
    /// The file is gone when it is read.
    Vanish,
    /// The directory is gone when it is written to.
    NoDirectory,
    /// Reading is refused.
    NoRead,
}

#[derive(Debug)]
struct FaultyDisk(Mutex<Fault>);

impl FaultyDisk {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Fault::None)))
    }

    fn set(&self, fault: Fault) {
        *self.0.lock() = fault;
    }
}

/// Lets so many bytes through; the rest is refused or swallowed.
struct Limited {
    to: Box<dyn Write + Send>,
    left: usize,
    refuse: bool,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 && !bytes.is_empty() {
            return match self.refuse {
                true => Err(io::Error::from_raw_os_error(28)),
                false => Ok(bytes.len()),
            };
        }
        let part = &bytes[..bytes.len().min(self.left)];
        let written = self.to.write(part)?;
        self.left -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        if *self.0.lock() == Fault::NoDirectory {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let to = OsDisk.create(path)?;
        Ok(match *self.0.lock() {
            Fault::Full(left) => Box::new(Limited { to, left, refuse: true }),
            Fault::Short(left) => Box::new(Limited { to, left, refuse: false }),
            _ => to,
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if *self.0.lock() == Fault::NoRename {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        if let Fault::Corrupt(at) = *self.0.lock() {
            let mut bytes = std::fs::read(from)?;
            let length = bytes.len();
            bytes[at % length] ^= 1 << (at % 8);
            std::fs::write(from, bytes)?;
        }
        OsDisk.rename(from, to)
    }

    fn map(&self, path: &Path) -> io::Result<Buffer> {
        match *self.0.lock() {
            Fault::Vanish => Err(io::Error::from(io::ErrorKind::NotFound)),
            Fault::NoRead => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            _ => OsDisk.map(path),
        }
    }

    fn remove(&self, path: &Path) {
        OsDisk.remove(path);
    }
}

fn batch(rows: usize, seed: i64) -> RecordBatch {
    let n: Int64Array = (0..rows as i64).map(|i| (i % 7 != 0).then_some(i * seed)).collect();
    let s: StringArray = (0..rows).map(|i| (i % 5 != 0).then(|| format!("{seed}-{i}"))).collect();
    RecordBatch::try_from_iter([("n", Arc::new(n) as ArrayRef), ("s", Arc::new(s) as ArrayRef)]).unwrap()
}

fn engine(disk: &Arc<FaultyDisk>, compression: Compression) -> (Engine, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let builder = Engine::builder().workers(2).memory_bytes(4 << 20).spill_dir(dir.path());
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    (builder.spill_compression(compression).disk(disk).build().unwrap(), dir)
}

fn files(engine: &Engine) -> usize {
    std::fs::read_dir(engine.spill_dir()).map_or(0, Iterator::count)
}

/// Faults that show when a file is written, and those that show when it is read.
const ON_WRITE: [Fault; 5] =
    [Fault::Full(0), Fault::Full(3000), Fault::Full(30_000), Fault::NoRename, Fault::NoDirectory];
const ON_READ: [Fault; 6] = [
    Fault::Short(0),
    Fault::Short(3000),
    Fault::Corrupt(77),
    Fault::Corrupt(5001),
    Fault::Vanish,
    Fault::NoRead,
];

#[test]
fn a_disk_that_refuses_leaves_everything_in_memory() {
    for fault in ON_WRITE {
        let disk = FaultyDisk::new();
        let (engine, _dir) = engine(&disk, Compression::None);
        let rows = batch(5000, 3);
        let partition = engine.put_batches(rows.schema(), vec![batch(5000, 3)]).unwrap();
        let value = engine.put_spillable(vec![7u32; 50_000]).unwrap();
        let reserved = engine.budget().reserved();
        disk.set(fault);
        assert_eq!(engine.store().spill(usize::MAX), 0, "{fault:?}");
        assert_eq!(engine.budget().reserved(), reserved);
        assert_eq!(engine.store().spill_failure_count(), 2, "{fault:?}");
        assert_eq!(files(&engine), 0, "{fault:?}: half a file is left");
        assert_eq!(partition.batches().unwrap()[0], rows);
        assert_eq!(value.load().unwrap().len(), 50_000);
        // What fits neither in memory nor on disk is refused, and nothing stays behind.
        let error = engine.put_batches(rows.schema(), vec![batch(400_000, 1)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{fault:?}: {error}");
        assert!(error.to_string().contains("free disk space"), "{error}");
        let error = engine.put_spillable(vec![7u32; 4_000_000]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        assert_eq!((engine.budget().reserved(), files(&engine)), (reserved, 0));
        // The disk comes back.
        disk.set(Fault::None);
        assert_eq!(engine.store().spill(usize::MAX), reserved);
        assert_eq!(partition.batches().unwrap()[0], rows);
        assert_eq!(value.load().unwrap()[49_999], 7);
        drop((partition, value));
        assert_eq!((engine.budget().reserved(), files(&engine)), (0, 0));
    }
}

#[test]
fn lost_values_say_so_and_what_to_do() {
    for compression in [Compression::None, Compression::Lz4] {
        for fault in ON_READ {
            let disk = FaultyDisk::new();
            let (engine, _dir) = engine(&disk, compression);
            let rows = batch(5000, 3);
            let partition = engine.put_batches(rows.schema(), vec![batch(5000, 3)]).unwrap();
            disk.set(fault);
            engine.store().spill(usize::MAX);
            assert!(partition.is_spilled());
            for _ in 0..2 {
                let error = partition.batches().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::DataLost, "{fault:?}: {error}");
                assert!(error.to_string().contains("given with `put_batches`"), "{error}");
                assert!(error.to_string().contains("store them again"), "{error}");
            }
            drop(partition);
            assert_eq!((engine.budget().reserved(), files(&engine)), (0, 0));
        }
    }
}

#[test]
fn a_value_is_read_back_before_it_leaves_memory() {
    for fault in ON_READ {
        let disk = FaultyDisk::new();
        let (engine, _dir) = engine(&disk, Compression::None);
        let value = engine.put_spillable((0..20_000u32).collect::<Vec<_>>()).unwrap();
        disk.set(fault);
        assert_eq!(engine.store().spill(usize::MAX), 0, "{fault:?}");
        assert_eq!(engine.store().objects()[0].place, Place::Pinned);
        assert_eq!(value.load().unwrap()[19_999], 19_999);
        drop(value);
        assert_eq!((engine.budget().reserved(), files(&engine)), (0, 0));
    }
    let disk = FaultyDisk::new();
    let (engine, _dir) = engine(&disk, Compression::Lz4);
    let value = engine.put_spillable(vec![1u8; 100_000]).unwrap();
    engine.store().spill(usize::MAX);
    assert!(engine.store().objects()[0].disk_bytes < 10_000, "{:?}", engine.store().objects());
    for fault in [Fault::Vanish, Fault::NoRead] {
        disk.set(fault);
        let error = value.load().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataLost);
        assert!(error.to_string().contains("given with `put_spillable`"), "{error}");
        assert_eq!(engine.budget().reserved(), 0);
    }
    disk.set(Fault::None);
    assert_eq!(*value.load().unwrap(), vec![1u8; 100_000]);
}

/// Calls whose partitions build on one another: the first makes rows, each next one adds `1` to them.
fn chain(engine: &Engine, length: usize, runs: &Arc<AtomicUsize>) -> Vec<crate::Ref<Partition>> {
    let mut made: Vec<crate::Ref<Partition>> = Vec::new();
    for _ in 0..length {
        let runs = Arc::clone(runs);
        let spec = TaskSpec::new("link");
        let call = match made.last() {
            None => Call::new(spec, (), move |()| {
                runs.fetch_add(1, Ordering::SeqCst);
                let rows = batch(3000, 1);
                Partition::from_batches(rows.schema(), vec![rows])
            }),
            Some(before) => Call::new(spec, (Arg::Ref(before.clone()),), move |(before,)| {
                runs.fetch_add(1, Ordering::SeqCst);
                let before: &Partition = &before;
                let rows = before.batches()?;
                let n = rows[0].column(0).to_data();
                let n = Int64Array::from(n).iter().map(|n| n.map(|n| n + 1)).collect::<Int64Array>();
                let columns = vec![Arc::new(n) as ArrayRef, Arc::clone(rows[0].column(1))];
                let rows = RecordBatch::try_new(rows[0].schema(), columns).map_err(crate::Error::user)?;
                Partition::from_batches(rows.schema(), vec![rows])
            }),
        };
        made.push(engine.spawn_stored(call));
    }
    made
}

#[test]
fn lost_partitions_are_computed_again_down_the_line() {
    for fault in ON_READ {
        let disk = FaultyDisk::new();
        let (engine, _dir) = engine(&disk, Compression::None);
        let runs = Arc::new(AtomicUsize::new(0));
        let made = chain(&engine, 8, &runs);
        let last = made[7].get().unwrap();
        let expect = last.batches().unwrap()[0].clone();
        assert_eq!(runs.load(Ordering::SeqCst), 8);
        disk.set(fault);
        engine.store().spill(usize::MAX);
        // Every file of the line is bad: computing the last one asks for the one before, and so on.
        assert_eq!(last.batches().unwrap()[0], expect, "{fault:?}");
        disk.set(Fault::None);
        assert_eq!(last.batches().unwrap()[0], expect);
        drop((made, last, expect));
        // Workers drop the last of their handles after the answers are out.
        let begin = Instant::now();
        while engine.store().object_count() > 0 {
            assert!(begin.elapsed() < Duration::from_secs(20), "{fault:?}: {:?}", engine.store().objects());
            std::thread::yield_now();
        }
        assert_eq!((engine.budget().reserved(), files(&engine)), (0, 0), "{fault:?}");
    }
}

#[test]
fn a_full_disk_drops_what_can_be_computed_again() {
    let disk = FaultyDisk::new();
    let (engine, _dir) = engine(&disk, Compression::None);
    let runs = Arc::new(AtomicUsize::new(0));
    let made = chain(&engine, 1, &runs);
    let partition = made[0].get().unwrap();
    disk.set(Fault::Full(0));
    assert!(engine.store().spill(usize::MAX) > 0);
    assert_eq!((engine.store().drop_count(), files(&engine)), (1, 0));
    assert_eq!(partition.batches().unwrap()[0], batch(3000, 1));
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[test]
fn work_that_gives_other_rows_or_keeps_failing_is_an_error() {
    let disk = FaultyDisk::new();
    let (engine, _dir) = engine(&disk, Compression::None);
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let other = Lineage::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(vec![batch(11, 1)])
    });
    let failing = Lineage::new(|| Err(crate::Error::new(ErrorKind::User, "task", "the source is gone")));
    for (lineage, expect) in [(other, "11 rows came back instead of 10"), (failing, "the source is gone")] {
        let rows = batch(10, 1);
        let partition = engine.put_batches_with(rows.schema(), vec![rows], lineage).unwrap();
        disk.set(Fault::Corrupt(9));
        engine.store().spill(usize::MAX);
        let error = partition.batches().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataLost);
        assert!(error.to_string().contains(expect), "{error}");
        assert!(error.to_string().contains("checksum"), "{error}");
        disk.set(Fault::None);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 3, "three attempts and no more");
    assert_eq!((engine.budget().reserved(), files(&engine)), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Random puts, reads, drops and spills on a disk with random faults, beside a map that loses nothing:
    /// a read gives the right rows or says that they are lost; at the end nothing is reserved or left.
    #[test]
    fn never_a_wrong_answer(
        steps in prop::collection::vec((0usize..6, 0usize..8, 0usize..12), 1..60),
        compress in any::<bool>(),
    ) {
        let disk = FaultyDisk::new();
        let compression = if compress { Compression::Lz4 } else { Compression::None };
        let (engine, _dir) = engine(&disk, compression);
        let mut stored: Vec<Option<(Partition, i64, bool)>> = vec![None; 8];
        let faults: Vec<Fault> = ON_WRITE.into_iter().chain(ON_READ).chain([Fault::None]).collect();
        for (step, at, pick) in steps {
            match step {
                0 | 1 => {
                    let seed = pick as i64 + 1;
                    let rows = batch(4000, seed);
                    let lasting = step == 1;
                    let put = match lasting {
                        true => {
                            let again = move || Ok(vec![batch(4000, seed)]);
                            engine.put_batches_with(rows.schema(), vec![rows], Lineage::new(again))
                        }
                        false => engine.put_batches(rows.schema(), vec![rows]),
                    };
                    stored[at] = put.ok().map(|partition| (partition, seed, lasting));
                }
                2 | 3 => {
                    if let Some((partition, seed, lasting)) = &stored[at] {
                        match partition.batches() {
                            Ok(found) => prop_assert_eq!(&found[0], &batch(4000, *seed)),
                            Err(error) => {
                                prop_assert_eq!(error.kind(), ErrorKind::DataLost);
                                prop_assert!(!lasting, "{}", error);
                            }
                        }
                    }
                }
                4 => stored[at] = None,
                _ => {
                    disk.set(faults[pick]);
                    engine.store().spill(pick * 100_000);
                }
            }
            prop_assert!(engine.budget().reserved() <= engine.budget().limit());
        }
        drop(stored);
        prop_assert_eq!(engine.budget().reserved(), 0);
        prop_assert_eq!(files(&engine), 0);
        prop_assert!(engine.store().0.buffers.is_empty());
    }
}

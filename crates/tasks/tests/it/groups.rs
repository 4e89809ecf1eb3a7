//! Worker groups (list 3.12): exact results, several groups, destroyed groups, dead ranks.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int32Array, StringArray};
use half::f16;
use trefoil_tasks::group::{Numeric, Rank, Reduce, WorkerGroup};
use trefoil_tasks::{Engine, Error, ErrorKind, Ref};

use crate::engine;

const ALL: [Reduce; 4] = [Reduce::Sum, Reduce::Product, Reduce::Min, Reduce::Max];

/// Small whole numbers, so that every type holds every result exactly, or wraps as `as` does.
fn value(rank: usize, at: usize) -> i64 {
    ((rank * 7 + at * 3) % 5 % 3) as i64
}

/// The dumb model: a loop over ranks in 64 bits.
fn model(size: usize, at: usize, how: Reduce) -> i64 {
    let values = (0..size).map(|rank| value(rank, at));
    match how {
        Reduce::Sum => values.sum(),
        Reduce::Product => values.product(),
        Reduce::Min => values.min().unwrap(),
        _ => values.max().unwrap(),
    }
}

fn all<T: Clone + Send + Sync + 'static>(engine: &Engine, refs: Vec<Ref<T>>) -> Vec<T> {
    engine.block_on(engine.gather(refs)).unwrap()
}

/// Every collective on `count` numbers of type `T`, compared with the model.
fn check<T: Numeric + std::fmt::Debug>(engine: &Engine, size: usize, count: usize, from: fn(i64) -> T) {
    let group = WorkerGroup::new(size).unwrap();
    let done = group.run(engine, move |rank| {
        let me = rank.rank();
        let mine: Vec<T> = (0..count).map(|at| from(value(me, at))).collect();
        let expect = |how, range: std::ops::Range<usize>| -> Vec<T> {
            range.map(|at| from(model(size, at, how))).collect()
        };
        for how in ALL {
            let mut values = mine.clone();
            rank.blocking().all_reduce(&mut values, how)?;
            assert_eq!(values, expect(how, 0..count), "all_reduce {how:?} {size} x {count}");

            let root = count % size;
            let mut values = mine.clone();
            rank.blocking().reduce(&mut values, how, root)?;
            assert_eq!(values, if me == root { expect(how, 0..count) } else { mine.clone() });

            let even = count / size * size;
            let share = rank.blocking().reduce_scatter(&mine[..even], how)?;
            assert_eq!(share, expect(how, even / size * me..even / size * (me + 1)));
        }
        let root = size - 1;
        let mut values = mine.clone();
        rank.blocking().broadcast(&mut values, root)?;
        assert_eq!(values, (0..count).map(|at| from(value(root, at))).collect::<Vec<T>>());

        let gathered = rank.blocking().all_gather(&mine[..me.min(count)])?;
        for (other, part) in gathered.iter().enumerate() {
            let expect: Vec<T> = (0..other.min(count)).map(|at| from(value(other, at))).collect();
            assert_eq!(*part, expect);
        }
        // Round the ring.
        rank.send(&mine, (me + 1) % size)?;
        let left = (me + size - 1) % size;
        let received = rank.blocking().receive::<T>(left)?;
        assert_eq!(received, (0..count).map(|at| from(value(left, at))).collect::<Vec<T>>());
        rank.blocking().barrier()
    });
    all(engine, done.unwrap());
}

#[test]
fn collectives_are_exact_for_every_type_reduction_and_number_of_ranks() {
    let engine = engine();
    for size in 2..=8 {
        for count in [0, 1, 2, 17, 5000] {
            check::<f64>(&engine, size, count, |v| v as f64);
        }
        check::<u8>(&engine, size, 100, |v| v as u8);
        check::<i32>(&engine, size, 100, |v| v as i32);
        check::<i64>(&engine, size, 100, |v| v);
        check::<f32>(&engine, size, 100, |v| v as f32);
        check::<f16>(&engine, size, 100, |v| f16::from_f32(v as f32));
    }
}

#[test]
fn a_million_numbers() {
    let engine = engine();
    for size in [2, 8] {
        let group = WorkerGroup::new(size).unwrap();
        let done = group.run(&engine, move |rank| {
            let mut values = vec![rank.rank() as f32; 1 << 20];
            rank.blocking().all_reduce(&mut values, Reduce::Sum)?;
            let expect = (size * (size - 1) / 2) as f32;
            assert!(values.iter().all(|value| *value == expect));
            Ok(())
        });
        all(&engine, done.unwrap());
    }
}

#[test]
fn overflow_wraps_and_nan_wins() {
    let engine = engine();
    let group = WorkerGroup::new(3).unwrap();
    let done = group.run(&engine, |rank| {
        let mut bytes = [200_u8];
        rank.blocking().all_reduce(&mut bytes, Reduce::Sum)?;
        assert_eq!(bytes, [88]);
        for how in ALL {
            let mut values = [if rank.rank() == 1 { f64::NAN } else { 1.0 }];
            rank.blocking().all_reduce(&mut values, how)?;
            assert!(values[0].is_nan(), "{how:?}");
        }
        Ok(())
    });
    all(&engine, done.unwrap());
}

#[test]
fn several_groups_at_once_and_asynchronously() {
    let engine = engine();
    let groups: Vec<WorkerGroup> = (1..=4).map(|size| WorkerGroup::new(size).unwrap()).collect();
    let runs = groups.iter().map(|group| {
        let run = group.run_async(&engine, |mut rank: Rank| async move {
            let mut total = [1_i64];
            for _ in 0..20 {
                rank.all_reduce(&mut total, Reduce::Sum).await?;
                rank.barrier().await?;
                total[0] %= 1000;
            }
            Ok(total[0])
        });
        (group.size() as i64, run.unwrap())
    });
    for (size, run) in runs.collect::<Vec<_>>() {
        let expect = (0..20).fold(1_i64, |total, _| total * size % 1000);
        assert_eq!(all(&engine, run), vec![expect; size as usize]);
    }
}

#[test]
fn arrow_arrays_are_shared_not_copied() {
    let engine = engine();
    let group = WorkerGroup::new(3).unwrap();
    let done = group.run(&engine, |rank| {
        let me = rank.rank();
        let mine: ArrayRef = Arc::new(Float64Array::from(vec![me as f64; 1000]));
        let address = |array: &ArrayRef| array.to_data().buffers()[0].as_ptr() as u64;
        let gathered = rank.blocking().all_gather_array(Arc::clone(&mine))?;
        let addresses = rank.blocking().all_gather(&[address(&mine)])?;
        for (array, at) in gathered.iter().zip(addresses) {
            assert_eq!([address(array)], *at);
        }
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let given = rank.blocking().broadcast_array((me == 1).then(|| Arc::clone(&text)), 1)?;
        assert_eq!(&given, &text);
        rank.send_array(Arc::clone(&mine), (me + 1) % 3)?;
        let received = rank.blocking().receive_array((me + 2) % 3)?;
        assert_eq!(received.len(), 1000);

        let sum = rank.blocking().all_reduce_array(&Int32Array::from(vec![me as i32, 1]), Reduce::Sum)?;
        assert_eq!(&sum, &(Arc::new(Int32Array::from(vec![3, 3])) as ArrayRef));
        Ok(())
    });
    all(&engine, done.unwrap());
}

#[test]
fn arrays_that_cannot_be_reduced() {
    let engine = engine();
    let group = WorkerGroup::new(1).unwrap();
    let done = group.run(&engine, |rank| {
        let nulls = Int32Array::from(vec![Some(1), None]);
        let error = rank.blocking().all_reduce_array(&nulls, Reduce::Sum).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let text = StringArray::from(vec!["a"]);
        let error = rank.blocking().all_reduce_array(&text, Reduce::Sum).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TypeMismatch);
        Ok(())
    });
    all(&engine, done.unwrap());
}

/// The errors of all ranks but those that did not see one.
fn errors<T: Send + Sync + 'static>(refs: Vec<Ref<T>>) -> Vec<Error> {
    refs.into_iter().filter_map(|one| one.get_value().err()).collect()
}

#[test]
fn a_dead_rank_is_an_error_everywhere_and_never_a_hang() {
    let engine = engine();
    #[derive(Clone, Copy, Debug)]
    enum Death {
        Panic,
        Error,
        Return,
    }
    for death in [Death::Panic, Death::Error, Death::Return] {
        for size in 2..=5 {
            let group = WorkerGroup::new(size).unwrap();
            let done = group.run(&engine, move |rank| {
                rank.blocking().barrier()?;
                if rank.rank() == 1 {
                    match death {
                        Death::Panic => panic!("as asked"),
                        Death::Error => return Err(Error::user(std::io::Error::other("as asked"))),
                        Death::Return => return Ok(()),
                    }
                }
                let mut values = [1.0_f64];
                rank.blocking().all_reduce(&mut values, Reduce::Sum)?;
                unreachable!("rank 1 is dead");
            });
            let errors = errors(done.unwrap());
            let broken = errors.iter().filter(|error| error.kind() == ErrorKind::GroupBroken).count();
            assert_eq!(broken, size - 1, "{death:?}: {errors:?}");
            assert!(errors.iter().any(|error| error.message().contains("rank 1")), "{errors:?}");
        }
    }
}

#[test]
fn a_cancelled_rank_breaks_the_group() {
    let engine = engine();
    let group = WorkerGroup::new(3).unwrap();
    let ranks = group
        .run_async(&engine, |mut rank| async move {
            if rank.rank() == 2 {
                std::future::pending::<()>().await;
            }
            rank.barrier().await
        })
        .unwrap();
    ranks[2].cancel();
    assert!(ranks[2].get_value().unwrap_err().is_cancelled());
    for rank in &ranks[..2] {
        assert_eq!(rank.get_value().unwrap_err().kind(), ErrorKind::GroupBroken);
    }
}

#[test]
fn an_operation_dropped_half_way_breaks_the_group() {
    let group = WorkerGroup::new(2).unwrap();
    let mut ranks = group.ranks().unwrap();
    let engine = engine();
    let mut second = ranks.pop().unwrap();
    let mut first = ranks.pop().unwrap();
    engine.block_on(async {
        let mut wait = Box::pin(first.barrier());
        assert!(futures::poll!(&mut wait).is_pending());
        drop(wait);
        let error = second.barrier().await.unwrap_err();
        assert_eq!(error.message(), "rank 0 gave up in the middle of `barrier`");
    });
}

#[test]
fn messages_outlive_their_sender_and_nothing_waits_for_the_dead() {
    let group = WorkerGroup::new(2).unwrap();
    let mut ranks = group.ranks().unwrap();
    let mut second = ranks.pop().unwrap();
    let first = ranks.pop().unwrap();
    first.send(&[1_i32, 2], 1).unwrap();
    first.send(&[3.0_f64], 1).unwrap();
    drop(first);
    assert_eq!(second.blocking().receive::<i32>(0).unwrap(), [1, 2]);
    assert_eq!(second.blocking().receive::<f32>(0).unwrap_err().kind(), ErrorKind::TypeMismatch);
    assert_eq!(second.blocking().receive::<f32>(0).unwrap_err().kind(), ErrorKind::GroupBroken);
    assert_eq!(second.send(&[1_u8], 0).unwrap_err().kind(), ErrorKind::GroupBroken);
    assert_eq!(second.send(&[1_u8], 7).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn use_after_destroy_is_an_error_and_a_new_group_works() {
    let engine = engine();
    let group = WorkerGroup::new(2).unwrap();
    let waiting = group
        .run_async(&engine, |mut rank| async move {
            if rank.rank() == 0 { rank.barrier().await } else { std::future::pending().await }
        })
        .unwrap();
    group.destroy();
    assert_eq!(waiting[0].get_value().unwrap_err().kind(), ErrorKind::GroupBroken);
    assert_eq!(group.ranks().unwrap_err().kind(), ErrorKind::GroupBroken);
    drop(waiting);

    let group = WorkerGroup::new(2).unwrap();
    all(&engine, group.run(&engine, |rank| rank.blocking().barrier()).unwrap());
    assert_eq!(group.ranks().unwrap_err().kind(), ErrorKind::InvalidArgument, "given out before");
    assert_eq!(WorkerGroup::new(0).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn different_operations_at_the_same_time_are_an_error_that_names_both() {
    let engine = engine();
    let check = |second: fn(&mut Rank) -> trefoil_tasks::Result<()>, expect: &[&str]| {
        let group = WorkerGroup::new(2).unwrap();
        let done = group.run(&engine, move |rank| {
            if rank.rank() == 0 {
                rank.blocking().all_reduce(&mut [1.0_f64, 2.0], Reduce::Sum)
            } else {
                second(rank)
            }
        });
        let errors = errors(done.unwrap());
        assert_eq!(errors.len(), 2);
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::GroupBroken);
            for part in expect {
                assert!(error.message().contains(part), "{error}");
            }
        }
    };
    check(|rank| rank.blocking().barrier(), &["all_reduce(2 x f64, sum)", "barrier()"]);
    check(|rank| rank.blocking().all_reduce(&mut [1.0_f64], Reduce::Sum), &["1 x f64", "2 x f64"]);
    check(|rank| rank.blocking().all_reduce(&mut [1.0_f32, 2.0], Reduce::Sum), &["2 x f32", "2 x f64"]);
    check(|rank| rank.blocking().all_reduce(&mut [1.0_f64, 2.0], Reduce::Max), &["sum", "max"]);
}

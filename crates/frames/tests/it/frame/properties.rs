//! Random small tables, with nulls and empty partitions, on 1, 2 and 7 partitions, against a naive
//! evaluation in memory.

use super::helpers::*;
use datafusion::arrow::array::RecordBatch;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use trefoil_frames::frame::*;
use trefoil_frames::seed;
use trefoil_plan::DataFrame;

/// `k` a small integer, `s` a text, `x` an integer, each may be null.
type Row = (Option<i64>, Option<&'static str>, Option<i64>);

const PARTITIONS: [usize; 3] = [1, 2, 7];

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        prop::option::weighted(0.8, 0..4_i64),
        prop::option::weighted(0.8, prop::sample::select(vec!["a", "b", "c", "it's"])),
        prop::option::weighted(0.8, -5..5_i64),
    );
    prop::collection::vec(row, 0..30)
}

fn to_batch(rows: &[Row]) -> RecordBatch {
    batch(vec![
        ("k", ints(&rows.iter().map(|r| r.0).collect::<Vec<_>>())),
        ("s", texts(&rows.iter().map(|r| r.1).collect::<Vec<_>>())),
        ("x", ints(&rows.iter().map(|r| r.2).collect::<Vec<_>>())),
    ])
}

/// The rows dealt to `n` partitions; one that gets none has no batch or an empty one.
fn deal(rows: &[Row], n: usize, salt: usize) -> DataFrame {
    let mut parts = vec![Vec::new(); n];
    for (i, row) in rows.iter().enumerate() {
        parts[(i * 31 + i / 3 + salt) % n].push(*row);
    }
    let parts = parts.iter().enumerate().map(|(i, part)| match part.len() {
        0 if i % 2 == 1 => vec![],
        0 => vec![to_batch(&[])],
        len => vec![to_batch(&part[..len / 2]), to_batch(&part[len / 2..])],
    });
    partitioned(std::iter::once(vec![to_batch(&[])]).chain(parts).collect())
}

fn show<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}

fn line(row: &Row) -> String {
    format!("{}|{}|{}", show(row.0), show(row.1), show(row.2))
}

fn in_order(frame: DataFrame) -> Vec<String> {
    lines(&frame).unwrap().split_off(1)
}

fn any_order(frame: DataFrame) -> Vec<String> {
    let mut found = in_order(frame);
    found.sort();
    found
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// Nulls after all values.
fn last<T: Ord>(value: Option<T>) -> (bool, Option<T>) {
    (value.is_none(), value)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn filter(rows in rows(), salt in 0..100_usize, limit in -5..5_i64, n in prop::sample::select(&PARTITIONS[..])) {
        let kept = |keep: &dyn Fn(&Row) -> bool| sorted(rows.iter().filter(|r| keep(r)).map(line).collect());
        let f = deal(&rows, n, salt);
        let both = f.filter(col("x").gt(lit(limit)) & col("s").not_eq(lit("a"))).unwrap();
        prop_assert_eq!(
            any_order(both),
            kept(&|r| r.2.is_some_and(|x| x > limit) && r.1.is_some_and(|s| s != "a"))
        );
        let either = f.filter(col("x").lt_eq(lit(limit)) | col("s").is_null()).unwrap();
        prop_assert_eq!(any_order(either), kept(&|r| r.2.is_some_and(|x| x <= limit) || r.1.is_none()));
        let filled = f.filter(col("x").fill_null(lit(0)).is_between(lit(limit), lit(3))).unwrap();
        prop_assert_eq!(any_order(filled), kept(&|r| (limit..=3).contains(&r.2.unwrap_or(0))));
        let listed = f.filter(col("s").is_in(["a", "it's"])).unwrap();
        prop_assert_eq!(any_order(listed), kept(&|r| matches!(r.1, Some("a" | "it's"))));
        prop_assert_eq!(
            any_order(f.dropna().unwrap()),
            kept(&|r| r.0.is_some() && r.1.is_some() && r.2.is_some())
        );
    }

    #[test]
    fn group_by(rows in rows(), salt in 0..100_usize, n in prop::sample::select(&PARTITIONS[..])) {
        let mut groups: BTreeMap<Option<i64>, Vec<Row>> = BTreeMap::new();
        for row in &rows {
            groups.entry(row.0).or_default().push(*row);
        }
        let expect = groups.iter().map(|(k, rows)| {
            let xs: Vec<i64> = rows.iter().filter_map(|r| r.2).collect();
            let some = |value: i64| (!xs.is_empty()).then_some(value);
            let sum: i64 = xs.iter().sum();
            let mean = (!xs.is_empty()).then(|| format!("{:?}", sum as f64 / xs.len() as f64));
            let texts: BTreeSet<_> = rows.iter().filter_map(|r| r.1).collect();
            format!(
                "{}|{}|{}|{}|{}|{}|{}|{}",
                show(*k), show(some(sum)), show(mean), xs.len(), rows.len(),
                show(xs.iter().min()), show(xs.iter().max()), texts.len()
            )
        });
        let expect = sorted(expect.collect());
        let grouped = deal(&rows, n, salt).group_by(["k"]).agg([
            col("x").sum(),
            col("x").mean(),
            col("x").count(),
            lit(1).count().alias("rows"),
            col("x").min(),
            col("x").max(),
            col("s").n_unique(),
        ]);
        prop_assert_eq!(any_order(grouped.unwrap()), expect.clone());
    }

    #[test]
    fn sort_and_head(rows in rows(), salt in 0..100_usize, n_rows in 0..40_usize, n in prop::sample::select(&PARTITIONS[..])) {
        let mut sorted = rows.clone();
        sorted.sort_by_key(|r| (r.2.is_none(), r.2.map(std::cmp::Reverse), r.0, last(r.1)));
        let expect: Vec<String> = sorted.iter().map(line).collect();
        let by = [desc("x"), asc("k").nulls_first(), asc("s")];
        let ordered = deal(&rows, n, salt).sort_by(by).unwrap();
        prop_assert_eq!(in_order(ordered.clone()), expect.clone());
        let head = expect.iter().take(n_rows).cloned().collect::<Vec<_>>();
        prop_assert_eq!(in_order(ordered.head(n_rows).unwrap()), head);
        let tail = expect[expect.len().saturating_sub(n_rows)..].to_vec();
        prop_assert_eq!(in_order(run(ordered.tail(n_rows)).unwrap()), tail);
    }

    #[test]
    fn unique_and_value_counts(rows in rows(), salt in 0..100_usize, n in prop::sample::select(&PARTITIONS[..])) {
        let unique: BTreeSet<Row> = rows.iter().copied().collect();
        let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        for row in &rows {
            *counts.entry(row.1).or_default() += 1;
        }
        let mut counted: Vec<_> = counts.into_iter().collect();
        counted.sort_by_key(|(s, n)| (std::cmp::Reverse(*n), last(*s)));
        // one row per `s`: the largest `x`, then the smallest other columns, nulls last
        let mut best: BTreeMap<Option<&str>, Row> = BTreeMap::new();
        let rank = |r: &Row| (r.2.is_none(), r.2.map(std::cmp::Reverse), last(r.0));
        for row in &rows {
            let slot = best.entry(row.1).or_insert(*row);
            if rank(row) < rank(slot) {
                *slot = *row;
            }
        }
        let f = deal(&rows, n, salt);
        prop_assert_eq!(any_order(f.unique().unwrap()), sorted(unique.iter().map(line).collect()));
        prop_assert_eq!(
            in_order(f.value_counts(["s"]).unwrap()),
            counted.iter().map(|(s, n)| format!("{}|{n}", show(*s))).collect::<Vec<_>>()
        );
        prop_assert_eq!(
            any_order(f.drop_duplicates_of(["s"], [desc("x")]).unwrap()),
            sorted(best.values().map(line).collect())
        );
    }

    #[test]
    fn join(left in rows(), right in rows(), salt in 0..100_usize, n in prop::sample::select(&PARTITIONS[..])) {
        let pair = |l: Option<&Row>, r: Option<&Row>, k: Option<i64>| {
            format!(
                "{}|{}|{}|{}|{}",
                show(k),
                show(l.and_then(|l| l.1)), show(l.and_then(|l| l.2)),
                show(r.and_then(|r| r.1)), show(r.and_then(|r| r.2))
            )
        };
        let meet = |l: &Row, r: &Row| l.0.is_some() && l.0 == r.0;
        let pairs: Vec<String> = left.iter()
            .flat_map(|l| right.iter().filter(move |r| meet(l, r)).map(move |r| pair(Some(l), Some(r), l.0)))
            .collect();
        let lonely_left: Vec<&Row> = left.iter().filter(|l| !right.iter().any(|r| meet(l, r))).collect();
        let lonely_right: Vec<&Row> = right.iter().filter(|r| !left.iter().any(|l| meet(l, r))).collect();
        let with = |ls: bool, rs: bool| {
            let mut all = pairs.clone();
            all.extend(lonely_left.iter().filter(|_| ls).map(|l| pair(Some(l), None, l.0)));
            all.extend(lonely_right.iter().filter(|_| rs).map(|r| pair(None, Some(r), r.0)));
            sorted(all)
        };
        let matched = left.iter().filter(|l| right.iter().any(|r| meet(l, r))).map(line).collect();
        let expect = [
            (JoinKind::Inner, with(false, false)),
            (JoinKind::Left, with(true, false)),
            (JoinKind::Right, with(false, true)),
            (JoinKind::Full, with(true, true)),
            (JoinKind::Semi, sorted(matched)),
            (JoinKind::Anti, sorted(lonely_left.iter().map(|l| line(l)).collect())),
        ];
        let (l, r) = (deal(&left, n, salt), deal(&right, 8 - n, salt));
        for (kind, expect) in &expect {
            let joined = l.join(&r, ["k"], *kind).unwrap();
            prop_assert_eq!(&any_order(joined), expect, "{:?}", kind);
        }
    }

    #[test]
    fn get_dummies(rows in rows(), salt in 0..100_usize, n in prop::sample::select(&PARTITIONS[..])) {
        let categories: BTreeSet<&str> = rows.iter().filter_map(|r| r.1).collect();
        let header: Vec<String> =
            ["k".to_owned(), "x".to_owned()].into_iter().chain(categories.iter().map(|c| format!("s_{c}"))).collect();
        let expect = rows.iter().map(|r| {
            let flags = categories.iter().map(|c| format!("|{}", r.1 == Some(*c)));
            format!("{}|{}{}", show(r.0), show(r.2), flags.collect::<String>())
        });
        let expect = sorted(expect.collect());
        let coded = run(deal(&rows, n, salt).categorize()).unwrap().get_dummies().unwrap();
        let found = lines(&coded).unwrap();
        prop_assert_eq!(&found[0], &header.join("|"));
        prop_assert_eq!(sorted(found[1..].to_vec()), expect.clone());
    }

    #[test]
    fn pivot_table(rows in rows(), salt in 0..100_usize, n in prop::sample::select(&PARTITIONS[..])) {
        let pivot = Pivot::new(["k"], ["s"]).value("x", [Aggregation::Sum, Aggregation::Count]).margins("all");
        let wide = run(deal(&rows, n, salt).pivot_table_with(&pivot));
        let kept: Vec<&Row> = rows.iter().filter(|r| r.1.is_some()).collect();
        let names: BTreeSet<&str> = kept.iter().filter_map(|r| r.1).collect();
        if names.is_empty() {
            prop_assert!(wide.is_err());
            return Ok(());
        }
        // the rows and the columns, each with one for all
        let across: Vec<Option<&str>> = names.into_iter().map(Some).chain([None]).collect();
        let down: BTreeSet<Option<i64>> = kept.iter().map(|r| r.0).collect();
        let down = down.into_iter().map(Some).chain([None]);
        let expect = down.map(|k| {
            let cells = |s: Option<&str>| {
                let here = kept.iter().filter(move |r| k.is_none_or(|k| r.0 == k) && s.is_none_or(|s| r.1 == Some(s)));
                let values: Vec<Option<i64>> = here.map(|r| r.2).collect();
                let known = || values.iter().flatten();
                (known().copied().reduce(|a, b| a + b), (!values.is_empty()).then(|| known().count()))
            };
            let sums = across.iter().map(|s| show(cells(*s).0));
            let counts = across.iter().map(|s| show(cells(*s).1));
            [show(k.flatten())].into_iter().chain(sums).chain(counts).collect::<Vec<_>>().join("|")
        });
        prop_assert_eq!(any_order(wide.unwrap()), sorted(expect.collect()));
    }

    #[test]
    fn quantile(rows in rows(), salt in 0..100_usize, n in prop::sample::select(&PARTITIONS[..]), q in 0.0..=1.0_f64) {
        let mut groups: BTreeMap<Option<i64>, Vec<i64>> = BTreeMap::new();
        for row in &rows {
            groups.entry(row.0).or_default().extend(row.2);
        }
        let found = deal(&rows, n, salt).group_by(["k"]).quantile(["x"], q).unwrap();
        let found = any_order(found);
        prop_assert_eq!(found.len(), groups.len());
        for (key, mut values) in groups {
            values.sort_unstable();
            let (key, line) = (show(key), found.iter().find(|line| line.split('|').next() == Some(&show(key))).unwrap());
            let figure = line.split('|').nth(1).unwrap();
            match values.len().checked_sub(1) {
                None => prop_assert_eq!(figure, "-", "{}", key),
                Some(last) => {
                    let place = q * last as f64;
                    let (low, high) = (values[place.floor() as usize] as f64, values[place.ceil() as usize] as f64);
                    let wanted = low + (high - low) * place.fract();
                    prop_assert!((figure.parse::<f64>().unwrap() - wanted).abs() < 1e-12, "{key}: {figure}, not {wanted}");
                }
            }
        }
    }

    #[test]
    fn train_test_split(rows in rows(), salt in 0..100_usize, fraction in 0.0..=1.0_f64, number in 0..9_u64) {
        let all = sorted(rows.iter().map(line).collect());
        let wanted = (fraction * rows.len() as f64).ceil() as usize;
        let mut first: Option<Vec<String>> = None;
        for n in PARTITIONS {
            let f = deal(&rows, n, salt);
            let (train, test) = f.train_test_split(fraction, seed(number)).unwrap();
            let (train, drawn) = (any_order(train), any_order(test.clone()));
            prop_assert_eq!(drawn.len(), wanted);
            // disjoint and complete, as bags of rows
            prop_assert_eq!(sorted([train, drawn.clone()].concat()), all.clone());
            // the same again, on any number of partitions
            prop_assert_eq!(any_order(test), drawn.clone());
            prop_assert_eq!(first.get_or_insert(drawn.clone()), &drawn);
            let sample = any_order(f.sample(fraction, seed(number)).unwrap());
            prop_assert_eq!(sample.len(), (fraction * rows.len() as f64).round() as usize);
        }
    }

    #[test]
    fn concat_and_melt(rows in rows(), salt in 0..100_usize, n in prop::sample::select(&PARTITIONS[..])) {
        let expect = rows.iter().flat_map(|r| {
            [format!("{}|k|{}", show(r.1), show(r.0)), format!("{}|x|{}", show(r.1), show(r.2))]
        });
        let expect = sorted(expect.collect());
        let stacked = rows.iter().map(line).chain(rows.iter().map(|r| format!("{}|{}|-", show(r.0), show(r.1))));
        let stacked = sorted(stacked.collect());
        let f = deal(&rows, n, salt);
        prop_assert_eq!(any_order(f.melt(["s"], ["k", "x"]).unwrap()), expect.clone());
        let part = f.select(["s", "k"]).unwrap();
        prop_assert_eq!(any_order(f.concat([&part]).unwrap()), stacked.clone());
    }
}

//! Verbs of a frame on small tables, against tables written by hand.

use super::helpers::*;
use datafusion::arrow::datatypes::DataType;
use trefoil_frames::frame::*;
use trefoil_frames::seed;
use trefoil_plan::DataFrame;

fn small() -> DataFrame {
    gems().select(["id", "cut", "price"]).unwrap()
}

#[test]
fn columns() {
    check(small().head(0), "id|cut|price");
    check(small().drop(["cut"]).unwrap().head(0), "id|price");
    check(small().rename([("price", "label"), ("id", "ID")]).unwrap().head(0), "ID|cut|label");
    check(small().rename([("price", "id"), ("id", "price")]).unwrap().head(0), "price|cut|id");
    let two = small().filter(col("id").lt(lit(3))).unwrap().sort(["id"]).unwrap();
    check(two.with_column("price", col("price") * lit(2)), "id|cut|price \n 1|Ideal|652 \n 2|Good|800");
    check(two.with_column("n", lit(7)), "id|cut|price|n \n 1|Ideal|326|7 \n 2|Good|400|7");
    check(
        two.with_columns([(col("id") + lit(1)).alias("next"), col("price") - col("id")]),
        "id|cut|price|next \n 1|Ideal|325|2 \n 2|Good|398|3",
    );
    check(
        two.assign([("id", col("price")), ("price", col("id"))]),
        "id|cut|price \n 326|Ideal|1 \n 400|Good|2",
    );
    check(two.astype([("id", DataType::Float64)]), "id|cut|price \n 1.0|Ideal|326 \n 2.0|Good|400");
    check(two.select([col("cut").str().len().alias("n"), col("id")]), "n|id \n 5|1 \n 4|2");
    check(two.select([col("price").sum().alias("total")]), "total \n 726");
}

#[test]
fn rows() {
    check(
        small().filter(col("price").gt(lit(100)) & col("cut").eq(lit("Good"))).unwrap().sort(["id"]),
        "id|cut|price \n 2|Good|400 \n 6|Good|400",
    );
    check(small().sort(["price", "id"]).unwrap().select(["id"]), "id \n 5 \n 1 \n 2 \n 6 \n 4 \n 3");
    check(
        small().sort_by([desc("price"), asc("id")]).unwrap().select(["id"]),
        "id \n 4 \n 2 \n 6 \n 1 \n 5 \n 3",
    );
    check(
        small().sort_by([asc("cut").nulls_first(), desc(col("id") % lit(5))]).unwrap().select(["id"]),
        "id \n 3 \n 5 \n 2 \n 6 \n 4 \n 1",
    );
    check(small().sort(["id"]).unwrap().head(2).unwrap().select(["id"]), "id \n 1 \n 2");
    check(small().sort(["id"]).unwrap().limit(1, 2).unwrap().select(["id"]), "id \n 2 \n 3");
    check(run(small().sort(["id"]).unwrap().tail(2)).unwrap().select(["id"]), "id \n 5 \n 6");
    check(run(small().sort(["id"]).unwrap().tail(9)).unwrap().agg([col("id").count()]), "id_count \n 6");
    check(small().nlargest(2, ["price", "id"]), "id|cut|price \n 4|Ideal|1000 \n 6|Good|400");
    check(small().nsmallest(2, ["price"]), "id|cut|price \n 5|Fair|55 \n 1|Ideal|326");
    check_rows(small().select(["cut"]).unwrap().unique(), "cut \n Ideal \n Good \n Fair \n -");
    check_rows(
        small().drop_duplicates_of(["cut"], [desc("price")]),
        "id|cut|price \n 4|Ideal|1000 \n 2|Good|400 \n 5|Fair|55 \n 3|-|-",
    );
    check_rows(small().drop_duplicates_of(["cut"], []).unwrap().select(["id"]), "id \n 1 \n 2 \n 5 \n 3");
    check(small().dropna().unwrap().sort(["id"]).unwrap().select(["id"]), "id \n 1 \n 2 \n 4 \n 5 \n 6");
    check(gems().dropna_of(["carat"]).unwrap().sort(["id"]).unwrap().select(["id"]), "id\n1\n2\n3\n5\n6");
    check(small().fillna(lit(0)).unwrap().filter(col("id").eq(lit(3))), "id|cut|price \n 3|-|0");
    check(
        small().fillna_of([("cut", lit("none")), ("price", col("id"))]).unwrap().filter(col("id").eq(lit(3))),
        "id|cut|price \n 3|none|3",
    );
}

#[test]
fn groups() {
    check(
        small().group_by(["cut"]).mean(["price"]).unwrap().sort(["cut"]),
        "cut|price \n Fair|55.0 \n Good|400.0 \n Ideal|663.0 \n -|-",
    );
    check(
        gems().group_by([col("carat").ceil().alias("carats")]).mean(["price"]).unwrap().sort(["carats"]),
        "carats|price \n 1.0|190.5 \n 2.0|400.0 \n -|1000.0",
    );
    // a computed key may have the name of the column it is made of
    check(
        gems().group_by([col("carat").ceil()]).max(["id"]).unwrap().sort(["carat"]),
        "carat|id \n 1.0|5 \n 2.0|6 \n -|4",
    );
    check(
        small()
            .group_by(["cut"])
            .agg([
                col("price").sum(),
                col("id").count().alias("n"),
                (col("price").max() - col("price").min()).alias("spread"),
                col("price").max(),
            ])
            .unwrap()
            .sort(["cut"]),
        "cut|price_sum|n|spread|price_max \n Fair|55|1|0|55 \n Good|800|2|0|400 \n Ideal|1326|2|674|1000 \n -|-|1|-|-",
    );
    let one = gems().filter(col("cut").not_eq(lit("Good"))).unwrap().sort(["id"]).unwrap();
    check(
        one.group_by([lit(1).alias("k")]).agg([
            col("cut").first_by(asc("id")).alias("first"),
            col("carat").first_by(desc("id")).alias("last"),
        ]),
        "k|first|last \n 1|Ideal|0.9",
    );
    let single = frame(vec![("k", texts(&[Some("a"); 3])), ("x", ints(&[None, Some(1), Some(2)]))]);
    check(single.group_by(["k"]).first(["x"]), "k|x \n a|1");
    check(single.group_by(["k"]).last(["x"]), "k|x \n a|2");
    check(small().group_by(["cut"]).size().unwrap().sort(["cut"]), "cut|size\nFair|1\nGood|2\nIdeal|2\n-|1");
    check(
        small().group_by(["cut"]).count(["price"]).unwrap().sort(["cut"]),
        "cut|price\nFair|1\nGood|2\nIdeal|2\n-|0",
    );
    check(
        small().group_by([col("id") % lit(2)]).median(["price"]).unwrap().sort(["id"]),
        "id|price \n 0|400.0 \n 1|190.5",
    );
    check(
        small()
            .group_by([col("id").gt(lit(3)).alias("late"), col("cut").is_null().alias("none")])
            .size()
            .unwrap()
            .sort(["late", "none"]),
        "late|none|size \n false|false|2 \n false|true|1 \n true|false|3",
    );
    check(small().value_counts(["cut"]), "cut|count \n Good|2 \n Ideal|2 \n Fair|1 \n -|1");
}

#[test]
fn values_of_the_group_per_row() {
    check(
        small()
            .select([
                col("id"),
                col("price").max().over(["cut"]).alias("top"),
                (col("price") - col("price").mean()).over(["cut"]).alias("off"),
                col("id").count().over([col("price").is_null()]).alias("n"),
                col("cut").n_unique().over(Vec::<Expr>::new()).alias("cuts"),
            ])
            .unwrap()
            .sort(["id"]),
        "id|top|off|n|cuts
         1|1000|-337.0|5|3
         2|400|0.0|5|3
         3|-|-|1|3
         4|1000|337.0|5|3
         5|55|0.0|5|3
         6|400|0.0|5|3",
    );
    check(
        gems()
            .with_column("who", col("carat").first_by(desc("price")).over(["cut"]))
            .unwrap()
            .with_column("mean", col("Lab Grown").mean().over(["cut"]))
            .unwrap()
            .sort(["id"])
            .unwrap()
            .select(["who", "mean"]),
        "who|mean \n 0.25|1.0 \n 1.1|0.0 \n 2.0|- \n 0.25|1.0 \n 0.9|0.0 \n 1.1|0.0",
    );
}

fn people() -> (DataFrame, DataFrame) {
    let left = frame(vec![
        ("id", ints(&[Some(1), Some(2), Some(3), None])),
        ("name", texts(&[Some("Ann"), Some("Bob"), Some("Cy"), Some("Di")])),
    ]);
    let right = frame(vec![
        ("id", ints(&[Some(2), Some(2), Some(4), None])),
        ("name", texts(&[Some("x"), Some("y"), Some("z"), Some("w")])),
        ("size", ints(&[Some(10), Some(20), Some(30), Some(40)])),
    ]);
    (left, right)
}

#[test]
fn joins() {
    let (left, right) = people();
    let join = |kind| left.join(&right, ["id"], kind);
    check_rows(join(JoinKind::Inner), "id|name_x|name_y|size \n 2|Bob|x|10 \n 2|Bob|y|20");
    check_rows(
        join(JoinKind::Left),
        "id|name_x|name_y|size \n 1|Ann|-|- \n 2|Bob|x|10 \n 2|Bob|y|20 \n 3|Cy|-|- \n -|Di|-|-",
    );
    check_rows(
        join(JoinKind::Right),
        "id|name_x|name_y|size \n 2|Bob|x|10 \n 2|Bob|y|20 \n 4|-|z|30 \n -|-|w|40",
    );
    check_rows(
        join(JoinKind::Full),
        "id|name_x|name_y|size \n 1|Ann|-|- \n 2|Bob|x|10 \n 2|Bob|y|20 \n 3|Cy|-|- \n -|Di|-|- \n 4|-|z|30 \n -|-|w|40",
    );
    check_rows(join(JoinKind::Semi), "id|name \n 2|Bob");
    check_rows(join(JoinKind::Anti), "id|name \n 1|Ann \n 3|Cy \n -|Di");
    check_rows(
        left.join_with(&right, &Join::on_pairs([("name", "name")], JoinKind::Anti)),
        "id|name \n 1|Ann \n 2|Bob \n 3|Cy \n -|Di",
    );
    let other = right.rename([("id", "key")]).unwrap();
    check_rows(
        left.join_with(&other, &Join::on_pairs([("id", "key")], JoinKind::Inner).suffixes("", "2")),
        "id|name|key|name2|size \n 2|Bob|2|x|10 \n 2|Bob|2|y|20",
    );
    // a frame with itself
    check_rows(left.join(&left, ["id"], JoinKind::Inner).unwrap().select(["name_y"]), "name_y\nAnn\nBob\nCy");
    let two = left.head(0).unwrap();
    check_rows(two.cross_join(&right), "id_x|name_x|id_y|name_y|size");
    let one = right.select([col("size").max()]).unwrap();
    check_rows(left.select(["id"]).unwrap().cross_join(&one), "id|size_max \n 1|40 \n 2|40 \n 3|40 \n -|40");
    // keys of different number types
    let float = right.astype([("id", DataType::Float64)]).unwrap();
    check_rows(
        left.join(&float, ["id"], JoinKind::Inner).unwrap().select(["id", "size"]),
        "id|size \n 2|10 \n 2|20",
    );
}

#[test]
fn stacks_and_shapes() {
    let (left, right) = people();
    check_rows(
        left.concat([&right]),
        "id|name|size \n 1|Ann|- \n 2|Bob|- \n 3|Cy|- \n -|Di|- \n 2|x|10 \n 2|y|20 \n 4|z|30 \n -|w|40",
    );
    let halves = left.select([col("id") / lit(2)]).unwrap();
    check_rows(
        concat([&left.select(["id"]).unwrap(), &halves]),
        "id \n 1.0 \n 2.0 \n 3.0 \n - \n 0.5 \n 1.0 \n 1.5 \n -",
    );
    check_rows(concat([&left]), "id|name \n 1|Ann \n 2|Bob \n 3|Cy \n -|Di");
    let wide = frame(vec![
        ("k", texts(&[Some("a"), Some("b")])),
        ("x", ints(&[Some(1), Some(2)])),
        ("y", floats(&[Some(0.5), None])),
    ]);
    check_rows(wide.melt(["k"], ["x", "y"]), "k|variable|value \n a|x|1.0 \n b|x|2.0 \n a|y|0.5 \n b|y|-");
    check_rows(wide.melt(Vec::<String>::new(), ["x"]), "variable|value \n x|1 \n x|2");
    check(
        run(small().pivot_table(["cut"], "id", "price", Aggregation::Sum)).unwrap().sort(["cut"]),
        "cut|1|2|3|4|5|6 \n Fair|-|-|-|-|55|- \n Good|-|400|-|-|-|400 \n Ideal|326|-|-|1000|-|- \n -|-|-|-|-|-|-",
    );
}

#[test]
fn dummies() {
    let known = run(small().categorize()).unwrap();
    check(
        known.get_dummies().unwrap().sort(["id"]),
        "id|price|cut_Fair|cut_Good|cut_Ideal
         1|326|false|false|true
         2|400|false|true|false
         3|-|false|false|false
         4|1000|false|false|true
         5|55|true|false|false
         6|400|false|true|false",
    );
    // categories stay known through other verbs, and a category without rows keeps its column
    let kept = known
        .filter(col("cut").eq(lit("Good")))
        .unwrap()
        .rename([("cut", "C")])
        .unwrap()
        .sort(["id"])
        .unwrap()
        .drop(["price"])
        .unwrap();
    check(kept.get_dummies(), "id|C_Fair|C_Good|C_Ideal \n 2|false|true|false \n 6|false|true|false");
    let persisted = run(kept.persist()).unwrap();
    check_rows(
        persisted.get_dummies(),
        "id|C_Fair|C_Good|C_Ideal \n 2|false|true|false \n 6|false|true|false",
    );
    // through a group, a join and a stack
    let sizes = known.group_by(["cut"]).size().unwrap();
    check_rows(
        sizes.get_dummies(),
        "size|cut_Fair|cut_Good|cut_Ideal \n 1|true|false|false \n 2|false|true|false \n 2|false|false|true \n 1|false|false|false",
    );
    let joined = known.join(&sizes, ["cut"], JoinKind::Inner).unwrap().select(["id", "cut"]).unwrap();
    check_rows(
        joined.get_dummies_of(["cut"]),
        "id|cut_Fair|cut_Good|cut_Ideal \n 1|false|false|true \n 2|false|true|false \n 4|false|false|true \n 5|true|false|false \n 6|false|true|false",
    );
    let more = run(frame(vec![("cut", texts(&[Some("Odd")]))]).categorize()).unwrap();
    check(
        known.select(["cut"]).unwrap().concat([&more]).unwrap().get_dummies().unwrap().head(0),
        "cut_Fair|cut_Good|cut_Ideal|cut_Odd",
    );
    // a mask is a number to the aggregations
    check(
        known.get_dummies().unwrap().agg([col("cut_Ideal").sum(), col("cut_Good").mean().round(3)]),
        "cut_Ideal_sum|cut_Good \n 2|0.333",
    );
    // through the catalog and SQL
    session().register("known_gems", &known).unwrap();
    let query = "SELECT id, cut FROM known_gems WHERE id < 3 ORDER BY id";
    let inner = run(session().context().sql(query)).unwrap();
    check(
        DataFrame::new(session().clone(), inner).get_dummies(),
        "id|cut_Fair|cut_Good|cut_Ideal \n 1|false|false|true \n 2|false|true|false",
    );
    // no text, nothing to do
    check(small().select(["id"]).unwrap().get_dummies().unwrap().sort(["id"]).unwrap().head(1), "id \n 1");
}

#[test]
fn figures() {
    check(
        run(small().describe()),
        "statistic|id|price
         count|6.0|5.0
         mean|3.5|436.2
         std|1.8708286933869707|345.6692060337455
         min|1.0|55.0
         25%|2.25|326.0
         50%|3.5|400.0
         75%|4.75|400.0
         max|6.0|1000.0",
    );
    assert_eq!(run(small().shape()).unwrap(), (6, 3));
    assert_eq!(
        run(small().info()).unwrap(),
        "6 rows x 3 columns\n\
         column  non-null  type\n\
         id             6  Int64\n\
         cut            5  Utf8\n\
         price          5  Int64\n"
    );
    let usage = run(small().memory_usage()).unwrap();
    assert_eq!(usage[0], ("id".to_owned(), 48));
    assert_eq!(small().dtypes()[2], ("price".to_owned(), DataType::Int64));
}

#[test]
fn splits_and_samples() {
    let numbers = frame(vec![("x", ints(&(0..1000).map(Some).collect::<Vec<_>>()))]);
    let sum = |f: &DataFrame| lines(&f.agg([col("x").sum(), col("x").count()]).unwrap()).unwrap()[1].clone();
    let (train, test) = numbers.train_test_split(0.2, seed(7)).unwrap();
    assert!(sum(&train).ends_with("|800") && sum(&test).ends_with("|200"));
    // the same seed draws the same rows, another seed others
    assert_eq!(sum(&test), sum(&numbers.train_test_split(0.2, seed(7)).unwrap().1));
    assert_ne!(sum(&test), sum(&numbers.train_test_split(0.2, seed(8)).unwrap().1));
    // splitting again with the same seed is a fair draw, not an empty one
    let (rest, valid) = train.train_test_split(0.25, seed(7)).unwrap();
    assert!(sum(&rest).ends_with("|600") && sum(&valid).ends_with("|200"));
    // the parts together are the whole, in one plan too
    let again = train.concat([&test]).unwrap().sort(["x"]).unwrap();
    assert_eq!(lines(&again).unwrap(), lines(&numbers).unwrap());
    let stored = run(test.persist()).unwrap();
    let none = train.join(&stored, ["x"], JoinKind::Semi).unwrap();
    assert_eq!(run(none.count()).unwrap(), 0);
    // equal rows are divided too
    let same = numbers.with_column("x", lit(1)).unwrap();
    assert_eq!(sum(&same.train_test_split(0.5, seed(1)).unwrap().0), "500|500");
    // sizes as scikit-learn and pandas count them
    for (fraction, test, sample) in
        [(0.0, 0, 0), (0.001, 1, 1), (0.0014, 2, 1), (0.5, 500, 500), (1.0, 1000, 1000)]
    {
        let count = |f: DataFrame| run(f.count()).unwrap();
        assert_eq!(count(numbers.train_test_split(fraction, seed(3)).unwrap().1), test, "{fraction}");
        assert_eq!(count(numbers.sample(fraction, seed(3)).unwrap()), sample, "{fraction}");
    }
}

#[test]
fn partitions_as_tasks() {
    let rows = |part: &trefoil_core::Partition| -> Result<Vec<_>, trefoil_plan::Error> {
        let count = part.num_rows() as i64;
        Ok(vec![batch(vec![("rows", ints(&[Some(count)]))])])
    };
    let counted = run(gems().map_partitions(rows)).unwrap();
    check(counted.agg([col("rows").sum().alias("rows")]), "rows \n 6");
    // a partition may give nothing
    let some = run(gems().map_partitions(|part| {
        let batches = part.batches()?;
        let first = batches.iter().filter(|b| b.num_rows() > 0).take(1).map(|b| b.slice(0, 1));
        Ok::<_, trefoil_plan::Error>(if part.num_rows() > 3 { first.collect() } else { vec![] })
    }));
    check_rows(some.unwrap().select(["id"]), "id \n 1");
}

#[test]
fn odd_names_go_through_every_verb() {
    const ID: &str = "left.Id \"x\"";
    const CUT: &str = "Cut, really?";
    let odd = small().rename([("id", ID), ("cut", CUT), ("price", "PRICE")]).unwrap();
    check(
        odd.filter(col(ID).lt(lit(3))).unwrap().sort([ID]).unwrap().select([col(ID)]),
        "left.Id \"x\" \n 1 \n 2",
    );
    check(
        odd.group_by([CUT]).max(["PRICE"]).unwrap().sort([CUT]).unwrap().head(1),
        "Cut, really?|PRICE\nFair|55",
    );
    check(odd.value_counts([CUT]).unwrap().head(1), "Cut, really?|count \n Good|2");
    check_rows(
        odd.join(&odd, [ID], JoinKind::Full).unwrap().select(["PRICE_x", ID]).unwrap().dropna(),
        "PRICE_x|left.Id \"x\" \n 326|1 \n 400|2 \n 1000|4 \n 55|5 \n 400|6",
    );
    let coded = run(odd.categorize()).unwrap().get_dummies().unwrap();
    check(
        coded.drop([ID, "PRICE"]).unwrap().head(0),
        "Cut, really?_Fair|Cut, really?_Good|Cut, really?_Ideal",
    );
    let (train, test) = coded.train_test_split(0.5, seed(1)).unwrap();
    check(train.concat([&test]).unwrap().agg([col(ID).sum().alias(ID)]), "left.Id \"x\" \n 21");
    check_rows(
        odd.melt([CUT], [ID]).unwrap().filter(col("value").eq(lit(5))),
        "Cut, really?|variable|value \n Fair|left.Id \"x\"|5",
    );
    check(
        run(odd.pivot_table([CUT], ID, "PRICE", Aggregation::Sum)).unwrap().sort([CUT]).unwrap().head(1),
        "Cut, really?|1|2|3|4|5|6 \n Fair|-|-|-|-|55|-",
    );
    check(
        odd.with_column("n", col("PRICE").count().over([CUT])).unwrap().sort([ID]).unwrap().head(1),
        "left.Id \"x\"|Cut, really?|PRICE|n \n 1|Ideal|326|2",
    );
    check_rows(
        odd.drop_duplicates_of([CUT], [asc(ID)]).unwrap().select([ID]),
        "left.Id \"x\" \n 1 \n 2 \n 3 \n 5",
    );
    check(run(odd.describe()).unwrap().head(1), "statistic|left.Id \"x\"|PRICE \n count|6.0|5.0");
    check(
        odd.fillna(lit(0))
            .unwrap()
            .astype([("PRICE", DataType::Float64)])
            .unwrap()
            .agg([col("PRICE").sum().alias("s")]),
        "s \n 2181.0",
    );
    let stored = run(odd.persist()).unwrap();
    session().register("odd_names", &stored).unwrap();
    let table = run(session().table("odd_names")).unwrap();
    check(table.sort([ID]).unwrap().select([CUT]).unwrap().head(1), "Cut, really? \n Ideal");
}

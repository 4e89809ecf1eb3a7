//! The table of Dask's names (`tests/expected/dask.csv`) and what is made of it: `docs/coverage-frames.md`, and the
//! lists of every name of tier 1 at the end of the pages for those who come from pandas, Dask and Polars.
//!
//! Every name has an answer (that there is none, and why, is one); every test that is named exists. To write the pages anew after a change of
//! the table, run this test with `TREFOIL_WRITE_PAGES=1`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

struct Name<'t> {
    area: &'t str,
    name: &'t str,
    tier: u8,
    ours: String,
    test: &'t str,
    polars: &'t str,
}

fn cells(line: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        // a quoted cell ends at a quote before a comma or the end; doubled ones stand for themselves
        let end = match rest.strip_prefix('"') {
            Some(quoted) => {
                let mut end = 0;
                while let Some(next) = quoted[end..].find('"') {
                    end += next + 1;
                    if quoted[end..].starts_with('"') {
                        end += 1;
                    } else {
                        break;
                    }
                }
                end + 1
            }
            None => rest.find(',').unwrap_or(rest.len()),
        };
        cells.push(rest[..end].trim_matches('"'));
        match rest[end..].strip_prefix(',') {
            Some(more) => rest = more,
            None => return cells,
        }
    }
}

fn names() -> Vec<Name<'static>> {
    let table = include_str!("../expected/dask.csv");
    let rows = table.lines().skip(1).map(|line| {
        let cells = cells(line);
        assert_eq!(cells.len(), 6, "{line}");
        Name {
            area: cells[0],
            name: cells[1],
            tier: cells[2].parse().unwrap(),
            ours: cells[3].replace("\"\"", "\""),
            test: cells[4],
            polars: cells[5],
        }
    });
    rows.collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every test as `module::function`, and every module that has one.
fn tests() -> BTreeSet<String> {
    fn walk(directory: &Path, module: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let inside = match stem.as_str() {
                "mod" | "main" => module.to_owned(),
                stem if module.is_empty() => stem.to_owned(),
                stem => format!("{module}::{stem}"),
            };
            if path.is_dir() {
                walk(&path, &inside, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            found.insert(inside.clone());
            let mut marked = false;
            for line in text.lines().map(str::trim) {
                marked |= line == "#[test]";
                if let Some(name) = line.strip_prefix("fn ").filter(|_| marked) {
                    found.insert(format!("{inside}::{}", name.split('(').next().unwrap()));
                    marked = false;
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"), "", &mut found);
    found
}

#[test]
fn every_name_has_an_answer_and_every_test_exists() {
    let tests = tests();
    let mut wrong = Vec::new();
    for name in names() {
        if name.ours.is_empty() {
            wrong.push(format!("{}.{} has no answer", name.area, name.name));
        }
        if name.test != "-" && !tests.contains(name.test) {
            wrong.push(format!("{}.{}: there is no test {}", name.area, name.name, name.test));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn page() -> String {
    let names = names();
    let mut page = String::from(
        "# Coverage of Dask's frames, bags and delayed\n\n\
         Every public name of Dask's `dataframe`, `bag` and `delayed` interfaces with what to write here. Tier 1 is what most\n\
         programs use. The last column names the test in `crates/frames/tests/it` that shows it; `-` means that none does by\n\
         itself. Where there is no equivalent, the cell says so. Made from\n\
         `crates/frames/tests/expected/dask.csv` by\n\n\
         ```sh\nTREFOIL_WRITE_PAGES=1 cargo test -p trefoil-frames --test it coverage\n```\n\n",
    );
    writeln!(page, "| tier | names | answered | with a test |\n|---|---|---|---|").unwrap();
    for tier in 1..=3 {
        let all: Vec<_> = names.iter().filter(|n| n.tier == tier).collect();
        let answered = all.iter().filter(|n| !n.ours.is_empty()).count();
        let shown = all.iter().filter(|n| n.test != "-").count();
        writeln!(page, "| {tier} | {} | {answered} | {shown} |", all.len()).unwrap();
    }
    let mut area = "";
    for name in names.iter().filter(|n| n.tier < 3 || !n.ours.is_empty()) {
        if name.area != area {
            area = name.area;
            write!(page, "\n## {area}\n\n| name | tier | ours | test |\n|---|---|---|---|\n").unwrap();
        }
        let ours = name.ours.replace('|', "\\|");
        writeln!(page, "| {} | {} | {ours} | {} |", name.name, name.tier, name.test).unwrap();
    }
    page
}

/// Compares a page with what it should be, or writes it.
#[track_caller]
fn check_page(name: &str, wanted: &str) {
    let path = root().join(name);
    if std::env::var_os("TREFOIL_WRITE_PAGES").is_some() {
        fs::write(&path, wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{name} is out of date: see the head of this file");
}

#[test]
fn the_page_is_made_from_the_table() {
    check_page("docs/coverage-frames.md", &page());
}

/// Where a name is found in pandas and Dask.
fn prefix(area: &str) -> &'static str {
    match area {
        "dataframe.DataFrame" | "dataframe.indexing" => "d.",
        "dataframe.Series" => "d.a.",
        "dataframe.Index" => "d.index.",
        "dataframe.GroupBy" => "d.groupby(k).",
        "dataframe.SeriesGroupBy" => "d.groupby(k).a.",
        "dataframe.Resampler" => "d.resample(\"1h\").",
        "dataframe.Rolling" => "d.a.rolling(n).",
        "dataframe.str" => "d.a.str.",
        "dataframe.dt" => "d.a.dt.",
        "dataframe.cat" => "d.a.cat.",
        "dataframe.top" => "dd.",
        "bag.Bag" => "b.",
        "bag.Item" => "item.",
        "bag.top" => "db.",
        "delayed.Delayed" => "x.",
        _ => "dask.",
    }
}

/// What pandas has not, or calls otherwise.
const ONLY_DASK: &[&str] = &[
    "categorize",
    "compute",
    "dask",
    "divisions",
    "get_partition",
    "known_divisions",
    "map_overlap",
    "map_partitions",
    "npartitions",
    "partitions",
    "persist",
    "repartition",
    "shuffle",
    "to_bag",
    "to_dask_array",
    "to_delayed",
    "visualize",
    "from_delayed",
    "from_map",
    "from_pandas",
    "as_known",
    "as_unknown",
    "known",
];

const BEGIN: &str = "\n## Every name\n";

/// A page with the list of every name of tier 1 at its end: their line, our line, the test.
fn with_list(page: &str, head: &str, line: impl Fn(&Name<'_>) -> Option<String>) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let written = text.split(BEGIN).next().unwrap().trim_end();
    let mut list = format!("{written}\n{BEGIN}\n{head}\n\n| theirs | ours | test |\n|---|---|---|\n");
    let mut seen = BTreeSet::new();
    for name in names().iter().filter(|name| name.tier == 1) {
        let Some(theirs) = line(name) else { continue };
        let (theirs, ours) = (theirs.replace('|', "\\|"), name.ours.replace('|', "\\|"));
        if seen.insert((theirs.clone(), ours.clone())) {
            writeln!(list, "| `{theirs}` | {ours} | {} |", name.test).unwrap();
        }
    }
    list
}

#[test]
fn the_pages_for_newcomers_have_every_name() {
    const MADE: &str = "Every name that most programs use (tier 1), made from `crates/frames/tests/expected/dask.csv`; \
                        `a` and `k` are columns. Tests are below `crates/frames/tests/it`.";
    let pandas = with_list("docs/coming-from/pandas.md", MADE, |name| {
        let of_frames = name.area.starts_with("dataframe.") && !ONLY_DASK.contains(&name.name);
        let prefix = prefix(name.area).replace("dd.", "pd.");
        of_frames.then(|| format!("{prefix}{}", name.name))
    });
    check_page("docs/coming-from/pandas.md", &pandas);
    let dask = with_list("docs/coming-from/dask.md", MADE, |name| {
        Some(format!("{}{}", prefix(name.area), name.name))
    });
    check_page("docs/coming-from/dask.md", &dask);
    let polars = with_list("docs/coming-from/polars.md", MADE, |name| {
        (!name.polars.is_empty()).then(|| name.polars.to_owned())
    });
    check_page("docs/coming-from/polars.md", &polars);
}

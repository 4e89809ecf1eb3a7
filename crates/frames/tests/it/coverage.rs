//! The table of Dask's names (`tests/expected/dask.csv`) and the page made of it (`docs/coverage-frames.md`).
//!
//! Every name of tier 1 has an answer; every test that is named exists. To write the page anew after a change of
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
        assert_eq!(cells.len(), 5, "{line}");
        Name {
            area: cells[0],
            name: cells[1],
            tier: cells[2].parse().unwrap(),
            ours: cells[3].replace("\"\"", "\""),
            test: cells[4],
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
fn every_tier_1_name_has_an_answer_and_every_test_exists() {
    let tests = tests();
    let mut wrong = Vec::new();
    for name in names() {
        if name.tier == 1 && name.ours.is_empty() {
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
         itself. An empty cell in the middle is a name without an equivalent. Made from\n\
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

#[test]
fn the_page_is_made_from_the_table() {
    let path = root().join("docs/coverage-frames.md");
    if std::env::var_os("TREFOIL_WRITE_PAGES").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page(), "docs/coverage-frames.md is out of date: see the head of this file");
}

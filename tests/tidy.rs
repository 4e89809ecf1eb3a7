//! Rules of the repository that the compiler does not know.
//!
//! Each rule is a small function that gathers what breaks it; the message says what to do. Add a rule here when a review
//! has asked for the same thing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use parquet::file::reader::{FileReader, SerializedFileReader};

/// Which of our crates a crate may build on. What is not listed is forbidden; the order is the order of the shelves.
const ARROWS: &[(&str, &[&str])] = &[
    ("trefoil-core", &[]),
    ("trefoil-macros", &[]),
    ("trefoil-plan", &["trefoil-core"]),
    ("trefoil-sql", &["trefoil-core", "trefoil-plan"]),
    ("trefoil-tasks", &["trefoil-core", "trefoil-macros"]),
    ("trefoil-frames", &["trefoil-core", "trefoil-plan"]),
    ("trefoil-flight", &["trefoil-core", "trefoil-plan", "trefoil-sql"]),
    ("trefoil-cli", &["trefoil-core", "trefoil-plan", "trefoil-sql", "trefoil-flight"]),
    ("trefoil-all", &["trefoil", "trefoil-cli"]),
    ("trefoil-testkit", &["trefoil-core"]),
    (
        "trefoil-bench",
        &["trefoil-core", "trefoil-plan", "trefoil-sql", "trefoil-tasks", "trefoil-frames", "trefoil"],
    ),
    (
        "trefoil",
        &[
            "trefoil-core",
            "trefoil-plan",
            "trefoil-sql",
            "trefoil-tasks",
            "trefoil-frames",
            "trefoil-cli",
            "trefoil-flight",
        ],
    ),
];

/// Outside crates that only these of ours may name in their dependencies (tests and benches aside).
const FOREIGN: &[(&str, &[&str])] = &[
    ("datafusion", &["trefoil-plan", "trefoil-sql", "trefoil-frames", "trefoil-bench"]),
    // The testkit names some for their features only.
    ("object_store", &["trefoil-plan", "trefoil-testkit"]),
    ("datafusion-datasource-avro", &["trefoil-plan"]),
    ("delta_kernel", &["trefoil-plan"]),
    ("arrow-flight", &["trefoil-flight"]),
    ("tonic", &["trefoil-flight", "trefoil-testkit"]),
    ("reqwest", &[]),
    ("hyper", &[]),
    ("parquet", &["trefoil-plan"]),
    ("syn", &["trefoil-macros"]),
    ("quote", &["trefoil-macros"]),
    ("faer", &["trefoil-frames"]),
    ("ndarray", &["trefoil-frames"]),
    ("rayon", &["trefoil-bench"]),
    ("mimalloc", &["trefoil-bench", "trefoil"]),
];

/// Crates whose tree, for these features, must hold nothing of the relational kernel.
const WITHOUT_DATAFUSION: &[(&str, &[&str])] = &[
    ("trefoil-core", &[]),
    ("trefoil-tasks", &[]),
    ("trefoil-frames", &["--no-default-features"]),
    ("trefoil", &["--no-default-features"]),
    ("trefoil", &["--no-default-features", "--features", "tasks"]),
    ("trefoil", &["--no-default-features", "--features", "arrays"]),
];

/// The data of the tour: file or directory, rows, and how the data's README writes that number.
const DATA: &[(&str, usize, &str)] =
    &[("flights", 300_000, "300,000"), ("diamonds.csv", 53_940, "53,940"), ("breast_cancer.csv", 569, "569")];

/// Upper limit of `examples/data`, in bytes.
const DATA_BYTES: u64 = 8_000_000;

/// Upper limit of a source file, in lines.
const LINES: usize = 800;

/// The only files that may hold `unsafe` code: mapped spill files, and the memory of a task's cell.
const UNSAFE_FILES: [&str; 2] = ["crates/core/src/store/map.rs", "crates/core/src/refs/raw.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fails with every finding on a line of its own, then the advice.
#[track_caller]
fn none(findings: Vec<String>, advice: &str) {
    assert!(findings.is_empty(), "\n{}\n=> {advice}\n", findings.join("\n"));
}

/// Every file below `directory`, as a path from the root with `/`, without build output and hidden directories.
fn files(directory: &str) -> Vec<String> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        let entries =
            fs::read_dir(directory).unwrap_or_else(|e| panic!("cannot list {}: {e}", directory.display()));
        for entry in entries.map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let hidden = name.starts_with('.') && name != ".ci";
            if path.is_dir() {
                if !hidden && name != "target" && name != "proptest-regressions" && name != "__pycache__" {
                    walk(&path, found);
                }
            } else if !hidden {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(directory), &mut found);
    let mut names: Vec<String> = found
        .iter()
        .map(|path| path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/"))
        .collect();
    names.sort();
    names
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("cannot read {name}: {e}"))
}

/// Our Rust sources with their text; the inputs of macro UI tests are not prose of ours and are left out.
fn sources() -> Vec<(String, String)> {
    ["src", "crates", "examples", "tests"]
        .iter()
        .flat_map(|directory| files(directory))
        .filter(|name| name.ends_with(".rs") && !name.split('/').any(|part| part == "ui"))
        .map(|name| (name.clone(), read(&name)))
        .collect()
}

/// The lines that are code, numbered from 1: comment lines are dropped, and all that follows `#[cfg(test)]` if asked.
fn code_lines(text: &str, with_tests: bool) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(move |(_, line)| with_tests || line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

/// The places in code where one of `patterns` occurs.
fn occurrences(name: &str, text: &str, with_tests: bool, patterns: &[&str]) -> Vec<String> {
    code_lines(text, with_tests)
        .filter(|(_, line)| patterns.iter().any(|pattern| line.contains(pattern)))
        .map(|(number, line)| format!("{name}:{number}: {}", line.trim()))
        .collect()
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".into(), "--locked".into()])
        .exec()
        .expect("cargo metadata")
}

/// The packages in the normal dependency tree of `package`, as `name vVERSION`.
fn tree(package: &str, options: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root())
        // What a user gets, also when this build unifies the features of all members.
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        // Not offline: nothing else has fetched what only features ask for.
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--package", package])
        .args(options)
        .output()
        .expect("cargo tree starts");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

// --- the shelves ---------------------------------------------------------------------------------------------------

#[test]
fn arrows_point_down() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut findings = Vec::new();
    for package in metadata().workspace_packages() {
        let name = package.name.as_str();
        let Some(below) = allowed.get(name) else {
            findings.push(format!(
                "{name} has no place: list it in ARROWS of tests/tidy.rs and in ARCHITECTURE.md"
            ));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| d.path.is_some()) {
            let to = dependency.name.as_str();
            let in_tests = dependency.kind == DependencyKind::Development && to == "trefoil-testkit";
            if !below.contains(&to) && !in_tests {
                findings.push(format!("{name} depends on {to}"));
            }
        }
    }
    none(
        findings,
        "a crate builds only on crates below it: move the shared part down, or the caller up (ARCHITECTURE.md)",
    );
}

#[test]
fn only_the_named_crates_name_a_foreign_crate() {
    let mut findings = Vec::new();
    for package in metadata().workspace_packages() {
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            if let Some((_, by)) = FOREIGN.iter().find(|(foreign, _)| *foreign == dependency.name)
                && !by.contains(&package.name.as_str())
            {
                findings.push(format!("{} depends on {}", package.name, dependency.name));
            }
        }
    }
    none(findings, "go through the crate that owns this dependency (FOREIGN in tests/tidy.rs says which)");
}

#[test]
fn tasks_and_arrays_compile_without_datafusion() {
    let relational = ["datafusion", "sqlparser", "parquet", "object_store", "axum", "hyper", "tonic"];
    let mut findings = Vec::new();
    for (package, options) in WITHOUT_DATAFUSION {
        for found in tree(package, options) {
            if relational.iter().any(|name| found.starts_with(name)) {
                findings.push(format!("cargo tree --package {package} {}: {found}", options.join(" ")));
            }
        }
    }
    none(
        findings,
        "whoever wants tasks, actors or arrays does not compile DataFusion: put the use behind a feature",
    );
}

#[test]
fn the_default_speaks_to_nobody() {
    let network = ["axum", "h2", "hyper", "mio", "reqwest", "ring", "rustls", "socket2", "tonic"];
    let of_default: Vec<String> = tree("trefoil", &[])
        .into_iter()
        .filter(|found| network.iter().any(|name| found.split(' ').next() == Some(name)))
        .collect();
    none(of_default, "a plain `cargo add trefoil` compiles no network: put the use behind a feature");
}

#[test]
fn no_feature_needs_a_foreign_tool_chain() {
    let tools = ["aws-lc-sys", "cmake", "native-tls", "openssl-sys", "protoc-bin-vendored", "prost-build"];
    let whole = tree("trefoil", &["--all-features", "--edges", "normal,build"]);
    assert!(whole.iter().any(|found| found.starts_with("rustls ")), "the tree was not read: {whole:?}");
    let found =
        whole.into_iter().filter(|found| tools.iter().any(|name| found.split(' ').next() == Some(name)));
    none(
        found.collect(),
        "TLS is rustls with ring, generated code is committed: nobody installs protoc or OpenSSL",
    );
}

#[test]
fn one_version_of_arrow() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in tree("trefoil", &["--all-features"]) {
        let (name, version) = package.split_once(' ').unwrap();
        if name.starts_with("arrow") || name == "parquet" {
            versions.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
    }
    assert!(versions.contains_key("arrow-array"), "the tree was not read: {versions:?}");
    let findings =
        versions.iter().filter(|(_, found)| found.len() > 1).map(|(name, v)| format!("{name}: {v:?}"));
    none(findings.collect(), "two Arrows are two kinds of batches: move with DataFusion's version");
}

#[test]
fn the_minimum_rust_is_stated_where_people_look() {
    let contributing = read("CONTRIBUTING.md");
    let mut findings = Vec::new();
    for package in metadata().workspace_packages() {
        match &package.rust_version {
            Some(version)
                if contributing.contains(&format!("{}.{} or newer", version.major, version.minor)) => {}
            found => findings.push(format!("{}: rust-version is {found:?}", package.name)),
        }
    }
    none(findings, "inherit rust-version from the workspace, and write the same version in CONTRIBUTING.md");
}

#[test]
fn every_member_is_built_by_default_and_lints_alike() {
    let metadata = metadata();
    let default: BTreeSet<_> = metadata.workspace_default_members.iter().collect();
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        if !default.contains(&package.id) {
            findings.push(format!("{} is not in default-members of Cargo.toml", package.name));
        }
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        if !manifest.contains("[lints]\nworkspace = true") {
            findings.push(format!("{} lacks `[lints] workspace = true`", package.name));
        }
    }
    none(
        findings,
        "all commands select every member, so that DataFusion is compiled with one set of features",
    );
}

// --- the sources ---------------------------------------------------------------------------------------------------

#[test]
fn every_source_says_what_it_is_for() {
    let findings = sources().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(name, _)| name);
    none(
        findings.collect(),
        "start the file with a `//!` header: its purpose, and the protocol if it has one",
    );
}

#[test]
fn sources_stay_readable_in_one_sitting() {
    let findings = sources()
        .into_iter()
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES)
        .map(|(name, lines)| format!("{name}: {lines} lines"));
    none(findings.collect(), "one concept per file: split it along the concepts");
}

#[test]
fn nothing_is_left_for_later_or_skipped() {
    let patterns = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
    let findings =
        sources().iter().flat_map(|(name, text)| occurrences(name, text, true, &patterns)).collect();
    none(findings, "finish it, or return an Error of kind Unsupported; a test runs or does not exist");
}

#[test]
fn unsafe_code_is_in_the_named_files() {
    let patterns = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait", "unsafe("];
    let here = file!().replace('\\', "/");
    let findings = sources()
        .iter()
        .filter(|(name, _)| !UNSAFE_FILES.contains(&name.as_str()) && *name != here)
        .flat_map(|(name, text)| occurrences(name, text, true, &patterns))
        .collect();
    none(
        findings,
        "mapping spill files and the cell of a task are the only uses of `unsafe`; find a safe way or argue in docs/design/decisions.md",
    );
}

#[test]
fn only_the_stem_starts_threads_and_runtimes() {
    let patterns = [
        "thread::spawn(",
        "tokio::spawn(",
        "spawn_blocking(",
        "thread::Builder",
        "runtime::Builder",
        "Runtime::new(",
    ];
    let findings = sources()
        .iter()
        .filter(|(name, _)| name.starts_with("crates/") && name.contains("/src/"))
        .filter(|(name, _)| {
            !["core", "bench", "testkit"].iter().any(|free| name.starts_with(&format!("crates/{free}/")))
        })
        .flat_map(|(name, text)| occurrences(name, text, false, &patterns))
        .collect();
    none(
        findings,
        "the engine owns all threads: use Engine::spawn_fn, Engine::cpu(), Engine::control() or Engine::on_cpu",
    );
}

#[test]
fn only_plan_binds_datafusion_to_the_engine() {
    let patterns = ["SessionContext::new", "SessionStateBuilder::", "RuntimeEnvBuilder::", "MemoryPool for"];
    let findings = sources()
        .iter()
        .filter(|(name, _)| name.contains("src/") && !name.starts_with("crates/bench/"))
        .filter(|(name, _)| !name.starts_with("crates/plan/"))
        .flat_map(|(name, text)| occurrences(name, text, false, &patterns))
        .collect();
    none(findings, "a context of its own has its own memory limit and threads: take the Session's");
}

#[test]
fn no_path_of_a_machine() {
    let patterns = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
        concat!("/Us", "ers/"),
        concat!("C:", "\\Users"),
    ];
    let in_word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let mut findings = Vec::new();
    for name in files("").iter().filter(|name| !name.ends_with(".csv") && !name.ends_with(".parquet")) {
        // Files that are not text (pictures) cannot be searched.
        let Ok(text) = fs::read_to_string(root().join(name)) else { continue };
        for (index, line) in text.lines().enumerate() {
            let starts = |at: usize| !line[..at].ends_with(in_word);
            if patterns.iter().any(|p| line.match_indices(p).any(|(at, _)| starts(at))) {
                findings.push(format!("{name}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    none(
        findings,
        "write paths from the root of the repository, or take them from an argument or a temporary directory",
    );
}

#[test]
fn macros_write_only_private_paths_of_the_facade() {
    let foreign = ["trefoil_core", "trefoil_plan", "trefoil_tasks", "trefoil_frames", "trefoil_sql"];
    let mut findings = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| name.starts_with("crates/macros/src/")) {
        findings.extend(occurrences(name, text, false, &foreign));
        let outside = |line: &str| {
            line.match_indices("::trefoil::").any(|(at, m)| !line[at + m.len()..].starts_with("__private"))
        };
        let lines = code_lines(text, false).filter(|(_, line)| outside(line));
        findings.extend(lines.map(|(number, line)| format!("{name}:{number}: {}", line.trim())));
    }
    none(findings, "generated code names ::trefoil::__private only: re-export what it needs there");
}

// --- the pages -----------------------------------------------------------------------------------------------------

/// The pages of `docs/`.
fn pages() -> Vec<String> {
    let pages: Vec<String> = files("docs").into_iter().filter(|name| name.ends_with(".md")).collect();
    assert!(!pages.is_empty(), "docs/ holds no page");
    pages
}

#[test]
fn every_page_is_in_the_guide() {
    let guide: String = files("src/guide").iter().map(|name| read(name)).collect();
    let findings = pages()
        .into_iter()
        .filter(|page| !guide.contains(&format!("include_str!(\"../../{page}\")")))
        .collect();
    none(findings, "give the page a module in src/guide/mod.rs, so that its code blocks are tested");
}

#[test]
fn every_page_shows_code() {
    let findings = pages().into_iter().filter(|page| !read(page).contains("\n```")).collect();
    none(findings, "a page without a code block only claims: show a program, a command or its output");
}

#[test]
fn the_readme_and_ci_run_the_same_tests() {
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    let command = "cargo test --workspace";
    let mut findings = Vec::new();
    if !readme.lines().any(|line| line.split('#').next().unwrap_or("").trim() == command) {
        findings.push(format!("README.md has no line `{command}`"));
    }
    if !ci.lines().any(|line| line == format!("stage test {command} --locked")) {
        findings.push(format!(".ci/run has no line `stage test {command} --locked`"));
    }
    none(findings, "what a newcomer runs is what CI runs, to the flag: change both, and this test");
}

// --- the data ------------------------------------------------------------------------------------------------------

/// Rows of a CSV file with a header and no line breaks inside fields, or of a directory of Parquet files.
fn rows(path: &Path) -> usize {
    if path.is_file() {
        return fs::read_to_string(path).unwrap().lines().count() - 1;
    }
    let parts = fs::read_dir(path).unwrap().map(|entry| fs::File::open(entry.unwrap().path()).unwrap());
    parts
        .map(|part| SerializedFileReader::new(part).unwrap().metadata().file_metadata().num_rows() as usize)
        .sum()
}

#[test]
fn the_data_is_what_its_readme_says() {
    let readme = read("examples/data/README.md");
    let mut findings = Vec::new();
    for (name, expected, written) in DATA {
        let found = rows(&root().join("examples/data").join(name));
        if found != *expected {
            findings.push(format!("{name} has {found} rows, not {expected}"));
        }
        if !readme.lines().any(|line| line.contains(name) && line.contains(written)) {
            findings.push(format!("no line of README.md names {name} with {written} rows"));
        }
    }
    let listed = |name: &str| name.ends_with("README.md") || name.ends_with(".py");
    for name in files("examples/data").iter().filter(|name| !listed(name)) {
        if !DATA.iter().any(|(known, ..)| name.starts_with(&format!("examples/data/{known}"))) {
            findings.push(format!("{name} is not described"));
        }
    }
    none(
        findings,
        "rebuild the data with examples/data/make.py, or describe the change in examples/data/README.md and DATA",
    );
}

#[test]
fn the_data_is_small() {
    let bytes: u64 =
        files("examples/data").iter().map(|name| fs::metadata(root().join(name)).unwrap().len()).sum();
    assert!(
        bytes < DATA_BYTES,
        "examples/data holds {bytes} bytes, more than {DATA_BYTES}: cut the rows in make.py"
    );
}

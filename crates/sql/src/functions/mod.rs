//! The functions of the Spark dialect, by family.

pub(crate) mod aggregate;
pub(crate) mod counter;
pub(crate) mod lambda;
pub(crate) mod row;
pub(crate) mod sketch;

mod arithmetic;
mod array;
mod cipher;
mod conditional;
mod current;
mod date;
mod generator;
mod geometry;
mod hash;
mod histogram;
mod increasing;
mod json;
mod json_text;
mod map;
mod math;
mod number_format;
mod number_pattern;
mod pattern;
mod plans;
mod random;
mod regression;
mod string;
pub(crate) mod sum;
mod timeparts;
mod url;
pub(crate) mod variant;
mod xml;
mod xpath;

pub(crate) use conditional::collation;
pub(crate) use timeparts::print as print_moment;

use crate::value::Value;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ScalarUDF, expr::ScalarFunction};
use row::{RowFn, Site};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// The scalar functions, by name.
#[derive(Default)]
pub(crate) struct Set {
    all: BTreeMap<String, Arc<ScalarUDF>>,
}

impl Set {
    /// A function with a fixed type of result; `names` are separated by spaces.
    fn add(
        &mut self,
        names: &str,
        spec: &str,
        eval: impl Fn(&[Value], &Site) -> Result<Value> + Send + Sync + 'static,
    ) {
        self.insert(names, spec, None, Arc::new(eval));
    }

    /// A function whose type of result depends on its arguments.
    fn typed(
        &mut self,
        names: &str,
        spec: &str,
        typer: impl Fn(&Site) -> Result<DataType> + Send + Sync + 'static,
        eval: impl Fn(&[Value], &Site) -> Result<Value> + Send + Sync + 'static,
    ) {
        self.insert(names, spec, Some(Arc::new(typer)), Arc::new(eval));
    }

    fn insert(&mut self, names: &str, spec: &str, typer: Option<Arc<row::Typer>>, eval: Arc<row::Eval>) {
        for name in names.split_whitespace() {
            let function = RowFn::new(name, spec, typer.clone(), Arc::clone(&eval));
            self.all.insert(name.to_owned(), Arc::new(ScalarUDF::new_from_impl(function)));
        }
    }

    fn udf(&mut self, udf: ScalarUDF) {
        self.all.insert(udf.name().to_owned(), Arc::new(udf));
    }

    /// `try_name`, which gives null where `name` fails.
    fn also_try(&mut self, names: &str) {
        for name in names.split_whitespace() {
            let Some(inner) = self.all.get(name) else { continue };
            let Some(inner) = inner.inner().downcast_ref::<RowFn>() else { continue };
            let mut wrapped = inner.clone();
            let eval = Arc::clone(&inner.eval);
            wrapped.name = format!("try_{name}");
            wrapped.eval =
                Arc::new(move |row: &[Value], site: &Site| Ok(eval(row, site).unwrap_or(Value::Null)));
            self.all.insert(wrapped.name.clone(), Arc::new(ScalarUDF::new_from_impl(wrapped)));
        }
    }
}

static SCALARS: LazyLock<Set> = LazyLock::new(|| {
    let mut set = Set::default();
    arithmetic::add(&mut set);
    array::add(&mut set);
    date::add(&mut set);
    hash::add(&mut set);
    json::add(&mut set);
    generator::add(&mut set);
    map::add(&mut set);
    number_format::add(&mut set);
    url::add(&mut set);
    variant::add(&mut set);
    pattern::add(&mut set);
    conditional::add(&mut set);
    current::add(&mut set);
    math::add(&mut set);
    string::add(&mut set);
    cipher::add(&mut set);
    geometry::add(&mut set);
    random::add(&mut set);
    increasing::add(&mut set);
    sketch::add(&mut set);
    xml::add(&mut set);
    xpath::add(&mut set);
    set
});

/// All scalar functions of the dialect.
pub(crate) fn scalars() -> impl Iterator<Item = &'static Arc<ScalarUDF>> {
    SCALARS.all.values()
}

/// Functions that are planned as expressions, with their signatures.
const PLANNED: &[(&str, &str)] = &[
    ("coalesce", "any any* -> any"),
    ("equal_null", "any any -> bool"),
    ("if", "bool any any -> any"),
    ("ifnull", "any any -> any"),
    ("nullif", "any any -> any"),
    ("nvl", "any any -> any"),
    ("nvl2", "any any any -> any"),
    ("positive", "num -> num"),
];

/// Whether a function is planned as an expression.
pub(crate) fn is_expression(name: &str) -> bool {
    PLANNED.iter().any(|(planned, _)| *planned == name)
}

/// The names of all functions of the dialect that this crate defines, sorted.
pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<String> = SCALARS.all.keys().cloned().collect();
    names.extend(PLANNED.iter().map(|(name, _)| (*name).to_owned()));
    names.extend(aggregate::all().iter().map(|f| f.name().to_owned()));
    names.extend(sketch::all().iter().map(|f| f.name().to_owned()));
    names.push(counter::counter_diff().name().to_owned());
    names.extend(lambda::all().iter().map(|f| f.name().trim_end_matches("_lambda").to_owned()));
    names.retain(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
    names.sort();
    names.dedup();
    names
}

/// The signature of a function, as `name(str, [int]) -> str`.
pub(crate) fn usage(name: &str) -> String {
    let spec = SCALARS
        .all
        .get(name)
        .and_then(|udf| udf.inner().downcast_ref::<RowFn>())
        .map(|f| f.shape.spec.clone())
        .or_else(|| aggregate::spec(name).or_else(|| sketch::spec(name)).map(str::to_owned))
        .or_else(|| PLANNED.iter().find(|(planned, _)| *planned == name).map(|(_, spec)| (*spec).to_owned()));
    let Some(spec) = spec else {
        return match name {
            "current_database" | "current_schema" => format!("{name}() -> str"),
            "add" | "subtract" | "multiply" | "divide" => format!("{name}(any, any)"),
            "rand" | "random" | "randn" => format!("{name}([long]) -> double"),
            "monotonically_increasing_id" => "monotonically_increasing_id() -> long".into(),
            "uniform" => "uniform(num, num, [long]) -> num".into(),
            "counter_diff" => "counter_diff(num, [ts]) over (..)".into(),
            _ => format!("{name}(.., lambda)"),
        };
    };
    let (left, right) = spec.split_once("->").unwrap_or((&spec, ".."));
    let parameters: Vec<String> = left
        .trim()
        .trim_start_matches(['!', '~'])
        .split_whitespace()
        .map(|word| match (word.strip_suffix('?'), word.strip_suffix('*')) {
            (Some(word), _) => format!("[{word}]"),
            (_, Some(word)) => format!("[{word}, ..]"),
            _ => word.to_owned(),
        })
        .collect();
    let result = right.trim();
    let result = if result == ".." { String::new() } else { format!(" -> {result}") };
    format!("{name}({}){result}", parameters.join(", "))
}

/// A scalar function by name.
pub(crate) fn scalar(name: &str) -> Option<&'static Arc<ScalarUDF>> {
    SCALARS.all.get(name)
}

/// Whether Arrow's decimals give the type that Spark gives, which keeps whole digits where both do not fit.
pub(crate) fn decimals_are_native(name: &str, a: &DataType, b: &DataType) -> bool {
    arithmetic::decimals_are_native(name, a, b)
}

/// A call of a scalar function of the dialect.
///
/// # Errors
/// When there is no such function, which is a defect.
pub(crate) fn call(name: &str, arguments: Vec<Expr>) -> Result<Expr> {
    match scalar(name) {
        Some(udf) => Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(udf), arguments))),
        None => Err(datafusion::error::DataFusionError::Internal(format!("no function `{name}`"))),
    }
}

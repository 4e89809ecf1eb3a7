//! `xpath` and `xpath_..`: what a path finds in an XML document.

use super::Set;
use crate::condition;
use crate::value::{Value, types};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use sxd_xpath::nodeset::Node;
use sxd_xpath::{Context, Factory, Value as Found};
use trefoil_core::ErrorKind;

fn wrong(function: &str, message: String) -> DataFusionError {
    condition::error(
        ErrorKind::InvalidArgument,
        "INVALID_PARAMETER_VALUE.PATTERN",
        "22023",
        format!("`{function}`: {message}."),
    )
}

/// Reads what the path finds; none for empty texts.
fn find<T>(function: &str, row: &[Value], read: impl FnOnce(Found<'_>) -> T) -> Result<Option<T>> {
    let (text, path) = (row[0].str(), row[1].str());
    if text.is_empty() || path.is_empty() {
        return Ok(None);
    }
    let package = sxd_document::parser::parse(text)
        .map_err(|error| wrong(function, format!("'{text}' is no XML document: {error}")))?;
    let compiled = Factory::new()
        .build(path)
        .map_err(|error| wrong(function, format!("'{path}' is no XPath: {error}")))?
        .ok_or_else(|| wrong(function, format!("'{path}' is no XPath")))?;
    let document = package.as_document();
    let found = compiled
        .evaluate(&Context::new(), document.root())
        .map_err(|error| wrong(function, format!("the XPath '{path}' fails: {error}")))?;
    Ok(Some(read(found)))
}

/// The value of a node, as Java's `getNodeValue` has it: elements have none.
fn node_value(node: &Node<'_>) -> Value {
    match node {
        Node::Root(_) | Node::Element(_) => Value::Null,
        other => other.string_value().into(),
    }
}

fn number(found: &Found<'_>) -> f64 {
    match found {
        // Of several nodes the first in the document counts.
        Found::Nodeset(nodes) => match nodes.document_order_first() {
            Some(node) => node.string_value().trim().parse().unwrap_or(f64::NAN),
            None => f64::NAN,
        },
        other => other.number(),
    }
}

fn text(found: &Found<'_>) -> String {
    match found {
        Found::Nodeset(nodes) => nodes.document_order_first().map(|n| n.string_value()).unwrap_or_default(),
        other => other.string(),
    }
}

pub(super) fn add(set: &mut Set) {
    set.typed(
        "xpath",
        "str str -> ..",
        |_| Ok(types::list_of(DataType::Utf8)),
        |row, _| {
            let found = find("xpath", row, |found| match found {
                Found::Nodeset(nodes) => Ok(nodes.document_order().iter().map(node_value).collect()),
                _ => Err(wrong("xpath", format!("'{}' finds no nodes", row[1].str()))),
            })?;
            Ok(found.transpose()?.map_or(Value::Null, Value::List))
        },
    );
    set.add("xpath_boolean", "str str -> bool", |row, _| {
        Ok(find("xpath_boolean", row, |found| found.boolean())?.into())
    });
    set.add("xpath_string", "str str -> str", |row, _| {
        Ok(find("xpath_string", row, |found| text(&found))?.into())
    });
    for name in ["xpath_double", "xpath_number"] {
        set.add(name, "str str -> double", move |row, _| Ok(find(name, row, |found| number(&found))?.into()));
    }
    set.add("xpath_float", "str str -> float", |row, _| {
        Ok(find("xpath_float", row, |found| f64::from(number(&found) as f32))?.into())
    });
    // What is no number is 0, as in Java's conversions.
    set.add("xpath_int", "str str -> int", |row, _| {
        Ok(find("xpath_int", row, |found| i64::from(number(&found) as i32))?.into())
    });
    set.add("xpath_long", "str str -> long", |row, _| {
        Ok(find("xpath_long", row, |found| number(&found) as i64)?.into())
    });
    set.add("xpath_short", "str str -> smallint", |row, _| {
        Ok(find("xpath_short", row, |found| i64::from(number(&found) as i32 as i16))?.into())
    });
}

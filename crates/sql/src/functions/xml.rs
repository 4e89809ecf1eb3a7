//! `from_xml`, `to_xml` and `schema_of_xml`.
//!
//! Elements are fields, repeated ones an array; attributes are fields with a prefix (`_`), and the text of an
//! element that has either is the field `_VALUE`. Options have Spark's names.

use super::Set;
use super::json::{Options, dated, infer_csv, merge, parse_text, schema};
use crate::condition;
use crate::value::{Value, format, types};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use sxd_document::dom::{ChildOfElement, Element};
use trefoil_core::ErrorKind;

/// How deep elements may nest.
const DEPTH: usize = 256;

/// An element.
#[derive(Debug, Default)]
struct Node {
    attributes: Vec<(String, String)>,
    children: Vec<(String, Node)>,
    text: String,
}

impl Node {
    /// The element of a document; none if the text is no XML or nests too deep.
    fn parse(text: &str) -> Option<Node> {
        let package = sxd_document::parser::parse(text.trim()).ok()?;
        let document = package.as_document();
        let root = document.root().children().into_iter().find_map(|child| child.element())?;
        Self::of(root, 0)
    }

    fn of(element: Element<'_>, depth: usize) -> Option<Node> {
        let name = |name: &str| name.to_owned();
        let mut node = Node::default();
        for attribute in element.attributes() {
            node.attributes.push((name(attribute.name().local_part()), attribute.value().to_owned()));
        }
        // The order of attributes is that of their names: the document's is lost.
        node.attributes.sort();
        for child in element.children() {
            match child {
                ChildOfElement::Element(child) if depth < DEPTH => {
                    node.children.push((name(child.name().local_part()), Self::of(child, depth + 1)?));
                }
                ChildOfElement::Element(_) => return None,
                ChildOfElement::Text(text) => node.text.push_str(text.text()),
                _ => {}
            }
        }
        Some(node)
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |(n, _)| n == name).map(|(_, node)| node)
    }

    /// The text of the element and of those in it.
    fn whole_text(&self) -> String {
        self.children.iter().fold(self.text.clone(), |text, (_, child)| text + &child.whole_text())
    }
}

struct Names<'a> {
    options: &'a Options,
    prefix: &'a str,
    value: &'a str,
}

impl<'a> Names<'a> {
    fn new(options: &'a Options) -> Self {
        Self {
            options,
            prefix: options.get("attributePrefix").unwrap_or("_"),
            value: options.get("valueTag").unwrap_or("_VALUE"),
        }
    }

    fn is(&self, option: &str) -> bool {
        self.options.get(option).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The value of a text; null where it is none of the type.
    fn scalar(&self, text: &str, data_type: &DataType) -> Value {
        if self.options.get("nullValue") == Some(text) {
            return Value::Null;
        }
        let kept =
            self.options.get("ignoreSurroundingSpaces").is_some_and(|v| v.eq_ignore_ascii_case("false"));
        let text = if kept { text } else { text.trim() };
        if text.is_empty() && data_type != &DataType::Utf8 {
            return Value::Null;
        }
        parse_text(text, data_type, self.options)
    }

    fn read(&self, node: &Node, data_type: &DataType) -> Value {
        match data_type {
            DataType::Struct(fields) => Value::Struct(fields.iter().map(|f| self.field(node, f)).collect()),
            DataType::Map(..) => {
                let Some((_, value)) = types::entry_of(data_type) else { return Value::Null };
                let mut entries: Vec<(Value, Value)> = Vec::new();
                for (name, child) in &node.children {
                    let (key, value) = (Value::from(name.as_str()), self.read(child, value));
                    match entries.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, known)) => *known = value,
                        None => entries.push((key, value)),
                    }
                }
                Value::Map(entries)
            }
            t => match types::item_of(t) {
                Some(item) => Value::List(vec![self.read(node, item)]),
                None => self.scalar(&node.whole_text(), t),
            },
        }
    }

    fn field(&self, node: &Node, field: &FieldRef) -> Value {
        let (name, data_type) = (field.name().as_str(), field.data_type());
        if name == self.value && node.named(name).next().is_none() {
            return self.scalar(&node.text, data_type);
        }
        if let Some(attribute) = name.strip_prefix(self.prefix)
            && !self.is("excludeAttribute")
            && let Some((_, text)) = node.attributes.iter().find(|(known, _)| known == attribute)
        {
            return self.scalar(text, data_type);
        }
        let mut children = node.named(name).peekable();
        match (children.peek().is_some(), types::item_of(data_type)) {
            (true, Some(item)) => Value::List(children.map(|child| self.read(child, item)).collect()),
            // The last of several.
            _ => children.last().map_or(Value::Null, |child| self.read(child, data_type)),
        }
    }

    fn infer(&self, node: &Node) -> DataType {
        let attributes = if self.is("excludeAttribute") { &[][..] } else { &node.attributes };
        if attributes.is_empty() && node.children.is_empty() {
            return infer_text(&node.text);
        }
        let mut fields: Vec<(String, DataType)> = attributes
            .iter()
            .map(|(name, text)| (format!("{}{name}", self.prefix), infer_text(text)))
            .collect();
        for (name, child) in &node.children {
            let found = self.infer(child);
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => {
                    let item = types::item_of(known).unwrap_or(known);
                    *known = types::list_of(merge(item, &found));
                }
                None => fields.push((name.clone(), found)),
            }
        }
        if !node.text.trim().is_empty() {
            fields.push((self.value.to_owned(), infer_text(&node.text)));
        }
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        types::struct_of(fields)
    }

    // --- writing -----------------------------------------------------------------------------------------------

    fn write(
        &self,
        tag: &str,
        value: &Value,
        data_type: &DataType,
        depth: usize,
        out: &mut String,
    ) -> Result<()> {
        let indent = "    ".repeat(depth);
        match (value, data_type) {
            (Value::Null, _) => {
                if let Some(text) = self.options.get("nullValue") {
                    out.push_str(&format!("{indent}<{tag}>{}</{tag}>\n", escaped(text)));
                }
            }
            (Value::List(items), t) => {
                let item = types::item_of(t).unwrap_or(&DataType::Null);
                for value in items {
                    self.write(tag, value, item, depth, out)?;
                }
            }
            (Value::Struct(values), DataType::Struct(fields)) if !types::is_variant(data_type) => {
                let (mut attributes, mut text, mut inner) = (String::new(), String::new(), String::new());
                let mut value_text = |value: &Value, field: &FieldRef, inner: &mut String| -> Result<()> {
                    let found =
                        if value.is_null() { String::new() } else { self.text(value, field.data_type())? };
                    match inner.strip_suffix('\n').map(str::len) {
                        // Behind the elements before it.
                        Some(end) => {
                            inner.truncate(end);
                            inner.push_str(&format!("{found}\n"));
                        }
                        None => text = found,
                    }
                    Ok(())
                };
                for (value, field) in values.iter().zip(fields) {
                    let name = field.name().as_str();
                    if name == self.value {
                        value_text(value, field, &mut inner)?;
                    } else if let Some(name) =
                        name.strip_prefix(self.prefix).filter(|_| !self.prefix.is_empty())
                    {
                        if !value.is_null() {
                            let text = self.text(value, field.data_type())?.replace('"', "&quot;");
                            attributes.push_str(&format!(" {name}=\"{text}\""));
                        }
                    } else {
                        self.write(name, value, field.data_type(), depth + 1, &mut inner)?;
                    }
                }
                element(tag, &attributes, &text, &inner, &indent, out);
            }
            (Value::Map(entries), t) => {
                let (key, mapped) = types::entry_of(t).unwrap_or((&DataType::Null, &DataType::Null));
                let mut inner = String::new();
                for (name, value) in entries {
                    self.write(&format::cast_text(name, key), value, mapped, depth + 1, &mut inner)?;
                }
                element(tag, "", "", &inner, &indent, out);
            }
            (value, t) => {
                let text = self.text(value, t)?;
                out.push_str(&format!("{indent}<{tag}>{text}</{tag}>\n"));
            }
        }
        Ok(())
    }

    fn text(&self, value: &Value, data_type: &DataType) -> Result<String> {
        Ok(escaped(&dated(value, data_type, self.options)?))
    }
}

fn element(tag: &str, attributes: &str, text: &str, inner: &str, indent: &str, out: &mut String) {
    out.push_str(&match (text, inner) {
        ("", "") => format!("{indent}<{tag}{attributes}/>\n"),
        (text, "") => format!("{indent}<{tag}{attributes}>{text}</{tag}>\n"),
        (text, inner) => format!("{indent}<{tag}{attributes}>{text}\n{inner}{indent}</{tag}>\n"),
    });
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn infer_text(text: &str) -> DataType {
    match infer_csv(text) {
        DataType::Int32 => DataType::Int64,
        other => other,
    }
}

pub(super) fn add(set: &mut Set) {
    set.typed(
        "from_xml",
        "str str map? -> ..",
        |site| schema(site, "from_xml"),
        |row, site| {
            let options = Options::read(row.get(2));
            if let Some(node) = Node::parse(row[0].str()) {
                return Ok(Names::new(&options).read(&node, site.result()));
            }
            if options.get("mode").is_some_and(|mode| mode.eq_ignore_ascii_case("FAILFAST")) {
                return Err(condition::error(
                    ErrorKind::MalformedData,
                    "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION",
                    "22023",
                    format!("the record '{}' is malformed.", row[0].str()),
                ));
            }
            Ok(match site.result() {
                DataType::Struct(fields) => Value::Struct(vec![Value::Null; fields.len()]),
                _ => Value::Null,
            })
        },
    );
    set.add("schema_of_xml", "str map? -> str", |row, _| {
        let options = Options::read(row.get(1));
        let node = Node::parse(row[0].str())
            .ok_or_else(|| condition::parameter("schema_of_xml", "the text is no XML document"))?;
        Ok(types::sql_name(&Names::new(&options).infer(&node)).into())
    });
    set.add("to_xml", "any map? -> str", |row, site| {
        if !matches!(site.argument(0), DataType::Struct(_)) {
            let name = types::name(site.argument(0)).to_uppercase();
            return Err(condition::argument_type(
                "to_xml",
                format!("the argument must be a STRUCT, not {name}"),
            ));
        }
        let options = Options::read(row.get(1));
        let tag = options.get("rowTag").unwrap_or("ROW").to_owned();
        let mut out = String::new();
        Names::new(&options).write(&tag, &row[0], site.argument(0), 0, &mut out)?;
        Ok(out.trim_end().into())
    });
}

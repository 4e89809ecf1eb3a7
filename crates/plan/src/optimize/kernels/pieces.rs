//! `LIKE '%one%two%'`: the pieces of the pattern are looked for one after another.
//!
//! Arrow has kernels for a pattern with one piece (`one%`, `%one`, `%one%`) and makes a regular expression of all others.
//! Where `%` is the only wildcard, the first place of each piece is as good as any other, so a search for bytes does.

use datafusion::arrow::array::{Array, ArrayAccessor, AsArray, BooleanArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, LikeExpr, Literal};
use memchr::memmem::Finder;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// In the place of a [`LikeExpr`].
#[derive(Debug)]
pub(in crate::optimize) struct Pieces {
    text: Arc<dyn PhysicalExpr>,
    negated: bool,
    /// What a text begins and ends with.
    ends: (Vec<u8>, Vec<u8>),
    /// What stands between, in this order.
    between: Vec<Finder<'static>>,
    plain: Arc<dyn PhysicalExpr>,
}

impl PartialEq for Pieces {
    fn eq(&self, other: &Self) -> bool {
        self.plain.eq(&other.plain)
    }
}

impl Eq for Pieces {}

impl Hash for Pieces {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.plain.hash(state);
    }
}

impl Pieces {
    /// None if the pattern is no literal, has other wildcards, or is one that Arrow has a kernel for.
    pub(super) fn of(plain: &LikeExpr, schema: &Schema) -> Option<Arc<dyn PhysicalExpr>> {
        let texts = is_text(&plain.expr().data_type(schema).ok()?);
        let pattern = match plain.pattern().downcast_ref::<Literal>()?.value() {
            ScalarValue::Utf8(Some(pattern))
            | ScalarValue::LargeUtf8(Some(pattern))
            | ScalarValue::Utf8View(Some(pattern)) => pattern,
            _ => return None,
        };
        if plain.case_insensitive() || !texts || pattern.contains(['_', '\\']) {
            return None;
        }
        let parts: Vec<&str> = pattern.split('%').collect();
        let [first, between @ .., last] = &parts[..] else { return None };
        let between: Vec<&str> = between.iter().copied().filter(|part| !part.is_empty()).collect();
        let ends = usize::from(!first.is_empty()) + usize::from(!last.is_empty());
        if between.len() + ends < 2 {
            return None;
        }
        Some(Arc::new(Self {
            text: Arc::clone(plain.expr()),
            negated: plain.negated(),
            ends: (first.as_bytes().to_vec(), last.as_bytes().to_vec()),
            between: between.iter().map(|part| Finder::new(part.as_bytes()).into_owned()).collect(),
            plain: Arc::new(LikeExpr::new(
                plain.negated(),
                false,
                Arc::clone(plain.expr()),
                Arc::clone(plain.pattern()),
            )),
        }))
    }

    /// The pattern as DataFusion asks for it.
    pub(in crate::optimize) fn plain(&self) -> &Arc<dyn PhysicalExpr> {
        &self.plain
    }

    /// The text before it is copied into another form of text.
    fn bare(&self, schema: &Schema) -> &Arc<dyn PhysicalExpr> {
        let below = self.text.downcast_ref::<CastExpr>().map(CastExpr::expr);
        let is_text = |expr: &&Arc<dyn PhysicalExpr>| expr.data_type(schema).is_ok_and(|kind| is_text(&kind));
        below.filter(is_text).unwrap_or(&self.text)
    }

    fn matches(&self, text: &[u8]) -> bool {
        let (first, last) = (&self.ends.0[..], &self.ends.1[..]);
        let mut rest = text;
        // Nothing is not compared with nothing: the place of an empty list is none that memory has, and `memcmp` took longer
        // there than the search for all pieces.
        if !first.is_empty() {
            let Some(behind) = rest.strip_prefix(first) else { return false };
            rest = behind;
        }
        if !last.is_empty() {
            let Some(before) = rest.strip_suffix(last) else { return false };
            rest = before;
        }
        for piece in &self.between {
            let Some(at) = piece.find(rest) else { return false };
            rest = &rest[at + piece.needle().len()..];
        }
        true
    }

    fn all<'a>(&self, texts: impl ArrayAccessor<Item = &'a str>) -> BooleanArray {
        let found = BooleanBuffer::collect_bool(texts.len(), |row| {
            // What stands below a null does not matter, and need not be text.
            texts.is_valid(row) && self.matches(texts.value(row).as_bytes()) != self.negated
        });
        BooleanArray::new(found, texts.nulls().cloned())
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

impl fmt::Display for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pieces({})", self.plain)
    }
}

impl PhysicalExpr for Pieces {
    fn data_type(&self, _schema: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.plain.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let texts = match self.bare(batch.schema_ref()).evaluate(batch)? {
            ColumnarValue::Array(texts) => texts,
            ColumnarValue::Scalar(_) => return self.plain.evaluate(batch),
        };
        let found = match texts.data_type() {
            DataType::Utf8View => self.all(texts.as_string_view()),
            DataType::Utf8 => self.all(texts.as_string::<i32>()),
            DataType::LargeUtf8 => self.all(texts.as_string::<i64>()),
            _ => return self.plain.evaluate(batch),
        };
        Ok(ColumnarValue::Array(Arc::new(found)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.text]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(text) = children.pop() else { return internal_err!("LIKE has a text") };
        let pattern = self.plain.children().pop().map(Arc::clone);
        let plain = Arc::clone(&self.plain)
            .with_new_children([Some(Arc::clone(&text)), pattern].into_iter().flatten().collect())?;
        Ok(Arc::new(Self {
            text,
            negated: self.negated,
            ends: self.ends.clone(),
            between: self.between.clone(),
            plain,
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plain.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ArrayRef, LargeStringArray, StringArray, StringViewArray};
    use datafusion::arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::Column;
    use proptest::prelude::*;

    fn check(texts: &[Option<String>], pattern: &str, negated: bool) -> bool {
        let views: StringViewArray = texts.iter().map(Option::as_deref).collect();
        let small: StringArray = texts.iter().map(Option::as_deref).collect();
        let large: LargeStringArray = texts.iter().map(Option::as_deref).collect();
        let pattern = pattern.to_owned();
        let columns: [(ArrayRef, ScalarValue); 3] = [
            (Arc::new(views), ScalarValue::Utf8View(Some(pattern.clone()))),
            (Arc::new(small), ScalarValue::Utf8(Some(pattern.clone()))),
            (Arc::new(large), ScalarValue::LargeUtf8(Some(pattern.clone()))),
        ];
        let mut taken = false;
        for (column, literal) in columns {
            let field = Field::new("t", column.data_type().clone(), true);
            let schema = Arc::new(Schema::new(vec![field]));
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
            let text = Arc::new(Column::new("t", 0)) as Arc<dyn PhysicalExpr>;
            let literal = Arc::new(Literal::new(literal));
            let copied = Arc::new(CastExpr::new(Arc::clone(&text), DataType::Utf8, None));
            let small = Arc::new(Literal::new(ScalarValue::Utf8(Some(pattern.clone()))));
            for plain in
                [LikeExpr::new(negated, false, text, literal), LikeExpr::new(negated, false, copied, small)]
            {
                if let Some(ours) = Pieces::of(&plain, &schema) {
                    let rows = batch.num_rows();
                    let expect = plain.evaluate(&batch).unwrap().into_array(rows).unwrap();
                    let got = ours.evaluate(&batch).unwrap().into_array(rows).unwrap();
                    assert_eq!(&expect, &got, "`{pattern}` of {texts:?}");
                    taken = true;
                }
            }
        }
        taken
    }

    proptest! {
        #[test]
        fn finds_what_arrow_finds(
            texts in proptest::collection::vec(proptest::option::of("[abä\n]{0,7}"), 0..30),
            pattern in "[abä%]{1,7}",
            negated: bool,
        ) {
            check(&texts, &pattern, negated);
        }
    }

    #[test]
    fn which_patterns() {
        let texts = ["aba", "ab", "a", "", "special packages requests", "a\nb", "requests special"];
        let texts: Vec<_> = texts.iter().map(|text| Some((*text).to_owned())).collect();
        let rows = [
            ("%special%requests%", true),
            ("a%a", true),
            ("ab%ba", true),
            ("a%b%", true),
            ("%a%b", true),
            ("%a%%b%", true),
            ("%a%", false),
            ("a%", false),
            ("%a", false),
            ("a", false),
            ("%", false),
            ("%%", false),
            ("%a_b%a%", false),
            ("%a\\%%b", false),
        ];
        for (pattern, expected) in rows {
            assert_eq!(check(&texts, pattern, false), expected, "{pattern}");
        }
    }
}

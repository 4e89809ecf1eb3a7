//! Scalar functions written value by value: a signature in a line of text and a closure.
//!
//! A signature lists parameters and the result: `"str int? -> str"`. A parameter is a type, to which
//! arguments are cast with Spark's implicit casts; `?` marks an optional one, `*` any number of them. Words:
//! `str bin int long double float bool date ts time interval`, `num` (any number, text as a double),
//! `bytes` (text or binary as it is), `arr`, `map`, `struct`, `any`. A leading `!` says that the function
//! sees nulls; otherwise a null argument gives null. A leading `~` says that it is volatile. `..` as the
//! result means that a function of the argument types gives it.

use crate::condition;
use crate::value::{self, Value, cast, types};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The types of a call: of its arguments after the casts, of its result, and the arguments that are literals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Site {
    pub(crate) types: Vec<DataType>,
    pub(crate) result: Known,
    pub(crate) literals: Vec<Option<Value>>,
    /// The names of the arguments' columns, for functions that name the fields of a struct.
    pub(crate) names: Vec<String>,
}

/// A type, void by default.
#[derive(Clone, Debug)]
pub(crate) struct Known(pub(crate) DataType);

impl Default for Known {
    fn default() -> Self {
        Self(DataType::Null)
    }
}

impl Site {
    pub(crate) fn argument(&self, index: usize) -> &DataType {
        self.types.get(index).unwrap_or(&DataType::Null)
    }

    pub(crate) fn result(&self) -> &DataType {
        &self.result.0
    }

    /// The type of the elements of a list argument.
    pub(crate) fn item(&self, index: usize) -> DataType {
        types::item_of(self.argument(index)).cloned().unwrap_or(DataType::Null)
    }

    pub(crate) fn entry(&self, index: usize) -> (DataType, DataType) {
        types::entry_of(self.argument(index))
            .map_or((DataType::Null, DataType::Null), |(k, v)| (k.clone(), v.clone()))
    }

    /// The text of a literal argument.
    pub(crate) fn literal(&self, index: usize) -> Option<&str> {
        match self.literals.get(index) {
            Some(Some(Value::Str(text))) => Some(text),
            _ => None,
        }
    }
}

pub(crate) type Eval = dyn Fn(&[Value], &Site) -> Result<Value> + Send + Sync;
pub(crate) type Typer = dyn Fn(&Site) -> Result<DataType> + Send + Sync;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Word {
    To(Plain),
    Num,
    Bytes,
    Arr,
    Map,
    Struct,
    Interval,
    Any,
}

/// The types that arguments are cast to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plain {
    Str,
    Bin,
    Int,
    Long,
    Double,
    Float,
    Bool,
    Date,
    Ts,
    Time,
}

impl Plain {
    fn data_type(self) -> DataType {
        match self {
            Self::Str => DataType::Utf8,
            Self::Bin => DataType::Binary,
            Self::Int => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Float => DataType::Float32,
            Self::Bool => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Ts => types::TIMESTAMP,
            Self::Time => types::TIME,
        }
    }
}

fn word(text: &str) -> Word {
    use Plain::*;
    match text {
        "str" => Word::To(Str),
        "bin" => Word::To(Bin),
        "int" => Word::To(Int),
        "long" => Word::To(Long),
        "double" => Word::To(Double),
        "float" => Word::To(Float),
        "bool" => Word::To(Bool),
        "date" => Word::To(Date),
        "ts" => Word::To(Ts),
        "time" => Word::To(Time),
        "num" => Word::Num,
        "bytes" => Word::Bytes,
        "arr" => Word::Arr,
        "map" => Word::Map,
        "struct" => Word::Struct,
        "interval" => Word::Interval,
        _ => Word::Any,
    }
}

/// A signature, read from its text.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) spec: String,
    parameters: Vec<Word>,
    required: usize,
    variadic: bool,
    pub(crate) strict: bool,
    volatile: bool,
    result: Option<DataType>,
}

impl Shape {
    pub(crate) fn read(spec: &str) -> Shape {
        let (left, right) = spec.split_once("->").unwrap_or((spec, ".."));
        let left = left.trim();
        let strict = !left.contains('!');
        let volatile = left.contains('~');
        let left = left.trim_start_matches(['!', '~']);
        let mut shape = Shape {
            spec: spec.to_owned(),
            parameters: Vec::new(),
            required: 0,
            variadic: false,
            strict,
            volatile,
            result: None,
        };
        for part in left.split_whitespace() {
            let name = part.trim_end_matches(['?', '*']);
            shape.parameters.push(word(name));
            shape.variadic |= part.ends_with('*');
            if !part.ends_with(['?', '*']) {
                shape.required += 1;
            }
        }
        shape.result = match right.trim() {
            ".." => None,
            text => match (text, word(text)) {
                ("months", _) => Some(types::YEAR_MONTH),
                ("micros", _) => Some(types::DAY_TIME),
                ("calendar", _) => Some(types::CALENDAR),
                (_, Word::To(plain)) => Some(plain.data_type()),
                _ => types::parse_schema(text),
            },
        };
        shape
    }

    fn parameter(&self, index: usize) -> Word {
        self.parameters.get(index).or(self.parameters.last()).copied().unwrap_or(Word::Any)
    }

    /// The types that the arguments are cast to.
    pub(crate) fn cast_types(&self, function: &str, given: &[DataType]) -> Result<Vec<DataType>> {
        let most = if self.variadic { usize::MAX } else { self.parameters.len() };
        if given.len() < self.required || given.len() > most {
            let expected = match (self.required, most) {
                (a, usize::MAX) => format!("at least {a}"),
                (a, b) if a == b => a.to_string(),
                (a, b) => format!("{a} to {b}"),
            };
            return Err(condition::argument_count(function, &expected, given.len()));
        }
        given
            .iter()
            .enumerate()
            .map(|(index, given)| {
                let given = types::plain(given);
                let wrong = |expected: &str| {
                    condition::argument_type(
                        function,
                        format!(
                            "argument {} is of type {}, not {expected}",
                            index + 1,
                            types::name(&given).to_uppercase()
                        ),
                    )
                };
                Ok(match self.parameter(index) {
                    Word::To(plain) => {
                        let target = plain.data_type();
                        let odd = plain != Plain::Str && given.is_nested();
                        if odd || !cast::possible(&given, &target) {
                            return Err(wrong(&types::name(&target).to_uppercase()));
                        }
                        target
                    }
                    Word::Num => match &given {
                        t if t.is_numeric() || matches!(t, DataType::Null) || types::is_interval(t) => given,
                        DataType::Utf8 => DataType::Float64,
                        _ => return Err(wrong("a number")),
                    },
                    Word::Bytes => match &given {
                        DataType::Binary => given,
                        _ => DataType::Utf8,
                    },
                    Word::Arr if types::item_of(&given).is_none() && given != DataType::Null => {
                        return Err(wrong("an ARRAY"));
                    }
                    Word::Map if types::entry_of(&given).is_none() && given != DataType::Null => {
                        return Err(wrong("a MAP"));
                    }
                    Word::Struct if !matches!(given, DataType::Struct(_) | DataType::Null) => {
                        return Err(wrong("a STRUCT"));
                    }
                    Word::Interval if !types::is_interval(&given) => match &given {
                        DataType::Utf8 | DataType::Null => types::CALENDAR,
                        _ => return Err(wrong("an INTERVAL")),
                    },
                    _ => given,
                })
            })
            .collect()
    }
}

/// A scalar function made of a signature and a closure over values.
#[derive(Clone)]
pub(crate) struct RowFn {
    pub(crate) name: String,
    pub(crate) shape: Arc<Shape>,
    pub(crate) typer: Option<Arc<Typer>>,
    pub(crate) eval: Arc<Eval>,
    signature: Signature,
}

impl RowFn {
    pub(crate) fn new(name: &str, spec: &str, typer: Option<Arc<Typer>>, eval: Arc<Eval>) -> Self {
        let shape = Shape::read(spec);
        let volatility = if shape.volatile { Volatility::Volatile } else { Volatility::Immutable };
        Self {
            name: name.to_owned(),
            shape: Arc::new(shape),
            typer,
            eval,
            signature: Signature::variadic_any(volatility),
        }
        .with_no_arguments()
    }

    fn with_no_arguments(mut self) -> Self {
        let volatility = self.signature.volatility;
        if self.shape.required == 0 {
            self.signature = Signature::one_of(
                vec![
                    datafusion::logical_expr::TypeSignature::Nullary,
                    datafusion::logical_expr::TypeSignature::VariadicAny,
                ],
                volatility,
            );
        }
        self
    }

    fn site(&self, fields: &[FieldRef], literals: Vec<Option<Value>>) -> Result<Site> {
        let given: Vec<DataType> = fields.iter().map(|f| f.data_type().clone()).collect();
        let types = self.shape.cast_types(&self.name, &given)?;
        let names = fields.iter().map(|f| f.name().clone()).collect();
        let mut site = Site { types, literals, names, ..Site::default() };
        site.result.0 = match (&self.shape.result, &self.typer) {
            (Some(fixed), _) => fixed.clone(),
            (None, Some(typer)) => typer(&site)?,
            (None, None) => site.argument(0).clone(),
        };
        Ok(site)
    }
}

impl fmt::Debug for RowFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowFn").field("name", &self.name).finish()
    }
}

impl PartialEq for RowFn {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.eval, &other.eval)
    }
}

impl Eq for RowFn {}

impl Hash for RowFn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// The value of a constant, if it can be read.
pub(crate) fn literal(scalar: &ScalarValue) -> Option<Value> {
    value::read(&scalar.to_array().ok()?).ok()?.pop()
}

enum Column {
    One(Value),
    Many(std::vec::IntoIter<Value>),
}

impl ScalarUDFImpl for RowFn {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let fields: Vec<FieldRef> = given.iter().map(|t| Arc::new(Field::new("", t.clone(), true))).collect();
        Ok(self.site(&fields, vec![None; given.len()])?.result.0)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let literals = args.scalar_arguments.iter().map(|s| s.and_then(literal)).collect();
        let site = self.site(args.arg_fields, literals)?;
        Ok(Arc::new(Field::new(&self.name, site.result.0, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant =
            !self.shape.volatile && args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let given: Vec<DataType> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let types = self.shape.cast_types(&self.name, &given)?;
        let mut columns = Vec::with_capacity(args.args.len());
        let mut literals = Vec::with_capacity(args.args.len());
        for ((argument, from), to) in args.args.iter().zip(&given).zip(&types) {
            let from = types::plain(from);
            let convert = |v: Value| if &from == to { Ok(v) } else { cast::cast(&v, &from, to) };
            columns.push(match argument {
                ColumnarValue::Scalar(scalar) => {
                    let one = value::read(&scalar.to_array()?)?.pop().unwrap_or_default();
                    let one = convert(one)?;
                    literals.push(Some(one.clone()));
                    Column::One(one)
                }
                ColumnarValue::Array(array) => {
                    literals.push(None);
                    let values = value::read(array)?;
                    let values = if &from == to {
                        values
                    } else {
                        values.into_iter().map(convert).collect::<Result<_>>()?
                    };
                    Column::Many(values.into_iter())
                }
            });
        }
        let names = args.arg_fields.iter().map(|f| f.name().clone()).collect();
        let result = Known(types::plain(args.return_field.data_type()));
        let site = Site { types, result, literals, names };
        let mut row = vec![Value::Null; columns.len()];
        let mut out = Vec::with_capacity(rows);
        for _ in 0..rows {
            for (value, column) in row.iter_mut().zip(&mut columns) {
                *value = match column {
                    Column::One(one) => one.clone(),
                    Column::Many(many) => many.next().unwrap_or_default(),
                };
            }
            let null = self.shape.strict && row.iter().any(Value::is_null);
            out.push(if null { Value::Null } else { (self.eval)(&row, &site)? });
        }
        let array = value::build(&out, args.return_field.data_type())?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

//! `rand`, `randn` and `uniform`: Spark's generator, so that a seed gives Spark's numbers.
//!
//! A function has its numbers in a state that rows take from, one after the other. The function that a query names
//! has none: each planning of the query puts one with a fresh state in its place, so that a query that runs twice
//! gives the same numbers. With a seed the numbers are those of Spark's first partition; where several workers run
//! the function, which row has which of them is open.

use super::Set;
use super::row::literal;
use crate::condition;
use crate::value::{self, Value, decimal, types};
use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// Marsaglia's xorshift, seeded as Spark does.
struct Generator(u64);

impl Generator {
    fn new(seed: i64) -> Self {
        let bytes = seed.to_be_bytes();
        let low = super::hash::murmur_bytes(&bytes, 0x3C07_4A61);
        let high = super::hash::murmur_bytes(&bytes, low);
        Self(u64::from(high) << 32 | u64::from(low))
    }

    fn bits(&mut self, bits: u32) -> u64 {
        let mut next = self.0 ^ self.0 << 21;
        next ^= next >> 35;
        next ^= next << 4;
        self.0 = next;
        next & ((1 << bits) - 1)
    }

    /// Between 0 and 1.
    fn number(&mut self) -> f64 {
        let high = self.bits(26) << 27;
        (high + self.bits(27)) as f64 / (1_u64 << 53) as f64
    }
}

/// What is made of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Even,
    Normal,
    Between,
}

struct State {
    generator: Generator,
    /// Normal numbers come in pairs.
    second: Option<f64>,
}

impl State {
    fn new(seed: i64) -> Self {
        Self { generator: Generator::new(seed), second: None }
    }

    /// The polar method, as `java.util.Random` has it.
    fn normal(&mut self) -> f64 {
        if let Some(second) = self.second.take() {
            return second;
        }
        loop {
            let (a, b) = (2.0 * self.generator.number() - 1.0, 2.0 * self.generator.number() - 1.0);
            let s = a * a + b * b;
            if s < 1.0 && s != 0.0 {
                let scale = (-2.0 * s.ln() / s).sqrt();
                self.second = Some(b * scale);
                return a * scale;
            }
        }
    }
}

#[derive(Clone)]
struct Random {
    name: String,
    kind: Kind,
    signature: Signature,
    state: Option<Arc<Mutex<State>>>,
}

impl Random {
    fn new(name: &str, kind: Kind) -> Self {
        let any = TypeSignature::VariadicAny;
        let signature = match kind {
            Kind::Between => Signature::new(any, Volatility::Volatile),
            _ => Signature::one_of(vec![TypeSignature::Nullary, any], Volatility::Volatile),
        };
        Self { name: name.to_owned(), kind, signature, state: None }
    }

    /// Where the seed stands among the arguments.
    fn seed_at(&self) -> usize {
        if self.kind == Kind::Between { 2 } else { 0 }
    }

    fn counted(&self, given: usize) -> Result<()> {
        let (least, most) = (self.seed_at(), self.seed_at() + 1);
        match (least..=most).contains(&given) {
            true => Ok(()),
            false => Err(condition::argument_count(&self.name, &format!("{least} to {most}"), given)),
        }
    }

    fn constant(&self, what: &str) -> datafusion::error::DataFusionError {
        condition::parameter(&self.name, format!("the {what} must be a constant"))
    }

    /// The type of a number between two others.
    fn between(&self, given: &[DataType]) -> Result<DataType> {
        let (low, high) = (types::plain(&given[0]), types::plain(&given[1]));
        let common = match (&low, &high) {
            (decimal @ DataType::Decimal128(..), other) | (other, decimal @ DataType::Decimal128(..))
                if other.is_integer() =>
            {
                Some(decimal.clone())
            }
            _ => types::wider(&low, &high),
        };
        match common {
            Some(common) if common.is_numeric() => Ok(common),
            _ => {
                let name = |t: &DataType| types::name(t).to_uppercase();
                let message = format!("{} and {} are no numbers", name(&low), name(&high));
                Err(condition::argument_type(&self.name, message))
            }
        }
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Random").field("name", &self.name).finish()
    }
}

impl PartialEq for Random {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.state, &other.state) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        same && self.name == other.name
    }
}

impl Eq for Random {}

impl Hash for Random {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Random {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.counted(given.len())?;
        if self.kind == Kind::Between { self.between(given) } else { Ok(DataType::Float64) }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given: Vec<DataType> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let made = self.return_type(&given)?;
        Ok(Arc::new(Field::new(&self.name, made, self.kind == Kind::Between)))
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if self.state.is_some() {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let seed = match args.get(self.seed_at()) {
            None => RandomState::new().hash_one(0) as i64,
            // No seed known is 0.
            Some(Expr::Literal(scalar, _)) => literal(scalar).unwrap_or_default().int(),
            // It may become one in a later round.
            Some(_) => return Ok(ExprSimplifyResult::Original(args)),
        };
        let seeded = Self { state: Some(Arc::new(Mutex::new(State::new(seed)))), ..self.clone() };
        Ok(ExprSimplifyResult::Simplified(ScalarUDF::new_from_impl(seeded).call(args)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let state = self.state.as_ref().ok_or_else(|| self.constant("seed"))?;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = 0..args.number_rows;
        let numbers: Vec<f64> = match self.kind {
            Kind::Normal => rows.map(|_| state.normal()).collect(),
            _ => rows.map(|_| state.generator.number()).collect(),
        };
        drop(state);
        if self.kind != Kind::Between {
            return Ok(ColumnarValue::Array(Arc::new(Float64Array::from(numbers)) as ArrayRef));
        }
        let limit = |index: usize| match args.args.get(index) {
            Some(ColumnarValue::Scalar(scalar)) => Ok(literal(scalar).unwrap_or_default()),
            _ => Err(self.constant("limits")),
        };
        let (low, high) = (limit(0)?, limit(1)?);
        let to = args.return_field.data_type();
        if low.is_null() || high.is_null() {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(to)?));
        }
        let made: Vec<Value> = numbers
            .into_iter()
            .map(|number| {
                let number = low.float() + (high.float() - low.float()) * number;
                match to {
                    t if t.is_integer() => Value::Int(number as i64),
                    DataType::Decimal128(_, scale) => {
                        let unit = decimal::pow10(scale.unsigned_abs().into()) as f64;
                        Value::Decimal((number * unit).round() as i128, *scale)
                    }
                    _ => Value::Float(number),
                }
            })
            .collect();
        Ok(ColumnarValue::Array(value::build(&made, to)?))
    }
}

pub(super) fn add(set: &mut Set) {
    for (name, kind) in
        [("rand", Kind::Even), ("random", Kind::Even), ("randn", Kind::Normal), ("uniform", Kind::Between)]
    {
        set.udf(ScalarUDF::new_from_impl(Random::new(name, kind)));
    }
}

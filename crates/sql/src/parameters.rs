//! Values for the places of a query: `?` by position, `:name` by name.
//!
//! A place is filled before the text is parsed, by one token of the value's type: a text can never become
//! part of the statement.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use trefoil_core::{Error, ErrorKind, Result, suggest};

/// A value for a place.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Parameter {
    /// `NULL`.
    Null,
    /// A `BOOLEAN`.
    Bool(bool),
    /// An `INT` if it fits, otherwise a `BIGINT`.
    Int(i64),
    /// A `DOUBLE`.
    Float(f64),
    /// A `STRING`.
    Text(String),
    /// The text of a value and the name of its type, such as `("2024-01-31", "DATE")`.
    Typed(String, String),
}

macro_rules! from {
    ($($rust:ty => |$v:ident| $make:expr;)*) => {$(
        impl From<$rust> for Parameter {
            fn from($v: $rust) -> Self {
                $make
            }
        }
    )*};
}

from! {
    bool => |v| Self::Bool(v);
    i32 => |v| Self::Int(i64::from(v));
    i64 => |v| Self::Int(v);
    f64 => |v| Self::Float(v);
    &str => |v| Self::Text(v.to_owned());
    String => |v| Self::Text(v);
}

impl<T: Into<Parameter>> From<Option<T>> for Parameter {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Values by position and by name.
///
/// ```
/// use trefoil_sql::Parameters;
///
/// let parameters = Parameters::new().with(3).with("x").name("limit", 10);
/// assert_ne!(parameters, Parameters::from(["x"]));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "parameters do nothing before they are given to a query"]
pub struct Parameters {
    positional: Vec<Parameter>,
    named: Vec<(String, Parameter)>,
}

impl Parameters {
    /// No values yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the value of the next `?`.
    pub fn with(mut self, value: impl Into<Parameter>) -> Self {
        self.positional.push(value.into());
        self
    }

    /// Adds the value of `:name`.
    pub fn name(mut self, name: impl Into<String>, value: impl Into<Parameter>) -> Self {
        self.named.push((name.into(), value.into()));
        self
    }

    fn is_empty(&self) -> bool {
        self.positional.is_empty() && self.named.is_empty()
    }

    /// Fills the places of a text.
    pub(crate) fn fill(&self, tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
        if self.is_empty() {
            return Ok(tokens);
        }
        let unbound = |place: &str, help: Option<String>| {
            let error = Error::new(
                ErrorKind::InvalidArgument,
                "sql",
                format!("[UNBOUND_SQL_PARAMETER] there is no value for {place} SQLSTATE: 42P02"),
            );
            help.map_or(error.clone(), |help| error.with_help(help))
        };
        let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
        let mut next = 0;
        let mut index = 0;
        while index < tokens.len() {
            let current = &tokens[index];
            let push = |out: &mut Vec<TokenWithSpan>, value: &Parameter| {
                out.extend(literal(value).into_iter().map(|token| TokenWithSpan::new(token, current.span)));
            };
            match (&current.token, tokens.get(index + 1).map(|t| &t.token)) {
                (Token::Placeholder(place), _) if place == "?" => {
                    let value = self.positional.get(next).ok_or_else(|| {
                        unbound(
                            &format!("`?` number {}", next + 1),
                            Some(format!("{} were given", self.positional.len())),
                        )
                    })?;
                    push(&mut out, value);
                    next += 1;
                }
                (Token::Colon, Some(Token::Word(word))) => {
                    let found = self.named.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word.value));
                    let Some((_, value)) = found else {
                        let near = suggest(&word.value, self.named.iter().map(|(name, _)| name));
                        return Err(unbound(
                            &format!("`:{}`", word.value),
                            near.map(|near| format!("did you mean `:{near}`?")),
                        ));
                    };
                    push(&mut out, value);
                    index += 1;
                }
                (token, _) => out.push(TokenWithSpan::new(token.clone(), current.span)),
            }
            index += 1;
        }
        if next < self.positional.len() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "sql",
                format!(
                    "{} values were given by position, the text has {next} places",
                    self.positional.len()
                ),
            ));
        }
        Ok(out)
    }
}

impl<T: Into<Parameter>, const N: usize> From<[T; N]> for Parameters {
    fn from(values: [T; N]) -> Self {
        Self { positional: values.into_iter().map(Into::into).collect(), named: Vec::new() }
    }
}

fn keyword(word: Keyword) -> Token {
    Token::make_keyword(&format!("{word:?}"))
}

/// The tokens of a value, in parentheses where it is more than one.
pub(crate) fn literal(value: &Parameter) -> Vec<Token> {
    let typed = |text: String, data_type: Vec<Token>| {
        let mut tokens = vec![
            keyword(Keyword::CAST),
            Token::LParen,
            Token::SingleQuotedString(text),
            keyword(Keyword::AS),
        ];
        tokens.extend(data_type);
        tokens.push(Token::RParen);
        tokens
    };
    match value {
        Parameter::Null => vec![keyword(Keyword::NULL)],
        Parameter::Bool(true) => vec![keyword(Keyword::TRUE)],
        Parameter::Bool(false) => vec![keyword(Keyword::FALSE)],
        Parameter::Int(n) if *n >= 0 => vec![Token::Number(n.to_string(), false)],
        Parameter::Int(n) => typed(
            n.to_string(),
            vec![keyword(if i32::try_from(*n).is_ok() { Keyword::INT } else { Keyword::BIGINT })],
        ),
        Parameter::Float(x) => typed(crate::value::format::double(*x), vec![keyword(Keyword::DOUBLE)]),
        Parameter::Text(text) => vec![Token::SingleQuotedString(text.clone())],
        Parameter::Typed(text, name) => {
            let words =
                crate::tokens::tokens(&crate::dialect::TrefoilDialect, name, false).unwrap_or_default();
            typed(text.clone(), words.into_iter().map(|t| t.token).collect())
        }
    }
}

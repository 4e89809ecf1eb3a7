//! What the parser accepts: Spark's syntax, with what must be parsed so that it can be refused by name.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};
use datafusion::sql::sqlparser::dialect::{Dialect, SparkSqlDialect};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use std::any::{Any, TypeId};

/// Above `&` (23) and `^`, below `+` (30).
const SHIFT: u8 = 25;

/// Spark's syntax, and time travel and hints as syntax of their own.
#[derive(Debug, Default)]
pub(crate) struct TrefoilDialect;

impl Dialect for TrefoilDialect {
    fn dialect(&self) -> TypeId {
        SparkSqlDialect.type_id()
    }

    // Names: back-ticks only; a double quote begins a string.
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }

    // Parsed so that they can be refused by name; left out, they would read as an alias or a comment.
    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn supports_comment_optimizer_hint(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_group_by_with_modifier(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn supports_lambda_functions(&self) -> bool {
        true
    }

    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    /// `extract(YEAROFWEEK FROM ..)`.
    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn supports_struct_literal(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_create_table_using(&self) -> bool {
        true
    }

    fn supports_long_type_as_bigint(&self) -> bool {
        true
    }

    fn supports_values_as_table_factor(&self) -> bool {
        true
    }

    fn supports_bang_not_operator(&self) -> bool {
        true
    }

    fn supports_select_item_multi_column_alias(&self) -> bool {
        true
    }

    fn supports_cte_without_as(&self) -> bool {
        true
    }

    fn supports_map_literal_with_angle_brackets(&self) -> bool {
        true
    }

    // Escapes are read by `tokens`; the tokenizer only has to find the end of a string.
    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }

    fn supports_pipe_operator(&self) -> bool {
        true
    }

    fn supports_from_first_select(&self) -> bool {
        true
    }

    /// Shifts bind closer than `&`, `^` and `|`.
    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match parser.peek_token_ref().token {
            Token::ShiftLeft | Token::ShiftRight => Some(Ok(SHIFT)),
            _ => None,
        }
    }

    /// `GROUPING SETS (..)` within grouping sets.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let within = matches!(parser.peek_nth_token_ref(2).token, Token::LParen)
            && matches!(&parser.peek_nth_token_ref(1).token, Token::Word(word) if word.keyword == Keyword::SETS);
        (within && parser.parse_keywords(&[Keyword::GROUPING, Keyword::SETS])).then(|| nested_sets(parser))
    }

    /// `7 DIV 2` is integer division, `x >>> n` a shift, and `LIKE ALL (..)` a list of tests.
    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if parser.peek_token_ref().token == Token::ShiftRight
            && parser.peek_nth_token_ref(1).token == Token::Gt
        {
            parser.advance_token();
            parser.advance_token();
            let shift = |by| {
                crate::clauses::function("shiftrightunsigned", vec![Expr::Nested(Box::new(expr.clone())), by])
            };
            return Some(parser.parse_subexpr(precedence).map(shift));
        }
        if let Some(all) = like_all(parser, expr) {
            return Some(all);
        }
        if !parser.parse_keyword(Keyword::DIV) {
            return None;
        }
        let precedence = self.prec_value(datafusion::sql::sqlparser::dialect::Precedence::MulDivModOp);
        Some(parser.parse_subexpr(precedence).map(|right| Expr::BinaryOp {
            left: Box::new(expr.clone()),
            op: BinaryOperator::MyIntegerDivide,
            right: Box::new(right),
        }))
    }
}

fn nested_sets(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let sets = parser.parse_comma_separated(|parser| {
        if parser.consume_tokens(&[Token::LParen, Token::RParen]) {
            return Ok(Vec::new());
        }
        Ok(match parser.parse_expr()? {
            Expr::Tuple(parts) => parts,
            Expr::Nested(inner) => vec![*inner],
            other => vec![other],
        })
    })?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::GroupingSets(sets))
}

/// `x [NOT] LIKE ALL (a, b)` is `x [NOT] LIKE a AND x [NOT] LIKE b`.
fn like_all(parser: &mut Parser, expr: &Expr) -> Option<Result<Expr, ParserError>> {
    let word = |at: usize, keyword: Keyword| matches!(&parser.peek_nth_token_ref(at).token, Token::Word(word) if word.keyword == keyword);
    let negated = word(0, Keyword::NOT);
    let at = usize::from(negated);
    let case = word(at, Keyword::LIKE);
    if !(case || word(at, Keyword::ILIKE)) || !word(at + 1, Keyword::ALL) {
        return None;
    }
    (0..at + 2).for_each(|_| parser.advance_token());
    let mut list = || {
        parser.expect_token(&Token::LParen)?;
        let patterns = parser.parse_comma_separated(Parser::parse_expr)?;
        parser.expect_token(&Token::RParen)?;
        let each = patterns.into_iter().map(|pattern| {
            let (expr, pattern) = (Box::new(expr.clone()), Box::new(pattern));
            match case {
                true => Expr::Like { negated, any: false, expr, pattern, escape_char: None },
                false => Expr::ILike { negated, any: false, expr, pattern, escape_char: None },
            }
        });
        let all = each.reduce(|left, right| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::And,
            right: Box::new(right),
        });
        all.map(|all| Expr::Nested(Box::new(all)))
            .ok_or_else(|| ParserError::ParserError("LIKE ALL needs patterns".into()))
    };
    Some(list())
}

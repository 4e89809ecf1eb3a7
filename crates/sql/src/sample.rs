//! `TABLESAMPLE`, with `REPEATABLE (seed)` for the same rows every time.
//!
//! Without a seed each row is drawn by chance. With one, its lot decides: the hash of its values and the seed, and of its
//! number among rows with equal values, as frames draw (`trefoil_plan::row_hash_udf`). So a sample depends on the rows
//! and the seed alone, not on files, partitions or threads; a smaller percentage is a part of a larger one. The price is a sort
//! of the table by the hash, which spills.

use crate::{condition, functions};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::{
    self, TableFactor, TableSampleKind, TableSampleSeedModifier, TableSampleUnit, ValueWithSpan,
};
use datafusion::sql::sqlparser::keywords::{Keyword, RESERVED_FOR_TABLE_ALIAS};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

const HASH: &str = "#hash";
const COPY: &str = "#copy";
const LOT: &str = "#lot";

/// Puts the alias of a sampled table, which Spark writes after the sample, where the parser takes it: before.
pub(crate) fn alias_first(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is = |token: &Token, keyword: Keyword| matches!(token, Token::Word(word) if word.keyword == keyword);
    if !tokens.iter().any(|token| is(&token.token, Keyword::TABLESAMPLE)) {
        return tokens;
    }
    let after = |mut at: usize| {
        while tokens.get(at).is_some_and(|token| matches!(token.token, Token::Whitespace(_))) {
            at += 1;
        }
        at
    };
    // Behind the parenthesis that closes the one that begins here.
    let closed = |at: usize| {
        let mut depth = 0_usize;
        for (index, token) in tokens.iter().enumerate().skip(at) {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen if depth == 1 => return Some(index + 1),
                Token::RParen => depth = depth.saturating_sub(1),
                _ if depth == 0 => return None,
                _ => {}
            }
        }
        None
    };
    let mut out = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let mut moved = None;
        if is(&token.token, Keyword::TABLESAMPLE)
            && let Some(mut end) = closed(after(at + 1))
        {
            if tokens.get(after(end)).is_some_and(|token| is(&token.token, Keyword::REPEATABLE)) {
                end = closed(after(after(end) + 1)).unwrap_or(end);
            }
            let alias = after(end);
            let named = match tokens.get(alias).map(|token| &token.token) {
                Some(word) if is(word, Keyword::AS) => Some(after(alias + 1) + 1),
                Some(Token::Word(word)) if !RESERVED_FOR_TABLE_ALIAS.contains(&word.keyword) => {
                    Some(alias + 1)
                }
                _ => None,
            };
            // Its names of columns go with it.
            moved =
                named.map(|behind| (end, alias, closed(after(behind)).unwrap_or(behind).min(tokens.len())));
        }
        match moved {
            Some((end, alias, behind)) => {
                out.extend_from_slice(&tokens[alias..behind]);
                out.push(TokenWithSpan::wrap(Token::Whitespace(Whitespace::Space)));
                out.extend_from_slice(&tokens[at..end]);
                at = behind;
            }
            None => {
                out.push(token.clone());
                at += 1;
            }
        }
    }
    out
}

/// What is drawn.
enum Wanted {
    Rows(usize),
    /// From 0 to 1.
    Share(f64),
}

/// `TABLESAMPLE (10 PERCENT)`, `(5 ROWS)`, `(BUCKET 1 OUT OF 4)`, `REPEATABLE (7)`.
pub(crate) fn sample(
    mut relation: TableFactor,
    context: &mut dyn RelationPlannerContext,
) -> Result<RelationPlanning> {
    let taken = match &mut relation {
        TableFactor::Table { sample, .. } | TableFactor::Derived { sample, .. } => sample.take(),
        _ => None,
    };
    let Some(TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) = taken
    else {
        return Ok(RelationPlanning::Original(Box::new(relation)));
    };
    let seed = match &sample.seed {
        Some(seed) if matches!(seed.modifier, TableSampleSeedModifier::Repeatable) => {
            Some(seed.value.to_string().parse::<i64>().map_err(|_| {
                condition::parameter("TABLESAMPLE", "the seed of REPEATABLE must be a whole number")
            })?)
        }
        Some(_) => return Err(condition::unsupported("SEED after TABLESAMPLE; write REPEATABLE (n).")),
        None => None,
    };
    if sample.name.is_some() || sample.offset.is_some() {
        return Err(condition::unsupported("the method or offset of TABLESAMPLE."));
    }
    let input = context.plan(relation)?;
    let number = |expr: ast::Expr, context: &mut dyn RelationPlannerContext| -> Result<f64> {
        match context.sql_to_expr(expr, input.schema())? {
            Expr::Literal(scalar, _) => functions::row::literal(&scalar)
                .map(|v| v.float())
                .ok_or_else(|| condition::parameter("TABLESAMPLE", "the size must be a number")),
            _ => Err(condition::parameter("TABLESAMPLE", "the size must be a constant")),
        }
    };
    let wanted = match (&sample.quantity, &sample.bucket) {
        (Some(quantity), _) => {
            let n = number(quantity.value.clone(), context)?;
            match matches!(quantity.unit, Some(TableSampleUnit::Rows)) {
                true => Wanted::Rows(n.max(0.0) as usize),
                false if (0.0..=100.0).contains(&n) => Wanted::Share(n / 100.0),
                false => {
                    return Err(condition::parameter("TABLESAMPLE", "a percentage is between 0 and 100"));
                }
            }
        }
        (None, Some(bucket)) if bucket.on.is_none() => {
            let value = |v: &ValueWithSpan| v.to_string().parse::<f64>().unwrap_or(f64::NAN);
            let share = value(&bucket.bucket) / value(&bucket.total);
            if !(0.0..=1.0).contains(&share) {
                return Err(condition::parameter("TABLESAMPLE", "no such bucket"));
            }
            Wanted::Share(share)
        }
        _ => return Err(condition::unsupported("this form of TABLESAMPLE.")),
    };
    let plan = match (seed, wanted) {
        (Some(seed), wanted) => by_lot(input, seed, &wanted)?,
        (None, Wanted::Rows(n)) => LogicalPlanBuilder::from(input).limit(0, Some(n))?.build()?,
        (None, Wanted::Share(share)) => {
            let drawn = datafusion::functions::math::expr_fn::random().lt(lit(share));
            LogicalPlanBuilder::from(input).filter(drawn)?.build()?
        }
    };
    Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
}

/// The rows whose lot is low enough, or those with the lowest lots.
fn by_lot(input: LogicalPlan, seed: i64, wanted: &Wanted) -> Result<LogicalPlan> {
    let types: Vec<DataType> = input.schema().fields().iter().map(|f| f.data_type().clone()).collect();
    if !trefoil_plan::hashable(&types) {
        return Err(condition::unsupported(
            "TABLESAMPLE .. REPEATABLE over columns whose values have no order; leave them out in a \
             sub-query.",
        ));
    }
    let own: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let column = |name: &str| Expr::Column(Column::from_name(name));
    let seed = lit(seed as u64);
    let hash = trefoil_plan::row_hash_udf();
    let hashed = hash.call(std::iter::once(seed.clone()).chain(own.iter().cloned()).collect());
    let copy = row_number().partition_by(vec![column(HASH)]).build()?;
    let lot = hash.call(vec![seed, column(HASH), column(COPY)]);
    let plan = LogicalPlanBuilder::from(input)
        .project(own.iter().cloned().chain([hashed.alias(HASH)]))?
        .window([copy.alias(COPY)])?
        .project(own.iter().cloned().chain([lot.alias(LOT)]))?;
    let drawn = match wanted {
        Wanted::Rows(n) => plan.sort([column(LOT).sort(true, false)])?.limit(0, Some(*n))?,
        Wanted::Share(share) if *share >= 1.0 => plan,
        // Of 2^64 numbers, this share is below.
        Wanted::Share(share) => plan.filter(column(LOT).lt(lit((share * 2.0_f64.powi(64)) as u64)))?,
    };
    drawn.project(own)?.build()
}

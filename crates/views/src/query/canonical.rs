//! What is said of a query whichever way it is written: equal where two queries keep the same states.
//!
//! A definition that is written otherwise and means the same need not be built again. Comments and white space are gone once a text is a plan; the
//! order in which a SELECT lists its aggregates is taken out here.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Aggregate, LogicalPlan};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// The plan with the aggregates of its topmost GROUP BY in the order of their names. What stands above finds its columns by name.
pub(super) fn canonical(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let sorted = plan.clone().transform_down(|node| {
        let LogicalPlan::Aggregate(aggregate) = node else {
            return Ok(Transformed::no(node));
        };
        let mut aggregates = aggregate.aggr_expr.clone();
        aggregates.sort_by_cached_key(|expression| expression.schema_name().to_string());
        let sorted = Aggregate::try_new(Arc::clone(&aggregate.input), aggregate.group_expr.clone(), aggregates)?;
        Ok(Transformed::new(
            LogicalPlan::Aggregate(sorted),
            true,
            TreeNodeRecursion::Stop,
        ))
    })?;
    Ok(sorted.data)
}

/// The words and signs of a query's text, with one blank between them; those that are not quoted in small letters.
pub(super) fn words(text: &str) -> String {
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize() else {
        return text.to_owned();
    };
    let words = tokens.into_iter().filter_map(|token| match token {
        // Comments are white space, too.
        Token::Whitespace(_) => None,
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_lowercase()),
        other => Some(other.to_string()),
    });
    words.collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_text_is_its_words_however_it_is_laid_out() {
        let check = |text: &str, expected: &str| assert_eq!(words(text), expected, "{text}");
        check(
            "SELECT  n, -- the number\n\t\"Store\"/* where */FROM purchases",
            "select n , \"Store\" from purchases",
        );
        check(
            "select n,\"Store\" from PURCHASES",
            "select n , \"Store\" from purchases",
        );
        check("SELECT 'A  b', \"A\"", "select 'A  b' , \"A\"");
        check("SELECT 'open", "SELECT 'open");
    }
}

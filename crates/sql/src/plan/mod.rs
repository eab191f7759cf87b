//! What is done to a question's plan, rule by rule, from the names that it was planned by to what runs.
//!
//! ```text
//! question ── unnest ── analyze ───────────────────────── optimize ── run ── rows
//!              subqueries   ours, types are coerced, ours    the engine's,    the engine's, with
//!              as joins     (what it means)                  but for three    filters held back
//! ```
//!
//! One rule a file. The lists below say which come and in which order; each line says why it stands where it does. A rule that says nothing of it may stand
//! anywhere on its side of the engine's own.

pub(crate) mod analyze;
pub(crate) mod itself;
mod of_one;
mod optimize;
mod run;
pub(crate) mod unnest;

use std::sync::Arc;

use datafusion::optimizer::{Analyzer, AnalyzerRule, Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use headwater_views::SimplifiedApart;

use analyze::alike::AlikeTogether;
use analyze::any::AnyOfLists;
use analyze::arithmetic::ExactArithmetic;
use analyze::arrays::ArraysOfTexts;
use analyze::casts::{RoundedCasts, WrittenCasts};
use analyze::dates::DatesWithHours;
use analyze::decimal_types::RoomForWhole;
use analyze::division::RoundedDivision;
use analyze::floats::{ComparedAsFloats, FloatsAsWritten};
use analyze::guarded::GuardsFirst;
use analyze::intervals::IntervalsByLength;
use analyze::last_names::LastNamesCount;
use analyze::list_parts::ListParts;
use analyze::literal::DecimalLiterals;
use analyze::moments::ComparedAsMoments;
use analyze::multiset::CountedSets;
use analyze::quoted::QuotedTexts;
use analyze::session_zone::InSessionZone;
use analyze::texts::TextsOfMoments;
use analyze::unlike::TextsAreNoNumbers;
use optimize::distinct::DistinctWithoutSums;
use optimize::joined_order::OrderAboveOuterJoins;
use optimize::one_row::FiltersAboveOneRow;
use run::all_polled::AllPolled;
use run::cheap_first::CheapFirst;
use run::grouping_sets::GroupingSets;
use run::names_apart::NamesApart;
use run::sieve::Sieves;

/// Rules that make a plan say what the question means.
pub(crate) fn analyzing() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![
        // The joins of EXCEPT ALL and its like are known by their form: before any other rule makes joins.
        Arc::new(CountedSets),
        // Texts in quotes have no type yet: all that look at types come behind.
        Arc::new(QuotedTexts),
        // What is a text now is one: it is refused beside a number before anything casts it.
        Arc::new(TextsAreNoNumbers),
        Arc::new(IntervalsByLength),
        // How many digits a literal has is how many a quotient has: before divisions.
        Arc::new(DecimalLiterals),
        Arc::new(RoundedDivision),
        // A date with hours is a moment, which is compared as one below.
        Arc::new(DatesWithHours),
        // Products and `round`, of the digits that literals and quotients have by now.
        Arc::new(RoomForWhole),
        // One type for branches and rows: before they are compared with others.
        Arc::new(AlikeTogether),
        Arc::new(ComparedAsFloats),
        Arc::new(ComparedAsMoments),
        // Only casts that somebody wrote: right before the engine adds its own.
        Arc::new(WrittenCasts),
    ];
    // The engine's own: they give every value its type, by casts.
    rules.extend(Analyzer::new().rules);
    // What clocks show is found before it is counted with or made a text.
    rules.push(Arc::new(InSessionZone));
    rules.push(Arc::new(ExactArithmetic));
    // Casts, now that all of them are there.
    rules.push(Arc::new(RoundedCasts));
    rules.push(Arc::new(FloatsAsWritten));
    rules.push(Arc::new(TextsOfMoments));
    rules.push(Arc::new(ArraysOfTexts));
    rules.push(Arc::new(AnyOfLists));
    // The divisions and casts that are guarded are those that the rules above left.
    rules.push(Arc::new(GuardsFirst));
    rules.push(Arc::new(ListParts));
    // Functions on JSON are put in the place of others by their own rules: last.
    rules.push(Arc::new(LastNamesCount));
    rules
}

/// The engine's optimizer, with three of its rules under a condition of ours.
pub(crate) fn optimizing() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    // Each in the place of the engine's own of its name.
    let ours: [Arc<dyn OptimizerRule + Send + Sync>; 3] = [
        Arc::new(SimplifiedApart::default()),
        Arc::new(DistinctWithoutSums::default()),
        Arc::new(FiltersAboveOneRow::default()),
    ];
    let mut rules = Optimizer::new().rules;
    for rule in &mut rules {
        if let Some(ours) = ours.iter().find(|ours| ours.name() == rule.name()) {
            *rule = Arc::clone(ours);
        }
    }
    // Behind all that moves sorts and joins: what it hides stays hidden.
    rules.push(Arc::new(OrderAboveOuterJoins));
    rules
}

/// The engine's rules for the plan that runs, with those that bring filters down held back where these would be wrong.
pub(crate) fn running() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    // Before the engine works out what is sorted by what.
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![Arc::new(GroupingSets)];
    let (written, found) = (FilterPushdown::new(), FilterPushdown::new_post_optimization());
    for rule in PhysicalOptimizer::new().rules {
        rules.push(match rule.name() {
            name if name == written.name() => Arc::new(NamesApart(rule)),
            // From the outside in: whether a plan may have such filters at all, sieves to take them, and where names tell columns apart.
            name if name == found.name() => Arc::new(AllPolled(Arc::new(Sieves(Arc::new(NamesApart(rule)))))),
            _ => rule,
        });
    }
    // When conditions stand where they are asked.
    rules.push(Arc::new(CheapFirst));
    rules
}

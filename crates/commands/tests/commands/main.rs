//! Commands on a real log in a scratch folder.

mod decisions;
mod entities;
mod evolving;
mod from_sql;
mod language;
mod once;
mod one_row;
mod recurring;
mod schedules;
mod scratch;
mod together;
mod touching;
mod views;
mod waiting;

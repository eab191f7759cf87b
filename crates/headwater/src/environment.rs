//! The variables of the environment that begin as ours do: one that is none of them is an error, as an unknown option is.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};

use crate::arguments::Arguments;
use crate::exit::{Exit, Failure};

/// How all of ours begin.
const PREFIX: &str = "HEADWATER_";

/// Refuses variables that nothing reads.
pub fn check() -> Result<(), Failure> {
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let known = known();
    match strangers(set, &known).first() {
        None => Ok(()),
        Some(name) => {
            let known: Vec<String> = known.into_iter().collect();
            let why = format!(
                "there is no setting for the variable {name}: unset it, or take one of {}",
                known.join(", ")
            );
            Err(Failure::new(Exit::Usage, why))
        }
    }
}

/// Every variable that an option may come from.
fn known() -> BTreeSet<String> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut commands: Vec<Command> = vec![Arguments::command()];
    while let Some(command) = commands.pop() {
        let variables = command.get_arguments().filter_map(|argument| argument.get_env());
        known.extend(variables.map(|name| name.to_string_lossy().into_owned()));
        commands.extend(command.get_subcommands().cloned());
    }
    known
}

/// The variables that begin as ours do and are none. What Kubernetes sets for a service of our name is nobody's mistake.
fn strangers(set: impl Iterator<Item = String>, known: &BTreeSet<String>) -> Vec<String> {
    let is_of_a_service = |name: &str| {
        let of_service = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"];
        name.ends_with("_PORT") || of_service.iter().any(|part| name.contains(part))
    };
    let mut strangers: Vec<String> = set
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name) && !is_of_a_service(name))
        .collect();
    strangers.sort();
    strangers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_as_ours_do_is_one_of_ours() {
        let check = |name: &str, is_stranger: bool| {
            let found = strangers([name.to_owned()].into_iter(), &known());
            assert_eq!(!found.is_empty(), is_stranger, "{name}");
        };
        for name in [
            "HEADWATER_DATA",
            "HEADWATER_LOG",
            "HEADWATER_TO",
            "HEADWATER_KAFKA_SETTINGS",
            "HTTP",
            "PATH",
        ] {
            check(name, false);
        }
        for name in ["HEADWATER_HTPP", "HEADWATER_", "HEADWATER_KAFKA_SETTING"] {
            check(name, true);
        }
        for name in [
            "HEADWATER_SERVICE_HOST",
            "HEADWATER_SERVICE_PORT_KAFKA",
            "HEADWATER_PORT",
            "HEADWATER_BANK_PORT_5433_TCP_ADDR",
        ] {
            check(name, false);
        }
    }
}

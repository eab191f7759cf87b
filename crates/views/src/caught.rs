//! A panic over some values is an error of those values, as any other that working them out may give.
//!
//! The query engine has hundreds of functions, and one of them will panic over a value that nobody thought of. That is a fault of the program, which its
//! log says with the place; but whoever meets such a value parks the event, or refuses the row, and goes on.
//!
//! Invariant: what is called here makes new values of given ones. What it had under its hands when it panicked is let go of, and nothing else was changed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use datafusion::error::DataFusionError;

/// What was being worked out panicked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the program broke off over it, which is a fault of the program: {0}")]
pub struct Panicked(String);

impl Panicked {
    fn of(payload: &(dyn Any + Send)) -> Panicked {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Panicked(text.unwrap_or_else(|| "its log says where".to_owned()))
    }
}

impl From<Panicked> for DataFusionError {
    fn from(panicked: Panicked) -> DataFusionError {
        DataFusionError::External(Box::new(panicked))
    }
}

/// Works something out; where that panics, the panic as an error.
pub fn caught<T, E: From<Panicked>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(Panicked::of(payload.as_ref()).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_what_was_said() {
        let check = |work: fn() -> Result<u8, Panicked>, expected: Result<u8, &str>| {
            let done = caught(work).map_err(|error| error.to_string());
            assert_eq!(done, expected.map_err(str::to_owned));
        };
        check(|| Ok(1), Ok(1));
        check(
            || panic!("no room"),
            Err("the program broke off over it, which is a fault of the program: no room"),
        );
        check(
            || panic!("no room for {}", 7),
            Err("the program broke off over it, which is a fault of the program: no room for 7"),
        );
        check(
            || std::panic::panic_any(7),
            Err("the program broke off over it, which is a fault of the program: its log says where"),
        );
    }
}

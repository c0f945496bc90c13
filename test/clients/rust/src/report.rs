//! A line for each check, and what the checks expect.

use std::{error::Error, process::ExitCode};

/// How a check went. Its error says what was wanted and what came.
pub type Checked<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Prints how the checks went: `ok NAME`, or `not ok NAME: WHY`.
#[derive(Default)]
pub struct Report {
    failed: bool,
}

impl Report {
    pub fn add(&mut self, name: &str, checked: Checked) {
        match checked {
            Ok(()) => println!("ok {name}"),
            Err(why) => {
                self.failed = true;
                let why = why.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
                println!("not ok {name}: {why}");
            }
        }
    }

    pub fn exit_code(&self) -> ExitCode {
        if self.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// Ends a check with an error unless both sides are equal.
macro_rules! ensure_equal {
    ($wanted:expr, $got:expr, $what:literal) => {
        match (&$wanted, &$got) {
            (wanted, got) if wanted != got => {
                return Err(format!("{}: wanted {wanted:?}, got {got:?}", $what).into());
            }
            _ => {}
        }
    };
}

/// Ends a check with an error unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $what:literal) => {
        if !$condition {
            return Err($what.into());
        }
    };
}

pub(crate) use {ensure, ensure_equal};

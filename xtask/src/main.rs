//! What a rule of this repository is worth: `cargo xtask tidy` looks at its own sources, `cargo xtask licenses` at what it depends on.
//!
//! Both work offline, from the files of the checkout and the lock file, and end with 1 where a rule is broken.

mod dependencies;
mod finding;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::finding::Finding;

const USAGE: &str = "\
usage: cargo xtask tidy        layering, file headers, lengths, names, paths in documents, one version of what must be one
       cargo xtask licenses    licences, sources and kept advisories of every dependency in Cargo.lock, against deny.toml";

fn main() -> ExitCode {
    match run() {
        Ok(findings) if findings.is_empty() => ExitCode::SUCCESS,
        Ok(findings) => {
            for finding in &findings {
                eprintln!("{finding}");
            }
            eprintln!("{} to mend", findings.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<Vec<Finding>> {
    // As cargo says it when it starts this program: one target folder may serve several checkouts.
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").context("start it as `cargo xtask …`")?;
    let root = Path::new(&folder)
        .parent()
        .context("xtask lies in the workspace's folder")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["tidy"] => {
            let tree = tidy::Tree::read(root)?;
            let findings = tidy::check(&tree)?;
            println!("tidy: {} files looked at", tree.files.len());
            Ok(findings)
        }
        ["licenses"] => {
            let (packages, findings) = dependencies::check(root)?;
            println!("licenses: {packages} packages looked at");
            Ok(findings)
        }
        _ => bail!("{USAGE}"),
    }
}

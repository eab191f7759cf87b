//! x
use super::*;
#[test]
fn dump() {
    for line in std::fs::read_to_string("/tmp/h3ws/faults.txt").unwrap().lines() {
        match parse(line, "") {
            Ok(s) => println!("{line}\n!!!!! {:?}", s.iter().map(rendered).collect::<Vec<_>>()),
            Err(e) => println!("{line}\n{} {e}", e.state.0),
        }
    }
}
